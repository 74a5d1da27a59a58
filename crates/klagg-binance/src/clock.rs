//! The rim where time and randomness enter: everything else takes them as arguments.

use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use klagg_kline::UnixMillis;

/// A clock that counts from where it was made and never steps, with the measured distance to the
/// exchange's clock beside it. Clones share it.
#[derive(Debug, Clone)]
pub struct ExchangeClock {
    started: Instant,
    started_unix: UnixMillis,
    /// Exchange minus ours, in milliseconds; 0 until measured.
    offset_ms: Arc<AtomicI64>,
}

impl ExchangeClock {
    /// A clock that starts at the machine's time and from there counts by the monotonic clock.
    #[expect(clippy::disallowed_methods, reason = "the rim where time enters")]
    pub fn start() -> Self {
        let unix = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Self {
            started: Instant::now(),
            started_unix: UnixMillis(i64::try_from(unix.as_millis()).unwrap_or(i64::MAX)),
            offset_ms: Arc::new(AtomicI64::new(0)),
        }
    }

    /// Time since the clock was made.
    #[expect(clippy::disallowed_methods, reason = "the rim where time enters")]
    pub fn elapsed(&self) -> Duration {
        Instant::now().saturating_duration_since(self.started)
    }

    /// Our time: never steps, whatever happens to the machine's clock.
    pub fn local(&self) -> UnixMillis {
        self.started_unix.plus(i64::try_from(self.elapsed().as_millis()).unwrap_or(i64::MAX))
    }

    /// The exchange's time, as far as it was measured.
    pub fn exchange(&self) -> UnixMillis {
        // Relaxed: a single number that publishes nothing else.
        self.local().plus(self.offset_ms.load(Ordering::Relaxed))
    }

    /// Exchange minus local, in milliseconds.
    pub fn offset_ms(&self) -> i64 {
        self.offset_ms.load(Ordering::Relaxed)
    }

    /// Takes over the exchange's time `server`, whose answer was here at `received` by
    /// [`ExchangeClock::local`].
    ///
    /// All of the way is taken for the way back, so that [`ExchangeClock::exchange`] is never
    /// ahead of the exchange, however slow the way was: a kline is taken for final by this clock,
    /// and too early would be wrong for ever, while too late only waits.
    pub fn measure(&self, received: UnixMillis, server: UnixMillis) {
        self.offset_ms.store(server.since(received), Ordering::Relaxed);
    }
}

/// A random number for jitter; not for secrets.
pub(crate) fn random() -> u64 {
    // Each `RandomState` has fresh keys, so that hashing a constant gives a fresh number.
    RandomState::new().hash_one(0_u8)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slow_way_never_puts_the_clock_ahead_of_the_exchange() {
        // The exchange is 5 s ahead of us. Its answer is stamped anywhere between question and
        // arrival: at the very end if connecting took long, at the very beginning if reading did.
        for (stamped_after, took) in [(0, 200), (100, 200), (200, 200), (9_900, 10_000)] {
            let clock = ExchangeClock::start();
            assert_eq!(clock.offset_ms(), 0);
            clock.measure(UnixMillis(1_000 + took), UnixMillis(6_000 + stamped_after));
            let behind = 5_000 - clock.offset_ms();
            assert!((0..=took).contains(&behind), "{behind} ms behind, after {took} ms");
        }
    }

    #[test]
    fn jitter_differs_from_call_to_call() {
        assert_ne!(random(), random());
    }
}
