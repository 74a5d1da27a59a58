//! The last 24 hours of a symbol, as tickers tell them.

use klagg_kline::{Kline, Period, UnixMillis};
use klagg_wire::MiniTicker;

use super::symbol::MINUTE;
use super::view::{Listed, Sight, append};

const DAY_MINUTES: i64 = 1_440;

/// The last 24 hours, the part before the current minute computed once a minute.
#[derive(Debug, Default)]
pub(crate) struct Rolling {
    minute: i64,
    before: Option<Kline>,
}

impl Rolling {
    /// One kline of the last 24 hours; `None` before the listing.
    pub(crate) fn day(&mut self, listed: &Listed, now: UnixMillis) -> Option<Kline> {
        if now < listed.symbol.onboard {
            return None;
        }
        let sight = Sight { now, horizon: now };
        let minute = now.0.div_euclid(MINUTE);
        if self.minute != minute {
            self.minute = minute;
            self.before = span(listed, minute - DAY_MINUTES + 1, minute, sight);
        }
        let mut day = self.before;
        listed.each_minute(minute, minute + 1, sight, |part| match &mut day {
            Some(day) => append(day, part),
            None => day = Some(*part),
        });
        day
    }
}

/// The minutes `from..to` as one kline; whole hours come from what is remembered.
fn span(listed: &Listed, from: i64, to: i64, sight: Sight) -> Option<Kline> {
    let mut whole: Option<Kline> = None;
    let mut add = |part: &Kline| match &mut whole {
        Some(whole) => append(whole, part),
        None => whole = Some(*part),
    };
    let first_hour = (from + 59).div_euclid(60);
    let last_hour = to.div_euclid(60);
    listed.each_minute(from, (first_hour * 60).min(to), sight, &mut add);
    for hour in first_hour..last_hour {
        let open = UnixMillis(hour * 60 * MINUTE);
        if let Some(kline) = listed.kline(Period::H1, open, sight) {
            add(&kline);
        }
    }
    if last_hour >= first_hour {
        listed.each_minute(last_hour * 60, to, sight, &mut add);
    }
    whole
}

/// A ticker from a day.
pub(crate) fn ticker(listed: &Listed, event_time: UnixMillis, day: &Kline) -> MiniTicker {
    MiniTicker {
        symbol: listed.symbol.name.to_string(),
        event_time,
        close: day.close,
        open: day.open,
        high: day.high,
        low: day.low,
        volume: day.volume,
        quote_volume: day.quote_volume,
        coin_margined: false,
        precision: listed.symbol.precision,
    }
}
