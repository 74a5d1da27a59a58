//! Some klines in a row, in the form that fits them.

use std::sync::OnceLock;

use klagg_kline::{Kline, KlineRecord, KlineStatus, Price, UnixMillis};

use super::cell::Cells;
use super::pack::{self, NARROW, WIDE};

/// Stands in a run for a kline that is not there.
const HOLE: KlineRecord = KlineRecord {
    kline: Kline::flat(UnixMillis(i64::MIN), Price::from_scaled(0)),
    revision: 0,
    status: KlineStatus::Open,
};

/// Some cells in one form. Those of a chunk begin narrow; the first record that does not fit
/// makes the writer copy them into a wide one, which from then on stands for both. A reader that
/// still holds the narrow one reads older, whole records.
#[derive(Debug, Default)]
pub(super) struct Chunk {
    narrow: OnceLock<Cells<NARROW>>,
    wide: OnceLock<Cells<WIDE>>,
}

impl Chunk {
    pub(super) fn read(&self, at: usize) -> Option<KlineRecord> {
        if let Some(cells) = self.wide.get() {
            return cells.read(at).map(|words| pack::from_wide(&words));
        }
        self.narrow.get()?.read(at).map(|words| pack::from_narrow(&words))
    }

    /// Appends those of the `count` records from `at` on that open when they should: the first at
    /// `open_time`, each of the others `step` milliseconds after the one before it.
    pub(super) fn read_run(
        &self,
        (at, count): (usize, usize),
        (open_time, step): (UnixMillis, i64),
        records: &mut Vec<KlineRecord>,
    ) {
        if let Some(cells) = self.wide.get() {
            extend(records, cells.run(at, count), open_time, step, pack::from_wide);
        } else if let Some(cells) = self.narrow.get() {
            extend(records, cells.run(at, count), open_time, step, pack::from_narrow);
        }
    }

    /// Called by the only writer.
    pub(super) fn write(&self, at: usize, size: usize, record: &KlineRecord) {
        if let Some(cells) = self.wide.get() {
            return cells.write(at, &pack::wide(record));
        }
        if let Some(words) = pack::narrow(record) {
            return self.narrow.get_or_init(|| Cells::new(size)).write(at, &words);
        }
        let cells = Cells::new(size);
        for other in (0..size).filter(|&other| other != at) {
            if let Some(held) = self.read(other) {
                cells.write(other, &pack::wide(&held));
            }
        }
        cells.write(at, &pack::wide(record));
        let _ = self.wide.set(cells);
    }

    pub(super) fn bytes(&self) -> usize {
        self.narrow.get().map_or(0, Cells::bytes) + self.wide.get().map_or(0, Cells::bytes)
    }
}

/// Every record is written straight to its place, holes too, and the holes are taken out after:
/// asking the list for room at each record costs more than all else.
#[inline]
fn extend<const WORDS: usize>(
    records: &mut Vec<KlineRecord>,
    cells: impl ExactSizeIterator<Item = Option<[u64; WORDS]>>,
    open_time: UnixMillis,
    step: i64,
    unpack: impl Fn(&[u64; WORDS]) -> KlineRecord,
) {
    let begin = records.len();
    let mut holes = false;
    let mut expected = open_time;
    records.extend(cells.map(|words| {
        let record = words.map_or(HOLE, |words| unpack(&words));
        let is_there = record.kline.open_time == expected;
        holes |= !is_there;
        expected = expected.plus(step);
        record
    }));
    if holes {
        let mut expected = open_time;
        let mut kept = begin;
        for at in begin..records.len() {
            if records[at].kline.open_time == expected {
                records.swap(kept, at);
                kept += 1;
            }
            expected = expected.plus(step);
        }
        records.truncate(kept);
    }
}
