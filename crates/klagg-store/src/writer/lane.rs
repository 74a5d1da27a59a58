//! Between the writer thread and everybody else: a bounded queue, a wake-up, a stop.
//!
//! One mutex and two condition variables. The critical sections move a vector or a flag; nobody
//! holds the mutex while it works on rows, so a submitter waits for room, never for the disk.

use std::collections::VecDeque;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use klagg_kline::{Precision, SymbolId};

use super::{Batch, Gauges, WriterStatus, now};
use crate::{StoreError, StoredKline, StoredSymbol};

/// Most entries in the queue, whatever their size: pages, and changes of the symbol table.
const QUEUE_ENTRIES_MAX: usize = 65_536;

/// What a pull hands over. Rows pushed here are the writer's: it keeps them until they are
/// committed, so whoever pushes may move its own watermark on at once.
#[derive(Debug)]
pub struct Pull {
    closed: Vec<StoredKline>,
    open: Vec<StoredKline>,
    rows_max: usize,
    wants_open: bool,
}

impl Pull {
    /// Room for so many closed klines, and none wanted yet.
    pub fn new(rows_max: usize) -> Self {
        Self { closed: Vec::new(), open: Vec::new(), rows_max, wants_open: false }
    }

    /// How many more closed klines are taken now. A pull that leaves no room is repeated after
    /// the commit.
    pub fn room(&self) -> usize {
        self.rows_max - self.closed.len()
    }

    /// Whether open klines are wanted this time. They are written on a slower cadence.
    pub fn wants_open(&self) -> bool {
        self.wants_open
    }

    /// Hands over a kline that is no longer open.
    ///
    /// # Errors
    /// Gives the row back if there is no room: keep it for the next pull.
    #[expect(clippy::result_large_err, reason = "a container hands the value back")]
    pub fn push_closed(&mut self, row: StoredKline) -> Result<(), StoredKline> {
        if self.room() == 0 {
            return Err(row);
        }
        self.closed.push(row);
        Ok(())
    }

    /// Hands over an open kline. Passed over if none are wanted this time, since a newer state
    /// of it will be asked for.
    pub fn push_open(&mut self, row: StoredKline) {
        if self.wants_open {
            self.open.push(row);
        }
    }

    /// Empty again, for the next pull.
    pub fn reset(&mut self, wants_open: bool) {
        self.closed.clear();
        self.open.clear();
        self.wants_open = wants_open;
    }

    /// Takes what was handed over: closed and open klines.
    pub fn take(&mut self) -> (Vec<StoredKline>, Vec<StoredKline>) {
        (std::mem::take(&mut self.closed), std::mem::take(&mut self.open))
    }
}

/// A change of the symbol table on its way to the disk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SymbolChange {
    /// Symbols that continue the numbering.
    Append(Vec<StoredSymbol>),
    /// A symbol that was delisted.
    Retire(SymbolId),
    /// A symbol whose numbers are printed otherwise from now on.
    SetPrecision(SymbolId, Precision),
    /// A stored symbol as it is from now on. Its name and its first open time stay.
    Update(StoredSymbol),
}

/// Why rows were not taken. They are handed back.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SubmitError {
    /// The queue has no room for them now.
    #[error("the store's queue has no room for {} rows now", .0.len())]
    Full(Vec<StoredKline>),
    /// The writer has stopped.
    #[error("the store's writer has stopped; {} rows handed back", .0.len())]
    Stopped(Vec<StoredKline>),
}

/// What waits in the queue.
#[derive(Debug)]
enum Queued {
    Klines(Vec<StoredKline>),
    Symbols(SymbolChange),
}

/// Submits to the writer, wakes it and watches it.
#[derive(Debug, Clone)]
pub struct WriterHandle {
    lane: Arc<Lane>,
}

impl WriterHandle {
    pub(super) fn new(lane: Arc<Lane>) -> Self {
        Self { lane }
    }

    /// Queues closed klines, waiting while the queue is full. Blocks: not for async tasks.
    ///
    /// # Errors
    /// [`SubmitError::Stopped`].
    pub fn submit(&self, rows: Vec<StoredKline>) -> Result<(), SubmitError> {
        let mut rows = rows;
        let mut state = self.lane.lock();
        loop {
            rows = match state.try_push(rows, self.lane.rows_max) {
                Ok(()) => break,
                Err(SubmitError::Full(rows)) => rows,
                Err(stopped) => return Err(stopped),
            };
            state = self.lane.room.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        self.lane.tell(&state);
        Ok(())
    }

    /// Queues closed klines if there is room now. Never blocks on the disk.
    ///
    /// A page larger than the whole queue is taken when the queue is empty.
    ///
    /// # Errors
    /// [`SubmitError::Full`] and [`SubmitError::Stopped`] hand the rows back.
    pub fn try_submit(&self, rows: Vec<StoredKline>) -> Result<(), SubmitError> {
        let mut state = self.lane.lock();
        state.try_push(rows, self.lane.rows_max)?;
        self.lane.tell(&state);
        Ok(())
    }

    /// Queues a change of the symbol table. It is written before klines submitted later; submit
    /// it before the first kline of a new symbol reaches the writer by any way.
    ///
    /// # Errors
    /// [`StoreError::WriterStopped`]; [`StoreError::WriterBusy`] if too many changes wait.
    pub fn change_symbols(&self, change: SymbolChange) -> Result<(), StoreError> {
        let mut state = self.lane.lock();
        if state.is_stopped() {
            return Err(StoreError::WriterStopped);
        }
        if state.queue.len() >= QUEUE_ENTRIES_MAX {
            return Err(StoreError::WriterBusy);
        }
        state.queue.push_back(Queued::Symbols(change));
        self.lane.tell(&state);
        Ok(())
    }

    /// Asks for a pull soon. Cheap; many wake-ups before the next pull are one.
    pub fn wake(&self) {
        let mut state = self.lane.lock();
        state.is_awake = true;
        self.lane.tell(&state);
    }

    /// What the writer says about itself.
    pub fn status(&self) -> WriterStatus {
        self.lane.gauges.status()
    }
}

/// The shared part.
#[derive(Debug)]
pub(super) struct Lane {
    state: Mutex<State>,
    /// Signalled when there is something to do.
    work: Condvar,
    /// Signalled when the queue has room again, and at the end.
    room: Condvar,
    rows_max: usize,
    pub(super) gauges: Gauges,
}

#[derive(Debug, Default)]
struct State {
    queue: VecDeque<Queued>,
    /// Rows in the queue and in the commit that is being made of it.
    rows: usize,
    is_awake: bool,
    stopping_since: Option<Instant>,
    is_closed: bool,
}

impl State {
    fn is_stopped(&self) -> bool {
        self.is_closed || self.stopping_since.is_some()
    }

    fn try_push(&mut self, rows: Vec<StoredKline>, rows_max: usize) -> Result<(), SubmitError> {
        if self.is_stopped() {
            return Err(SubmitError::Stopped(rows));
        }
        if rows.is_empty() {
            return Ok(());
        }
        let has_rows_left = self.rows == 0 || self.rows + rows.len() <= rows_max;
        if !has_rows_left || self.queue.len() >= QUEUE_ENTRIES_MAX {
            return Err(SubmitError::Full(rows));
        }
        self.rows += rows.len();
        self.queue.push_back(Queued::Klines(rows));
        Ok(())
    }
}

impl Lane {
    pub(super) fn new(rows_max: usize) -> Self {
        Self {
            state: Mutex::default(),
            work: Condvar::new(),
            room: Condvar::new(),
            rows_max,
            gauges: Gauges::default(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // The state is whole between any two statements that change it.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn tell(&self, state: &MutexGuard<'_, State>) {
        self.gauges.queued.store(state.rows as u64, Ordering::Relaxed);
        self.work.notify_one();
    }

    /// Waits for work, a stop, or the deadline.
    pub(super) fn wait(&self, deadline: Instant) {
        let mut state = self.lock();
        while state.queue.is_empty() && !state.is_awake && state.stopping_since.is_none() {
            let Some(left) = deadline.checked_duration_since(now()) else { break };
            let (next, _) =
                self.work.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner);
            state = next;
        }
        state.is_awake = false;
    }

    /// Waits out a pause after a failure; a stop ends it early once.
    pub(super) fn pause(&self, deadline: Instant) {
        let mut state = self.lock();
        let was_stopping = state.stopping_since.is_some();
        while was_stopping == state.stopping_since.is_some() {
            let Some(left) = deadline.checked_duration_since(now()) else { break };
            let (next, _) =
                self.work.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner);
            state = next;
        }
    }

    /// Takes pages from the front of the queue, joined until a commit is full.
    pub(super) fn take(&self, commit_rows_max: usize) -> Option<Batch> {
        let mut state = self.lock();
        let mut closed = match state.queue.pop_front()? {
            Queued::Klines(rows) => rows,
            Queued::Symbols(change) => {
                return Some(Batch { symbols: Some(change), ..Batch::default() });
            }
        };
        while let Some(Queued::Klines(next)) = state.queue.front()
            && closed.len() + next.len() <= commit_rows_max
        {
            if let Some(Queued::Klines(next)) = state.queue.pop_front() {
                closed.extend(next);
            }
        }
        Some(Batch { closed, ..Batch::default() })
    }

    /// Gives the room of committed rows back.
    pub(super) fn release(&self, rows: usize) {
        let mut state = self.lock();
        state.rows -= rows;
        self.gauges.queued.store(state.rows as u64, Ordering::Relaxed);
        self.room.notify_all();
    }

    pub(super) fn queued_rows(&self) -> usize {
        self.lock()
            .queue
            .iter()
            .map(|queued| match queued {
                Queued::Klines(rows) => rows.len(),
                Queued::Symbols(_) => 0,
            })
            .sum()
    }

    pub(super) fn stopping_since(&self) -> Option<Instant> {
        self.lock().stopping_since
    }

    pub(super) fn stop(&self) {
        let mut state = self.lock();
        state.stopping_since.get_or_insert_with(now);
        self.work.notify_all();
        self.room.notify_all();
    }
}

/// Closes the lane when the thread ends, be it by a panic.
pub(super) struct CloseOnDrop(pub(super) Arc<Lane>);

impl Drop for CloseOnDrop {
    fn drop(&mut self) {
        let mut state = self.0.lock();
        state.is_closed = true;
        self.0.room.notify_all();
    }
}
