//! What is said of open klines of which trades are missing, before they are over.

use klagg_kline::KlineStatus::{Confirmed, Provisional};
use klagg_kline::Period;

use super::{Bench, CHECKED, SYMBOL, trade};

/// A symbol whose quarter of an hour is known from its beginning on.
fn whole() -> Bench {
    let mut bench = Bench::with_spec(CHECKED, Some(1), Some(11));
    bench.supply(Period::M1, -1, 1, Confirmed);
    bench.time(0.0);
    bench.trade(11, 0.1, 1);
    bench
}

#[test]
fn a_hole_breaks_the_open_klines_with_the_trade_that_shows_it() {
    let mut bench = whole();
    assert_eq!(bench.wholeness(), "open open open");
    bench.trade(13, 0.2, 1);
    assert_eq!(bench.wholeness(), "broken broken broken");
}

#[test]
fn the_next_minute_is_whole_and_the_longer_klines_are_not() {
    let mut bench = whole();
    bench.trade(13, 0.2, 1);
    bench.trade(14, 1.2, 1);
    assert_eq!(bench.wholeness(), "open broken broken");
    for minute in 2..=5 {
        bench.trade(13 + minute, f64::from(i32::try_from(minute).unwrap()) + 0.1, 1);
    }
    assert_eq!(bench.wholeness(), "open open broken");
}

#[test]
fn what_was_missing_mends_them_when_it_is_brought() {
    let mut bench = whole();
    bench.trade(13, 0.3, 1);
    bench.shard.fill(SYMBOL, &[trade(12, 0.2, 1)]);
    assert_eq!(bench.wholeness(), "open open open");
    bench.trade(15, 0.4, 1);
    bench.trade(16, 1.2, 1);
    assert_eq!(bench.wholeness(), "open broken broken");
    bench.supply(Period::M1, 0, 1, Confirmed);
    assert_eq!(bench.wholeness(), "open open open");
}

#[test]
fn of_a_minute_that_was_met_on_its_way_nothing_is_known() {
    let mut bench = Bench::new(CHECKED);
    bench.trade(500, 6.5, 1);
    assert_eq!(bench.wholeness(), "broken broken broken");
    bench.trade(501, 7.1, 1);
    assert_eq!(bench.wholeness(), "open broken broken");
    bench.supply(Period::M1, 6, 1, Confirmed);
    assert_eq!(bench.wholeness(), "open broken broken", "minute 5 is missing");
    bench.supply(Period::M1, 5, 1, Confirmed);
    assert_eq!(bench.wholeness(), "open open broken");
    bench.supply(Period::M5, 0, 1, Provisional);
    assert_eq!(bench.wholeness(), "open open broken");
    bench.supply(Period::M5, 0, 1, Confirmed);
    assert_eq!(bench.wholeness(), "open open open");
}

#[test]
fn a_listing_is_whole_from_its_first_trade_on() {
    let mut bench = Bench::new(CHECKED);
    bench.trade(1, 6.5, 1);
    assert_eq!(bench.wholeness(), "open open open");
    bench.trade(2, 8.5, 1);
    assert_eq!(bench.wholeness(), "open open open");
}
