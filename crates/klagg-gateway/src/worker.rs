//! How a worker answers, as every snapshot tells it.

use klagg_kline::UnixMillis;

/// What is known of one worker.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct WorkerState {
    /// Pulls in a row that it did not answer in time; 0 after each answer.
    pub consecutive_timeouts: u32,
    /// Whether `consecutive_timeouts` has reached the threshold.
    pub alarmed: bool,
    /// Whether it can never answer again: its thread has ended.
    pub dead: bool,
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
    /// Closed klines given to the history.
    pub closed: u64,
    /// History pages taken.
    pub pages: u64,
    /// Ticks that had to copy the whole state because a reader still held the older one.
    pub clones: u64,
    /// Ticks that brought the older buffer up to date by a plain copy, much having changed.
    pub copies: u64,
    /// Wake-ups that the persistence queue had no room for.
    pub db_queue_full: u64,
    /// Closed klines that workers had to forget before they could be pulled. Lost.
    pub closed_dropped: u64,
}
