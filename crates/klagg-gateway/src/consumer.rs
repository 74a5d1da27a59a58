//! What a strategy, or the web front, implements to be told of every update.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use klagg_engine::KlineData;
use klagg_kline::SymbolId;

use crate::GlobalKlines;

/// Somebody who is told of every update, one call at a time.
///
/// Calls come from one task, in the order of registration, never two at once: no locks are needed
/// inside. A call delays all consumers behind it, so it should be short: it is timed.
///
/// # Examples
///
/// ```
/// use klagg_gateway::{Consumer, Update};
///
/// /// Counts the minutes that closed.
/// struct Minutes(u64);
///
/// impl Consumer for Minutes {
///     fn name(&self) -> &str {
///         "minutes"
///     }
///
///     fn on_update(&mut self, update: &Update<'_>) {
///         let minutes = update.closed.iter().filter(|data| data.period_index == 0);
///         self.0 += minutes.count() as u64;
///     }
/// }
/// ```
pub trait Consumer: Send {
    /// What it is called in logs and reports.
    fn name(&self) -> &str;

    /// Something changed.
    fn on_update(&mut self, update: &Update<'_>);
}

/// What is new for a consumer.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub struct Update<'a> {
    /// The newest snapshot, whole. Clone the `Arc` to keep it, but not for long: while an old one
    /// is held, the gateway has to make copies.
    pub klines: &'a Arc<GlobalKlines>,
    /// The slots (symbol, period index) that changed since this consumer's last call.
    pub changed: &'a [(SymbolId, u8)],
    /// The klines closed or corrected since this consumer's last call, oldest first. None is
    /// missing, even if snapshots were skipped, unless `resync` says so. They may be ahead of
    /// `klines` by a tick. One that was corrected again meanwhile comes in its newest form.
    pub closed: &'a [KlineData],
    /// Whether `closed` does not tell everything: at the first call, and when more closed (in a
    /// backfill) than is logged. Whoever keeps klines of their own reads the history again.
    pub resync: bool,
}

/// Buckets of the histogram: bucket `n` holds calls of less than 2^n microseconds.
const BUCKETS: usize = 24;

/// Times of one consumer. Written by the scheduler's task alone, read by anyone: each number is
/// its own, so plain (relaxed) loads and stores are enough.
#[derive(Debug, Default)]
pub(crate) struct ConsumerTimes {
    calls: AtomicU64,
    slow: AtomicU64,
    nanos_last: AtomicU64,
    nanos_max: AtomicU64,
    nanos_sum: AtomicU64,
    buckets: [AtomicU64; BUCKETS],
    panicked: AtomicBool,
}

impl ConsumerTimes {
    pub(crate) fn record(&self, took: Duration, slow: bool) {
        let nanos = u64::try_from(took.as_nanos()).unwrap_or(u64::MAX);
        let micros = nanos / 1_000;
        let bucket = (u64::BITS - micros.leading_zeros()) as usize;
        self.calls.fetch_add(1, Relaxed);
        self.slow.fetch_add(u64::from(slow), Relaxed);
        self.nanos_last.store(nanos, Relaxed);
        self.nanos_max.fetch_max(nanos, Relaxed);
        self.nanos_sum.fetch_add(nanos, Relaxed);
        self.buckets[bucket.min(BUCKETS - 1)].fetch_add(1, Relaxed);
    }

    pub(crate) fn set_panicked(&self) {
        self.panicked.store(true, Relaxed);
    }

    pub(crate) fn panicked(&self) -> bool {
        self.panicked.load(Relaxed)
    }

    pub(crate) fn report(&self, name: &str) -> ConsumerReport {
        let calls = self.calls.load(Relaxed);
        let sum = self.nanos_sum.load(Relaxed);
        let mean = sum.checked_div(calls).unwrap_or(0);
        ConsumerReport {
            name: name.to_owned(),
            calls,
            slow: self.slow.load(Relaxed),
            last: Duration::from_nanos(self.nanos_last.load(Relaxed)),
            sum: Duration::from_nanos(sum),
            mean: Duration::from_nanos(mean),
            max: Duration::from_nanos(self.nanos_max.load(Relaxed)),
            histogram: self.buckets.iter().map(|bucket| bucket.load(Relaxed)).collect(),
            panicked: self.panicked(),
        }
    }
}

/// How a consumer fared.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ConsumerReport {
    /// Its name.
    pub name: String,
    /// Calls that returned.
    pub calls: u64,
    /// Calls that took longer than the scheduler's limit.
    pub slow: u64,
    /// Time of the last call.
    pub last: Duration,
    /// Time of all calls together.
    pub sum: Duration,
    /// Mean time of a call.
    pub mean: Duration,
    /// Longest time of a call.
    pub max: Duration,
    /// How many calls took less than 2^n microseconds (and not less than half of it), for n from
    /// 0; the last entry holds all longer ones.
    pub histogram: Vec<u64>,
    /// Whether it panicked; then it is called no more.
    pub panicked: bool,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_summed_up_and_sorted_into_powers_of_two() {
        let times = ConsumerTimes::default();
        let check = |micros: u64, bucket: usize| {
            let before = times.report("").histogram[bucket];
            times.record(Duration::from_micros(micros), micros > 100);
            assert_eq!(times.report("").histogram[bucket], before + 1, "{micros} µs");
        };
        check(0, 0);
        check(1, 1);
        check(3, 2);
        check(4, 3);
        check(1_000, 10);
        let report = times.report("name");
        assert_eq!(report.sum, Duration::from_micros(1_008));
        assert_eq!(report.mean, report.sum / 5);
        check(u64::MAX / 1_000, BUCKETS - 1);
        let report = times.report("name");
        assert_eq!((report.calls, report.slow, report.panicked), (6, 2, false));
        assert_eq!(report.last, report.max);
    }
}
