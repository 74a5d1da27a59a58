//! Klines of one slot as one run: store, then memory, then the open kline.
//!
//! The published state is looked at first, memory after it: a kline is in memory before it is
//! published as closed, so nothing can fall between the two. The store is asked only for what
//! opened before the oldest kline in memory.

mod pool;

use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use klagg_engine::{HistoryQuery, Keep};
use klagg_gateway::GlobalKlines;
use klagg_kline::{KlineRecord, Period, Precision, SymbolId, UnixMillis};
use klagg_store::{ReadEnd, ReadQuery, StoreError};

pub(crate) use pool::StorePool;

use crate::WebParts;
use crate::hub::Slot;

/// Which klines: bounds are open times, both inclusive.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Range {
    pub(crate) from: Option<UnixMillis>,
    pub(crate) to: Option<UnixMillis>,
    pub(crate) limit: usize,
    /// Which end is kept if more match.
    pub(crate) keep: Keep,
}

impl Range {
    /// The newest `limit` klines.
    pub(crate) fn newest(limit: usize) -> Self {
        Self { from: None, to: None, limit, keep: Keep::Newest }
    }

    fn holds(&self, time: UnixMillis) -> bool {
        self.from.is_none_or(|from| time >= from) && self.to.is_none_or(|to| time <= to)
    }
}

/// Klines of one slot, ascending, and the published state that they belong to.
#[derive(Debug)]
pub(crate) struct Page {
    pub(crate) sequence: u64,
    pub(crate) records: Vec<KlineRecord>,
}

/// How a slot is named and printed.
#[derive(Debug, Clone)]
pub(crate) struct SlotName {
    pub(crate) symbol: Arc<str>,
    pub(crate) period: Period,
    pub(crate) precision: Precision,
}

/// All that can be read.
#[derive(Debug)]
pub(crate) struct Source {
    pub(crate) parts: WebParts,
    store: Option<StorePool>,
}

impl Source {
    pub(crate) fn new(parts: WebParts, store_readers_max: usize) -> Self {
        let store = parts.store.clone().map(|open| StorePool::new(open, store_readers_max));
        Self { parts, store }
    }

    /// The name of a slot; `None` if there is none.
    pub(crate) fn name(&self, slot: Slot) -> Option<SlotName> {
        let table = self.parts.symbols.load();
        let entry = table.entry(slot.symbol)?;
        let period_index = usize::from(slot.period_index);
        let period = *self.parts.periods.as_slice().get(period_index)?;
        Some(SlotName { symbol: Arc::clone(&entry.name), period, precision: entry.precision })
    }

    /// Looks at the published state. The look must be short: meanwhile it cannot be replaced.
    pub(crate) fn look<T>(&self, look: impl FnOnce(&GlobalKlines) -> T) -> T {
        look(&self.parts.klines.borrow())
    }

    /// For how many milliseconds a symbol's worker has not answered, or its feed has been silent;
    /// `None` while both deliver.
    pub(crate) fn staleness(&self, symbol: SymbolId) -> Option<i64> {
        let since = (self.parts.silent_since)(symbol);
        self.look(|klines| {
            let feed = since.map(|since| klines.published_at.since(since).max(0));
            klines.staleness(symbol).max(feed)
        })
    }

    /// Rows of the store that were left out, for they are damaged or gone.
    pub(crate) fn damaged_rows(&self) -> &AtomicU64 {
        static NONE: AtomicU64 = AtomicU64::new(0);
        self.store.as_ref().map_or(&NONE, |store| &store.damaged)
    }

    /// The open kline of a slot, if there is one.
    pub(crate) fn open(&self, slot: Slot) -> Option<KlineRecord> {
        self.look(|klines| klines.slot(slot.symbol, slot.period_index.into())?.open.copied())
    }

    /// Reads klines.
    ///
    /// # Errors
    /// [`StoreError`] if the store is needed and cannot be read: nothing is better than a hole
    /// that looks like history.
    pub(crate) async fn read(&self, slot: Slot, range: Range) -> Result<Page, StoreError> {
        let (symbol, period_index) = (slot.symbol, usize::from(slot.period_index));
        let (sequence, open) = self.look(|klines| {
            let open = klines.slot(symbol, period_index).and_then(|state| state.open.copied());
            (klines.sequence, open)
        });
        let open = open.filter(|record| range.holds(record.kline.open_time));
        let history = &self.parts.history;
        let query =
            HistoryQuery { from: range.from, to: range.to, limit: range.limit, keep: range.keep };
        let held = history.read(symbol, period_index, &query);
        let everything = HistoryQuery { from: None, to: None, limit: 1, keep: Keep::Oldest };
        let oldest = history.read(symbol, period_index, &everything);
        let oldest = oldest.first().map(|record| record.kline.open_time);
        let mut records = match self.older(slot, range, held.len(), oldest).await? {
            Some(older) => older,
            None => Vec::with_capacity(held.len() + 1),
        };
        records.extend(held);
        let last = records.last().map(|record| record.kline.open_time);
        records.extend(open.filter(|open| last.is_none_or(|last| open.kline.open_time > last)));
        debug_assert!(records.is_sorted_by(|a, b| a.kline.open_time < b.kline.open_time));
        let surplus = records.len().saturating_sub(range.limit);
        match range.keep {
            Keep::Newest => drop(records.drain(..surplus)),
            Keep::Oldest => records.truncate(range.limit),
        }
        Ok(Page { sequence, records })
    }

    /// What the store holds of the range before the oldest kline in memory.
    async fn older(
        &self,
        slot: Slot,
        range: Range,
        held: usize,
        oldest: Option<UnixMillis>,
    ) -> Result<Option<Vec<KlineRecord>>, StoreError> {
        let Some(store) = &self.store else { return Ok(None) };
        let wanted = match range.keep {
            Keep::Newest => range.limit.saturating_sub(held),
            Keep::Oldest => range.limit,
        };
        let first_wanted = range.from.unwrap_or(UnixMillis(i64::MIN));
        if wanted == 0 || oldest.is_some_and(|oldest| first_wanted >= oldest) {
            return Ok(None);
        }
        let after = range.to.map(|to| to.plus(1));
        let to = match (oldest, after) {
            (Some(oldest), Some(after)) => Some(oldest.min(after)),
            (oldest, after) => oldest.or(after),
        };
        let keep = match range.keep {
            Keep::Newest => ReadEnd::Newest,
            Keep::Oldest => ReadEnd::Oldest,
        };
        let period = self.parts.periods.get(slot.period_index.into());
        let query = ReadQuery { from: range.from, to, limit: wanted, keep };
        let mut records = store.read(slot.symbol, period, query).await?;
        records.retain(|record| !record.status.is_open());
        Ok(Some(records))
    }
}
