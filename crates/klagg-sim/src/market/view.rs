//! The klines of a symbol as REST shows them at an instant.
//!
//! Two instants matter: *now* decides which klines exist, the *horizon*, a little earlier, which
//! fills they know. What is over is computed in closed form, the rest from single fills.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use klagg_kline::{Kline, Period, Price, Quantity, Side, TradeId, UnixMillis, Volume};

use super::plan::scan;
use super::symbol::{MINUTE, Symbol};
use super::tape::{Aggregate, Fill, Tape};

const MINUTES_AN_HOUR: i64 = 60;
/// Hours kept for one symbol, about two years; when full, all are forgotten and made again.
const HOURS_MAX: usize = 20_000;

/// A symbol with what was already computed of it.
#[derive(Debug)]
pub(crate) struct Listed {
    pub(crate) symbol: Symbol,
    hours: Mutex<HashMap<i64, Kline>>,
    /// The newest tapes asked for: the feed, REST and the kline streams want the same ones.
    tapes: Mutex<[Option<Arc<Tape>>; 2]>,
}

/// Which klines are asked for; both bounds are inclusive and mean the open time.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Range {
    pub(crate) from: Option<UnixMillis>,
    pub(crate) to: Option<UnixMillis>,
    pub(crate) limit: usize,
}

impl Range {
    /// When the klines asked for open, ascending, of a symbol whose first minute is `listed`.
    pub(crate) fn open_times(
        &self,
        period: Period,
        listed: UnixMillis,
        now: UnixMillis,
    ) -> Vec<UnixMillis> {
        let oldest = period.open_time(listed);
        let newest = period.open_time(now.min(self.to.unwrap_or(now)));
        let mut opens = Vec::new();
        if let Some(from) = self.from {
            let mut open = period.open_time(from.max(oldest));
            if open < from && from > oldest {
                open = period.next_open_time(open);
            }
            while open <= newest && opens.len() < self.limit {
                opens.push(open);
                open = period.next_open_time(open);
            }
        } else {
            let mut open = newest;
            while open >= oldest && opens.len() < self.limit {
                opens.push(open);
                open = period.open_time(open.plus(-1));
            }
            opens.reverse();
        }
        opens
    }
}

/// When one looks, and the last instant whose fills are seen.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Sight {
    pub(crate) now: UnixMillis,
    pub(crate) horizon: UnixMillis,
}

impl Listed {
    pub(crate) fn new(symbol: Symbol) -> Self {
        Self { symbol, hours: Mutex::default(), tapes: Mutex::default() }
    }

    /// The trades of a minute.
    pub(crate) fn tape(&self, minute: i64) -> Arc<Tape> {
        let mut tapes = self.tapes.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(tape) = tapes.iter().flatten().find(|tape| tape.minute == minute) {
            return Arc::clone(tape);
        }
        let tape = Arc::new(Tape::of(&self.symbol, minute));
        let newest = tapes.iter().flatten().map(|tape| tape.minute).max();
        if newest.is_none_or(|newest| minute > newest) {
            tapes.swap(0, 1);
            tapes[0] = Some(Arc::clone(&tape));
        }
        tape
    }

    /// The fills of a minute until the horizon, each with its aggregate.
    pub(crate) fn each_fill(&self, minute: i64, mut each: impl FnMut(&Aggregate, &Fill)) {
        for owner in [minute - 1, minute] {
            if owner < self.symbol.first_minute() {
                continue;
            }
            let tape = self.tape(owner);
            let reaching =
                if owner == minute { 0 } else { tape.aggregates.len().saturating_sub(1) };
            for aggregate in &tape.aggregates[reaching..] {
                for fill in tape.fills(aggregate) {
                    if fill.time.div_euclid(MINUTE) == minute {
                        each(aggregate, fill);
                    }
                }
            }
        }
    }

    /// The klines asked for, ascending; the last one may still be open.
    pub(crate) fn klines(&self, period: Period, range: Range, sight: Sight) -> Vec<Kline> {
        let symbol = &self.symbol;
        if sight.now < symbol.onboard {
            return Vec::new();
        }
        let listed = UnixMillis(symbol.first_minute() * MINUTE);
        let opens = range.open_times(period, listed, sight.now);
        if period == Period::M1 {
            return self.minutes(&opens, sight);
        }
        opens.into_iter().filter_map(|open| self.longer(period, open, sight)).collect()
    }

    fn minutes(&self, opens: &[UnixMillis], sight: Sight) -> Vec<Kline> {
        let (Some(first), Some(last)) = (opens.first(), opens.last()) else { return Vec::new() };
        let mut klines = Vec::with_capacity(opens.len());
        let (from, to) = (first.0.div_euclid(MINUTE), last.0.div_euclid(MINUTE) + 1);
        self.each_minute(from, to, sight, |kline| klines.push(*kline));
        klines
    }

    /// The kline of a period that opens at `open`, as far as it is seen.
    pub(crate) fn kline(&self, period: Period, open: UnixMillis, sight: Sight) -> Option<Kline> {
        if period == Period::M1 {
            return self.minutes(&[open], sight).first().copied();
        }
        self.longer(period, open, sight)
    }

    fn longer(&self, period: Period, open: UnixMillis, sight: Sight) -> Option<Kline> {
        let from = open.0.div_euclid(MINUTE);
        let now = sight.now.0.div_euclid(MINUTE) + 1;
        let to = period.next_open_time(open).0.div_euclid(MINUTE).min(now);
        let mut whole: Option<Kline> = None;
        let mut add = |part: &Kline| match &mut whole {
            Some(whole) => append(whole, part),
            None => whole = Some(Kline { open_time: open, ..*part }),
        };
        if period < Period::H1 {
            self.each_minute(from, to, sight, &mut add);
            return whole;
        }
        let mut hour = from.max(self.symbol.first_minute()).div_euclid(MINUTES_AN_HOUR);
        while hour * MINUTES_AN_HOUR < to {
            let end = (hour + 1) * MINUTES_AN_HOUR;
            if end * MINUTE <= sight.horizon.0 {
                add(&self.hour(hour));
            } else {
                self.each_minute(hour * MINUTES_AN_HOUR, end.min(to), sight, &mut add);
            }
            hour += 1;
        }
        whole
    }

    /// An hour that is over, remembered.
    fn hour(&self, hour: i64) -> Kline {
        let mut hours = self.hours.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(kline) = hours.get(&hour) {
            return *kline;
        }
        let from = hour * MINUTES_AN_HOUR;
        let mut whole: Option<Kline> = None;
        scan(&self.symbol, from, from + MINUTES_AN_HOUR, |part| match &mut whole {
            Some(whole) => append(whole, part),
            None => whole = Some(Kline { open_time: UnixMillis(from * MINUTE), ..*part }),
        });
        let nothing = Kline::flat(UnixMillis(from * MINUTE), Price::from_scaled(self.symbol.tick));
        let kline = whole.unwrap_or(nothing);
        if hours.len() >= HOURS_MAX {
            hours.clear();
        }
        hours.insert(hour, kline);
        kline
    }

    /// Every minute in `from..to` from the listing on, as seen.
    pub(crate) fn each_minute(
        &self,
        from: i64,
        to: i64,
        sight: Sight,
        mut each: impl FnMut(&Kline),
    ) {
        let over = sight.horizon.0.div_euclid(MINUTE);
        scan(&self.symbol, from, to.min(over), &mut each);
        for minute in from.max(over).max(self.symbol.first_minute())..to {
            each(&self.partial(minute, sight.horizon));
        }
    }

    /// A minute that is not over, or not all of whose fills are seen.
    fn partial(&self, minute: i64, horizon: UnixMillis) -> Kline {
        let open_time = UnixMillis(minute * MINUTE);
        let mut whole: Option<Kline> = None;
        self.each_fill(minute, |aggregate, fill| {
            if fill.time <= horizon.0 {
                let part = self.kline_of_fill(open_time, aggregate, fill);
                match &mut whole {
                    Some(whole) => append(whole, &part),
                    None => whole = Some(part),
                }
            }
        });
        whole.unwrap_or_else(|| Kline::flat(open_time, self.last_price(minute, horizon)))
    }

    /// The price of the last fill before `minute` that is seen.
    fn last_price(&self, minute: i64, horizon: UnixMillis) -> Price {
        let mut before = minute - 1;
        while before >= self.symbol.first_minute() && (before + 1) * MINUTE > horizon.0 {
            let mut last = None;
            self.each_fill(before, |aggregate, fill| {
                if fill.time <= horizon.0 {
                    last = Some(aggregate.ticks);
                }
            });
            if let Some(ticks) = last {
                return Price::from_scaled(ticks * self.symbol.tick);
            }
            before -= 1;
        }
        let mut close = Price::from_scaled(self.symbol.ticks_at(minute) * self.symbol.tick);
        scan(&self.symbol, before, before + 1, |kline| close = kline.close);
        close
    }

    fn kline_of_fill(&self, open_time: UnixMillis, aggregate: &Aggregate, fill: &Fill) -> Kline {
        let price = Price::from_scaled(aggregate.ticks * self.symbol.tick);
        let quantity = Quantity::from_scaled(fill.steps * self.symbol.step);
        let mut kline = Kline::flat(open_time, price);
        kline.volume = Volume::from(quantity);
        kline.quote_volume = price.times(quantity);
        if aggregate.is_buy {
            kline.taker_buy_volume = kline.volume;
            kline.taker_buy_quote_volume = kline.quote_volume;
        }
        kline.trade_count = 1;
        (kline.first_id, kline.last_id) = (TradeId(fill.id), TradeId(fill.id));
        kline
    }
}

/// Who took in an aggregate.
pub(crate) const fn taker(aggregate: &Aggregate) -> Side {
    Side::from_buyer_is_maker(!aggregate.is_buy)
}

/// Adds the next part of the same span.
pub(crate) fn append(whole: &mut Kline, part: &Kline) {
    if part.trade_count == 0 {
        return;
    }
    if whole.trade_count == 0 {
        *whole = Kline { open_time: whole.open_time, ..*part };
        return;
    }
    whole.volume += part.volume;
    whole.quote_volume += part.quote_volume;
    whole.taker_buy_volume += part.taker_buy_volume;
    whole.taker_buy_quote_volume += part.taker_buy_quote_volume;
    whole.trade_count += part.trade_count;
    whole.high = whole.high.max(part.high);
    whole.low = whole.low.min(part.low);
    whole.close = part.close;
    whole.last_id = part.last_id;
}

#[cfg(test)]
mod tests;
