//! A name that is listed anew before anybody is told of it.

use klagg_kline::KlineStatus::Confirmed;
use klagg_kline::Period;

use super::{Bench, CHECKED, SYMBOL, at};

#[test]
fn a_later_trade_with_a_smaller_id_is_another_listings_and_nothing_is_proven_from_it_on() {
    let mut bench = Bench::new(CHECKED);
    bench.trade(1, 0.1, 1);
    bench.trade(2, 0.2, 2);
    bench.trade(1, 3.1, 9);
    assert_eq!(bench.closed(), "");
    bench.time(3.5);
    assert_eq!(
        bench.closed(),
        "1m@0=provisional/0 c2, 1m@1=provisional/0 c2, 1m@2=provisional/0 c2"
    );
    bench.trade(2, 3.6, 9);
    bench.trade(3, 3.7, 9);
    bench.trade(4, 5.1, 8);
    assert_eq!(
        bench.closed(),
        "1m@3=provisional/0 c9, 1m@4=provisional/0 c9, 5m@0=provisional/0 c9"
    );
}

#[test]
fn a_first_trade_of_what_was_traded_before_is_another_listings() {
    let mut bench = Bench::with_spec(CHECKED, Some(5), None);
    bench.trade(1, 0.1, 1);
    bench.trade(2, 2.1, 2);
    assert_eq!(bench.closed(), "1m@0=provisional/0 c1, 1m@1=provisional/0 c1");
    let mut bench = Bench::new(CHECKED);
    bench.time(2.5);
    bench.supply(Period::M1, 0, 5, Confirmed);
    bench.trade(1, 3.1, 1);
    bench.trade(2, 4.1, 2);
    assert!(bench.closed().ends_with("1m@3=provisional/0 c1"));
}

#[test]
fn the_same_trade_again_and_one_that_comes_late_are_no_other_listings() {
    let mut bench = Bench::new(CHECKED);
    bench.trade(1, 0.1, 1);
    bench.trade(3, 0.3, 3);
    bench.trade(4, 1.1, 4);
    bench.trade(2, 0.2, 2);
    bench.trade(4, 1.1, 4);
    bench.time(2.5);
    bench.trade(4, 1.1, 4);
    bench.trade(5, 3.1, 5);
    assert!(bench.closed().ends_with("1m@1=closed/0 c4, 1m@2=closed/0 c4"));
}

#[test]
fn an_official_kline_of_a_later_minute_shows_that_the_name_is_its_own() {
    let mut bench = Bench::new(CHECKED);
    bench.trade(7, 0.1, 1);
    bench.trade(1, 1.1, 2);
    bench.time(2.5);
    bench.supply(Period::M1, 1, 2, Confirmed);
    bench.time(3.5);
    bench.closed();
    bench.trade(8, 3.6, 3);
    bench.trade(9, 5.1, 4);
    assert!(bench.closed().contains("1m@3=closed/0 c3, 1m@4=closed/0 c3"), "{:?}", bench.closed);
}

#[test]
fn who_is_said_to_share_its_name_closes_nothing_though_the_ids_go_on() {
    let mut bench = Bench::new(CHECKED);
    bench.trade(1, 0.1, 1);
    bench.trade(2, 1.1, 2);
    assert_eq!(bench.closed(), "1m@0=closed/0 c1");
    bench.shard.doubt_name(SYMBOL, at(1.0));
    bench.trade(3, 1.2, 9);
    bench.trade(4, 2.1, 9);
    bench.trade(5, 3.1, 9);
    assert!(bench.closed().ends_with("1m@1=provisional/0 c9, 1m@2=provisional/0 c9"));
}
