//! Question: how long does a start take, and what does it cost, with the exchange's real limit?
//!
//! In simulated time; see `klagg_bench::startup`. Beside each time stands the bound that the
//! budget itself sets: what the weight costs at a full share of the limit, were nothing else slow.

use klagg_bench::startup::{Kept, Market, StartFigures};
use klagg_kline::UnixMillis;
use klagg_sim::SimConfig;

/// A minute of an ordinary day.
const START: UnixMillis = UnixMillis(1_791_460_933_250);
const SYMBOLS: usize = 740;
const HOUR: i64 = 3_600_000;

#[expect(clippy::print_stdout, reason = "a table for people")]
fn main() {
    let config = SimConfig { symbols: SYMBOLS, ..SimConfig::demo() };
    let kept = Kept { klines: 1_000, days: 4_000 };
    let mut market = Market::new(&config, START, kept);
    let (half, quarter) = market.ages_days(START);
    println!(
        "{SYMBOLS} symbols x six periods; half of them older than {half} days, a quarter than \
         {quarter}"
    );
    println!();
    println!(
        "| start | history complete | bound | weight a symbol | met live | minute's weight, at \
         most | 429 |"
    );
    println!("| --- | --- | --- | --- | --- | --- | --- |");
    let empty = market.start(START, None);
    show("empty store", &empty.figures, config.weight_limit);
    let hour = market.start(empty.until.plus(HOUR), Some(&empty));
    show("after an hour", &hour.figures, config.weight_limit);
    let day = market.start(hour.until.plus(24 * HOUR), Some(&hour));
    show("after a day", &day.figures, config.weight_limit);
}

#[expect(clippy::print_stdout, clippy::cast_precision_loss, reason = "a table for people")]
fn show(name: &str, figures: &StartFigures, limit: u32) {
    let seconds = |millis: i64| format!("{:.1} s", millis as f64 / 1_000.0);
    println!(
        "| {name} | {} | {} | {:.2} | {} | {} | {} |",
        seconds(figures.filled_ms),
        seconds(figures.bound_ms(limit)),
        figures.filled_weight as f64 / figures.symbols as f64,
        seconds(figures.met_ms),
        figures.minute_weight_max,
        figures.refused,
    );
}
