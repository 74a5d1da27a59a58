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
    /// See [`ExchangeClock::machine_ahead_ms`].
    machine_ahead_ms: Arc<AtomicI64>,
}

impl ExchangeClock {
    /// A clock that starts at the machine's time and from there counts by the monotonic clock.
    #[expect(clippy::disallowed_methods, reason = "the rim where time enters")]
    pub fn start() -> Self {
        Self {
            started: Instant::now(),
            started_unix: machine(),
            offset_ms: Arc::default(),
            machine_ahead_ms: Arc::default(),
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

    /// How far the machine's clock is ahead of the exchange's, at least; negative if it is behind.
    /// Nothing here depends on that clock, which may step, but people who read its times do.
    pub fn machine_ahead_ms(&self) -> i64 {
        self.machine_ahead_ms.load(Ordering::Relaxed)
    }

    /// Takes over the exchange's time `server`, asked for at `sent` by [`ExchangeClock::local`] and
    /// answered by now.
    ///
    /// All of the way is taken for the way back, so that [`ExchangeClock::exchange`] is never
    /// ahead of the exchange, however slow the way was: a kline is taken for final by this clock,
    /// and too early would be wrong for ever, while too late only waits.
    pub fn measure(&self, sent: UnixMillis, server: UnixMillis) {
        let received = self.local();
        let stepped = machine().since(received);
        let ahead = ahead_at_least(stepped, (sent, received), server);
        self.machine_ahead_ms.store(ahead, Ordering::Relaxed);
        self.take_over(received, server);
    }

    fn take_over(&self, received: UnixMillis, server: UnixMillis) {
        self.offset_ms.store(server.since(received), Ordering::Relaxed);
    }
}

/// What the machine takes for the time.
#[expect(clippy::disallowed_methods, reason = "the rim where time enters")]
fn machine() -> UnixMillis {
    let unix = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    UnixMillis(i64::try_from(unix.as_millis()).unwrap_or(i64::MAX))
}

/// How far a clock that is ahead of ours by `stepped` is ahead of one that said `server` at any
/// moment between `sent` and `received`: the number nearest to none that this allows.
fn ahead_at_least(
    stepped: i64,
    (sent, received): (UnixMillis, UnixMillis),
    server: UnixMillis,
) -> i64 {
    let (least, most) = (sent.since(server) + stepped, received.since(server) + stepped);
    0_i64.clamp(least, most.max(least))
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
            clock.take_over(UnixMillis(1_000 + took), UnixMillis(6_000 + stamped_after));
            let behind = 5_000 - clock.offset_ms();
            assert!((0..=took).contains(&behind), "{behind} ms behind, after {took} ms");
        }
    }

    #[test]
    fn a_machine_is_taken_for_wrong_by_no_more_than_the_way_leaves_open() {
        // Asked at 1,000 and answered at 1,200 by a clock that agrees with the machine's but for
        // what it stepped since.
        let ahead = |stepped, server| {
            ahead_at_least(stepped, (UnixMillis(1_000), UnixMillis(1_200)), UnixMillis(server))
        };
        for server in [1_000, 1_100, 1_200] {
            assert_eq!(ahead(0, server), 0);
        }
        assert_eq!((ahead(0, 900), ahead(0, 1_300)), (100, -100));
        assert_eq!((ahead(3_600_000, 1_100), ahead(-3_600_000, 1_100)), (3_599_900, -3_599_900));
    }

    #[test]
    fn jitter_differs_from_call_to_call() {
        assert_ne!(random(), random());
    }
}
