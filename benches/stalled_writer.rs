//! Question: how much later do readers see a frame while the database writer stands still?
//!
//! Two whole pipelines in one program, from a frame's bytes over worker, gateway task and `watch`
//! to a thread that waits for snapshots. The writer of one takes every wake-up and pulls from the
//! history; that of the other takes one and then stands still, for a minute in a full run, so that
//! the persistence queue stays full. Frames come at their own pace, whatever the pipeline does,
//! to the two in turn. Compared is the 99th percentile of the time from a frame to the first
//! snapshot that shows it, round by round; promised is that the middle one of the ratios stays
//! below 1.1. Then the writer goes on, and has to take all that closed meanwhile.

use std::collections::HashMap;
use std::sync::{Arc, Condvar, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use klagg_bench::{Market, Rounds, combined_frame, is_quick, size};
use klagg_engine::{
    Continuity, Engine, EngineConfig, EngineFeed, FeedId, HistoryConfig, HistoryQuery,
    HistoryReader, Keep, NewSymbolSpec, SequencerConfig, history,
};
use klagg_gateway::{
    GatewayConfig, GatewayError, GatewayParts, GatewayReport, GlobalKlines, Unwritten, gateway_task,
};
use klagg_kline::{KlineRecord, Period, PeriodSet, SymbolId, TradeId, UnixMillis};
use klagg_wire::{Decoder, StreamEvent};
use tokio::runtime::Runtime;
use tokio::sync::{mpsc, watch};

const SYMBOLS: usize = 600;
/// Ten times as often as live, so that little can hide behind the waiting for the next tick.
const CADENCE: Duration = Duration::from_millis(10);
const FRAME_CADENCE: Duration = Duration::from_micros(500);
/// Wake-ups that find room: the queue is full after less than a fifth of a second.
const DB_QUEUE: usize = 16;
/// Only a failing run waits for it.
const DEADLINE: Duration = Duration::from_secs(20);

/// A slot and the open time of a kline in it.
type Place = (SymbolId, Period, UnixMillis);

/// Lets through, or not.
#[derive(Default)]
struct Gate {
    is_shut: Mutex<bool>,
    opened: Condvar,
}

impl Gate {
    fn set(&self, is_shut: bool) {
        *self.is_shut.lock().expect("no panic") = is_shut;
        self.opened.notify_all();
    }

    fn pass(&self) {
        let is_shut = self.is_shut.lock().expect("no panic");
        drop(self.opened.wait_while(is_shut, |is_shut| *is_shut).expect("no panic"));
    }
}

/// When how many trades were shown.
type Seen = Arc<Mutex<Vec<(Instant, u64)>>>;

struct Pipeline {
    market: Market,
    decoder: Decoder,
    feed: EngineFeed,
    fed: u64,
    engine: Engine,
    seen: Seen,
    gate: Arc<Gate>,
    history: HistoryReader,
    shutdown: watch::Sender<bool>,
    gateway: tokio::task::JoinHandle<Result<GatewayReport, GatewayError>>,
    watcher: JoinHandle<()>,
    writer: JoinHandle<HashMap<Place, KlineRecord>>,
}

impl Pipeline {
    fn start(runtime: &Runtime) -> Self {
        let mut engine = start_engine();
        let (feed, readers) = (engine.feed(FeedId(0)), engine.take_readers());
        let (history_writer, history) = history(HistoryConfig {
            periods: PeriodSet::default(),
            symbols_max: SYMBOLS,
            capacity: vec![256; PeriodSet::default().len()],
            log_capacity: 1 << 16,
        })
        .expect("numbers that work");
        let (klines_tx, klines) = watch::channel(Arc::default());
        let (db_tx, db_queue) = mpsc::channel(DB_QUEUE);
        let (shutdown, shutdown_rx) = watch::channel(false);
        let (_, pages) = mpsc::channel(1);
        let parts = GatewayParts {
            readers,
            history: history_writer,
            pages,
            klines: klines_tx,
            holes: mpsc::channel(1).0,
            db_queue: db_tx,
            shutdown: shutdown_rx,
        };
        let config = GatewayConfig {
            cadence: CADENCE,
            worker_timeout: CADENCE / 2,
            alarm_threshold: 1_000,
            symbols_max: SYMBOLS,
            periods: PeriodSet::default(),
        };
        let (seen, gate) = (Seen::default(), Arc::<Gate>::default());
        Self {
            market: Market::new(5, SYMBOLS),
            decoder: Decoder::new(),
            feed,
            fed: 0,
            engine,
            watcher: watch_snapshots(runtime, klines, Arc::clone(&seen)),
            writer: write(db_queue, history.clone(), Arc::clone(&gate)),
            seen,
            gate,
            history,
            shutdown,
            gateway: runtime.spawn(gateway_task(config, parts, || UnixMillis(0))),
        }
    }

    /// Feeds frames for so long, and says after which time 99 of 100 were shown.
    fn round(&mut self, frames: usize) -> Duration {
        self.seen.lock().expect("no panic").clear();
        let mut sent = Vec::with_capacity(frames);
        let mut next = now();
        for _ in 0..frames {
            let one = self.market.next().expect("endless");
            let frame = combined_frame(&self.market, &one).into_bytes();
            std::thread::sleep(next.saturating_duration_since(now()));
            // The moment at which it was due: being late is no excuse.
            sent.push(next);
            next += FRAME_CADENCE;
            let event = self.decoder.decode(&frame).expect("our own frame");
            let StreamEvent::Trade(event) = event else { panic!("a trade was sent") };
            let mut trade = event.trade;
            trade.time = faster(trade.time);
            self.feed.push(one.symbol, trade).expect("the lanes have room");
            self.feed.watermark(trade.time);
            self.feed.flush().expect("the worker lives");
        }
        let before = self.fed;
        self.fed += frames as u64;
        let seen = self.wait_until_shown();
        let mut shown = seen.iter().peekable();
        let mut latencies: Vec<_> = (before + 1..)
            .zip(sent)
            .map(|(number, sent)| {
                while shown.next_if(|(_, trades)| *trades < number).is_some() {}
                let (at, _) = shown.peek().expect("all were shown");
                at.saturating_duration_since(sent)
            })
            .collect();
        latencies.sort_unstable();
        latencies[latencies.len() * 99 / 100]
    }

    fn wait_until_shown(&self) -> Vec<(Instant, u64)> {
        let start = now();
        loop {
            let seen = self.seen.lock().expect("no panic").clone();
            if seen.last().is_some_and(|(_, trades)| *trades >= self.fed) {
                return seen;
            }
            assert!(start.elapsed() < DEADLINE, "{} fed, shown {:?}", self.fed, seen.last());
            std::thread::sleep(CADENCE);
        }
    }

    /// Lets the writer go on, ends everything, and checks that the writer took all.
    fn finish(self, runtime: &Runtime) -> (GatewayReport, usize) {
        self.gate.set(false);
        drop(self.feed);
        let joined = runtime.spawn_blocking(move || self.engine.join());
        self.shutdown.send_replace(true);
        let report = runtime.block_on(self.gateway).expect("no panic").expect("as configured");
        runtime.block_on(joined).expect("no panic").expect("the worker did not break");
        self.watcher.join().expect("no panic");
        let taken = self.writer.join().expect("no panic");
        let all = HistoryQuery { from: None, to: None, limit: usize::MAX, keep: Keep::Newest };
        let mut held = 0;
        for symbol in (0..).map(SymbolId).take(SYMBOLS) {
            for (period_index, &period) in PeriodSet::default().as_slice().iter().enumerate() {
                for record in self.history.read(symbol, period_index, &all) {
                    let place = (symbol, period, record.kline.open_time);
                    assert_eq!(taken.get(&place), Some(&record), "{place:?} was not taken");
                    held += 1;
                }
            }
        }
        assert_eq!(taken.len(), held);
        (report, held)
    }
}

/// The market's time, twenty times as fast: some minutes close in every round, of all symbols.
fn faster(time: UnixMillis) -> UnixMillis {
    let day = 86_400_000;
    let start = UnixMillis(time.0 - time.0.rem_euclid(day));
    start.plus(20 * time.since(start))
}

/// One worker: then the number of trades folded says which they are.
fn start_engine() -> Engine {
    let sequencer = SequencerConfig { continuity: Continuity::Checked, held_max: 64, hold_ms: 0 };
    let engine = Engine::start(EngineConfig {
        periods: PeriodSet::default(),
        workers: 1,
        symbols_max: SYMBOLS,
        queue_batches: 1_024,
        batch_trades: 512,
        close_grace_ms: 500,
        sequencer,
        undelivered_max: 1 << 20,
        first_core: None,
    })
    .expect("threads can be had");
    for id in (0..).map(SymbolId).take(SYMBOLS) {
        let next_id = Some(TradeId(1));
        let spec =
            NewSymbolSpec { id, feed: FeedId(0), previous_close: None, next_id, since: None };
        engine.control().add_symbol(spec).expect("below the limit");
    }
    engine
}

/// Notes with each snapshot how many trades it shows.
fn watch_snapshots(
    runtime: &Runtime,
    mut klines: watch::Receiver<Arc<GlobalKlines>>,
    seen: Seen,
) -> JoinHandle<()> {
    let runtime = runtime.handle().clone();
    std::thread::spawn(move || {
        while runtime.block_on(klines.changed()).is_ok() {
            let trades = klines.borrow_and_update().workers[0].counters.trades;
            seen.lock().expect("no panic").push((now(), trades));
        }
    })
}

/// The database writer without a database: takes what closed, and stands still at the gate.
fn write(
    mut wake_ups: mpsc::Receiver<Arc<GlobalKlines>>,
    history: HistoryReader,
    gate: Arc<Gate>,
) -> JoinHandle<HashMap<Place, KlineRecord>> {
    std::thread::spawn(move || {
        let mut unwritten = Unwritten::new(history, PeriodSet::default());
        let mut taken = HashMap::new();
        let mut take = || {
            unwritten.closed(SYMBOLS, usize::MAX, |symbol, period, record| {
                taken.insert((symbol, period, record.kline.open_time), record);
            });
        };
        while let Some(_klines) = wake_ups.blocking_recv() {
            gate.pass();
            take();
        }
        take();
        taken
    })
}

#[expect(clippy::disallowed_methods, reason = "a bench looks at the clock")]
fn now() -> Instant {
    Instant::now()
}

#[expect(clippy::print_stdout, reason = "what a bench is for")]
fn main() {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_time()
        .build()
        .expect("a runtime can be had");
    let (mut calm, mut stalled) = (Pipeline::start(&runtime), Pipeline::start(&runtime));
    let frames = size(2_000, 200);
    for pipeline in [&mut calm, &mut stalled] {
        pipeline.round(frames);
    }
    stalled.gate.set(true);
    let start = now();
    let mut rounds = Rounds::default();
    // A second each: a minute in all. Who comes first changes, so that it does not matter.
    for round in 0..size(30, 2) {
        let first = round % 2 == 0;
        let early = first.then(|| stalled.round(frames));
        let other = calm.round(frames);
        rounds.push(early.unwrap_or_else(|| stalled.round(frames)), other);
    }
    let stood = start.elapsed();
    let ratio = rounds.report("stalled_writer/p99: stalled to calm", 1);
    let (report, taken) = stalled.finish(&runtime);
    let full = report.counters.db_queue_full;
    let (calm_report, _) = calm.finish(&runtime);
    println!(
        "stalled_writer: stood {stood:.1?}, {full} wake-ups had no room (calm: {}), {taken} closed \
         klines taken afterwards, none missing",
        calm_report.counters.db_queue_full,
    );
    assert!(full > 0 && taken > 0, "the writer stood still while klines closed");
    if !is_quick() {
        assert!(full > 1_000, "the queue was full all the time");
        assert!(ratio < 1.1, "the p99 moved by {:.0} %", 100.0 * (ratio - 1.0));
    }
}
