//! What the writer does next, without a thread, a clock or a disk.
//!
//! A shell asks [`WriterCore::next`] and does what it says: the thread of
//! [`StoreWriter`](crate::StoreWriter) with a real store, a simulation with a model of one. Times
//! are counted from any start that the shell likes.
//!
//! Always true here: rows that were taken stay in the core until they are committed, and nothing
//! else is taken meanwhile; a failed commit is repeated only after the connection was opened
//! anew, ever more slowly; a stop ends the writer when all is written, or when the disk has failed
//! for as long as a stop may take.

use std::time::Duration;

use super::{SymbolChange, WriterConfig};
use crate::StoredKline;

/// What goes into one commit.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Batch {
    /// Klines that are no longer open.
    pub closed: Vec<StoredKline>,
    /// Klines that are.
    pub open: Vec<StoredKline>,
    /// A change of the symbol table.
    pub symbols: Option<SymbolChange>,
}

impl Batch {
    /// How many rows.
    pub fn rows(&self) -> usize {
        self.closed.len() + self.open.len()
    }
}

/// What the shell is to do now, and which method of [`WriterCore`] it then calls.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WriterStep {
    /// Wait until a wake-up, a submission, a stop, or this time; then [`WriterCore::woken`].
    Wait(Duration),
    /// Take at most so many rows of what was submitted; then [`WriterCore::taken`].
    Take(usize),
    /// Pull what is new; then [`WriterCore::pulled`].
    Pull {
        /// At most so many closed rows.
        rows_max: usize,
        /// Whether open klines are wanted this time.
        wants_open: bool,
    },
    /// Commit [`WriterCore::batch`]; then [`WriterCore::committed`] or [`WriterCore::failed`].
    Commit {
        /// Open the connection anew first: what a failure left in its cache is not to be trusted.
        reopen: bool,
    },
    /// Wait until this time, or a stop; then [`WriterCore::rested`].
    Pause(Duration),
    /// All is written: end.
    Done,
    /// The disk kept failing for as long as a stop may take: end, and say what is left.
    GiveUp,
}

/// Where the writer stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    Idle {
        since: Duration,
    },
    Taking,
    Pulling,
    /// The batch is to be committed; afterwards this is next.
    Committing(After),
    Pausing(After, Duration),
    Ended {
        is_whole: bool,
    },
}

/// What follows a commit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum After {
    Taking,
    Pulling,
    Round,
}

/// The writer's decisions.
#[derive(Debug)]
pub struct WriterCore {
    config: WriterConfig,
    stage: Stage,
    batch: Batch,
    /// From when on open klines are wanted again.
    open_due: Duration,
    /// The pause after the next failure.
    pause: Duration,
    is_suspect: bool,
    stopping_since: Option<Duration>,
    /// Whether this round began after the stop, so that it finds everything there will ever be.
    is_last_round: bool,
}

impl WriterCore {
    /// A writer that begins with a look at what there is.
    pub fn new(config: WriterConfig) -> Self {
        let pause = config.retry_min;
        Self {
            config,
            stage: Stage::Taking,
            batch: Batch::default(),
            open_due: Duration::ZERO,
            pause,
            is_suspect: false,
            stopping_since: None,
            is_last_round: false,
        }
    }

    /// Nothing will be submitted from now on: write what is left, and end.
    pub fn stop(&mut self, now: Duration) {
        self.stopping_since.get_or_insert(now);
    }

    /// What to do now.
    pub fn next(&self, now: Duration) -> WriterStep {
        let rows_max = self.config.commit_rows_max;
        match self.stage {
            Stage::Idle { since } => WriterStep::Wait(since + self.config.cadence),
            Stage::Taking => WriterStep::Take(rows_max),
            Stage::Pulling => {
                let wants_open = self.is_last_round || now >= self.open_due;
                WriterStep::Pull { rows_max, wants_open }
            }
            Stage::Committing(_) => WriterStep::Commit { reopen: self.is_suspect },
            Stage::Pausing(_, until) => WriterStep::Pause(until),
            Stage::Ended { is_whole: true } => WriterStep::Done,
            Stage::Ended { is_whole: false } => WriterStep::GiveUp,
        }
    }

    /// The wait is over, for whatever reason.
    pub fn woken(&mut self) {
        debug_assert!(matches!(self.stage, Stage::Idle { .. }));
        self.is_last_round = self.stopping_since.is_some();
        self.stage = Stage::Taking;
    }

    /// What was submitted: rows or a change of the symbol table; `None` if nothing waits.
    pub fn taken(&mut self, batch: Option<Batch>) {
        debug_assert_eq!(self.stage, Stage::Taking);
        match batch {
            Some(batch) => self.hold(batch, After::Taking),
            None => self.stage = Stage::Pulling,
        }
    }

    /// What is new. A pull that was filled may have left something behind, and is repeated.
    pub fn pulled(&mut self, now: Duration, batch: Batch) {
        debug_assert_eq!(self.stage, Stage::Pulling);
        if batch.rows() == 0 {
            return self.end_round(now);
        }
        if !batch.open.is_empty() {
            self.open_due = now + self.config.open_cadence;
        }
        let is_full = batch.closed.len() >= self.config.commit_rows_max;
        self.hold(batch, if is_full { After::Pulling } else { After::Round });
    }

    /// What is to be committed, or is being.
    pub fn batch(&self) -> &Batch {
        &self.batch
    }

    /// The same, for leaving out what can never be stored.
    pub fn batch_mut(&mut self) -> &mut Batch {
        &mut self.batch
    }

    /// The batch is on the disk, or was refused for good.
    pub fn committed(&mut self, now: Duration) {
        let Stage::Committing(after) = self.stage else {
            debug_assert!(false, "nothing was being committed");
            return;
        };
        self.batch = Batch::default();
        self.pause = self.config.retry_min;
        self.is_suspect = false;
        match after {
            After::Taking => self.stage = Stage::Taking,
            After::Pulling => self.stage = Stage::Pulling,
            After::Round => self.end_round(now),
        }
    }

    /// The commit failed, or the connection could not be opened anew. Returns how long it rests.
    pub fn failed(&mut self, now: Duration) -> Duration {
        let pause = self.pause;
        let Stage::Committing(after) = self.stage else {
            debug_assert!(false, "nothing was being committed");
            return pause;
        };
        self.is_suspect = true;
        if mutated!(FailedCommitForgotten) {
            self.batch = Batch::default();
        }
        let deadline = self.stopping_since.map(|since| since + self.config.drain_deadline);
        if deadline.is_some_and(|deadline| now >= deadline) {
            self.stage = Stage::Ended { is_whole: false };
        } else {
            self.stage = Stage::Pausing(after, now + pause);
            self.pause = (pause * 2).min(self.config.retry_max);
        }
        pause
    }

    /// The pause is over.
    pub fn rested(&mut self) {
        if let Stage::Pausing(after, _) = self.stage {
            self.stage = Stage::Committing(after);
        }
    }

    fn hold(&mut self, batch: Batch, after: After) {
        debug_assert_eq!(self.batch, Batch::default(), "a batch waits already");
        self.batch = batch;
        self.stage = Stage::Committing(after);
    }

    fn end_round(&mut self, now: Duration) {
        self.stage = if self.is_last_round {
            Stage::Ended { is_whole: true }
        } else {
            Stage::Idle { since: now }
        };
    }
}

#[cfg(test)]
mod tests;
