//! A kline as a row: bound, read back, and proven by its checksum.
//!
//! The checksum is a CRC-32 over the key and every value, so it tells a flipped bit as well as a
//! row that stands where it does not belong. SQLite's own checks look at the structure of pages;
//! most flipped bits in values pass them.

use klagg_kline::{
    Kline, KlineRecord, KlineStatus, Period, Price, QuoteVolume, SymbolId, TradeId, UnixMillis,
    Volume,
};
use rusqlite::types::{ToSqlOutput, Value, ValueRef};
use rusqlite::{Row, Statement, ToSql, params};

use crate::StoredKline;
use crate::schema::period_number;

/// Where a 128-bit value is cut in two: 18 digits fit an `i64` whatever they are.
const LOWER: i128 = 1_000_000_000_000_000_000;

/// Bytes under the checksum: symbol, period, times and ids, prices, volumes, status, revision.
const CHECKED_BYTES: usize = 4 + 1 + 8 + 4 * 8 + 4 * 16 + 8 + 2 * 8 + 1 + 4;

/// The upper part of a 128-bit value: an integer, or decimal text where that does not fit.
struct Upper(i128);

impl ToSql for Upper {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(ToSqlOutput::Owned(match i64::try_from(self.0) {
            Ok(fits) => Value::Integer(fits),
            Err(_) => Value::Text(self.0.to_string()),
        }))
    }
}

/// A 128-bit value cut in two. Divided once: that is among the dearest things done to a row.
fn halves(value: i128) -> (Upper, i64) {
    let upper = value / LOWER;
    let lower = i64::try_from(value - upper * LOWER);
    (Upper(upper), lower.expect("the rest of a division by 10^18 fits"))
}

/// The 128-bit value in columns `at` and `at + 1`.
#[inline]
fn wide(row: &Row<'_>, at: usize) -> Option<i128> {
    let lower = i128::from(integer(row, at + 1)?);
    let upper: i128 = match row.get_ref(at).ok()? {
        // The product of two values of 64 bits always fits, and with what is added to it.
        ValueRef::Integer(upper) => return Some(i128::from(upper) * LOWER + lower),
        ValueRef::Text(text) => std::str::from_utf8(text).ok()?.parse().ok()?,
        _ => return None,
    };
    upper.checked_mul(LOWER)?.checked_add(lower)
}

#[inline]
fn integer(row: &Row<'_>, at: usize) -> Option<i64> {
    match row.get_ref(at).ok()? {
        ValueRef::Integer(integer) => Some(integer),
        _ => None,
    }
}

/// Binds `kline` to a statement whose first parameter is `place`: the chunk for the history, the
/// period for the table of open klines. Returns how many rows changed.
pub(crate) fn execute(
    statement: &mut Statement<'_>,
    place: i64,
    stored: &StoredKline,
) -> rusqlite::Result<usize> {
    let KlineRecord { kline, revision, status } = &stored.record;
    let [volume, quote_volume, taker, taker_quote] = volumes(kline).map(halves);
    statement.execute(params![
        place,
        stored.symbol.0,
        kline.open_time.0,
        kline.open.scaled(),
        kline.high.scaled(),
        kline.low.scaled(),
        kline.close.scaled(),
        volume.0,
        volume.1,
        quote_volume.0,
        quote_volume.1,
        taker.0,
        taker.1,
        taker_quote.0,
        taker_quote.1,
        kline.trade_count.cast_signed(),
        kline.first_id.0,
        kline.last_id.0,
        status.to_u8(),
        revision,
        checksum(stored.symbol, stored.period, &stored.record),
    ])
}

/// The record in a row whose first columns are the values. `None` if the row is damaged: a value
/// has the wrong type or range, or the checksum does not match.
pub(crate) fn read(row: &Row<'_>, symbol: SymbolId, period: Period) -> Option<KlineRecord> {
    let kline = Kline {
        open_time: UnixMillis(integer(row, 0)?),
        open: Price::from_scaled(integer(row, 1)?),
        high: Price::from_scaled(integer(row, 2)?),
        low: Price::from_scaled(integer(row, 3)?),
        close: Price::from_scaled(integer(row, 4)?),
        volume: Volume::from_scaled(wide(row, 5)?),
        quote_volume: QuoteVolume::from_scaled(wide(row, 7)?),
        taker_buy_volume: Volume::from_scaled(wide(row, 9)?),
        taker_buy_quote_volume: QuoteVolume::from_scaled(wide(row, 11)?),
        trade_count: integer(row, 13)?.cast_unsigned(),
        first_id: TradeId(integer(row, 14)?),
        last_id: TradeId(integer(row, 15)?),
    };
    let status = KlineStatus::from_u8(u8::try_from(integer(row, 16)?).ok()?)?;
    let revision = u32::try_from(integer(row, 17)?).ok()?;
    let record = KlineRecord { kline, revision, status };
    let expected = checksum(symbol, period, &record);
    (integer(row, 18)? == i64::from(expected)).then_some(record)
}

/// The symbol in column `at` of a row, if one stands there.
pub(crate) fn symbol(row: &Row<'_>, at: usize) -> Option<SymbolId> {
    u32::try_from(integer(row, at)?).ok().map(SymbolId)
}

/// The open time of a row, as it stands there, for naming a damaged one.
pub(crate) fn open_time(row: &Row<'_>) -> UnixMillis {
    UnixMillis(integer(row, 0).unwrap_or_default())
}

fn volumes(kline: &Kline) -> [i128; 4] {
    [
        kline.volume.scaled(),
        kline.quote_volume.scaled(),
        kline.taker_buy_volume.scaled(),
        kline.taker_buy_quote_volume.scaled(),
    ]
}

fn checksum(symbol: SymbolId, period: Period, record: &KlineRecord) -> u32 {
    let KlineRecord { kline, revision, status } = record;
    let mut buffer = [0; CHECKED_BYTES];
    let mut rest = Rest(&mut buffer);
    rest.put(symbol.0.to_le_bytes());
    rest.put([u8::try_from(period_number(period)).expect("fifteen periods"), status.to_u8()]);
    for value in [
        kline.open_time.0,
        kline.open.scaled(),
        kline.high.scaled(),
        kline.low.scaled(),
        kline.close.scaled(),
        kline.first_id.0,
        kline.last_id.0,
    ] {
        rest.put(value.to_le_bytes());
    }
    for volume in volumes(kline) {
        rest.put(volume.to_le_bytes());
    }
    rest.put(kline.trade_count.to_le_bytes());
    rest.put(revision.to_le_bytes());
    debug_assert!(rest.0.is_empty());
    crc32fast::hash(&buffer)
}

/// What is still to be written of a buffer.
struct Rest<'a>(&'a mut [u8]);

impl Rest<'_> {
    /// Writes to the front. As each length is known when this is compiled, nothing is checked
    /// while it runs.
    fn put<const COUNT: usize>(&mut self, bytes: [u8; COUNT]) {
        let rest = std::mem::take(&mut self.0);
        let (front, left) = rest.split_first_chunk_mut().expect("CHECKED_BYTES holds all of it");
        *front = bytes;
        self.0 = left;
    }
}
