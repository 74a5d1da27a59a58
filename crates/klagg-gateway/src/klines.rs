//! The state of the whole market at one moment, as it is handed to readers.
//!
//! Always true here:
//! - A published [`GlobalKlines`] never changes; the next one has the next sequence number.
//! - From one snapshot to the next no slot goes back: neither in time, nor in trades, nor in
//!   what is proven.
//! - `changed` names exactly the slots whose `changed_in` is this snapshot's sequence number.

use klagg_kline::{KlineRecord, KlineStatus, PeriodSet, SymbolId, UnixMillis};

use crate::{GatewayCounters, WorkerState};

/// One slot: what is known of a symbol in a period.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct KlineState {
    /// The kline whose time is not over, if a trade or a fold of shorter ones made one; none once
    /// the symbol has ended.
    pub open: Option<KlineRecord>,
    /// The newest kline whose time is over. Corrected ones replace it with a higher revision.
    pub last_closed: Option<KlineRecord>,
    /// Sequence number of the snapshot in which it changed last; 0 if it never did.
    pub changed_in: u64,
    /// The worker that owns the symbol, as far as one has been heard of it.
    pub worker: Option<u16>,
}

/// What became of a record that was offered to a slot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Applied {
    /// The slot holds it now.
    Changed,
    /// The slot holds the same already.
    Same,
    /// The slot holds a later kline and has no place for it (the history may).
    Older,
    /// It would have taken the slot back.
    Refused,
}

impl KlineState {
    /// The open time of the newest kline held.
    pub fn open_time(&self) -> Option<UnixMillis> {
        let newest = self.open.as_ref().or(self.last_closed.as_ref());
        newest.map(|record| record.kline.open_time)
    }

    /// Offers the open kline of a delta that is newer than all before of its worker.
    ///
    /// The order of deltas is the caller's; what is checked here holds even if a worker was
    /// restarted and numbers its deltas anew.
    pub(crate) fn apply_open(&mut self, record: &KlineRecord) -> Applied {
        let kline = &record.kline;
        if self.last_closed.is_some_and(|closed| kline.open_time <= closed.kline.open_time) {
            return Applied::Refused;
        }
        if let Some(held) = &self.open {
            if kline.open_time < held.kline.open_time {
                return Applied::Refused;
            }
            // Nearly always ids have grown, and nothing else need be looked at. Where they have
            // not, a correction may still lower a count; only ids tell that trades are missing.
            let grown = kline.has_ids() && kline.last_id > held.kline.last_id;
            if !grown && kline.open_time == held.kline.open_time {
                if held == record {
                    return Applied::Same;
                }
                if kline.has_ids() && kline.last_id < held.kline.last_id {
                    return Applied::Refused;
                }
            }
        }
        self.open = Some(*record);
        Applied::Changed
    }

    /// Offers a kline whose time is over.
    pub(crate) fn apply_closed(&mut self, record: &KlineRecord) -> Applied {
        let open_time = record.kline.open_time;
        let mut taken = *record;
        if let Some(held) = &self.last_closed {
            if held == record {
                return Applied::Same;
            }
            if open_time < held.kline.open_time {
                return Applied::Older;
            }
            if open_time == held.kline.open_time {
                match record.superseding(held) {
                    Some(better) => taken = better,
                    None => return Applied::Refused,
                }
            }
        }
        self.last_closed = Some(taken);
        if self.open.is_some_and(|open| open.kline.open_time <= open_time) {
            self.open = None;
        }
        Applied::Changed
    }
}

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
    /// All slots; see [`GlobalKlines::slot`].
    pub slots: Vec<KlineState>,
    /// How each worker answers.
    pub workers: Vec<WorkerState>,
    /// What the gateway has counted since its start.
    pub counters: GatewayCounters,
    /// The slots changed in this snapshot, each once.
    pub(crate) changed: Vec<u32>,
}

impl GlobalKlines {
    /// The state before anything was heard: what a watch channel starts with.
    pub fn empty(periods: PeriodSet) -> Self {
        Self { periods, ..Self::default() }
    }

    /// Empty, with room for `slots_max` slots so that none of it need ever move.
    pub(crate) fn with_room(periods: PeriodSet, slots_max: usize, workers: usize) -> Self {
        Self {
            slots: Vec::with_capacity(slots_max),
            workers: vec![WorkerState::default(); workers],
            changed: Vec::with_capacity(slots_max),
            ..Self::empty(periods)
        }
    }

    /// The slot of a symbol and the period at `period_index` of [`GlobalKlines::periods`].
    /// `None` if nothing was heard of the symbol, or the set has no such period.
    #[inline]
    pub fn slot(&self, symbol: SymbolId, period_index: usize) -> Option<&KlineState> {
        self.slots.get(self.offset(symbol, period_index)?)
    }

    /// Where the slot of a symbol and period lies, whether it exists yet or not.
    #[inline]
    pub(crate) fn offset(&self, symbol: SymbolId, period_index: usize) -> Option<usize> {
        let periods = self.periods.len();
        (period_index < periods).then(|| symbol.index() * periods + period_index)
    }

    /// How many symbols have slots: one more than the highest number heard of.
    pub fn symbols(&self) -> usize {
        self.slots.len() / self.periods.len()
    }

    /// All slots of one symbol, shortest period first; empty if nothing was heard of it.
    pub fn symbol_slots(&self, symbol: SymbolId) -> &[KlineState] {
        let periods = self.periods.len();
        let start = symbol.index() * periods;
        self.slots.get(start..start + periods).unwrap_or_default()
    }

    /// For how many milliseconds the symbol's worker has not answered; `None` while it does
    /// (or before it is known which one it is).
    pub fn staleness(&self, symbol: SymbolId) -> Option<i64> {
        let worker = self.slot(symbol, 0)?.worker?;
        let since = self.workers.get(usize::from(worker))?.stale_since?;
        Some(self.published_at.since(since).max(0))
    }

    /// The slots that changed after the snapshot with the number `sequence`.
    ///
    /// Costs what changed if `sequence` is the snapshot before this one, else a look at each slot.
    pub fn changed_since(&self, sequence: u64) -> impl Iterator<Item = (SymbolId, u8)> + '_ {
        let one_step = self.sequence == sequence.wrapping_add(1);
        let listed = one_step.then(|| self.changed.iter().map(|&at| at as usize));
        let searched = (!one_step && self.sequence != sequence).then(|| {
            let newer = move |slot: &KlineState| slot.changed_in > sequence;
            (0..self.slots.len()).filter(move |&at| newer(&self.slots[at]))
        });
        let found = listed.into_iter().flatten().chain(searched.into_iter().flatten());
        found.map(|at| self.place(at))
    }

    /// Offers a record to the slot at `offset`, which is made if it is not there yet.
    pub(crate) fn write(
        &mut self,
        offset: usize,
        record: &KlineRecord,
        worker: Option<u16>,
    ) -> Applied {
        if offset >= self.slots.len() {
            // Whole symbols only, so that a symbol has all of its slots or none.
            let symbols = offset / self.periods.len() + 1;
            self.slots.resize(symbols * self.periods.len(), KlineState::default());
        }
        let slot = &mut self.slots[offset];
        let applied = match record.status {
            KlineStatus::Open => slot.apply_open(record),
            _ => slot.apply_closed(record),
        };
        // A new owner is a change too: what is not listed does not reach the other buffer.
        let owner = worker.or(slot.worker);
        let changed = applied == Applied::Changed || owner != slot.worker;
        slot.worker = owner;
        if changed {
            self.mark_changed(offset);
        }
        applied
    }

    /// Nothing more comes of a symbol: what was open of it is shown no more.
    pub(crate) fn end(&mut self, symbol: SymbolId) {
        for period_index in 0..self.periods.len() {
            let offset = self.offset(symbol, period_index).filter(|&at| at < self.slots.len());
            if let Some(offset) = offset
                && self.slots[offset].open.take().is_some()
            {
                self.mark_changed(offset);
            }
        }
    }

    fn mark_changed(&mut self, offset: usize) {
        let slot = &mut self.slots[offset];
        if slot.changed_in != self.sequence {
            slot.changed_in = self.sequence;
            self.changed.push(u32::try_from(offset).expect("slots count in 32 bits"));
        }
    }

    /// The symbol and period of the slot at `offset`.
    #[expect(clippy::cast_possible_truncation, reason = "at most 15 periods, 2^32 slots")]
    fn place(&self, offset: usize) -> (SymbolId, u8) {
        let periods = self.periods.len();
        (SymbolId((offset / periods) as u32), (offset % periods) as u8)
    }
}

#[cfg(test)]
mod tests;
