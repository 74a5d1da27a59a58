//! The threaded engine at its borders: limits, full lanes, readers that do not come, the end.

#![expect(clippy::unwrap_used, reason = "a test that cannot be set up has failed")]

use std::sync::mpsc;
use std::time::Duration;

use klagg_engine::{
    Continuity, Engine, EngineConfig, EngineError, FeedFull, FeedId, FeedTrade, KlineData,
    NewSymbolSpec, SequencerConfig, WorkerReadHandle,
};
use klagg_kline::{
    KlineStatus, Period, PeriodSet, Price, Quantity, Side, SymbolId, Trade, TradeId, UnixMillis,
};

const FEED: FeedId = FeedId(0);
const PATIENCE: Duration = Duration::from_secs(20);

fn config(workers: usize) -> EngineConfig {
    EngineConfig {
        periods: PeriodSet::default(),
        workers,
        symbols_max: 10,
        queue_batches: 2,
        batch_trades: 3,
        close_grace_ms: 500,
        sequencer: SequencerConfig { continuity: Continuity::Checked, held_max: 9, hold_ms: 0 },
        undelivered_max: 10_000,
        first_core: None,
    }
}

fn spec(symbol: u32) -> NewSymbolSpec {
    NewSymbolSpec {
        id: SymbolId(symbol),
        feed: FEED,
        previous_close: None,
        next_id: None,
        since: None,
    }
}

fn trade(id: i64, millis: i64) -> Trade {
    let (price, quantity) = (Price::from_scaled(5), Quantity::from_scaled(7));
    Trade::new(TradeId(id), UnixMillis(millis), price, quantity, 1, Side::Sell).unwrap()
}

/// Takes deltas until the last one; its closed klines are all there ever were.
fn take_all(reader: &WorkerReadHandle) -> Vec<KlineData> {
    let mut closed = Vec::new();
    loop {
        let delta = reader.request_snapshot().unwrap().wait(PATIENCE).unwrap();
        reader.acknowledge(delta.sequence);
        closed.extend_from_slice(&delta.closed);
        assert_eq!(delta.closed_dropped, 0);
        if delta.is_last {
            return closed;
        }
        reader.recycle(delta);
    }
}

#[test]
fn numbers_that_cannot_work_are_refused_with_a_sentence() {
    let check = |change: fn(&mut EngineConfig), expected: &str| {
        let mut config = config(2);
        change(&mut config);
        assert_eq!(Engine::start(config).unwrap_err().to_string(), expected);
    };
    check(|config| config.workers = 0, "`workers` is 0, but must be from 1 to 1024");
    check(|config| config.symbols_max = 0, "`symbols_max` is 0, but must be from 1 to 1000000");
    check(|config| config.batch_trades = 0, "`batch_trades` is 0, but must be from 1 to 16777216");
    check(
        |config| config.close_grace_ms = -1,
        "`close_grace_ms` is -1, but must be from 0 to 3600000",
    );
    check(
        |config| config.sequencer.held_max = 0,
        "`sequencer.held_max` is 0, but must be from 1 to 16777216",
    );
    if cfg!(not(feature = "pinning")) {
        check(
            |config| config.first_core = Some(1),
            "`first_core` is 1, but must be absent in a build without the feature `pinning`",
        );
    }
}

#[test]
fn a_symbol_beyond_the_limit_is_refused_and_the_rest_goes_on() {
    let mut engine = Engine::start(config(2)).unwrap();
    let control = engine.control();
    control.add_symbol(spec(9)).unwrap();
    let error = control.add_symbol(spec(10)).unwrap_err();
    assert!(matches!(error, EngineError::SymbolLimit { symbol: SymbolId(10), max: 10 }));
    assert_eq!(error.to_string(), "symbol #10 is beyond the limit of 10 symbols");
    let error = control.supply(SymbolId(9), Period::M3, Vec::new()).unwrap_err();
    assert!(matches!(error, EngineError::PeriodNotConfigured(Period::M3)));
    let mut feed = engine.feed(FEED);
    feed.push(SymbolId(9), trade(1, 1)).unwrap();
    feed.push(SymbolId(10), trade(1, 1)).unwrap();
    feed.flush().unwrap();
    drop((feed, control, engine.take_readers()));
    let report = engine.join().unwrap();
    assert_eq!((report.workers[0].unknown_symbol, report.workers[1].trades), (1, 1));
}

#[test]
fn a_full_lane_refuses_and_loses_nothing() {
    let mut engine = Engine::start(config(1)).unwrap();
    engine.control().add_symbol(spec(0)).unwrap();
    let readers = engine.take_readers();
    let (entered_tx, entered) = mpsc::channel();
    let (release, released) = mpsc::channel::<()>();
    // The worker stands still inside of an answer.
    readers[0]
        .request_snapshot_with(move |_| {
            entered_tx.send(()).unwrap();
            let _ = released.recv();
        })
        .unwrap();
    entered.recv_timeout(PATIENCE).unwrap();
    let mut feed = engine.feed(FEED);
    let mut next = 1;
    // Two batches in the lane, one in the hand.
    while feed.push(SymbolId(0), trade(next, next)).is_ok() {
        next += 1;
    }
    assert_eq!(next, 10);
    let refused = feed.push(SymbolId(0), trade(10, 10)).unwrap_err();
    assert_eq!(refused, FeedFull(FeedTrade { trade: trade(10, 10), symbol: SymbolId(0) }));
    assert!(!feed.try_flush().unwrap());
    feed.watermark(UnixMillis(60_500));
    // Requests are bounded as well.
    let pending: Vec<_> = std::iter::from_fn(|| readers[0].request_snapshot().ok()).collect();
    assert_eq!(pending.len(), 4);
    assert!(readers[0].request_snapshot().unwrap_err().is_retryable());
    let error = pending[0].wait(Duration::ZERO).unwrap_err();
    assert!(matches!(error, EngineError::TimedOut { worker: 0 }) && error.is_retryable());

    release.send(()).unwrap();
    feed.flush().unwrap();
    // The watermark came before this trade, and after those before it.
    feed.push(SymbolId(0), trade(10, 61_000)).unwrap();
    drop(feed);
    drop(pending);
    let reader = readers.into_iter().next().unwrap();
    let thread = std::thread::spawn(move || take_all(&reader));
    let report = engine.join().unwrap();
    let closed = thread.join().unwrap();
    assert_eq!(report.workers[0].trades, 10);
    assert_eq!(closed[0].record.kline.trade_count, 9);
    assert_eq!(closed[0].record.status, KlineStatus::Closed);
}

#[test]
fn a_feed_can_end_without_waiting_for_a_worker_that_stands_still() {
    let mut engine = Engine::start(config(1)).unwrap();
    engine.control().add_symbol(spec(0)).unwrap();
    let readers = engine.take_readers();
    let (entered_tx, entered) = mpsc::channel();
    let (release, released) = mpsc::channel::<()>();
    readers[0]
        .request_snapshot_with(move |_| {
            entered_tx.send(()).unwrap();
            let _ = released.recv();
        })
        .unwrap();
    entered.recv_timeout(PATIENCE).unwrap();
    let mut feed = engine.feed(FEED);
    let mut next = 1;
    while feed.push(SymbolId(0), trade(next, next)).is_ok() {
        next += 1;
    }
    // Two batches wait in the lane; the third is nobody's any more.
    assert_eq!(feed.abandon(), 3);
    assert_eq!(feed.abandon(), 0);
    drop(feed);
    drop(release);
    drop(readers);
    assert_eq!(engine.join().unwrap().workers[0].trades, 6);
}

#[test]
fn the_last_delta_waits_for_its_reader_after_the_feeds_are_gone() {
    let mut engine = Engine::start(config(3)).unwrap();
    let readers = engine.take_readers();
    let mut feed = engine.feed(FEED);
    for symbol in 0..10 {
        engine.control().add_symbol(spec(symbol)).unwrap();
        for minute in 0..7 {
            while feed.push(SymbolId(symbol), trade(minute + 1, minute * 60_000)).is_err() {
                feed.flush().unwrap();
            }
        }
    }
    drop(feed);
    let thread = std::thread::spawn(move || engine.join());
    let mut closed = Vec::new();
    for reader in &readers {
        closed.extend(take_all(reader));
    }
    assert_eq!(closed.len(), 10 * 7, "six minutes and one of 5m for each symbol");
    assert!(closed.iter().all(|data| data.record.status == KlineStatus::Closed));
    let report = thread.join().unwrap().unwrap();
    assert_eq!(report.workers.iter().map(|counters| counters.trades).sum::<u64>(), 70);
    let error = readers[0].request_snapshot().unwrap_err();
    assert!(matches!(error, EngineError::WorkerGone { worker: 0 }));
}

#[test]
fn an_interruption_stands_between_the_trades_that_it_parted() {
    let mut engine = Engine::start(config(1)).unwrap();
    let readers = engine.take_readers();
    let mut feed = engine.feed(FEED);
    engine.control().add_symbol(spec(0)).unwrap();
    feed.push(SymbolId(0), trade(1, 1)).unwrap();
    feed.push(SymbolId(0), trade(2, 60_001)).unwrap();
    feed.interrupted();
    feed.watermark(UnixMillis(180_500));
    feed.push(SymbolId(0), trade(3, 180_501)).unwrap();
    drop(feed);
    let thread = std::thread::spawn(move || engine.join().unwrap());
    let told: Vec<_> = take_all(&readers[0])
        .iter()
        .map(|data| (data.record.kline.open_time.0 / 60_000, data.record.status))
        .collect();
    let (provisional, closed) = (KlineStatus::Provisional, KlineStatus::Closed);
    assert_eq!(told, [(0, closed), (1, provisional), (2, provisional), (1, closed), (2, closed)]);
    assert_eq!(thread.join().unwrap().workers[0].interruptions, 1);
}

#[test]
fn what_a_quiet_feed_holds_is_shown_and_what_came_behind_that_is_held() {
    let mut config = config(1);
    config.sequencer.hold_ms = 250;
    let mut engine = Engine::start(config).unwrap();
    let readers = engine.take_readers();
    let mut feed = engine.feed(FEED);
    engine.control().add_symbol(spec(0)).unwrap();
    feed.copies(2);
    feed.push(SymbolId(0), trade(1, 1)).unwrap();
    feed.push(SymbolId(0), trade(3, 2)).unwrap();
    feed.quiet();
    feed.push(SymbolId(0), trade(5, 3)).unwrap();
    feed.flush().unwrap();
    let taken = std::iter::repeat_with(|| {
        let delta = readers[0].request_snapshot().unwrap().wait(PATIENCE).unwrap();
        let last = delta.open.first().map(|data| data.record.kline.last_id.0);
        (last, delta.counters.held)
    });
    let all_held = taken.take(1_000_000).find(|&(_, held)| held == 2);
    assert_eq!(all_held, Some((Some(3), 2)));
    drop(feed);
    let thread = std::thread::spawn(move || engine.join().unwrap());
    take_all(&readers[0]);
    assert_eq!(thread.join().unwrap().workers[0].gaps, 2);
}

#[test]
fn a_symbol_is_known_before_the_trades_flushed_after_it_was_added() {
    let mut config = config(2);
    config.symbols_max = 2_000;
    let mut engine = Engine::start(config).unwrap();
    drop(engine.take_readers());
    let (mut feed, control) = (engine.feed(FEED), engine.control());
    for symbol in 0..2_000 {
        control.add_symbol(spec(symbol)).unwrap();
        feed.push(SymbolId(symbol), trade(1, 1)).unwrap();
        feed.flush().unwrap();
    }
    drop((feed, control));
    let report = engine.join().unwrap();
    assert!(report.workers.iter().all(|counters| counters.unknown_symbol == 0));
    assert_eq!(report.workers.iter().map(|counters| counters.trades).sum::<u64>(), 2_000);
}

#[test]
fn a_worker_that_breaks_is_named_and_its_users_are_told() {
    let mut engine = Engine::start(config(1)).unwrap();
    let readers = engine.take_readers();
    let (mut feed, control) = (engine.feed(FEED), engine.control());
    let (release, released) = mpsc::channel::<()>();
    readers[0]
        .request_snapshot_with(move |_| {
            let _ = released.recv();
            panic!("a broken answer");
        })
        .unwrap();
    let pending = readers[0].request_snapshot().unwrap();
    let gone = |error| matches!(error, EngineError::WorkerGone { worker: 0 });
    release.send(()).unwrap();
    assert!(gone(pending.wait(PATIENCE).unwrap_err()));
    while control.add_symbol(spec(0)).is_ok() {}
    feed.push(SymbolId(0), trade(1, 1)).unwrap();
    assert!(gone(feed.flush().unwrap_err()));
    drop((feed, control, readers));
    let error = engine.join().unwrap_err();
    assert_eq!(error.to_string(), "worker 0 panicked: a broken answer");
}
