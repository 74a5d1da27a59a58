//! The store: the one writing connection and what it knows.

use std::collections::{BTreeSet, HashMap};
use std::path::Path;

use klagg_kline::{KlineStatus, Period, Precision, SymbolId, UnixMillis};
use rusqlite::{Connection, OptionalExtension, Transaction, TransactionBehavior, params};

use crate::connection::{failed, open_writer};
use crate::coverage::{Slot, by_slot};
use crate::folder::Folder;
use crate::reader::{StoreReader, StoreReaderFactory};
use crate::schema::{
    REPLACE_HISTORY, SELECT_CHUNK, UPSERT_HISTORY, UPSERT_OPEN, chunk_of, is_on_grid,
    period_number, period_of,
};
use crate::symbols;
use crate::{Coverage, StoreConfig, StoreError, StoredKline, StoredSymbol, WriteOutcome, row};

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
}

/// What is held in memory of the database, and true of it after each commit.
#[derive(Debug, Default)]
struct Known {
    symbols: usize,
    slots: HashMap<(SymbolId, Period), Slot>,
    chunks: BTreeSet<i64>,
}

impl Store {
    /// Opens the store in a data folder, making both where they are missing, and holds the
    /// folder until it is dropped.
    ///
    /// # Errors
    /// [`StoreError`]: the folder cannot be used or is in use, a file is a symbolic link, the
    /// database is damaged, newer, or somebody else's.
    pub fn open(config: &StoreConfig) -> Result<Self, StoreError> {
        let folder = Folder::hold(&config.directory)?;
        let connection = open_writer(folder.database(), config)?;
        let known = Known::load(&connection, folder.database())?;
        Ok(Self { connection, folder, config: config.clone(), known })
    }

    /// Closes the connection and opens another one, keeping the folder. For the writer, after
    /// a failure of the disk: what a failed `fsync` left in SQLite's cache is not to be trusted.
    ///
    /// # Errors
    /// As [`Store::open`]. The store can then be reopened again later.
    pub(crate) fn reopen(&mut self) -> Result<(), StoreError> {
        let path = self.folder.database();
        // The old connection is closed before the new one looks at the file.
        let nowhere = Connection::open_in_memory().map_err(|error| failed(path, error))?;
        drop(std::mem::replace(&mut self.connection, nowhere));
        let config = StoreConfig { check: crate::OpenCheck::Header, ..self.config.clone() };
        self.connection = open_writer(path, &config)?;
        self.known = Known::load(&self.connection, path)?;
        Ok(())
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
        let path = self.folder.database();
        let transaction = begin(&mut self.connection).map_err(|error| failed(path, error))?;
        let count = symbols::append(&transaction, path, new)?;
        transaction.commit().map_err(|error| failed(path, error))?;
        self.known.symbols = count;
        Ok(())
    }

    /// Makes a symbol a tombstone. Its number and its klines stay.
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
        let path = self.folder.database();
        let transaction = begin(&mut self.connection).map_err(|error| failed(path, error))?;
        symbols::change(&transaction, path, id, change)?;
        transaction.commit().map_err(|error| failed(path, error))
    }

    /// Writes klines that are no longer open, in one transaction. A row is replaced only by one
    /// that supersedes it. What is returned without error survives what
    /// [`Durability`](crate::Durability) says.
    ///
    /// # Errors
    /// [`StoreError`] of [`Store::check`] for the first bad row, or [`StoreError::Misplaced`] for an
    /// open one, and then nothing is written; or the database cannot be written.
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
        let path = self.folder.database();
        let change = self
            .known
            .write(&mut self.connection, closed, open)
            .map_err(|error| failed(path, error))?;
        self.known.slots.extend(change.slots);
        self.known.chunks.extend(change.chunks);
        Ok(change.outcome)
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
        if (stored.record.status == KlineStatus::Open) == is_open {
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
        Ok(self.known.slots.get(&(symbol, period)).and_then(|slot| slot.run))
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

/// Immediate, so that it waits for a lock at its start and cannot fail half-way for want of one.
fn begin(connection: &mut Connection) -> rusqlite::Result<Transaction<'_>> {
    connection.transaction_with_behavior(TransactionBehavior::Immediate)
}

/// What a transaction changed of [`Known`]; taken over once it is committed.
struct Change {
    outcome: WriteOutcome,
    slots: Vec<((SymbolId, Period), Slot)>,
    chunks: Vec<i64>,
}

impl Known {
    fn load(connection: &Connection, path: &Path) -> Result<Self, StoreError> {
        let damaged = || StoreError::Corrupt {
            path: path.to_owned(),
            detail: "a row of the table coverage does not match its checksum".to_owned(),
        };
        let mut known = Self { symbols: symbols::load(connection, path)?.len(), ..Self::default() };
        let fail = |error| failed(path, error);
        let mut statement = connection.prepare("SELECT * FROM coverage").map_err(fail)?;
        let mut rows = statement.query([]).map_err(fail)?;
        while let Some(row) = rows.next().map_err(fail)? {
            let (key, slot) = Slot::read(row).ok_or_else(damaged)?;
            known.slots.insert(key, slot);
        }
        let open = connection
            .prepare("SELECT symbol, period, open_time FROM open")
            .and_then(|mut statement| {
                let row = |row: &rusqlite::Row<'_>| Ok((row.get(0)?, row.get(1)?, row.get(2)?));
                statement.query_map([], row)?.collect::<rusqlite::Result<Vec<(u32, i64, i64)>>>()
            })
            .map_err(fail)?;
        for (symbol, period, open_time) in open {
            let Some(period) = period_of(period) else { continue };
            known.slots.entry((SymbolId(symbol), period)).or_default().open =
                Some(UnixMillis(open_time));
        }
        known.chunks = connection
            .prepare("SELECT number FROM chunk")
            .and_then(|mut statement| statement.query_map([], |row| row.get(0))?.collect())
            .map_err(fail)?;
        Ok(known)
    }

    fn write(
        &self,
        connection: &mut Connection,
        closed: &[StoredKline],
        open: &[StoredKline],
    ) -> rusqlite::Result<Change> {
        let transaction = begin(connection)?;
        let mut change =
            Change { outcome: WriteOutcome::default(), slots: Vec::new(), chunks: Vec::new() };
        {
            let mut upsert = transaction.prepare_cached(UPSERT_HISTORY)?;
            for stored in closed {
                let chunk = chunk_of(stored.period, stored.record.kline.open_time);
                let mut changed = row::execute(&mut upsert, chunk, stored)?;
                if changed == 0 {
                    changed = supersede(&transaction, chunk, stored)?;
                }
                change.outcome.count(changed);
            }
        }
        self.update_slots(&transaction, closed, &mut change)?;
        self.write_open_rows(&transaction, open, &mut change)?;
        transaction.commit()?;
        Ok(change)
    }

    fn update_slots(
        &self,
        transaction: &Transaction<'_>,
        closed: &[StoredKline],
        change: &mut Change,
    ) -> rusqlite::Result<()> {
        let sorted = by_slot(closed);
        let mut confirmed = Vec::new();
        let mut times = Vec::new();
        for group in sorted
            .chunk_by(|left, right| (left.symbol, left.period) == (right.symbol, right.period))
        {
            let key = (group[0].symbol, group[0].period);
            times.clear();
            confirmed.clear();
            for stored in group {
                let open_time = stored.record.kline.open_time;
                times.push(open_time);
                if stored.record.status == KlineStatus::Confirmed {
                    confirmed.push(open_time);
                }
                self.note_chunk(transaction, key.1, open_time, change)?;
            }
            let before = self.slots.get(&key).copied().unwrap_or_default();
            let mut after = before.after(key, &times, &confirmed, transaction)?;
            if after.open.is_some_and(|open| times.last().is_some_and(|&last| open <= last)) {
                delete_open(transaction, key)?;
                after.open = None;
            }
            if after != before {
                after.save(key, transaction)?;
                change.slots.push((key, after));
            }
        }
        Ok(())
    }

    fn note_chunk(
        &self,
        transaction: &Transaction<'_>,
        period: Period,
        open_time: UnixMillis,
        change: &mut Change,
    ) -> rusqlite::Result<()> {
        let chunk = chunk_of(period, open_time);
        if change.chunks.last() == Some(&chunk) || self.chunks.contains(&chunk) {
            return Ok(());
        }
        let mut insert = transaction
            .prepare_cached("INSERT OR IGNORE INTO chunk (period, number) VALUES (?1, ?2)")?;
        insert.execute(params![period_number(period), chunk])?;
        change.chunks.push(chunk);
        Ok(())
    }

    /// Open klines whose history is already stored, or later than theirs, are passed over.
    fn write_open_rows(
        &self,
        transaction: &Transaction<'_>,
        open: &[StoredKline],
        change: &mut Change,
    ) -> rusqlite::Result<()> {
        let mut upsert = transaction.prepare_cached(UPSERT_OPEN)?;
        let mut changed_slots: HashMap<_, _> = change.slots.drain(..).collect();
        for stored in open {
            let key = (stored.symbol, stored.period);
            let open_time = stored.record.kline.open_time;
            let slot = changed_slots
                .entry(key)
                .or_insert_with(|| self.slots.get(&key).copied().unwrap_or_default());
            let is_past = slot.stored.is_some_and(|(_, last)| open_time <= last);
            let changed = if is_past {
                0
            } else {
                row::execute(&mut upsert, period_number(stored.period), stored)?
            };
            if changed > 0 {
                slot.open = Some(open_time);
            }
            change.outcome.count(changed);
        }
        change.slots = changed_slots.into_iter().collect();
        Ok(())
    }
}

/// The long way: reads what is stored and decides. Taken when the upsert changed nothing, which
/// may mean that the revision has to rise, or that the stored row is damaged.
fn supersede(
    transaction: &Transaction<'_>,
    chunk: i64,
    stored: &StoredKline,
) -> rusqlite::Result<usize> {
    let open_time = stored.record.kline.open_time.0;
    let held = transaction
        .prepare_cached(SELECT_CHUNK)?
        .query_row(params![chunk, stored.symbol.0, open_time, open_time + 1], |held| {
            Ok(row::read(held, stored.symbol, stored.period))
        })
        .optional()?
        .flatten();
    let record = match held {
        Some(held) => stored.record.superseding(&held),
        None => Some(stored.record),
    };
    let Some(record) = record else { return Ok(0) };
    let mut replace = transaction.prepare_cached(REPLACE_HISTORY)?;
    row::execute(&mut replace, chunk, &StoredKline { record, ..*stored })
}

fn delete_open(
    transaction: &Transaction<'_>,
    (symbol, period): (SymbolId, Period),
) -> rusqlite::Result<()> {
    transaction
        .prepare_cached("DELETE FROM open WHERE symbol = ?1 AND period = ?2")?
        .execute(params![symbol.0, period_number(period)])
        .map(drop)
}
