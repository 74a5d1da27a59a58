//! The write-ahead log when it cannot be trusted, and when it has grown.
//!
//! A commit is acknowledged once the log was synced. Two things break the chain from there to the
//! disk. A process that was killed before the sync leaves a commit that the next one finds in the
//! system's cache and takes for done. And a sync that failed leaves pages in that cache that the
//! system believes to be written: no later sync brings them to the disk, yet what is committed
//! after them can be read only with them. So whatever log is found when a connection is opened is
//! first written once more, byte for byte, where it stands, and synced.

use std::fs::OpenOptions;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::Path;

use rusqlite::config::DbConfig;
use rusqlite::{Connection, TransactionBehavior};

use crate::StoreError;
use crate::connection::failed;
use crate::folder::{beside, sync_names};

/// Bytes written again in one go.
const PIECE_BYTES: u64 = 1 << 20;

/// Makes everything that `connection` takes for committed durable.
pub(crate) fn make_durable(connection: &mut Connection, path: &Path) -> Result<(), StoreError> {
    // Held so that nobody else writes to the log. Readers see the same bytes before and after.
    let _lock = connection
        .transaction_with_behavior(TransactionBehavior::Immediate)
        .map_err(|error| failed(path, error))?;
    let log = beside(path, "-wal");
    // The log is there as soon as the lock is held; its name and the database's must stay.
    let directory = path.parent().unwrap_or(path);
    write_again(&log)
        .and_then(|()| sync_names(directory))
        .map_err(|source| StoreError::Unusable { path: log, source })
}

fn write_again(path: &Path) -> io::Result<()> {
    let mut log = OpenOptions::new().read(true).write(true).open(path)?;
    let length = log.metadata()?.len();
    let mut piece = Vec::new();
    for offset in (0..length).step_by(usize::try_from(PIECE_BYTES).unwrap_or(usize::MAX)) {
        piece.clear();
        log.seek(SeekFrom::Start(offset))?;
        (&mut log).take(PIECE_BYTES).read_to_end(&mut piece)?;
        log.seek(SeekFrom::Start(offset))?;
        log.write_all(&piece)?;
    }
    log.sync_all()
}

/// What becomes of the log when a connection is closed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum AtClose {
    /// It is moved into the database, and there is none any more.
    Move,
    /// It stays as it is, and nothing is synced: of a connection that failed, or that may yet turn
    /// out to have opened a damaged database, which is set aside as it was found.
    Leave,
}

/// Decides what becomes of the log when `connection` is closed.
pub(crate) fn set_at_close(connection: &Connection, at_close: AtClose) {
    let leave = at_close == AtClose::Leave;
    let config = DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE;
    if let Err(error) = connection.set_db_config(config, leave) {
        tracing::error!(%error, ?at_close, "what is done at the end cannot be decided");
    }
}

/// Moves committed pages into the database once the log holds `pages` of them. SQLite would do
/// this by itself, but would not say if it failed.
pub(crate) fn checkpoint_if_due(connection: &Connection, pages: u32) -> rusqlite::Result<()> {
    let (in_log, moved): (i64, i64) = connection
        .prepare_cached("PRAGMA wal_checkpoint(NOOP)")?
        .query_row([], |row| Ok((row.get(1)?, row.get(2)?)))?;
    if in_log < i64::from(pages) || in_log <= moved {
        return Ok(());
    }
    // Passive: a reader that holds pages back delays nobody, and the next attempt goes on.
    connection.prepare_cached("PRAGMA wal_checkpoint(PASSIVE)")?.query_row([], |_| Ok(()))
}
