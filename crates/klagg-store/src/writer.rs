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
use std::time::{Duration, Instant, SystemTime};

use klagg_kline::UnixMillis;

use crate::{Store, StoreError, StoredKline};

mod lane;
mod status;
mod writer_core;

use lane::Lane;
pub use lane::{Pull, SubmitError, SymbolChange, WriterHandle};
pub use status::WriterStatus;
use status::{Gauges, is_damage};
pub use writer_core::{Batch, WriterCore, WriterStep};

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

/// The thread's state: the shell around [`WriterCore`].
struct Writing<P> {
    store: Store,
    core: WriterCore,
    lane: Arc<Lane>,
    pull: P,
    pulled: Pull,
    /// Rows of the queue that the batch was made of.
    queued: usize,
    began: Instant,
}

impl<P: FnMut(&mut Pull)> Writing<P> {
    fn new(store: Store, config: WriterConfig, lane: Arc<Lane>, pull: P) -> Self {
        let pulled = Pull::new(config.commit_rows_max);
        let core = WriterCore::new(config);
        Self { store, core, lane, pull, pulled, queued: 0, began: now() }
    }

    fn run(mut self) -> Result<(), StoreError> {
        let mut last_error = None;
        loop {
            if let Some(since) = self.lane.stopping_since() {
                self.core.stop(since.saturating_duration_since(self.began));
            }
            match self.core.next(self.began.elapsed()) {
                WriterStep::Wait(until) => {
                    self.trim();
                    self.lane.wait(self.began + until);
                    self.core.woken();
                }
                WriterStep::Take(rows_max) => {
                    let batch = self.lane.take(rows_max);
                    self.queued = batch.as_ref().map_or(0, Batch::rows);
                    self.core.taken(batch);
                }
                WriterStep::Pull { wants_open, .. } => {
                    self.pulled.reset(wants_open);
                    (self.pull)(&mut self.pulled);
                    let (closed, open) = self.pulled.take();
                    let batch = Batch { closed, open, symbols: None };
                    self.core.pulled(self.began.elapsed(), batch);
                }
                WriterStep::Commit { reopen } => last_error = self.commit(reopen).err(),
                WriterStep::Pause(until) => {
                    self.lane.pause(self.began + until);
                    self.core.rested();
                }
                WriterStep::Done => return Ok(()),
                WriterStep::GiveUp => {
                    let rows = (self.core.batch().rows() + self.lane.queued_rows()) as u64;
                    let source = Box::new(last_error.unwrap_or(StoreError::WriterStopped));
                    return Err(StoreError::NotDrained { rows, source });
                }
            }
        }
    }

    /// Deletes a little of what need not be kept, now that nothing waits to be written.
    fn trim(&mut self) {
        match self.store.trim(wall_clock()) {
            Ok(rows) => self.lane.gauges.trimmed(rows.unwrap_or(0)),
            Err(error) => {
                // The next commit opens the connection anew, and the next pause tries again.
                tracing::error!(%error, "old klines cannot be deleted");
                self.lane.gauges.failed(&error);
            }
        }
    }

    /// Tries once to commit the batch, and tells the core what became of it.
    fn commit(&mut self, reopen: bool) -> Result<(), StoreError> {
        self.leave_out_misfits();
        let attempted = now();
        let outcome = self.attempt(reopen);
        let took = attempted.elapsed();
        self.lane.gauges.checkpoints_failed(self.store.checkpoint_failures());
        if let Err(error) = &outcome
            && !self.is_refused(error)
        {
            let rows = self.core.batch().rows();
            let pause = self.core.failed(self.began.elapsed());
            tracing::error!(%error, rows, ?pause, "commit failed; rows are kept and tried again");
            if is_damage(error) && !self.lane.gauges.status().database_damaged {
                tracing::error!(
                    "the database is damaged and takes no more klines: restart klagg, which sets \
                     it aside and fills a new one"
                );
            }
            self.lane.gauges.failed(error);
            return outcome;
        }
        match outcome {
            Ok(()) => self.lane.gauges.committed(took),
            // A numbering that contradicts the stored one does not heal by trying again.
            Err(error) => {
                tracing::error!(%error, "symbols refused by the store");
                self.lane.gauges.refused(1);
            }
        }
        self.lane.release(std::mem::take(&mut self.queued));
        self.core.committed(self.began.elapsed());
        Ok(())
    }

    /// Whether the batch can never be stored.
    fn is_refused(&self, error: &StoreError) -> bool {
        self.core.batch().symbols.is_some() && !error.is_retryable() && !is_damage(error)
    }

    fn attempt(&mut self, reopen: bool) -> Result<(), StoreError> {
        if reopen {
            self.store.reopen()?;
        }
        let Batch { closed, open, symbols } = self.core.batch();
        if let Some(change) = symbols {
            self.store.change_symbols(change)?;
        }
        if closed.is_empty() && open.is_empty() {
            return Ok(());
        }
        let outcome = self.store.commit(closed, open)?;
        self.lane.gauges.wrote(outcome);
        Ok(())
    }

    /// One bad row must not keep the good ones from the disk.
    fn leave_out_misfits(&mut self) {
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
        let batch = self.core.batch_mut();
        batch.closed.retain(|stored| fits(stored, false));
        batch.open.retain(|stored| fits(stored, true));
        self.lane.gauges.refused(refused);
    }
}

#[expect(clippy::disallowed_methods, reason = "the writer's timers are its own: a rim file")]
fn now() -> Instant {
    Instant::now()
}

/// The system's idea of the time, which is doubted where it matters: see `retention`.
#[expect(clippy::disallowed_methods, reason = "the writer's timers are its own: a rim file")]
fn wall_clock() -> UnixMillis {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    UnixMillis(i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
}
