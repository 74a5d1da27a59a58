//! The gateway task on real workers: what is fed becomes visible, stalls and deaths stay local,
//! and shutdown hands out the rest.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use klagg_engine::{
    Continuity, Engine, EngineConfig, EngineControl, EngineFeed, FeedId, HistoryConfig,
    HistoryPage, HistoryReader, NewSymbolSpec, RestartConfig, SequencerConfig, Supervision,
    WorkerEvent, WorkerReadHandle, history,
};
use klagg_gateway::{
    Consumer, GatewayConfig, GatewayError, GatewayParts, GatewayReport, GlobalKlines,
    ReadScheduler, Update, gateway_task,
};
use klagg_kline::{Kline, KlineRecord, KlineStatus, Period, PeriodSet, Price, Quantity, Side};
use klagg_kline::{SymbolId, Trade, TradeId, UnixMillis};
use tokio::runtime::Handle;
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, timeout};

const MINUTE: i64 = 60_000;
const WORKERS: usize = 2;
/// Far above what anything here takes; only a failing test waits for it.
const DEADLINE: Duration = Duration::from_secs(20);

fn config() -> GatewayConfig {
    GatewayConfig {
        cadence: Duration::from_millis(10),
        worker_timeout: Duration::from_millis(10),
        alarm_threshold: 3,
        symbols_max: 16,
        periods: PeriodSet::default(),
    }
}

fn start_engine() -> Engine {
    start_supervised(Supervision::none())
}

fn start_supervised(supervision: Supervision) -> Engine {
    let sequencer = SequencerConfig { continuity: Continuity::Checked, held_max: 16, hold_ms: 0 };
    let config = EngineConfig {
        periods: PeriodSet::default(),
        workers: WORKERS,
        symbols_max: 16,
        queue_batches: 16,
        batch_trades: 64,
        close_grace_ms: 500,
        sequencer,
        undelivered_max: 4_096,
        first_core: None,
    };
    Engine::start_supervised(config, supervision).expect("threads can be had")
}

/// An engine with a gateway before it, and all the ends that a test wants to hold.
struct Pipeline {
    engine: Engine,
    feed: EngineFeed,
    control: EngineControl,
    klines: watch::Receiver<Arc<GlobalKlines>>,
    db_queue: mpsc::Receiver<Arc<GlobalKlines>>,
    pages: mpsc::Sender<HistoryPage>,
    history: HistoryReader,
    shutdown: watch::Sender<bool>,
    task: tokio::task::JoinHandle<Result<GatewayReport, GatewayError>>,
    next_id: i64,
}

impl Pipeline {
    /// `before` gets hold of the workers' handles before the gateway does.
    fn start(config: GatewayConfig, before: impl FnOnce(&[WorkerReadHandle])) -> Self {
        Self::start_on(start_engine(), config, before)
    }

    fn start_on(
        mut engine: Engine,
        config: GatewayConfig,
        before: impl FnOnce(&[WorkerReadHandle]),
    ) -> Self {
        let (feed, control) = (engine.feed(FeedId(0)), engine.control());
        for symbol in 0..4 {
            let (id, feed) = (SymbolId(symbol), FeedId(0));
            let next_id = Some(TradeId(1));
            let spec = NewSymbolSpec { id, feed, previous_close: None, next_id, since: None };
            control.add_symbol(spec).expect("below the limit");
        }
        let readers = engine.take_readers();
        before(&readers);
        let (writer, reader) = history(HistoryConfig {
            periods: config.periods.clone(),
            symbols_max: 16,
            capacity: vec![100; config.periods.len()],
            log_capacity: 1_024,
        })
        .expect("numbers that work");
        let (klines_tx, klines) = watch::channel(Arc::default());
        let (db_tx, db_queue) = mpsc::channel(2);
        let (pages, pages_rx) = mpsc::channel(2);
        let (shutdown, shutdown_rx) = watch::channel(false);
        let parts = GatewayParts {
            readers,
            history: writer,
            pages: pages_rx,
            holes: mpsc::channel(1).0,
            klines: klines_tx,
            db_queue: db_tx,
            shutdown: shutdown_rx,
        };
        let start = Instant::now();
        let clock = move || UnixMillis(i64::try_from(start.elapsed().as_millis()).unwrap_or(0));
        let task = tokio::spawn(gateway_task(config, parts, clock));
        Self {
            engine,
            feed,
            control,
            klines,
            db_queue,
            pages,
            history: reader,
            shutdown,
            task,
            next_id: 0,
        }
    }

    /// One trade of each of the four symbols in the minute.
    fn trade_all(&mut self, minute: i64) {
        self.next_id += 1;
        let time = UnixMillis(minute * MINUTE + self.next_id);
        let (price, quantity) = (Price::from_scaled(100 + self.next_id), Quantity::from_scaled(7));
        let trade = Trade::new(TradeId(self.next_id), time, price, quantity, 1, Side::Buy);
        for symbol in 0..4 {
            self.feed.push(SymbolId(symbol), trade.expect("a good trade")).expect("has room");
        }
        self.feed.flush().expect("workers live");
    }

    async fn wait_for(&mut self, condition: impl Fn(&GlobalKlines) -> bool) -> Arc<GlobalKlines> {
        let seen = timeout(DEADLINE, self.klines.wait_for(|klines| condition(klines))).await;
        Arc::clone(&seen.expect("before the deadline").expect("the gateway runs"))
    }

    /// Ends everything in the order of the data, and gives the last snapshot.
    async fn stop(self) -> (GatewayReport, Arc<GlobalKlines>, HistoryReader) {
        drop((self.feed, self.control, self.pages));
        let joined = tokio::task::spawn_blocking(move || self.engine.join());
        self.shutdown.send_replace(true);
        let report = timeout(DEADLINE, self.task).await.expect("in time").expect("no panic");
        joined.await.expect("no panic").ok();
        let last = Arc::clone(&self.klines.borrow());
        assert!(self.klines.has_changed().is_err(), "the real-time path is closed");
        let mut db_queue = self.db_queue;
        while db_queue.try_recv().is_ok() {}
        assert!(db_queue.is_closed(), "the persistence path is closed");
        (report.expect("a good configuration"), last, self.history)
    }
}

fn last_id(klines: &GlobalKlines, symbol: u32) -> i64 {
    let slot = klines.slot(SymbolId(symbol), 0);
    slot.and_then(|slot| slot.open).map_or(0, |open| open.kline.last_id.0)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn what_is_fed_becomes_visible_and_shutdown_hands_out_the_rest() {
    let mut pipeline = Pipeline::start(config(), |_| ());
    pipeline.trade_all(0);
    pipeline.trade_all(0);
    let shown = pipeline.wait_for(|klines| (0..4).all(|at| last_id(klines, at) == 2)).await;
    assert_eq!(shown.symbols(), 4);
    assert_eq!(shown.slot(SymbolId(1), 5).unwrap().open.unwrap().kline.trade_count, 2);
    // Never waited for: the last delta must hold it.
    pipeline.trade_all(1);
    pipeline.trade_all(2);
    let (report, last, history) = pipeline.stop().await;
    assert_eq!(report.unfinished, [0; 0]);
    assert_eq!(report.published, last.sequence);
    for symbol in (0..4).map(SymbolId) {
        let slot = last.slot(symbol, 0).unwrap();
        assert_eq!(slot.open.unwrap().kline.open_time, UnixMillis(2 * MINUTE));
        assert_eq!(slot.last_closed.unwrap().kline.open_time, UnixMillis(MINUTE));
        assert_eq!(history.len(symbol, 0), 2);
        assert_eq!(history.get(symbol, 0, UnixMillis(0)).unwrap().kline.trade_count, 2);
    }
    assert!(last.workers.iter().all(|worker| worker.finished && !worker.dead));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_stalled_worker_costs_the_others_nothing_and_loses_nothing() {
    let (open_gate, gate) = std::sync::mpsc::channel::<()>();
    let mut pipeline = Pipeline::start(config(), |readers| {
        readers[1].request_snapshot_with(move |_| gate.recv().unwrap_or(())).expect("it lives");
    });
    pipeline.trade_all(0);
    let fresh = |klines: &GlobalKlines| last_id(klines, 0) == 1 && last_id(klines, 2) == 1;
    let shown = pipeline.wait_for(|klines| fresh(klines) && klines.workers[1].alarmed).await;
    assert_eq!((last_id(&shown, 1), last_id(&shown, 3)), (0, 0));
    assert!(shown.workers[1].consecutive_timeouts >= 3);
    let before = shown.sequence;
    pipeline.trade_all(1);
    let shown = pipeline.wait_for(|klines| last_id(klines, 0) == 2).await;
    assert!(shown.sequence > before && shown.workers[1].stale_since.is_some());
    drop(open_gate);
    let all = |klines: &GlobalKlines| (0..4).all(|symbol| last_id(klines, symbol) == 2);
    let shown =
        pipeline.wait_for(|klines| all(klines) && klines.workers[1].stale_since.is_none()).await;
    let state = shown.workers[1];
    assert_eq!((state.consecutive_timeouts, state.alarmed), (0, false));
    assert_eq!(shown.slot(SymbolId(1), 0).unwrap().last_closed.unwrap().kline.trade_count, 1);
    assert_eq!(pipeline.history.len(SymbolId(1), 0), 1);
    let (report, _, _) = pipeline.stop().await;
    assert_eq!((report.unfinished.len(), report.counters.closed_dropped), (0, 0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_dead_worker_is_told_of_and_the_others_go_on() {
    let mut pipeline = Pipeline::start(config(), |readers| {
        readers[1].request_snapshot_with(|_| panic!("killed by the test")).expect("it lives");
    });
    pipeline.wait_for(|klines| klines.workers.get(1).is_some_and(|worker| worker.dead)).await;
    for symbol in [0, 2].map(SymbolId) {
        let price = Price::from_scaled(1);
        let trade =
            Trade::new(TradeId(1), UnixMillis(1), price, Quantity::from_scaled(1), 1, Side::Buy);
        pipeline.feed.push(symbol, trade.unwrap()).unwrap();
    }
    pipeline.feed.flush().unwrap();
    let shown = pipeline.wait_for(|klines| last_id(klines, 0) == 1).await;
    assert!(shown.workers[1].alarmed && !shown.workers[0].dead);
    let (report, last, _) = pipeline.stop().await;
    assert_eq!(report.unfinished, [0; 0], "nobody waits for the dead");
    assert!(last.workers[0].finished);
}

#[cfg(debug_assertions)]
#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_worker_that_starts_again_is_pulled_as_before_and_loses_nothing_that_closed() {
    let restart = RestartConfig {
        restarts_max: 1,
        pause_min: Duration::from_millis(50),
        pause_max: Duration::from_millis(50),
        forgiven_after: Duration::from_hours(1),
    };
    let (told, events) = std::sync::mpsc::channel();
    let on_event = Box::new(move |event| told.send(event).unwrap_or(()));
    let engine = start_supervised(Supervision { restart, on_event });
    let mut pipeline = Pipeline::start_on(engine, config(), |_| ());
    pipeline.trade_all(0);
    pipeline.trade_all(1);
    pipeline.wait_for(|klines| (0..4).all(|symbol| last_id(klines, symbol) == 2)).await;
    pipeline.control.fault(1, klagg_engine::WorkerFault::Panic).unwrap();
    assert!(matches!(events.recv_timeout(DEADLINE).unwrap(), WorkerEvent::Broke { worker: 1, .. }));
    pipeline.trade_all(2);
    pipeline.wait_for(|klines| last_id(klines, 0) == 3).await;
    let again = |klines: &GlobalKlines| klines.workers[1].counters.restarts == 1;
    let shown = pipeline.wait_for(|klines| again(klines) && !klines.workers[1].alarmed).await;
    assert!(!shown.workers[1].dead && shown.workers[1].stale_since.is_none());
    pipeline.trade_all(3);
    pipeline.trade_all(4);
    let (report, last, history) = pipeline.stop().await;
    assert_eq!((report.unfinished.len(), report.counters.refused), (0, 0));
    for symbol in (0..4).map(SymbolId) {
        assert_eq!(last.slot(symbol, 0).unwrap().open.unwrap().kline.last_id, TradeId(5));
        assert_eq!(history.len(symbol, 0), 4, "every minute of {symbol} was told");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_full_persistence_queue_is_counted_and_delays_nothing() {
    let mut pipeline = Pipeline::start(config(), |_| ());
    let shown = pipeline.wait_for(|klines| klines.counters.db_queue_full >= 3).await;
    assert!(shown.sequence >= 5, "two had room, three had not");
    pipeline.trade_all(0);
    pipeline.wait_for(|klines| last_id(klines, 0) == 1).await;
    pipeline.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn history_pages_are_taken_and_the_newest_kline_is_shown() {
    let mut pipeline = Pipeline::start(config(), |_| ());
    let record = |minute: i64| KlineRecord {
        kline: Kline::flat(UnixMillis(minute * MINUTE), Price::from_scaled(1)),
        revision: 0,
        status: KlineStatus::Confirmed,
    };
    for symbol in (0..4).map(SymbolId) {
        let records = (0..5).map(record).collect();
        let page = HistoryPage { symbol, period: Period::M1, records };
        timeout(DEADLINE, pipeline.pages.send(page)).await.expect("taken").expect("open");
    }
    let newest = |klines: &GlobalKlines, symbol| klines.slot(symbol, 0)?.last_closed.copied();
    let shown = pipeline.wait_for(|klines| newest(klines, SymbolId(3)) == Some(record(4))).await;
    assert_eq!((shown.counters.pages, shown.counters.closed_applied), (4, 20));
    assert_eq!(pipeline.history.len(SymbolId(0), 0), 5);
    pipeline.stop().await;
}

/// Notes the minutes that closed, and lets three snapshots pass in each call.
struct Slow {
    klines: watch::Receiver<Arc<GlobalKlines>>,
    closed: Arc<Mutex<Vec<(SymbolId, UnixMillis)>>>,
}

impl Consumer for Slow {
    fn name(&self) -> &'static str {
        "slow"
    }

    fn on_update(&mut self, update: &Update<'_>) {
        let later = update.klines.sequence + 3;
        while self.klines.has_changed().is_ok() && self.klines.borrow().sequence < later {
            std::thread::yield_now();
        }
        let minutes = update.closed.iter().filter(|data| data.period_index == 0);
        let minutes = minutes.map(|data| (data.symbol, data.record.kline.open_time));
        self.closed.lock().expect("nobody panics").extend(minutes);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_consumer_slower_than_the_ticks_misses_no_closed_kline() {
    let mut pipeline = Pipeline::start(config(), |_| ());
    let closed = Arc::new(Mutex::new(Vec::new()));
    let slow = Slow { klines: pipeline.klines.clone(), closed: Arc::clone(&closed) };
    let scheduler =
        ReadScheduler::new(pipeline.history.clone(), vec![Box::new(slow)], Duration::ZERO);
    // On a thread of the runtime, a consumer that does not return could hold its timers.
    let running = scheduler.start(pipeline.klines.clone(), &Handle::current()).unwrap();
    for minute in 0..30 {
        pipeline.trade_all(minute);
        let shown = pipeline.klines.borrow().sequence;
        pipeline.wait_for(|klines| klines.sequence > shown).await;
    }
    let (report, _, _) = pipeline.stop().await;
    let running = tokio::task::spawn_blocking(|| running.join());
    let reports = timeout(DEADLINE, running).await.expect("in time").unwrap().expect("no panic");
    assert!(reports[0].calls <= report.published.div_ceil(3) + 1, "two of three are skipped");
    assert_eq!(reports[0].slow, reports[0].calls);
    let mut closed = closed.lock().unwrap().clone();
    closed.sort_unstable();
    let minutes = (0..29).map(|minute| UnixMillis(minute * MINUTE));
    let all = (0..4).flat_map(|symbol| minutes.clone().map(move |time| (SymbolId(symbol), time)));
    assert_eq!(closed, all.collect::<Vec<_>>());
}

#[tokio::test(start_paused = true)]
async fn ticks_stay_on_the_grid_even_if_a_worker_makes_each_of_them_late() {
    let (open_gate, gate) = std::sync::mpsc::channel::<()>();
    let cadence = Duration::from_millis(100);
    let config = GatewayConfig { cadence, worker_timeout: cadence, ..config() };
    let pipeline = Pipeline::start(config, |readers| {
        readers[0].request_snapshot_with(move |_| gate.recv().unwrap_or(())).expect("it lives");
    });
    // In small steps: a worker's thread knows nothing of paused time. Caught between marking the
    // gateway's task as woken and queueing it, it lets time jump to the next timer there is.
    let began = Instant::now();
    while began.elapsed() < Duration::from_secs(10) {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let published = pipeline.klines.borrow().sequence;
    assert!((98..=102).contains(&published), "{published} ticks in 10 s at 100 ms");
    drop(open_gate);
    tokio::time::resume();
    pipeline.stop().await;
}

#[tokio::test]
async fn what_cannot_work_is_refused_before_anything_runs() {
    let check = async |config: GatewayConfig, readers: Vec<WorkerReadHandle>, sentence: &str| {
        let (writer, _) = history(HistoryConfig {
            periods: config.periods.clone(),
            symbols_max: 16,
            capacity: vec![1; config.periods.len()],
            log_capacity: 1,
        })
        .unwrap();
        let parts = GatewayParts {
            readers,
            history: writer,
            pages: mpsc::channel(1).1,
            holes: mpsc::channel(1).0,
            klines: watch::channel(Arc::default()).0,
            db_queue: mpsc::channel(1).0,
            shutdown: watch::channel(false).1,
        };
        let refused = gateway_task(config, parts, || UnixMillis(0)).await.unwrap_err();
        assert_eq!(refused.to_string(), sentence);
    };
    let mut readers = start_engine().take_readers();
    readers.reverse();
    check(config(), readers, "the handle at place 0 is that of worker 1; they must be in order")
        .await;
    check(config(), Vec::new(), "there is no worker to pull from; at least 1 is needed").await;
    let readers = start_engine().take_readers();
    let config = GatewayConfig { alarm_threshold: 0, ..config() };
    check(config, readers, "the alarm threshold is 0; it must be at least 1 timeout in a row")
        .await;
}
