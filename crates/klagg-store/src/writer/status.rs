//! What the writer says about itself.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use crate::{StoreError, WriteOutcome};

/// What the writer says about itself. Counters count from its start.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct WriterStatus {
    /// Whether the last commit failed: rows wait, and reality is ahead of the disk.
    pub persist_stalled: bool,
    /// Whether it failed because the database is damaged. Trying again seldom helps: the next start
    /// sets it aside and fills a new one.
    pub database_damaged: bool,
    /// Commits that failed since one succeeded.
    pub consecutive_failures: u64,
    /// Commits that failed, ever.
    pub failures: u64,
    /// The last failure, as a sentence. Stays after recovery.
    pub last_error: Option<String>,
    /// Commits that succeeded.
    pub commits: u64,
    /// Rows that are new or replaced lower ones.
    pub rows_written: u64,
    /// Rows that changed nothing.
    pub rows_unchanged: u64,
    /// Rows and symbol changes that can never be stored, and were left out.
    pub rows_refused: u64,
    /// Rows that wait in the submit queue, or of which one commit is being made.
    pub rows_queued: u64,
    /// Old rows that were deleted, for they need not be kept.
    pub rows_trimmed: u64,
    /// How often committed pages could not be moved from the log into the database: see
    /// [`Store::checkpoint_failures`](crate::Store::checkpoint_failures).
    pub checkpoint_failures: u64,
    /// How long the last commit took.
    pub last_commit: Duration,
    /// How long the slowest commit took.
    pub slowest_commit: Duration,
}

/// The status as atomics: one writer, any number of readers. Each number is right by itself;
/// nobody orders other memory by them, hence relaxed.
#[derive(Debug, Default)]
pub(super) struct Gauges {
    stalled: AtomicBool,
    damaged: AtomicBool,
    consecutive_failures: AtomicU64,
    failures: AtomicU64,
    commits: AtomicU64,
    written: AtomicU64,
    unchanged: AtomicU64,
    refused: AtomicU64,
    pub(super) queued: AtomicU64,
    checkpoint_failures: AtomicU64,
    trimmed: AtomicU64,
    last_commit_ns: AtomicU64,
    slowest_commit_ns: AtomicU64,
    last_error: Mutex<Option<String>>,
}

impl Gauges {
    pub(super) fn status(&self) -> WriterStatus {
        let read = |gauge: &AtomicU64| gauge.load(Ordering::Relaxed);
        WriterStatus {
            persist_stalled: self.stalled.load(Ordering::Relaxed),
            database_damaged: self.damaged.load(Ordering::Relaxed),
            consecutive_failures: read(&self.consecutive_failures),
            failures: read(&self.failures),
            last_error: self.last_error.lock().unwrap_or_else(PoisonError::into_inner).clone(),
            commits: read(&self.commits),
            rows_written: read(&self.written),
            rows_unchanged: read(&self.unchanged),
            rows_refused: read(&self.refused),
            rows_queued: read(&self.queued),
            rows_trimmed: read(&self.trimmed),
            checkpoint_failures: read(&self.checkpoint_failures),
            last_commit: Duration::from_nanos(read(&self.last_commit_ns)),
            slowest_commit: Duration::from_nanos(read(&self.slowest_commit_ns)),
        }
    }

    pub(super) fn committed(&self, took: Duration) {
        let nanos = u64::try_from(took.as_nanos()).unwrap_or(u64::MAX);
        self.last_commit_ns.store(nanos, Ordering::Relaxed);
        self.slowest_commit_ns.fetch_max(nanos, Ordering::Relaxed);
        self.consecutive_failures.store(0, Ordering::Relaxed);
        self.stalled.store(false, Ordering::Relaxed);
        self.damaged.store(false, Ordering::Relaxed);
        self.commits.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn wrote(&self, outcome: WriteOutcome) {
        self.written.fetch_add(outcome.written, Ordering::Relaxed);
        self.unchanged.fetch_add(outcome.unchanged, Ordering::Relaxed);
    }

    pub(super) fn trimmed(&self, rows: u64) {
        self.trimmed.fetch_add(rows, Ordering::Relaxed);
    }

    pub(super) fn checkpoints_failed(&self, count: u64) {
        self.checkpoint_failures.store(count, Ordering::Relaxed);
    }

    pub(super) fn refused(&self, rows: u64) {
        self.refused.fetch_add(rows, Ordering::Relaxed);
    }

    pub(super) fn failed(&self, error: &StoreError) {
        *self.last_error.lock().unwrap_or_else(PoisonError::into_inner) = Some(error.to_string());
        self.failures.fetch_add(1, Ordering::Relaxed);
        self.consecutive_failures.fetch_add(1, Ordering::Relaxed);
        self.damaged.store(is_damage(error), Ordering::Relaxed);
        self.stalled.store(true, Ordering::Relaxed);
    }
}

pub(super) fn is_damage(error: &StoreError) -> bool {
    matches!(error, StoreError::Corrupt { .. })
}
