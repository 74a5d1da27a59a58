//! Seeds, repairs, confirmations.

use super::*;

const PROVISIONAL: KlineStatus = KlineStatus::Provisional;
const CLOSED: KlineStatus = KlineStatus::Closed;
const CONFIRMED: KlineStatus = KlineStatus::Confirmed;

#[test]
fn a_seed_opens_the_minute_behind_it_in_any_order_of_periods() {
    let seeds =
        [(Period::M15, 0, 3), (Period::M5, 15, 4), (Period::M1, 20, 5), (Period::M1, 21, 6)];
    for order in [[0, 1, 2, 3], [3, 2, 1, 0], [1, 3, 0, 2]] {
        let mut bench = Bench::new(CHECKED);
        for at in order {
            let (period, minute, close) = seeds[at];
            bench.supply(period, minute, close, CONFIRMED);
        }
        assert_eq!(bench.open(), "1m@22 o6 c6 n0, 5m@20 o6 c6 n0, 15m@15 o6 c6 n0", "{order:?}");
        assert_eq!(bench.closed(), "", "a seed is no event");
    }
}

#[test]
fn a_seeded_symbol_begins_with_its_feeds_time_and_invents_nothing_before() {
    let mut bench = Bench::new(CHECKED);
    bench.supply(Period::M15, 0, 3, CONFIRMED);
    bench.time(27.3);
    assert_eq!(bench.closed(), "");
    assert_eq!(bench.open(), "1m@27 o3 c3 n0, 5m@25 o3 c3 n0, 15m@15 o3 c3 n0");
    bench.time(28.5);
    assert_eq!(bench.closed(), "1m@27=provisional/0 c3");
    bench.supply(Period::M1, 27, 5, CONFIRMED);
    assert_eq!(bench.closed(), "1m@27=confirmed/1 c5");
    assert!(bench.open().starts_with("1m@28 o5 c5 n0"), "{}", bench.open());
    bench.trade(70, 28.9, 6);
    bench.trade(71, 29.9, 7);
    assert_eq!(bench.closed(), "1m@28=provisional/0 c6");
}

#[test]
fn minutes_that_pass_unheard_since_a_symbol_is_followed_are_provisional_and_never_left_out() {
    let unheard = "1m@6=provisional/0 c3, 1m@7=provisional/0 c3";
    // By the first trade; by the feed's time; by a supply where the feed's time is known.
    let mut bench = Bench::since(6.9);
    bench.supply(Period::M1, 0, 3, CONFIRMED);
    bench.trade(70, 8.2, 5);
    assert_eq!(bench.closed(), unheard);
    let mut bench = Bench::since(6.9);
    bench.supply(Period::M1, 0, 3, CONFIRMED);
    bench.time(8.2);
    assert_eq!(bench.closed(), unheard);
    let mut bench = Bench::since(6.9);
    bench.time(8.2);
    bench.supply(Period::M1, 0, 3, CONFIRMED);
    assert_eq!(bench.closed(), unheard);
    bench.supply(Period::M1, 7, 4, CONFIRMED);
    assert_eq!(bench.closed(), "1m@7=confirmed/1 c4");
    assert!(bench.open().starts_with("1m@8 o4 c4 n0"), "{}", bench.open());
    // What was supplied meanwhile is told of by whoever supplied it.
    let mut bench = Bench::since(6.9);
    bench.supply(Period::M1, 6, 3, CONFIRMED);
    bench.trade(70, 8.2, 5);
    assert_eq!(bench.closed(), "1m@7=provisional/0 c3");
    // A listing begins with its first trade, however long it was followed before.
    let mut bench = Bench::since(6.9);
    bench.trade(1, 8.2, 5);
    assert_eq!((bench.closed(), bench.open().starts_with("1m@8 o5")), (String::new(), true));
}

#[test]
fn a_listing_that_is_first_heard_late_leaves_no_minute_out() {
    let unchecked = SequencerConfig { continuity: Continuity::Unchecked, ..CHECKED };
    for rules in [CHECKED, unchecked] {
        // Nothing came while its feed was mute: no price is known at which a minute could close.
        let mut bench = Bench::new(rules).told_since(0.2, None, Some(1));
        bench.time(2.05);
        bench.trade(500, 2.1, 5);
        assert_eq!(bench.closed(), "1m@0=provisional/0 c5, 1m@1=provisional/0 c5", "{rules:?}");
        assert!(bench.open().starts_with("1m@2 o5 c5 n1"), "{}", bench.open());
        // Its first trade: nothing came before it.
        let mut bench = Bench::new(rules).told_since(0.2, None, Some(1));
        bench.trade(1, 2.1, 5);
        assert_eq!((bench.closed(), bench.open().starts_with("1m@2 o5")), (String::new(), true));
    }
    // The trades that are missing make whole the minute that they are in.
    let mut bench = Bench::new(CHECKED).told_since(0.2, None, Some(1));
    bench.trade(3, 2.1, 5);
    bench.shard.fill(SYMBOL, &[trade(1, 2.0, 3), trade(2, 2.0, 4)]);
    bench.trade(4, 3.1, 6);
    assert_eq!(
        bench.closed(),
        "1m@0=provisional/0 c5, 1m@1=provisional/0 c5, 1m@2=closed/0 c5",
        "{}",
        bench.open()
    );
}

#[test]
fn an_id_that_was_foretold_proves_unheard_minutes_only_if_their_price_is_known() {
    for (price, told) in [(Some(4), "closed/0 c4"), (None, "provisional/0 c5")] {
        let mut bench = Bench::new(CHECKED).told_since(0.2, price, Some(10));
        bench.trade(10, 2.1, 5);
        assert_eq!(bench.closed(), format!("1m@0={told}, 1m@1={told}"));
    }
}

#[test]
fn a_first_trade_of_a_minute_that_is_confirmed_does_not_move_the_price_behind_it() {
    let mut bench = Bench::new(CHECKED);
    bench.supply(Period::M1, 5, 4, CONFIRMED);
    bench.trade(70, 5.1, 6);
    assert!(bench.open().starts_with("1m@6 o4 c4 n0"), "{}", bench.open());
}

#[test]
fn an_older_kline_from_outside_does_not_move_the_price_of_later_trades() {
    let mut bench = Bench::new(CHECKED);
    bench.trade(1, 0.1, 1);
    bench.trade(2, 1.5, 2);
    bench.time(2.5);
    bench.shard.on_interrupted(FEED);
    bench.supply(Period::M1, 0, 9, CONFIRMED);
    assert!(bench.open().starts_with("1m@2 o2 c2 n0"), "{}", bench.open());
    // That of the minute before the open one does, for trades of it may have been missed.
    bench.supply(Period::M1, 1, 8, CONFIRMED);
    assert!(bench.open().starts_with("1m@2 o8 c8 n0"), "{}", bench.open());
}

#[test]
fn a_price_alone_gives_flat_minutes_from_the_feeds_time_on() {
    let mut bench = Bench::with_spec(CHECKED, Some(4), Some(10));
    bench.time(7.1);
    assert_eq!(bench.open(), "1m@7 o4 c4 n0, 5m@5 o4 c4 n0, 15m@0 o4 c4 n0");
    bench.time(8.5);
    assert_eq!(bench.closed(), "1m@7=provisional/0 c4");
    // The id that was foretold: nothing was missed.
    bench.trade(10, 8.9, 5);
    assert_eq!(bench.closed(), "1m@7=closed/0 c4");
}

#[test]
fn a_first_trade_of_the_minute_before_is_where_the_open_one_stands() {
    let mut bench = Bench::new(CHECKED);
    bench.supply(Period::M1, 5, 4, CONFIRMED);
    bench.time(7.1);
    assert!(bench.open().starts_with("1m@7 o4 c4 n0"), "{}", bench.open());
    // Sent just before the feed's time passed the minute, and the only one for a while.
    bench.trade(70, 6.9, 6);
    assert_eq!(bench.shard.counters().late_dropped, 1);
    bench.time(8.5);
    assert_eq!(bench.closed(), "1m@7=closed/0 c6");
    // A price of which something newer is known does not come back.
    let mut bench = Bench::new(CHECKED);
    bench.supply(Period::M1, 6, 8, CONFIRMED);
    bench.time(7.1);
    bench.trade(70, 6.9, 6);
    assert!(bench.open().starts_with("1m@7 o8 c8 n0"), "{}", bench.open());
}

#[test]
fn confirmed_minutes_make_confirmed_longer_klines() {
    let mut bench = Bench::new(CHECKED);
    bench.trade(1, 0.1, 1);
    bench.time(5.5);
    bench.closed();
    for minute in [3, 1, 0, 4] {
        let mut own = bench.closed.iter().filter(|(period, record)| {
            *period == Period::M1 && record.kline.open_time.0 / 60_000 == minute
        });
        let mut record = own.next().unwrap().1;
        record.status = CONFIRMED;
        (record.kline.first_id, record.kline.last_id) = (TradeId(0), TradeId(-1));
        bench.shard.supply(SYMBOL, 0, &[record]);
    }
    assert_eq!(
        bench.closed(),
        "1m@3=confirmed/0 c1, 1m@1=confirmed/0 c1, 1m@0=confirmed/0 c1, 1m@4=confirmed/0 c1"
    );
    assert_eq!(bench.closed[2].1.kline.first_id, bench.closed[1].1.kline.first_id);
    bench.supply(Period::M1, 2, 1, CONFIRMED);
    assert_eq!(bench.closed(), "1m@2=confirmed/0 c1, 5m@0=confirmed/0 c1");
    assert_eq!(bench.shard.counters().corrected, 0);
}

#[test]
fn a_correction_is_followed_upward_and_never_lowers_a_status() {
    let mut bench = Bench::new(CHECKED);
    bench.trade(70, 4.1, 1);
    bench.trade(71, 5.1, 2);
    bench.trade(72, 6.1, 3);
    bench.closed();
    bench.supply(Period::M1, 4, 9, CONFIRMED);
    assert_eq!(bench.closed(), "1m@4=confirmed/1 c9");
    for minute in 0..4 {
        bench.supply(Period::M1, minute, 8, CLOSED);
    }
    assert_eq!(bench.closed(), "5m@0=closed/1 c9", "told when the last child is there");
    bench.supply(Period::M5, 0, 7, CONFIRMED);
    assert_eq!(bench.closed(), "5m@0=confirmed/2 c7");
    bench.supply(Period::M1, 4, 5, CLOSED);
    bench.supply(Period::M1, 4, 5, CONFIRMED);
    bench.supply(Period::M5, 0, 5, PROVISIONAL);
    bench.supply(Period::M1, 3, 5, CONFIRMED);
    assert_eq!(bench.closed(), "1m@3=confirmed/1 c5", "its parent is confirmed by itself");
    assert!(bench.open().ends_with("15m@0 o2 c3 n2"), "{}", bench.open());
}

#[test]
fn what_is_open_here_is_not_replaced() {
    let mut bench = Bench::new(CHECKED);
    bench.trade(1, 3.1, 1);
    bench.supply(Period::M1, 3, 9, CLOSED);
    bench.supply(Period::M5, 0, 9, CONFIRMED);
    bench.supply(Period::M5, 5, 9, CONFIRMED);
    bench.supply(Period::M1, 2, 9, KlineStatus::Open);
    bench.shard.supply(SYMBOL, 1, &[record(2, 9, CONFIRMED)]);
    bench.shard.supply(SYMBOL, 0, &[record(2, 0, CONFIRMED)]);
    bench.shard.supply(SymbolId(1), 0, &[record(2, 1, CONFIRMED)]);
    assert_eq!(bench.closed(), "");
    assert_eq!(bench.shard.counters().supply_refused, 7);
    bench.time(60.5);
    bench.closed();
    bench.supply(Period::M1, 30, 9, CONFIRMED);
    assert_eq!(bench.shard.counters().supply_ignored, 1);
}

#[test]
fn a_confirmed_kline_of_the_open_minute_ends_it_before_the_feeds_time_does() {
    let mut bench = Bench::new(CHECKED);
    bench.trade(1, 0.1, 1);
    bench.trade(2, 3.9, 2);
    bench.closed();
    // Nothing comes, not even the time, and the exchange tells of trades that we do not have.
    let mut official = record(3, 9, CONFIRMED);
    official.kline = Kline::of_trade(official.kline.open_time, &trade(3, 3.95, 9));
    (official.kline.first_id, official.kline.last_id) = (TradeId(0), TradeId(-1));
    bench.shard.supply(SYMBOL, 0, &[official]);
    assert_eq!(bench.closed(), "1m@3=provisional/0 c2, 1m@3=confirmed/1 c9");
    assert!(bench.open().starts_with("1m@4 o9 c9 n0"), "{}", bench.open());
    // There may be more of them: what passes is unproven, and so is the longer kline.
    bench.time(5.5);
    assert_eq!(bench.closed(), "1m@4=provisional/0 c9, 5m@0=provisional/0 c9");
    bench.trade(3, 3.95, 9);
    bench.trade(4, 5.6, 7);
    assert_eq!(bench.closed(), "1m@4=closed/0 c9, 5m@0=closed/0 c9", "their ids show it");
    assert_eq!(bench.shard.counters().supply_refused, 0);
}

#[test]
fn minutes_not_seen_yet_are_taken_and_move_the_open_one_forward() {
    let mut bench = Bench::new(CHECKED);
    bench.trade(1, 2.1, 1);
    let records = [record(2, 4, CONFIRMED), record(4, 6, CONFIRMED)];
    bench.shard.supply(SYMBOL, 0, &records);
    // Minute 3 passed unseen: flat, at what minute 2 turned out to be, and unproven.
    assert_eq!(
        bench.closed(),
        "1m@2=provisional/0 c1, 1m@3=provisional/0 c1, 1m@4=confirmed/0 c6, \
         5m@0=provisional/0 c1, 1m@2=confirmed/1 c4, 1m@3=provisional/1 c4, 5m@0=provisional/1 c6"
    );
    // The next id proves minute 3; a trade of a confirmed minute is in it already.
    bench.trade(2, 4.9, 6);
    assert_eq!(bench.closed(), "1m@3=closed/1 c4, 5m@0=closed/1 c6");
    bench.trade(3, 5.9, 7);
    bench.trade(4, 6.0, 8);
    assert_eq!(bench.closed(), "1m@5=closed/0 c7");
    assert_eq!(bench.shard.counters().late_dropped, 1);
}

#[test]
fn a_minute_that_is_confirmed_whole_before_its_feed_has_passed_it_leaves_the_next_one_proven() {
    let mut bench = Bench::new(CHECKED);
    bench.trade(1, 0.1, 1);
    bench.trade(2, 1.1, 2);
    bench.time(2.5);
    bench.supply(Period::M1, 2, 2, CONFIRMED);
    bench.time(4.5);
    let closed = bench.closed();
    assert!(closed.ends_with("1m@3=closed/0 c2"), "{closed}");
    // So does one in which all is there that was traded.
    bench.trade(3, 4.6, 3);
    let mut official = record(4, 3, CONFIRMED);
    official.kline = Kline::of_trade(official.kline.open_time, &trade(3, 4.6, 3));
    (official.kline.first_id, official.kline.last_id) = (TradeId(0), TradeId(-1));
    bench.shard.supply(SYMBOL, 0, &[official]);
    bench.time(6.5);
    let closed = bench.closed();
    assert!(closed.contains("1m@4=confirmed/0 c3"), "{closed}");
    assert!(closed.contains("1m@5=closed/0 c3"), "{closed}");
}

#[test]
fn ids_that_were_burnt_are_no_trades_that_a_minute_lacks() {
    // Our count, the exchange's, and whether the minute behind it is whole.
    for (ours, officially, next) in [(3, 2, "closed"), (2, 3, "provisional")] {
        let mut of = trade(4, 1.6, 4);
        let mut bench = Bench::new(CHECKED);
        bench.trade(3, 0.6, 3);
        of.fill_count = ours;
        bench.shard.on_trade(SYMBOL, &of);
        of.fill_count = officially;
        let mut official = record(1, 4, CONFIRMED);
        official.kline = Kline::of_trade(official.kline.open_time, &of);
        (official.kline.first_id, official.kline.last_id) = (TradeId(0), TradeId(-1));
        bench.shard.supply(SYMBOL, 0, &[official]);
        bench.time(3.5);
        let closed = bench.closed();
        assert!(closed.contains("1m@1=confirmed/1 c4"), "{closed}");
        assert!(closed.contains(&format!("1m@2={next}/0 c4")), "{closed}");
    }
}

#[test]
fn months_and_weeks_are_confirmed_like_the_others() {
    let day = 1_440;
    let config = EngineConfig {
        periods: PeriodSet::new(&[Period::M1, Period::D1, Period::W1, Period::Mo1]).unwrap(),
        workers: 1,
        symbols_max: 1,
        queue_batches: 1,
        batch_trades: 1,
        close_grace_ms: 0,
        sequencer: CHECKED,
        undelivered_max: 1_000_000,
        first_core: None,
    };
    let mut shard = Shard::new(&config, 0);
    shard.add_symbol(&NewSymbolSpec {
        id: SYMBOL,
        feed: FEED,
        previous_close: None,
        next_id: None,
        since: None,
    });
    // From 1970-01-01 to 1970-04-01, a flat day each.
    let days: Vec<_> = (0..90).map(|at| record(at * day, 5, CONFIRMED)).collect();
    shard.supply(SYMBOL, 1, &days);
    let open = shard.open_klines(SYMBOL);
    let minutes: Vec<_> = open.iter().map(|data| data.record.kline.open_time.0 / 60_000).collect();
    assert_eq!(minutes, [90 * day, 90 * day, 88 * day, 90 * day]);
    shard.supply(SYMBOL, 3, &[record(59 * day, 5, CLOSED)]);
    assert_eq!(
        shard.counters().supply_ignored,
        60,
        "59 days were too old; March was confirmed by its days"
    );
}
