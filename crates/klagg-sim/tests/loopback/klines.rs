//! What REST serves against the oracle, and the fold of aggregates against both.

use std::fmt::Write;

use klagg_kline::{Kline, Period, UnixMillis};
use klagg_sim::{Quirks, SimConfig, SimExchange};
use klagg_wire::rest;

use crate::client::get;
use crate::config;

async fn served(exchange: &SimExchange, symbol: &str, period: Period, limit: u32) -> Vec<Kline> {
    let mut path = String::from("/fapi/v1/klines?symbol=");
    for byte in symbol.bytes() {
        write!(path, "%{byte:02X}").unwrap();
    }
    write!(path, "&interval={period}&limit={limit}").unwrap();
    rest::klines(get(exchange, &path).await.body.as_bytes(), period).unwrap()
}

#[tokio::test]
async fn served_klines_are_the_oracles() {
    let exchange =
        SimExchange::start(SimConfig { weight_limit: 10_000, ..config() }).await.unwrap();
    exchange.control().pause();
    let oracle = exchange.oracle();
    for (symbol, period, limit) in [
        ("BTCUSDT", Period::M1, 90),
        ("币安人生USDT", Period::M1, 300),
        ("BTCUSDT_261225", Period::M3, 90),
        ("OMGUSDT", Period::M5, 20),
        ("SOLUSDT", Period::H1, 30),
        ("1000PEPEUSDT", Period::H4, 9),
        ("XRPUSDT", Period::D1, 9),
    ] {
        let served = served(&exchange, symbol, period, limit).await;
        let (open, closed) = served.split_last().unwrap();
        assert!(period.next_open_time(open.open_time) > exchange.now(), "the last one is open");
        let from = served[0].open_time;
        let expected = oracle.official(symbol, period, from, exchange.now());
        assert_eq!(closed.len(), expected.len(), "{symbol} {period}");
        for (served, expected) in closed.iter().zip(&expected) {
            assert!(served.same_values(expected), "{symbol} {period}: {served:?} {expected:?}");
        }
    }
    exchange.stop().await.unwrap();
}

/// Volume that moved from one minute to its neighbour must be missing there, and nowhere else.
fn check_straddles(official: &[Kline], folded: &[Kline]) -> usize {
    assert_eq!(official.len(), folded.len());
    let mut carried = 0;
    let mut straddles = 0;
    // From a minute on into which nothing was carried.
    let same = |(official, folded): &(&Kline, &Kline)| official.volume == folded.volume;
    for (official, folded) in official.iter().zip(folded).skip_while(|pair| !same(pair)) {
        assert_eq!(official.open_time, folded.open_time);
        let excess = folded.volume.scaled() - official.volume.scaled() + carried;
        assert!(excess >= 0, "an aggregate only takes fills of the next minute along");
        straddles += usize::from(excess > 0);
        carried = excess;
        assert_eq!(official.close, folded.close, "the price of a straddling fill is one price");
    }
    straddles
}

#[tokio::test]
async fn a_fold_of_aggregates_differs_only_where_one_straddles_a_minute() {
    let quirks = Quirks { straddles: 1.0, ..Quirks::REAL };
    let exchange = SimExchange::start(SimConfig { quirks, ..config() }).await.unwrap();
    exchange.control().pause();
    let (oracle, now) = (exchange.oracle(), exchange.now());
    let from = UnixMillis(now.0 - 6 * 3_600_000);
    let mut straddles = 0;
    for symbol in oracle.symbols().iter().filter(|symbol| symbol.status == "TRADING") {
        let official = oracle.official(&symbol.name, Period::M1, from, now);
        let folded = oracle.folded(&symbol.name, Period::M1, from, now);
        straddles += check_straddles(&official, &folded);
    }
    assert!(straddles > 20, "{straddles}");
    exchange.stop().await.unwrap();
}

#[tokio::test]
async fn without_quirks_a_fold_of_aggregates_is_official() {
    let exchange =
        SimExchange::start(SimConfig { quirks: Quirks::NONE, ..config() }).await.unwrap();
    exchange.control().pause();
    let (oracle, now) = (exchange.oracle(), exchange.now());
    let from = UnixMillis(now.0 - 3_600_000);
    for symbol in oracle.symbols() {
        let official = oracle.official(&symbol.name, Period::M5, from, now);
        let folded = oracle.folded(&symbol.name, Period::M5, from, now);
        assert_eq!(official.len(), folded.len());
        for (official, folded) in official.iter().zip(&folded) {
            assert!(official.same_values(folded), "{}: {official:?} {folded:?}", symbol.name);
        }
    }
    exchange.stop().await.unwrap();
}
