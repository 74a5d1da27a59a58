//! The newest closed klines in memory: one writer, any number of readers, no locks.
//!
//! Always true here:
//! - Every kline is read whole: it was written so by one [`HistoryWriter::apply`].
//! - A reader never delays the writer. A read copies out; what it returns is one stretch of time,
//!   ascending, with holes only where klines never came.
//! - A kline is replaced only by one that [supersedes](KlineRecord::superseding) it.
//! - Memory is bounded by the capacities, and taken when first needed.
//!
//! Every change is also noted in a log of bounded length, so that a reader can follow without
//! reading everything: one that falls too far behind is told so.

mod atomics;
mod cell;
mod chunk;
#[cfg(loom)]
#[cfg(test)]
mod models;
mod numbers;
mod pack;
mod page;
mod series;
#[cfg(test)]
mod tests;

use std::sync::{Arc, OnceLock};

use klagg_kline::{KlineRecord, PeriodSet, SymbolId, UnixMillis};

use self::atomics::{AtomicU64, Ordering, Site};
use self::cell::Cells;
pub use self::page::HistoryPage;
use self::series::{Applied, Series};
use crate::EngineError;
use crate::config::check;

/// Numbers of a history. See [`history()`] for an example.
#[derive(Debug, Clone)]
pub struct HistoryConfig {
    /// Which periods are kept.
    pub periods: PeriodSet,
    /// Symbol numbers below this are accepted.
    pub symbols_max: usize,
    /// How many klines of each period are kept, in the order of `periods`.
    pub capacity: Vec<usize>,
    /// How many changes the change log remembers.
    pub log_capacity: usize,
}

impl HistoryConfig {
    fn validate(&self) -> Result<(), EngineError> {
        const ALLOWED: &str = "from 1 to 16777216";
        check("symbols_max", self.symbols_max, 1..=1_000_000, "from 1 to 1000000")?;
        check("log_capacity", self.log_capacity, 1..=1 << 24, ALLOWED)?;
        if self.capacity.len() != self.periods.len() {
            return Err(EngineError::InvalidConfig {
                field: "capacity",
                value: format!("a list of {}", self.capacity.len()),
                allowed: "as long as the list of periods",
            });
        }
        self.capacity.iter().try_for_each(|&each| check("capacity", each, 1..=1 << 24, ALLOWED))
    }
}

/// What became of the records of one [`HistoryWriter::apply`].
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ApplyOutcome {
    /// New, or better than what was there.
    pub applied: usize,
    /// Not better than what was there.
    pub unchanged: usize,
    /// Older than what is kept.
    pub too_old: usize,
    /// Open, off the period's grid, or of a symbol or period that is not kept.
    pub refused: usize,
}

/// Which end of the matching klines to keep when there are more than the limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Keep {
    /// The earliest.
    Oldest,
    /// The latest.
    Newest,
}

/// Which klines to read. Bounds are open times, both inclusive.
///
/// # Examples
///
/// ```
/// use klagg_engine::{HistoryQuery, Keep};
/// use klagg_kline::UnixMillis;
///
/// // The newest hundred up to a moment, as a chart that scrolls back asks for.
/// let to = Some(UnixMillis(1_791_460_860_000));
/// let back = HistoryQuery { from: None, to, limit: 100, keep: Keep::Newest };
/// // The first hundred from there on.
/// let on = HistoryQuery { from: to, to: None, keep: Keep::Oldest, ..back };
/// # assert_ne!(back, on);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HistoryQuery {
    /// Not earlier than this.
    pub from: Option<UnixMillis>,
    /// Not later than this.
    pub to: Option<UnixMillis>,
    /// At most this many.
    pub limit: usize,
    /// Which ones, if more match.
    pub keep: Keep,
}

/// A kline that changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ChangedKline {
    /// Whose kline.
    pub symbol: SymbolId,
    /// Which period.
    pub period_index: u8,
    /// Which kline.
    pub open_time: UnixMillis,
}

/// Where a reader of the change log stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct ChangeCursor {
    /// What to ask with next time.
    pub next: u64,
    /// Whether changes were overwritten before they could be read: read everything anew.
    pub lost: bool,
}

/// Words of an entry of the change log: its number, symbol and period, open time.
const LOG_WORDS: usize = 3;

#[derive(Debug)]
struct Shared {
    config: HistoryConfig,
    /// Symbol × periods + period; made when first written.
    series: Box<[OnceLock<Box<Series>>]>,
    log: Cells<LOG_WORDS>,
    /// How many changes were ever noted. Stored with release after the entry and the kline, so
    /// that who loads it with acquire finds both.
    log_head: AtomicU64,
}

impl Shared {
    fn slot(&self, symbol: SymbolId, period_index: usize) -> Option<&OnceLock<Box<Series>>> {
        let periods = self.config.periods.len();
        if symbol.index() >= self.config.symbols_max || period_index >= periods {
            return None;
        }
        self.series.get(symbol.index() * periods + period_index)
    }

    fn series(&self, symbol: SymbolId, period_index: usize) -> Option<&Series> {
        Some(self.slot(symbol, period_index)?.get()?)
    }
}

/// The only writer: not to be cloned.
///
/// ```compile_fail
/// fn two<T: Clone>() {}
/// two::<klagg_engine::HistoryWriter>();
/// ```
#[derive(Debug)]
pub struct HistoryWriter {
    shared: Arc<Shared>,
}

/// A reader; clone it freely.
#[derive(Debug, Clone)]
pub struct HistoryReader {
    shared: Arc<Shared>,
}

/// An empty history.
///
/// # Errors
/// [`EngineError::InvalidConfig`] if a number cannot work.
///
/// # Examples
///
/// ```
/// use klagg_engine::{HistoryConfig, HistoryQuery, Keep, history};
/// use klagg_kline::{Kline, KlineRecord, KlineStatus, PeriodSet, Price, SymbolId, UnixMillis};
///
/// let (mut writer, reader) = history(HistoryConfig {
///     periods: PeriodSet::default(),
///     symbols_max: 100,
///     capacity: vec![1_000, 1_000, 1_000, 1_000, 1_000, 4_000],
///     log_capacity: 10_000,
/// })?;
/// let kline = Kline::flat(UnixMillis(60_000), Price::parse("100")?);
/// let record = KlineRecord { kline, revision: 0, status: KlineStatus::Confirmed };
/// assert_eq!(writer.apply(SymbolId(7), 0, &[record]).applied, 1);
/// let query = HistoryQuery { from: None, to: None, limit: 500, keep: Keep::Newest };
/// assert_eq!(reader.read(SymbolId(7), 0, &query), [record]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn history(config: HistoryConfig) -> Result<(HistoryWriter, HistoryReader), EngineError> {
    config.validate()?;
    let count = config.symbols_max * config.periods.len();
    let shared = Arc::new(Shared {
        series: (0..count).map(|_| OnceLock::new()).collect(),
        log: Cells::new(config.log_capacity),
        log_head: AtomicU64::new(0),
        config,
    });
    Ok((HistoryWriter { shared: Arc::clone(&shared) }, HistoryReader { shared }))
}

impl HistoryWriter {
    /// Puts closed klines in, in any order; [`KlineRecord::superseding`] decides against what is
    /// there.
    pub fn apply(
        &mut self,
        symbol: SymbolId,
        period_index: usize,
        records: &[KlineRecord],
    ) -> ApplyOutcome {
        let mut outcome = ApplyOutcome::default();
        let Some(slot) = self.shared.slot(symbol, period_index) else {
            outcome.refused = records.len();
            return outcome;
        };
        let period = self.shared.config.periods.get(period_index);
        for record in records {
            let open_time = record.kline.open_time;
            if record.status.is_open() || period.open_time(open_time) != open_time {
                outcome.refused += 1;
                continue;
            }
            let capacity = self.shared.config.capacity[period_index];
            let series = slot.get_or_init(|| Box::new(Series::new(period, capacity)));
            match series.apply(record) {
                Applied::Changed => {
                    outcome.applied += 1;
                    self.note(symbol, period_index, open_time);
                }
                Applied::Unchanged => outcome.unchanged += 1,
                Applied::TooOld => outcome.too_old += 1,
            }
        }
        outcome
    }

    fn note(&self, symbol: SymbolId, period_index: usize, open_time: UnixMillis) {
        let Shared { log, log_head, config, .. } = &*self.shared;
        let number = log_head.load(Ordering::Relaxed);
        let place = u64::from(symbol.0) << 8 | period_index as u64;
        let at = usize::try_from(number % config.log_capacity as u64).unwrap_or(0);
        log.write(at, &[number, place, open_time.0.cast_unsigned()]);
        log_head.store(number + 1, atomics::at(Site::HeadStore, Ordering::Release));
    }

    /// A reader of the same history.
    pub fn reader(&self) -> HistoryReader {
        HistoryReader { shared: Arc::clone(&self.shared) }
    }
}

impl HistoryReader {
    /// The periods that are kept.
    pub fn periods(&self) -> &PeriodSet {
        &self.shared.config.periods
    }

    /// How many klines of a period are kept at most; 0 for a period that is not.
    pub fn capacity(&self, period_index: usize) -> usize {
        self.shared.config.capacity.get(period_index).copied().unwrap_or(0)
    }

    /// Matching klines in ascending order; none for a symbol or period that is not kept.
    pub fn read(
        &self,
        symbol: SymbolId,
        period_index: usize,
        query: &HistoryQuery,
    ) -> Vec<KlineRecord> {
        let mut records = Vec::new();
        self.read_into(symbol, period_index, query, &mut records);
        records
    }

    /// Appends matching klines in ascending order.
    pub fn read_into(
        &self,
        symbol: SymbolId,
        period_index: usize,
        query: &HistoryQuery,
        records: &mut Vec<KlineRecord>,
    ) {
        if let Some(series) = self.shared.series(symbol, period_index) {
            series.read(query, records);
        }
    }

    /// The kline that opens at `open_time`.
    pub fn get(
        &self,
        symbol: SymbolId,
        period_index: usize,
        open_time: UnixMillis,
    ) -> Option<KlineRecord> {
        self.shared.series(symbol, period_index)?.get(open_time)
    }

    /// The newest kline.
    pub fn last(&self, symbol: SymbolId, period_index: usize) -> Option<KlineRecord> {
        self.shared.series(symbol, period_index)?.last()
    }

    /// How many klines are kept.
    pub fn len(&self, symbol: SymbolId, period_index: usize) -> usize {
        self.shared.series(symbol, period_index).map_or(0, Series::len)
    }

    /// Whether no kline is kept.
    pub fn is_empty(&self, symbol: SymbolId, period_index: usize) -> bool {
        self.len(symbol, period_index) == 0
    }

    /// Bytes held by klines.
    pub fn memory_bytes(&self) -> usize {
        self.shared.series.iter().filter_map(OnceLock::get).map(|series| series.bytes()).sum()
    }

    /// Where the change log stands now: ask with it for later changes only.
    pub fn change_head(&self) -> u64 {
        self.shared.log_head.load(atomics::at(Site::HeadLoad, Ordering::Acquire))
    }

    /// Appends to `changes` what changed since `cursor`, at most `max`, oldest first. Begin with
    /// cursor 0 for everything, or with [`HistoryReader::change_head`] for what comes.
    pub fn changes_since(
        &self,
        cursor: u64,
        changes: &mut Vec<ChangedKline>,
        max: usize,
    ) -> ChangeCursor {
        let capacity = self.shared.config.log_capacity as u64;
        let mut head = self.change_head();
        // A cursor from the future belongs to another history.
        let mut lost = cursor > head;
        let mut next = if lost { head } else { cursor };
        let mut taken = 0;
        while next < head && taken < max {
            let oldest = head.saturating_sub(capacity);
            if next < oldest {
                (next, lost) = (oldest, !mutated!(CursorSkips));
            }
            let at = usize::try_from(next % capacity).unwrap_or(0);
            let entry = self.shared.log.read(at);
            if let Some(words) = entry.filter(|words| words[0] == next) {
                // The lower 32 bits above the period are the symbol.
                let symbol = SymbolId((words[1] >> 8 & 0xffff_ffff) as u32);
                let period_index = (words[1] & 0xff) as u8;
                let open_time = UnixMillis(words[2].cast_signed());
                changes.push(ChangedKline { symbol, period_index, open_time });
                taken += 1;
            } else {
                // Overwritten since `head` was loaded.
                lost = true;
                head = self.change_head();
            }
            next += 1;
        }
        ChangeCursor { next, lost }
    }
}
