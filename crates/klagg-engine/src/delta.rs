//! What a worker answers to a snapshot request.

use klagg_kline::{KlineRecord, SymbolId, UnixMillis};

use crate::fill::Hole;

/// One kline with its place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KlineData {
    /// Whose kline.
    pub symbol: SymbolId,
    /// Which period: an index into the engine's [`PeriodSet`](klagg_kline::PeriodSet).
    pub period_index: u8,
    /// The kline and what is proven about it.
    pub record: KlineRecord,
}

impl KlineData {
    #[inline]
    pub(crate) fn new(symbol: SymbolId, period_index: usize, record: &KlineRecord) -> Self {
        debug_assert!(period_index < klagg_kline::Period::ALL.len());
        let period_index = u8::try_from(period_index).unwrap_or(u8::MAX);
        Self { symbol, period_index, record: *record }
    }
}

/// What one worker did so far. All numbers only grow.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct WorkerCounters {
    /// Trades folded, late ones included.
    pub trades: u64,
    /// Trades dropped because their id was folded already.
    pub duplicates: u64,
    /// Trades that came after their hole had been given up: dropped, their minute is provisional.
    pub stragglers: u64,
    /// Trades of a closed minute that were folded into it after all (its revision rose).
    pub late_amended: u64,
    /// Trades of a closed minute that is confirmed or no longer kept: dropped.
    pub late_dropped: u64,
    /// Holes in the ids that were given up.
    pub gaps: u64,
    /// Ids missing in those holes.
    pub gap_trades: u64,
    /// Trades held back because an id before them was missing.
    pub held: u64,
    /// Trades dropped because their symbol is unknown or retired.
    pub unknown_symbol: u64,
    /// Trades and watermarks dropped because their time is out of all proportion.
    pub time_refused: u64,
    /// Klines closed, of all periods.
    pub closed: u64,
    /// Closed klines whose values were replaced.
    pub corrected: u64,
    /// Supplied klines that were taken over.
    pub supplied: u64,
    /// Supplied klines that were refused: open, off the grid, not valid, of lower status, or for
    /// a kline that is still open here.
    pub supply_refused: u64,
    /// Supplied klines older than what is kept here.
    pub supply_ignored: u64,
    /// Holes that were filled after all.
    pub fills: u64,
    /// Fillings that were not exactly what a hole lacks, or came too late.
    pub fills_refused: u64,
    /// Holes that nobody was told of, because nobody took them in time; klines repair them.
    pub holes_dropped: u64,
    /// Interruptions of feeds.
    pub interruptions: u64,
    /// Times that the worker broke and started again.
    pub restarts: u64,
    /// Trades that were lost because the worker broke, or rested before it started again.
    pub trades_lost: u64,
}

/// Everything that changed since the last delta that was acknowledged.
///
/// Handing it out forgets nothing: until [`acknowledge`](crate::WorkerReadHandle::acknowledge)
/// proves that it arrived, the next delta holds the same changes and the later ones.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WorkerDelta {
    /// Which worker.
    pub worker: usize,
    /// Number of this delta: one up with every answer.
    pub sequence: u64,
    /// The latest exchange time that the worker has seen.
    pub exchange_time: Option<UnixMillis>,
    /// The open klines, of all periods, of each symbol that changed.
    pub open: Vec<KlineData>,
    /// The klines closed or corrected, in the order in which it happened.
    pub closed: Vec<KlineData>,
    /// Symbols that are folded no more: what a reader holds open of them, apart from what this
    /// delta says, ended with them. To be heard before the other lists.
    pub ended: Vec<SymbolId>,
    /// Holes that were given up.
    pub holes: Vec<Hole>,
    /// What the worker did so far.
    pub counters: WorkerCounters,
    /// Closed klines dropped so far because nobody took them in time.
    pub closed_dropped: u64,
    /// Whether all feeds and controls are gone and everything they brought is folded: no later
    /// delta will hold more.
    pub is_last: bool,
}

impl WorkerDelta {
    /// One to be filled by [`Shard::fill_delta`](crate::Shard::fill_delta).
    pub fn empty(worker: usize) -> Self {
        Self {
            worker,
            sequence: 0,
            exchange_time: None,
            open: Vec::new(),
            closed: Vec::new(),
            ended: Vec::new(),
            holes: Vec::new(),
            counters: WorkerCounters::default(),
            closed_dropped: 0,
            is_last: false,
        }
    }
}
