//! Question: what does one trade cost until it is in six exact klines, sequencer, closes and all;
//! for 600 symbols (in the cache) and 10,000 (out of it); alone, and through a worker's lane?
//!
//! `aggregator` is the sync embedding API, its closed klines taken out as they come. `engine` is
//! the same fold behind the batches and the lane of one worker thread, up to the last delta.
//! `naive` is what one would write first: a hash map of klines, all six updated by each trade;
//! it checks no ids and closes nothing. Throughput is in trades: 1 / it is the cost of one.

use std::collections::HashMap;
use std::hint::black_box;
use std::time::Duration;

use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use klagg_bench::{Market, MarketTrade, is_quick, size};
use klagg_engine::{
    Aggregator, Continuity, Engine, EngineConfig, FeedId, NewSymbolSpec, SequencerConfig,
};
use klagg_kline::{Kline, Period, PeriodSet, SymbolId, TradeId, UnixMillis};

/// How many trades go in before closed klines are taken out: about a read of a socket.
const CHUNK: usize = 1_024;

fn aggregate(trades: &[MarketTrade], aggregator: &mut Aggregator) -> usize {
    let mut closed = 0;
    for chunk in trades.chunks(CHUNK) {
        for one in chunk {
            aggregator.push(one.symbol, &one.trade).expect("a symbol below the limit");
        }
        closed += aggregator.drain_closed().count();
    }
    closed
}

type Book = HashMap<(SymbolId, Period, UnixMillis), Kline>;

fn naive(trades: &[MarketTrade], book: &mut Book) -> usize {
    for one in trades {
        for period in Period::DEFAULT {
            let open_time = period.open_time(one.trade.time);
            book.entry((one.symbol, period, open_time))
                .and_modify(|kline| kline.fold(&one.trade))
                .or_insert_with(|| Kline::of_trade(open_time, &one.trade));
        }
    }
    book.len()
}

fn engine(symbols: usize) -> Engine {
    let sequencer = SequencerConfig { continuity: Continuity::Checked, held_max: 64, hold_ms: 0 };
    let engine = Engine::start(EngineConfig {
        periods: PeriodSet::default(),
        workers: 1,
        symbols_max: symbols,
        queue_batches: 64,
        batch_trades: 512,
        close_grace_ms: 500,
        sequencer,
        undelivered_max: 1 << 22,
        first_core: None,
    })
    .expect("a thread can be had");
    for symbol in 0..u32::try_from(symbols).unwrap_or(0) {
        let (id, next_id) = (SymbolId(symbol), Some(TradeId(1)));
        let spec =
            NewSymbolSpec { id, feed: FeedId(0), previous_close: None, next_id, since: None };
        engine.control().add_symbol(spec).expect("below the limit");
    }
    engine
}

/// Everything in, and everything out again: the delta is answered behind the last trade.
fn through_engine(trades: &[MarketTrade], engine: &mut Engine) -> usize {
    let mut feed = engine.feed(FeedId(0));
    for one in trades {
        while feed.push(one.symbol, one.trade).is_err() {
            feed.flush().expect("the worker lives");
        }
    }
    feed.flush().expect("the worker lives");
    let reader = engine.take_readers().remove(0);
    loop {
        let pending = reader.request_snapshot().expect("one question at a time");
        let delta = pending.wait(Duration::from_mins(1)).expect("the worker lives");
        if delta.counters.trades >= trades.len() as u64 {
            return delta.closed.len();
        }
        std::thread::yield_now();
    }
}

fn fold(criterion: &mut Criterion) {
    for symbols in [600, size(10_000, 1_000)] {
        let trades: Vec<_> = Market::new(2, symbols).take(size(1_000_000, 20_000)).collect();
        let mut group = criterion.benchmark_group(format!("fold/{symbols}_symbols"));
        group.throughput(Throughput::Elements(trades.len() as u64));
        if !is_quick() {
            group.sample_size(20).measurement_time(Duration::from_secs(8));
        }
        let start = || Aggregator::new(PeriodSet::default());
        group.bench_function("aggregator", |bencher| {
            bencher.iter_batched_ref(
                start,
                |aggregator| black_box(aggregate(&trades, aggregator)),
                BatchSize::PerIteration,
            );
        });
        group.bench_function("engine", |bencher| {
            bencher.iter_batched_ref(
                || engine(symbols),
                |engine| black_box(through_engine(&trades, engine)),
                BatchSize::PerIteration,
            );
        });
        group.bench_function("naive", |bencher| {
            bencher.iter_batched_ref(
                Book::new,
                |book| black_box(naive(&trades, book)),
                BatchSize::PerIteration,
            );
        });
        group.finish();
        let mut aggregator = start();
        let closed = aggregate(&trades, &mut aggregator);
        let mut all = Book::new();
        naive(&trades, &mut all);
        assert!(closed > 0, "minutes closed");
        assert_eq!(aggregator.counters().trades, trades.len() as u64, "none was dropped");
        for symbol in (0..20).map(SymbolId) {
            for open in aggregator.open_klines(symbol) {
                let period = Period::DEFAULT[usize::from(open.period_index)];
                let kline = open.record.kline;
                assert_eq!(all.get(&(symbol, period, kline.open_time)), Some(&kline));
            }
        }
    }
}

criterion_group!(benches, fold);
criterion_main!(benches);
