//! Simulated time: the one place that reads a clock.
#![expect(clippy::disallowed_methods, reason = "rim: real time becomes simulated time here")]

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use klagg_kline::UnixMillis;

use crate::SimClock;

/// A clock that can be paused. Never goes back.
#[derive(Debug)]
pub(crate) struct Clock {
    factor: f64,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    /// Simulated time at `since`.
    base: UnixMillis,
    /// `None` while paused.
    since: Option<Instant>,
}

impl Clock {
    pub(crate) fn new(clock: SimClock) -> Self {
        let (factor, base) = match clock {
            SimClock::Wall => (1.0, wall()),
            SimClock::Accelerated { factor, start } => (factor, start),
        };
        Self { factor, state: Mutex::new(State { base, since: Some(Instant::now()) }) }
    }

    pub(crate) fn factor(&self) -> f64 {
        self.factor
    }

    pub(crate) fn now(&self) -> UnixMillis {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).now(self.factor)
    }

    pub(crate) fn pause(&self) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.base = state.now(self.factor);
        state.since = None;
    }

    pub(crate) fn resume(&self) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if state.since.is_none() {
            state.since = Some(Instant::now());
        }
    }
}

impl State {
    fn now(&self, factor: f64) -> UnixMillis {
        let passed = self.since.map_or(Duration::ZERO, |since| since.elapsed());
        let passed = passed.mul_f64(factor).as_millis();
        self.base.plus(i64::try_from(passed).unwrap_or(i64::MAX))
    }
}

/// The wall's time.
fn wall() -> UnixMillis {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    UnixMillis(i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
}

/// An instant on the wall, for what happens in real time whatever the factor.
pub(crate) fn instant() -> Instant {
    Instant::now()
}

/// Milliseconds of the wall, as the payload of a ping.
pub(crate) fn ping_payload() -> String {
    wall().to_string()
}
