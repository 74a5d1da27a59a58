//! Trades of the past through the engine that runs live, at full speed: closed klines by callback.
//!
//! ```text
//! cargo run --release --example backtest -- AUSDT-aggTrades-2024-01.csv
//! cargo run --release --example backtest
//! ```
//!
//! With a dump of aggregate trades, its trades; without, two million invented ones of a hundred
//! symbols. The "strategy" counts minutes that closed higher than they opened.

#[path = "dump/row.rs"]
mod row;

use std::error::Error;
use std::fs::File;
use std::io::{BufRead, BufReader};
use std::time::Instant;

use klagg_engine::{Aggregator, EngineError, KlineData};
use klagg_kline::{PeriodSet, Price, Quantity, Side, SymbolId, Trade, TradeId, UnixMillis};

/// Trades between two looks at what has closed: rare enough to cost nothing.
const DRAIN_TRADES: usize = 1_024;

#[expect(clippy::print_stdout, reason = "an example shows what it does")]
#[expect(clippy::disallowed_methods, reason = "an example measures itself")]
fn main() -> Result<(), Box<dyn Error>> {
    let trades = match std::env::args_os().nth(1) {
        Some(path) => load(BufReader::new(File::open(path)?))?,
        None => invent(2_000_000, 100)?,
    };
    let (mut minutes, mut rising) = (0_u64, 0_u64);
    let begin = Instant::now();
    replay(&trades, |data| {
        if data.period_index == 0 {
            minutes += 1;
            rising += u64::from(data.record.kline.close > data.record.kline.open);
        }
    })?;
    let seconds = begin.elapsed().as_secs_f64();
    let million = f64::from(u32::try_from(trades.len())?) / 1e6;
    println!("{minutes} minutes closed, {rising} of them rising");
    println!("{million} million trades in {seconds:.3} s: {:.1} million/s", million / seconds);
    Ok(())
}

/// Folds the trades in their order and calls `on_closed` for every kline of every period that
/// closes, in the order in which they close.
pub(crate) fn replay(
    trades: &[(SymbolId, Trade)],
    mut on_closed: impl FnMut(&KlineData),
) -> Result<(), EngineError> {
    let mut aggregator = Aggregator::new(PeriodSet::default());
    for some in trades.chunks(DRAIN_TRADES) {
        for (symbol, trade) in some {
            aggregator.push(*symbol, trade)?;
        }
        aggregator.drain_closed().for_each(|data| on_closed(&data));
    }
    // What was held back behind a hole in the ids comes out at the end.
    aggregator.finish();
    aggregator.drain_closed().for_each(|data| on_closed(&data));
    Ok(())
}

/// Reads a dump into memory, so that the clock measures the engine and not the disk.
pub(crate) fn load(input: impl BufRead) -> Result<Vec<(SymbolId, Trade)>, Box<dyn Error>> {
    let mut trades = Vec::new();
    for line in input.lines() {
        trades.extend(row::parse(&line?)?.map(|trade| (SymbolId(0), trade)));
    }
    Ok(trades)
}

/// The same trades every time: each symbol in turn, a walk of prices, one trade a millisecond.
pub(crate) fn invent(count: i64, symbols: u32) -> Result<Vec<(SymbolId, Trade)>, Box<dyn Error>> {
    let mut random = 88_172_645_463_325_252_u64;
    let mut prices = vec![100_000_000_i64; symbols as usize];
    let mut trades = Vec::new();
    for number in 0..count {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        let symbol = SymbolId(u32::try_from(number % i64::from(symbols))?);
        let price = &mut prices[symbol.index()];
        *price = (*price + i64::try_from(random % 2_001)? - 1_000).max(1_000_000);
        let quantity = Quantity::from_scaled(1_000_000 * (1 + i64::try_from(random % 97)?));
        let id = TradeId(1 + number / i64::from(symbols));
        let taker = Side::from_buyer_is_maker(random.is_multiple_of(2));
        let price = Price::from_scaled(*price);
        trades.push((symbol, Trade::new(id, UnixMillis(number), price, quantity, 1, taker)?));
    }
    Ok(trades)
}
