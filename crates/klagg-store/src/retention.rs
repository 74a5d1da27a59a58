//! Old klines are deleted where a period is not kept for ever.
//!
//! Always true here: a step deletes at most the klines of [`SYMBOLS_AT_ONCE`] symbols in one span
//! of time, so that no commit waits for long; what is known of these symbols' history is changed
//! in the same transaction, so that [`Coverage`](crate::Coverage) stays true whenever a step is
//! cut short. Only whole spans go, and only those older than both the newest kline and the clock
//! allow: neither a kline from the future nor a clock that is wrong empties the store.

use klagg_kline::{Period, SymbolId, UnixMillis};
use rusqlite::{Connection, params};

use crate::coverage::{Slot, SlotKey, block};
use crate::known::{Known, begin};
use crate::schema::{CHUNK_BITS, chunk_of, chunk_start, period_number};

/// Symbols whose klines of one span are deleted at once: about a thousand rows.
const SYMBOLS_AT_ONCE: u32 = 64;

const DAY_MILLIS: i64 = 86_400_000;

/// How long klines of a period are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Retention {
    /// Which klines.
    pub period: Period,
    /// Days before the newest kline of which all are kept.
    pub days: u32,
}

/// Where the deleting of a span has got to.
#[derive(Debug, Default)]
pub(crate) struct Trimming {
    chunk: i64,
    next_symbol: u32,
}

impl Trimming {
    /// The oldest span that need not be kept, if there is one.
    fn due(retention: Retention, known: &Known, now: UnixMillis) -> Option<i64> {
        let all = period_number(retention.period) << CHUNK_BITS;
        let all = all..all + (1 << CHUNK_BITS);
        let oldest = *known.chunks.range(all.clone()).next()?;
        let newest = chunk_start(*known.chunks.range(all).next_back()?);
        let kept = newest.min(now).plus(-i64::from(retention.days) * DAY_MILLIS);
        // The span that holds the first kline to be kept stays whole.
        (oldest < chunk_of(retention.period, kept)).then_some(oldest)
    }

    /// Deletes a little, in one transaction. Returns how many rows; `None` if nothing is due.
    pub(crate) fn step(
        &mut self,
        retentions: &[Retention],
        (known, connection): (&mut Known, &mut Connection),
        now: UnixMillis,
    ) -> rusqlite::Result<Option<u64>> {
        let due = retentions.iter().find_map(|&retention| {
            Self::due(retention, known, now).map(|chunk| (retention.period, chunk))
        });
        let Some((period, chunk)) = due else { return Ok(None) };
        let first = if self.chunk == chunk { self.next_symbol } else { 0 };
        let end = first + SYMBOLS_AT_ONCE;
        let kept_from = chunk_start(chunk + 1);
        let transaction = begin(connection)?;
        let rows = transaction
            .prepare_cached(
                "DELETE FROM history WHERE chunk = ?1 AND symbol >= ?2 AND symbol < ?3",
            )?
            .execute(params![chunk, first, end])?;
        let mut changed: Vec<(SlotKey, Slot)> = Vec::new();
        for symbol in (first..end).map(SymbolId) {
            let key = (symbol, period);
            let before = known.slots.get(key);
            let after = before.without(key, kept_from, &transaction)?;
            if after != before {
                changed.push((key, after));
            }
        }
        block::save(&changed, &known.slots, &transaction)?;
        let is_last = end as usize >= known.symbols;
        if is_last {
            transaction
                .prepare_cached("DELETE FROM chunk WHERE period = ?1 AND number = ?2")?
                .execute(params![period_number(period), chunk])?;
        }
        transaction.commit()?;
        for (key, slot) in changed {
            *known.slots.get_mut(key) = slot;
        }
        if is_last {
            known.chunks.remove(&chunk);
        }
        *self = Self { chunk, next_symbol: if is_last { 0 } else { end } };
        Ok(Some(rows as u64))
    }
}
