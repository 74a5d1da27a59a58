//! A database writer that stands still: the real-time path goes on, every wake-up without room is
//! counted and told of now and then, and what closed meanwhile is taken afterwards, all of it.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use klagg_engine::{
    Continuity, Engine, EngineConfig, FeedId, HistoryConfig, HistoryQuery, HistoryReader, Keep,
    NewSymbolSpec, SequencerConfig, history,
};
use klagg_gateway::{GatewayConfig, GatewayParts, GlobalKlines, Unwritten, gateway_task};
use klagg_kline::{KlineRecord, Period, PeriodSet, Price, Quantity, Side, SymbolId, Trade};
use klagg_kline::{TradeId, UnixMillis};
use tokio::sync::{mpsc, watch};
use tokio::time::timeout;
use tracing::field::{Field, Visit};
use tracing::{Event, Level, Metadata, Subscriber, span};

const SYMBOLS: u32 = 4;
const MINUTE: i64 = 60_000;
/// Far above what anything here takes; only a failing test waits for it.
const DEADLINE: Duration = Duration::from_secs(20);

fn periods() -> PeriodSet {
    PeriodSet::new(&[Period::M1, Period::M5]).expect("with the minute")
}

fn config() -> GatewayConfig {
    GatewayConfig {
        cadence: Duration::from_millis(10),
        worker_timeout: Duration::from_millis(10),
        alarm_threshold: 3,
        symbols_max: SYMBOLS as usize,
        periods: periods(),
    }
}

fn start_engine() -> Engine {
    let sequencer = SequencerConfig { continuity: Continuity::Checked, held_max: 16, hold_ms: 0 };
    let engine = Engine::start(EngineConfig {
        periods: periods(),
        workers: 2,
        symbols_max: SYMBOLS as usize,
        queue_batches: 16,
        batch_trades: 64,
        close_grace_ms: 500,
        sequencer,
        undelivered_max: 4_096,
        first_core: None,
    })
    .expect("threads can be had");
    for id in (0..SYMBOLS).map(SymbolId) {
        let next_id = Some(TradeId(1));
        let spec =
            NewSymbolSpec { id, feed: FeedId(0), previous_close: None, next_id, since: None };
        engine.control().add_symbol(spec).expect("below the limit");
    }
    engine
}

/// The ends of a gateway's channels that are not its own.
struct Ends {
    klines: watch::Receiver<Arc<GlobalKlines>>,
    db_queue: mpsc::Receiver<Arc<GlobalKlines>>,
    history: HistoryReader,
    _shutdown: watch::Sender<bool>,
}

/// Parts of a gateway before an engine, and the other ends.
fn parts(engine: &mut Engine) -> (GatewayParts, Ends) {
    let (writer, reader) = history(HistoryConfig {
        periods: periods(),
        symbols_max: SYMBOLS as usize,
        capacity: vec![100; 2],
        log_capacity: 1_024,
    })
    .expect("numbers that work");
    let (klines_tx, klines) = watch::channel(Arc::default());
    let (db_tx, db_queue) = mpsc::channel(2);
    let (shutdown_tx, shutdown) = watch::channel(false);
    let readers = engine.take_readers();
    // No history pages come: the sender is dropped.
    let (_, pages) = mpsc::channel(1);
    let parts = GatewayParts {
        readers,
        history: writer,
        pages,
        holes: mpsc::channel(1).0,
        klines: klines_tx,
        db_queue: db_tx,
        shutdown,
    };
    (parts, Ends { klines, db_queue, history: reader, _shutdown: shutdown_tx })
}

/// A slot and the open time of a kline in it.
type Place = (SymbolId, Period, UnixMillis);

/// Everything that the writer takes until there is no more.
fn take_all(unwritten: &mut Unwritten) -> BTreeMap<Place, KlineRecord> {
    let mut taken = BTreeMap::new();
    loop {
        let before = taken.len();
        unwritten.closed(SYMBOLS as usize, 3, |symbol, period, record| {
            taken.insert((symbol, period, record.kline.open_time), record);
        });
        if taken.len() == before {
            return taken;
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn snapshots_go_on_while_the_writer_stands_and_all_that_closed_is_taken_afterwards() {
    let mut engine = start_engine();
    let mut feed = engine.feed(FeedId(0));
    let (parts, mut ends) = parts(&mut engine);
    let task = tokio::spawn(gateway_task(config(), parts, || UnixMillis(0)));
    // The queue has room for two wake-ups, and nobody takes one.
    for minute in 0..12 {
        let id = minute + 1;
        let time = UnixMillis(minute * MINUTE);
        let (price, quantity) = (Price::from_scaled(100 + id), Quantity::from_scaled(7));
        let trade = Trade::new(TradeId(id), time, price, quantity, 1, Side::Buy);
        for symbol in (0..SYMBOLS).map(SymbolId) {
            feed.push(symbol, trade.expect("a good trade")).expect("has room");
        }
        feed.flush().expect("workers live");
        let shows = |klines: &GlobalKlines, symbol| {
            let open = klines.slot(SymbolId(symbol), 0).and_then(|slot| slot.open);
            open.is_some_and(|open| open.kline.last_id == TradeId(id))
        };
        let all = |klines: &GlobalKlines| (0..SYMBOLS).all(|symbol| shows(klines, symbol));
        let seen = timeout(DEADLINE, ends.klines.wait_for(|klines| all(klines))).await;
        let counters = seen.expect("before the deadline").expect("the gateway runs").counters;
        let room_was_lacking =
            |klines: &Arc<GlobalKlines>| klines.counters.db_queue_full > counters.db_queue_full;
        let seen = timeout(DEADLINE, ends.klines.wait_for(room_was_lacking)).await;
        seen.expect("before the deadline").expect("the gateway runs");
    }
    let mut unwritten = Unwritten::new(ends.history.clone(), periods());
    let taken = take_all(&mut unwritten);
    let everything = HistoryQuery { from: None, to: None, limit: 100, keep: Keep::Newest };
    let mut held = BTreeMap::new();
    for symbol in (0..SYMBOLS).map(SymbolId) {
        for (period_index, period) in [Period::M1, Period::M5].into_iter().enumerate() {
            for record in ends.history.read(symbol, period_index, &everything) {
                held.insert((symbol, period, record.kline.open_time), record);
            }
        }
    }
    assert_eq!(taken, held);
    assert_eq!(taken.len(), SYMBOLS as usize * (11 + 2), "eleven minutes, two of five");
    // What was queued first is what the writer gets first: wake-ups are lost, not exchanged.
    let first = ends.db_queue.try_recv().expect("two had room");
    assert!(first.sequence < ends.klines.borrow().sequence);
    drop((feed, ends));
    let joined = tokio::task::spawn_blocking(move || engine.join());
    let report = timeout(DEADLINE, task).await.expect("in time").expect("no panic");
    assert!(report.expect("a good configuration").counters.db_queue_full >= 12);
    joined.await.expect("no panic").expect("no worker broke");
}

/// Counts how often a full persistence queue is told of.
struct Told(Arc<AtomicU64>);

impl Subscriber for Told {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        *metadata.level() == Level::WARN
    }

    fn new_span(&self, _: &span::Attributes<'_>) -> span::Id {
        span::Id::from_u64(1)
    }

    fn record(&self, _: &span::Id, _: &span::Record<'_>) {}

    fn record_follows_from(&self, _: &span::Id, _: &span::Id) {}

    fn event(&self, event: &Event<'_>) {
        event.record(&mut Words(&self.0));
    }

    fn enter(&self, _: &span::Id) {}

    fn exit(&self, _: &span::Id) {}
}

struct Words<'a>(&'a AtomicU64);

impl Visit for Words<'_> {
    fn record_debug(&mut self, field: &Field, value: &dyn std::fmt::Debug) {
        if field.name() == "message" && format!("{value:?}").contains("queue is full") {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }
}

/// In paused time: three thousand ticks take as long as they compute.
#[tokio::test(start_paused = true)]
async fn a_full_queue_is_counted_every_time_and_told_of_every_ten_seconds() {
    let told = Arc::default();
    let listening = tracing::subscriber::set_default(Told(Arc::clone(&told)));
    let mut engine = start_engine();
    let (parts, mut ends) = parts(&mut engine);
    let task = tokio::spawn(gateway_task(config(), parts, || UnixMillis(0)));
    // In steps of a tick: while the worker's thread, which does not know of paused time, makes up
    // its answer, time jumps to the next timer that anybody waits for.
    let began = tokio::time::Instant::now();
    while told.load(Ordering::Relaxed) < 4 && began.elapsed() < Duration::from_mins(10) {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let (elapsed, klines) = (began.elapsed(), Arc::clone(&ends.klines.borrow_and_update()));
    drop(ends);
    task.await.expect("no panic").expect("a good configuration");
    drop(listening);
    assert!(elapsed >= Duration::from_secs(30), "at once, and after 10, 20 and 30 seconds");
    assert_eq!(told.load(Ordering::Relaxed), 4, "and not in between: {elapsed:?}");
    // Two had room, and the last one is counted in the snapshot after it.
    assert_eq!(klines.counters.db_queue_full, klines.sequence - 3, "each of them is counted");
    assert!(klines.sequence > 100, "far more often than it is told of");
    tokio::task::spawn_blocking(move || engine.join()).await.expect("no panic").ok();
}
