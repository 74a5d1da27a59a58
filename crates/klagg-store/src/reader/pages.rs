//! The klines of one symbol and period, span of time by span of time.

use klagg_kline::{KlineRecord, Period, SymbolId, UnixMillis};
use rusqlite::{Statement, params};

use crate::schema::CHUNK_KLINES;
use crate::{Coverage, ReadEnd, ReadPage, ReadQuery, row};

/// Cuts a page of klines within `from..to` to what was asked for, and names those that are not
/// there though they must be. So many `rows` were found, the damaged ones among them.
pub(super) fn finish(
    mut page: ReadPage,
    period: Period,
    rows: usize,
    ((from, to), run): ((UnixMillis, UnixMillis), Option<Coverage>),
    query: &ReadQuery,
) -> ReadPage {
    let surplus = page.records.len().saturating_sub(query.limit);
    match query.keep {
        ReadEnd::Oldest => page.records.truncate(query.limit),
        ReadEnd::Newest => drop(page.records.drain(..surplus)),
    }
    let is_cut = rows >= query.limit;
    let seen = page.records.first().zip(page.records.last());
    let (first, last) = seen
        .map_or((to, from), |(first, last)| (first.kline.open_time, last.kline.open_time.plus(1)));
    let from = if is_cut && query.keep == ReadEnd::Newest { first } else { from };
    let to = if is_cut && query.keep == ReadEnd::Oldest { last } else { to };
    if let Some(run) = run {
        report_missing(&mut page, period, (from.max(run.from), to.min(run.until)));
    }
    page
}

/// Open time of the oldest of `limit` klines, the last of which opens at `last`, if none is
/// missing between them. Of months, the first time there is.
pub(super) fn newest_from(period: Period, last: UnixMillis, limit: usize) -> UnixMillis {
    let klines = i64::try_from(limit).unwrap_or(i64::MAX);
    let back = |millis: i64| klines.saturating_sub(1).saturating_mul(millis);
    let from = period.fixed_millis().map(|millis| UnixMillis(last.0.saturating_sub(back(millis))));
    from.unwrap_or(UnixMillis(i64::MIN))
}

/// How many klines lie in these chunks at most.
pub(super) fn spans_of(low: i64, high: i64) -> usize {
    usize::try_from(high - low + 1).unwrap_or(0).saturating_mul(CHUNK_ROWS)
}

/// Whether klines that ascend are all there are within `from..to`, of which the first opens at
/// `from`: of most pages that is so, and then nothing has to be counted one by one.
fn is_whole(records: &[KlineRecord], millis: i64, (from, to): (UnixMillis, UnixMillis)) -> bool {
    let expected = (to.since(from).max(0) + millis - 1) / millis;
    let ascends = records.is_sorted_by(|left, right| left.kline.open_time < right.kline.open_time);
    let begins = records.first().is_none_or(|first| first.kline.open_time >= from);
    let ends = records.last().is_none_or(|last| last.kline.open_time < to);
    ascends && begins && ends && i64::try_from(records.len()) == Ok(expected)
}

/// Names the klines of an unbroken run that were not found: their rows have lost their place.
pub(super) fn report_missing(
    page: &mut ReadPage,
    period: Period,
    (from, to): (UnixMillis, UnixMillis),
) {
    let mut expected = period.open_time(from);
    if expected < from {
        expected = period.next_open_time(expected);
    }
    let at = page.records.partition_point(|record| record.kline.open_time < expected);
    let until = page.records.partition_point(|record| record.kline.open_time < to);
    // Rows that prove themselves lie on the grid: as many as there are places fill all of them.
    let run = page.records.get(at..until).unwrap_or_default();
    if period.fixed_millis().is_some_and(|millis| is_whole(run, millis, (expected, to))) {
        return;
    }
    for record in &page.records[at..] {
        let found = record.kline.open_time;
        while expected < found.min(to) {
            page.missing.push(expected);
            expected = period.next_open_time(expected);
        }
        expected = period.next_open_time(found);
    }
    while expected < to {
        page.missing.push(expected);
        expected = period.next_open_time(expected);
    }
    // A damaged row is there, though not to be trusted.
    let ReadPage { damaged, missing, .. } = page;
    missing.retain(|open_time| !damaged.contains(open_time));
}

/// The rows of one symbol in one chunk: a record, or the open time of a damaged row.
type Chunk = Vec<Result<KlineRecord, UnixMillis>>;

/// The usual case, in which each row is copied once: none is damaged, and where the newest are
/// wanted no hole makes them reach further back than they would. `None` if it is not that case.
pub(super) fn read_straight(
    statement: &mut Statement<'_>,
    (symbol, period): (SymbolId, Period),
    (low, high): (i64, i64),
    (from, to): (UnixMillis, UnixMillis),
    query: &ReadQuery,
) -> rusqlite::Result<Option<Vec<KlineRecord>>> {
    // One chunk more than is full of klines at each end.
    let chunks = i64::try_from(query.limit).unwrap_or(i64::MAX) / CHUNK_KLINES + 2;
    let first = match query.keep {
        ReadEnd::Oldest => low,
        ReadEnd::Newest => low.max(high.saturating_sub(chunks)),
    };
    let last = high.min(first.saturating_add(chunks - 1));
    let mut records = Vec::with_capacity(spans_of(first, last));
    for chunk in first..=high {
        if query.keep == ReadEnd::Oldest && records.len() >= query.limit {
            break;
        }
        let mut rows = statement.query(params![chunk, symbol.0, from.0, to.0])?;
        while let Some(at) = rows.next()? {
            let Some(record) = row::read(at, symbol, period) else { return Ok(None) };
            records.push(record);
        }
    }
    let is_short = query.keep == ReadEnd::Newest && first > low && records.len() < query.limit;
    Ok((!is_short).then_some(records))
}

/// Every case, chunk by chunk from the end that is kept. Returns how many rows were found.
pub(super) fn read_piecewise(
    statement: &mut Statement<'_>,
    key: (SymbolId, Period),
    (low, high): (i64, i64),
    bounds: (UnixMillis, UnixMillis),
    (query, page): (&ReadQuery, &mut ReadPage),
) -> rusqlite::Result<usize> {
    let mut chunks: Vec<Chunk> = Vec::new();
    let mut rows = 0;
    for step in 0..=high - low {
        if rows >= query.limit {
            break;
        }
        let chunk = match query.keep {
            ReadEnd::Oldest => low + step,
            ReadEnd::Newest => high - step,
        };
        let found = read_chunk(statement, key, chunk, bounds)?;
        rows += found.len();
        if !found.is_empty() {
            chunks.push(found);
        }
    }
    if query.keep == ReadEnd::Newest {
        chunks.reverse();
    }
    page.records.reserve(rows.min(query.limit));
    let surplus = rows.saturating_sub(query.limit);
    let skipped = if query.keep == ReadEnd::Newest { surplus } else { 0 };
    for found in chunks.into_iter().flatten().skip(skipped).take(query.limit) {
        match found {
            Ok(record) => page.records.push(record),
            Err(open_time) => page.damaged.push(open_time),
        }
    }
    Ok(rows)
}

/// Rows of one symbol in a chunk at most: months make it one more.
const CHUNK_ROWS: usize = 17;

fn read_chunk(
    statement: &mut Statement<'_>,
    (symbol, period): (SymbolId, Period),
    chunk: i64,
    (from, to): (UnixMillis, UnixMillis),
) -> rusqlite::Result<Chunk> {
    let mut rows = statement.query(params![chunk, symbol.0, from.0, to.0])?;
    let mut found = Vec::with_capacity(CHUNK_ROWS);
    while let Some(at) = rows.next()? {
        found.push(row::read(at, symbol, period).ok_or_else(|| row::open_time(at)));
    }
    Ok(found)
}
