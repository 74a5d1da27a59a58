//! Which period is made from which, worked out once.

use klagg_kline::{Period, PeriodSet, UnixMillis};

/// A period's place between the shorter one it is made from and the longer ones made from it.
#[derive(Debug)]
pub(crate) struct Rung {
    pub(crate) period: Period,
    /// Length of a kline of the period this one is made from; 0 for `1m`.
    pub(crate) child_ms: i64,
    /// Index of the period this one is made from; its own for `1m`.
    pub(crate) source: usize,
    /// Indices of the periods made from this one.
    pub(crate) consumers: Vec<usize>,
}

/// All rungs, in the order of the period set: every source stands before its consumers.
#[derive(Debug)]
pub(crate) struct Plan {
    pub(crate) periods: PeriodSet,
    pub(crate) rungs: Vec<Rung>,
}

impl Plan {
    pub(crate) fn new(periods: PeriodSet) -> Self {
        let rungs = (0..periods.len())
            .map(|index| {
                let source = periods.source(index);
                let child_ms = source.map_or(0, |source| {
                    // Only `1M` has no fixed length, and nothing is made of months.
                    periods.get(source).fixed_millis().expect("a source has a fixed length")
                });
                let consumers = (index + 1..periods.len())
                    .filter(|&longer| periods.source(longer) == Some(index))
                    .collect();
                let period = periods.get(index);
                Rung { period, child_ms, source: source.unwrap_or(index), consumers }
            })
            .collect();
        Self { periods, rungs }
    }
}

impl Rung {
    /// The end of the kline that opens at `open_time`.
    #[inline]
    pub(crate) fn end(&self, open_time: UnixMillis) -> UnixMillis {
        match self.period.fixed_millis() {
            Some(millis) => open_time.plus(millis),
            None => self.period.next_open_time(open_time),
        }
    }

    /// The open time of the kline before the one that opens at `open_time`.
    pub(crate) fn previous(&self, open_time: UnixMillis) -> UnixMillis {
        self.period.open_time(open_time.plus(-1))
    }
}
