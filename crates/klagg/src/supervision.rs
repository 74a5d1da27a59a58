//! Who still gives signs of life: the thread that looks, and the ends that the parts hold.
//!
//! The decisions are `klagg_gateway::Watchdog`'s. The thread is none of the runtime's, so that it
//! speaks also when the runtime does not.
//!
//! A part beats through a [`Heartbeat`], or is asked how often it has; it is forgotten when its
//! last end is dropped, or when it says that it has ended.

use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use klagg_gateway::{GlobalKlines, Heartbeat, PartId, Watchdog, WatchdogNotice};
use tokio::sync::watch;
use tokio::time::{MissedTickBehavior, interval};

/// How often all parts are looked at.
const LOOK_CADENCE: Duration = Duration::from_millis(500);
/// Looks further apart than this mean that the process stood still.
const PATIENCE: Duration = Duration::from_secs(3);
/// How often a task beats that is kept alive by [`Pulses::keep`].
const TASK_BEAT: Duration = Duration::from_secs(1);

/// Where a part's beats are read; `None`: it has ended.
type Probe = Box<dyn Fn() -> Option<u64> + Send>;

enum Source {
    Heart(Heartbeat),
    Probe(Probe),
}

impl Source {
    fn beats(&self) -> Option<u64> {
        match self {
            Self::Heart(heart) => (!heart.is_orphan()).then(|| heart.beats()),
            Self::Probe(probe) => probe(),
        }
    }
}

struct Watched {
    name: String,
    part: PartId,
    source: Source,
}

struct Registry {
    watchdog: Watchdog,
    watched: Vec<Watched>,
}

/// All parts that are watched. Clones share them.
#[derive(Clone)]
pub(crate) struct Pulses {
    start: Instant,
    registry: Arc<Mutex<Registry>>,
}

impl Pulses {
    pub(crate) fn new() -> Self {
        let watchdog = Watchdog::new(PATIENCE, Duration::ZERO);
        let registry = Registry { watchdog, watched: Vec::new() };
        Self { start: now(), registry: Arc::new(Mutex::new(registry)) }
    }

    /// The heart of a part that must beat once in `bound`, from now on until all of its clones
    /// but ours are dropped. Asked for again under the same name, it is the same heart.
    pub(crate) fn heart(&self, name: &str, bound: Duration) -> Heartbeat {
        let mut registry = self.registry();
        let known = registry.watched.iter().find_map(|watched| match &watched.source {
            Source::Heart(heart) if watched.name == name => Some(heart.clone()),
            _ => None,
        });
        known.unwrap_or_else(|| {
            let heart = Heartbeat::default();
            registry.add(name, bound, None, Source::Heart(heart.clone()), self.start.elapsed());
            heart
        })
    }

    /// A sign of life of the part of that name, if it is watched.
    pub(crate) fn beat(&self, name: &str) {
        for watched in &self.registry().watched {
            if let Source::Heart(heart) = &watched.source
                && watched.name == name
            {
                heart.beat();
            }
        }
    }

    /// Watches a part by how often it has beaten. `behind` is the name of the one that asks it.
    pub(crate) fn probe(
        &self,
        name: &str,
        bound: Duration,
        behind: Option<&str>,
        probe: impl Fn() -> Option<u64> + Send + 'static,
    ) {
        let (source, now) = (Source::Probe(Box::new(probe)), self.start.elapsed());
        self.registry().add(name, bound, behind, source, now);
    }

    /// Runs a task that beats as long as it is not held up inside of a step.
    pub(crate) async fn keep<T>(
        &self,
        name: &str,
        bound: Duration,
        task: impl Future<Output = T>,
    ) -> T {
        let heart = self.heart(name, bound);
        let mut beats = interval(TASK_BEAT);
        beats.set_missed_tick_behavior(MissedTickBehavior::Skip);
        tokio::pin!(task);
        loop {
            tokio::select! {
                biased;
                _ = beats.tick() => heart.beat(),
                ended = &mut task => return ended,
            }
        }
    }

    /// The workers, each of which answers the gateway's every pull.
    pub(crate) fn watch_workers(
        &self,
        workers: usize,
        bound: Duration,
        klines: &watch::Receiver<Arc<GlobalKlines>>,
    ) {
        for worker in 0..workers {
            let klines = klines.clone();
            self.probe(&format!("worker {worker}"), bound, Some(GATEWAY), move || {
                let klines = klines.borrow();
                let state = klines.workers.get(worker);
                state.map_or(Some(0), |state| (!state.has_ended()).then_some(state.sequence))
            });
        }
    }

    /// Names of the parts that are silent beyond their bounds, and for how long.
    pub(crate) fn silent(&self) -> Vec<(String, Duration)> {
        let registry = self.registry();
        registry.watchdog.silent().map(|(name, silence)| (name.to_string(), silence)).collect()
    }

    /// All parts that are watched, and whether each is silent.
    pub(crate) fn parts(&self) -> Vec<(String, bool)> {
        let registry = self.registry();
        registry.watchdog.parts().map(|(name, silent)| (name.to_string(), silent)).collect()
    }

    /// Looks at all parts, and says what a person should hear.
    pub(crate) fn look(&self) {
        let mut registry = self.registry();
        let now = self.start.elapsed();
        let Registry { watchdog, watched } = &mut *registry;
        watched.retain(|Watched { part, source, .. }| {
            let beats = source.beats();
            match beats {
                Some(beats) => watchdog.beats(*part, beats, now),
                None => watchdog.forget(*part),
            }
            beats.is_some()
        });
        let notices = watchdog.check(now);
        drop(registry);
        for notice in notices {
            match notice {
                WatchdogNotice::Silent { name, silence } => {
                    tracing::error!(part = &*name, ?silence, "{name} gives no sign of life");
                }
                WatchdogNotice::Recovered { name, .. } => {
                    tracing::info!(part = &*name, "{name} gives signs of life again");
                }
                _ => {}
            }
        }
    }

    fn registry(&self) -> MutexGuard<'_, Registry> {
        self.registry.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What the gateway is called, before which the workers stand.
pub(crate) const GATEWAY: &str = "gateway";
/// What the read scheduler is called, which is silent while a consumer keeps it.
pub(crate) const READ_SCHEDULER: &str = "the read scheduler";

impl Registry {
    fn add(
        &mut self,
        name: &str,
        bound: Duration,
        behind: Option<&str>,
        source: Source,
        now: Duration,
    ) {
        let of = |wanted: &str| self.watched.iter().find(|watched| watched.name == wanted);
        let behind = behind.and_then(of).map(|watched| watched.part);
        let part = self.watchdog.watch(name, bound, behind, now);
        self.watched.push(Watched { name: name.to_owned(), part, source });
    }
}

/// The running watchdog.
pub(crate) struct Guard {
    stop: Sender<()>,
    thread: JoinHandle<()>,
}

impl Guard {
    /// Starts the thread that looks.
    ///
    /// # Errors
    /// If the operating system refuses it.
    pub(crate) fn start(pulses: Pulses) -> std::io::Result<Self> {
        let (stop, stopped) = channel();
        let name = "klagg-watchdog".to_owned();
        let thread = std::thread::Builder::new().name(name).spawn(move || {
            while stopped.recv_timeout(LOOK_CADENCE) == Err(RecvTimeoutError::Timeout) {
                pulses.look();
            }
        })?;
        Ok(Self { stop, thread })
    }

    /// Ends it.
    pub(crate) fn end(self) {
        drop(self.stop);
        if self.thread.join().is_err() {
            tracing::error!("the watchdog broke");
        }
    }
}

#[expect(clippy::disallowed_methods, reason = "the watchdog is at the rim: it looks at the clock")]
fn now() -> Instant {
    Instant::now()
}

#[cfg(test)]
mod tests {
    use super::*;

    const LONG: Duration = Duration::from_hours(1);

    #[test]
    fn a_part_is_watched_until_its_last_end_is_dropped() {
        let pulses = Pulses::new();
        let (silent, talking) = (pulses.heart("silent", Duration::ZERO), pulses.heart("b", LONG));
        let again = pulses.heart("silent", Duration::ZERO);
        again.beat();
        assert_eq!(silent.beats(), 1, "the same heart");
        pulses.look();
        std::thread::yield_now();
        pulses.look();
        assert_eq!(pulses.silent().len(), 1);
        assert_eq!(pulses.parts(), [("silent".to_owned(), true), ("b".to_owned(), false)]);
        drop((silent, again, talking));
        pulses.look();
        assert!(pulses.parts().is_empty());
    }

    #[test]
    fn a_probe_is_watched_until_it_says_that_its_part_has_ended() {
        let pulses = Pulses::new();
        let ended = Arc::new(Mutex::new(false));
        let seen = Arc::clone(&ended);
        pulses.probe("part", LONG, None, move || (!*seen.lock().unwrap()).then_some(0));
        pulses.look();
        assert_eq!(pulses.parts().len(), 1);
        *ended.lock().unwrap() = true;
        pulses.look();
        assert!(pulses.parts().is_empty());
    }

    #[tokio::test(start_paused = true)]
    async fn a_task_that_is_kept_beats_while_it_waits_and_is_forgotten_at_its_end() {
        let pulses = Pulses::new();
        let ended = pulses.keep("task", LONG, async {
            tokio::time::sleep(Duration::from_secs(10)).await;
            pulses.heart("task", LONG).beats()
        });
        assert!(ended.await >= 10);
        pulses.look();
        assert!(pulses.parts().is_empty());
    }
}
