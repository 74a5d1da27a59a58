//! The store: the one writing connection and what it knows.

use std::path::Path;

use klagg_kline::{Period, Precision, SymbolId, UnixMillis};
use rusqlite::Connection;

use crate::connection::{failed, open_writer};
use crate::folder::Folder;
use crate::known::{Known, begin, clear_open};
use crate::quarantine::{self, Quarantine, Saved};
use crate::reader::{StoreReader, StoreReaderFactory};
use crate::retention::Trimming;
use crate::schema::is_on_grid;
use crate::wal::AtClose;
use crate::{
    Coverage, StoreConfig, StoreError, StoredKline, StoredSymbol, SymbolChange, WriteOutcome,
    symbols, wal,
};

/// Klines and symbols on disk: the one writer. Readers are made by [`Store::reader`].
///
/// # Examples
///
/// ```
/// use klagg_kline::{
///     Kline, KlineRecord, KlineStatus, Period, Precision, Price, SymbolId, UnixMillis,
/// };
/// use klagg_store::{Store, StoreConfig, StoredKline, StoredSymbol};
///
/// let folder = tempfile::tempdir()?;
/// let mut store = Store::open(&StoreConfig::new(folder.path()))?;
/// store.append_symbols(&[StoredSymbol {
///     id: SymbolId(0),
///     name: "BTCUSDT".to_owned(),
///     first_open_time: UnixMillis(0),
///     onboard_time: None,
///     precision: Precision::new(2, 3)?,
///     delisted: false,
/// }])?;
/// let kline = Kline::flat(UnixMillis(60_000), Price::parse("82418.70")?);
/// let record = KlineRecord { kline, revision: 0, status: KlineStatus::Confirmed };
/// store.write(&[StoredKline { symbol: SymbolId(0), period: Period::M1, record }])?;
/// assert_eq!(store.complete_until(SymbolId(0), Period::M1)?, Some(UnixMillis(120_000)));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct Store {
    connection: Connection,
    folder: Folder,
    config: StoreConfig,
    known: Known,
    /// Whether the connection has failed, and is opened anew before it is used again.
    is_suspect: bool,
    checkpoint_failures: u64,
    trimming: Trimming,
}

impl Store {
    /// Opens the store in a data folder, making both where they are missing, and holds the
    /// folder until it is dropped.
    ///
    /// # Errors
    /// [`StoreError`]: the folder cannot be used or is in use, a file is a symbolic link, the
    /// database is damaged, newer, or somebody else's.
    pub fn open(config: &StoreConfig) -> Result<Self, StoreError> {
        Self::open_in(Folder::hold(&config.directory)?, config).map_err(|(error, _)| error)
    }

    /// As [`Store::open`], but a damaged database is set aside, with all that belongs to it, and
    /// a new one is made that keeps the symbols' numbers if they can be read. `label` goes into
    /// its name: the time, best.
    ///
    /// # Errors
    /// As [`Store::open`], but for damage.
    pub fn open_or_quarantine(
        config: &StoreConfig,
        label: &str,
    ) -> Result<(Self, Option<Quarantine>), StoreError> {
        let (error, folder) = match Self::open_in(Folder::hold(&config.directory)?, config) {
            Ok(store) => return Ok((store, None)),
            Err(failed) => failed,
        };
        let StoreError::Corrupt { detail, .. } = error else { return Err(error) };
        let Saved { path, numbering } = quarantine::set_aside(folder.database(), label)?;
        folder.make_database()?;
        let mut store = Self::open_in(folder, config).map_err(|(error, _)| error)?;
        let symbols_kept = numbering.as_ref().map(|(_, symbols)| symbols.len());
        if let Some((epoch, symbols)) = numbering {
            store.writing(|known, connection, path| {
                let transaction = begin(connection).map_err(|error| failed(path, error))?;
                let count = symbols::adopt(&transaction, path, epoch, &symbols)?;
                transaction.commit().map_err(|error| failed(path, error))?;
                known.grow(&symbols, count);
                Ok(())
            })?;
        }
        Ok((store, Some(Quarantine { path, detail, symbols_kept })))
    }

    fn open_in(folder: Folder, config: &StoreConfig) -> Result<Self, (StoreError, Folder)> {
        let opened = open_writer(folder.database(), config).and_then(|connection| {
            let known = Known::load(&connection, folder.database())?;
            symbols::epoch(&connection, folder.database())?;
            wal::set_at_close(&connection, AtClose::Move);
            Ok((connection, known))
        });
        match opened {
            Ok((connection, known)) => Ok(Self {
                connection,
                folder,
                config: config.clone(),
                known,
                is_suspect: false,
                checkpoint_failures: 0,
                trimming: Trimming::default(),
            }),
            Err(error) => Err((error, folder)),
        }
    }

    /// Closes the connection and opens another one, keeping the folder. After a failure of the
    /// disk: what a failed sync left in SQLite's cache is not to be trusted, and is not synced
    /// once more.
    ///
    /// # Errors
    /// As [`Store::open`]. The store can then be reopened again later.
    pub(crate) fn reopen(&mut self) -> Result<(), StoreError> {
        self.distrust();
        let path = self.folder.database();
        // The old connection is closed before the new one looks at the file.
        let nowhere = Connection::open_in_memory().map_err(|error| failed(path, error))?;
        drop(std::mem::replace(&mut self.connection, nowhere));
        let config = StoreConfig { check: crate::OpenCheck::Header, ..self.config.clone() };
        self.connection = open_writer(path, &config)?;
        self.known = Known::load(&self.connection, path)?;
        wal::set_at_close(&self.connection, AtClose::Move);
        self.is_suspect = false;
        Ok(())
    }

    fn distrust(&mut self) {
        self.is_suspect = true;
        wal::set_at_close(&self.connection, AtClose::Leave);
    }

    /// Does `write` on a connection that can be trusted, and trusts it no more if that fails.
    fn writing<T>(
        &mut self,
        write: impl FnOnce(&mut Known, &mut Connection, &Path) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        if self.is_suspect {
            self.reopen()?;
        }
        let written = write(&mut self.known, &mut self.connection, self.folder.database());
        if matches!(written, Err(StoreError::Database(_) | StoreError::Corrupt { .. })) {
            self.distrust();
        }
        let written = written?;
        let pages = self.config.checkpoint_pages;
        if let Err(error) = wal::checkpoint_if_due(&self.connection, pages) {
            // What was written is on the disk all the same, in the log.
            tracing::error!(%error, "klines cannot be moved from the log into the database");
            self.checkpoint_failures += 1;
            self.distrust();
        }
        Ok(written)
    }

    /// Deletes a few of the klines that need not be kept, if there are any: see
    /// [`StoreConfig::retention`]. Returns how many rows; `None` once nothing is left to delete.
    ///
    /// # Errors
    /// [`StoreError`] if the database cannot be written.
    pub fn trim(&mut self, now: UnixMillis) -> Result<Option<u64>, StoreError> {
        if self.config.retention.is_empty() {
            return Ok(None);
        }
        let mut trimming = std::mem::take(&mut self.trimming);
        let retention = self.config.retention.clone();
        let trimmed = self.writing(|known, connection, path| {
            trimming.step(&retention, (known, connection), now).map_err(|error| failed(path, error))
        });
        self.trimming = trimming;
        trimmed
    }

    /// How often committed pages could not be moved from the write-ahead log into the database.
    /// Nothing is lost by that, but the log grows until it can be done.
    pub fn checkpoint_failures(&self) -> u64 {
        self.checkpoint_failures
    }

    /// The database file.
    pub fn path(&self) -> &Path {
        self.folder.database()
    }

    /// A number drawn when the database was made: another one tells that the numbering of the
    /// symbols may be another one too.
    ///
    /// # Errors
    /// [`StoreError`] if the database cannot be read.
    pub fn epoch(&self) -> Result<u64, StoreError> {
        symbols::epoch(&self.connection, self.path())
    }

    /// All symbols in the order of their numbers, tombstones included.
    ///
    /// # Errors
    /// [`StoreError`] if the database cannot be read, or if a row is damaged.
    pub fn load_symbols(&self) -> Result<Vec<StoredSymbol>, StoreError> {
        symbols::load(&self.connection, self.path())
    }

    /// Writes symbols that continue the numbering, all or none. Symbols that are stored already
    /// under the same number, name and time are passed over.
    ///
    /// # Errors
    /// [`StoreError::NumberingBroken`] if they do not continue it; else [`StoreError`] if the
    /// database cannot be written.
    pub fn append_symbols(&mut self, new: &[StoredSymbol]) -> Result<(), StoreError> {
        self.writing(|known, connection, path| {
            let transaction = begin(connection).map_err(|error| failed(path, error))?;
            let count = symbols::append(&transaction, path, new)?;
            transaction.commit().map_err(|error| failed(path, error))?;
            known.grow(new, count);
            Ok(())
        })
    }

    /// Changes the table of symbols.
    ///
    /// # Errors
    /// Those of the change.
    pub fn change_symbols(&mut self, change: &SymbolChange) -> Result<(), StoreError> {
        match change {
            SymbolChange::Append(symbols) => self.append_symbols(symbols),
            SymbolChange::Retire(id) => self.retire_symbol(*id),
            SymbolChange::SetPrecision(id, precision) => self.set_precision(*id, *precision),
            SymbolChange::Update(symbol) => {
                self.change_symbol(symbol.id, |stored| stored.clone_from(symbol))
            }
        }
    }

    /// Makes a symbol a tombstone. Its number and its closed klines stay; nothing is open any more.
    ///
    /// # Errors
    /// [`StoreError::UnknownSymbol`], or the database cannot be written.
    pub fn retire_symbol(&mut self, id: SymbolId) -> Result<(), StoreError> {
        self.change_symbol(id, |symbol| symbol.delisted = true)
    }

    /// Changes how a symbol's numbers are printed.
    ///
    /// # Errors
    /// [`StoreError::UnknownSymbol`], or the database cannot be written.
    pub fn set_precision(&mut self, id: SymbolId, precision: Precision) -> Result<(), StoreError> {
        self.change_symbol(id, |symbol| symbol.precision = precision)
    }

    fn change_symbol(
        &mut self,
        id: SymbolId,
        change: impl FnOnce(&mut StoredSymbol),
    ) -> Result<(), StoreError> {
        self.writing(|known, connection, path| {
            let transaction = begin(connection).map_err(|error| failed(path, error))?;
            let symbol = symbols::change(&transaction, path, id, change)?;
            clear_open(&transaction, &symbol).map_err(|error| failed(path, error))?;
            transaction.commit().map_err(|error| failed(path, error))?;
            known.settle(&symbol);
            Ok(())
        })
    }

    /// Writes klines that are no longer open, in one transaction. A row is replaced only by one
    /// that supersedes it. What is returned without error survives what
    /// [`Durability`](crate::Durability) says.
    ///
    /// # Errors
    /// [`StoreError`] of [`Store::check`] for the first bad row, or [`StoreError::Misplaced`] for
    /// an open one, and then nothing is written; or the database cannot be written.
    pub fn write(&mut self, closed: &[StoredKline]) -> Result<WriteOutcome, StoreError> {
        self.commit(closed, &[])
    }

    /// Writes open klines, in one transaction. Each replaces the stored open kline of its symbol
    /// and period if it is a later one, or the same holding more.
    ///
    /// # Errors
    /// As [`Store::write`].
    pub fn write_open(&mut self, open: &[StoredKline]) -> Result<WriteOutcome, StoreError> {
        self.commit(&[], open)
    }

    /// Writes both kinds in one transaction.
    ///
    /// # Errors
    /// As [`Store::write`].
    pub fn commit(
        &mut self,
        closed: &[StoredKline],
        open: &[StoredKline],
    ) -> Result<WriteOutcome, StoreError> {
        for (stored, is_open) in
            closed.iter().map(|row| (row, false)).chain(open.iter().map(|row| (row, true)))
        {
            self.check_for(stored, is_open)?;
        }
        self.writing(|known, connection, path| {
            known.write(connection, closed, open).map_err(|error| failed(path, error))
        })
    }

    /// Whether a kline can be stored at all: its symbol is known and its open time lies on the
    /// grid of its period.
    ///
    /// # Errors
    /// [`StoreError::UnknownSymbol`] or [`StoreError::OffGrid`].
    pub fn check(&self, stored: &StoredKline) -> Result<(), StoreError> {
        let StoredKline { symbol, period, record } = *stored;
        if symbol.index() >= self.known.symbols {
            return Err(StoreError::UnknownSymbol { symbol });
        }
        let open_time = record.kline.open_time;
        if !is_on_grid(period, open_time) {
            return Err(StoreError::OffGrid { symbol, period, open_time });
        }
        Ok(())
    }

    /// As [`Store::check`], and whether its status belongs into the table it is meant for.
    pub(crate) fn check_for(&self, stored: &StoredKline, is_open: bool) -> Result<(), StoreError> {
        self.check(stored)?;
        if stored.record.status.is_open() == is_open {
            return Ok(());
        }
        Err(StoreError::Misplaced {
            symbol: stored.symbol,
            period: stored.period,
            open_time: stored.record.kline.open_time,
            status: stored.record.status,
        })
    }

    /// End of the unbroken run of confirmed klines; `None` if none is confirmed. From memory.
    ///
    /// # Errors
    /// [`StoreError::UnknownSymbol`].
    pub fn complete_until(
        &self,
        symbol: SymbolId,
        period: Period,
    ) -> Result<Option<UnixMillis>, StoreError> {
        Ok(self.coverage(symbol, period)?.map(|run| run.until))
    }

    /// Both ends of that run: see [`Coverage`]. From memory.
    ///
    /// # Errors
    /// [`StoreError::UnknownSymbol`].
    pub fn coverage(
        &self,
        symbol: SymbolId,
        period: Period,
    ) -> Result<Option<Coverage>, StoreError> {
        if symbol.index() >= self.known.symbols {
            return Err(StoreError::UnknownSymbol { symbol });
        }
        Ok(self.known.slots.get((symbol, period)).run)
    }

    /// A reader with a connection of its own.
    ///
    /// # Errors
    /// [`StoreError`] if the database cannot be opened once more.
    pub fn reader(&self) -> Result<StoreReader, StoreError> {
        self.reader_factory().open()
    }

    /// Makes readers later, on other threads, after the store has gone to its writer.
    pub fn reader_factory(&self) -> StoreReaderFactory {
        StoreReaderFactory::new(self.path().to_owned(), self.config.busy_timeout)
    }
}
