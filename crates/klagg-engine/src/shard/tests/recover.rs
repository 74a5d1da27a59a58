//! What the successor of a shard that broke knows, and what it does not believe.

use super::*;

const SEVERAL: f64 = 4.5;

impl Bench {
    fn config() -> EngineConfig {
        EngineConfig {
            periods: PeriodSet::new(&[Period::M1, Period::M5, Period::M15]).unwrap(),
            workers: 1,
            symbols_max: 2,
            queue_batches: 1,
            batch_trades: 1,
            close_grace_ms: 500,
            sequencer: CHECKED,
            undelivered_max: 1_000,
            first_core: None,
        }
    }

    fn recover(&mut self) {
        self.shard = self.shard.recover(&Self::config());
    }
}

#[test]
fn what_closed_before_is_handed_out_and_what_was_open_is_provisional() {
    let mut bench = Bench::with_spec(CHECKED, None, Some(1));
    bench.trade(1, 0.1, 10);
    bench.trade(2, 1.1, 11);
    bench.recover();
    assert_eq!(bench.open(), "1m@1 o11 c11 n1, 5m@0 o10 c11 n2, 15m@0 o10 c11 n2");
    // Id 3 may have been lost: nobody knows.
    bench.trade(3, 1.2, 12);
    bench.trade(4, 2.1, 13);
    bench.trade(5, 3.1, 14);
    let told = "1m@0=closed/0 c10, 1m@1=provisional/0 c12, 1m@2=closed/0 c13";
    assert_eq!(bench.closed(), told);
    assert_eq!(bench.shard.counters().restarts, 1);
}

#[test]
fn the_first_trade_afterwards_proves_nothing_of_its_own_minute() {
    let mut bench = Bench::with_spec(CHECKED, None, Some(1));
    bench.trade(1, 0.1, 10);
    bench.recover();
    bench.time(SEVERAL);
    // Ids 2 to 7 were lost; perhaps in this minute.
    bench.trade(8, 5.1, 11);
    bench.trade(9, 6.1, 12);
    bench.trade(10, 7.1, 13);
    let told = bench.closed();
    let minutes = "1m@0=provisional/0 c10, 1m@1=provisional/0 c10, 1m@2=provisional/0 c10, \
                   1m@3=provisional/0 c10, 1m@4=provisional/0 c10, 5m@0=provisional/0 c10, \
                   1m@5=provisional/0 c11, 1m@6=closed/0 c12";
    assert_eq!(told, minutes);
    assert_eq!(bench.shard.counters().gaps, 0, "of those ids nothing is said");
}

#[test]
fn a_trade_folded_before_is_known() {
    let mut bench = Bench::with_spec(CHECKED, None, Some(1));
    (1..=3).for_each(|id| bench.trade(id, 0.1, 10));
    bench.recover();
    (1..=4).for_each(|id| bench.trade(id, 0.2, 10));
    assert_eq!(bench.open(), "1m@0 o10 c10 n4, 5m@0 o10 c10 n4, 15m@0 o10 c10 n4");
    assert_eq!(bench.shard.counters().duplicates, 3);
}

#[test]
fn a_minute_that_closed_before_it_could_be_left_is_not_told_twice_and_its_parents_are_told() {
    let mut bench = Bench::with_spec(CHECKED, None, Some(1));
    for (id, minute) in (1..).zip([0.5, 1.5, 2.5, 3.5, 4.5]) {
        bench.trade(id, minute, id);
    }
    bench.closed();
    // It broke on its way out of minute 4: that is told, but neither is its successor open, nor
    // was the kline of five minutes closed.
    let Bench { shard, .. } = &mut bench;
    let kline = shard.slots[0].open;
    let levels = shard.levels[0].as_mut().unwrap();
    let (status, end) = (KlineStatus::Closed, kline.open_time.plus(60_000));
    let closing =
        crate::levels::Closing { kline: &kline, revision: 0, status, unproven: false, end };
    levels.ring(0).push(&closing);
    shard.out.emit(SYMBOL, 0, &KlineRecord { kline, revision: 0, status });
    bench.recover();
    assert_eq!(bench.open(), "1m@5 o5 c5 n0, 5m@5 o5 c5 n0, 15m@0 o1 c5 n5");
    assert_eq!(bench.closed(), "1m@4=closed/0 c5, 5m@0=closed/0 c5");
    bench.trade(7, 5.1, 7);
    bench.trade(8, 6.1, 8);
    assert_eq!(bench.closed(), "1m@5=provisional/0 c7");
}

#[test]
fn an_open_minute_that_makes_no_sense_is_begun_anew() {
    let mut bench = Bench::with_spec(CHECKED, None, Some(1));
    bench.trade(1, 0.1, 10);
    bench.trade(2, 1.1, 12);
    bench.shard.slots[0].open.low = Price::from_scaled(13);
    bench.recover();
    assert_eq!(bench.open(), "1m@1 o10 c10 n0, 5m@0 o10 c10 n1, 15m@0 o10 c10 n1");
}

#[test]
fn a_retired_symbol_is_forgotten_and_a_new_one_can_be_added() {
    let mut bench = Bench::with_spec(CHECKED, None, Some(1));
    bench.trade(1, 0.1, 10);
    bench.shard.retire_symbol(SYMBOL);
    bench.recover();
    bench.trade(2, 0.2, 10);
    assert_eq!((bench.open().as_str(), bench.shard.counters().unknown_symbol), ("", 1));
    let (id, feed) = (SymbolId(1), FEED);
    bench.shard.add_symbol(&NewSymbolSpec {
        id,
        feed,
        previous_close: None,
        next_id: None,
        since: None,
    });
    bench.shard.on_trade(id, &trade(1, 0.1, 10));
    assert_eq!(bench.shard.open_klines(id).len(), 3);
}

#[test]
fn a_reader_sees_numbers_that_go_on() {
    let mut bench = Bench::with_spec(CHECKED, None, Some(1));
    bench.trade(1, 0.1, 10);
    bench.closed();
    bench.trade(2, 1.1, 10);
    let mut delta = WorkerDelta::empty(0);
    // Handed out, but never acknowledged.
    bench.shard.fill_delta(&mut delta);
    bench.recover();
    let before = delta.sequence;
    bench.shard.fill_delta(&mut delta);
    assert_eq!((delta.sequence, delta.closed.len(), delta.open.len()), (before + 1, 1, 3));
    bench.shard.acknowledge(delta.sequence);
    bench.shard.fill_delta(&mut delta);
    assert_eq!((delta.closed.len(), delta.open.len()), (0, 0));
}
