//! Which period is made from which, worked out once.

use klagg_kline::{Period, PeriodSet, UnixMillis};

/// A period's place between the shorter one it is made from and the longer ones made from it.
#[derive(Debug)]
pub(crate) struct Rung {
    pub(crate) period: Period,
    /// Length of a kline of the period this one is made from; 0 for `1m`.
    pub(crate) child_ms: i64,
    /// How many of those make one; 0 for `1m`, and for `1M`, where it varies.
    pub(crate) children: i64,
    /// Index of the period this one is made from; its own for `1m`.
    pub(crate) source: usize,
    /// Indices of the periods made from this one.
    pub(crate) consumers: Vec<usize>,
    /// Its own length; of `1M` the mean.
    pub(crate) own_ms: i64,
    /// How many closed klines are kept at most.
    pub(crate) capacity: usize,
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
                let consumers: Vec<_> = (index + 1..periods.len())
                    .filter(|&longer| periods.source(longer) == Some(index))
                    .collect();
                let period = periods.get(index);
                let most = consumers.iter().map(|&longer| children(period, periods.get(longer)));
                // Of the current kline and the one before; of minutes of one more.
                let parents = if index == 0 { 3 } else { 2 };
                let capacity = most.max().map_or(LONE_CAPACITY, |most| parents * most);
                let own_ms = period.fixed_millis().unwrap_or(MONTH_MS_MEAN);
                let source = source.unwrap_or(index);
                let children = match period.fixed_millis() {
                    Some(millis) if index > 0 => millis / child_ms,
                    _ => 0,
                };
                Rung { period, child_ms, children, source, consumers, own_ms, capacity }
            })
            .collect();
        Self { periods, rungs }
    }
}

/// The mean month of the Gregorian calendar: 30.436875 days.
const MONTH_MS_MEAN: i64 = 2_629_746_000;

/// Klines kept of a period of which nothing is made.
const LONE_CAPACITY: usize = 12;

/// How many klines of `period` the longest kline of `longer` holds.
fn children(period: Period, longer: Period) -> usize {
    const MONTH_MS: i64 = 31 * 24 * 3_600_000;
    let millis = |period: Period| period.fixed_millis().unwrap_or(MONTH_MS);
    usize::try_from(millis(longer) / millis(period)).expect("a longer kline holds shorter ones")
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
    #[inline]
    pub(crate) fn previous(&self, open_time: UnixMillis) -> UnixMillis {
        match self.period.fixed_millis() {
            Some(millis) => open_time.plus(-millis),
            None => self.period.open_time(open_time.plus(-1)),
        }
    }
}
