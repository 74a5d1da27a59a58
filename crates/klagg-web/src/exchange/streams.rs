//! The streams of one exchange-style connection: names as the client sent them, and what they
//! mean here.

use std::collections::BTreeMap;

use klagg_kline::PeriodSet;
use klagg_symbols::SymbolTable;
use klagg_wire::stream_name::StreamName;

use crate::hub::{Form, Slot};

/// Longest name that is remembered; the exchange knows none as long.
const NAME_BYTES_MAX: usize = 128;

/// Names subscribed by one client, in order of first subscription.
#[derive(Debug, Default)]
pub(crate) struct Streams {
    names: Vec<String>,
    slots: BTreeMap<Slot, Wanted>,
}

/// In which forms a slot is wanted.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
struct Wanted {
    kline: bool,
    continuous: bool,
}

/// Whether there is room for more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct TooMany;

impl Streams {
    /// The names, as sent.
    pub(crate) fn names(&self) -> &[String] {
        &self.names
    }

    /// Adds names; returns the slots that are new. A name twice, a label without `@` and a
    /// stream that klagg does not have are no errors, as with the exchange.
    pub(crate) fn add(
        &mut self,
        names: &[String],
        table: &SymbolTable,
        periods: &PeriodSet,
        names_max: usize,
    ) -> Result<Vec<Slot>, TooMany> {
        let mut added = Vec::new();
        for name in names {
            if name.len() > NAME_BYTES_MAX || !(name.contains('@') || name.starts_with('!')) {
                continue;
            }
            if self.names.contains(name) {
                continue;
            }
            if self.names.len() >= names_max {
                return Err(TooMany);
            }
            self.names.push(name.clone());
            let Some((slot, continuous)) = meaning(name, table, periods) else { continue };
            let wanted = self.slots.entry(slot).or_insert_with(|| {
                added.push(slot);
                Wanted::default()
            });
            wanted.continuous |= continuous;
            wanted.kline |= !continuous;
        }
        Ok(added)
    }

    /// Removes names; returns the slots that nothing is left of.
    pub(crate) fn remove(
        &mut self,
        names: &[String],
        table: &SymbolTable,
        periods: &PeriodSet,
    ) -> Vec<Slot> {
        let mut removed = Vec::new();
        for name in names {
            let Some(at) = self.names.iter().position(|held| held == name) else { continue };
            self.names.remove(at);
            let Some((slot, continuous)) = meaning(name, table, periods) else { continue };
            let Some(wanted) = self.slots.get_mut(&slot) else { continue };
            if continuous {
                wanted.continuous = false;
            } else {
                wanted.kline = false;
            }
            if *wanted == Wanted::default() {
                self.slots.remove(&slot);
                removed.push(slot);
            }
        }
        removed
    }

    /// The forms in which an update of `slot` is to be sent.
    pub(crate) fn forms(&self, slot: Slot, combined: bool) -> impl Iterator<Item = Form> {
        let wanted = self.slots.get(&slot).copied().unwrap_or_default();
        let kline = if combined { Form::KlineCombined } else { Form::Kline };
        let continuous = if combined { Form::ContinuousCombined } else { Form::Continuous };
        let kline = wanted.kline.then_some(kline);
        kline.into_iter().chain(wanted.continuous.then_some(continuous))
    }
}

/// The slot of a kline stream, and whether it is a continuous one.
fn meaning(name: &str, table: &SymbolTable, periods: &PeriodSet) -> Option<(Slot, bool)> {
    let (symbol, period, continuous) = match name.parse().ok()? {
        StreamName::Kline(symbol, period) => (symbol, period, false),
        StreamName::ContinuousKline { pair, contract_type, period }
            if contract_type.ends_with("PERPETUAL") =>
        {
            (pair, period, true)
        }
        _ => return None,
    };
    let period_index = u8::try_from(periods.index_of(period)?).ok()?;
    Some((Slot { symbol: table.get(&symbol)?, period_index }, continuous))
}

#[cfg(test)]
mod tests {
    use klagg_kline::{Precision, UnixMillis};
    use klagg_symbols::{NewSymbol, SymbolIndex};

    use super::*;

    #[test]
    fn what_the_exchange_accepts_is_accepted_and_only_klines_mean_something() {
        let index = SymbolIndex::empty(10);
        let precision = Precision::new(2, 3).unwrap();
        let symbol = |name: &str| NewSymbol {
            name: name.to_owned(),
            first_open_time: UnixMillis(0),
            onboard_time: None,
            precision,
        };
        index.append(vec![symbol("BTCUSDT"), symbol("币安人生USDT")]).unwrap();
        let (table, periods) = (index.load(), PeriodSet::default());
        let names = |names: &[&str]| names.iter().map(|&name| name.to_owned()).collect::<Vec<_>>();
        let mut streams = Streams::default();
        let sent = names(&[
            "btcusdt@kline_1m",
            "btcusdt@kline_1m",
            "币安人生usdt@kline_1d",
            "btcusdt_perpetual@continuousKline_1m",
            "BTCUSDT@kline_1m",
            "btcusdt@kline_3m",
            "btcusdt@bookTicker",
            "nosuch@kline_1m",
            "0",
        ]);
        let added = streams.add(&sent, &table, &periods, 20).unwrap();
        assert_eq!(added.len(), 2, "two symbols, one period each");
        assert_eq!(streams.names().len(), 7, "acknowledged, most of them silent");
        let slot = added[0];
        assert_eq!(
            streams.forms(slot, true).collect::<Vec<_>>(),
            [Form::KlineCombined, Form::ContinuousCombined]
        );
        assert_eq!(streams.remove(&names(&["btcusdt@kline_1m"]), &table, &periods), []);
        assert_eq!(streams.forms(slot, false).collect::<Vec<_>>(), [Form::Continuous]);
        let gone =
            streams.remove(&names(&["btcusdt_perpetual@continuousKline_1m"]), &table, &periods);
        assert_eq!(gone, [slot]);
        assert_eq!(streams.add(&names(&["a@b", "c@d"]), &table, &periods, 6), Err(TooMany));
    }
}
