//! Signs of life, and who has stopped giving them.
//!
//! Always true here:
//! - A part that beats within its bound is never accused; one that does not is named once, and
//!   once more when it beats again.
//! - Who only answers when asked is not accused while the one that asks is silent itself.
//! - When nobody could look for a while (the process was stopped, the machine slept), nobody is
//!   accused of that time.
//!
//! Deliberately absent: a clock, a thread, a log. Time is an argument, since any fixed moment.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

/// A part's sign of life: the part beats, somebody else counts. Clones share it.
///
/// # Examples
///
/// ```
/// use klagg_gateway::Heartbeat;
///
/// let heartbeat = Heartbeat::default();
/// let part = heartbeat.clone();
/// part.beat();
/// assert_eq!(heartbeat.beats(), 1);
/// assert!(!heartbeat.is_orphan());
/// drop(part);
/// assert!(heartbeat.is_orphan(), "nobody is left to beat");
/// ```
#[derive(Debug, Clone, Default)]
pub struct Heartbeat(Arc<AtomicU64>);

impl Heartbeat {
    /// Says that the part is alive. Costs one atomic addition.
    pub fn beat(&self) {
        // Relaxed: the number stands for itself, nothing is handed over with it.
        self.0.fetch_add(1, Relaxed);
    }

    /// How often it has beaten.
    pub fn beats(&self) -> u64 {
        self.0.load(Relaxed)
    }

    /// Whether this is the last clone: the part has ended, in order or not.
    pub fn is_orphan(&self) -> bool {
        Arc::strong_count(&self.0) == 1
    }
}

/// Number of a part at its [`Watchdog`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PartId(usize);

/// What a person should hear of a part.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum WatchdogNotice {
    /// It has been silent beyond its bound.
    Silent {
        /// Its name.
        name: Arc<str>,
        /// For how long so far.
        silence: Duration,
    },
    /// It gives signs of life again.
    Recovered {
        /// Its name.
        name: Arc<str>,
        /// How long it was silent.
        silence: Duration,
    },
}

#[derive(Debug)]
struct Part {
    name: Arc<str>,
    bound: Duration,
    behind: Option<PartId>,
    beats: u64,
    /// The latest moment at which it was surely alive.
    alive_at: Duration,
    silent: bool,
    gone: bool,
}

/// Beats and times in, silent names out.
///
/// # Examples
///
/// ```
/// use std::time::Duration;
/// use klagg_gateway::{Watchdog, WatchdogNotice};
///
/// let at = Duration::from_secs;
/// let mut watchdog = Watchdog::new(at(10), at(0));
/// let writer = watchdog.watch("db writer", at(5), None, at(0));
/// watchdog.beats(writer, 7, at(3));
/// assert_eq!(watchdog.check(at(8)), [], "within its bound");
/// watchdog.beats(writer, 7, at(9));
/// let name = "db writer".into();
/// assert_eq!(watchdog.check(at(9)), [WatchdogNotice::Silent { name, silence: at(6) }]);
/// assert_eq!(watchdog.silent().count(), 1);
/// ```
#[derive(Debug)]
pub struct Watchdog {
    parts: Vec<Part>,
    /// If two checks are further apart than this, nobody could look.
    patience: Duration,
    checked_at: Duration,
}

impl Watchdog {
    /// A watchdog that is asked to check at least once in `patience`.
    pub const fn new(patience: Duration, now: Duration) -> Self {
        Self { parts: Vec::new(), patience, checked_at: now }
    }

    /// Watches a part from now on, which must beat once in `bound`. `behind`: the part without
    /// which this one has nothing to do.
    pub fn watch(
        &mut self,
        name: &str,
        bound: Duration,
        behind: Option<PartId>,
        now: Duration,
    ) -> PartId {
        let (name, alive_at) = (Arc::from(name), now);
        let part = Part { name, bound, behind, beats: 0, alive_at, silent: false, gone: false };
        self.parts.push(part);
        PartId(self.parts.len() - 1)
    }

    /// How often a part has beaten, as of `now`. Another number than before is a sign of life.
    pub fn beats(&mut self, part: PartId, beats: u64, now: Duration) {
        if let Some(part) = self.parts.get_mut(part.0)
            && part.beats != beats
        {
            (part.beats, part.alive_at) = (beats, now);
        }
    }

    /// A part has ended in order: it owes no sign of life any more.
    pub fn forget(&mut self, part: PartId) {
        if let Some(part) = self.parts.get_mut(part.0) {
            (part.gone, part.silent) = (true, false);
        }
    }

    /// Who has fallen silent or recovered since the last check, in the order in which they were
    /// to be watched.
    pub fn check(&mut self, now: Duration) -> Vec<WatchdogNotice> {
        let gap = now.saturating_sub(self.checked_at);
        self.checked_at = now;
        let mut notices = Vec::new();
        for at in 0..self.parts.len() {
            let behind = self.parts[at].behind.and_then(|part| self.parts.get(part.0));
            let is_excused = behind.is_some_and(|part| part.silent);
            let part = &mut self.parts[at];
            if part.gone {
                continue;
            }
            if gap > self.patience {
                part.alive_at = part.alive_at.saturating_add(gap).min(now);
            }
            if is_excused && !part.silent {
                part.alive_at = now;
            }
            let silence = now.saturating_sub(part.alive_at);
            let name = Arc::clone(&part.name);
            if silence > part.bound && !part.silent {
                part.silent = true;
                notices.push(WatchdogNotice::Silent { name, silence });
            } else if silence <= part.bound && part.silent {
                part.silent = false;
                notices.push(WatchdogNotice::Recovered { name, silence });
            }
        }
        notices
    }

    /// The parts that are silent beyond their bounds, as of the last check, and for how long.
    pub fn silent(&self) -> impl Iterator<Item = (&Arc<str>, Duration)> {
        let silent = self.parts.iter().filter(|part| part.silent);
        silent.map(|part| (&part.name, self.checked_at.saturating_sub(part.alive_at)))
    }

    /// All parts that are watched, and whether each is silent.
    pub fn parts(&self) -> impl Iterator<Item = (&Arc<str>, bool)> {
        let watched = self.parts.iter().filter(|part| !part.gone);
        watched.map(|part| (&part.name, part.silent))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const AT: fn(u64) -> Duration = Duration::from_secs;

    /// Names of notices, with `!` for silent ones.
    fn told(watchdog: &mut Watchdog, now: u64) -> String {
        let words = watchdog.check(AT(now)).into_iter().map(|notice| match notice {
            WatchdogNotice::Silent { name, silence } => format!("{name}! {}", silence.as_secs()),
            WatchdogNotice::Recovered { name, .. } => name.to_string(),
        });
        words.collect::<Vec<_>>().join(", ")
    }

    #[test]
    fn who_is_silent_is_named_once_and_once_more_when_it_beats_again() {
        let mut watchdog = Watchdog::new(AT(100), AT(0));
        let one = watchdog.watch("one", AT(5), None, AT(0));
        let two = watchdog.watch("two", AT(20), None, AT(0));
        assert_eq!(told(&mut watchdog, 5), "");
        assert_eq!(told(&mut watchdog, 6), "one! 6");
        assert_eq!(told(&mut watchdog, 15), "");
        assert_eq!(watchdog.silent().next(), Some((&"one".into(), AT(15))));
        watchdog.beats(one, 1, AT(16));
        watchdog.beats(two, 1, AT(16));
        assert_eq!(told(&mut watchdog, 16), "one");
        watchdog.beats(one, 1, AT(21));
        assert_eq!(told(&mut watchdog, 22), "one! 6", "the same number is no sign of life");
        watchdog.forget(one);
        assert_eq!(told(&mut watchdog, 36), "");
        assert_eq!(told(&mut watchdog, 37), "two! 21");
        assert_eq!(watchdog.parts().count(), 1);
    }

    #[test]
    fn who_waits_for_a_silent_part_is_not_accused_and_has_its_time_afterwards() {
        let mut watchdog = Watchdog::new(AT(100), AT(0));
        let gateway = watchdog.watch("gateway", AT(5), None, AT(0));
        let worker = watchdog.watch("worker", AT(10), Some(gateway), AT(0));
        assert_eq!(told(&mut watchdog, 6), "gateway! 6");
        assert_eq!(told(&mut watchdog, 50), "");
        watchdog.beats(gateway, 1, AT(51));
        assert_eq!(told(&mut watchdog, 51), "gateway");
        watchdog.beats(gateway, 2, AT(60));
        assert_eq!(told(&mut watchdog, 60), "");
        watchdog.beats(gateway, 3, AT(62));
        assert_eq!(told(&mut watchdog, 62), "worker! 12", "of its own, counted anew");
        watchdog.beats(worker, 1, AT(63));
        assert_eq!(told(&mut watchdog, 63), "worker");
    }

    #[test]
    fn time_in_which_nobody_could_look_is_nobodys_fault() {
        let mut watchdog = Watchdog::new(AT(2), AT(0));
        let part = watchdog.watch("part", AT(5), None, AT(0));
        watchdog.beats(part, 1, AT(1));
        assert_eq!(told(&mut watchdog, 1), "");
        // The machine slept for an hour.
        assert_eq!(told(&mut watchdog, 3_600), "");
        assert_eq!((told(&mut watchdog, 3_602), told(&mut watchdog, 3_604)), Default::default());
        assert_eq!(told(&mut watchdog, 3_606), "part! 6");
    }
}
