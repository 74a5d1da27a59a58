//! What consumers are told, in which order, and what becomes of bad ones.

use std::sync::Mutex;

use klagg_engine::{HistoryConfig, HistoryWriter, WorkerCounters, WorkerDelta, history};
use klagg_kline::{Kline, KlineRecord, KlineStatus, PeriodSet, Price, TradeId, UnixMillis};

use super::*;
use crate::{GatewayConfig, GatewayCore, Timing};

const MINUTE: i64 = 60_000;

/// What a consumer was told in one call.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Heard {
    who: &'static str,
    sequence: u64,
    changed: Vec<u32>,
    closed: Vec<(u32, i64)>,
    resync: bool,
}

type Notes = Arc<Mutex<Vec<Heard>>>;

struct Listener {
    who: &'static str,
    notes: Notes,
    panics_at: u64,
}

impl Consumer for Listener {
    fn name(&self) -> &str {
        self.who
    }

    fn on_update(&mut self, update: &Update<'_>) {
        assert!(update.klines.sequence != self.panics_at, "told to");
        let start = Instant::now();
        while start.elapsed().is_zero() {}
        let closed = update.closed.iter();
        self.notes.lock().unwrap().push(Heard {
            who: self.who,
            sequence: update.klines.sequence,
            changed: update.changed.iter().map(|(symbol, _)| symbol.0).collect(),
            closed: closed.map(|at| (at.symbol.0, at.record.kline.open_time.0 / MINUTE)).collect(),
            resync: update.resync,
        });
    }
}

fn config(symbols_max: usize) -> GatewayConfig {
    GatewayConfig {
        cadence: Duration::from_millis(100),
        worker_timeout: Duration::from_millis(50),
        alarm_threshold: 3,
        symbols_max,
        periods: PeriodSet::new(&[klagg_kline::Period::M1]).unwrap(),
    }
}

fn new_history(symbols_max: usize, log_capacity: usize) -> (HistoryWriter, HistoryReader) {
    let periods = config(symbols_max).periods;
    history(HistoryConfig { periods, symbols_max, capacity: vec![64], log_capacity }).unwrap()
}

/// A gateway's core, a scheduler with the listeners named, and what they heard.
struct Stage {
    core: GatewayCore,
    scheduler: ReadScheduler,
    notes: Notes,
    sequence: u64,
}

impl Stage {
    fn new(listeners: &[(&'static str, u64)], symbols_max: usize, log_capacity: usize) -> Self {
        let (writer, reader) = new_history(symbols_max, log_capacity);
        let notes = Notes::default();
        let consumers = listeners.iter().map(|&(who, panics_at)| {
            let listener = Listener { who, notes: Arc::clone(&notes), panics_at };
            Box::new(listener) as Box<dyn Consumer>
        });
        let scheduler = ReadScheduler::new(reader, consumers.collect(), Duration::ZERO);
        let core = GatewayCore::new(&config(symbols_max), 1, writer).unwrap();
        Self { core, scheduler, notes, sequence: 0 }
    }

    /// A tick in which the minutes of the symbols close.
    fn tick(&mut self, closed: impl IntoIterator<Item = (u32, i64)>) -> Arc<GlobalKlines> {
        self.sequence += 1;
        let record = |minute: i64| {
            let flat = Kline::flat(UnixMillis(minute * MINUTE), Price::from_scaled(1));
            let kline = Kline { trade_count: 1, first_id: TradeId(1), last_id: TradeId(1), ..flat };
            KlineRecord { kline, revision: 0, status: KlineStatus::Closed }
        };
        let closed = closed.into_iter().map(|(symbol, minute)| KlineData {
            symbol: SymbolId(symbol),
            period_index: 0,
            record: record(minute),
        });
        let delta = WorkerDelta {
            worker: 0,
            sequence: self.sequence,
            exchange_time: None,
            open: Vec::new(),
            closed: closed.collect(),
            ended: Vec::new(),
            holes: Vec::new(),
            counters: WorkerCounters::default(),
            closed_dropped: 0,
            is_last: false,
        };
        let _ = self.core.take(0, delta, Timing::InTime, UnixMillis(0));
        self.core.publish(UnixMillis(0))
    }

    fn heard(&self) -> Vec<Heard> {
        std::mem::take(&mut *self.notes.lock().unwrap())
    }
}

#[test]
fn consumers_are_called_in_order_and_told_the_same() {
    let mut stage = Stage::new(&[("first", 0), ("second", 0)], 4, 64);
    let snapshot = stage.tick([(0, 0), (2, 0)]);
    stage.scheduler.update(&snapshot);
    let one = Heard {
        who: "first",
        sequence: 1,
        changed: vec![0, 2],
        closed: vec![(0, 0), (2, 0)],
        resync: true,
    };
    assert_eq!(stage.heard(), [one.clone(), Heard { who: "second", ..one.clone() }]);
    let snapshot = stage.tick([(2, 1)]);
    stage.scheduler.update(&snapshot);
    let two = Heard { sequence: 2, changed: vec![2], closed: vec![(2, 1)], resync: false, ..one };
    assert_eq!(stage.heard(), [two.clone(), Heard { who: "second", ..two }]);
}

#[test]
fn what_closed_in_skipped_snapshots_is_told_later_and_once() {
    let mut stage = Stage::new(&[("only", 0)], 4, 64);
    let first = stage.tick([]);
    stage.scheduler.update(&first);
    stage.heard();
    stage.tick([(0, 0), (1, 0)]);
    stage.tick([(1, 1)]);
    let newest = stage.tick([(3, 0)]);
    stage.scheduler.update(&newest);
    let heard = stage.heard();
    assert_eq!(heard.len(), 1);
    assert_eq!(heard[0].changed, [0, 1, 3]);
    assert_eq!(heard[0].closed, [(0, 0), (1, 0), (1, 1), (3, 0)]);
    assert!(!heard[0].resync);
    let quiet = stage.tick([]);
    stage.scheduler.update(&quiet);
    let heard = stage.heard();
    assert_eq!((heard[0].changed.len(), heard[0].closed.len()), (0, 0));
}

#[test]
fn a_consumer_that_panics_is_skipped_and_the_others_go_on() {
    let mut stage = Stage::new(&[("bad", 2), ("good", 0)], 4, 64);
    for _ in 0..4 {
        let snapshot = stage.tick([]);
        stage.scheduler.update(&snapshot);
    }
    let calls: Vec<_> = stage.heard().iter().map(|heard| (heard.who, heard.sequence)).collect();
    assert_eq!(calls, [("bad", 1), ("good", 1), ("good", 2), ("good", 3), ("good", 4)]);
    let reports = stage.scheduler.status().reports();
    let shown: Vec<_> =
        reports.iter().map(|one| (one.name.as_str(), one.calls, one.panicked)).collect();
    assert_eq!(shown, [("bad", 1, true), ("good", 4, false)]);
    assert_eq!(reports[1].slow, 4, "with a limit of nothing, every call is slow");
    assert!(reports[1].max >= reports[1].mean && !reports[1].mean.is_zero());
}

#[test]
fn more_than_fits_one_call_comes_in_several_and_none_is_missing() {
    let symbols = 400_u32;
    let total = 50 * symbols as usize;
    let mut stage = Stage::new(&[("only", 0)], symbols as usize, 1 << 15);
    let first = stage.tick([]);
    stage.scheduler.update(&first);
    stage.heard();
    let everything = (0..50).flat_map(|minute| (0..symbols).map(move |at| (at, minute)));
    let snapshot = stage.tick(everything.clone());
    stage.scheduler.update(&snapshot);
    let heard = stage.heard();
    assert_eq!(heard.len(), total.div_ceil(CLOSED_MAX));
    assert!(heard.iter().all(|call| !call.resync));
    assert_eq!(heard[0].changed.len(), symbols as usize);
    assert!(heard[1].changed.is_empty(), "what changed was told in the first call");
    let told = heard.iter().flat_map(|call| call.closed.iter().copied());
    assert!(told.eq(everything));
}

#[test]
fn whoever_missed_changes_is_told_to_read_the_history_again() {
    let mut stage = Stage::new(&[("only", 0)], 64, 16);
    let first = stage.tick([]);
    stage.scheduler.update(&first);
    stage.heard();
    let snapshot = stage.tick((0..64).map(|symbol| (symbol, 0)));
    stage.scheduler.update(&snapshot);
    assert!(stage.heard().iter().any(|call| call.resync));
    let snapshot = stage.tick([(0, 1)]);
    stage.scheduler.update(&snapshot);
    let heard = stage.heard();
    assert_eq!((heard[0].resync, &*heard[0].closed), (false, &[(0, 1)][..]));
}

#[tokio::test]
async fn the_last_snapshot_is_told_before_the_scheduler_ends() {
    let mut stage = Stage::new(&[("only", 0)], 4, 64);
    let last = stage.tick([(1, 0)]);
    let (sender, receiver) = watch::channel(Arc::new(GlobalKlines::empty(PeriodSet::default())));
    sender.send_replace(last);
    // Not seen yet by this receiver: it was made before.
    drop(sender);
    let reports = stage.scheduler.run(receiver).await;
    assert_eq!(reports[0].calls, 1);
    assert_eq!(stage.notes.lock().unwrap()[0].closed, [(1, 0)]);
}

#[tokio::test(start_paused = true)]
async fn the_scheduler_beats_while_there_is_nothing_to_do() {
    // Without consumers: those here wait for a clock that stands still.
    let scheduler = ReadScheduler::new(new_history(1, 16).1, Vec::new(), Duration::ZERO);
    let heartbeat = scheduler.status().heartbeat().clone();
    let (sender, receiver) = watch::channel(Arc::new(GlobalKlines::empty(PeriodSet::default())));
    let running = tokio::spawn(scheduler.run(receiver));
    tokio::time::sleep(Duration::from_secs(10)).await;
    let waited = heartbeat.beats();
    assert!((10..=12).contains(&waited), "once a second: {waited}");
    sender.send_replace(Arc::default());
    drop(sender);
    running.await.unwrap();
    assert!(heartbeat.is_orphan(), "it has ended");
}

#[test]
fn who_is_being_called_can_be_seen_from_outside() {
    struct Looks(&'static str, Arc<Mutex<Option<SchedulerStatus>>>, Arc<Mutex<Vec<String>>>);
    impl Consumer for Looks {
        fn name(&self) -> &str {
            self.0
        }

        fn on_update(&mut self, _: &Update<'_>) {
            let status = self.1.lock().unwrap().clone().unwrap();
            self.2.lock().unwrap().push(status.calling().unwrap().to_owned());
        }
    }
    let (status, seen) = (Arc::default(), Arc::default());
    let looks = |name| -> Box<dyn Consumer> {
        Box::new(Looks(name, Arc::clone(&status), Arc::clone(&seen)))
    };
    let consumers = vec![looks("strategy"), looks("web")];
    let mut scheduler = ReadScheduler::new(new_history(1, 16).1, consumers, Duration::ZERO);
    *status.lock().unwrap() = Some(scheduler.status());
    scheduler.update(&Arc::default());
    assert_eq!(*seen.lock().unwrap(), ["strategy", "web"]);
    assert_eq!(scheduler.status().calling(), None);
}
