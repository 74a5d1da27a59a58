//! What a start may cost and how long it may take, at a twentieth of the market and of the limit.
//!
//! `cargo run --release --package klagg-bench --bin startup` shows the figures of all of it.

use klagg_bench::startup::{Kept, Market, StartFigures};
use klagg_kline::UnixMillis;
use klagg_sim::SimConfig;

const START: UnixMillis = UnixMillis(1_791_460_933_250);
/// A little less than a twentieth: a page of weight 2 is more of so small a limit.
const SYMBOLS: usize = 36;
const HOUR: i64 = 3_600_000;

#[test]
fn a_start_keeps_to_the_budget_whatever_was_stored_before() {
    let config = SimConfig { symbols: SYMBOLS, weight_limit: 120, ..SimConfig::demo() };
    let check = |name: &str, figures: &StartFigures| {
        assert_eq!(figures.refused, 0, "{name}: {figures:?}");
        assert!(figures.minute_weight_max <= 96, "{name}: 80 % of the limit, {figures:?}");
        assert!(figures.met_ms <= 10 * 60_000, "{name}: {figures:?}");
    };
    let mut market = Market::new(&config, START, Kept { klines: 1_000, days: 4_000 });
    let empty = market.start(START, None);
    check("empty store", &empty.figures);
    assert!(empty.figures.filled_ms <= 10 * 60_000, "{:?}", empty.figures);
    let hour = market.start(empty.until.plus(HOUR), Some(&empty));
    check("after an hour", &hour.figures);
    assert!(hour.figures.filled_ms < 30_000, "{:?}", hour.figures);
    assert!(
        hour.figures.filled_weight * 10 <= SYMBOLS as u64 * 11,
        "1.1 a symbol: {:?}",
        hour.figures
    );
    let day = market.start(hour.until.plus(24 * HOUR), Some(&hour));
    check("after a day", &day.figures);
    assert!(day.figures.filled_ms < 150_000, "{:?}", day.figures);
}
