//! The state of the whole market at one moment, as it is handed to readers.
//!
//! Always true here:
//! - A published [`GlobalKlines`] never changes; the next one has the next sequence number.
//! - From one snapshot to the next no slot goes back: neither in time, nor in trades, nor in
//!   what is proven.
//! - A slot is told to have changed exactly if its `changed_in` is this snapshot's sequence
//!   number.
//!
//! Open and closed klines lie in columns of their own. Most ticks change open ones only, and then
//! neither a writer nor a reader goes past the others.

use klagg_kline::{PeriodSet, SymbolId, UnixMillis};

use crate::column::Column;
use crate::{GatewayCounters, KlineState, WorkerState};

/// The newest klines of all symbols and periods at one moment.
///
/// Slots lie symbol by symbol: `symbol × periods + period`. There are as many as symbols were
/// heard of so far.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct GlobalKlines {
    /// One up from snapshot to snapshot; 0 is the empty state before the first.
    pub sequence: u64,
    /// When it was published, on the clock of the gateway. Never falls.
    pub published_at: UnixMillis,
    /// Newest exchange time that any worker has seen. Never falls.
    pub exchange_time: Option<UnixMillis>,
    /// The periods of each symbol, in the order of the slots.
    pub periods: PeriodSet,
    /// How each worker answers.
    pub workers: Vec<WorkerState>,
    /// What the gateway has counted since its start.
    pub counters: GatewayCounters,
    pub(crate) open: Column,
    pub(crate) last_closed: Column,
    /// Of each slot, the snapshot that changed it last.
    pub(crate) changed_in: Vec<u64>,
    /// Of each symbol, the worker that owns it, as far as one has been heard of it.
    pub(crate) owners: Vec<Option<u16>>,
    /// The snapshot that changed `owners` last.
    pub(crate) owners_changed_in: u64,
}

impl GlobalKlines {
    /// The state before anything was heard: what a watch channel starts with.
    pub fn empty(periods: PeriodSet) -> Self {
        Self { periods, ..Self::default() }
    }

    /// Empty, with room for `slots_max` slots so that none of it need ever move.
    pub(crate) fn with_room(periods: PeriodSet, slots_max: usize, workers: usize) -> Self {
        Self {
            workers: vec![WorkerState::default(); workers],
            open: Column::with_room(slots_max),
            last_closed: Column::with_room(slots_max),
            changed_in: Vec::with_capacity(slots_max),
            owners: Vec::with_capacity(slots_max / periods.len()),
            ..Self::empty(periods)
        }
    }

    /// The slot of a symbol and the period at `period_index` of [`GlobalKlines::periods`].
    /// `None` if nothing was heard of the symbol, or the set has no such period.
    #[inline]
    pub fn slot(&self, symbol: SymbolId, period_index: usize) -> Option<KlineState<'_>> {
        self.state(self.offset(symbol, period_index)?)
    }

    fn state(&self, offset: usize) -> Option<KlineState<'_>> {
        let changed_in = *self.changed_in.get(offset)?;
        let (open, last_closed) = (self.open.get(offset), self.last_closed.get(offset));
        Some(KlineState { open, last_closed, changed_in })
    }

    /// Where the slot of a symbol and period lies, whether it exists yet or not.
    #[inline]
    pub(crate) fn offset(&self, symbol: SymbolId, period_index: usize) -> Option<usize> {
        let periods = self.periods.len();
        (period_index < periods).then(|| symbol.index() * periods + period_index)
    }

    /// How many symbols have slots: one more than the highest number heard of.
    pub fn symbols(&self) -> usize {
        self.owners.len()
    }

    /// All slots of one symbol, shortest period first; none if nothing was heard of it.
    pub fn symbol_slots(&self, symbol: SymbolId) -> impl Iterator<Item = KlineState<'_>> {
        (0..self.periods.len()).filter_map(move |period_index| self.slot(symbol, period_index))
    }

    /// The worker that owns the symbol; `None` before one has been heard of it.
    pub fn worker_of(&self, symbol: SymbolId) -> Option<u16> {
        *self.owners.get(symbol.index())?
    }

    /// For how many milliseconds the symbol's worker has not answered; `None` while it does
    /// (or before it is known which one it is).
    pub fn staleness(&self, symbol: SymbolId) -> Option<i64> {
        let worker = self.worker_of(symbol)?;
        let since = self.workers.get(usize::from(worker))?.stale_since?;
        Some(self.published_at.since(since).max(0))
    }

    /// The slots that changed after the snapshot with the number `sequence`, in their order.
    ///
    /// Costs what changed if `sequence` is the snapshot before this one, else a look at each slot.
    pub fn changed_since(&self, sequence: u64) -> impl Iterator<Item = (SymbolId, u8)> + '_ {
        let one_step = self.sequence == sequence.wrapping_add(1);
        let listed = one_step.then(|| self.changed());
        let searched = (!one_step && self.sequence != sequence).then(|| {
            let slots = self.changed_in.iter().enumerate();
            slots.filter_map(move |(at, &changed_in)| (changed_in > sequence).then_some(at))
        });
        let found = listed.into_iter().flatten().chain(searched.into_iter().flatten());
        found.map(|at| self.place(at))
    }

    /// The slots that this snapshot changed.
    pub(crate) fn changed(&self) -> impl Iterator<Item = usize> + '_ {
        self.open.changed.union(&self.last_closed.changed)
    }

    /// The symbol and period of the slot at `offset`.
    #[expect(clippy::cast_possible_truncation, reason = "at most 15 periods, 2^32 slots")]
    fn place(&self, offset: usize) -> (SymbolId, u8) {
        let periods = self.periods.len();
        (SymbolId((offset / periods) as u32), (offset % periods) as u8)
    }
}
