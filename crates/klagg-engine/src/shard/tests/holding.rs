//! Trades behind a hole that another copy of the feed may fill.

use super::*;

#[test]
fn a_hole_filled_in_time_changes_nothing() {
    let mut bench = Bench::new(SequencerConfig { hold_ms: 250, held_max: 10, ..CHECKED });
    bench.trade(1, 0.1, 1);
    bench.trade(4, 1.2, 4);
    bench.trade(3, 1.1, 3);
    bench.trade(3, 1.1, 3);
    // Exchange time goes on, but what is held may belong before the boundary.
    bench.shard.on_watermark(FEED, UnixMillis(72_100));
    assert_eq!(bench.closed(), "");
    bench.trade(2, 0.2, 2);
    assert_eq!(bench.closed(), "1m@0=closed/0 c2");
    assert_eq!(bench.open(), "1m@1 o3 c4 n2, 5m@0 o1 c4 n4, 15m@0 o1 c4 n4");
    assert_eq!(bench.shard.counters().held, 2);
}

#[test]
fn a_second_hole_is_waited_for_since_it_showed_and_not_since_the_first_was_given_up() {
    let mut bench = Bench::new(SequencerConfig { hold_ms: 250, held_max: 10, ..CHECKED });
    bench.trade(1, 0.1, 1);
    bench.trade(3, 1.0, 3);
    bench.trade(5, 1.002, 5);
    bench.shard.on_watermark(FEED, UnixMillis(60_250));
    assert!(bench.open().starts_with("1m@1 o3 c3"), "{}", bench.open());
    bench.shard.on_watermark(FEED, UnixMillis(60_369));
    assert!(bench.open().starts_with("1m@1 o3 c3"), "{}", bench.open());
    bench.shard.on_watermark(FEED, UnixMillis(60_370));
    assert!(bench.open().starts_with("1m@1 o3 c5"), "{}", bench.open());
    assert_eq!(bench.shard.counters().gaps, 2);
}

#[test]
fn a_hole_is_given_up_when_its_time_or_its_room_is_over() {
    let rules = SequencerConfig { hold_ms: 250, held_max: 3, ..CHECKED };
    let check = |fill: fn(&mut Bench)| {
        let mut bench = Bench::new(rules);
        bench.trade(1, 0.1, 1);
        bench.trade(3, 1.0, 3);
        fill(&mut bench);
        assert_eq!(bench.closed(), "1m@0=provisional/0 c1");
        assert_eq!(bench.shard.counters().gaps, 1);
        assert!(bench.open().starts_with("1m@1 o3"), "{}", bench.open());
    };
    check(|bench| bench.shard.on_watermark(FEED, UnixMillis(60_250)));
    check(|bench| bench.trade(4, 1.1, 4));
    check(|bench| {
        bench.trade(5, 1.0, 5);
        bench.trade(4, 1.0, 4);
    });
    check(|bench| bench.shard.finish());
}

#[test]
fn what_is_held_does_not_wait_for_the_time_of_a_feed_that_has_fallen_quiet() {
    for continuity in [Continuity::Checked, Continuity::Unchecked] {
        let rules = SequencerConfig { continuity, hold_ms: 250, held_max: 10 };
        let mut bench = Bench::new(rules);
        bench.shard.on_copies(FEED, 2);
        bench.trade(1, 0.1, 1);
        bench.trade(3, 0.2, 3);
        bench.trade(5, 0.2, 5);
        bench.trade(3, 0.2, 3);
        bench.shard.on_quiet(FeedId(9));
        assert!(bench.open().starts_with("1m@0 o1 c1 n1"), "another feed: {}", bench.open());
        bench.shard.on_quiet(FEED);
        assert!(bench.open().starts_with("1m@0 o1 c5 n3"), "{}", bench.open());
        // It says nothing of time: what was quiet is no proof that a minute is over.
        assert_eq!(bench.closed(), "");
        bench.trade(2, 0.1, 2);
        bench.trade(6, 0.3, 6);
        assert!(bench.open().starts_with("1m@0 o1 c6 n4"), "{}", bench.open());
    }
}

#[test]
fn a_hole_waits_only_while_there_is_another_copy_to_fill_it() {
    let mut bench = Bench::new(SequencerConfig { hold_ms: 250, held_max: 10, ..CHECKED });
    bench.shard.on_copies(FEED, 1);
    bench.trade(1, 0.1, 1);
    bench.trade(3, 1.0, 3);
    assert_eq!(bench.shard.counters().gaps, 1, "nobody could fill it");
    bench.shard.on_copies(FEED, 2);
    bench.trade(6, 1.3, 6);
    bench.trade(4, 1.1, 4);
    bench.trade(5, 1.2, 5);
    bench.trade(7, 2.1, 7);
    let counters = bench.shard.counters();
    assert_eq!((counters.gaps, counters.held, counters.trades), (1, 1, 6));
    bench.shard.on_copies(FEED, 1);
    bench.trade(9, 3.0, 9);
    assert_eq!(bench.shard.counters().gaps, 2);
}

#[test]
fn of_raw_fills_the_copy_behind_is_not_forgotten_for_the_one_ahead() {
    let rules = SequencerConfig { continuity: Continuity::Unchecked, hold_ms: 250, held_max: 10 };
    let mut bench = Bench::new(rules);
    bench.trade(10, 0.1, 1);
    bench.trade(12, 0.2, 2);
    bench.shard.on_copies(FEED, 2);
    // The new copy is ahead; the old one brings 13 and 14. The id 15 never was.
    bench.trade(16, 0.3, 6);
    bench.trade(13, 0.25, 3);
    bench.trade(14, 0.26, 4);
    bench.trade(16, 0.3, 6);
    assert_eq!(bench.open(), "1m@0 o1 c4 n4, 5m@0 o1 c4 n4, 15m@0 o1 c4 n4");
    bench.time(0.31);
    assert_eq!(bench.open(), "1m@0 o1 c6 n5, 5m@0 o1 c6 n5, 15m@0 o1 c6 n5");
    bench.shard.on_copies(FEED, 1);
    bench.trade(20, 0.4, 7);
    bench.trade(22, 1.4, 8);
    assert_eq!(bench.closed(), "1m@0=provisional/0 c7");
    let counters = bench.shard.counters();
    assert_eq!((counters.gaps, counters.duplicates, counters.trades), (0, 1, 7));
}
