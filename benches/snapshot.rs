//! Question: what does a tick of the gateway cost from the workers' deltas to the published
//! snapshot, at 600 and 10,000 symbols of six periods, with 1, 10 and 100 % of them changed; and
//! what does the blueprint's way cost, a deep clone of the whole state on every tick?
//!
//! Both apply the same deltas in place first; ours also checks that no slot goes back and notes
//! what changed. As in life, a watch channel holds the newest snapshot and nobody an older one.
//! Throughput is in slots changed.

use std::hint::black_box;
use std::sync::Arc;

use criterion::measurement::WallTime;
use criterion::{
    BatchSize, BenchmarkGroup, Criterion, Throughput, criterion_group, criterion_main,
};
use klagg_bench::size;
use klagg_engine::{HistoryConfig, KlineData, WorkerCounters, WorkerDelta, history};
use klagg_gateway::{GatewayConfig, GatewayCore, GlobalKlines, KlineState, Timing};
use klagg_kline::{
    Kline, KlineRecord, KlineStatus, PeriodSet, Price, SymbolId, TradeId, UnixMillis,
};

const PERIODS: usize = 6;

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
        let kline = Kline {
            trade_count: self.sequence,
            first_id: TradeId(0),
            last_id: TradeId(id),
            ..Kline::flat(UnixMillis(0), Price::from_scaled(1_000 + id))
        };
        let record = KlineRecord { kline, revision: 0, status: KlineStatus::Open };
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

/// The gateway, with every slot filled and both buffers touched.
fn gateway(symbols: usize) -> (GatewayCore, Ticks) {
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
    let mut core = GatewayCore::new(&config, 1, writer).expect("numbers that work");
    let mut ticks = Ticks { symbols, stride: 1, sequence: 0 };
    for _ in 0..3 {
        let _ = core.take(0, ticks.next(), Timing::InTime, UnixMillis(0));
        core.publish(UnixMillis(0));
    }
    (core, ticks)
}

fn recycled(group: &mut BenchmarkGroup<'_, WallTime>, name: &str, symbols: usize, stride: usize) {
    let (mut core, ticks) = gateway(symbols);
    let mut ticks = Ticks { stride, ..ticks };
    let mut watched = Arc::clone(core.published());
    let batch = ticks.batch();
    group.bench_function(format!("recycled/{name}"), |bencher| {
        bencher.iter_batched(
            || ticks.next(),
            |delta| {
                let taken = core.take(0, delta, Timing::InTime, UnixMillis(0));
                watched = core.publish(UnixMillis(0));
                black_box(watched.sequence);
                taken.spent
            },
            batch,
        );
    });
    assert_eq!(core.counters().clones, 0, "nobody held an older snapshot");
    assert_eq!(core.counters().refused, 0);
    let newest = watched.slot(SymbolId(0), 5).and_then(|slot| slot.open);
    assert_eq!(newest.map(|open| open.kline.trade_count), Some(ticks.sequence));
}

/// The blueprint: one mutable state, and a deep clone of it for the readers.
fn cloned(group: &mut BenchmarkGroup<'_, WallTime>, name: &str, symbols: usize, stride: usize) {
    let mut state: Vec<KlineState> = vec![KlineState::default(); symbols * PERIODS];
    let mut ticks = Ticks { symbols, stride: 1, sequence: 0 };
    let apply = |state: &mut [KlineState], delta: &WorkerDelta| {
        for data in &delta.open {
            let offset = data.symbol.index() * PERIODS + usize::from(data.period_index);
            state[offset].open = Some(data.record);
        }
    };
    apply(&mut state, &ticks.next());
    ticks.stride = stride;
    let mut watched = Arc::new(state.clone());
    let batch = ticks.batch();
    group.bench_function(format!("cloned/{name}"), |bencher| {
        bencher.iter_batched(
            || ticks.next(),
            |delta| {
                apply(&mut state, &delta);
                watched = Arc::new(state.clone());
                black_box(watched.len());
                delta
            },
            batch,
        );
    });
    assert_eq!(watched.len(), state.len());
}

/// What the clone costs for whom the gateway must make one: a reader holds every snapshot.
fn held(group: &mut BenchmarkGroup<'_, WallTime>, name: &str, symbols: usize, stride: usize) {
    let (mut core, ticks) = gateway(symbols);
    let mut ticks = Ticks { stride, ..ticks };
    let mut watched: [Arc<GlobalKlines>; 2] = std::array::from_fn(|_| Arc::clone(core.published()));
    let batch = ticks.batch();
    group.bench_function(format!("held/{name}"), |bencher| {
        bencher.iter_batched(
            || ticks.next(),
            |delta| {
                let taken = core.take(0, delta, Timing::InTime, UnixMillis(0));
                watched.swap(0, 1);
                watched[0] = core.publish(UnixMillis(0));
                taken.spent
            },
            batch,
        );
    });
}

fn snapshot(criterion: &mut Criterion) {
    for symbols in [size(600, 60), size(10_000, 200)] {
        let mut group = criterion.benchmark_group(format!("snapshot/{symbols}_symbols"));
        for (name, stride) in [("1_percent", 100), ("10_percent", 10), ("100_percent", 1)] {
            let ticks = Ticks { symbols, stride, sequence: 0 };
            group.throughput(Throughput::Elements(ticks.changed() as u64));
            recycled(&mut group, name, symbols, stride);
            cloned(&mut group, name, symbols, stride);
            held(&mut group, name, symbols, stride);
        }
        group.finish();
    }
}

criterion_group!(benches, snapshot);
criterion_main!(benches);
