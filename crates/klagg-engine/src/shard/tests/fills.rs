//! Holes that are filled after they were given up.

use proptest::prelude::*;

use super::*;
use crate::Hole;

impl Bench {
    /// Trades of one minute, each with its id as price.
    fn fill(&mut self, ids: std::ops::RangeInclusive<i64>, minute: f64) {
        let trades: Vec<Trade> = ids.map(|id| trade(id, minute, id)).collect();
        self.shard.fill(SYMBOL, &trades);
    }

    /// The holes told of since the last acknowledged delta, as `3..=5 in 7`.
    fn holes(&mut self) -> String {
        let mut delta = WorkerDelta::empty(0);
        self.shard.fill_delta(&mut delta);
        let told = delta.holes.iter().map(|&Hole { first, last, minute, .. }| {
            let minute = minute.map_or("none".to_owned(), |at| (at.0 / 60_000).to_string());
            format!("{first}..={last} in {minute}")
        });
        told.collect::<Vec<_>>().join(", ")
    }

    fn fills(&self) -> (u64, u64) {
        (self.shard.counters().fills, self.shard.counters().fills_refused)
    }
}

#[test]
fn a_hole_in_the_open_minute_is_filled_and_the_minute_closes_whole() {
    let mut bench = Bench::new(CHECKED);
    bench.trade(1, 5.1, 1);
    bench.trade(5, 5.9, 5);
    assert_eq!(bench.holes(), "2..=4 in 5");
    bench.fill(2..=4, 5.5);
    assert_eq!(bench.open(), "1m@5 o1 c5 n5, 5m@5 o1 c5 n5, 15m@0 o1 c5 n5");
    bench.trade(6, 6.1, 6);
    assert_eq!(bench.closed(), "1m@5=closed/0 c5");
    assert_eq!(bench.fills(), (1, 0));
    assert_eq!(bench.holes(), "", "once acknowledged, it is not told of again");
}

#[test]
fn a_hole_in_a_closed_minute_is_filled_and_the_longer_klines_follow() {
    let mut bench = Bench::new(CHECKED);
    bench.trade(1, 5.1, 1);
    bench.trade(4, 5.9, 4);
    bench.trade(5, 10.5, 5);
    let closed = bench.closed();
    assert!(closed.starts_with("1m@5=provisional/0 c4, 1m@6=closed"), "{closed}");
    assert!(closed.ends_with("5m@5=provisional/0 c4"), "{closed}");
    bench.fill(2..=3, 5.5);
    assert_eq!(bench.closed(), "1m@5=closed/1 c4, 5m@5=closed/1 c4");
    assert_eq!(bench.shard.counters().corrected, 2);
}

#[test]
fn the_first_trades_of_a_listing_are_filled_in_if_they_were_missed() {
    let mut bench = Bench::with_spec(CHECKED, None, Some(1));
    bench.trade(4, 6.5, 4);
    assert_eq!(bench.holes(), "1..=3 in 6");
    bench.fill(1..=3, 6.2);
    assert_eq!(bench.open(), "1m@6 o1 c4 n4, 5m@5 o1 c4 n4, 15m@0 o1 c4 n4");
    bench.trade(5, 10.1, 5);
    let closed = bench.closed();
    assert!(closed.starts_with("1m@6=closed/0 c4") && closed.ends_with("5m@5=closed/0 c4"));
    // Its minute was over by then.
    let mut bench = Bench::with_spec(CHECKED, None, Some(1));
    bench.trade(3, 6.5, 3);
    bench.trade(4, 7.1, 4);
    assert_eq!(bench.closed(), "1m@6=provisional/0 c3");
    bench.fill(1..=2, 6.2);
    bench.trade(5, 10.1, 5);
    let closed = bench.closed();
    assert!(closed.starts_with("1m@6=closed/1 c3") && closed.ends_with("5m@5=closed/0 c4"));
    assert_eq!(bench.fills(), (1, 0));
}

#[test]
fn a_listing_whose_first_trade_was_heard_is_whole_whether_ids_begin_at_0_or_1() {
    for first in [0, 1] {
        let mut bench = Bench::with_spec(CHECKED, None, Some(1));
        bench.time(4.0);
        bench.trade(first, 6.5, 1);
        bench.trade(first + 1, 10.1, 2);
        assert_eq!(bench.holes(), "");
        let mut bench = Bench::with_spec(CHECKED, None, Some(1));
        bench.trade(first, 6.5, 1);
        bench.trade(first + 1, 10.1, 2);
        let closed = bench.closed();
        assert!(closed.starts_with("1m@6=closed/0 c1") && closed.ends_with("5m@5=closed/0 c1"));
    }
}

#[test]
fn two_holes_of_a_minute_are_both_to_be_filled() {
    let mut bench = Bench::new(CHECKED);
    bench.trade(1, 5.1, 1);
    bench.trade(3, 5.3, 3);
    bench.trade(5, 5.5, 5);
    bench.time(6.5);
    bench.closed();
    bench.fill(4..=4, 5.4);
    assert_eq!(bench.closed(), "1m@5=provisional/1 c5");
    bench.fill(2..=2, 5.2);
    assert_eq!(bench.closed(), "1m@5=closed/2 c5");
}

#[test]
fn what_is_not_exactly_the_hole_is_refused() {
    let mut bench = Bench::new(CHECKED);
    bench.trade(1, 5.1, 1);
    bench.trade(5, 5.9, 5);
    bench.fill(2..=3, 5.5);
    bench.fill(1..=4, 5.5);
    bench.fill(2..=5, 5.5);
    bench.fill(2..=4, 6.5);
    let backward = [trade(2, 5.5, 2), trade(3, 5.4, 3), trade(4, 5.5, 4)];
    bench.shard.fill(SYMBOL, &backward);
    let doubled = [trade(2, 5.5, 2), trade(2, 5.5, 2), trade(4, 5.5, 4)];
    bench.shard.fill(SYMBOL, &doubled);
    bench.shard.fill(SYMBOL, &[]);
    bench.shard.fill(SymbolId(1), &doubled);
    assert_eq!(bench.fills(), (0, 8));
    bench.fill(2..=4, 5.5);
    bench.fill(2..=4, 5.5);
    assert_eq!(bench.fills(), (1, 9), "filled once");
    // A trade that was missed comes late after all: it is in the minute already.
    bench.trade(3, 5.5, 3);
    assert_eq!(bench.shard.counters().duplicates, 1);
}

#[test]
fn a_hole_over_two_minutes_is_left_to_klines() {
    let mut bench = Bench::new(CHECKED);
    bench.trade(1, 5.1, 1);
    bench.trade(4, 6.9, 4);
    assert_eq!(bench.holes(), "2..=3 in none");
    bench.fill(2..=3, 6.5);
    assert_eq!(bench.fills(), (0, 1));
    // Behind a minute that is broken anyway, a second hole cannot make it whole.
    bench.trade(6, 6.95, 6);
    bench.fill(5..=5, 6.92);
    assert_eq!(bench.fills(), (0, 2));
    bench.time(7.5);
    assert_eq!(bench.closed(), "1m@5=provisional/0 c1, 1m@6=provisional/0 c6");
}

#[test]
fn a_minute_whose_end_is_unproven_or_that_is_confirmed_is_not_filled() {
    let mut bench = Bench::new(CHECKED);
    bench.trade(1, 5.1, 1);
    bench.trade(3, 5.3, 3);
    bench.shard.on_interrupted(FEED);
    bench.fill(2..=2, 5.2);
    assert_eq!(bench.fills(), (0, 1), "what came after the cut is not known");
    bench.trade(4, 6.1, 4);
    bench.supply(Period::M1, 5, 9, KlineStatus::Confirmed);
    bench.fill(2..=2, 5.2);
    assert_eq!(bench.fills(), (0, 2));
}

#[test]
fn raw_ids_have_holes_that_nobody_asks_to_fill() {
    let rules = SequencerConfig { continuity: Continuity::Unchecked, held_max: 3, hold_ms: 0 };
    let mut bench = Bench::new(rules);
    bench.trade(1, 5.1, 1);
    bench.shard.on_interrupted(FEED);
    bench.trade(3, 5.3, 3);
    assert_eq!(bench.holes(), "2..=2 in none");
}

#[test]
fn holes_that_nobody_takes_are_bounded_and_counted() {
    let mut bench = Bench::new(CHECKED);
    for id in 0..3_000 {
        bench.trade(2 * id + 1, 5.1, 1);
    }
    assert_eq!(bench.holes().split(", ").count(), 1_024);
    assert_eq!(bench.shard.counters().holes_dropped, 2_999 - 1_024);
    // Of the oldest holes only what they broke is known.
    bench.fill(2..=2, 5.1);
    assert_eq!(bench.fills(), (0, 1));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    /// With every hole filled that can be, in any order, minutes that end as `Closed` equal those
    /// of a run without loss; the others are provisional, never wrongly closed.
    #[test]
    fn a_filled_run_equals_one_without_loss(
        steps in prop::collection::vec((0_i64..40_000, any::<bool>()), 2..60),
        order in any::<u64>(),
    ) {
        let mut time = 300_000;
        let trades: Vec<Trade> = steps.iter().zip(1..).map(|(&(step, _), id)| {
            time += step;
            let (price, quantity) = (Price::from_scaled(id), Quantity::from_scaled(id));
            Trade::new(TradeId(id), UnixMillis(time), price, quantity, 1, Side::Sell).unwrap()
        }).collect();
        let (mut whole, mut lossy) = (Bench::new(CHECKED), Bench::new(CHECKED));
        for (trade, &(_, is_lost)) in trades.iter().zip(&steps) {
            whole.shard.on_trade(SYMBOL, trade);
            // Of what is before the first trade and behind the last one, nothing can be known.
            if !is_lost || [1, trades.len() as u64].contains(&trade.id.0.unsigned_abs()) {
                lossy.shard.on_trade(SYMBOL, trade);
            }
        }
        let mut delta = WorkerDelta::empty(0);
        lossy.shard.fill_delta(&mut delta);
        let mut holes = delta.holes.clone();
        if order.is_multiple_of(2) {
            holes.reverse();
        }
        for hole in &holes {
            let lacking: Vec<Trade> = trades
                .iter()
                .filter(|trade| hole.first <= trade.id && trade.id <= hole.last)
                .copied()
                .collect();
            lossy.shard.fill(SYMBOL, &lacking);
        }
        for bench in [&mut whole, &mut lossy] {
            bench.shard.on_watermark(FEED, UnixMillis(time + 120_000));
            bench.closed();
        }
        let newest = |bench: &Bench| {
            let closed = bench.closed.iter();
            closed
                .map(|(period, record)| ((*period, record.kline.open_time), *record))
                .collect::<std::collections::BTreeMap<_, _>>()
        };
        let (whole, lossy) = (newest(&whole), newest(&lossy));
        let broken = |at: UnixMillis| holes.iter().any(|hole| {
            let beside = [TradeId(hole.first.0 - 1), TradeId(hole.last.0 + 1)];
            let minutes = beside.map(|id| {
                let trade = trades.iter().find(|trade| trade.id == id);
                trade.map_or(i64::MAX, |trade| trade.time.0 / 60_000)
            });
            minutes[0] != minutes[1] && (minutes[0]..=minutes[1]).contains(&(at.0 / 60_000))
        });
        for (key, record) in &lossy {
            if record.status == KlineStatus::Closed {
                prop_assert_eq!(Some(&record.kline), whole.get(key).map(|of| &of.kline));
            } else if key.0 == Period::M1 && holes.len() <= 4 {
                prop_assert!(broken(key.1), "{:?} could have been made whole", key);
            }
        }
    }
}
