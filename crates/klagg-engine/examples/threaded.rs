//! Worker threads fed by a source of one's own, and a reader that takes snapshots meanwhile.
//!
//! ```text
//! cargo run --release --example threaded
//! ```
//!
//! Three threads and the workers: the source pushes trades, this one reads, and a third waits for
//! the workers. The end follows the data: the source drops its feed, the workers fold what is
//! left, the reader takes their last deltas and says so, and the workers return.

use std::error::Error;
use std::thread;
use std::time::Duration;

use klagg_engine::{
    Continuity, Engine, EngineConfig, EngineFeed, EngineReport, FeedId, NewSymbolSpec,
    SequencerConfig, WorkerDelta,
};
use klagg_kline::{PeriodSet, Price, Quantity, Side, SymbolId, Trade, TradeId, UnixMillis};

const FEED: FeedId = FeedId(0);
const SYMBOLS: u32 = 50;
/// Each symbol trades this often a minute of exchange time.
const TRADES_A_MINUTE: i64 = 20;
/// A worker that is silent for so long is not busy but stuck.
const PATIENCE: Duration = Duration::from_secs(20);

#[expect(clippy::print_stdout, reason = "an example shows what it does")]
fn main() -> Result<(), Box<dyn Error>> {
    let mut snapshots = 0_u64;
    let report = run(240, |delta| {
        snapshots += 1;
        if let Some(newest) = delta.closed.last() {
            let (kline, open) = (&newest.record.kline, delta.open.len());
            println!(
                "worker {}: {} closed, the last at {}; {open} open ones changed",
                delta.worker,
                delta.closed.len(),
                kline.close,
            );
        }
    })?;
    let trades: u64 = report.workers.iter().map(|worker| worker.trades).sum();
    println!("{trades} trades folded, {snapshots} snapshots taken");
    Ok(())
}

/// Feeds `minutes` of trades and hands every snapshot to `on_delta`.
pub(crate) fn run(
    minutes: i64,
    mut on_delta: impl FnMut(&WorkerDelta),
) -> Result<EngineReport, Box<dyn Error>> {
    let mut engine = Engine::start(EngineConfig {
        periods: PeriodSet::default(),
        workers: 2,
        symbols_max: 1_000,
        queue_batches: 16,
        batch_trades: 256,
        close_grace_ms: 500,
        sequencer: SequencerConfig { continuity: Continuity::Checked, held_max: 1, hold_ms: 0 },
        undelivered_max: 100_000,
        first_core: None,
    })?;
    let control = engine.control();
    for id in (0..SYMBOLS).map(SymbolId) {
        control.add_symbol(NewSymbolSpec {
            id,
            feed: FEED,
            previous_close: None,
            next_id: None,
            since: None,
        })?;
    }
    drop(control);
    let feed = engine.feed(FEED);
    let source = thread::spawn(move || produce(feed, minutes).map_err(|error| error.to_string()));
    let mut readers = engine.take_readers();
    // From here on the engine is only waited for: while it is held, workers expect more feeds.
    let workers = thread::spawn(move || engine.join());
    while !readers.is_empty() {
        let mut finished = Vec::new();
        for reader in &readers {
            let delta = reader.request_snapshot()?.wait(PATIENCE)?;
            on_delta(&delta);
            reader.acknowledge(delta.sequence);
            if delta.is_last {
                finished.push(reader.worker());
            }
            reader.recycle(delta);
        }
        readers.retain(|reader| !finished.contains(&reader.worker()));
    }
    source.join().map_err(|_| "the source panicked")??;
    Ok(workers.join().map_err(|_| "the waiting thread panicked")??)
}

/// The caller's own source. Another would read a socket, and flush at the end of each read.
fn produce(mut feed: EngineFeed, minutes: i64) -> Result<(), Box<dyn Error>> {
    let step_ms = 60_000 / TRADES_A_MINUTE;
    for id in 1..=minutes * TRADES_A_MINUTE {
        let time = UnixMillis((id - 1) * step_ms);
        for symbol in 0..SYMBOLS {
            let price = Price::from_scaled(100_000_000 + (id * i64::from(symbol + 1)) % 1_000_000);
            let quantity = Quantity::from_scaled(25_000_000);
            let trade = Trade::new(TradeId(id), time, price, quantity, 1, Side::Buy)?;
            // A full lane refuses and hands the trade back: wait for room, then push it again.
            if let Err(full) = feed.push(SymbolId(symbol), trade) {
                feed.flush()?;
                feed.push(full.0.symbol, full.0.trade)?;
            }
        }
        feed.watermark(time);
    }
    Ok(feed.flush()?)
}
