//! Opening the database: settings, migration, and what SQLite's errors mean for us.

use std::path::Path;
use std::time::Duration;

use klagg_kline::Period;
use rusqlite::{Connection, ErrorCode, OpenFlags, Transaction, TransactionBehavior, params};

use crate::coverage::rows;
use crate::identity::{check_header, check_identity, check_schema};
use crate::schema::{
    APPLICATION_ID, CLEAR_ENDED, CREATE_TABLES, FROM_1_TO_2, PACKED_SINCE, VERSION, period_number,
};
use crate::views::create_views;
use crate::wal::{AtClose, make_durable, set_at_close};
use crate::{Durability, OpenCheck, StoreConfig, StoreError, symbols};

/// The first SQLite without the bug by which two connections could corrupt a WAL database.
const SQLITE_VERSION_MIN: i32 = 3_051_003;

/// Page size, set before the first page is written: with 8 KiB a chunk of a symbol fills a
/// quarter of a page, and filling is half as fast again as with 4 KiB.
const PAGE_BYTES: u32 = 8192;

/// Page cache of the writer and of a reader, in KiB. The region that a minute's commit writes
/// into takes 2 MiB at 740 symbols.
const WRITER_CACHE_KIB: u32 = 64 * 1024;
const READER_CACHE_KIB: u32 = 8 * 1024;

/// A WAL that grew in a burst is cut back to this size.
const WAL_BYTES_KEPT: u32 = 64 * 1024 * 1024;

/// Longest text of a finding that is kept in an error.
const DETAIL_CHARS_MAX: usize = 300;

/// What a failure of SQLite means. A value that has not the type in which it was written is one
/// that was damaged.
pub(crate) fn failed(path: &Path, error: rusqlite::Error) -> StoreError {
    use rusqlite::Error as Failure;
    if let Failure::FromSqlConversionFailure(..)
    | Failure::IntegralValueOutOfRange(..)
    | Failure::InvalidColumnType(..)
    | Failure::Utf8Error(..)
    | Failure::QueryReturnedNoRows = &error
    {
        return StoreError::Corrupt { path: path.to_owned(), detail: error.to_string() };
    }
    match error.sqlite_error_code() {
        Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => {
            StoreError::Corrupt { path: path.to_owned(), detail: error.to_string() }
        }
        Some(ErrorCode::ReadOnly) => StoreError::ReadOnly { path: path.to_owned() },
        _ => StoreError::Database(error),
    }
}

/// The one writing connection, its schema made or checked. When it is closed it leaves the log as
/// it is, until told otherwise.
pub(crate) fn open_writer(path: &Path, config: &StoreConfig) -> Result<Connection, StoreError> {
    if rusqlite::version_number() < SQLITE_VERSION_MIN {
        return Err(StoreError::SqliteTooOld { version: rusqlite::version() });
    }
    let fail = |error| failed(path, error);
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    check_header(path)?;
    let mut connection = open(path, flags, config.busy_timeout, WRITER_CACHE_KIB).map_err(fail)?;
    check_identity(&connection, path)?;
    connection.pragma_update(None, "page_size", PAGE_BYTES).map_err(fail)?;
    let mode: String = connection
        .pragma_update_and_check(None, "journal_mode", "wal", |row| row.get(0))
        .map_err(fail)?;
    if mode != "wal" {
        return Err(StoreError::NoWriteAheadLog { path: path.to_owned(), mode });
    }
    let synchronous = match config.durability {
        Durability::Full => "FULL",
        Durability::Normal => "NORMAL",
    };
    connection.pragma_update(None, "synchronous", synchronous).map_err(fail)?;
    connection.pragma_update(None, "journal_size_limit", WAL_BYTES_KEPT).map_err(fail)?;
    // Moving pages into the database is done by us, who look at what becomes of it.
    connection.pragma_update(None, "wal_autocheckpoint", 0).map_err(fail)?;
    if config.check == OpenCheck::Quick {
        quick_check(&connection, path)?;
    }
    make_durable(&mut connection, path)?;
    create_schema(&mut connection, path)?;
    check_schema(&connection, path)?;
    Ok(connection)
}

/// A connection that can only read, for a database that a store has opened before.
pub(crate) fn open_reader(path: &Path, busy_timeout: Duration) -> Result<Connection, StoreError> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    open(path, flags, busy_timeout, READER_CACHE_KIB).map_err(|error| failed(path, error))
}

fn open(
    path: &Path,
    flags: OpenFlags,
    busy_timeout: Duration,
    cache_kib: u32,
) -> rusqlite::Result<Connection> {
    let flags = flags | OpenFlags::SQLITE_OPEN_NOFOLLOW;
    let connection = Connection::open_with_flags(path, flags)?;
    // First of all: some settings read the schema, which may be damaged.
    set_at_close(&connection, AtClose::Leave);
    connection.busy_timeout(busy_timeout)?;
    // A memory-mapped file turns a failing disk into a signal instead of an error.
    connection.pragma_update(None, "mmap_size", 0)?;
    connection.pragma_update(None, "cell_size_check", true)?;
    connection.pragma_update(None, "trusted_schema", false)?;
    connection.pragma_update(None, "cache_size", -i64::from(cache_kib))?;
    Ok(connection)
}

fn quick_check(connection: &Connection, path: &Path) -> Result<(), StoreError> {
    let finding: String = connection
        .query_row("PRAGMA quick_check(1)", [], |row| row.get(0))
        .map_err(|error| failed(path, error))?;
    if finding == "ok" {
        return Ok(());
    }
    let detail = finding.chars().take(DETAIL_CHARS_MAX).collect();
    Err(StoreError::Corrupt { path: path.to_owned(), detail })
}

/// Brings the schema to [`VERSION`]. All in one transaction: a crash leaves an empty file, or the
/// version that was there.
fn create_schema(connection: &mut Connection, path: &Path) -> Result<(), StoreError> {
    let fail = |error| failed(path, error);
    let transaction =
        connection.transaction_with_behavior(TransactionBehavior::Immediate).map_err(fail)?;
    let found = schema_version(&transaction, path)?;
    if found == VERSION {
        return Ok(());
    }
    if found == 0 {
        create_tables(&transaction).map_err(fail)?;
    }
    if found == 1 {
        transaction.execute_batch(FROM_1_TO_2).map_err(fail)?;
    }
    if found < 3 {
        symbols::prove_epoch(&transaction).map_err(fail)?;
    }
    if (1..PACKED_SINCE).contains(&found) {
        rows::pack(&transaction, path)?;
        transaction.execute_batch(CLEAR_ENDED).map_err(fail)?;
    }
    transaction.pragma_update(None, "user_version", VERSION).map_err(fail)?;
    transaction.commit().map_err(fail)
}

/// The version of the schema that the database has; 0 before it was filled.
pub(crate) fn schema_version(connection: &Connection, path: &Path) -> Result<i64, StoreError> {
    connection
        .prepare_cached("PRAGMA user_version")
        .and_then(|mut statement| statement.query_row([], |row| row.get(0)))
        .map_err(|error| failed(path, error))
}

/// The tables, the views, and what stands in them from the start.
fn create_tables(transaction: &Transaction<'_>) -> rusqlite::Result<()> {
    transaction.execute_batch(CREATE_TABLES)?;
    transaction.execute_batch(&create_views())?;
    for period in Period::ALL {
        transaction.execute(
            "INSERT INTO period (number, name, millis) VALUES (?1, ?2, ?3)",
            params![period_number(period), period.as_str(), period.fixed_millis()],
        )?;
    }
    // Told apart by chance and not by time: the epoch has no meaning but to be another one.
    transaction.execute(
        "INSERT INTO store (key, value) VALUES ('epoch', random() & 0x7fffffffffffffff)",
        [],
    )?;
    transaction.pragma_update(None, "application_id", APPLICATION_ID)
}
