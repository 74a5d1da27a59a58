//! What goes into the store and what comes out of it.

use std::path::PathBuf;
use std::time::Duration;

use klagg_kline::{KlineRecord, Period, Precision, SymbolId, UnixMillis};

use crate::Retention;

/// How to open a [`Store`](crate::Store).
#[derive(Debug, Clone)]
pub struct StoreConfig {
    /// The data folder; made if it does not exist, readable by its owner alone.
    pub directory: PathBuf,
    /// What a commit that returned survives.
    pub durability: Durability,
    /// How much of the file is looked at when opening.
    pub check: OpenCheck,
    /// How long a statement waits for a lock before it fails.
    pub busy_timeout: Duration,
    /// After a commit that leaves so many pages in the write-ahead log, they are moved into the
    /// database.
    pub checkpoint_pages: u32,
    /// Periods of which not all klines are kept.
    pub retention: Vec<Retention>,
}

impl StoreConfig {
    /// The settings that the promises of the store are made for.
    pub fn new(directory: impl Into<PathBuf>) -> Self {
        Self {
            directory: directory.into(),
            durability: Durability::Full,
            check: OpenCheck::Quick,
            busy_timeout: Duration::from_secs(5),
            checkpoint_pages: 1_000,
            retention: Vec::new(),
        }
    }
}

/// What a commit that returned survives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Durability {
    /// Power loss: every commit waits for the disk.
    Full,
    /// A killed process, not power loss: the last commits before a power cut may be gone.
    Normal,
}

/// How much of the file is looked at when opening.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OpenCheck {
    /// Every page (SQLite's `quick_check`): about 1.5 s for a gigabyte.
    Quick,
    /// The header and the schema alone.
    Header,
}

/// A numbered symbol as it is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredSymbol {
    /// Its permanent number.
    pub id: SymbolId,
    /// The exchange's name.
    pub name: String,
    /// Open time of its first daily kline.
    pub first_open_time: UnixMillis,
    /// When the exchange put it on board; `None` where it has not told.
    pub onboard_time: Option<UnixMillis>,
    /// How its numbers are printed.
    pub precision: Precision,
    /// Whether it is a tombstone.
    pub delisted: bool,
}

/// A kline on its way to the disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StoredKline {
    /// Whose.
    pub symbol: SymbolId,
    /// How long.
    pub period: Period,
    /// The values and what is known about them.
    pub record: KlineRecord,
}

/// What became of the rows of one write.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct WriteOutcome {
    /// Rows that are new or replaced a lower one.
    pub written: u64,
    /// Rows that changed nothing: the same or a higher one is stored.
    pub unchanged: u64,
}

impl WriteOutcome {
    pub(crate) fn count(&mut self, changed: usize) {
        if changed == 0 {
            self.unchanged += 1;
        } else {
            self.written += 1;
        }
    }
}

/// An unbroken run of confirmed klines of one symbol and period.
///
/// The run begins with the first confirmed kline that was ever stored, and grows at both ends by
/// what joins it without a hole. It never jumps over a hole: what lies beyond one counts once
/// the hole is filled. So whoever fetches what is missing starts at `until`, and fetches what
/// lies before `from` if more depth is wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Coverage {
    /// Open time of its first kline.
    pub from: UnixMillis,
    /// End of its last kline: the open time of the first one that is missing or unconfirmed.
    pub until: UnixMillis,
}

/// Which klines of one symbol and period to read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ReadQuery {
    /// First open time wanted.
    pub from: Option<UnixMillis>,
    /// First open time no longer wanted.
    pub to: Option<UnixMillis>,
    /// At most so many.
    pub limit: usize,
    /// Which end of the range is kept when `limit` cuts.
    pub keep: ReadEnd,
}

/// Which end of a range is kept when a limit cuts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReadEnd {
    /// The oldest klines.
    Oldest,
    /// The newest klines.
    Newest,
}

/// Klines read, oldest first, and what could not be trusted.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ReadPage {
    /// The klines whose checksum is right.
    pub records: Vec<KlineRecord>,
    /// Open times of rows whose checksum is wrong (the open time itself may be what is wrong).
    pub damaged: Vec<UnixMillis>,
    /// Open times of klines that the run of confirmed ones must have, but of which there is no row.
    pub missing: Vec<UnixMillis>,
}
