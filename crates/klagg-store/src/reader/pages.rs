//! The klines of one symbol and period, span of time by span of time.

use klagg_kline::{KlineRecord, Period, SymbolId, UnixMillis};
use rusqlite::{Statement, params};

use crate::schema::CHUNK_KLINES;
use crate::{ReadEnd, ReadPage, ReadQuery, row};

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
    let expected = usize::try_from(chunks.min(high - first + 1)).unwrap_or(0) * CHUNK_ROWS;
    let mut records = Vec::with_capacity(expected);
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
