//! Names in other scripts, with digits in front and with `_`; and names that were listed twice.

use klagg_kline::{Period, SymbolId};
use serde_json::Value;

use crate::client::{config, connect, get, minutes};
use crate::pipeline::{self, MINUTE, Market, START, listed};

const NAMES: [&str; 4] = ["币安人生USDT", "4USDT", "1000X_YUSDT", "牛_来USDT"];

/// Every byte of a name as it may stand in a URL.
fn encoded(name: &str) -> String {
    name.bytes().fold(String::new(), |text, byte| text + &format!("%{byte:02X}"))
}

#[tokio::test]
async fn every_kind_of_name_works_at_every_door() {
    let symbols = NAMES.iter().map(|name| listed(name, 2, 3)).collect();
    let (mut market, seams) = Market::new(symbols, 100, None);
    let running = pipeline::run(config(), seams.parts).await.unwrap();
    let address = running.address;
    market.publish(START);
    let mut sockets = Vec::new();
    for name in NAMES {
        let number = market.symbols.load().get(name).unwrap().0;
        market.trade(number, START + 1_000, "100.50", "0.250");
        let stream = format!("{}@kline_1m", name.to_ascii_lowercase());
        let mut live = connect(address, "/ws/kline/live", &[]).await.unwrap();
        live.say(&format!(r#"{{"subscribe":["{name}"],"periods":["1m"]}}"#)).await;
        assert_eq!(live.json_of("snapshot").await["symbol"], *name);
        let path = format!("/ws/{}", encoded(&stream));
        let by_path = connect(address, &path, &[]).await.unwrap();
        let mut by_request = connect(address, "/market/ws", &[]).await.unwrap();
        by_request.say(&format!(r#"{{"method":"SUBSCRIBE","params":["{stream}"],"id":1}}"#)).await;
        assert_eq!(by_request.json().await["id"], 1);
        sockets.push((name, live, by_path, by_request));
    }
    market.publish(START + 1_000);
    for (name, live, by_path, by_request) in &mut sockets {
        let row = live.json_of("kline").await;
        assert_eq!((&row["symbol"], &row["kline"][4]), (&(*name).into(), &"100.50".into()));
        for socket in [by_path, by_request] {
            let event = socket.json().await;
            assert_eq!((&event["s"], &event["k"]["c"]), (&(*name).into(), &"100.50".into()));
        }
        let name = encoded(name);
        for path in [
            format!("/fapi/v1/klines?symbol={name}&interval=1m"),
            format!("/fapi/v1/continuousKlines?pair={name}&contractType=PERPETUAL&interval=1m"),
            format!("/api/v1/klines?symbol={name}&period=1m"),
            format!("/fapi/v1/ticker/price?symbol={name}"),
        ] {
            let reply = get(address, &path).await;
            assert!(reply.status == 200 && reply.body.contains("100.50"), "{path}: {reply:?}");
        }
    }
    let market = get(address, "/api/v1/symbols").await.json();
    let rows = market["symbols"].as_array().unwrap();
    assert!(NAMES.iter().all(|name| rows.iter().any(|row| row[0] == *name && row[5] == "100.50")));
}

#[tokio::test]
async fn a_name_that_was_listed_anew_leads_to_its_newest_listing() {
    let name = NAMES[3];
    let (mut market, seams) = Market::new(vec![listed(name, 2, 3)], 100, None);
    let running = pipeline::run(config(), seams.parts).await.unwrap();
    market.page(0, Period::M1, minutes(9));
    market.publish(START);
    let rows = |path: String| async move { get(running.address, &path).await.json() };
    let path = format!("/fapi/v1/klines?symbol={}&interval=1m", encoded(name));
    let first = || async { rows(path.clone()).await[0][0].as_i64() };
    let overview = || rows("/api/v1/symbols".to_owned());
    assert_eq!(first().await, Some(START - 9 * MINUTE));

    market.symbols.retire(SymbolId(0)).unwrap();
    let listed_row = |market: Value| {
        let rows = market["symbols"].as_array().unwrap().clone();
        assert_eq!(rows.len(), 1, "one row a name: {rows:?}");
        rows[0][6].as_bool().unwrap()
    };
    // What was told lately serves for half a second.
    crate::client::until("it is told to be gone", || async { !listed_row(overview().await) }).await;
    assert_eq!(first().await, Some(START - 9 * MINUTE), "its history stays");

    market.symbols.append(vec![listed(name, 2, 3)]).unwrap();
    assert_eq!(first().await, None, "another symbol");
    market.page(1, Period::M1, minutes(2));
    market.publish(START + MINUTE);
    assert_eq!(first().await, Some(START - 2 * MINUTE));
    crate::client::until("it is listed", || async { listed_row(overview().await) }).await;
}
