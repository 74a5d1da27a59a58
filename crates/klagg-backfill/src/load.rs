//! From the store to memory: what was there before this start.

use klagg_kline::{Kline, KlineRecord, KlineStatus, SymbolId, UnixMillis};
use klagg_store::{ReadEnd, ReadQuery, StoreError, StoreReader};

use crate::BackfillError;
use crate::desk::Desk;
use crate::plan::Depth;
use crate::state::Confirmed;

/// Symbols read by one visit to a thread that may block.
const SYMBOLS_AT_ONCE: usize = 16;
/// Bound on the klines of one period of one symbol that are read, where all are wanted: 100 years
/// of days.
const KLINES_MAX: usize = 36_525;

/// What the store has of one period of one symbol.
#[derive(Debug)]
struct Stored {
    symbol: SymbolId,
    index: usize,
    records: Vec<KlineRecord>,
    damaged: u64,
    complete_until: Option<UnixMillis>,
}

/// Reads what the history keeps of `symbols`, and hands it to history and engine.
pub(crate) async fn load(desk: &Desk, symbols: &[SymbolId]) -> Result<(), BackfillError> {
    let Some(store) = &desk.store else { return Ok(()) };
    let failed = |source| BackfillError::Store { doing: "loading klines", source };
    let mut reader = store.reader.open().map_err(failed)?;
    for (chunk_index, chunk) in symbols.chunks(SYMBOLS_AT_ONCE).enumerate() {
        let (chunk, periods) = (chunk.to_vec(), desk.config.periods.clone());
        let capacity = desk.config.capacity.clone();
        let read = tokio::task::spawn_blocking(move || {
            let mut all = Vec::new();
            for symbol in chunk {
                for (index, &period) in periods.as_slice().iter().enumerate() {
                    let limit = capacity[index].min(KLINES_MAX);
                    let query = ReadQuery { from: None, to: None, limit, keep: ReadEnd::Newest };
                    all.push(read(&reader, symbol, index, period, &query)?);
                }
            }
            Ok((reader, all))
        });
        let stored;
        (reader, stored) = read.await.map_err(|_| BackfillError::ReaderLost)?.map_err(failed)?;
        for stored in stored {
            take(desk, stored).await?;
        }
        let done = (chunk_index * SYMBOLS_AT_ONCE + SYMBOLS_AT_ONCE).min(symbols.len());
        desk.tell(|progress| progress.symbols_done = done);
    }
    Ok(())
}

fn read(
    reader: &StoreReader,
    symbol: SymbolId,
    index: usize,
    period: klagg_kline::Period,
    query: &ReadQuery,
) -> Result<Stored, StoreError> {
    let page = reader.read_page(symbol, period, query)?;
    let damaged = page.damaged.len() as u64;
    let complete_until = reader.complete_until(symbol, period)?;
    Ok(Stored { symbol, index, records: page.records, damaged, complete_until })
}

/// Periods come shortest first, so that longer klines the store lacks are folded here.
async fn take(desk: &Desk, stored: Stored) -> Result<(), BackfillError> {
    let Stored { symbol, index, records, damaged, complete_until } = stored;
    if damaged > 0 {
        tracing::error!(%symbol, damaged, "rows of the store are damaged; fetched anew");
    }
    desk.count(|counts| {
        counts.klines_loaded += records.len() as u64;
        counts.rows_damaged += damaged;
    });
    let confirmed: Vec<Kline> = records
        .iter()
        .filter(|record| record.status == KlineStatus::Confirmed)
        .map(|record| record.kline)
        .collect();
    let folded = fold(desk, symbol, index, &confirmed, complete_until);
    desk.supply(symbol, index, records.iter().copied())?;
    desk.page(symbol, index, records).await?;
    for part in folded {
        desk.hand_on(symbol, part).await?;
    }
    Ok(())
}

fn fold(
    desk: &Desk,
    symbol: SymbolId,
    index: usize,
    confirmed: &[Kline],
    complete_until: Option<UnixMillis>,
) -> Vec<Confirmed> {
    let mut states = desk.states();
    let Some(state) = states.get_mut(&symbol) else { return Vec::new() };
    state.stored_until[index] = complete_until;
    let known = Known::of(desk, state);
    state.take_stored(index, confirmed, &known.wanted(desk))
}

/// What [`Desk::wanted`] borrows from a state, held apart from it while the state changes.
pub(crate) struct Known {
    first_open_time: UnixMillis,
    stored_until: Vec<Option<UnixMillis>>,
    settled: UnixMillis,
}

impl Known {
    pub(crate) fn of(desk: &Desk, state: &crate::state::SymbolState) -> Self {
        Self {
            first_open_time: state.first_open_time,
            stored_until: state.stored_until.clone(),
            settled: desk.settled(),
        }
    }

    pub(crate) fn wanted<'a>(&'a self, desk: &'a Desk) -> crate::plan::Wanted<'a> {
        crate::plan::Wanted {
            periods: &desk.config.periods,
            capacity: &desk.config.capacity,
            first_open_time: self.first_open_time,
            stored_until: &self.stored_until,
            gap_klines_max: desk.config.gap_klines_max,
            settled: self.settled,
            depth: Depth::Recent,
        }
    }
}
