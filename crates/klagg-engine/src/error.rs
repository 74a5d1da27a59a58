//! What can go wrong with the engine as a whole. Single trades never fail: what cannot be folded
//! is dropped and counted (see [`crate::WorkerCounters`]).

use klagg_kline::SymbolId;

/// Why an engine call was refused.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EngineError {
    /// A number of a configuration is outside of what can work.
    #[error("`{field}` is {value}, but must be {allowed}")]
    InvalidConfig {
        /// Name of the field.
        field: &'static str,
        /// What it was.
        value: String,
        /// What it may be.
        allowed: &'static str,
    },
    /// A symbol's number is at or above the configured limit. Nothing else is affected.
    #[error("symbol {symbol} is beyond the limit of {max} symbols")]
    SymbolLimit {
        /// The symbol that was refused.
        symbol: SymbolId,
        /// `symbols_max` of the configuration.
        max: usize,
    },
    /// A period is not among those that the engine folds.
    #[error("period {0} is not among the configured periods")]
    PeriodNotConfigured(klagg_kline::Period),
    /// The worker's thread has ended.
    #[error("worker {worker} has ended")]
    WorkerGone {
        /// Number of the worker.
        worker: usize,
    },
    /// Earlier snapshot requests still wait for an answer. Ask again later: nothing is lost.
    #[error("worker {worker} has not answered earlier snapshot requests")]
    RequestsPending {
        /// Number of the worker.
        worker: usize,
    },
    /// The answer did not come in time. It may still come; what it holds is handed out again.
    #[error("worker {worker} did not answer in time")]
    TimedOut {
        /// Number of the worker.
        worker: usize,
    },
    /// The operating system refused a thread.
    #[error("cannot start the thread of worker {worker}")]
    Spawn {
        /// Number of the worker.
        worker: usize,
        /// What the operating system said.
        source: std::io::Error,
    },
    /// A worker broke one of its own rules and stopped.
    #[error("worker {worker} panicked: {message}")]
    Panicked {
        /// Number of the worker.
        worker: usize,
        /// What the panic said.
        message: String,
    },
}

impl EngineError {
    /// Whether the same call may succeed later.
    pub const fn is_retryable(&self) -> bool {
        matches!(self, Self::RequestsPending { .. } | Self::TimedOut { .. })
    }
}
