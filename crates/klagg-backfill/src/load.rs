//! From the store to memory: what was there before this start, read on threads that may block.

use std::collections::VecDeque;
use std::future::Future;

use klagg_kline::{Period, PeriodSet, SymbolId};
use klagg_store::{Newest, StoreError, StoreReader, StoreReaderFactory};

use crate::BackfillError;
use crate::event::Stored;

/// Symbols read by one visit to a thread that may block, at most.
const SYMBOLS_AT_ONCE: usize = 16;
/// Klines beyond which a visit takes fewer symbols.
const KLINES_AT_ONCE: usize = 200_000;
/// Klines that are there at most where all are wanted, as far as a visit reckons: days of eleven
/// years.
const KLINES_EXPECTED: usize = 4_000;
/// Klines of one period of one symbol that are read where all are wanted: 100 years of days.
const KLINES_OF_ALL: usize = 36_525;

/// Reads the store, some symbols at a time.
#[derive(Debug)]
pub(crate) struct Loader {
    factory: StoreReaderFactory,
    periods: PeriodSet,
    capacity: Vec<usize>,
    /// `None` while it is lent, or not open yet.
    reader: Option<StoreReader>,
    waiting: VecDeque<SymbolId>,
    is_busy: bool,
}

/// What one visit brought.
#[derive(Debug)]
pub(crate) struct Visit {
    pub(crate) symbols: Vec<SymbolId>,
    /// Periods come shortest first.
    pub(crate) read: Result<(StoreReader, Vec<Stored>), BackfillError>,
}

impl Loader {
    pub(crate) fn new(
        factory: StoreReaderFactory,
        periods: PeriodSet,
        capacity: Vec<usize>,
    ) -> Self {
        let (reader, waiting, is_busy) = (None, VecDeque::new(), false);
        Self { factory, periods, capacity, reader, waiting, is_busy }
    }

    pub(crate) fn add(&mut self, symbols: Vec<SymbolId>) {
        self.waiting.extend(symbols);
    }

    /// The next visit, unless one is under way or nothing waits.
    pub(crate) fn next_visit(&mut self) -> Option<impl Future<Output = Visit> + Send + use<>> {
        if self.is_busy || self.waiting.is_empty() {
            return None;
        }
        self.is_busy = true;
        let expected = |&kept: &usize| if kept == usize::MAX { KLINES_EXPECTED } else { kept };
        let klines: usize = self.capacity.iter().map(expected).sum();
        let count = (KLINES_AT_ONCE / klines.max(1)).clamp(1, SYMBOLS_AT_ONCE);
        let count = self.waiting.len().min(count);
        let symbols: Vec<SymbolId> = self.waiting.drain(..count).collect();
        let (reader, factory) = (self.reader.take(), self.factory.clone());
        let (periods, capacity) = (self.periods.clone(), self.capacity.clone());
        Some(async move {
            let wanted = symbols.clone();
            let read = tokio::task::spawn_blocking(move || {
                let reader = reader.map_or_else(|| factory.open(), Ok)?;
                let mut all = Vec::new();
                for (index, &period) in periods.as_slice().iter().enumerate() {
                    all.extend(read(&reader, &wanted, (index, period), capacity[index])?);
                }
                Ok((reader, all))
            });
            let failed = |source| BackfillError::Store { doing: "loading klines", source };
            let read = match read.await {
                Ok(read) => read.map_err(failed),
                Err(_) => Err(BackfillError::ReaderLost),
            };
            Visit { symbols, read }
        })
    }

    /// A visit is over: takes the reader back.
    pub(crate) fn returned(&mut self, reader: Option<StoreReader>) {
        self.is_busy = false;
        self.reader = reader;
    }
}

/// How many klines are read of a period of which so many are kept.
const fn limit(capacity: usize) -> usize {
    if capacity == usize::MAX { KLINES_OF_ALL } else { capacity }
}

fn read(
    reader: &StoreReader,
    symbols: &[SymbolId],
    (index, period): (usize, Period),
    capacity: usize,
) -> Result<Vec<Stored>, StoreError> {
    let newest = reader.read_newest(symbols, period, limit(capacity))?;
    let stored = |(&symbol, Newest { page, complete_until }): (&SymbolId, Newest)| {
        let damaged = (page.damaged.len() + page.missing.len()) as u64;
        Stored { symbol, index, records: page.records, damaged, complete_until }
    };
    Ok(symbols.iter().zip(newest).map(stored).collect())
}
