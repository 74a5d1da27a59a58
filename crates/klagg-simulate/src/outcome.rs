//! What came of a run.

use std::fmt;

use klagg_kline::{KlineRecord, SymbolId};

use crate::agenda::Millis;
use crate::random::mix;

/// The oracles, as `RELIABILITY` numbers them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Rule {
    /// Every confirmed kline is the official one, in all fields.
    O1,
    /// Every closed kline is the fold of all its aggregates.
    O2,
    /// A status never falls, a slot never goes back, no change is skipped.
    O3,
    /// Weight within our share, no request while refused.
    O4,
    /// Every cap is respected.
    O5,
    /// What lags behind the truth says so.
    O6,
    /// Nothing acknowledged is missing after a restart.
    O7,
    /// A number never changes its meaning.
    O8,
    /// Holes are told and repaired in time.
    P5,
    /// A machine's own assertion, or a run that does not end.
    Assertion,
}

/// A rule that was broken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Violation {
    /// Which.
    pub rule: Rule,
    /// Milliseconds after the start of the run.
    pub at: Millis,
    /// How.
    pub what: String,
}

impl fmt::Display for Violation {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { rule, at, what } = self;
        write!(formatter, "{rule:?} after {}.{:03} s: {what}", at / 1_000, at % 1_000)
    }
}

/// What a run gave.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Outcome {
    /// The first rule that was broken.
    pub violation: Option<Violation>,
    /// The same for two runs of a seed.
    pub trace: u64,
    /// Events that happened.
    pub events: u64,
    /// Simulated milliseconds.
    pub simulated: Millis,
    /// Confirmed klines that were compared with the official ones.
    pub confirmed: u64,
    /// Closed klines that were compared with the fold of their aggregates.
    pub closed: u64,
    /// Crashes of the process.
    pub crashes: u64,
}

/// A kline that was told of, as the trace hash takes it up.
pub(crate) fn fingerprint(symbol: SymbolId, record: &KlineRecord) -> u64 {
    let kline = &record.kline;
    let mut hash = u64::from(symbol.0) << 32 | u64::from(record.revision) << 8;
    hash ^= u64::from(record.status.to_u8());
    for part in [kline.open_time.0, kline.close.scaled(), kline.high.scaled(), kline.low.scaled()] {
        hash = mix(hash ^ part.unsigned_abs());
    }
    mix(hash ^ kline.trade_count)
}
