//! Question: what does a tick of the gateway cost from the workers' deltas to the published
//! snapshot, at 600 and 10,000 symbols of six periods, with 1, 10 and 100 % of them changed; and
//! what does the blueprint's way cost, a deep clone of the whole state on every tick?
//!
//! Both apply the same deltas in place; ours also checks that no slot goes back and notes what
//! changed. As in life, a watch channel holds the newest snapshot and nobody an older one, and
//! every slot has a closed kline beside its open one. Throughput is in slots changed.
//!
//! `side_by_side` does both in turn, round by round, and demands what is promised of the ratio:
//! with 1 % of 10,000 symbols changed twenty times as fast as the clone, with all changed not
//! slower. A machine that is busy with something else slows down both.

use std::hint::black_box;
use std::sync::Arc;

use criterion::measurement::WallTime;
use criterion::{
    BatchSize, BenchmarkGroup, Criterion, Throughput, criterion_group, criterion_main,
};
use klagg_bench::{Rounds, is_quick, size};
use klagg_engine::{HistoryConfig, KlineData, WorkerCounters, WorkerDelta, history};
use klagg_gateway::{GatewayConfig, GatewayCore, GlobalKlines, Timing};
use klagg_kline::{
    Kline, KlineRecord, KlineStatus, PeriodSet, Price, SymbolId, TradeId, UnixMillis,
};

const PERIODS: usize = 6;
const MINUTE_MS: i64 = 60_000;
/// Ticks that fill both buffers before anything is measured.
const FILLED: u64 = 3;

fn record(open_time: i64, id: i64, status: KlineStatus) -> KlineRecord {
    let kline = Kline {
        trade_count: id.cast_unsigned(),
        first_id: TradeId(0),
        last_id: TradeId(id),
        ..Kline::flat(UnixMillis(open_time), Price::from_scaled(1_000 + id))
    };
    KlineRecord { kline, revision: 0, status }
}

/// A market of which every so many-th symbol trades in each tick.
#[derive(Debug, Clone, Copy)]
struct Ticks {
    symbols: usize,
    stride: usize,
    sequence: u64,
}

impl Ticks {
    /// The next delta: all six open klines of each symbol that has traded.
    fn next(&mut self) -> WorkerDelta {
        self.sequence += 1;
        let id = self.sequence.cast_signed();
        self.delta(record(MINUTE_MS, id, KlineStatus::Open))
    }

    /// The delta before all others: a closed kline in every slot.
    fn first(&mut self) -> WorkerDelta {
        self.sequence += 1;
        let mut delta = self.delta(record(0, 0, KlineStatus::Closed));
        std::mem::swap(&mut delta.open, &mut delta.closed);
        delta
    }

    fn delta(self, record: KlineRecord) -> WorkerDelta {
        let traded = (0..self.symbols).step_by(self.stride);
        let open = traded.flat_map(|symbol| {
            let symbol = SymbolId(u32::try_from(symbol).unwrap_or(0));
            (0..6).map(move |period_index| KlineData { symbol, period_index, record })
        });
        WorkerDelta {
            worker: 0,
            sequence: self.sequence,
            exchange_time: None,
            open: open.collect(),
            closed: Vec::new(),
            ended: Vec::new(),
            holes: Vec::new(),
            counters: WorkerCounters::default(),
            closed_dropped: 0,
            is_last: false,
        }
    }

    fn changed(self) -> usize {
        self.symbols.div_ceil(self.stride) * PERIODS
    }

    /// As many deltas ready at once as make up for looking at the clock, and fit the memory.
    fn batch(self) -> BatchSize {
        BatchSize::NumIterations((20_000 / self.changed()).clamp(1, 64) as u64)
    }
}

/// The blueprint: one mutable state, and a deep clone of it for the readers.
struct Blueprint {
    state: Vec<BlueprintSlot>,
    watched: Arc<Vec<BlueprintSlot>>,
}

#[derive(Debug, Clone, Copy, Default)]
struct BlueprintSlot {
    open: Option<KlineRecord>,
    last_closed: Option<KlineRecord>,
}

impl Blueprint {
    fn tick(&mut self, delta: WorkerDelta) -> WorkerDelta {
        let offset =
            |data: &KlineData| data.symbol.index() * PERIODS + usize::from(data.period_index);
        for data in &delta.closed {
            self.state[offset(data)].last_closed = Some(data.record);
        }
        for data in &delta.open {
            self.state[offset(data)].open = Some(data.record);
        }
        self.watched = Arc::new(self.state.clone());
        black_box(self.watched.len());
        delta
    }
}

/// The gateway, and the channel that holds what it published last.
struct Recycled {
    core: GatewayCore,
    watched: Arc<GlobalKlines>,
}

impl Recycled {
    fn tick(&mut self, delta: WorkerDelta) -> Option<WorkerDelta> {
        let taken = self.core.take(0, delta, Timing::InTime, UnixMillis(0));
        self.watched = self.core.publish(UnixMillis(0));
        black_box(self.watched.sequence);
        taken.spent
    }

    /// That the work measured was done.
    fn check(&self, ticks: &Ticks) {
        assert_eq!(self.core.counters().clones, 0, "nobody held an older snapshot");
        assert_eq!(self.core.counters().refused, 0);
        let newest = self.watched.slot(SymbolId(0), 5).expect("all six");
        let count = newest.open.map(|open| open.kline.trade_count);
        assert_eq!(count, Some(ticks.sequence));
        assert!(newest.last_closed.is_some());
    }
}

/// Both, with every slot filled and all memory touched.
fn both(symbols: usize, stride: usize) -> (Recycled, Blueprint, Ticks) {
    let core = gateway(symbols);
    let watched = Arc::clone(core.published());
    let mut recycled = Recycled { core, watched };
    let state = vec![BlueprintSlot::default(); symbols * PERIODS];
    let mut blueprint = Blueprint { watched: Arc::new(state.clone()), state };
    let mut ticks = Ticks { symbols, stride: 1, sequence: 0 };
    let first = ticks.first();
    for delta in [first, ticks.next(), ticks.next()] {
        drop(blueprint.tick(delta.clone()));
        recycled.tick(delta);
    }
    (recycled, blueprint, Ticks { stride, ..ticks })
}

fn gateway(symbols: usize) -> GatewayCore {
    let config = GatewayConfig {
        cadence: std::time::Duration::from_millis(100),
        worker_timeout: std::time::Duration::from_millis(50),
        alarm_threshold: 5,
        symbols_max: symbols,
        periods: PeriodSet::default(),
    };
    let (writer, _) = history(HistoryConfig {
        periods: config.periods.clone(),
        symbols_max: symbols,
        capacity: vec![1; PERIODS],
        log_capacity: 16,
    })
    .expect("numbers that work");
    GatewayCore::new(&config, 1, writer).expect("numbers that work")
}

fn recycled(group: &mut BenchmarkGroup<'_, WallTime>, name: &str, symbols: usize, stride: usize) {
    let (mut recycled, _, mut ticks) = both(symbols, stride);
    let batch = ticks.batch();
    group.bench_function(format!("recycled/{name}"), |bencher| {
        bencher.iter_batched(|| ticks.next(), |delta| recycled.tick(delta), batch);
    });
    recycled.check(&ticks);
}

fn cloned(group: &mut BenchmarkGroup<'_, WallTime>, name: &str, symbols: usize, stride: usize) {
    let (_, mut blueprint, mut ticks) = both(symbols, stride);
    let batch = ticks.batch();
    group.bench_function(format!("cloned/{name}"), |bencher| {
        bencher.iter_batched(|| ticks.next(), |delta| blueprint.tick(delta), batch);
    });
    let newest = blueprint.watched[0].open.map(|open| open.kline.trade_count);
    assert_eq!(newest, Some(ticks.sequence));
}

/// What the clone costs for whom the gateway must make one: a reader holds every snapshot.
fn held(group: &mut BenchmarkGroup<'_, WallTime>, name: &str, symbols: usize, stride: usize) {
    let (mut recycled, _, mut ticks) = both(symbols, stride);
    let mut older = Arc::clone(&recycled.watched);
    let batch = ticks.batch();
    group.bench_function(format!("held/{name}"), |bencher| {
        bencher.iter_batched(
            || ticks.next(),
            |delta| {
                let newest = Arc::clone(&recycled.watched);
                let spent = recycled.tick(delta);
                older = newest;
                spent
            },
            batch,
        );
    });
    let before_last = (ticks.sequence - FILLED).saturating_sub(1);
    assert_eq!(recycled.core.counters().clones, before_last, "the reader was in the way");
    drop(older);
}

/// The cases: what it is called, and every how many-th symbol trades.
const CASES: [(&str, usize); 3] = [("1_percent", 100), ("10_percent", 10), ("100_percent", 1)];

fn snapshot(criterion: &mut Criterion) {
    for symbols in [size(600, 60), size(10_000, 200)] {
        let mut group = criterion.benchmark_group(format!("snapshot/{symbols}_symbols"));
        for (name, stride) in CASES {
            let ticks = Ticks { symbols, stride, sequence: 0 };
            group.throughput(Throughput::Elements(ticks.changed() as u64));
            recycled(&mut group, name, symbols, stride);
            cloned(&mut group, name, symbols, stride);
            held(&mut group, name, symbols, stride);
        }
        group.finish();
    }
}

/// Both in turn, the same deltas for each.
fn side_by_side(_: &mut Criterion) {
    for symbols in [size(600, 60), size(10_000, 200)] {
        for (name, stride) in CASES {
            let (mut ours, mut blueprint, mut ticks) = both(symbols, stride);
            let mut rounds = Rounds::default();
            for _ in 0..size(101, 2) {
                let deltas: Vec<_> = (0..8).map(|_| ticks.next()).collect();
                let again = deltas.clone();
                let mut spent = Vec::with_capacity(16);
                rounds.first(|| spent.extend(again.into_iter().map(|one| blueprint.tick(one))));
                rounds.second(|| spent.extend(deltas.into_iter().filter_map(|one| ours.tick(one))));
            }
            ours.check(&ticks);
            let label = format!("snapshot/{symbols}_symbols/{name}: clone to recycled");
            let ratio = rounds.report(&label, 8);
            if !is_quick() {
                let promised = if symbols == 10_000 && stride == 100 { 20.0 } else { 1.0 };
                assert!(ratio >= promised, "{label}: {ratio:.2}, promised {promised}");
            }
        }
    }
}

criterion_group!(benches, snapshot, side_by_side);
criterion_main!(benches);
