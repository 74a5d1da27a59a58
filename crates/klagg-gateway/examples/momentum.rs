//! A strategy inside a tokio program: engine, gateway, and a consumer of one's own that computes
//! the momentum of every symbol on every tick.
//!
//! ```text
//! cargo run --release --example momentum
//! ```
//!
//! The market here is invented, and waits for its readers. Another source would be a socket, and
//! a store would read the persistence queue, which here has no reader.

use std::collections::VecDeque;
use std::error::Error;
use std::sync::Arc;
use std::time::Duration;

use klagg_engine::{
    Continuity, Engine, EngineConfig, EngineFeed, FeedId, HistoryConfig, HistoryQuery,
    HistoryReader, Keep, NewSymbolSpec, SequencerConfig, history,
};
use klagg_gateway::{
    Consumer, ConsumerReport, GatewayConfig, GatewayParts, GlobalKlines, ReadScheduler, Update,
    gateway_task,
};
use klagg_kline::{KlineRecord, PeriodSet, Price, Quantity, Side};
use klagg_kline::{SymbolId, Trade, TradeId, UnixMillis};
use tokio::sync::{mpsc, watch};

const FEED: FeedId = FeedId(0);
const SYMBOLS: u32 = 200;
const MINUTE_MS: i64 = 60_000;
/// Closed minutes that the price is compared with.
const LOOKBACK: usize = 5;
/// Place of the minutes in the default periods.
const MINUTES: usize = 0;

#[tokio::main]
#[expect(clippy::print_stdout, reason = "an example shows what it does")]
async fn main() -> Result<(), Box<dyn Error>> {
    let consumers = run(120, |signal: &Signal| {
        let percent = signal.momentum * 100.0;
        println!("tick {}: symbol {} moves {percent:+.3} %", signal.tick, signal.symbol);
    })
    .await?;
    for report in consumers {
        println!("{}: {} calls, {:?} each on average", report.name, report.calls, report.mean);
    }
    Ok(())
}

/// What the strategy has to say after a tick: the symbol that has moved the most.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Signal {
    pub(crate) tick: u64,
    pub(crate) symbol: SymbolId,
    /// Change since the oldest close of the look-back, as a part of it.
    pub(crate) momentum: f64,
    /// Symbols that had enough minutes to be judged.
    pub(crate) judged: usize,
}

/// Compares, on every tick and for every symbol, the price now with that of some minutes ago.
struct Momentum<F> {
    history: HistoryReader,
    /// The newest closed minutes of each symbol, oldest first.
    closed: Vec<VecDeque<KlineRecord>>,
    on_signal: F,
}

impl<F: FnMut(&Signal) + Send> Consumer for Momentum<F> {
    fn name(&self) -> &'static str {
        "momentum"
    }

    fn on_update(&mut self, update: &Update<'_>) {
        let klines = update.klines;
        if update.resync {
            self.closed.clear();
        }
        while self.closed.len() < klines.symbols() {
            let symbol = SymbolId(u32::try_from(self.closed.len()).unwrap_or(u32::MAX));
            self.closed.push(self.newest_minutes(symbol));
        }
        for data in update.closed.iter().filter(|data| usize::from(data.period_index) == MINUTES) {
            if let Some(minutes) = self.closed.get_mut(data.symbol.index()) {
                take(minutes, &data.record);
            }
        }
        let mut strongest: Option<Signal> = None;
        let mut judged = 0;
        for (symbol, minutes) in (0..).map(SymbolId).zip(&self.closed) {
            let open = klines.slot(symbol, MINUTES).and_then(|slot| slot.open);
            // A symbol whose worker is late has no price of now: it is not judged.
            let (Some(open), None) = (open, klines.staleness(symbol)) else { continue };
            let Some(before) = minutes.front().filter(|_| minutes.len() == LOOKBACK) else {
                continue;
            };
            judged += 1;
            let momentum = open.kline.close.to_f64() / before.kline.close.to_f64() - 1.0;
            if strongest.is_none_or(|held| momentum.abs() > held.momentum.abs()) {
                strongest = Some(Signal { tick: klines.sequence, symbol, momentum, judged: 0 });
            }
        }
        if let Some(signal) = strongest {
            (self.on_signal)(&Signal { judged, ..signal });
        }
    }
}

impl<F> Momentum<F> {
    /// What the history already knows: all there is at the start, or after too much happened.
    fn newest_minutes(&self, symbol: SymbolId) -> VecDeque<KlineRecord> {
        let query = HistoryQuery { from: None, to: None, limit: LOOKBACK, keep: Keep::Newest };
        self.history.read(symbol, MINUTES, &query).into()
    }
}

/// Puts a closed minute where it belongs: behind the newest, or in the place of its older self.
fn take(minutes: &mut VecDeque<KlineRecord>, record: &KlineRecord) {
    let time = record.kline.open_time;
    if let Some(held) = minutes.iter_mut().find(|held| held.kline.open_time == time) {
        *held = *record;
    } else if minutes.back().is_none_or(|newest| newest.kline.open_time < time) {
        minutes.push_back(*record);
        if minutes.len() > LOOKBACK {
            minutes.pop_front();
        }
    }
}

/// Runs everything for `minutes` of exchange time, and ends it in the order of the data.
pub(crate) async fn run(
    minutes: i64,
    on_signal: impl FnMut(&Signal) + Send + 'static,
) -> Result<Vec<ConsumerReport>, Box<dyn Error>> {
    let mut engine = start_engine()?;
    let feed = engine.feed(FEED);
    let periods = PeriodSet::default();
    let capacity = vec![1_000; periods.len()];
    let symbols_max = SYMBOLS as usize;
    let (history_writer, history) = history(HistoryConfig {
        periods: periods.clone(),
        symbols_max,
        capacity,
        log_capacity: 10_000,
    })?;
    let (klines_tx, klines) = watch::channel(Arc::new(GlobalKlines::empty(periods.clone())));
    let (shutdown, shutdown_rx) = watch::channel(false);
    let config = GatewayConfig {
        cadence: Duration::from_millis(2),
        worker_timeout: Duration::from_millis(2),
        alarm_threshold: 5,
        symbols_max,
        periods,
    };
    let parts = GatewayParts {
        readers: engine.take_readers(),
        history: history_writer,
        pages: mpsc::channel(1).1,
        holes: mpsc::channel(1).0,
        klines: klines_tx,
        db_queue: mpsc::channel(1).0,
        shutdown: shutdown_rx,
    };
    let gateway = tokio::spawn(gateway_task(config, parts, wall_clock));
    let strategy = Momentum { history: history.clone(), closed: Vec::new(), on_signal };
    let scheduler =
        ReadScheduler::new(history, vec![Box::new(strategy)], Duration::from_millis(20));
    let consumers = tokio::spawn(scheduler.run(klines.clone()));

    trade(feed, klines, minutes).await?;
    // The feed is dropped: the workers fold what is left while the gateway takes the rest.
    let workers = tokio::task::spawn_blocking(move || engine.join());
    shutdown.send_replace(true);
    gateway.await??;
    workers.await??;
    Ok(consumers.await?)
}

fn start_engine() -> Result<Engine, Box<dyn Error>> {
    let engine = Engine::start(EngineConfig {
        periods: PeriodSet::default(),
        workers: 2,
        symbols_max: SYMBOLS as usize,
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
    Ok(engine)
}

/// An invented market: one trade of each symbol a minute. Symbol n gains n millionths a minute.
async fn trade(
    mut feed: EngineFeed,
    mut klines: watch::Receiver<Arc<GlobalKlines>>,
    minutes: i64,
) -> Result<(), Box<dyn Error>> {
    for minute in 0..minutes {
        let time = UnixMillis(minute * MINUTE_MS);
        for symbol in 0..SYMBOLS {
            let price = Price::from_scaled(100_000_000 + minute * i64::from(symbol) * 100);
            let quantity = Quantity::from_scaled(100_000_000);
            let trade = Trade::new(TradeId(minute + 1), time, price, quantity, 1, Side::Buy)?;
            while feed.push(SymbolId(symbol), trade).is_err() {
                // A full lane is no reason to block a thread of the runtime.
                feed.try_flush()?;
                tokio::task::yield_now().await;
            }
        }
        feed.watermark(time);
        while !feed.try_flush()? {
            tokio::task::yield_now().await;
        }
        klines.wait_for(|klines| klines.exchange_time >= Some(time)).await?;
    }
    Ok(())
}

#[expect(clippy::disallowed_methods, reason = "the program's rim: what time it is for people")]
fn wall_clock() -> UnixMillis {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    UnixMillis(since.map_or(0, |since| i64::try_from(since.as_millis()).unwrap_or(i64::MAX)))
}
