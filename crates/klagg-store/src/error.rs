//! What can go wrong between klagg and its disk.

use std::path::PathBuf;

use klagg_kline::{KlineStatus, Period, SymbolId, UnixMillis};
use rusqlite::ErrorCode;

/// What can go wrong between klagg and its disk. Each text is one sentence for a person.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// The data folder, or a file in it, cannot be made, opened or written.
    #[error("cannot use `{}` in the data folder: {source}", path.display())]
    Unusable {
        /// The folder or file.
        path: PathBuf,
        /// What the system says.
        source: std::io::Error,
    },
    /// There is no database to be read.
    #[error("`{}` holds no store: name the data folder of a klagg that has run", path.display())]
    NoStore {
        /// The folder.
        path: PathBuf,
    },
    /// The folder or the database cannot be written to.
    #[error("`{}` cannot be written to: the store needs a data folder of its own", path.display())]
    ReadOnly {
        /// The folder or file.
        path: PathBuf,
    },
    /// Another instance holds the lock file.
    #[error("another klagg{} already uses the data folder `{}`: end it first, or name another \
        folder",
        process.map_or(String::new(), |id| format!(" (process {id})")), directory.display())]
    InUse {
        /// The data folder.
        directory: PathBuf,
        /// The process that holds it, where it can be told.
        process: Option<u32>,
    },
    /// A file of the store is a symbolic link, which could lead anywhere.
    #[error("`{}` is a symbolic link, which the store does not follow: name the folder where \
        the file itself lies", path.display())]
    SymbolicLink {
        /// The link.
        path: PathBuf,
    },
    /// The database belongs to another program.
    #[error("`{}` is a database of another program: name another data folder", path.display())]
    NotOurs {
        /// The database.
        path: PathBuf,
    },
    /// The database was written by a newer klagg.
    #[error("`{}` has schema version {found}, written by a newer klagg; this one knows \
        {known}: use the newer one",
        path.display())]
    NewerSchema {
        /// The database.
        path: PathBuf,
        /// The version found.
        found: i64,
        /// The newest version that this program knows.
        known: i64,
    },
    /// SQLite is too old: before 3.51.3 two connections could corrupt a WAL database.
    #[error("SQLite {version} is too old: the store needs 3.51.3 or newer")]
    SqliteTooOld {
        /// The version found.
        version: &'static str,
    },
    /// The file system does not let SQLite use a write-ahead log.
    #[error("`{}` lies on a file system without write-ahead logging (SQLite chose `{mode}`)",
        path.display())]
    NoWriteAheadLog {
        /// The database.
        path: PathBuf,
        /// The journal mode that SQLite fell back to.
        mode: String,
    },
    /// The database is damaged as a whole: its pages do not make sense.
    #[error("`{}` is damaged: {detail}", path.display())]
    Corrupt {
        /// The database.
        path: PathBuf,
        /// What was found.
        detail: String,
    },
    /// Rows whose checksum does not match what they hold.
    #[error("{rows} damaged rows of {symbol} {period}, first at {first}")]
    DamagedRows {
        /// The symbol.
        symbol: SymbolId,
        /// The period.
        period: Period,
        /// Open time of the first of them.
        first: UnixMillis,
        /// How many.
        rows: u64,
    },
    /// A kline of a symbol that has no number in this store.
    #[error("symbol {symbol} is not in the store: symbols are written before their klines")]
    UnknownSymbol {
        /// The number.
        symbol: SymbolId,
    },
    /// Symbols that do not continue the numbering, or that contradict what is stored.
    #[error("symbol {symbol} `{name}` does not continue the stored numbering, which has {stored}")]
    NumberingBroken {
        /// The number handed in.
        symbol: SymbolId,
        /// The name handed in.
        name: String,
        /// How many symbols are stored.
        stored: usize,
    },
    /// An open kline for the history, or one that is not open for the table of open ones.
    #[error("{symbol} {period} at {open_time} is {status}, which does not belong into this table")]
    Misplaced {
        /// The symbol.
        symbol: SymbolId,
        /// The period.
        period: Period,
        /// The open time.
        open_time: UnixMillis,
        /// The status.
        status: KlineStatus,
    },
    /// A kline whose open time is not where its period has one.
    #[error("{symbol} {period} has no kline that opens at {open_time}")]
    OffGrid {
        /// The symbol.
        symbol: SymbolId,
        /// The period.
        period: Period,
        /// The open time.
        open_time: UnixMillis,
    },
    /// The writer has stopped: it panicked or was joined.
    #[error("the store's writer has stopped")]
    WriterStopped,
    /// Too many changes of the symbol table wait for the writer.
    #[error("the store's writer is behind: too many changes of symbols wait")]
    WriterBusy,
    /// The writer could not put everything on disk before it had to stop.
    #[error("{rows} rows could not be written before the end: {source}")]
    NotDrained {
        /// How many rows are lost to the store (not to the exchange: they are fetched anew).
        rows: u64,
        /// The last failure.
        source: Box<StoreError>,
    },
    /// SQLite refused: disk full, input or output failed, busy, …
    #[error("{}", words(.0))]
    Database(rusqlite::Error),
}

impl StoreError {
    /// Whether trying again later may help: the disk may have room again, a lock may be free.
    pub fn is_retryable(&self) -> bool {
        matches!(
            self,
            Self::Database(_) | Self::Unusable { .. } | Self::ReadOnly { .. } | Self::WriterBusy
        )
    }
}

/// What SQLite says, in words that help; its number for what is rare.
fn words(error: &rusqlite::Error) -> String {
    match error.sqlite_error() {
        Some(failure) if failure.code == ErrorCode::DiskFull => {
            "the disk that holds the database is full: make room".to_owned()
        }
        Some(failure) => format!("database: {error} (SQLite's code {})", failure.extended_code),
        None => format!("database: {error}"),
    }
}
