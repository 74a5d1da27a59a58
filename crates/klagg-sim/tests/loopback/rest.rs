//! Routes, errors, weights.

use klagg_kline::UnixMillis;
use klagg_sim::{SimClock, SimConfig, SimExchange};
use klagg_wire::rest;

use crate::client::get;
use crate::{START, config, exchange};

async fn paused(config: SimConfig) -> SimExchange {
    let exchange = SimExchange::start(config).await.unwrap();
    exchange.control().pause();
    exchange
}

#[tokio::test]
async fn ping_time_and_exchange_info_answer() {
    let exchange = paused(config()).await;
    assert_eq!(get(&exchange, "/fapi/v1/ping").await.body, "{}");
    let time = get(&exchange, "/fapi/v1/time").await;
    assert_eq!(rest::server_time(time.body.as_bytes()).unwrap(), exchange.now());
    let info = get(&exchange, "/fapi/v1/exchangeInfo").await;
    let info = rest::exchange_info(info.body.as_bytes()).unwrap();
    assert_eq!((info.skipped, info.weight_per_minute), (0, Some(2_400)));
    let trading = info
        .symbols
        .iter()
        .filter(|symbol| symbol.status == "TRADING" && symbol.contract_type.ends_with("PERPETUAL"));
    assert_eq!(trading.count(), 8);
    for name in ["BTCUSDT", "1000PEPEUSDT", "币安人生USDT", "OMGUSDT", "BTCUSDT_261225"] {
        assert!(info.symbols.iter().any(|symbol| symbol.name == name), "{name}");
    }
    let settled = info.symbols.iter().find(|symbol| symbol.name == "OMGUSDT").unwrap();
    assert_eq!(settled.status, "SETTLING");
    assert!(settled.delivery_time < START);
    exchange.stop().await.unwrap();
}

#[tokio::test]
async fn bad_requests_get_the_codes_of_the_exchange() {
    let exchange = paused(config()).await;
    let cases = [
        ("klines?symbol=NOUSDT&interval=1m", -1121),
        ("klines?interval=1m", -1102),
        ("klines?symbol=&interval=1m", -1102),
        ("klines?symbol=BTCUSDT", -1102),
        ("klines?symbol=BTCUSDT&interval=1s", -1120),
        ("klines?symbol=BTCUSDT&interval=1m&limit=1501", -1130),
        ("klines?symbol=BTCUSDT&interval=1m&limit=0", -1130),
        ("klines?symbol=BTCUSDT&interval=1m&startTime=-1", -1100),
        ("klines?symbol=BTCUSDT&interval=1m&startTime=9&endTime=8", -1023),
        ("continuousKlines?pair=BTCUSDT&contractType=NOTHING&interval=1m", -1121),
        ("aggTrades?symbol=NOUSDT", -1121),
        ("aggTrades?symbol=BTCUSDT&limit=1001", -1130),
        ("aggTrades?symbol=BTCUSDT&fromId=1", -4166),
        ("aggTrades?symbol=BTCUSDT&startTime=1", -4166),
    ];
    for (query, code) in cases {
        let reply = get(&exchange, &format!("/fapi/v1/{query}")).await;
        let error = rest::api_error(reply.body.as_bytes()).expect(query);
        assert_eq!((reply.status, error.code), (400, code), "{query}: {}", error.message);
        assert!(reply.used_weight.is_some(), "a refused request costs as well");
    }
    assert_eq!(get(&exchange, "/fapi/v1/nothing").await.status, 404);
    exchange.stop().await.unwrap();
}

#[tokio::test]
async fn every_route_costs_its_weight() {
    let exchange = paused(config()).await;
    let mut before = 0;
    let cases = [
        ("ping", 1),
        ("exchangeInfo", 1),
        ("klines?symbol=BTCUSDT&interval=1m&limit=100", 1),
        ("klines?symbol=BTCUSDT&interval=1m&limit=101", 2),
        ("klines?symbol=btcusdt&interval=1m", 5),
        ("klines?symbol=BTCUSDT&interval=1m&limit=1500", 10),
        ("klines?symbol=BTCUSDT&interval=1m&limit=1501", 10),
        ("continuousKlines?pair=BTCUSDT&contractType=PERPETUAL&interval=1m&limit=9", 1),
        ("aggTrades?symbol=BTCUSDT&limit=1", 20),
        ("aggTrades?symbol=NOUSDT", 20),
        ("trades?symbol=BTCUSDT", 5),
        ("ticker/24hr?symbol=BTCUSDT", 1),
        ("ticker/24hr", 40),
    ];
    for (query, weight) in cases {
        let used = get(&exchange, &format!("/fapi/v1/{query}")).await.used_weight.unwrap();
        assert_eq!(used - before, weight, "{query}");
        before = used;
    }
    exchange.stop().await.unwrap();
}

#[tokio::test]
async fn beyond_the_weight_comes_429_then_418() {
    let exchange = paused(SimConfig { weight_limit: 20, refusals_until_ban: 3, ..config() }).await;
    let ask = async || get(&exchange, "/fapi/v1/aggTrades?symbol=BTCUSDT").await;
    assert_eq!(ask().await.status, 200);
    for _ in 0..2 {
        let reply = ask().await;
        assert_eq!(reply.status, 429);
        assert_eq!(rest::api_error(reply.body.as_bytes()).unwrap().code, -1003);
    }
    let reply = get(&exchange, "/fapi/v1/ping").await;
    let error = rest::api_error(reply.body.as_bytes()).unwrap();
    assert_eq!((reply.status, error.code), (418, -1003));
    let until = exchange.now().0 + 120_000;
    assert!(error.message.contains(&format!("banned until {until}")), "{}", error.message);
    let counters = exchange.stop().await.unwrap();
    assert_eq!((counters.requests_refused, counters.requests_banned), (2, 1));
}

#[tokio::test]
async fn aggregates_are_paged_by_id_without_a_hole() {
    let exchange = paused(config()).await;
    let now = exchange.now();
    let from = UnixMillis(now.0 - 40 * 60_000);
    let expected = exchange.oracle().aggregates("BTCUSDT", from, now.plus(-150));
    let mut from_id = expected[0].trade.id.0;
    let mut found = Vec::new();
    loop {
        let path = format!("/fapi/v1/aggTrades?symbol=BTCUSDT&fromId={from_id}&limit=1000");
        let page = rest::agg_trades(get(&exchange, &path).await.body.as_bytes()).unwrap();
        let Some(last) = page.last() else { break };
        from_id = last.trade.id.0 + 1;
        found.extend(page.into_iter().map(|row| row.trade));
    }
    let expected: Vec<_> = expected.into_iter().map(|one| one.trade).collect();
    assert!(expected.len() > 1_000, "more than a page: {}", expected.len());
    assert_eq!(found, expected);
    // By time the first page is the same, and the newest ones come without any bound.
    let path = format!("/fapi/v1/aggTrades?symbol=BTCUSDT&startTime={from}&limit=5");
    let page = rest::agg_trades(get(&exchange, &path).await.body.as_bytes()).unwrap();
    assert!(page.iter().map(|row| row.trade).eq(expected[..5].iter().copied()));
    let path = "/fapi/v1/aggTrades?symbol=BTCUSDT&limit=5";
    let page = rest::agg_trades(get(&exchange, path).await.body.as_bytes()).unwrap();
    assert!(page.iter().map(|row| row.trade).eq(expected[expected.len() - 5..].iter().copied()));
    exchange.stop().await.unwrap();
}

#[tokio::test]
async fn an_impossible_configuration_or_port_is_named() {
    let bad = SimConfig { symbols: 0, ..config() };
    let error = SimExchange::start(bad).await.unwrap_err();
    assert_eq!(error.to_string(), "simulated exchange: `symbols` is 0, allowed is 1 to 20000");
    let clock = SimClock::Accelerated { factor: 0.5, start: START };
    let error = SimExchange::start(SimConfig { clock, ..config() }).await.unwrap_err();
    assert!(error.to_string().contains("clock.factor"), "{error}");
    let exchange = exchange().await;
    let taken = SimConfig { port: exchange.local_addr().port(), ..config() };
    let error = SimExchange::start(taken).await.unwrap_err();
    assert!(error.to_string().contains("cannot listen on 127.0.0.1:"), "{error}");
    exchange.stop().await.unwrap();
}
