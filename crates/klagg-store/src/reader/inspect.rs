//! Looking a store over from outside: without holding its folder, and beyond what it says of
//! itself.

use std::collections::{BTreeMap, HashSet};
use std::path::Path;
use std::time::Duration;

use klagg_kline::{Period, SymbolId, UnixMillis};

use crate::connection::{failed, open_reader, schema_version};
use crate::folder::Folder;
use crate::identity::{check_header, check_identity};
use crate::schema::{CHUNK_BITS, chunk_of, is_on_grid, period_of};
use crate::{StoreError, StoreReader};

/// Most findings of SQLite's own check that are asked for.
const FINDINGS_MAX: u32 = 20;

/// What stands in the history, counted row by row without trusting any summary.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Census {
    /// The rows of each symbol and period.
    pub slots: BTreeMap<(SymbolId, Period), CensusSlot>,
    /// Rows that lie where no read finds them: their chunk, symbol or open time is impossible.
    pub misplaced: u64,
    /// Rows that the views do not show, for the list of chunks lacks theirs.
    pub unlisted: u64,
}

/// The rows of one symbol and period.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CensusSlot {
    /// How many.
    pub rows: u64,
    /// The least open time.
    pub first: UnixMillis,
    /// The greatest open time.
    pub last: UnixMillis,
}

impl StoreReader {
    /// A reader of the store in a data folder, whether or not a [`Store`](crate::Store) holds it.
    /// Makes and changes nothing but SQLite's own shared memory file.
    ///
    /// # Errors
    /// [`StoreError`] if there is no database, or not one of ours, or a newer one.
    pub fn open_folder(directory: &Path, busy_timeout: Duration) -> Result<Self, StoreError> {
        let path = Folder::find(directory)?;
        check_header(&path)?;
        let connection = open_reader(&path, busy_timeout)?;
        check_identity(&connection, &path)?;
        if schema_version(&connection, &path)? == 0 {
            return Err(StoreError::NoStore { path: directory.to_owned() });
        }
        Ok(Self { connection, path })
    }

    /// What SQLite finds wrong with the pages and tables of the file: nothing, if all is well.
    ///
    /// # Errors
    /// [`StoreError`] if the database cannot be read at all.
    pub fn quick_check(&self) -> Result<Vec<String>, StoreError> {
        let fail = |error| failed(&self.path, error);
        let sql = format!("PRAGMA quick_check({FINDINGS_MAX})");
        let mut statement = self.connection.prepare(&sql).map_err(fail)?;
        let mut rows = statement.query([]).map_err(fail)?;
        let mut findings = Vec::new();
        while let Some(row) = rows.next().map_err(fail)? {
            let finding: String = row.get(0).map_err(fail)?;
            if finding != "ok" {
                findings.push(finding);
            }
        }
        Ok(findings)
    }

    /// Open times of the first and last closed kline that the store says it has.
    ///
    /// # Errors
    /// [`StoreError`] if the database cannot be read.
    pub fn stored(
        &self,
        symbol: SymbolId,
        period: Period,
    ) -> Result<Option<(UnixMillis, UnixMillis)>, StoreError> {
        Ok(self.slot(symbol, period)?.stored)
    }

    /// Counts every row of the history. Reads the whole table.
    ///
    /// # Errors
    /// [`StoreError`] if the database cannot be read.
    pub fn census(&self) -> Result<Census, StoreError> {
        self.count().map_err(|error| failed(&self.path, error))
    }

    fn count(&self) -> rusqlite::Result<Census> {
        // One state of the database: a running writer adds rows and chunks together.
        let _transaction = self.connection.unchecked_transaction()?;
        let listed: HashSet<i64> = self
            .connection
            .prepare("SELECT number FROM chunk")?
            .query_map([], |row| row.get(0))?
            .collect::<rusqlite::Result<_>>()?;
        let mut census = Census::default();
        let mut statement =
            self.connection.prepare("SELECT chunk, symbol, open_time FROM history")?;
        let mut rows = statement.query([])?;
        while let Some(row) = rows.next()? {
            let (chunk, symbol): (i64, i64) = (row.get(0)?, row.get(1)?);
            let open_time = UnixMillis(row.get(2)?);
            census.unlisted += u64::from(!listed.contains(&chunk));
            let period = period_of(chunk >> CHUNK_BITS).filter(|&period| {
                is_on_grid(period, open_time) && chunk_of(period, open_time) == chunk
            });
            let (Some(period), Ok(symbol)) = (period, u32::try_from(symbol)) else {
                census.misplaced += 1;
                continue;
            };
            let empty = CensusSlot { rows: 0, first: open_time, last: open_time };
            let slot = census.slots.entry((SymbolId(symbol), period)).or_insert(empty);
            slot.rows += 1;
            slot.first = slot.first.min(open_time);
            slot.last = slot.last.max(open_time);
        }
        Ok(census)
    }
}
