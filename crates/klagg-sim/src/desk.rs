//! The exchange's REST for klines without a socket, at times that the caller names.
//!
//! For questions about weight and time, which go on for simulated hours: weight is counted by the
//! same code as on loopback, and the same symbols have the same klines, by number and open time.
//! Their values are flat, as on a day without trades: nobody who asks how much there is to fetch
//! has to wait until it is made up.

use std::collections::HashMap;

use klagg_kline::{Kline, Period, Price, UnixMillis};

use crate::market::Market;
use crate::market::symbol::MINUTE;
use crate::market::view::Range;
use crate::weight::{Verdict, WeightCounter, klines_weight};
use crate::{Oracle, SimConfig, SimError, SimSymbol};

/// An exchange that is asked by calling it.
///
/// # Examples
///
/// ```
/// use klagg_kline::{Period, UnixMillis};
/// use klagg_sim::{Desk, DeskAnswer, KlinesAsked, SimConfig};
///
/// let now = UnixMillis(1_791_460_933_250);
/// let mut desk = Desk::new(&SimConfig { symbols: 4, ..SimConfig::demo() }, now)?;
/// let (name, period) = ("BTCUSDT", Period::H1);
/// let asked = KlinesAsked { name, period, from: None, to: None, limit: 99 };
/// let DeskAnswer::Klines { klines, used } = desk.klines(now, &asked) else { panic!("refused") };
/// assert_eq!((klines.len(), used), (99, 1));
/// # Ok::<(), klagg_sim::SimError>(())
/// ```
#[derive(Debug)]
pub struct Desk {
    market: Market,
    /// Symbols whose first minute was moved.
    moved: HashMap<String, UnixMillis>,
    weight: WeightCounter,
}

/// A request for klines; bounds are inclusive and mean the open time.
#[derive(Debug, Clone, Copy)]
pub struct KlinesAsked<'a> {
    /// Whose, upper case.
    pub name: &'a str,
    /// Which.
    pub period: Period,
    /// Not earlier than this.
    pub from: Option<UnixMillis>,
    /// Not later than this.
    pub to: Option<UnixMillis>,
    /// At most this many.
    pub limit: u16,
}

/// What becomes of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum DeskAnswer {
    /// Served; the last kline may still be open.
    Klines {
        /// Ascending.
        klines: Vec<Kline>,
        /// Weight used in this minute of the exchange, by everybody.
        used: u32,
    },
    /// 429.
    Refused {
        /// Weight used in this minute.
        used: u32,
    },
    /// 418.
    Banned {
        /// Its end.
        until: UnixMillis,
    },
    /// 400: no such symbol. It costs its weight all the same.
    UnknownSymbol,
}

impl Desk {
    /// The market of `config` as it stands at `start`. Its clock and port are not used.
    ///
    /// # Errors
    /// [`SimError::Config`] if a number is out of its range.
    pub fn new(config: &SimConfig, start: UnixMillis) -> Result<Self, SimError> {
        config.validate()?;
        let weight = WeightCounter::new(config.weight_limit, config.refusals_until_ban);
        Ok(Self { market: Market::new(config, start), moved: HashMap::new(), weight })
    }

    /// From now on, the first minute of the symbol is the one of `time`.
    pub fn list_at(&mut self, name: &str, time: UnixMillis) {
        self.moved.insert(name.to_owned(), Period::M1.open_time(time));
    }

    /// All symbols ever listed, perpetuals first, biggest first.
    pub fn symbols(&self, now: UnixMillis) -> Vec<SimSymbol> {
        self.market.all().iter().map(|listed| Oracle::known(&listed.symbol, now)).collect()
    }

    /// Answers a request that arrives at `now`.
    pub fn klines(&mut self, now: UnixMillis, asked: &KlinesAsked<'_>) -> DeskAnswer {
        let used = match self.weight.charge(now, klines_weight(Some(asked.limit.into()))) {
            Verdict::Served { used } => used,
            Verdict::Refused { used } => return DeskAnswer::Refused { used },
            Verdict::Banned { until } => return DeskAnswer::Banned { until },
        };
        let Some(listed) = self.market.get(asked.name) else { return DeskAnswer::UnknownSymbol };
        let symbol = &listed.symbol;
        let price = Price::from_scaled(symbol.base_ticks * symbol.tick);
        let range = Range { from: asked.from, to: asked.to, limit: usize::from(asked.limit) };
        let first = UnixMillis(symbol.first_minute() * MINUTE);
        let listed = self.moved.get(asked.name).copied().unwrap_or(first);
        let opens =
            if now < listed { Vec::new() } else { range.open_times(asked.period, listed, now) };
        let klines = opens.into_iter().map(|open| Kline::flat(open, price)).collect();
        DeskAnswer::Klines { klines, used }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: UnixMillis = UnixMillis(1_791_460_933_250);

    #[test]
    fn weight_is_counted_by_the_minute_and_beyond_the_limit_comes_429() {
        let config = SimConfig { symbols: 2, weight_limit: 5, ..SimConfig::demo() };
        let mut desk = Desk::new(&config, NOW).unwrap();
        let mut ask = |now: UnixMillis, name, limit| {
            let (from, to) = (Some(UnixMillis(0)), None);
            desk.klines(now, &KlinesAsked { name, period: Period::D1, from, to, limit })
        };
        let DeskAnswer::Klines { klines, used } = ask(NOW, "BTCUSDT", 499) else { panic!() };
        assert_eq!(used, 2);
        assert!(klines.len() >= 30, "{} days", klines.len());
        assert!(
            klines
                .windows(2)
                .all(|pair| { pair[1].open_time == Period::D1.next_open_time(pair[0].open_time) })
        );
        assert_eq!(ask(NOW, "NOBODYUSDT", 99), DeskAnswer::UnknownSymbol);
        assert_eq!(ask(NOW, "BTCUSDT", 1_500), DeskAnswer::Refused { used: 13 });
        let next = Period::M1.next_open_time(NOW);
        assert!(matches!(ask(next, "BTCUSDT", 1), DeskAnswer::Klines { used: 1, .. }));
        desk.list_at("BTCUSDT", NOW);
        let asked = KlinesAsked {
            name: "BTCUSDT",
            period: Period::M1,
            from: Some(UnixMillis(0)),
            to: None,
            limit: 100,
        };
        let DeskAnswer::Klines { klines, .. } = desk.klines(next, &asked) else { panic!() };
        let opens: Vec<_> = klines.iter().map(|kline| kline.open_time).collect();
        assert_eq!(opens, [Period::M1.open_time(NOW), next]);
    }
}
