//! Whether a file is a database of ours, of which version, and with the schema of that version.
//!
//! SQLite takes a file at its word: a flipped bit in its header or in the text of its schema gives
//! it another meaning, not an error.

use std::fs::{self, File};
use std::io::Read;
use std::path::Path;

use rusqlite::Connection;

use crate::StoreError;
use crate::connection::failed;
use crate::folder::beside;
use crate::schema::{APPLICATION_ID, CREATE_TABLES, VERSION};
use crate::views::create_views;

/// The header of a database file.
const HEADER_BYTES: usize = 100;
const MAGIC: &[u8; 16] = b"SQLite format 3\0";

fn corrupt(path: &Path, detail: impl Into<String>) -> StoreError {
    StoreError::Corrupt { path: path.to_owned(), detail: detail.into() }
}

/// Looks at the header's fields that SQLite would obey rather than doubt. An empty file has none,
/// and where there is a log, or the journal of a database that was being made when the power went,
/// the header to be obeyed may be in there.
pub(crate) fn check_header(path: &Path) -> Result<(), StoreError> {
    let is_filled =
        |suffix: &&str| fs::metadata(beside(path, suffix)).is_ok_and(|file| file.len() > 0);
    if ["-wal", "-journal"].iter().any(is_filled) {
        return Ok(());
    }
    let mut header = Vec::with_capacity(HEADER_BYTES);
    File::open(path)
        .and_then(|file| file.take(HEADER_BYTES as u64).read_to_end(&mut header))
        .map_err(|source| StoreError::Unusable { path: path.to_owned(), source })?;
    if header.is_empty() {
        return Ok(());
    }
    if header.len() < HEADER_BYTES || &header[..MAGIC.len()] != MAGIC {
        return Err(corrupt(path, "it does not begin as a database does"));
    }
    let number = |at: usize| {
        u32::from_be_bytes([header[at], header[at + 1], header[at + 2], header[at + 3]])
    };
    let is_known = (1..=2).contains(&header[18])
        && (1..=2).contains(&header[19])
        && number(44) <= 4
        && number(56) <= 1;
    if is_known { Ok(()) } else { Err(corrupt(path, "its header makes no sense")) }
}

/// An empty file is ours to fill; anything else must say that it is ours, and not newer.
pub(crate) fn check_identity(connection: &Connection, path: &Path) -> Result<(), StoreError> {
    let number = |name: &str| -> Result<i64, StoreError> {
        connection
            .pragma_query_value(None, name, |row| row.get(0))
            .map_err(|error| failed(path, error))
    };
    let (application, found) = (number("application_id")?, number("user_version")?);
    let is_empty = number("schema_version")? == 0 && application == 0 && found == 0;
    if is_empty {
        return Ok(());
    }
    if application != APPLICATION_ID {
        return Err(StoreError::NotOurs { path: path.to_owned() });
    }
    if found > VERSION {
        return Err(StoreError::NewerSchema { path: path.to_owned(), found, known: VERSION });
    }
    if found < 1 {
        return Err(corrupt(path, format!("it claims to have schema version {found}")));
    }
    Ok(())
}

/// Whether the tables and views are those of this version, to the letter.
pub(crate) fn check_schema(connection: &Connection, path: &Path) -> Result<(), StoreError> {
    let expected = || -> rusqlite::Result<Vec<Entry>> {
        let model = Connection::open_in_memory()?;
        model.execute_batch(CREATE_TABLES)?;
        model.execute_batch(&create_views())?;
        entries(&model)
    };
    let expected = expected().map_err(StoreError::Database)?;
    if entries(connection).map_err(|error| failed(path, error))? == expected {
        return Ok(());
    }
    Err(corrupt(path, "its tables are not those that were made"))
}

/// Kind, name, table, text.
type Entry = (String, String, String, Option<String>);

fn entries(connection: &Connection) -> rusqlite::Result<Vec<Entry>> {
    let mut statement = connection.prepare(
        "SELECT type, name, tbl_name, sql FROM sqlite_schema WHERE name NOT LIKE 'sqlite_stat%' \
         ORDER BY type, name",
    )?;
    let row = |row: &rusqlite::Row<'_>| Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?));
    statement.query_map([], row)?.collect()
}
