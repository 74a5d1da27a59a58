//! The symbol table on disk: rows with a checksum, numbers without holes.

use std::path::Path;

use klagg_kline::{Precision, SymbolId, UnixMillis};
use rusqlite::{Connection, Row, params};

use crate::connection::{failed, schema_version};
use crate::{StoreError, StoredSymbol};

/// The number drawn when the database was made.
pub(crate) fn epoch(connection: &Connection, path: &Path) -> Result<u64, StoreError> {
    let fail = |error| failed(path, error);
    let value = |key: &str| -> Result<i64, StoreError> {
        connection
            .query_row("SELECT value FROM store WHERE key = ?1", [key], |row| row.get(0))
            .map_err(fail)
    };
    let epoch = value("epoch")?;
    if schema_version(connection, path)? > 2 && value("epoch_checksum")? != epoch_checksum(epoch) {
        return Err(StoreError::Corrupt {
            path: path.to_owned(),
            detail: "the epoch does not match its checksum".to_owned(),
        });
    }
    Ok(epoch.cast_unsigned())
}

/// Writes the checksum of the epoch.
pub(crate) fn prove_epoch(connection: &Connection) -> rusqlite::Result<()> {
    let epoch: i64 =
        connection
            .query_row("SELECT value FROM store WHERE key = 'epoch'", [], |row| row.get(0))?;
    let mut insert =
        connection.prepare("INSERT OR REPLACE INTO store (key, value) VALUES (?1, ?2)")?;
    insert.execute(params!["epoch_checksum", epoch_checksum(epoch)])?;
    Ok(())
}

/// Takes over the epoch and the numbering of a database that was set aside.
pub(crate) fn adopt(
    connection: &Connection,
    path: &Path,
    epoch: u64,
    symbols: &[StoredSymbol],
) -> Result<usize, StoreError> {
    let write_epoch = || -> rusqlite::Result<()> {
        let epoch = epoch.cast_signed();
        connection.execute("UPDATE store SET value = ?1 WHERE key = 'epoch'", [epoch])?;
        prove_epoch(connection)
    };
    write_epoch().map_err(|error| failed(path, error))?;
    append(connection, path, symbols)
}

fn epoch_checksum(epoch: i64) -> i64 {
    i64::from(crc32fast::hash(&epoch.to_le_bytes()))
}

/// All symbols in the order of their numbers.
pub(crate) fn load(connection: &Connection, path: &Path) -> Result<Vec<StoredSymbol>, StoreError> {
    let fail = |error| failed(path, error);
    let mut statement = connection
        // Its last column is missing until a database of the first version was opened to write.
        .prepare("SELECT * FROM symbol ORDER BY number")
        .map_err(fail)?;
    let mut rows = statement.query([]).map_err(fail)?;
    let mut symbols = Vec::new();
    while let Some(row) = rows.next().map_err(fail)? {
        let symbol = read(row).filter(|symbol| symbol.id.index() == symbols.len());
        symbols.push(symbol.ok_or_else(|| StoreError::Corrupt {
            path: path.to_owned(),
            detail: format!("row {} of the table symbol is damaged", symbols.len()),
        })?);
    }
    Ok(symbols)
}

/// `None` if the row does not match its checksum.
fn read(row: &Row<'_>) -> Option<StoredSymbol> {
    let symbol = StoredSymbol {
        id: SymbolId(row.get(0).ok()?),
        name: row.get(1).ok()?,
        first_open_time: UnixMillis(row.get(2).ok()?),
        onboard_time: match row.as_ref().column_count() {
            8.. => row.get::<_, Option<i64>>(7).ok()?.map(UnixMillis),
            _ => None,
        },
        precision: Precision::new(row.get(3).ok()?, row.get(4).ok()?).ok()?,
        delisted: row.get(5).ok()?,
    };
    (row.get::<_, u32>(6).ok()? == checksum(&symbol)).then_some(symbol)
}

fn write(connection: &Connection, symbol: &StoredSymbol) -> rusqlite::Result<()> {
    let mut insert = connection.prepare_cached(
        "INSERT OR REPLACE INTO symbol (number, name, first_open_time, price_precision, \
         quantity_precision, delisted, checksum, onboard_time) \
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
    )?;
    insert.execute(params![
        symbol.id.0,
        symbol.name,
        symbol.first_open_time.0,
        symbol.precision.price(),
        symbol.precision.quantity(),
        symbol.delisted,
        checksum(symbol),
        symbol.onboard_time.map(|time| time.0),
    ])?;
    Ok(())
}

/// Writes what continues the numbering; returns how many symbols there are then.
pub(crate) fn append(
    connection: &Connection,
    path: &Path,
    new: &[StoredSymbol],
) -> Result<usize, StoreError> {
    let mut held = load(connection, path)?;
    for symbol in new {
        let is_stored = held.get(symbol.id.index()).is_some_and(|held| {
            held.name == symbol.name && held.first_open_time == symbol.first_open_time
        });
        if is_stored {
            continue;
        }
        if symbol.id.index() != held.len() {
            let name = symbol.name.clone();
            return Err(StoreError::NumberingBroken {
                symbol: symbol.id,
                name,
                stored: held.len(),
            });
        }
        write(connection, symbol).map_err(|error| failed(path, error))?;
        held.push(symbol.clone());
    }
    Ok(held.len())
}

/// Changes one symbol; returns what it is then.
pub(crate) fn change(
    connection: &Connection,
    path: &Path,
    id: SymbolId,
    change: impl FnOnce(&mut StoredSymbol),
) -> Result<StoredSymbol, StoreError> {
    let mut held = load(connection, path)?;
    let stored = held.len();
    let symbol = held.get_mut(id.index()).ok_or(StoreError::UnknownSymbol { symbol: id })?;
    let (name, first_open_time) = (symbol.name.clone(), symbol.first_open_time);
    change(symbol);
    if (&name, first_open_time) != (&symbol.name, symbol.first_open_time) {
        let name = symbol.name.clone();
        return Err(StoreError::NumberingBroken { symbol: id, name, stored });
    }
    write(connection, symbol).map_err(|error| failed(path, error))?;
    Ok(symbol.clone())
}

fn checksum(symbol: &StoredSymbol) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(&symbol.id.0.to_le_bytes());
    hasher.update(symbol.name.as_bytes());
    hasher.update(&symbol.first_open_time.0.to_le_bytes());
    hasher.update(&[
        symbol.precision.price(),
        symbol.precision.quantity(),
        u8::from(symbol.delisted),
    ]);
    // Rows of the first version, which knew nothing of it, stay right.
    if let Some(time) = symbol.onboard_time {
        hasher.update(&time.0.to_le_bytes());
    }
    hasher.finalize()
}
