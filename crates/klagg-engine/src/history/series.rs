//! The newest closed klines of one symbol and one period: a ring indexed by time.
//!
//! A kline's place is the number of its period since 1970, mod the capacity, so that an upsert
//! and a look-up by time cost the same wherever they fall, and a hole needs no room but its own.
//! Room is allocated in chunks when first written: a young symbol does not pay for an old one's
//! days.

use std::ops::Range;

use klagg_kline::{KlineRecord, Period, UnixMillis};

use super::atomics::{self, AtomicI64, AtomicUsize, Ordering, Site};
use super::chunk::Chunk;
use super::numbers::{number_of, open_time_of};
use super::{HistoryQuery, Keep};

/// Klines in a chunk: about 20 kilobytes of the narrow form.
const CHUNK: usize = 256;

/// How often a read is tried before it is content with what the writer left.
const READS_MAX: usize = 4;

/// What became of one record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Applied {
    Changed,
    Unchanged,
    TooOld,
}

/// Klines of one symbol and one period. One writer, any number of readers.
#[derive(Debug)]
pub(super) struct Series {
    period: Period,
    capacity: usize,
    chunks: Box<[Chunk]>,
    /// Number of the newest kline; `i64::MIN` while empty. Those from `newest - capacity + 1` to
    /// `newest` are kept, as far as they came. Stored with release after the cell: a reader that
    /// loads it with acquire finds the cell filled.
    newest: AtomicI64,
    /// Number of the oldest kline ever put in: nothing is to be sought before it.
    oldest: AtomicI64,
    /// How many are kept.
    len: AtomicUsize,
}

impl Series {
    pub(super) fn new(period: Period, capacity: usize) -> Self {
        Self {
            period,
            capacity,
            chunks: (0..capacity.div_ceil(CHUNK)).map(|_| Chunk::default()).collect(),
            newest: AtomicI64::new(i64::MIN),
            oldest: AtomicI64::new(i64::MAX),
            len: AtomicUsize::new(0),
        }
    }

    pub(super) fn len(&self) -> usize {
        self.len.load(Ordering::Relaxed)
    }

    pub(super) fn bytes(&self) -> usize {
        self.chunks.iter().map(Chunk::bytes).sum()
    }

    /// The kline with this number, if it is kept.
    fn at(&self, number: i64) -> Option<KlineRecord> {
        let (chunk, at, _) = self.place(number);
        let record = self.chunks[chunk].read(at)?;
        (number_of(self.period, record.kline.open_time) == number).then_some(record)
    }

    /// Chunk, place in the chunk, size of the chunk.
    fn place(&self, number: i64) -> (usize, usize, usize) {
        let capacity = i64::try_from(self.capacity).unwrap_or(i64::MAX);
        let slot = usize::try_from(number.rem_euclid(capacity)).unwrap_or(0);
        let chunk = slot / CHUNK;
        (chunk, slot % CHUNK, CHUNK.min(self.capacity - chunk * CHUNK))
    }

    /// The number of the oldest kline that is kept beside `newest`.
    fn window_start(&self, newest: i64) -> i64 {
        newest.saturating_sub_unsigned(self.capacity as u64 - 1)
    }

    /// Puts a record in, if it is better than what is there. Called by the only writer.
    pub(super) fn apply(&self, record: &KlineRecord) -> Applied {
        let number = number_of(self.period, record.kline.open_time);
        // Relaxed: this thread stored them.
        let newest = self.newest.load(Ordering::Relaxed);
        if newest != i64::MIN && number < self.window_start(newest) {
            return Applied::TooOld;
        }
        let (chunk, at, size) = self.place(number);
        let held = if number > newest { None } else { self.at(number) };
        let put = match &held {
            Some(_) if mutated!(StatusMayFall) => *record,
            None => *record,
            Some(held) => match record.superseding(held) {
                Some(better) if mutated!(RevisionStays) => {
                    KlineRecord { revision: held.revision, ..better }
                }
                Some(better) => better,
                None => return Applied::Unchanged,
            },
        };
        let leaving = if number > newest { self.count_leaving(newest, number) } else { 0 };
        self.chunks[chunk].write(at, size, &put);
        self.oldest.fetch_min(number, Ordering::Relaxed);
        if number > newest {
            self.newest.store(number, atomics::at(Site::NewestStore, Ordering::Release));
        }
        let len = self.len() - leaving + usize::from(held.is_none());
        self.len.store(len, Ordering::Relaxed);
        Applied::Changed
    }

    /// How many of the kept ones are too old once `number` is the newest.
    fn count_leaving(&self, newest: i64, number: i64) -> usize {
        if newest == i64::MIN {
            return 0;
        }
        let first = self.window_start(newest).max(self.oldest.load(Ordering::Relaxed));
        let end = self.window_start(number).min(newest.saturating_add(1));
        (first..end).filter(|&number| self.at(number).is_some()).count()
    }

    /// The number of the newest: what it stands for is seen by whoever sees it.
    fn newest(&self) -> i64 {
        self.newest.load(atomics::at(Site::NewestLoad, Ordering::Acquire))
    }

    pub(super) fn get(&self, open_time: UnixMillis) -> Option<KlineRecord> {
        let number = number_of(self.period, open_time);
        let newest = self.newest();
        if number > newest || number < self.window_start(newest) {
            return None;
        }
        self.at(number).filter(|record| record.kline.open_time == open_time)
    }

    pub(super) fn last(&self) -> Option<KlineRecord> {
        let newest = self.newest();
        if newest == i64::MIN { None } else { self.at(newest).or_else(|| self.newest_held()) }
    }

    /// The newest was overwritten between two loads: look for the one that did it.
    fn newest_held(&self) -> Option<KlineRecord> {
        self.at(self.newest())
    }

    /// Appends what matches, in ascending order.
    ///
    /// A writer that moves the window meanwhile takes the oldest away; then it is read again, a
    /// few times, and in the end what is left of it is given.
    pub(super) fn read(&self, query: &HistoryQuery, records: &mut Vec<KlineRecord>) {
        let begin = records.len();
        for _ in 0..READS_MAX {
            records.truncate(begin);
            if self.read_once(query, records) {
                return;
            }
        }
    }

    /// `false` if something that was read is no longer kept.
    fn read_once(&self, query: &HistoryQuery, records: &mut Vec<KlineRecord>) -> bool {
        let newest = self.newest();
        if newest == i64::MIN {
            return true;
        }
        let start = self.window_start(newest).max(self.oldest.load(Ordering::Relaxed));
        let from = query.from.map_or(i64::MIN, |from| {
            let number = number_of(self.period, self.period.open_time(from));
            if self.period.open_time(from) < from { number + 1 } else { number }
        });
        let to = query.to.map_or(i64::MAX, |to| number_of(self.period, self.period.open_time(to)));
        let numbers = from.max(start)..to.min(newest).saturating_add(1);
        let begin = records.len();
        match query.keep {
            Keep::Oldest => self.copy_oldest(numbers, query.limit, records),
            Keep::Newest => self.copy_newest(numbers, query.limit, records),
        }
        self.drop_gone(records, begin, self.newest())
    }

    fn copy_oldest(&self, numbers: Range<i64>, limit: usize, records: &mut Vec<KlineRecord>) {
        let end = records.len().saturating_add(limit);
        let mut first = numbers.start;
        while first < numbers.end && records.len() < end {
            let missing = end - records.len();
            let last = first.saturating_add_unsigned(missing as u64).min(numbers.end);
            self.copy(first..last, records);
            first = last;
        }
    }

    /// From the newest stretch that would be enough if it had no holes, back to older ones.
    fn copy_newest(&self, numbers: Range<i64>, limit: usize, records: &mut Vec<KlineRecord>) {
        let begin = records.len();
        let mut end = numbers.end;
        let mut block = limit;
        while numbers.start < end && records.len() - begin < limit {
            let first = end.saturating_sub_unsigned(block as u64).max(numbers.start);
            let held = records.len();
            self.copy(first..end, records);
            records[begin..].rotate_left(held - begin);
            end = first;
            // Twice as far each time: many holes must not mean many turns of what is held.
            block = block.saturating_mul(2);
        }
        let beyond = (records.len() - begin).saturating_sub(limit);
        records.drain(begin..begin + beyond);
    }

    /// Appends what is there of these numbers, at most as many as are kept.
    fn copy(&self, numbers: Range<i64>, records: &mut Vec<KlineRecord>) {
        let mut first = numbers.start;
        while first < numbers.end {
            let (chunk, at, size) = self.place(first);
            let run = self.period.fixed_millis().map_or(1, |_| size - at);
            let run = run.min(usize::try_from(numbers.end - first).unwrap_or(run));
            let grid = (open_time_of(self.period, first), self.period.fixed_millis().unwrap_or(0));
            self.chunks[chunk].read_run((at, run), grid, records);
            first = first.saturating_add_unsigned(run as u64);
        }
    }

    /// Drops, from `begin` on, what is no longer kept beside `newest`; `false` if there was any.
    ///
    /// The writer may have moved on during a read. What it no longer keeps may have been
    /// overwritten in part, and would leave holes; what remains is one consistent stretch.
    fn drop_gone(&self, records: &mut Vec<KlineRecord>, begin: usize, newest: i64) -> bool {
        let start = self.window_start(newest);
        let gone = records[begin..]
            .partition_point(|record| number_of(self.period, record.kline.open_time) < start);
        records.drain(begin..begin + gone);
        gone == 0
    }
}

#[cfg(test)]
mod tests {
    use klagg_kline::{Kline, KlineStatus, Price};

    use super::*;

    #[test]
    fn what_went_during_a_read_is_dropped_and_nothing_else() {
        let series = Series::new(Period::M1, 4);
        let check = |newest: i64, expected: &[i64], whole: bool| {
            // Minute 3 was overwritten meanwhile; minute 0 is the caller's own.
            let record = |minute: i64| KlineRecord {
                kline: Kline::flat(UnixMillis(minute * 60_000), Price::from_scaled(1)),
                revision: 0,
                status: KlineStatus::Closed,
            };
            let mut records = [0, 2, 4, 5].map(record).to_vec();
            assert_eq!(series.drop_gone(&mut records, 1, newest), whole);
            let minutes: Vec<_> =
                records.iter().map(|record| record.kline.open_time.0 / 60_000).collect();
            assert_eq!(minutes, expected);
        };
        check(5, &[0, 2, 4, 5], true);
        check(7, &[0, 4, 5], false);
        check(8, &[0, 5], false);
        check(99, &[0], false);
    }
}
