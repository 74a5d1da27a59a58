//! Question: how long from a frame's bytes to its kline in a published `GlobalKlines`, and how
//! many frames a second go all the way?
//!
//! Everything of the live path but the socket and the cadence: decode, symbol lookup, batch, lane,
//! worker thread, fold, delta, apply, publish. `one_frame` is the latency of a single frame in a
//! quiet market of 600 symbols; live, up to one cadence (100 ms) of waiting comes on top, by
//! choice. `burst` is the throughput, in frames.

use std::hint::black_box;
use std::time::Duration;

use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use klagg_bench::{Market, combined_frame, size};
use klagg_engine::{
    Continuity, Engine, EngineConfig, EngineFeed, FeedId, HistoryConfig, NewSymbolSpec,
    SequencerConfig, WorkerReadHandle, history,
};
use klagg_gateway::{GatewayConfig, GatewayCore, Timing};
use klagg_kline::{PeriodSet, SymbolId, TradeId, UnixMillis};
use klagg_symbols::{NewSymbol, SymbolIndex, SymbolReader};
use klagg_wire::{Decoder, StreamEvent};

const SYMBOLS: usize = 600;
const WORKERS: usize = 2;

/// All stages from bytes to snapshot, called one after the other on this thread but for the fold.
struct Pipeline {
    decoder: Decoder,
    symbols: SymbolReader,
    feed: EngineFeed,
    readers: Vec<WorkerReadHandle>,
    core: GatewayCore,
    fed: u64,
    _engine: Engine,
}

impl Pipeline {
    fn new(market: &Market) -> Self {
        let index = SymbolIndex::empty(SYMBOLS);
        let names = market.names().enumerate();
        let listed = names.map(|(place, name)| NewSymbol {
            name: name.to_owned(),
            // One after the other, so that the numbers are the market's.
            first_open_time: UnixMillis(i64::try_from(place).unwrap_or(0)),
            onboard_time: None,
            precision: market.precision(SymbolId(u32::try_from(place).unwrap_or(0))),
        });
        let listed = index.append(listed.collect()).expect("distinct names");
        let mut engine = start_engine();
        for symbol in &listed {
            let spec = NewSymbolSpec {
                id: symbol.id,
                feed: FeedId(0),
                previous_close: None,
                next_id: Some(TradeId(1)),
                since: None,
            };
            engine.control().add_symbol(spec).expect("below the limit");
        }
        Self {
            decoder: Decoder::new(),
            symbols: index.reader(),
            feed: engine.feed(FeedId(0)),
            readers: engine.take_readers(),
            core: start_core(),
            fed: 0,
            _engine: engine,
        }
    }

    /// Bytes to the workers, as a connection does it after each read.
    fn feed(&mut self, frames: &[Vec<u8>]) {
        for frame in frames {
            let event = self.decoder.decode(frame).expect("our own frame");
            let StreamEvent::Trade(event) = event else { panic!("a trade was sent") };
            let symbol = self.symbols.table().get(event.symbol).expect("a listed symbol");
            while self.feed.push(symbol, event.trade).is_err() {
                self.feed.flush().expect("the workers live");
            }
        }
        self.feed.flush().expect("the workers live");
        self.fed += frames.len() as u64;
    }

    /// Pulls and publishes, as a tick does it, until everything fed is visible.
    fn publish(&mut self) -> u64 {
        loop {
            let asked: Vec<_> =
                self.readers.iter().map(WorkerReadHandle::request_snapshot).collect();
            for (worker, pending) in asked.into_iter().enumerate() {
                let pending = pending.expect("one question at a time");
                let delta = pending.wait(Duration::from_mins(1)).expect("the workers live");
                let sequence = delta.sequence;
                let taken = self.core.take(worker, delta, Timing::InTime, UnixMillis(0));
                self.readers[worker].acknowledge(sequence);
                taken.spent.into_iter().for_each(|spent| self.readers[worker].recycle(spent));
            }
            let snapshot = self.core.publish(UnixMillis(0));
            let folded: u64 = snapshot.workers.iter().map(|worker| worker.counters.trades).sum();
            if folded >= self.fed {
                return snapshot.sequence;
            }
        }
    }
}

fn start_engine() -> Engine {
    let sequencer = SequencerConfig { continuity: Continuity::Checked, held_max: 64, hold_ms: 0 };
    Engine::start(EngineConfig {
        periods: PeriodSet::default(),
        workers: WORKERS,
        symbols_max: SYMBOLS,
        queue_batches: 64,
        batch_trades: 512,
        close_grace_ms: 500,
        sequencer,
        undelivered_max: 1 << 20,
        first_core: None,
    })
    .expect("threads can be had")
}

fn start_core() -> GatewayCore {
    let config = GatewayConfig {
        cadence: Duration::from_millis(100),
        worker_timeout: Duration::from_millis(50),
        alarm_threshold: 5,
        symbols_max: SYMBOLS,
        periods: PeriodSet::default(),
    };
    let (writer, _) = history(HistoryConfig {
        periods: config.periods.clone(),
        symbols_max: SYMBOLS,
        capacity: vec![1_000; config.periods.len()],
        log_capacity: 1 << 14,
    })
    .expect("numbers that work");
    GatewayCore::new(&config, WORKERS, writer).expect("numbers that work")
}

fn one_frame(criterion: &mut Criterion) {
    let mut market = Market::new(3, SYMBOLS);
    let mut pipeline = Pipeline::new(&market);
    criterion.bench_function("end_to_end/one_frame", |bencher| {
        bencher.iter_batched(
            || {
                let one = market.next().expect("endless");
                [combined_frame(&market, &one).into_bytes()]
            },
            |frames| {
                pipeline.feed(&frames);
                black_box(pipeline.publish())
            },
            BatchSize::SmallInput,
        );
    });
}

fn burst(criterion: &mut Criterion) {
    let mut market = Market::new(4, SYMBOLS);
    let mut pipeline = Pipeline::new(&market);
    let frames_count = size(20_000, 500);
    let mut group = criterion.benchmark_group("end_to_end");
    group.throughput(Throughput::Elements(frames_count as u64));
    group.bench_function("burst", |bencher| {
        bencher.iter_batched(
            || {
                let trades: Vec<_> = market.by_ref().take(frames_count).collect();
                let frame = |one| combined_frame(&market, one).into_bytes();
                trades.iter().map(frame).collect::<Vec<_>>()
            },
            |frames| {
                pipeline.feed(&frames);
                pipeline.publish();
                frames
            },
            BatchSize::PerIteration,
        );
    });
    group.finish();
    assert_eq!(pipeline.core.counters().refused, 0);
    let shown = pipeline.core.published().symbols();
    assert!(shown > SYMBOLS / 2, "the tail trades seldom, but most of it has: {shown}");
}

criterion_group!(benches, one_frame, burst);
criterion_main!(benches);
