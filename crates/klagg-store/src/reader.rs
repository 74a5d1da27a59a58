//! Reading: connections that cannot write, rows that prove themselves.

use std::path::{Path, PathBuf};
use std::time::Duration;

use klagg_kline::{KlineRecord, Period, SymbolId, UnixMillis};
use rusqlite::{Connection, params};

use crate::connection::{failed, open_reader, schema_version};
use crate::coverage::{Slot, block, rows};
use crate::schema::{PACKED_SINCE, SELECT_CHUNK, SELECT_OPEN, SELECT_SCAN, chunk_of, period_of};
use crate::{Coverage, ReadPage, ReadQuery, StoreError, StoredKline, StoredSymbol, row, symbols};

mod inspect;
mod newest;
mod pages;

pub use inspect::{Census, CensusSlot};
pub use newest::Newest;
use pages::{finish, read_piecewise, read_straight};

/// Makes readers on any thread.
#[derive(Debug, Clone)]
pub struct StoreReaderFactory {
    path: PathBuf,
    busy_timeout: Duration,
}

impl StoreReaderFactory {
    pub(crate) fn new(path: PathBuf, busy_timeout: Duration) -> Self {
        Self { path, busy_timeout }
    }

    /// A reader with a connection of its own.
    ///
    /// # Errors
    /// [`StoreError`] if the database cannot be opened.
    pub fn open(&self) -> Result<StoreReader, StoreError> {
        let connection = open_reader(&self.path, self.busy_timeout)?;
        Ok(StoreReader { connection, path: self.path.clone() })
    }
}

/// Reads what is committed. Each call sees one state of the database, and holds it no longer
/// than the call takes. It blocks on the disk: call it from a thread that may.
#[derive(Debug)]
pub struct StoreReader {
    connection: Connection,
    path: PathBuf,
}

/// What a scan came across.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ScanOutcome {
    /// Klines handed out.
    pub read: u64,
    /// Rows whose checksum is wrong: counted and left out.
    pub damaged: u64,
}

impl StoreReader {
    /// Closed klines of one symbol and period, oldest first.
    ///
    /// # Errors
    /// [`StoreError::DamagedRows`] if a row among them does not match its checksum, or is missing
    /// where there must be one; else the database cannot be read.
    pub fn read(
        &self,
        symbol: SymbolId,
        period: Period,
        query: &ReadQuery,
    ) -> Result<Vec<KlineRecord>, StoreError> {
        let page = self.read_page(symbol, period, query)?;
        match page.damaged.iter().chain(&page.missing).min() {
            None => Ok(page.records),
            Some(&first) => {
                let rows = (page.damaged.len() + page.missing.len()) as u64;
                Err(StoreError::DamagedRows { symbol, period, first, rows })
            }
        }
    }

    /// As [`StoreReader::read`], but damaged rows are named beside the good ones. They count for
    /// the limit.
    ///
    /// # Errors
    /// [`StoreError`] if the database cannot be read.
    pub fn read_page(
        &self,
        symbol: SymbolId,
        period: Period,
        query: &ReadQuery,
    ) -> Result<ReadPage, StoreError> {
        self.consistently(|reader| reader.read_chunks(symbol, period, query))
    }

    /// Hands out all closed klines of one period that open within `from..to`: by spans of time,
    /// within a span by symbol, and oldest first for each symbol. The fast way to load many
    /// symbols.
    ///
    /// # Errors
    /// [`StoreError`] if the database cannot be read.
    pub fn scan(
        &self,
        period: Period,
        from: UnixMillis,
        to: UnixMillis,
        mut each: impl FnMut(StoredKline),
    ) -> Result<ScanOutcome, StoreError> {
        let mut scan = || -> rusqlite::Result<ScanOutcome> {
            let mut outcome = ScanOutcome::default();
            let mut statement = self.connection.prepare_cached(SELECT_SCAN)?;
            let (first, last) = (chunk_of(period, from), chunk_of(period, to));
            let mut rows = statement.query(params![first, last, from.0, to.0])?;
            while let Some(found) = rows.next()? {
                let symbol = SymbolId(found.get(19)?);
                if let Some(record) = row::read(found, symbol, period) {
                    outcome.read += 1;
                    each(StoredKline { symbol, period, record });
                } else {
                    outcome.damaged += 1;
                }
            }
            Ok(outcome)
        };
        scan().map_err(|error| failed(&self.path, error))
    }

    /// The open klines as last written.
    ///
    /// # Errors
    /// [`StoreError::DamagedRows`] for the first row that does not match its checksum; else the
    /// database cannot be read.
    pub fn open_klines(&self) -> Result<Vec<StoredKline>, StoreError> {
        let fail = |error| failed(&self.path, error);
        let mut statement = self.connection.prepare_cached(SELECT_OPEN).map_err(fail)?;
        let mut rows = statement.query([]).map_err(fail)?;
        let mut klines = Vec::new();
        while let Some(found) = rows.next().map_err(fail)? {
            let symbol = SymbolId(found.get(19).map_err(fail)?);
            let Some(period) = period_of(found.get(20).map_err(fail)?) else { continue };
            let first = row::open_time(found);
            let record = row::read(found, symbol, period).ok_or(StoreError::DamagedRows {
                symbol,
                period,
                first,
                rows: 1,
            })?;
            klines.push(StoredKline { symbol, period, record });
        }
        Ok(klines)
    }

    /// All symbols in the order of their numbers, tombstones included.
    ///
    /// # Errors
    /// [`StoreError`] if the database cannot be read or a row is damaged.
    pub fn symbols(&self) -> Result<Vec<StoredSymbol>, StoreError> {
        symbols::load(&self.connection, &self.path)
    }

    /// See [`Store::epoch`](crate::Store::epoch).
    ///
    /// # Errors
    /// [`StoreError`] if the database cannot be read.
    pub fn epoch(&self) -> Result<u64, StoreError> {
        symbols::epoch(&self.connection, &self.path)
    }

    /// Open time of the newest closed kline.
    ///
    /// # Errors
    /// [`StoreError`] if the database cannot be read.
    pub fn last_open_time(
        &self,
        symbol: SymbolId,
        period: Period,
    ) -> Result<Option<UnixMillis>, StoreError> {
        Ok(self.slot(symbol, period)?.stored.map(|(_, last)| last))
    }

    /// The unbroken run of confirmed klines.
    ///
    /// # Errors
    /// [`StoreError`] if the database cannot be read.
    pub fn coverage(
        &self,
        symbol: SymbolId,
        period: Period,
    ) -> Result<Option<Coverage>, StoreError> {
        Ok(self.slot(symbol, period)?.run)
    }

    /// End of the unbroken run of confirmed klines.
    ///
    /// # Errors
    /// [`StoreError`] if the database cannot be read.
    pub fn complete_until(
        &self,
        symbol: SymbolId,
        period: Period,
    ) -> Result<Option<UnixMillis>, StoreError> {
        Ok(self.coverage(symbol, period)?.map(|run| run.until))
    }

    /// The database file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    fn slot(&self, symbol: SymbolId, period: Period) -> Result<Slot, StoreError> {
        let key = (symbol, period);
        let read = if schema_version(&self.connection, &self.path)? < PACKED_SINCE {
            rows::read(&self.connection, key)
        } else {
            block::read(&self.connection, key)
        };
        read.map_err(|error| failed(&self.path, error))?.ok_or_else(|| StoreError::Corrupt {
            path: self.path.clone(),
            detail: format!("the coverage of {symbol} {period} does not match its checksum"),
        })
    }

    /// Runs several statements on one state of the database.
    fn consistently<T>(
        &self,
        read: impl FnOnce(&Self) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        // Never committed: dropping it ends a transaction that only read.
        let _transaction =
            self.connection.unchecked_transaction().map_err(|error| failed(&self.path, error))?;
        read(self)
    }

    fn read_chunks(
        &self,
        symbol: SymbolId,
        period: Period,
        query: &ReadQuery,
    ) -> Result<ReadPage, StoreError> {
        let mut page = ReadPage::default();
        let Slot { stored: Some((first, last)), run, .. } = self.slot(symbol, period)? else {
            return Ok(page);
        };
        let from = query.from.map_or(first, |from| from.max(first));
        let end = last.plus(1);
        let to = query.to.map_or(end, |to| to.min(end));
        if from >= to {
            return Ok(page);
        }
        let (low, high) = (chunk_of(period, from), chunk_of(period, to));
        let mut statement = self
            .connection
            .prepare_cached(SELECT_CHUNK)
            .map_err(|error| failed(&self.path, error))?;
        let key = (symbol, period);
        let straight = read_straight(&mut statement, key, (low, high), (from, to), query)
            .map_err(|error| failed(&self.path, error))?;
        let rows = match straight {
            Some(records) => {
                page.records = records;
                page.records.len()
            }
            None => {
                read_piecewise(&mut statement, key, (low, high), (from, to), (query, &mut page))
                    .map_err(|error| failed(&self.path, error))?
            }
        };
        Ok(finish(page, period, rows, ((from, to), run), query))
    }
}
