//! The floor of the store: bare SQLite through the same library, with the same settings.
//!
//! One prepared upsert, one transaction a batch, the same columns; no checksum, nothing known
//! about holes, no check of a row. What it costs is what nobody can save.

use std::path::Path;

use klagg_kline::{Period, SymbolId};
use klagg_store::StoredKline;
use rusqlite::{Connection, params};

/// 18 digits of a 128-bit value fit one column, the rest another.
const LOWER: i128 = 1_000_000_000_000_000_000;

/// In which order rows lie.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Layout {
    /// Spans of time first, as the store has it: cheap to append to.
    SpansOfTime,
    /// Symbol and period first, as anybody would do it: cheap to read from.
    Symbols,
}

/// A bare database.
#[derive(Debug)]
pub struct Bare {
    connection: Connection,
    layout: Layout,
}

impl Bare {
    /// An empty database in `folder`.
    ///
    /// # Errors
    /// If it cannot be made.
    pub fn create(folder: &Path, layout: Layout) -> rusqlite::Result<Self> {
        let connection = Connection::open(folder.join("bare.db"))?;
        connection.execute_batch(
            "PRAGMA page_size = 8192; PRAGMA journal_mode = wal; PRAGMA synchronous = FULL; \
             PRAGMA mmap_size = 0; PRAGMA cell_size_check = 1; PRAGMA trusted_schema = 0; \
             PRAGMA cache_size = -65536;",
        )?;
        connection.execute_batch(
            "CREATE TABLE history (place INTEGER NOT NULL, symbol INTEGER NOT NULL, \
             open_time INTEGER NOT NULL, open INTEGER NOT NULL, high INTEGER NOT NULL, \
             low INTEGER NOT NULL, close INTEGER NOT NULL, volume_high INTEGER NOT NULL, \
             volume INTEGER NOT NULL, quote_volume_high INTEGER NOT NULL, \
             quote_volume INTEGER NOT NULL, taker_volume_high INTEGER NOT NULL, \
             taker_volume INTEGER NOT NULL, taker_quote_high INTEGER NOT NULL, \
             taker_quote INTEGER NOT NULL, trade_count INTEGER NOT NULL, \
             first_id INTEGER NOT NULL, last_id INTEGER NOT NULL, status INTEGER NOT NULL, \
             revision INTEGER NOT NULL, PRIMARY KEY (place, symbol, open_time)) \
             STRICT, WITHOUT ROWID;",
        )?;
        Ok(Self { connection, layout })
    }

    /// Spans of sixteen klines, or the symbol and the period in one number.
    fn place(&self, symbol: SymbolId, period: Period, open_time: i64) -> i64 {
        match self.layout {
            Layout::SpansOfTime => {
                let step = period.fixed_millis().unwrap_or(1) * 16;
                (period as i64) << 40 | (open_time / step)
            }
            Layout::Symbols => i64::from(symbol.0) << 4 | period as i64,
        }
    }

    /// Writes a batch.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn write(&mut self, rows: &[StoredKline]) -> rusqlite::Result<()> {
        let places: Vec<i64> = rows
            .iter()
            .map(|row| self.place(row.symbol, row.period, row.record.kline.open_time.0))
            .collect();
        let transaction = self.connection.transaction()?;
        {
            let mut upsert = transaction.prepare_cached(UPSERT)?;
            for (place, row) in places.into_iter().zip(rows) {
                let kline = &row.record.kline;
                let [volume, quote, taker, taker_quote] = [
                    kline.volume.scaled(),
                    kline.quote_volume.scaled(),
                    kline.taker_buy_volume.scaled(),
                    kline.taker_buy_quote_volume.scaled(),
                ]
                .map(|value| (narrow(value / LOWER), narrow(value % LOWER)));
                upsert.execute(params![
                    place,
                    row.symbol.0,
                    kline.open_time.0,
                    kline.open.scaled(),
                    kline.high.scaled(),
                    kline.low.scaled(),
                    kline.close.scaled(),
                    volume.0,
                    volume.1,
                    quote.0,
                    quote.1,
                    taker.0,
                    taker.1,
                    taker_quote.0,
                    taker_quote.1,
                    kline.trade_count.cast_signed(),
                    kline.first_id.0,
                    kline.last_id.0,
                    row.record.status as u8,
                    row.record.revision,
                ])?;
            }
        }
        transaction.commit()
    }

    /// Reads all klines of one symbol and period, oldest first: eighteen numbers each.
    ///
    /// # Errors
    /// If they cannot be read.
    ///
    /// # Panics
    /// If rows lie by spans of time.
    pub fn read(&self, symbol: SymbolId, period: Period) -> rusqlite::Result<Vec<[i64; 18]>> {
        assert_eq!(self.layout, Layout::Symbols, "laid out for writing");
        let mut select = self.connection.prepare_cached(SELECT)?;
        let mut rows = select.query(params![self.place(symbol, period, 0), symbol.0])?;
        let mut found = Vec::new();
        while let Some(row) = rows.next()? {
            let mut numbers = [0; 18];
            for (at, number) in numbers.iter_mut().enumerate() {
                *number = row.get(at)?;
            }
            found.push(numbers);
        }
        Ok(found)
    }
}

fn narrow(value: i128) -> i64 {
    i64::try_from(value).expect("a simulated market's volumes are not that large")
}

const UPSERT: &str = "INSERT INTO history VALUES \
    (?1,?2,?3,?4,?5,?6,?7,?8,?9,?10,?11,?12,?13,?14,?15,?16,?17,?18,?19,?20) \
    ON CONFLICT (place, symbol, open_time) DO UPDATE SET open = excluded.open, \
    high = excluded.high, low = excluded.low, close = excluded.close, \
    volume_high = excluded.volume_high, volume = excluded.volume, \
    quote_volume_high = excluded.quote_volume_high, quote_volume = excluded.quote_volume, \
    taker_volume_high = excluded.taker_volume_high, taker_volume = excluded.taker_volume, \
    taker_quote_high = excluded.taker_quote_high, taker_quote = excluded.taker_quote, \
    trade_count = excluded.trade_count, first_id = excluded.first_id, \
    last_id = excluded.last_id, status = excluded.status, revision = excluded.revision \
    WHERE (excluded.status, excluded.revision) > (status, revision)";

const SELECT: &str = "SELECT open_time, open, high, low, close, volume_high, volume, \
    quote_volume_high, quote_volume, taker_volume_high, taker_volume, taker_quote_high, \
    taker_quote, trade_count, first_id, last_id, status, revision \
    FROM history WHERE place = ?1 AND symbol = ?2 ORDER BY open_time";
