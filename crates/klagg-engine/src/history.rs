//! The newest closed klines in memory: one writer, any number of readers, no locks.

use std::sync::Arc;

use klagg_kline::{KlineRecord, PeriodSet, SymbolId, UnixMillis};

use crate::EngineError;

/// Numbers of a history.
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

/// What became of the records of one [`HistoryWriter::apply`].
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
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
pub struct ChangeCursor {
    /// What to ask with next time.
    pub next: u64,
    /// Whether changes were overwritten before they could be read: read everything anew.
    pub lost: bool,
}

/// Klines of one symbol and period, as they are handed to the history's only writer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HistoryPage {
    /// Whose klines.
    pub symbol: SymbolId,
    /// Their period.
    pub period: klagg_kline::Period,
    /// In ascending order.
    pub records: Vec<KlineRecord>,
}

/// The only writer.
#[derive(Debug)]
pub struct HistoryWriter {
    shared: Arc<HistoryConfig>,
}

/// A reader; clone it freely.
#[derive(Debug, Clone)]
pub struct HistoryReader {
    shared: Arc<HistoryConfig>,
}

/// An empty history.
///
/// # Errors
/// [`EngineError::InvalidConfig`] if a number cannot work.
pub fn history(config: HistoryConfig) -> Result<(HistoryWriter, HistoryReader), EngineError> {
    let shared = Arc::new(config);
    Ok((HistoryWriter { shared: Arc::clone(&shared) }, HistoryReader { shared }))
}

impl HistoryWriter {
    /// Puts closed klines in; [`KlineRecord::supersedes`] decides against what is there.
    pub fn apply(
        &mut self,
        symbol: SymbolId,
        period_index: usize,
        records: &[KlineRecord],
    ) -> ApplyOutcome {
        let _ = (symbol, period_index, records, &self.shared);
        ApplyOutcome::default()
    }
}

impl HistoryReader {
    /// The periods that are kept.
    pub fn periods(&self) -> &PeriodSet {
        &self.shared.periods
    }

    /// Matching klines in ascending order.
    pub fn read(
        &self,
        symbol: SymbolId,
        period_index: usize,
        query: &HistoryQuery,
    ) -> Vec<KlineRecord> {
        let _ = (symbol, period_index, query);
        Vec::new()
    }

    /// The kline that opens at `open_time`.
    pub fn get(
        &self,
        symbol: SymbolId,
        period_index: usize,
        open_time: UnixMillis,
    ) -> Option<KlineRecord> {
        let _ = (symbol, period_index, open_time);
        None
    }

    /// The newest kline.
    pub fn last(&self, symbol: SymbolId, period_index: usize) -> Option<KlineRecord> {
        let _ = (symbol, period_index);
        None
    }

    /// How many klines are kept.
    pub fn len(&self, symbol: SymbolId, period_index: usize) -> usize {
        let _ = (symbol, period_index);
        0
    }

    /// Whether no kline is kept.
    pub fn is_empty(&self, symbol: SymbolId, period_index: usize) -> bool {
        self.len(symbol, period_index) == 0
    }

    /// Bytes held by klines.
    pub fn memory_bytes(&self) -> usize {
        0
    }

    /// Where the change log stands now: ask with it for later changes only.
    pub fn change_head(&self) -> u64 {
        0
    }

    /// Appends to `changes` what changed since `cursor`, at most `max`. Begin with cursor 0.
    pub fn changes_since(
        &self,
        cursor: u64,
        changes: &mut Vec<ChangedKline>,
        max: usize,
    ) -> ChangeCursor {
        let _ = (changes, max);
        ChangeCursor { next: cursor, lost: false }
    }
}
