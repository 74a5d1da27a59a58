//! How a worker answers, as every snapshot tells it.

use klagg_engine::{ApplyOutcome, WorkerCounters};
use klagg_kline::UnixMillis;

/// What is known of one worker.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct WorkerState {
    /// Pulls in a row that it did not answer in time; 0 after each answer.
    pub consecutive_timeouts: u32,
    /// Whether `consecutive_timeouts` has reached the threshold.
    pub alarmed: bool,
    /// Whether it has ended before its time: it will never answer again, and what it held is lost.
    pub dead: bool,
    /// Whether it has said that its feeds are closed and all they brought was handed out.
    pub finished: bool,
    /// The moment of its last answer, if it is late now: what its slots show is of then.
    pub stale_since: Option<UnixMillis>,
    /// When it last answered.
    pub answered_at: Option<UnixMillis>,
    /// Number of its last delta that was taken.
    pub sequence: u64,
    /// Newest exchange time it has seen.
    pub exchange_time: Option<UnixMillis>,
    /// All its timeouts since the start.
    pub timeouts: u64,
    /// Closed klines that it had to forget because nobody took its deltas for too long.
    pub closed_dropped: u64,
    /// What it did so far, as of its last answer.
    pub counters: WorkerCounters,
}

impl WorkerState {
    /// Whether no answer will come any more, for better (finished) or worse (dead).
    pub const fn has_ended(&self) -> bool {
        self.finished || self.dead
    }
}

/// What the gateway has counted since its start. None of it is lost data unless it says so.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct GatewayCounters {
    /// Answers of workers that were applied.
    pub deltas: u64,
    /// Answers that were older than one applied before; only their closed klines were looked at.
    pub deltas_late: u64,
    /// Pulls that a worker did not answer in time.
    pub timeouts: u64,
    /// Records that would have taken a slot back.
    pub refused: u64,
    /// Records of a symbol or period beyond what the gateway was made for. Lost.
    pub out_of_range: u64,
    /// Closed klines that the history took.
    pub closed_applied: u64,
    /// Closed klines that the history knew already.
    pub closed_unchanged: u64,
    /// Closed klines older than the history keeps.
    pub closed_too_old: u64,
    /// Records that the history had no place for: open, off the grid, or of a symbol or period
    /// that it does not keep. Lost to it.
    pub closed_refused: u64,
    /// History pages taken.
    pub pages: u64,
    /// Ticks that had to copy the whole state because a reader still held the older one.
    pub clones: u64,
    /// Klines copied into the older buffer because one tick changed them and the next did not.
    pub copied: u64,
    /// Wake-ups that the persistence queue had no room for.
    pub db_queue_full: u64,
    /// Holes that nobody was told of, because nobody listened; klines repair them.
    pub holes_untold: u64,
    /// Closed klines that workers had to forget before they could be pulled. Lost.
    pub closed_dropped: u64,
}

impl GatewayCounters {
    pub(crate) fn add(&mut self, outcome: &ApplyOutcome) {
        self.closed_applied += outcome.applied as u64;
        self.closed_unchanged += outcome.unchanged as u64;
        self.closed_too_old += outcome.too_old as u64;
        self.closed_refused += outcome.refused as u64;
    }
}
