//! Ids, times, holes, interruptions.

use super::*;

#[test]
fn gap_of_three_minutes_yields_aligned_klines() {
    let mut bench = Bench::new(CHECKED);
    bench.trade(1, 1.2, 7);
    bench.trade(2, 1.9, 8);
    bench.trade(3, 5.1, 9);
    // The first trade ever: minutes before it are not missing from the five minutes.
    assert_eq!(
        bench.closed(),
        "1m@1=closed/0 c8, 1m@2=closed/0 c8, 1m@3=closed/0 c8, 1m@4=closed/0 c8, 5m@0=closed/0 c8"
    );
    assert_eq!(bench.open(), "1m@5 o9 c9 n1, 5m@5 o9 c9 n1, 15m@0 o7 c9 n3");
}

#[test]
fn a_start_in_the_middle_is_provisional_for_its_minute_only() {
    let mut bench = Bench::new(CHECKED);
    bench.trade(70, 3.5, 1);
    bench.trade(71, 4.0, 2);
    bench.trade(72, 5.0, 3);
    bench.trade(73, 10.0, 4);
    assert_eq!(
        bench.closed(),
        "1m@3=provisional/0 c1, 1m@4=closed/0 c2, 5m@0=provisional/0 c2, 1m@5=closed/0 c3, \
         1m@6=closed/0 c3, 1m@7=closed/0 c3, 1m@8=closed/0 c3, 1m@9=closed/0 c3, 5m@5=closed/0 c3"
    );
}

#[test]
fn a_quiet_minute_closes_when_exchange_time_has_passed_it_by_the_grace() {
    let mut bench = Bench::new(CHECKED);
    bench.trade(1, 0.1, 7);
    bench.shard.on_watermark(FEED, UnixMillis(60_499));
    bench.shard.on_watermark(FeedId(2), UnixMillis(99_000));
    assert_eq!(bench.closed(), "");
    bench.shard.on_watermark(FEED, UnixMillis(60_500));
    assert_eq!(bench.closed(), "1m@0=closed/0 c7");
    assert_eq!(bench.open(), "1m@1 o7 c7 n0, 5m@0 o7 c7 n1, 15m@0 o7 c7 n1");
    bench.time(3.5);
    assert_eq!(bench.closed(), "1m@1=closed/0 c7, 1m@2=closed/0 c7");
}

#[test]
fn a_late_trade_amends_its_minute_and_the_flat_ones_behind_it() {
    let mut bench = Bench::new(CHECKED);
    bench.trade(1, 4.1, 7);
    bench.time(6.5);
    assert_eq!(bench.closed(), "1m@4=closed/0 c7, 5m@0=closed/0 c7, 1m@5=closed/0 c7");
    bench.trade(2, 4.9, 9);
    assert_eq!(bench.closed(), "1m@4=closed/1 c9, 1m@5=closed/1 c9, 5m@0=closed/1 c9");
    assert_eq!(bench.open(), "1m@6 o9 c9 n0, 5m@5 o9 c9 n0, 15m@0 o7 c9 n2");
    bench.time(40.5);
    bench.closed();
    bench.trade(3, 5.9, 9);
    assert_eq!(bench.closed(), "");
    let counters = bench.shard.counters();
    assert_eq!((counters.late_amended, counters.late_dropped, counters.trades), (1, 1, 2));
}

#[test]
fn a_late_trade_behind_a_hole_does_not_amend_a_minute_that_counts_as_whole() {
    let mut bench = Bench::new(CHECKED);
    bench.trade(1, 4.1, 7);
    bench.time(5.5);
    assert_eq!(bench.closed(), "1m@4=closed/0 c7, 5m@0=closed/0 c7");
    bench.trade(3, 4.8, 9);
    bench.trade(4, 4.9, 8);
    assert_eq!(bench.closed(), "", "what was closed says no more than its ids prove");
    assert!(bench.open().starts_with("1m@5 o8 c8 n0"), "the newest price: {}", bench.open());
    let counters = bench.shard.counters();
    assert_eq!((counters.gaps, counters.late_amended, counters.late_dropped), (1, 0, 2));
    bench.trade(5, 6.0, 6);
    assert_eq!(bench.closed(), "1m@5=closed/0 c8");
}

#[test]
fn flat_minutes_behind_a_late_trade_that_is_not_folded_stand_at_its_price() {
    let mut bench = Bench::new(CHECKED);
    bench.trade(1, 4.1, 7);
    bench.time(6.5);
    bench.closed();
    bench.trade(4, 4.8, 9);
    bench.trade(5, 4.9, 8);
    assert_eq!(bench.closed(), "1m@5=closed/1 c9, 1m@5=closed/2 c8");
    assert_eq!(bench.open(), "1m@6 o8 c8 n0, 5m@5 o8 c8 n0, 15m@0 o7 c7 n1");
    let counters = bench.shard.counters();
    assert_eq!((counters.late_amended, counters.late_dropped, counters.gaps), (0, 2, 1));
}

#[test]
fn a_hole_makes_the_minutes_that_it_spans_provisional() {
    let mut bench = Bench::new(CHECKED);
    bench.trade(1, 0.1, 1);
    bench.trade(2, 1.1, 2);
    bench.trade(5, 3.1, 5);
    bench.trade(3, 1.2, 9);
    bench.trade(5, 3.1, 5);
    bench.trade(6, 4.1, 6);
    bench.trade(7, 5.1, 7);
    assert_eq!(
        bench.closed(),
        "1m@0=closed/0 c1, 1m@1=provisional/0 c2, 1m@2=provisional/0 c2, 1m@3=provisional/0 c5, \
         1m@4=closed/0 c6, 5m@0=provisional/0 c6"
    );
    let counters = bench.shard.counters();
    assert_eq!((counters.gaps, counters.gap_trades), (1, 2));
    assert_eq!((counters.stragglers, counters.duplicates), (1, 1));
}

#[test]
fn an_interruption_leaves_minutes_unproven_until_the_next_id() {
    let interrupted = || {
        let mut bench = Bench::new(CHECKED);
        bench.trade(1, 4.1, 1);
        bench.shard.on_interrupted(FEED);
        bench.time(6.5);
        assert_eq!(
            bench.closed(),
            "1m@4=provisional/0 c1, 5m@0=provisional/0 c1, 1m@5=provisional/0 c1"
        );
        bench
    };
    let mut bench = interrupted();
    bench.trade(2, 6.6, 2);
    assert_eq!(bench.closed(), "1m@4=closed/0 c1, 1m@5=closed/0 c1, 5m@0=closed/0 c1");
    bench.trade(3, 7.0, 3);
    assert_eq!(bench.closed(), "1m@6=closed/0 c2");

    let mut bench = interrupted();
    bench.trade(3, 6.6, 2);
    bench.trade(4, 7.0, 3);
    assert_eq!(bench.closed(), "1m@6=provisional/0 c2");

    // The next trade may belong into a minute that was closed unproven.
    let mut bench = interrupted();
    bench.trade(2, 5.5, 2);
    assert_eq!(bench.closed(), "1m@4=closed/0 c1, 5m@0=closed/0 c1, 1m@5=provisional/1 c2");
    bench.trade(3, 6.0, 3);
    assert_eq!(bench.closed(), "1m@5=closed/1 c2");
}

#[test]
fn raw_fills_may_leave_ids_out() {
    let mut bench = Bench::new(SequencerConfig { continuity: Continuity::Unchecked, ..CHECKED });
    bench.trade(0, 0.1, 1);
    bench.trade(7, 0.2, 2);
    bench.trade(7, 0.2, 2);
    bench.trade(9, 1.2, 3);
    assert_eq!(bench.closed(), "1m@0=closed/0 c2");
    let counters = bench.shard.counters();
    assert_eq!((counters.trades, counters.duplicates, counters.gaps), (3, 1, 0));
}

#[test]
fn raw_fills_after_an_interruption_prove_nothing_if_an_id_is_left_out() {
    let rules = SequencerConfig { continuity: Continuity::Unchecked, hold_ms: 250, ..CHECKED };
    let interrupted = || {
        let mut bench = Bench::new(rules);
        bench.trade(0, 0.1, 1);
        bench.shard.on_interrupted(FEED);
        bench.time(1.5);
        assert_eq!(bench.closed(), "1m@0=provisional/0 c1");
        bench
    };
    let mut bench = interrupted();
    bench.trade(7, 1.6, 2);
    bench.trade(9, 2.1, 3);
    bench.trade(11, 3.1, 4);
    assert_eq!(bench.closed(), "1m@1=provisional/0 c2, 1m@2=closed/0 c3");
    assert_eq!(bench.shard.counters().gaps, 1);

    let mut bench = interrupted();
    bench.trade(1, 1.6, 2);
    assert_eq!(bench.closed(), "1m@0=closed/0 c1");
}

#[test]
fn what_cannot_be_placed_is_dropped_and_counted() {
    let mut bench = Bench::new(CHECKED);
    bench.shard.on_trade(SymbolId(1), &trade(1, 0.1, 1));
    bench.shard.on_trade(SymbolId(9), &trade(1, 0.1, 1));
    assert_eq!(bench.shard.counters().unknown_symbol, 2);
    bench.shard.on_trade(SYMBOL, &trade(1, -1.0, 1));
    bench.trade(1, 0.1, 1);
    bench.trade(2, 577_000.0, 2);
    bench.shard.on_watermark(FEED, at(1.5));
    bench.shard.on_watermark(FEED, at(577_002.0));
    bench.shard.on_watermark(FEED, UnixMillis(i64::MAX));
    assert_eq!(bench.shard.counters().time_refused, 4);
    assert_eq!(bench.closed(), "1m@0=closed/0 c1");
    bench.trade(2, 1.2, 2);
    bench.shard.retire_symbol(SYMBOL);
    bench.trade(3, 1.3, 3);
    assert_eq!(bench.shard.counters().unknown_symbol, 3);
    assert_eq!(bench.open(), "");
    assert_eq!(bench.closed(), "1m@1=provisional/0 c2");
}

#[test]
fn a_symbol_that_ended_is_told_of_until_that_was_taken_and_may_come_back() {
    let mut bench = Bench::new(CHECKED);
    let mut delta = WorkerDelta::empty(0);
    bench.trade(1, 0.1, 1);
    bench.shard.fill_delta(&mut delta);
    assert_eq!((delta.open.len(), &*delta.ended), (3, &[][..]));
    bench.shard.acknowledge(1);
    bench.shard.retire_symbol(SYMBOL);
    bench.shard.retire_symbol(SYMBOL);
    bench.shard.retire_symbol(SymbolId(1));
    bench.shard.on_watermark(FEED, at(9.0));
    for _ in 0..2 {
        bench.shard.fill_delta(&mut delta);
        assert_eq!((&*delta.open, &*delta.ended), (&[][..], &[SYMBOL][..]));
        let closed: Vec<_> = delta.closed.iter().map(|data| data.record.status).collect();
        assert_eq!(closed, [KlineStatus::Provisional], "the minute that was open, and none after");
    }
    bench.shard.acknowledge(3);
    bench.shard.fill_delta(&mut delta);
    assert_eq!((&*delta.ended, &*delta.closed), (&[][..], &[][..]));
    let spec =
        NewSymbolSpec { id: SYMBOL, feed: FEED, previous_close: None, next_id: None, since: None };
    bench.shard.add_symbol(&spec);
    bench.trade(7, 9.1, 1);
    bench.shard.fill_delta(&mut delta);
    assert_eq!((delta.open.len(), &*delta.ended), (3, &[][..]));
}

#[test]
fn undelivered_klines_are_bounded_and_the_loss_is_told() {
    let mut bench = Bench::new(CHECKED);
    bench.trade(1, 0.1, 1);
    bench.trade(2, 1_500.0, 2);
    let mut delta = WorkerDelta::empty(0);
    bench.shard.fill_delta(&mut delta);
    // 1,500 minutes, 300 of 5m, 100 of 15m; room for 1,000.
    assert_eq!((delta.closed.len(), delta.closed_dropped), (1_000, 900));
}

#[test]
fn a_doubted_symbol_is_unproven_until_its_next_trade_shows_that_none_is_missing() {
    let doubted = || {
        let mut bench = Bench::new(CHECKED);
        bench.trade(1, 0.1, 1);
        bench.shard.doubt_symbol(SYMBOL, at(0.1));
        bench.shard.doubt_symbol(SymbolId(1), at(0.1));
        bench.time(2.5);
        assert_eq!(bench.closed(), "1m@0=provisional/0 c1, 1m@1=provisional/0 c1");
        bench
    };
    let mut bench = doubted();
    bench.trade(2, 2.6, 2);
    assert_eq!(bench.closed(), "1m@0=closed/0 c1, 1m@1=closed/0 c1");
    let mut bench = doubted();
    bench.trade(4, 2.6, 2);
    bench.time(3.5);
    assert_eq!(bench.closed(), "1m@2=provisional/0 c2");
}

#[test]
fn what_was_held_before_an_interruption_does_not_prove_what_came_after_it() {
    let mut bench = Bench::new(SequencerConfig { hold_ms: 250, held_max: 10, ..CHECKED });
    bench.shard.on_copies(FEED, 2);
    bench.trade(1, 0.1, 1);
    bench.trade(3, 0.2, 3);
    bench.shard.on_interrupted(FEED);
    bench.time(0.9);
    bench.shard.fill(SYMBOL, &[trade(2, 0.15, 2)]);
    bench.time(1.5);
    assert_eq!(bench.closed(), "1m@0=provisional/0 c3");
    assert_eq!(bench.shard.counters().fills_refused, 1);
}

#[test]
fn a_trade_that_was_overtaken_by_a_doubt_about_those_behind_it_ends_no_doubt() {
    let mut bench = Bench::new(CHECKED);
    bench.trade(1, 0.1, 1);
    bench.shard.doubt_symbol(SYMBOL, at(0.5));
    bench.trade(2, 0.5, 2);
    bench.time(1.5);
    assert_eq!(bench.closed(), "1m@0=provisional/0 c2");
    bench.trade(3, 1.6, 3);
    assert_eq!(bench.closed(), "1m@0=closed/0 c2");
}

#[test]
fn what_was_held_for_a_copy_that_is_gone_goes_before_the_next_trade() {
    let mut bench = Bench::new(SequencerConfig { hold_ms: 250, held_max: 10, ..CHECKED });
    bench.trade(1, 0.1, 1);
    bench.shard.on_copies(FEED, 2);
    bench.trade(4, 0.2, 4);
    bench.shard.on_copies(FEED, 1);
    bench.trade(6, 0.3, 6);
    bench.time(0.9);
    let counters = bench.shard.counters();
    assert_eq!((counters.gaps, counters.gap_trades, counters.trades), (2, 3, 3));
    bench.trade(6, 0.3, 6);
    assert_eq!(bench.shard.counters().duplicates, 1, "ids never go back");
}

#[test]
fn what_was_held_when_the_feed_was_cut_proves_nothing_of_what_came_after() {
    let mut bench = Bench::new(SequencerConfig { hold_ms: 250, held_max: 10, ..CHECKED });
    bench.shard.on_copies(FEED, 2);
    bench.trade(1, 0.1, 1);
    bench.trade(3, 0.2, 3);
    bench.shard.on_interrupted(FEED);
    assert_eq!(bench.shard.counters().gaps, 1, "given up before the cut");
    bench.time(2.5);
    assert_eq!(bench.closed(), "1m@0=provisional/0 c3, 1m@1=provisional/0 c3");
    // One was lost after the cut: the flat minute stands at a price that is not the last.
    bench.trade(5, 2.6, 5);
    bench.time(3.5);
    assert_eq!(bench.closed(), "1m@2=provisional/0 c5");
}
