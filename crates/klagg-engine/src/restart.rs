//! When a worker that broke starts again, and when it does not.
//!
//! The decision is a plain function of what happened and when: no clock, no thread. The worker's
//! shell (`worker`) asks it, and tells the embedder what becomes of it.

use std::time::Duration;

use crate::EngineError;
use crate::config::check;

/// Numbers of a [`RestartPolicy`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RestartConfig {
    /// How often a worker may break in a row and start again; at one more it has ended. 0: a
    /// worker that breaks has ended.
    pub restarts_max: u32,
    /// Pause before the first restart in a row. It doubles with each further one.
    pub pause_min: Duration,
    /// The longest pause.
    pub pause_max: Duration,
    /// A worker that has run for so long since its last restart begins to count anew.
    pub forgiven_after: Duration,
}

impl RestartConfig {
    /// No restarts: a worker that breaks has ended.
    pub const NEVER: Self = Self {
        restarts_max: 0,
        pause_min: Duration::ZERO,
        pause_max: Duration::ZERO,
        forgiven_after: Duration::ZERO,
    };

    /// Checks the numbers.
    ///
    /// # Errors
    /// [`EngineError::InvalidConfig`] names the field, its value and what is allowed.
    pub fn validate(&self) -> Result<(), EngineError> {
        const RESTARTS_MAX: u32 = 1_000_000;
        const PAUSE_MAX: Duration = Duration::from_hours(1);
        check("restarts_max", self.restarts_max, 0..=RESTARTS_MAX, "from 0 to 1000000")?;
        if self.pause_min > self.pause_max || self.pause_max > PAUSE_MAX {
            return Err(EngineError::InvalidConfig {
                field: "pause_min",
                value: format!("{:?} with a pause_max of {:?}", self.pause_min, self.pause_max),
                allowed: "at most pause_max, which is at most an hour",
            });
        }
        Ok(())
    }
}

/// What becomes of a worker that broke.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum RestartDecision {
    /// It starts again after this pause; `restarts` in a row so far, this one included.
    Restart {
        /// How long it rests.
        pause: Duration,
        /// Restarts in a row.
        restarts: u32,
    },
    /// It has broken too often and ends; it had been restarted `restarts` times in a row.
    GiveUp {
        /// Restarts in a row.
        restarts: u32,
    },
}

/// Decides, for one worker, whether it starts again.
///
/// # Examples
///
/// ```
/// use std::time::Duration;
/// use klagg_engine::{RestartConfig, RestartDecision, RestartPolicy};
///
/// let mut policy = RestartPolicy::new(RestartConfig {
///     restarts_max: 2,
///     pause_min: Duration::from_millis(100),
///     pause_max: Duration::from_secs(5),
///     forgiven_after: Duration::from_secs(60),
/// });
/// let at = Duration::from_millis;
/// let restart = |pause, restarts| RestartDecision::Restart { pause: at(pause), restarts };
/// assert_eq!(policy.on_panic(at(10_000)), restart(100, 1));
/// assert_eq!(policy.on_panic(at(10_150)), restart(200, 2));
/// assert_eq!(policy.on_panic(at(70_350)), restart(100, 1), "it had run for a minute");
/// assert_eq!(policy.on_panic(at(70_500)), restart(200, 2));
/// assert_eq!(policy.on_panic(at(71_000)), RestartDecision::GiveUp { restarts: 2 });
/// ```
#[derive(Debug, Clone)]
pub struct RestartPolicy {
    config: RestartConfig,
    restarts: u32,
    /// When the last pause ends or ended.
    running_since: Duration,
}

impl RestartPolicy {
    /// A policy for a worker that has just been started for the first time.
    pub const fn new(config: RestartConfig) -> Self {
        Self { config, restarts: 0, running_since: Duration::ZERO }
    }

    /// The worker broke at `now`, which is a time since any fixed moment.
    pub fn on_panic(&mut self, now: Duration) -> RestartDecision {
        let config = &self.config;
        if now.saturating_sub(self.running_since) >= config.forgiven_after {
            self.restarts = 0;
        }
        if self.restarts >= config.restarts_max {
            return RestartDecision::GiveUp { restarts: self.restarts };
        }
        let factor = 1_u32.checked_shl(self.restarts).unwrap_or(u32::MAX);
        let pause = config.pause_min.saturating_mul(factor).min(config.pause_max);
        self.restarts += 1;
        self.running_since = now.saturating_add(pause);
        RestartDecision::Restart { pause, restarts: self.restarts }
    }
}

/// Something about a worker that an embedder should hear of.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum WorkerEvent {
    /// It broke one of its own rules, and starts again after a pause.
    Broke {
        /// Which worker.
        worker: usize,
        /// What the panic said.
        message: String,
        /// How long it rests.
        pause: Duration,
        /// Restarts in a row, the one to come included.
        restarts: u32,
    },
    /// It folds again.
    Restarted {
        /// Which worker.
        worker: usize,
        /// Restarts in a row.
        restarts: u32,
    },
    /// It broke once too often, and has ended. [`Engine::join`](crate::Engine::join) says so too.
    GaveUp {
        /// Which worker.
        worker: usize,
        /// What the panic said.
        message: String,
        /// Restarts in a row before this.
        restarts: u32,
    },
}

/// Who watches over the workers of an [`Engine`](crate::Engine).
///
/// # Examples
///
/// ```
/// use std::sync::mpsc;
/// use std::time::Duration;
///
/// use klagg_engine::{
///     Continuity, Engine, EngineConfig, RestartConfig, SequencerConfig, Supervision, WorkerEvent,
/// };
/// use klagg_kline::PeriodSet;
///
/// let config = EngineConfig {
///     periods: PeriodSet::default(),
///     workers: 1,
///     symbols_max: 100,
///     queue_batches: 8,
///     batch_trades: 64,
///     close_grace_ms: 500,
///     sequencer: SequencerConfig { continuity: Continuity::Checked, held_max: 1, hold_ms: 0 },
///     undelivered_max: 1_000,
///     first_core: None,
/// };
/// let (told, events) = mpsc::channel();
/// let supervision = Supervision {
///     restart: RestartConfig {
///         restarts_max: 3,
///         pause_min: Duration::from_millis(1),
///         pause_max: Duration::from_secs(1),
///         forgiven_after: Duration::from_secs(600),
///     },
///     on_event: Box::new(move |event| told.send(event).unwrap_or(())),
/// };
/// let mut engine = Engine::start_supervised(config, supervision)?;
/// let readers = engine.take_readers();
/// // An answer must not panic; this one does, on the worker's thread.
/// readers[0].request_snapshot_with(|_| panic!("a broken answer"))?;
/// let second = Duration::from_secs(20);
/// assert!(matches!(events.recv_timeout(second)?, WorkerEvent::Broke { worker: 0, .. }));
/// assert!(matches!(events.recv_timeout(second)?, WorkerEvent::Restarted { restarts: 1, .. }));
/// drop(readers);
/// assert_eq!(engine.join()?.workers[0].restarts, 1);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Supervision {
    /// When a worker that broke starts again.
    pub restart: RestartConfig,
    /// Is told what becomes of workers, on their own threads: it should neither block nor panic.
    pub on_event: Box<dyn Fn(WorkerEvent) + Send + Sync>,
}

impl Supervision {
    /// Nobody: a worker that breaks has ended, and nothing is told.
    pub fn none() -> Self {
        Self { restart: RestartConfig::NEVER, on_event: Box::new(drop) }
    }
}

impl std::fmt::Debug for Supervision {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("Supervision")
            .field("restart", &self.restart)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const AT: fn(u64) -> Duration = Duration::from_secs;

    #[test]
    fn pauses_double_up_to_the_longest_and_the_last_straw_ends_it() {
        let mut policy = RestartPolicy::new(RestartConfig {
            restarts_max: 40,
            pause_min: AT(1),
            pause_max: AT(10),
            forgiven_after: AT(100),
        });
        let mut now = AT(5);
        for restarts in 1..=40 {
            let seconds = 1_u64.checked_shl(restarts - 1).map_or(10, |pause| pause.min(10));
            let pause = AT(seconds);
            assert_eq!(policy.on_panic(now), RestartDecision::Restart { pause, restarts });
            // Its pause and nearly the time after which it would be forgiven.
            now += pause + AT(99);
        }
        assert_eq!(policy.on_panic(now), RestartDecision::GiveUp { restarts: 40 });
        let forgiven = policy.on_panic(now + AT(1));
        assert_eq!(forgiven, RestartDecision::Restart { pause: AT(1), restarts: 1 });
    }

    #[test]
    fn without_restarts_the_first_panic_ends_it() {
        let mut policy = RestartPolicy::new(RestartConfig::NEVER);
        assert_eq!(policy.on_panic(AT(1_000)), RestartDecision::GiveUp { restarts: 0 });
    }

    #[test]
    fn numbers_that_cannot_work_are_refused_with_a_sentence() {
        let config = RestartConfig { pause_min: AT(2), pause_max: AT(1), ..RestartConfig::NEVER };
        assert_eq!(
            config.validate().unwrap_err().to_string(),
            "`pause_min` is 2s with a pause_max of 1s, but must be at most pause_max, which is at \
             most an hour"
        );
        assert!(RestartConfig::NEVER.validate().is_ok());
    }
}
