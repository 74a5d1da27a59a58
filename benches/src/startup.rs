//! Starts of a market in simulated time: what they cost and how long they take.
//!
//! The backfill's state machine is driven against the simulated exchange's own count of weight,
//! with the budget that klagg spends by. Nothing sleeps: time goes from one event to the next.
//! What is not modelled takes no time here: reading the store, and folding.

mod drive;
mod market;

use klagg_engine::{HistoryConfig, HistoryQuery, HistoryReader, HistoryWriter, Keep, history};
use klagg_kline::{KlineStatus, PeriodSet, SymbolId, UnixMillis};

pub use market::{Market, Start};

/// What is kept in memory and so must be held in the end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Kept {
    /// Klines of each period but days.
    pub klines: usize,
    /// Days.
    pub days: usize,
}

/// What a start was like.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct StartFigures {
    /// Symbols that were started with.
    pub symbols: usize,
    /// From the start until the last kline of the time before it was there, in milliseconds.
    pub filled_ms: i64,
    /// Weight spent on klines of the time before the start.
    pub filled_weight: u64,
    /// From the start until live and history had met, in milliseconds.
    pub met_ms: i64,
    /// Weight spent until both were done.
    pub weight: u64,
    /// The most weight in a minute of the exchange.
    pub minute_weight_max: u32,
    /// Requests that the exchange refused: 429 and 418.
    pub refused: u64,
    /// Klines that came from the exchange or were folded.
    pub klines: u64,
}

impl StartFigures {
    /// The shortest time in which the weight can be spent: a share of the limit at once, and as
    /// much again each minute.
    pub fn bound_ms(&self, limit: u32) -> i64 {
        let share = u64::from(limit) * 8 / 10;
        let minutes = self.filled_weight.saturating_sub(1) / share.max(1);
        i64::try_from(minutes * 60_000).unwrap_or(i64::MAX)
    }
}

impl Kept {
    fn capacity(self, periods: &PeriodSet) -> Vec<usize> {
        let mut capacity = vec![self.klines; periods.len()];
        if let Some(last) = capacity.last_mut() {
            *last = self.days;
        }
        capacity
    }

    fn history(self, periods: &PeriodSet, symbols: usize) -> (HistoryWriter, HistoryReader) {
        history(HistoryConfig {
            periods: periods.clone(),
            symbols_max: symbols,
            capacity: self.capacity(periods),
            log_capacity: 1 << 16,
        })
        .expect("numbers that work")
    }
}

/// The first place where a confirmed kline is missing that is kept and closed before `until`, of
/// symbols listed at `listed`. Looks at what is held alone: shares no code with the planner.
fn first_hole(
    reader: &HistoryReader,
    kept: Kept,
    listed: &[UnixMillis],
    until: UnixMillis,
) -> Option<String> {
    let periods = reader.periods().clone();
    let capacity = kept.capacity(&periods);
    for (symbol, &listed) in (0..).map(SymbolId).zip(listed) {
        for (index, &period) in periods.as_slice().iter().enumerate() {
            let query =
                HistoryQuery { from: None, to: None, limit: usize::MAX, keep: Keep::Newest };
            let records = reader.read(symbol, index, &query);
            let confirmed = records.iter().filter(|of| of.status == KlineStatus::Confirmed);
            let times: Vec<UnixMillis> = confirmed.map(|record| record.kline.open_time).collect();
            let newest = reader.last(symbol, index).map(|record| record.kline.open_time);
            // Going back from the last one that closed before `until`, one by one.
            let mut open = period.open_time(period.open_time(until).plus(-1));
            let mut back = newest.map_or(0, |newest| {
                std::iter::successors(Some(open), |at| Some(period.next_open_time(*at)))
                    .take_while(|&at| at < newest)
                    .count()
            });
            while back < capacity[index] && open >= period.open_time(listed) {
                if times.binary_search(&open).is_err() {
                    return Some(format!("symbol {symbol}, {period} at {open}"));
                }
                open = period.open_time(open.plus(-1));
                back += 1;
            }
        }
    }
    None
}
