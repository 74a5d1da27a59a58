//! The writer thread: takes rows from two sides, commits them, and does not give up.
//!
//! - **Pull**: on a wake-up or on its cadence the writer calls a closure that hands over what is
//!   new in memory. The wake-up carries no data, so a lost one loses nothing.
//! - **Submit**: pages that history brings, through a bounded queue that pushes back.
//!
//! Rows that were taken stay with the writer until they are committed. When a commit fails, the
//! connection is opened anew and the same rows are tried again, ever more slowly, while
//! [`WriterStatus::persist_stalled`] says so; nothing else is taken meanwhile. A row that can never
//! be stored (an unknown symbol, a time off the grid) is counted, logged and left out.

use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crate::{Store, StoreError, StoredKline};

mod lane;
mod status;

use lane::{Lane, Taken};
pub use lane::{Pull, SubmitError, SymbolChange, WriterHandle};
use status::Gauges;
pub use status::WriterStatus;

/// The writer's numbers.
#[derive(Debug, Clone)]
pub struct WriterConfig {
    /// Most rows in a commit; also the most that a pull may hand over.
    pub commit_rows_max: usize,
    /// Most rows that wait in the submit queue.
    pub queue_rows_max: usize,
    /// The longest time between two pulls, wake-ups or not.
    pub cadence: Duration,
    /// The shortest time between two writes of open klines.
    pub open_cadence: Duration,
    /// The pause after a first failed commit. It doubles with each further one.
    pub retry_min: Duration,
    /// The longest pause between attempts.
    pub retry_max: Duration,
    /// How long [`StoreWriter::flush_and_join`] keeps trying while the disk fails.
    pub drain_deadline: Duration,
}

/// A running writer thread. Dropping it without joining stops the thread after a last flush.
#[derive(Debug)]
pub struct StoreWriter {
    lane: Arc<Lane>,
    thread: Option<JoinHandle<Result<(), StoreError>>>,
}

impl StoreWriter {
    /// Starts the thread, which owns the store from now on. `pull` is called on it.
    ///
    /// # Errors
    /// [`StoreError::Unusable`] if the system gives no thread.
    ///
    /// # Panics
    /// If a capacity in `config` is zero.
    pub fn spawn(
        store: Store,
        config: WriterConfig,
        pull: impl FnMut(&mut Pull) + Send + 'static,
    ) -> Result<Self, StoreError> {
        assert!(config.commit_rows_max > 0, "a commit must hold a row");
        assert!(config.queue_rows_max > 0, "the queue must hold a row");
        let path = store.path().to_owned();
        let lane = Arc::new(Lane::new(config.queue_rows_max));
        let shared = Arc::clone(&lane);
        let thread = std::thread::Builder::new()
            .name("klagg-store".to_owned())
            .spawn(move || {
                // Closes the lane however the thread ends, so that no submitter waits for ever.
                let _closed = lane::CloseOnDrop(Arc::clone(&shared));
                Writing::new(store, config, shared, pull).run()
            })
            .map_err(|source| StoreError::Unusable { path, source })?;
        Ok(Self { lane, thread: Some(thread) })
    }

    /// A handle for those who submit, wake and watch.
    pub fn handle(&self) -> WriterHandle {
        WriterHandle::new(Arc::clone(&self.lane))
    }

    /// Stops taking submissions, writes everything that was submitted and everything that `pull`
    /// still hands over, closes the database, and returns when all of it is on disk.
    ///
    /// # Errors
    /// [`StoreError::NotDrained`] if the disk kept failing; [`StoreError::WriterStopped`] if the
    /// thread had panicked.
    pub fn flush_and_join(mut self) -> Result<WriterStatus, StoreError> {
        self.lane.stop();
        let thread = self.thread.take().ok_or(StoreError::WriterStopped)?;
        thread.join().map_err(|_| StoreError::WriterStopped)??;
        Ok(self.lane.gauges.status())
    }
}

impl Drop for StoreWriter {
    fn drop(&mut self) {
        self.lane.stop();
        if let Some(thread) = self.thread.take() {
            // The outcome was not asked for; a failure is in the log.
            let _ = thread.join();
        }
    }
}

/// The thread's state.
struct Writing<P> {
    store: Store,
    config: WriterConfig,
    lane: Arc<Lane>,
    pull: P,
    pulled: Pull,
    open_due: Instant,
    /// Whether the connection has failed and is to be opened anew before the next attempt.
    is_suspect: bool,
}

/// What goes into one commit.
struct Batch {
    closed: Vec<StoredKline>,
    open: Vec<StoredKline>,
    symbols: Option<SymbolChange>,
}

impl<P: FnMut(&mut Pull)> Writing<P> {
    fn new(store: Store, config: WriterConfig, lane: Arc<Lane>, pull: P) -> Self {
        let pulled = Pull::new(config.commit_rows_max);
        Self { store, config, lane, pull, pulled, open_due: now(), is_suspect: false }
    }

    fn run(mut self) -> Result<(), StoreError> {
        loop {
            let stopping = self.lane.wait(now() + self.config.cadence);
            while let Some(taken) = self.lane.take(self.config.commit_rows_max) {
                self.write_taken(taken)?;
            }
            // What fills a pull may have left something behind.
            while self.pull_once(stopping)? {}
            if stopping && self.lane.is_drained() {
                return Ok(());
            }
        }
    }

    fn write_taken(&mut self, taken: Taken) -> Result<(), StoreError> {
        let (closed, symbols) = match taken {
            Taken::Klines(klines) => (klines, None),
            Taken::Symbols(change) => (Vec::new(), Some(change)),
        };
        let rows = closed.len();
        let outcome = self.persist(Batch { closed, open: Vec::new(), symbols });
        self.lane.release(rows);
        outcome
    }

    /// Whether to pull once more.
    fn pull_once(&mut self, stopping: bool) -> Result<bool, StoreError> {
        let at = now();
        let wants_open = stopping || at >= self.open_due;
        self.pulled.reset(wants_open);
        (self.pull)(&mut self.pulled);
        let (closed, open) = self.pulled.take();
        let is_full = closed.len() >= self.config.commit_rows_max;
        if closed.is_empty() && open.is_empty() {
            return Ok(false);
        }
        if !open.is_empty() {
            self.open_due = at + self.config.open_cadence;
        }
        self.persist(Batch { closed, open, symbols: None })?;
        Ok(is_full)
    }

    /// Commits, however often it takes; while stopping, until the deadline.
    fn persist(&mut self, mut batch: Batch) -> Result<(), StoreError> {
        let mut pause = self.config.retry_min;
        loop {
            self.leave_out_misfits(&mut batch);
            let began = now();
            let error = match self.attempt(&batch) {
                Ok(()) => {
                    self.lane.gauges.committed(began.elapsed());
                    return Ok(());
                }
                Err(error) => error,
            };
            if batch.symbols.is_some() && !error.is_retryable() && !is_damage(&error) {
                // A numbering that contradicts the stored one does not heal by trying again.
                tracing::error!(%error, "symbols refused by the store");
                self.lane.gauges.refused(1);
                return Ok(());
            }
            let rows = batch.closed.len() + batch.open.len();
            tracing::error!(%error, rows, ?pause, "commit failed; rows are kept and tried again");
            self.lane.gauges.failed(&error);
            if let Some(stopped) = self.lane.stopping_since()
                && stopped.elapsed() >= self.config.drain_deadline
            {
                let rows = (rows + self.lane.queued_rows()) as u64;
                return Err(StoreError::NotDrained { rows, source: Box::new(error) });
            }
            self.lane.pause(now() + pause);
            pause = (pause * 2).min(self.config.retry_max);
            self.is_suspect = true;
        }
    }

    fn attempt(&mut self, batch: &Batch) -> Result<(), StoreError> {
        if self.is_suspect {
            self.store.reopen()?;
            self.is_suspect = false;
        }
        match &batch.symbols {
            Some(SymbolChange::Append(symbols)) => self.store.append_symbols(symbols)?,
            Some(SymbolChange::Retire(id)) => self.store.retire_symbol(*id)?,
            Some(SymbolChange::SetPrecision(id, precision)) => {
                self.store.set_precision(*id, *precision)?;
            }
            None => {}
        }
        if batch.closed.is_empty() && batch.open.is_empty() {
            return Ok(());
        }
        let outcome = self.store.commit(&batch.closed, &batch.open)?;
        self.lane.gauges.wrote(outcome);
        Ok(())
    }

    /// One bad row must not keep the good ones from the disk.
    fn leave_out_misfits(&mut self, batch: &mut Batch) {
        let mut refused = 0;
        let mut fits =
            |stored: &StoredKline, is_open: bool| match self.store.check_for(stored, is_open) {
                Ok(()) => true,
                Err(error) => {
                    if refused == 0 {
                        tracing::error!(%error, "row refused by the store");
                    }
                    refused += 1;
                    false
                }
            };
        batch.closed.retain(|stored| fits(stored, false));
        batch.open.retain(|stored| fits(stored, true));
        self.lane.gauges.refused(refused);
    }
}

fn is_damage(error: &StoreError) -> bool {
    matches!(error, StoreError::Corrupt { .. })
}

#[expect(clippy::disallowed_methods, reason = "the writer's timers are its own: a rim file")]
fn now() -> Instant {
    Instant::now()
}
