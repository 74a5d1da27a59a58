//! The table `coverage` as versions 1 to 3 of the schema had it: a row for each slot.
//!
//! Such a database is read as it is; the first writer that opens it packs its rows into blocks.

use std::path::Path;

use klagg_kline::{SymbolId, UnixMillis};
use rusqlite::{Connection, OptionalExtension, Row, params};

use crate::connection::failed;
use crate::coverage::{Slot, SlotKey, Slots, block};
use crate::schema::{COVERAGE_TABLE, period_number, period_of};
use crate::{Coverage, StoreError, symbols};

/// Bytes under a row's checksum at most: symbol, period, three pairs and whether they are there.
const CHECKED_BYTES_MAX: usize = 4 + 8 + 3 * (1 + 16);

/// Packs the rows into blocks, in the transaction that `connection` is in.
pub(crate) fn pack(connection: &Connection, path: &Path) -> Result<(), StoreError> {
    let symbols = symbols::load(connection, path)?.len();
    let fail = |error| failed(path, error);
    let mut slots = Vec::new();
    {
        let mut statement =
            connection.prepare("SELECT * FROM coverage ORDER BY period, symbol").map_err(fail)?;
        let mut rows = statement.query([]).map_err(fail)?;
        while let Some(row) = rows.next().map_err(fail)? {
            let slot = read_row(row).filter(|((symbol, _), _)| symbol.index() < symbols);
            slots.push(slot.ok_or_else(|| StoreError::Corrupt {
                path: path.to_owned(),
                detail: "a row of the table coverage does not match its checksum".to_owned(),
            })?);
        }
    }
    connection
        .execute_batch("DROP TABLE coverage")
        .and_then(|()| connection.execute_batch(COVERAGE_TABLE))
        .and_then(|()| block::save(&slots, &Slots::default(), connection))
        .map_err(fail)
}

/// What is known of one slot. `None` if its row is damaged.
pub(crate) fn read(connection: &Connection, key: SlotKey) -> rusqlite::Result<Option<Slot>> {
    let found = connection
        .prepare_cached("SELECT * FROM coverage WHERE symbol = ?1 AND period = ?2")?
        .query_row(params![key.0.0, period_number(key.1)], |row| Ok(read_row(row)))
        .optional()?;
    Ok(found.map_or(Some(Slot::default()), |row| row.map(|(_, slot)| slot)))
}

/// A slot from a row with all columns of the table. `None` if it is damaged.
fn read_row(row: &Row<'_>) -> Option<(SlotKey, Slot)> {
    let number = |at: usize| row.get::<_, i64>(at).ok();
    let pair = |at: usize| -> Option<Option<(UnixMillis, UnixMillis)>> {
        let (first, second): (Option<i64>, Option<i64>) =
            (row.get(at).ok()?, row.get(at + 1).ok()?);
        match (first, second) {
            (Some(first), Some(second)) => Some(Some((UnixMillis(first), UnixMillis(second)))),
            (None, None) => Some(None),
            _ => None,
        }
    };
    let key = (SymbolId(u32::try_from(number(0)?).ok()?), period_of(number(1)?)?);
    let slot = Slot {
        run: pair(2)?.map(|(from, until)| Coverage { from, until }),
        confirmed: pair(4)?,
        stored: pair(6)?,
        open: None,
    };
    (number(8)? == i64::from(checksum(key, &slot))).then_some((key, slot))
}

fn checksum(key: SlotKey, slot: &Slot) -> u32 {
    let mut bytes = Vec::with_capacity(CHECKED_BYTES_MAX);
    bytes.extend_from_slice(&key.0.0.to_le_bytes());
    bytes.extend_from_slice(&period_number(key.1).to_le_bytes());
    for pair in [slot.run.map(|run| (run.from, run.until)), slot.confirmed, slot.stored] {
        bytes.push(u8::from(pair.is_some()));
        if let Some((first, second)) = pair {
            bytes.extend_from_slice(&first.0.to_le_bytes());
            bytes.extend_from_slice(&second.0.to_le_bytes());
        }
    }
    crc32fast::hash(&bytes)
}
