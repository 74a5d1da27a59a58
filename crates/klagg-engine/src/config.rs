//! Numbers of an engine. No defaults here: they are the program's business.

use klagg_kline::PeriodSet;

use crate::EngineError;

/// How trade ids are judged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Continuity {
    /// Ids grow by exactly one: a jump is a hole, and the minutes it spans are provisional.
    Checked,
    /// Ids grow, perhaps by more than one: raw fills, whose ids the exchange does not always
    /// publish. Repetitions are still dropped; no hole is seen, and trades are held only while a
    /// feed says that it has several copies.
    Unchecked,
}

/// Numbers of the sequencer that stands before every symbol's fold.
///
/// # Examples
///
/// ```
/// use klagg_engine::{Continuity, SequencerConfig};
///
/// // Two copies of a feed: what one has lost, the other may bring within two seconds.
/// let continuity = Continuity::Checked;
/// let rules = SequencerConfig { continuity, held_max: 10_000, hold_ms: 2_000 };
/// assert!(rules.validate().is_ok());
/// let refused = SequencerConfig { held_max: 0, ..rules }.validate().unwrap_err();
/// assert_eq!(refused.to_string(), "`sequencer.held_max` is 0, but must be from 1 to 16777216");
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SequencerConfig {
    /// How trade ids are judged.
    pub continuity: Continuity,
    /// Most trades of one symbol held back while a hole may still be filled; at that number the
    /// hole is given up.
    pub held_max: usize,
    /// How long, in exchange time, a hole may be filled by another copy of the feed. Does not count
    /// while a feed says that it has one copy only, and ends where it says that nothing comes any
    /// more; 0: no hole ever waits.
    pub hold_ms: i64,
}

/// Numbers of an [`Engine`](crate::Engine).
///
/// # Examples
///
/// ```
/// use klagg_engine::{Continuity, EngineConfig, SequencerConfig};
/// use klagg_kline::{Period, PeriodSet};
///
/// let config = EngineConfig {
///     periods: PeriodSet::new(&[Period::M1, Period::M5, Period::H1])?,
///     workers: 2,
///     symbols_max: 10_000,
///     queue_batches: 64,
///     batch_trades: 256,
///     close_grace_ms: 500,
///     sequencer: SequencerConfig { continuity: Continuity::Checked, held_max: 1, hold_ms: 0 },
///     undelivered_max: 100_000,
///     first_core: None,
/// };
/// assert!(config.validate().is_ok());
/// let refused = EngineConfig { workers: 0, ..config }.validate().unwrap_err();
/// assert_eq!(refused.to_string(), "`workers` is 0, but must be from 1 to 1024");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone)]
pub struct EngineConfig {
    /// What is folded.
    pub periods: PeriodSet,
    /// Worker threads; symbol number mod `workers` is the worker.
    pub workers: usize,
    /// Symbol numbers below this are accepted; their slots are preallocated.
    pub symbols_max: usize,
    /// Batches that may wait before each worker. When full, feeds wait.
    pub queue_batches: usize,
    /// Trades in one batch.
    pub batch_trades: usize,
    /// How far exchange time must have passed a minute's end before a symbol without a newer
    /// trade is closed. Aggregates arrive about 155 ms after their trade time.
    pub close_grace_ms: i64,
    /// The sequencer's numbers.
    pub sequencer: SequencerConfig,
    /// Closed klines that one worker keeps for a reader that does not come. When full, the oldest
    /// are dropped and counted.
    pub undelivered_max: usize,
    /// Core of worker 0; the others take the next ones. Needs the feature `pinning`.
    pub first_core: Option<usize>,
}

/// Most workers: far above any machine's cores, far below what would exhaust it.
const WORKERS_MAX: usize = 1_024;
/// Most symbols, so that a slip of the pen does not ask for terabytes.
const SYMBOLS_MAX: usize = 1_000_000;
/// Most entries of any queue or batch.
const QUEUE_MAX: usize = 1 << 24;
/// One hour: a grace or a hold beyond that is a mistake in the unit.
const WAIT_MS_MAX: i64 = 3_600_000;

impl SequencerConfig {
    /// Checks the numbers.
    ///
    /// # Errors
    /// [`EngineError::InvalidConfig`] names the field, its value and what is allowed.
    pub fn validate(&self) -> Result<(), EngineError> {
        check("sequencer.held_max", self.held_max, 1..=QUEUE_MAX, "from 1 to 16777216")?;
        check("sequencer.hold_ms", self.hold_ms, 0..=WAIT_MS_MAX, "from 0 to 3600000")
    }
}

impl EngineConfig {
    /// Checks the numbers.
    ///
    /// # Errors
    /// [`EngineError::InvalidConfig`] names the field, its value and what is allowed.
    pub fn validate(&self) -> Result<(), EngineError> {
        check("workers", self.workers, 1..=WORKERS_MAX, "from 1 to 1024")?;
        check("symbols_max", self.symbols_max, 1..=SYMBOLS_MAX, "from 1 to 1000000")?;
        check("queue_batches", self.queue_batches, 1..=QUEUE_MAX, "from 1 to 16777216")?;
        check("batch_trades", self.batch_trades, 1..=QUEUE_MAX, "from 1 to 16777216")?;
        check("close_grace_ms", self.close_grace_ms, 0..=WAIT_MS_MAX, "from 0 to 3600000")?;
        check("undelivered_max", self.undelivered_max, 1..=QUEUE_MAX, "from 1 to 16777216")?;
        if let (Some(core), false) = (self.first_core, cfg!(feature = "pinning")) {
            return Err(EngineError::InvalidConfig {
                field: "first_core",
                value: core.to_string(),
                allowed: "absent in a build without the feature `pinning`",
            });
        }
        self.sequencer.validate()
    }
}

/// Refuses a value outside of `range`, with a sentence.
pub(crate) fn check<T: Copy + PartialOrd + std::fmt::Display>(
    field: &'static str,
    value: T,
    range: std::ops::RangeInclusive<T>,
    allowed: &'static str,
) -> Result<(), EngineError> {
    if range.contains(&value) {
        return Ok(());
    }
    Err(EngineError::InvalidConfig { field, value: value.to_string(), allowed })
}
