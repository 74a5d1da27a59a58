//! One contract: its fixed facts, and its place in the count of aggregates and fills.
//!
//! Aggregates of a symbol are numbered from 0, its *ordinals*; the exchange's ids are these plus
//! a constant. Every minute owns a known range of ordinals, and every ordinal a known range of
//! raw ids, so that any trade of any time can be made without making those before it.

use std::sync::Arc;

use klagg_kline::{Precision, UnixMillis};

use super::activity::{ActivityWalk, Silences};
use super::price::PriceWalk;
use crate::random::at;

pub(crate) const MINUTE: i64 = 60_000;

const TAG_FILLS: u64 = 0xf111;
const TAG_BURNT: u64 = 0xb127;

/// Of every sixteen aggregates, up to three have more than one fill; this many more.
const EXTRA_FILLS: [i64; 3] = [6, 3, 1];
const EXTRA_FILLS_SUM: i64 = 10;
/// One raw id is burnt in so many aggregates.
const BURNT_EVERY: i64 = 256;

/// What kind of contract.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Contract {
    Perpetual,
    TradFiPerpetual,
    CurrentQuarter,
    NextQuarter,
}

impl Contract {
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Perpetual => "PERPETUAL",
            Self::TradFiPerpetual => "TRADIFI_PERPETUAL",
            Self::CurrentQuarter => "CURRENT_QUARTER",
            Self::NextQuarter => "NEXT_QUARTER",
        }
    }
}

/// A contract. Immutable: a settlement replaces it.
#[derive(Debug, Clone)]
pub(crate) struct Symbol {
    pub(crate) name: Arc<str>,
    /// As in stream names: only ASCII is lowercased.
    pub(crate) stream_name: Arc<str>,
    pub(crate) pair: Arc<str>,
    pub(crate) base: Arc<str>,
    pub(crate) quote: &'static str,
    pub(crate) contract: Contract,
    pub(crate) precision: Precision,
    /// A tick in units of 1e-8.
    pub(crate) tick: i64,
    /// A step of quantity in units of 1e-8.
    pub(crate) step: i64,
    pub(crate) onboard: UnixMillis,
    /// When it settled or will settle.
    pub(crate) delivery: Option<UnixMillis>,
    pub(crate) seed: u64,
    pub(crate) base_ticks: i64,
    pub(crate) volatility: f64,
    /// Aggregates a minute, 32.32.
    pub(crate) rate: u64,
    /// The count at the first minute, from which ordinals are counted.
    pub(crate) aggregates_at_first: i64,
    /// Steps of an ordinary fill.
    pub(crate) typical_steps: i64,
    /// Ids before the first aggregate and before the first fill.
    pub(crate) ids_before: i64,
    pub(crate) fills_before: i64,
    /// Share of edges that are straddled where they can be.
    pub(crate) straddles: f64,
    pub(crate) burnt_ids: bool,
    pub(crate) same_millisecond_runs: f64,
}

impl Symbol {
    /// Sets what decides about its trades: to be called last, seed and rate are part of it.
    pub(crate) fn set_listing(&mut self, seed: u64, onboard: UnixMillis) {
        (self.seed, self.onboard) = (seed, onboard);
        let walk = ActivityWalk::to(self.seed, Silences::of(self.rate), self.first_minute());
        self.aggregates_at_first = walk.aggregates(self.rate);
    }

    /// The minute, counted from 1970, in which it was listed.
    pub(crate) fn first_minute(&self) -> i64 {
        self.onboard.0.div_euclid(MINUTE)
    }

    /// Whether it trades at `now`.
    pub(crate) fn is_trading(&self, now: UnixMillis) -> bool {
        self.onboard <= now && self.delivery.is_none_or(|delivery| now < delivery)
    }

    /// `PENDING_TRADING`, `TRADING`, or `SETTLING`.
    pub(crate) fn status(&self, now: UnixMillis) -> &'static str {
        if now < self.onboard {
            "PENDING_TRADING"
        } else if self.is_trading(now) {
            "TRADING"
        } else {
            "SETTLING"
        }
    }

    /// The ordinal of the first aggregate at or after the start of `minute`.
    pub(crate) fn ordinal_at(&self, minute: i64) -> i64 {
        OrdinalWalk::to(self, minute).ordinal()
    }

    /// The minute that owns an ordinal, at most `last_minute`.
    pub(crate) fn minute_of(&self, ordinal: i64, last_minute: i64) -> i64 {
        let mut low = self.first_minute();
        let mut high = last_minute;
        while low < high {
            let middle = low + (high - low + 1) / 2;
            if self.ordinal_at(middle) <= ordinal {
                low = middle;
            } else {
                high = middle - 1;
            }
        }
        low
    }

    /// Price in ticks at the start of a minute.
    pub(crate) fn ticks_at(&self, minute: i64) -> i64 {
        self.price_walk().ticks_at(minute)
    }

    pub(crate) fn price_walk(&self) -> PriceWalk {
        PriceWalk::new(self.seed, self.base_ticks, self.volatility)
    }

    /// How many more fills than one an aggregate has, and how many its sixteen had before it.
    fn extra_fills(&self, ordinal: i64) -> (i64, i64) {
        let number = at(self.seed, TAG_FILLS, ordinal >> 4);
        let place = ordinal & 15;
        let mut own = 0;
        let mut before = 0;
        for (extra, shift) in EXTRA_FILLS.into_iter().zip([0, 4, 8]) {
            let extra_at = (number >> shift & 15).cast_signed();
            own += if extra_at == place { extra } else { 0 };
            before += if extra_at < place { extra } else { 0 };
        }
        (own, before)
    }

    /// Fills of one aggregate.
    pub(crate) fn fill_count(&self, ordinal: i64) -> i64 {
        1 + self.extra_fills(ordinal).0
    }

    /// Fills of all aggregates before this one.
    pub(crate) fn fills_until(&self, ordinal: i64) -> i64 {
        ordinal + EXTRA_FILLS_SUM * (ordinal >> 4) + self.extra_fills(ordinal).1
    }

    /// The raw id of one fill of an aggregate. A burnt id lies before the only fill, or between
    /// the first and the second.
    pub(crate) fn fill_id(&self, ordinal: i64, fill: i64) -> i64 {
        let id = self.fills_before + 1 + self.fills_until(ordinal) + fill;
        if !self.burnt_ids {
            return id;
        }
        let block = ordinal.div_euclid(BURNT_EVERY);
        let place = ordinal.rem_euclid(BURNT_EVERY);
        let burnt_at = (at(self.seed, TAG_BURNT, block) & 255).cast_signed();
        let own = burnt_at == place && (fill > 0 || self.fill_count(ordinal) == 1);
        id + block + i64::from(burnt_at < place) + i64::from(own)
    }

    /// The exchange's aggregate id.
    pub(crate) const fn aggregate_id(&self, ordinal: i64) -> i64 {
        self.ids_before + 1 + ordinal
    }
}

/// The place in the count of aggregates, minute after minute.
#[derive(Debug, Clone)]
pub(crate) struct OrdinalWalk {
    activity: ActivityWalk,
    rate: u64,
    minute: i64,
    first: i64,
    end: i64,
    at_first: i64,
}

impl OrdinalWalk {
    pub(crate) fn to(symbol: &Symbol, minute: i64) -> Self {
        let first = symbol.first_minute();
        let end = symbol.delivery.map_or(i64::MAX, |delivery| delivery.0.div_euclid(MINUTE));
        let end = end.max(first + 1);
        let silences = Silences::of(symbol.rate);
        let activity = ActivityWalk::to(symbol.seed, silences, minute.clamp(first, end));
        let at_first = symbol.aggregates_at_first;
        Self { activity, rate: symbol.rate, minute, first, end, at_first }
    }

    /// The ordinal of the first aggregate at or after the start of the minute.
    pub(crate) fn ordinal(&self) -> i64 {
        if self.minute <= self.first {
            return 0;
        }
        // One more in the first minute: a contract opens with a trade.
        1 + self.activity.aggregates(self.rate) - self.at_first
    }

    /// Goes on to the next minute.
    pub(crate) fn advance(&mut self) {
        if (self.first..self.end).contains(&self.minute) {
            self.activity.advance();
        }
        self.minute += 1;
    }
}
