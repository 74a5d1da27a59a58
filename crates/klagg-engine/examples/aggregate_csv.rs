//! Klines from a CSV of trades, on this thread: the smallest program around the engine.
//!
//! ```text
//! cargo run --example aggregate_csv -- fixtures/trades/AUSDT-aggTrades-2024-01-02.csv
//! ```
//!
//! Reads the exchange's dump of aggregate trades from a file, or from stdin; writes klines as CSV.

#[path = "dump/row.rs"]
mod row;

use std::error::Error;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Write};

use klagg_engine::{Aggregator, KlineData};
use klagg_kline::{PeriodSet, SymbolId};

/// A dump is of one symbol: any number will do.
const SYMBOL: SymbolId = SymbolId(0);

fn main() -> Result<(), Box<dyn Error>> {
    match std::env::args_os().nth(1) {
        Some(path) => aggregate(BufReader::new(File::open(path)?), io::stdout().lock()),
        None => aggregate(io::stdin().lock(), io::stdout().lock()),
    }
}

/// Writes each kline when it closes, and at the end those that are still open.
pub(crate) fn aggregate(input: impl BufRead, mut out: impl Write) -> Result<(), Box<dyn Error>> {
    let mut aggregator = Aggregator::new(PeriodSet::default());
    writeln!(out, "period,open_time,open,high,low,close,volume,trades,status")?;
    for line in input.lines() {
        let Some(trade) = row::parse(&line?)? else { continue };
        aggregator.push(SYMBOL, &trade)?;
        for data in aggregator.drain_closed() {
            write_kline(&mut out, &data)?;
        }
    }
    for data in aggregator.open_klines(SYMBOL) {
        write_kline(&mut out, &data)?;
    }
    Ok(())
}

fn write_kline(out: &mut impl Write, data: &KlineData) -> io::Result<()> {
    let period = PeriodSet::default().get(usize::from(data.period_index));
    let (kline, status) = (&data.record.kline, data.record.status);
    write!(out, "{period},{},{},{},", kline.open_time.0, kline.open, kline.high)?;
    write!(out, "{},{},{},", kline.low, kline.close, kline.volume)?;
    writeln!(out, "{},{status}", kline.trade_count)
}
