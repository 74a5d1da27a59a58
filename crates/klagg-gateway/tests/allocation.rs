//! In steady state a tick takes no memory: neither applying, nor publishing, nor telling.

use std::sync::Arc;
use std::time::Duration;

use klagg_engine::{HistoryConfig, KlineData, WorkerCounters, WorkerDelta, history};
use klagg_gateway::{Consumer, GatewayConfig, GatewayCore, ReadScheduler, Timing, Update};
use klagg_kline::{Kline, KlineRecord, KlineStatus, PeriodSet, Price, SymbolId};
use klagg_kline::{TradeId, UnixMillis};

const SYMBOLS: u32 = 200;
const WORKERS: u32 = 2;
const MINUTE: i64 = 60_000;

fn record(minute: i64, id: i64, status: KlineStatus) -> KlineRecord {
    let flat = Kline::flat(UnixMillis(minute * MINUTE), Price::from_scaled(id + 1));
    let kline = Kline { trade_count: 1, first_id: TradeId(id), last_id: TradeId(id), ..flat };
    KlineRecord { kline, revision: 0, status }
}

/// What a worker says in a tick: every third symbol has traded; every tenth tick a minute closes.
fn delta(worker: u32, tick: i64) -> WorkerDelta {
    let minute = tick / 10;
    let symbols = (0..SYMBOLS).filter(|symbol| symbol % WORKERS == worker);
    let data =
        |symbol: u32, record| KlineData { symbol: SymbolId(symbol), period_index: 0, record };
    let traded = symbols.clone().filter(|symbol| (i64::from(*symbol) + tick) % 3 == 0);
    let closed = symbols.filter(|_| tick % 10 == 0 && minute > 0);
    WorkerDelta {
        worker: worker as usize,
        sequence: tick.cast_unsigned() + 1,
        exchange_time: None,
        open: traded.map(|at| data(at, record(minute, tick, KlineStatus::Open))).collect(),
        closed: closed.map(|at| data(at, record(minute - 1, tick, KlineStatus::Closed))).collect(),
        ended: Vec::new(),
        holes: Vec::new(),
        counters: WorkerCounters::default(),
        closed_dropped: 0,
        is_last: false,
    }
}

struct Nothing;

impl Consumer for Nothing {
    fn name(&self) -> &'static str {
        "nothing"
    }

    fn on_update(&mut self, _: &Update<'_>) {}
}

#[test]
fn a_tick_in_steady_state_takes_no_memory() {
    let config = GatewayConfig {
        cadence: Duration::from_millis(100),
        worker_timeout: Duration::from_millis(50),
        alarm_threshold: 3,
        symbols_max: SYMBOLS as usize,
        periods: PeriodSet::default(),
    };
    let (writer, reader) = history(HistoryConfig {
        periods: config.periods.clone(),
        symbols_max: SYMBOLS as usize,
        capacity: vec![16; config.periods.len()],
        log_capacity: 4_096,
    })
    .unwrap();
    let mut core = GatewayCore::new(&config, WORKERS as usize, writer).unwrap();
    let mut scheduler = ReadScheduler::new(reader, vec![Box::new(Nothing)], Duration::MAX);
    let mut tick = |deltas: Vec<WorkerDelta>| {
        for delta in deltas {
            let _ = core.take(delta.worker, delta, Timing::InTime, UnixMillis(0));
        }
        let snapshot = core.publish(UnixMillis(0));
        scheduler.update(&snapshot);
    };
    let deltas = |tick| (0..WORKERS).map(|worker| delta(worker, tick)).collect::<Vec<_>>();
    (0..50).for_each(|at| tick(deltas(at)));

    let prepared: Vec<_> = (50..150).map(deltas).collect();
    let taken = allocation_counter::measure(|| prepared.into_iter().for_each(&mut tick));
    assert_eq!(taken.count_total, 0, "{taken:?}");

    assert_eq!(core.counters().clones, 0);
    assert_eq!(core.counters().closed_applied, 14 * u64::from(SYMBOLS));
    let held = Arc::clone(core.published());
    let taken = allocation_counter::measure(|| drop(core.publish(UnixMillis(1))));
    assert_eq!(taken.count_total, 0, "the older buffer is still free: {taken:?}");
    core.publish(UnixMillis(2));
    assert_eq!(core.counters().clones, 1, "a reader holds the older one: {}", held.sequence);
}
