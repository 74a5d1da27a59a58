//! What the store knows of the database without asking it, and the transaction that changes both.

use std::collections::BTreeSet;
use std::path::Path;

use klagg_kline::{KlineStatus, Period, SymbolId, UnixMillis};
use rusqlite::{
    CachedStatement, Connection, OptionalExtension, Transaction, TransactionBehavior, params,
};

use crate::connection::failed;
use crate::coverage::{Slot, SlotKey, Slots, block, by_slot};
use crate::schema::{
    REPLACE_HISTORY, SELECT_CHUNK, UPSERT_HISTORY, UPSERT_OPEN, chunk_of, period_number, period_of,
};
use crate::{StoreError, StoredKline, StoredSymbol, WriteOutcome, row, symbols};

/// What is held in memory of the database, and true of it after each commit.
#[derive(Debug, Default)]
pub(crate) struct Known {
    /// How many symbols have a number.
    pub(crate) symbols: usize,
    /// Symbols that have ended: of these nothing is open.
    pub(crate) ended: BTreeSet<SymbolId>,
    pub(crate) slots: Slots,
    pub(crate) chunks: BTreeSet<i64>,
}

/// Immediate, so that it waits for a lock at its start and cannot fail half-way for want of one.
pub(crate) fn begin(connection: &mut Connection) -> rusqlite::Result<Transaction<'_>> {
    connection.transaction_with_behavior(TransactionBehavior::Immediate)
}

/// What a transaction changed of [`Known`]; taken over once it is committed.
#[derive(Default)]
struct Change {
    outcome: WriteOutcome,
    /// Sorted by period, then symbol.
    slots: Vec<(SlotKey, Slot)>,
    opened: Vec<(SlotKey, UnixMillis)>,
    chunks: Vec<i64>,
}

impl Known {
    pub(crate) fn load(connection: &Connection, path: &Path) -> Result<Self, StoreError> {
        let symbols = symbols::load(connection, path)?;
        let ended = symbols.iter().filter(|symbol| symbol.delisted).map(|symbol| symbol.id);
        let mut known = Self { symbols: symbols.len(), ended: ended.collect(), ..Self::default() };
        let fail = |error| failed(path, error);
        let is_true = block::load(connection, |key, slot| {
            if key.0.index() < known.symbols {
                *known.slots.get_mut(key) = slot;
            }
        })
        .map_err(fail)?;
        if !is_true {
            return Err(StoreError::Corrupt {
                path: path.to_owned(),
                detail: "a row of the table coverage does not match its checksum".to_owned(),
            });
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
            if (symbol as usize) < known.symbols {
                known.slots.get_mut((SymbolId(symbol), period)).open = Some(UnixMillis(open_time));
            }
        }
        known.chunks = connection
            .prepare("SELECT number FROM chunk")
            .and_then(|mut statement| statement.query_map([], |row| row.get(0))?.collect())
            .map_err(fail)?;
        Ok(known)
    }

    /// Writes klines in one transaction; what it teaches is known from the commit on.
    pub(crate) fn write(
        &mut self,
        connection: &mut Connection,
        closed: &[StoredKline],
        open: &[StoredKline],
    ) -> rusqlite::Result<WriteOutcome> {
        let transaction = begin(connection)?;
        let mut change = Change::default();
        let sorted = by_slot(closed);
        {
            let mut upsert = transaction.prepare_cached(UPSERT_HISTORY)?;
            let mut supersede = Supersede::prepare(&transaction)?;
            for stored in &sorted {
                let chunk = chunk_of(stored.period, stored.record.kline.open_time);
                let mut changed = row::execute(&mut upsert, chunk, stored)?;
                if changed == 0 {
                    changed = supersede.execute(chunk, stored)?;
                }
                change.outcome.count(changed);
            }
        }
        self.update_slots(&transaction, &sorted, &mut change)?;
        self.write_open_rows(&transaction, open, &mut change)?;
        transaction.commit()?;
        for (key, slot) in change.slots {
            *self.slots.get_mut(key) = slot;
        }
        for (key, open_time) in change.opened {
            self.slots.get_mut(key).open = Some(open_time);
        }
        self.chunks.extend(change.chunks);
        Ok(change.outcome)
    }

    fn update_slots(
        &self,
        transaction: &Transaction<'_>,
        sorted: &[&StoredKline],
        change: &mut Change,
    ) -> rusqlite::Result<()> {
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
            let before = self.slots.get(key);
            let mut after = before.after(key, &times, &confirmed, transaction)?;
            if after.open.is_some_and(|open| times.last().is_some_and(|&last| open <= last)) {
                delete_open(transaction, key)?;
                after.open = None;
            }
            if after != before {
                change.slots.push((key, after));
            }
        }
        block::save(&change.slots, &self.slots, transaction)
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

    /// Notes those of the symbols that are new; there are `count` then.
    pub(crate) fn grow(&mut self, symbols: &[StoredSymbol], count: usize) {
        let new = symbols.iter().filter(|symbol| symbol.id.index() >= self.symbols);
        self.ended.extend(new.filter(|symbol| symbol.delisted).map(|symbol| symbol.id));
        self.symbols = count;
    }

    /// Notes what became of a symbol.
    pub(crate) fn settle(&mut self, symbol: &StoredSymbol) {
        if !symbol.delisted {
            self.ended.remove(&symbol.id);
            return;
        }
        self.ended.insert(symbol.id);
        for period in Period::ALL {
            let key = (symbol.id, period);
            if self.slots.get(key).open.is_some() {
                self.slots.get_mut(key).open = None;
            }
        }
    }

    /// Open klines of symbols that have ended, and those whose history is already stored, or later
    /// than theirs, are passed over.
    fn write_open_rows(
        &self,
        transaction: &Transaction<'_>,
        open: &[StoredKline],
        change: &mut Change,
    ) -> rusqlite::Result<()> {
        let mut upsert = transaction.prepare_cached(UPSERT_OPEN)?;
        for stored in open {
            let key = (stored.symbol, stored.period);
            let open_time = stored.record.kline.open_time;
            let last = change.slot(key, &self.slots).stored.map(|(_, last)| last);
            let is_past =
                last.is_some_and(|last| open_time <= last) || self.ended.contains(&stored.symbol);
            let changed = if is_past {
                0
            } else {
                row::execute(&mut upsert, period_number(stored.period), stored)?
            };
            if changed > 0 {
                change.opened.push((key, open_time));
            }
            change.outcome.count(changed);
        }
        Ok(())
    }
}

impl Change {
    /// A slot as it is when this is committed.
    fn slot(&self, key: SlotKey, known: &Slots) -> Slot {
        let place = |(symbol, period): SlotKey| (period, symbol);
        match self.slots.binary_search_by_key(&place(key), |(key, _)| place(*key)) {
            Ok(at) => self.slots[at].1,
            Err(_) => known.get(key),
        }
    }
}

/// The long way: reads what is stored and decides. Taken when the upsert changed nothing, which
/// may mean that the revision has to rise, or that the stored row is damaged.
struct Supersede<'a> {
    select: CachedStatement<'a>,
    replace: CachedStatement<'a>,
}

impl<'a> Supersede<'a> {
    fn prepare(transaction: &'a Transaction<'_>) -> rusqlite::Result<Self> {
        Ok(Self {
            select: transaction.prepare_cached(SELECT_CHUNK)?,
            replace: transaction.prepare_cached(REPLACE_HISTORY)?,
        })
    }

    /// How many rows changed.
    fn execute(&mut self, chunk: i64, stored: &StoredKline) -> rusqlite::Result<usize> {
        let open_time = stored.record.kline.open_time.0;
        let held = self
            .select
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
        row::execute(&mut self.replace, chunk, &StoredKline { record, ..*stored })
    }
}

/// Deletes what was open of a symbol that has ended, in the transaction that says so.
pub(crate) fn clear_open(
    transaction: &Transaction<'_>,
    symbol: &StoredSymbol,
) -> rusqlite::Result<()> {
    if symbol.delisted {
        transaction.prepare_cached("DELETE FROM open WHERE symbol = ?1")?.execute([symbol.id.0])?;
    }
    Ok(())
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
