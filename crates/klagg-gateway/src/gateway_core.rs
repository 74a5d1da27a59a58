//! The gateway without its clock, its tasks and its log: deltas in, snapshots and notices out.
//!
//! Always true here:
//! - Applying is in place, by offset `symbol × periods + period`; only an unshared buffer is
//!   written (see `buffers`).
//! - A worker's slots are its cached last delta: nobody else writes them, so when it is late they
//!   stand as its last answer left them, and are told to be stale. The delta itself is kept too
//!   ([`GatewayCore::last_delta`]); applying it once more changes nothing.
//! - A closed kline is in the history before the snapshot that shows it is published, and before
//!   the worker is told that it was taken.
//!
//! Deliberately absent: time, waiting, logging. Time is an argument, words are the caller's.

use std::sync::Arc;

use klagg_engine::{HistoryPage, HistoryWriter, Hole, KlineData, WorkerDelta};
use klagg_kline::UnixMillis;

use crate::buffers::Buffers;
use crate::draft::Draft;
use crate::slot::Applied;
use crate::{GatewayConfig, GatewayCounters, GatewayError, GlobalKlines, WorkerState};

/// Newest klines of history pages that wait for the next tick. Full: pages wait in their queue.
const PENDING_MAX: usize = 4_096;
/// Holes that wait to be told of. Full: further ones are left to the klines that repair them.
const HOLES_MAX: usize = 4_096;

/// Whether an answer came within the timeout of its pull.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Timing {
    /// It did: the worker is well again, if it was not.
    InTime,
    /// It did not. What it holds is taken all the same; the worker stays late until an answer
    /// comes in time.
    Late,
}

/// Something about a worker that a person should hear of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum WorkerNotice {
    /// It did not answer in time, for the `consecutive`-th time in a row.
    TimedOut {
        /// Which worker.
        worker: usize,
        /// Timeouts in a row.
        consecutive: u32,
    },
    /// It has just reached the threshold.
    Alarm {
        /// Which worker.
        worker: usize,
        /// Timeouts in a row.
        consecutive: u32,
    },
    /// Its thread has ended: it will not answer again.
    Died {
        /// Which worker.
        worker: usize,
    },
    /// It broke, started again, and answers again.
    Restarted {
        /// Which worker.
        worker: usize,
        /// How often so far.
        restarts: u64,
    },
    /// It answers in time again.
    Recovered {
        /// Which worker.
        worker: usize,
        /// How many timeouts in a row that ends.
        after: u32,
    },
}

/// What [`GatewayCore::take`] gives back.
#[derive(Debug)]
#[must_use = "the notice is for people, the spent delta for its worker"]
pub struct Taken {
    /// What a person should hear.
    pub notice: Option<WorkerNotice>,
    /// A delta that is no longer needed; its lists can be filled again.
    pub spent: Option<WorkerDelta>,
}

/// What is kept for a worker.
#[derive(Debug, Default)]
struct WorkerSlot {
    state: WorkerState,
    last_delta: Option<WorkerDelta>,
}

/// Applies deltas, degrades where a worker is late, decides alarms, publishes.
#[derive(Debug)]
pub struct GatewayCore {
    buffers: Buffers,
    history: HistoryWriter,
    workers: Vec<WorkerSlot>,
    counters: GatewayCounters,
    pending: Vec<KlineData>,
    holes: Vec<Hole>,
    alarm_threshold: u32,
    symbols_max: usize,
}

impl GatewayCore {
    /// A gateway for `workers` workers that has heard nothing yet.
    ///
    /// # Errors
    /// [`GatewayError`] if the configuration cannot hold, or there is no worker.
    pub fn new(
        config: &GatewayConfig,
        workers: usize,
        history: HistoryWriter,
    ) -> Result<Self, GatewayError> {
        config.validate()?;
        if workers == 0 {
            return Err(GatewayError::NoWorkers);
        }
        if u16::try_from(workers).is_err() {
            return Err(GatewayError::TooManyWorkers { workers });
        }
        Ok(Self {
            buffers: Buffers::new(&config.periods, config.slots_max(), workers),
            history,
            workers: std::iter::repeat_with(WorkerSlot::default).take(workers).collect(),
            counters: GatewayCounters::default(),
            pending: Vec::with_capacity(PENDING_MAX),
            holes: Vec::new(),
            alarm_threshold: config.alarm_threshold,
            symbols_max: config.symbols_max,
        })
    }

    /// Takes a worker's answer: closed klines into the history, all of it into the slots.
    ///
    /// A delta that is older than one taken before (it was overtaken, or came twice) shows no
    /// open kline any more; its closed ones are offered, and refused where they are known.
    ///
    /// # Panics
    /// If there is no such worker.
    pub fn take(
        &mut self,
        worker: usize,
        delta: WorkerDelta,
        timing: Timing,
        now: UnixMillis,
    ) -> Taken {
        if mutated!(LateAnswerDropped) && timing == Timing::Late {
            return Taken { notice: self.answered(worker, timing), spent: Some(delta) };
        }
        self.write_pages();
        let slot = &mut self.workers[worker];
        let newest = delta.sequence > slot.state.sequence;
        self.counters.deltas += 1;
        for data in &delta.closed {
            let record = std::slice::from_ref(&data.record);
            let period_index = usize::from(data.period_index);
            self.counters.add(&self.history.apply(data.symbol, period_index, record));
        }
        let mut writing = Writing {
            draft: self.buffers.draft(),
            counters: &mut self.counters,
            symbols_max: self.symbols_max,
            worker: u16::try_from(worker).ok(),
        };
        if newest {
            delta.ended.iter().for_each(|&symbol| writing.draft.end(symbol));
            let told = delta.holes.len().min(HOLES_MAX - self.holes.len());
            self.holes.extend(&delta.holes[..told]);
            writing.counters.holes_untold += (delta.holes.len() - told) as u64;
        }
        for data in &delta.closed {
            writing.write(data);
        }
        if newest {
            for data in &delta.open {
                writing.write(data);
            }
        } else {
            self.counters.deltas_late += 1;
        }
        let state = &mut slot.state;
        let restarts = delta.counters.restarts;
        let restarted = newest && restarts > state.counters.restarts;
        state.answered_at = state.answered_at.max(Some(now));
        if newest {
            state.sequence = delta.sequence;
            state.exchange_time = state.exchange_time.max(delta.exchange_time);
            state.closed_dropped = delta.closed_dropped;
            state.counters = delta.counters;
            state.finished |= delta.is_last;
        }
        let spent = if newest { slot.last_delta.replace(delta) } else { Some(delta) };
        self.counters.closed_dropped =
            self.workers.iter().map(|slot| slot.state.closed_dropped).sum();
        let answered = self.answered(worker, timing);
        let restarted = restarted.then_some(WorkerNotice::Restarted { worker, restarts });
        Taken { notice: restarted.or(answered), spent }
    }

    fn answered(&mut self, worker: usize, timing: Timing) -> Option<WorkerNotice> {
        let state = &mut self.workers[worker].state;
        match timing {
            Timing::Late => {
                state.stale_since = state.stale_since.and(state.answered_at);
                None
            }
            Timing::InTime => {
                let after = std::mem::take(&mut state.consecutive_timeouts);
                state.stale_since = None;
                state.alarmed = false;
                (after > 0).then_some(WorkerNotice::Recovered { worker, after })
            }
        }
    }

    /// A worker has not answered in time: its slots stay as they are, and are stale.
    ///
    /// # Panics
    /// If there is no such worker.
    pub fn missed(&mut self, worker: usize, now: UnixMillis) -> WorkerNotice {
        let state = &mut self.workers[worker].state;
        state.consecutive_timeouts = state.consecutive_timeouts.saturating_add(1);
        state.timeouts += 1;
        if !mutated!(StaleUntold) {
            state.stale_since = state.stale_since.or(state.answered_at).or(Some(now));
        }
        self.counters.timeouts += 1;
        let consecutive = state.consecutive_timeouts;
        if consecutive >= self.alarm_threshold && !state.alarmed {
            state.alarmed = true;
            return WorkerNotice::Alarm { worker, consecutive };
        }
        WorkerNotice::TimedOut { worker, consecutive }
    }

    /// A worker has ended. Unless it had finished, that is an alarm, told once.
    ///
    /// # Panics
    /// If there is no such worker.
    pub fn died(&mut self, worker: usize, now: UnixMillis) -> Option<WorkerNotice> {
        let state = &mut self.workers[worker].state;
        if state.finished || state.dead {
            return None;
        }
        (state.dead, state.alarmed) = (true, true);
        state.stale_since = state.stale_since.or(state.answered_at).or(Some(now));
        Some(WorkerNotice::Died { worker })
    }

    /// How a worker answers.
    ///
    /// # Panics
    /// If there is no such worker.
    pub fn worker(&self, worker: usize) -> &WorkerState {
        &self.workers[worker].state
    }

    /// Whether [`GatewayCore::page`] may be called before the next publication.
    pub fn has_room_for_page(&self) -> bool {
        self.pending.len() < PENDING_MAX
    }

    /// Takes a page of older klines into the history. Its newest one is shown by the next
    /// snapshot, unless the slot has a newer one.
    ///
    /// Only the history is written at once: right after a publication the older snapshot is the
    /// readers', and writing slots would copy it.
    ///
    /// # Panics
    /// If there is no room: see [`GatewayCore::has_room_for_page`].
    pub fn page(&mut self, page: &HistoryPage) {
        assert!(self.has_room_for_page(), "the caller asks for room first");
        let front = self.buffers.front();
        let Some(period_index) = front.periods.index_of(page.period) else {
            self.counters.out_of_range += page.records.len() as u64;
            return;
        };
        self.counters.pages += 1;
        self.counters.add(&self.history.apply(page.symbol, period_index, &page.records));
        let closed = page.records.iter().filter(|record| !record.status.is_open());
        if let Some(record) = closed.max_by_key(|record| record.kline.open_time) {
            let period_index = u8::try_from(period_index).expect("at most fifteen periods");
            self.pending.push(KlineData { symbol: page.symbol, period_index, record: *record });
        }
    }

    /// Takes the holes out of which workers told since the last call.
    pub fn take_holes(&mut self) -> Vec<Hole> {
        std::mem::take(&mut self.holes)
    }

    /// Nobody could be told of a hole.
    pub fn hole_untold(&mut self) {
        self.counters.holes_untold += 1;
    }

    /// A persistence wake-up found no room. Returns how many so far.
    pub fn db_queue_full(&mut self) -> u64 {
        self.counters.db_queue_full += 1;
        self.counters.db_queue_full
    }

    /// Writes the newest klines of pages. Before any answer that comes after them: a slot that took
    /// them in another order than the history could keep another of two klines of one rank.
    fn write_pages(&mut self) {
        let mut writing = Writing {
            draft: self.buffers.draft(),
            counters: &mut self.counters,
            symbols_max: self.symbols_max,
            worker: None,
        };
        for data in self.pending.drain(..) {
            writing.write(&data);
        }
    }

    /// Publishes all that was applied since the last time, as the next snapshot.
    pub fn publish(&mut self, now: UnixMillis) -> Arc<GlobalKlines> {
        self.write_pages();
        self.buffers.catch_up();
        self.counters.clones = self.buffers.clones;
        self.counters.copied = self.buffers.copied;
        let back = self.buffers.draft().klines;
        back.published_at = back.published_at.max(now);
        for (shown, slot) in back.workers.iter_mut().zip(&self.workers) {
            *shown = slot.state;
            back.exchange_time = back.exchange_time.max(slot.state.exchange_time);
        }
        back.counters = self.counters;
        self.buffers.publish()
    }

    /// What was published last.
    pub fn published(&self) -> &Arc<GlobalKlines> {
        self.buffers.front()
    }

    /// The newest delta taken from a worker; `None` if none was, or there is no such worker.
    pub fn last_delta(&self, worker: usize) -> Option<&WorkerDelta> {
        self.workers.get(worker)?.last_delta.as_ref()
    }

    /// What was counted so far.
    pub fn counters(&self) -> &GatewayCounters {
        &self.counters
    }
}

/// The snapshot being written, with what is needed to place and count a record.
struct Writing<'a> {
    draft: Draft<'a>,
    counters: &'a mut GatewayCounters,
    symbols_max: usize,
    worker: Option<u16>,
}

impl Writing<'_> {
    fn write(&mut self, data: &KlineData) {
        let place = (data.symbol, data.period_index);
        let inside = data.symbol.index() < self.symbols_max;
        let applied =
            if inside { self.draft.write(place, &data.record, self.worker) } else { None };
        match applied {
            Some(Applied::Changed | Applied::Same | Applied::Older) => {}
            Some(Applied::Refused) => self.counters.refused += 1,
            None => self.counters.out_of_range += 1,
        }
    }
}

#[cfg(test)]
mod tests;
