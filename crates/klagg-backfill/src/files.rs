//! Which files of the archive are worth fetching, and what of them is taken. Pure.
//!
//! Laws, proved in `files/tests.rs`:
//! - A file is fetched only where more klines of it are missing than the cheapest page has: what a
//!   request or two can bring is asked of the exchange.
//! - No file is expected before it is published; no two hold the same instant.
//! - Nothing of the day on which a symbol was listed comes from a file: the archive goes by names,
//!   and until that day's listing the name may have been another's.
//! - Of a file are taken those klines that are missing here and have trades, and no others: the
//!   archive is known to hold minutes without any where the exchange has none, or has trades.

use klagg_binance::ArchiveSpan;
use klagg_kline::{Kline, Period, UnixMillis};

use crate::pages::{CHEAP_KLINES, klines_between};
use crate::plan::{Held, Wanted};
use crate::spans::Spans;

/// Klines that are handed on together: a file has up to 44,640.
const PART_KLINES_MAX: usize = 1_000;

/// A file of the archive, and which of its klines are wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ArchiveFile {
    /// Their period.
    pub period: Period,
    /// The day or month that the file covers.
    pub span: ArchiveSpan,
    /// Open time of the first kline that is missing here.
    pub from: UnixMillis,
    /// The first instant after the last one.
    pub until: UnixMillis,
    /// How many are missing between them.
    pub klines: u64,
}

impl ArchiveFile {
    /// Whether it covers a month.
    pub fn is_month(&self) -> bool {
        Period::D1.next_open_time(self.span.from) < self.span.until
    }
}

/// What is wrong with a file that came.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub enum FileFault {
    /// It does not equal its checksum.
    Checksum,
    /// It is longer than any honest file.
    TooLong,
    /// It is cut off, packed wrongly, of another kind, or has a row that cannot be read.
    Unreadable,
    /// Its klines do not ascend.
    Unsorted,
    /// A kline of another day or month stands in it, or one that is not on the grid.
    OutOfPlace,
}

impl FileFault {
    /// The words for it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Checksum => "it does not match its checksum",
            Self::TooLong => "it is longer than any honest file",
            Self::Unreadable => "it cannot be read as klines of this symbol and period",
            Self::Unsorted => "its klines do not ascend",
            Self::OutOfPlace => "a kline does not belong into it",
        }
    }
}

/// The files that are published by `now` and worth fetching for the period at `index`, newest
/// first.
pub fn files(held: &Held, wanted: &Wanted<'_>, index: usize, now: UnixMillis) -> Vec<ArchiveFile> {
    let period = wanted.periods.get(index);
    // Weeks reach from one month's file into the next.
    if period > Period::D1 {
        return Vec::new();
    }
    let span = wanted.span(index);
    let from = span.from.max(wanted.first_day_until());
    let mut files: Vec<ArchiveFile> = Vec::new();
    for stretch in held.of(index).missing(from, span.until) {
        let mut from = stretch.from;
        while from < stretch.until
            && let Some(span) = ArchiveSpan::holding(from, now)
        {
            let until = span.until.min(stretch.until);
            let klines = klines_between(period, from, until);
            match files.last_mut().filter(|file| file.span == span) {
                Some(file) => (file.until, file.klines) = (until, file.klines + klines),
                None => files.push(ArchiveFile { period, span, from, until, klines }),
            }
            from = span.until;
        }
    }
    files.retain(|file| file.klines > CHEAP_KLINES);
    files.reverse();
    files
}

/// Checks that `klines` may stand in `file`; holes are no fault, they stay holes.
pub(crate) fn check_file(file: &ArchiveFile, klines: &[Kline]) -> Result<(), FileFault> {
    if klines.windows(2).any(|pair| pair[0].open_time >= pair[1].open_time) {
        return Err(FileFault::Unsorted);
    }
    let belongs = |kline: &Kline| {
        let at = kline.open_time;
        file.span.from <= at && at < file.span.until && file.period.open_time(at) == at
    };
    if klines.iter().all(belongs) { Ok(()) } else { Err(FileFault::OutOfPlace) }
}

/// What is taken of a file that was checked.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Taken {
    /// Stretches without a hole, ascending, none of which is held.
    pub(crate) parts: Vec<Vec<Kline>>,
    /// Klines without trades that were left.
    pub(crate) left: u64,
}

/// The klines of `file` that are missing in `held`.
pub(crate) fn take(held: &Spans, file: &ArchiveFile, klines: &[Kline]) -> Taken {
    let mut taken = Taken::default();
    for missing in held.missing(file.from, file.until) {
        let from = klines.partition_point(|kline| kline.open_time < missing.from);
        let until = klines.partition_point(|kline| kline.open_time < missing.until);
        let mut next = None;
        for kline in &klines[from..until] {
            if kline.trade_count == 0 {
                taken.left += 1;
                continue;
            }
            let part = taken.parts.last_mut();
            match part.filter(|of| next == Some(kline.open_time) && of.len() < PART_KLINES_MAX) {
                Some(part) => part.push(*kline),
                None => taken.parts.push(vec![*kline]),
            }
            next = Some(file.period.next_open_time(kline.open_time));
        }
    }
    taken
}

#[cfg(test)]
mod tests;
