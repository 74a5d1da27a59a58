//! A start amid every period: what is open is right within a minute, seen from the page's API and
//! held against a fold of the market's own aggregates.

use std::time::Duration;

use klagg_kline::{Kline, Period, Side, UnixMillis};
use klagg_sim::{Oracle, Quirks};

use crate::market::{Market, START, wait_for_market};
use crate::process::{get, wait_until};
use crate::truth::{Stored, start, stop};

/// Slow enough that a busy machine keeps up with the promise, which is in the market's time.
const FACTOR: f64 = 3.0;
/// For what was published to get to the page. With the 22 seconds that the market needs for its 65
/// it is less than 65 on the wall too, by which klagg counts.
const ON_ITS_WAY: Duration = Duration::from_secs(20);

/// What a kline is made of, as whole numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Sum {
    open: i64,
    high: i64,
    low: i64,
    close: i64,
    volume: i128,
    quote_volume: i128,
    taker_buy_volume: i128,
    count: u64,
}

impl Sum {
    fn of_kline(kline: &Kline) -> Self {
        Self {
            open: kline.open.scaled(),
            high: kline.high.scaled(),
            low: kline.low.scaled(),
            close: kline.close.scaled(),
            volume: kline.volume.scaled(),
            quote_volume: kline.quote_volume.scaled(),
            taker_buy_volume: kline.taker_buy_volume.scaled(),
            count: kline.trade_count,
        }
    }

    fn with(sum: Option<Self>, part: Self) -> Self {
        let Some(sum) = sum else { return part };
        Self {
            open: sum.open,
            high: sum.high.max(part.high),
            low: sum.low.min(part.low),
            close: part.close,
            volume: sum.volume + part.volume,
            quote_volume: sum.quote_volume + part.quote_volume,
            taker_buy_volume: sum.taker_buy_volume + part.taker_buy_volume,
            count: sum.count + part.count,
        }
    }
}

/// What came of a symbol since `from`: after each aggregate up to now, one after the other.
fn sums(oracle: &Oracle, symbol: &str, from: UnixMillis, now: UnixMillis) -> Vec<Sum> {
    let mut sums = Vec::new();
    for one in oracle.aggregates(symbol, from, now) {
        let (price, quantity) = (one.trade.price.scaled(), one.trade.quantity.scaled());
        let volume = i128::from(quantity);
        let part = Sum {
            open: price,
            high: price,
            low: price,
            close: price,
            volume,
            quote_volume: i128::from(price) * volume,
            taker_buy_volume: if one.trade.taker == Side::Buy { volume } else { 0 },
            count: u64::from(one.trade.fill_count),
        };
        sums.push(Sum::with(sums.last().copied(), part));
    }
    sums
}

/// The kline of a period that the page shows as open.
fn open_kline(page: &str, symbol: &str, period: Period) -> Option<Kline> {
    let path = format!("/fapi/v1/klines?symbol={symbol}&interval={period}&limit=1");
    klagg_wire::rest::klines(get(page, &path)?.as_bytes(), period).ok()?.pop()
}

#[test]
fn after_a_start_amid_every_period_the_open_klines_are_right_within_65_seconds() {
    // Without straddling aggregates, so that the fold is the official kline.
    let market = Market::open_with(41, FACTOR, Quirks::NONE);
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path().to_str().unwrap();
    let periods = "engine.periods=[\"1m\",\"5m\",\"30m\",\"1h\",\"4h\",\"1d\",\"1w\",\"1M\"]";
    let began = market.exchange().now();
    let (klagg, page, _) = start(&market, folder, &[periods]);
    let oracle = market.oracle();
    // The quietest symbols have fewer trades in a month than the others in an hour.
    let symbols = oracle.symbols();
    let trading: Vec<&str> = symbols
        .iter()
        .filter(|symbol| (symbol.status, symbol.contract_type) == ("TRADING", "PERPETUAL"))
        .map(|symbol| symbol.name.as_str())
        .collect();
    let (quiet, busy) = (trading[trading.len() - 1], trading[0]);
    wait_for_market(&market, began.plus(65_000));
    market.exchange().control().pause();
    let now = market.exchange().now();
    let long = [Period::H4, Period::D1, Period::W1, Period::Mo1].map(|period| (quiet, period));
    let short = [Period::M1, Period::M5, Period::M30, Period::H1].map(|period| (busy, period));
    for (symbol, period) in short.into_iter().chain(long) {
        let truth = sums(&oracle, symbol, period.open_time(now), now);
        // What was stamped in the last moments before time stood still was never published.
        let published = oracle.aggregates(symbol, period.open_time(now), now.plus(-1_000)).len();
        let mut shown = None;
        wait_until(
            &format!("{symbol} {period} is right, of {:?}", truth.last()),
            ON_ITS_WAY,
            || {
                shown = open_kline(&page, symbol, period);
                shown.as_ref().is_some_and(|kline| {
                    let newest = truth.get(published.saturating_sub(1)..).unwrap_or_default();
                    kline.open_time == period.open_time(now)
                        && newest.contains(&Sum::of_kline(kline))
                })
            },
        );
        assert!(published > 0, "{symbol} {period} had no trade: {shown:?}");
    }
    market.exchange().control().resume();
    stop(klagg);
    assert!(Stored::read(folder).compare(&market.oracle(), START) > 0);
}
