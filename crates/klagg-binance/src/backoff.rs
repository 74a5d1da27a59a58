//! How long to wait before trying again: full jitter, so that many clients do not come in step.

use std::time::Duration;

/// Bounds of the wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Backoff {
    /// Shortest wait, and the unit that doubles.
    pub floor: Duration,
    /// Longest wait.
    pub ceiling: Duration,
}

impl Backoff {
    /// The wait after `failures` failures in a row (at least one): uniform between the floor and
    /// the floor doubled `failures` times, which is held at the ceiling.
    pub fn wait(&self, failures: u32, random: u64) -> Duration {
        let factor = 1_u32.checked_shl(failures.min(31)).unwrap_or(u32::MAX);
        let top = self.floor.saturating_mul(factor).min(self.ceiling).max(self.floor);
        let span = u64::try_from(top.saturating_sub(self.floor).as_millis()).unwrap_or(u64::MAX);
        self.floor + Duration::from_millis(random % span.saturating_add(1).max(1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_wait_stays_between_floor_and_ceiling() {
        let backoff =
            Backoff { floor: Duration::from_millis(100), ceiling: Duration::from_secs(30) };
        let check = |failures: u32, random: u64, expected: u64| {
            assert_eq!(backoff.wait(failures, random), Duration::from_millis(expected));
        };
        check(1, 0, 100);
        check(1, 100, 200);
        check(1, 101, 100);
        check(3, 700, 800);
        check(9, 29_900, 30_000);
        check(u32::MAX, 29_900, 30_000);
        check(u32::MAX, 29_901, 100);
        for failures in 0..64 {
            let wait = backoff.wait(failures, u64::MAX);
            assert!(wait >= backoff.floor && wait <= backoff.ceiling);
        }
    }
}
