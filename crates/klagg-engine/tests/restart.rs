//! Workers that break and start again: whoever holds a handle goes on with it, nothing closed is
//! lost, and the last straw ends it.

#![expect(clippy::unwrap_used, reason = "a test that cannot be set up has failed")]

use std::sync::mpsc::{self, Receiver};
use std::time::Duration;

use klagg_engine::{
    Continuity, Engine, EngineConfig, EngineError, FeedId, KlineData, NewSymbolSpec, RestartConfig,
    SequencerConfig, Supervision, WorkerDelta, WorkerEvent, WorkerReadHandle,
};
use klagg_kline::{
    KlineStatus, PeriodSet, Price, Quantity, Side, SymbolId, Trade, TradeId, UnixMillis,
};

const FEED: FeedId = FeedId(0);
const PATIENCE: Duration = Duration::from_secs(20);
const MINUTE: i64 = 60_000;

/// Two workers that may break `restarts_max` times in a row, and what is told of them.
fn start(restarts_max: u32, pause: Duration) -> (Engine, Receiver<WorkerEvent>) {
    let config = EngineConfig {
        periods: PeriodSet::default(),
        workers: 2,
        symbols_max: 10,
        queue_batches: 2,
        batch_trades: 3,
        close_grace_ms: 500,
        sequencer: SequencerConfig { continuity: Continuity::Checked, held_max: 9, hold_ms: 0 },
        undelivered_max: 10_000,
        first_core: None,
    };
    let (told, events) = mpsc::channel();
    let restart = RestartConfig {
        restarts_max,
        pause_min: pause,
        pause_max: pause,
        forgiven_after: Duration::from_hours(1),
    };
    let on_event = Box::new(move |event| told.send(event).unwrap_or(()));
    let engine = Engine::start_supervised(config, Supervision { restart, on_event }).unwrap();
    for symbol in 0..4 {
        let next_id = Some(TradeId(1));
        let spec = NewSymbolSpec {
            id: SymbolId(symbol),
            feed: FEED,
            previous_close: None,
            next_id,
            since: None,
        };
        engine.control().add_symbol(spec).unwrap();
    }
    (engine, events)
}

fn trade(id: i64, millis: i64) -> Trade {
    let (price, quantity) = (Price::from_scaled(5), Quantity::from_scaled(7));
    Trade::new(TradeId(id), UnixMillis(millis), price, quantity, 1, Side::Sell).unwrap()
}

fn break_one(reader: &WorkerReadHandle) {
    reader.request_snapshot_with(|_| panic!("broken by a test")).unwrap();
}

fn ask(reader: &WorkerReadHandle) -> WorkerDelta {
    let delta = reader.request_snapshot().unwrap().wait(PATIENCE).unwrap();
    reader.acknowledge(delta.sequence);
    delta
}

fn told(events: &Receiver<WorkerEvent>) -> WorkerEvent {
    events.recv_timeout(PATIENCE).unwrap()
}

/// Minute and status of one symbol's closed minutes.
fn minutes(closed: &[KlineData], symbol: u32) -> Vec<(i64, KlineStatus)> {
    let of = closed.iter().filter(|data| data.symbol == SymbolId(symbol) && data.period_index == 0);
    of.map(|data| (data.record.kline.open_time.0 / MINUTE, data.record.status)).collect()
}

#[test]
fn handles_outlive_a_restart_and_nothing_closed_is_lost() {
    let (mut engine, events) = start(5, Duration::from_millis(1));
    let readers = engine.take_readers();
    let (mut feed, control) = (engine.feed(FEED), engine.control());
    for symbol in 0..4 {
        feed.push(SymbolId(symbol), trade(1, 1)).unwrap();
        feed.flush().unwrap();
        feed.push(SymbolId(symbol), trade(2, MINUTE)).unwrap();
        feed.flush().unwrap();
    }
    // All of it is folded before the request that breaks one worker is served, or stands in its
    // lane behind the request: so wait for it.
    while ask(&readers[1]).counters.trades < 4 {}
    let before = readers[1].request_snapshot().unwrap().wait(PATIENCE).unwrap();
    break_one(&readers[1]);
    let pause = Duration::from_millis(1);
    let message = "broken by a test".to_owned();
    assert_eq!(told(&events), WorkerEvent::Broke { worker: 1, message, pause, restarts: 1 });
    assert_eq!(told(&events), WorkerEvent::Restarted { worker: 1, restarts: 1 });
    // The same ends as before: a new symbol, trades, a request.
    let spec = NewSymbolSpec {
        id: SymbolId(5),
        feed: FEED,
        previous_close: None,
        next_id: None,
        since: None,
    };
    control.add_symbol(spec).unwrap();
    for (id, minute) in [(3, 2), (4, 3)] {
        for symbol in [0, 1, 2, 3, 5] {
            feed.push(SymbolId(symbol), trade(id, minute * MINUTE)).unwrap();
            feed.flush().unwrap();
        }
    }
    drop((feed, control));
    let joined = std::thread::spawn(move || engine.join());
    let mut closed = [Vec::new(), Vec::new()];
    for (worker, reader) in readers.iter().enumerate() {
        loop {
            let delta = ask(reader);
            assert!(worker == 0 || delta.sequence > before.sequence);
            closed[worker].extend_from_slice(&delta.closed);
            if delta.is_last {
                break;
            }
        }
    }
    let (provisional, whole) = (KlineStatus::Provisional, KlineStatus::Closed);
    assert_eq!(minutes(&closed[0], 2), [(0, whole), (1, whole), (2, whole)]);
    // Minute 0 was taken before it broke. Where trade 3 fell, one before it may be missing.
    for symbol in [1, 3] {
        assert_eq!(minutes(&closed[1], symbol), [(1, provisional), (2, provisional)]);
    }
    assert_eq!(minutes(&closed[1], 5), [(2, provisional)]);
    let report = joined.join().unwrap().unwrap();
    let counters = report.workers[1];
    assert_eq!((counters.restarts, counters.trades_lost, counters.trades), (1, 0, 10));
    assert_eq!(report.workers[0].restarts, 0);
}

#[test]
fn while_a_worker_rests_no_feed_waits_for_it_and_what_it_misses_is_counted() {
    // It would rest for as long as the test may take.
    let (mut engine, events) = start(1, Duration::from_mins(1));
    let readers = engine.take_readers();
    let (mut feed, control) = (engine.feed(FEED), engine.control());
    break_one(&readers[1]);
    assert!(matches!(told(&events), WorkerEvent::Broke { worker: 1, .. }));
    // Far more than its lane holds, were it not taken out.
    for id in 1..=100 {
        for symbol in 0..4 {
            feed.push(SymbolId(symbol), trade(id, id)).unwrap();
            feed.flush().unwrap();
        }
    }
    let refused = readers[1].request_snapshot().unwrap().wait(PATIENCE).unwrap_err();
    assert!(matches!(refused, EngineError::WorkerGone { worker: 1 }), "nobody is kept waiting");
    while ask(&readers[0]).counters.trades < 200 {}
    // With nothing more to come, it need not rest either.
    drop((feed, control));
    let joined = std::thread::spawn(move || engine.join());
    // Asked while it still rests, it is gone; it wakes as soon as it sees that nothing comes.
    assert_eq!(told(&events), WorkerEvent::Restarted { worker: 1, restarts: 1 });
    for reader in &readers {
        while !ask(reader).is_last {}
    }
    let report = joined.join().unwrap().unwrap();
    assert_eq!(report.workers[1].trades_lost + report.workers[1].trades, 200);
    assert_eq!(report.workers[0].trades_lost, 0);
}

#[test]
fn at_one_panic_too_many_the_worker_ends_and_says_so() {
    let (mut engine, events) = start(2, Duration::ZERO);
    let readers = engine.take_readers();
    for restarts in 1..=2 {
        break_one(&readers[0]);
        assert!(matches!(told(&events), WorkerEvent::Broke { restarts: r, .. } if r == restarts));
        assert_eq!(told(&events), WorkerEvent::Restarted { worker: 0, restarts });
    }
    break_one(&readers[0]);
    let message = "broken by a test".to_owned();
    assert_eq!(told(&events), WorkerEvent::GaveUp { worker: 0, message, restarts: 2 });
    drop(readers);
    let error = engine.join().unwrap_err();
    assert_eq!(error.to_string(), "worker 0 panicked: broken by a test");
}

#[test]
fn restarts_that_cannot_work_are_refused_with_a_sentence() {
    let config = RestartConfig {
        restarts_max: 1,
        pause_min: Duration::from_secs(2),
        pause_max: Duration::from_secs(1),
        forgiven_after: Duration::ZERO,
    };
    let sentence = "`pause_min` is 2s with a pause_max of 1s, but must be at most pause_max, \
                    which is at most an hour";
    assert_eq!(config.validate().unwrap_err().to_string(), sentence);
}
