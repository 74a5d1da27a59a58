//! The schema, version 4: its SQL, its numbers, and why the key is what it is.
//!
//! Closed klines live in `history`, clustered by `(chunk, symbol, open_time)`. A chunk is a span
//! of [`CHUNK_KLINES`] klines of one period, all symbols together. So a minute's commit writes
//! into one small region at the end of the table, while the klines of one symbol still lie
//! sixteen in a row. Measured with 740 symbols × 1,500 minutes, 8 KiB pages, WAL,
//! `synchronous=FULL` (2 cores, median of 63 commits of 740 rows):
//!
//! | key | fill by symbol | minute into empty → full | pages | 1,000 klines of a symbol |
//! | --- | ---: | ---: | ---: | ---: |
//! | `symbol, period, open_time` | 435 k rows/s | 8.3 → 44.8 ms | 988 | 0.5 ms |
//! | `period, open_time, symbol` | 78 k rows/s | 1.8 → 2.5 ms | 20 | 7.0 ms |
//! | chunk of 4 | 190 k rows/s | 2.0 → 2.2 ms | 17 | 1.7 ms |
//! | chunk of 8 | 266 k rows/s | 1.9 → 3.0 ms | 62 | 1.5 ms |
//! | **chunk of 16** | 341 k rows/s | 3.4 → 3.6 ms | 145 | 1.0 ms |
//! | chunk of 32 | 411 k rows/s | 3.2 → 5.5 ms | 331 | 0.7 ms |
//!
//! The first key makes every symbol's newest row a page of its own; the second scatters a
//! symbol's history over the whole file. Open klines change every few seconds and live in their
//! own small table, `open`, for the same reason.
//!
//! Volumes are 128-bit integers, which SQLite does not have: each is kept as `value / 10^18` and
//! `value % 10^18`, so that the views can print them. The upper part is `ANY`: an integer, or its
//! decimal text in the range that no market reaches.

use klagg_kline::{Period, UnixMillis};

/// `PRAGMA application_id`: "klag". Tells our database from anybody else's.
pub(crate) const APPLICATION_ID: i64 = 0x6b6c_6167;

/// `PRAGMA user_version` of the schema that this program writes. Version 2 added a column to the
/// table `symbol`, version 3 the checksum of the epoch to the table `store`; version 4 packed the
/// rows of the table `coverage`, and deleted what was open of ended symbols.
pub(crate) const VERSION: i64 = 4;

/// The first version whose table `coverage` is packed.
pub(crate) const PACKED_SINCE: i64 = 4;

/// Klines of one symbol in a chunk. Part of the schema: it decides where a row lies.
pub(crate) const CHUNK_KLINES: i64 = 16;

/// Bits of a chunk's number below the period's.
pub(crate) const CHUNK_BITS: u32 = 40;

/// The last open time that can be stored: the end of the year 9999, so that every time prints.
const OPEN_TIME_MAX: i64 = 253_402_300_799_999;

/// A month counts as its longest; a chunk of months then holds 16 or 17.
const MONTH_MILLIS_MAX: i64 = 31 * 86_400_000;

/// The number of a period in the database. Pinned by a test: it must never change.
pub(crate) const fn period_number(period: Period) -> i64 {
    period as i64
}

/// The period with a number in the database.
pub(crate) fn period_of(number: i64) -> Option<Period> {
    usize::try_from(number).ok().and_then(|at| Period::ALL.get(at).copied())
}

/// The chunk that holds the kline of `period` opening at `open_time`. Ascends with time.
pub(crate) fn chunk_of(period: Period, open_time: UnixMillis) -> i64 {
    let kline_millis = period.fixed_millis().unwrap_or(MONTH_MILLIS_MAX);
    let inside = open_time.0.clamp(0, OPEN_TIME_MAX) / (kline_millis * CHUNK_KLINES);
    (period_number(period) << CHUNK_BITS) | inside
}

/// From when on klines lie in a chunk.
pub(crate) fn chunk_start(chunk: i64) -> UnixMillis {
    let period = period_of(chunk >> CHUNK_BITS);
    let kline_millis = period.and_then(Period::fixed_millis).unwrap_or(MONTH_MILLIS_MAX);
    UnixMillis((chunk & ((1 << CHUNK_BITS) - 1)) * kline_millis * CHUNK_KLINES)
}

/// Whether `period` has a kline that opens at `open_time`, within the years that can be stored.
pub(crate) fn is_on_grid(period: Period, open_time: UnixMillis) -> bool {
    (0..=OPEN_TIME_MAX).contains(&open_time.0) && period.open_time(open_time) == open_time
}

/// The columns of a kline's values, in the order in which rows are bound and read.
macro_rules! value_columns {
    () => {
        "open_time, open, high, low, close, volume_high, volume, quote_volume_high, quote_volume, \
         taker_buy_volume_high, taker_buy_volume, taker_buy_quote_volume_high, \
         taker_buy_quote_volume, trade_count, first_id, last_id, status, revision, checksum"
    };
}

/// What an upsert writes over the old row.
macro_rules! set_values {
    () => {
        "open = excluded.open, high = excluded.high, low = excluded.low, close = excluded.close, \
         volume_high = excluded.volume_high, volume = excluded.volume, \
         quote_volume_high = excluded.quote_volume_high, quote_volume = excluded.quote_volume, \
         taker_buy_volume_high = excluded.taker_buy_volume_high, \
         taker_buy_volume = excluded.taker_buy_volume, \
         taker_buy_quote_volume_high = excluded.taker_buy_quote_volume_high, \
         taker_buy_quote_volume = excluded.taker_buy_quote_volume, \
         trade_count = excluded.trade_count, first_id = excluded.first_id, \
         last_id = excluded.last_id, status = excluded.status, revision = excluded.revision, \
         checksum = excluded.checksum"
    };
}

/// A new row, or one that replaces a lower one without touching the revision it brings: see
/// `KlineRecord::superseding`. Where that rule would raise the revision, this changes nothing and
/// the caller takes the long way.
pub(crate) const UPSERT_HISTORY: &str = concat!(
    "INSERT INTO history (chunk, symbol, ",
    value_columns!(),
    ") VALUES (?1,?2,?3,?4,?5,?6,?7,?8,?9,?10,?11,?12,?13,?14,?15,?16,?17,?18,?19,?20,?21) \
     ON CONFLICT (chunk, symbol, open_time) DO UPDATE SET ",
    set_values!(),
    " WHERE (excluded.status = status AND excluded.revision > revision) \
     OR (excluded.status > status AND (excluded.revision > revision \
     OR (excluded.revision = revision \
     AND (excluded.open, excluded.high, excluded.low, excluded.close, excluded.volume_high, \
     excluded.volume, excluded.quote_volume_high, excluded.quote_volume, \
     excluded.taker_buy_volume_high, excluded.taker_buy_volume, \
     excluded.taker_buy_quote_volume_high, excluded.taker_buy_quote_volume, \
     excluded.trade_count) = (open, high, low, close, volume_high, volume, quote_volume_high, \
     quote_volume, taker_buy_volume_high, taker_buy_volume, taker_buy_quote_volume_high, \
     taker_buy_quote_volume, trade_count))))"
);

/// Replaces whatever is there.
pub(crate) const REPLACE_HISTORY: &str = concat!(
    "INSERT OR REPLACE INTO history (chunk, symbol, ",
    value_columns!(),
    ") VALUES (?1,?2,?3,?4,?5,?6,?7,?8,?9,?10,?11,?12,?13,?14,?15,?16,?17,?18,?19,?20,?21)"
);

/// An open kline: a later one, or the same holding more.
pub(crate) const UPSERT_OPEN: &str = concat!(
    "INSERT INTO open (period, symbol, ",
    value_columns!(),
    ") VALUES (?1,?2,?3,?4,?5,?6,?7,?8,?9,?10,?11,?12,?13,?14,?15,?16,?17,?18,?19,?20,?21) \
     ON CONFLICT (symbol, period) DO UPDATE SET open_time = excluded.open_time, ",
    set_values!(),
    " WHERE excluded.open_time > open_time OR (excluded.open_time = open_time \
     AND (excluded.last_id > last_id OR excluded.trade_count > trade_count))"
);

/// The klines of one symbol in one chunk, within bounds, oldest first.
pub(crate) const SELECT_CHUNK: &str = concat!(
    "SELECT ",
    value_columns!(),
    " FROM history WHERE chunk = ?1 AND symbol = ?2 AND open_time >= ?3 AND open_time < ?4 \
     ORDER BY open_time"
);

/// All klines in one chunk of the symbols within bounds, by symbol, then oldest first.
pub(crate) const SELECT_CHUNK_OF_MANY: &str = concat!(
    "SELECT ",
    value_columns!(),
    ", symbol FROM history WHERE chunk = ?1 AND symbol >= ?2 AND symbol <= ?3 \
     ORDER BY symbol, open_time"
);

/// Everything of one period within bounds, by chunk, then symbol, then time.
pub(crate) const SELECT_SCAN: &str = concat!(
    "SELECT ",
    value_columns!(),
    ", symbol FROM history WHERE chunk >= ?1 AND chunk <= ?2 AND open_time >= ?3 \
     AND open_time < ?4"
);

/// All open klines.
pub(crate) const SELECT_OPEN: &str =
    concat!("SELECT ", value_columns!(), ", symbol, period FROM open");

/// Which klines of one symbol in one chunk are confirmed.
pub(crate) const SELECT_STATUS: &str = "SELECT open_time, status FROM history \
     WHERE chunk = ?1 AND symbol = ?2 ORDER BY open_time";

/// The same columns for both tables that hold klines.
macro_rules! kline_columns {
    () => {
        "open_time INTEGER NOT NULL, open INTEGER NOT NULL, high INTEGER NOT NULL, \
         low INTEGER NOT NULL, close INTEGER NOT NULL, \
         volume_high ANY NOT NULL, volume INTEGER NOT NULL, \
         quote_volume_high ANY NOT NULL, quote_volume INTEGER NOT NULL, \
         taker_buy_volume_high ANY NOT NULL, taker_buy_volume INTEGER NOT NULL, \
         taker_buy_quote_volume_high ANY NOT NULL, taker_buy_quote_volume INTEGER NOT NULL, \
         trade_count INTEGER NOT NULL, first_id INTEGER NOT NULL, last_id INTEGER NOT NULL, \
         status INTEGER NOT NULL, revision INTEGER NOT NULL, checksum INTEGER NOT NULL"
    };
}

/// What version 2 knows and version 1 did not.
pub(crate) const FROM_1_TO_2: &str = "ALTER TABLE symbol ADD COLUMN onboard_time INTEGER;";

/// Deletes what builds before version 4 left open of symbols that ended.
pub(crate) const CLEAR_ENDED: &str =
    "DELETE FROM open WHERE symbol IN (SELECT number FROM symbol WHERE delisted <> 0);";

macro_rules! coverage_table {
    () => {
        "CREATE TABLE coverage (place INTEGER PRIMARY KEY, slots BLOB NOT NULL) STRICT;"
    };
}

/// The table of what is known about the symbols' histories without looking through them.
pub(crate) const COVERAGE_TABLE: &str = coverage_table!();

/// The tables.
pub(crate) const CREATE_TABLES: &str = concat!(
    "CREATE TABLE store (key TEXT PRIMARY KEY, value INTEGER NOT NULL) STRICT, WITHOUT ROWID;
     CREATE TABLE period (number INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, millis INTEGER)
         STRICT;
     CREATE TABLE symbol (number INTEGER PRIMARY KEY, name TEXT NOT NULL,
         first_open_time INTEGER NOT NULL, price_precision INTEGER NOT NULL,
         quantity_precision INTEGER NOT NULL, delisted INTEGER NOT NULL,
         checksum INTEGER NOT NULL, onboard_time INTEGER) STRICT;
     CREATE INDEX symbol_by_name ON symbol (name);
     CREATE TABLE chunk (period INTEGER NOT NULL, number INTEGER NOT NULL,
         PRIMARY KEY (period, number)) STRICT, WITHOUT ROWID;
     ",
    coverage_table!(),
    "
     CREATE TABLE history (chunk INTEGER NOT NULL, symbol INTEGER NOT NULL, ",
    kline_columns!(),
    ", PRIMARY KEY (chunk, symbol, open_time)) STRICT, WITHOUT ROWID;
     CREATE TABLE open (symbol INTEGER NOT NULL, period INTEGER NOT NULL, ",
    kline_columns!(),
    ", PRIMARY KEY (symbol, period)) STRICT, WITHOUT ROWID;"
);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_numbers_of_periods_never_change() {
        let names: Vec<&str> = (0..15).map(|number| period_of(number).unwrap().as_str()).collect();
        let pinned = "1m 3m 5m 15m 30m 1h 2h 4h 6h 8h 12h 1d 3d 1w 1M";
        assert_eq!(names.join(" "), pinned);
        assert!(
            Period::ALL.into_iter().all(|period| period_of(period_number(period)) == Some(period))
        );
        assert_eq!((period_of(15), period_of(-1)), (None, None));
    }

    #[test]
    fn chunks_ascend_with_time_and_hold_what_they_should() {
        for period in Period::ALL {
            let mut open_time = UnixMillis(0);
            let mut held = Vec::new();
            while held.len() < 1_000 {
                assert!(is_on_grid(period, period.open_time(open_time)) || open_time.0 == 0);
                held.push(chunk_of(period, open_time));
                open_time = period.next_open_time(open_time);
            }
            assert!(held.is_sorted());
            let sizes: Vec<usize> = held.chunk_by(|a, b| a == b).map(<[i64]>::len).collect();
            let inner = &sizes[1..sizes.len() - 1];
            assert!(inner.iter().all(|&size| size == 16 || (period == Period::Mo1 && size == 17)));
            assert_eq!(held[0] >> CHUNK_BITS, period_number(period));
            let start = chunk_start(held[500]);
            assert_eq!(chunk_of(period, start), held[500]);
            assert_eq!(chunk_of(period, start.plus(-1)), held[500] - 1);
            assert_eq!(chunk_of(period, UnixMillis(i64::MAX)) >> CHUNK_BITS, period_number(period));
        }
    }
}
