//! The exchange's REST: rules, errors, bytes.

use bytes::Bytes;
use klagg_kline::{Period, SymbolId, UnixMillis};
use klagg_store::{Store, StoreConfig, StoredKline, StoredSymbol};

use crate::client::{Desk, config, desk, desk_with_store, minutes, send};
use crate::pipeline::{MINUTE, START};

/// The open times that a request answers with, in minutes from the start.
async fn times(desk: &Desk, query: &str) -> Vec<i64> {
    let reply = desk.get(&format!("/fapi/v1/klines?symbol=BTCUSDT&interval=1m{query}")).await;
    assert_eq!(reply.status, 200, "{query}: {reply:?}");
    let rows = reply.json();
    let rows = rows.as_array().unwrap();
    rows.iter().map(|row| (row[0].as_i64().unwrap() - START) / MINUTE).collect()
}

#[tokio::test]
async fn klines_follow_the_rules_of_the_exchange() {
    let mut desk = desk(config()).await;
    desk.begin(1800);
    let desk = &desk;
    let range = |from: i64, to: i64| (from..=to).collect::<Vec<_>>();
    let at = |minute: i64| START + minute * MINUTE;
    assert_eq!(times(desk, "").await, range(-499, 0), "500 rows, the open one last");
    assert_eq!(times(desk, "&limit=1500").await, range(-1499, 0));
    assert_eq!(times(desk, "&limit=1").await, [0]);
    let from = format!("&startTime={}&limit=3", at(-9));
    assert_eq!(times(desk, &from).await, range(-9, -7), "the earliest from there");
    let from = format!("&startTime={}&limit=3", at(-9) + 1);
    assert_eq!(times(desk, &from).await, range(-8, -6), "bounds are open times");
    let to = format!("&endTime={}&limit=3", at(-9));
    assert_eq!(times(desk, &to).await, range(-11, -9), "the newest up to there, inclusive");
    let both = format!("&startTime={}&endTime={}", at(-3), at(0));
    assert_eq!(times(desk, &both).await, range(-3, 0));
    let both = format!("&startTime={}&endTime={}", at(-3), at(0) - 1);
    assert_eq!(times(desk, &both).await, range(-3, -1));
    assert_eq!(times(desk, &format!("&startTime={}", at(1))).await, [0; 0], "the future is empty");
    assert_eq!(times(desk, "&startTime=0&limit=1").await, [-1800], "the very first");
    let reply = desk.get("/fapi/v1/klines?symbol=btcusdt&interval=1m&limit=1").await;
    let expected = format!(
        "[[{START},\"100.50\",\"100.50\",\"100.50\",\"100.50\",\"0.250\",{},\"25.12500\",1,\
         \"0.250\",\"25.12500\",\"0\"]]",
        START + MINUTE - 1
    );
    assert_eq!(reply.body, expected, "lower case is taken; bytes are the exchange's");
    let path = "/fapi/v1/continuousKlines?pair=BTCUSDT&contractType=PERPETUAL&interval=1m&limit=1";
    assert_eq!(desk.get(path).await.body, expected);
}

#[tokio::test]
async fn what_is_stale_says_so_in_a_header_and_keeps_its_body() {
    let mut desk = desk(config()).await;
    desk.begin(3);
    let paths = [
        "/fapi/v1/klines?symbol=BTCUSDT&interval=1m",
        "/fapi/v1/continuousKlines?pair=BTCUSDT&contractType=PERPETUAL&interval=1m",
        "/api/v1/klines?symbol=BTCUSDT&period=1m",
    ];
    let mut bodies = Vec::new();
    for path in paths {
        let reply = desk.get(path).await;
        assert!(!reply.head.contains("x-klagg-stale-ms"), "{path}: {reply:?}");
        bodies.push(reply.json());
    }
    // One tick in which its worker does not answer, 750 ms after it last did.
    desk.market.miss(START + 1_750);
    for (path, body) in paths.iter().zip(bodies) {
        let reply = desk.get(path).await;
        assert!(reply.head.contains("x-klagg-stale-ms: 750"), "{path}: {reply:?}");
        if path.starts_with("/fapi") {
            assert_eq!(reply.json(), body, "what it holds stays");
        }
    }
    desk.market.publish(START + 2_000);
    let reply = desk.get(paths[0]).await;
    assert!(!reply.head.contains("x-klagg-stale-ms"), "{reply:?}");
    // Its worker answers, but nothing comes of it.
    desk.silent.lock().unwrap().insert(SymbolId(0), UnixMillis(START - 18_000));
    let reply = desk.get(paths[0]).await;
    assert!(reply.head.contains("x-klagg-stale-ms: 20000"), "{reply:?}");
    desk.silent.lock().unwrap().clear();
    let reply = desk.get(paths[0]).await;
    assert!(!reply.head.contains("x-klagg-stale-ms"), "{reply:?}");
}

#[tokio::test]
async fn refusals_carry_the_codes_of_the_exchange() {
    let mut desk = desk(config()).await;
    desk.begin(3);
    let klines = "/fapi/v1/klines?";
    for (path, code) in [
        (format!("{klines}symbol=NOSUCH&interval=1m"), -1121),
        (format!("{klines}symbol=%E5%B8%81&interval=1m"), -1121),
        (format!("{klines}symbol=%ff&interval=1m"), -1121),
        (format!("{klines}symbol=BTCUSDT&interval=1s"), -1120),
        (format!("{klines}symbol=BTCUSDT&interval=3m"), -1120),
        (format!("{klines}symbol=BTCUSDT&interval=1m&limit=1501"), -1130),
        (format!("{klines}symbol=BTCUSDT&interval=1m&limit=0"), -1130),
        (format!("{klines}symbol=BTCUSDT&interval=1m&limit=-1"), -1130),
        (format!("{klines}symbol=BTCUSDT&interval=1m&startTime=-5"), -1130),
        (format!("{klines}symbol=BTCUSDT&interval=1m&limit=ten"), -1102),
        (format!("{klines}symbol=BTCUSDT&interval=1m&limit="), -1102),
        (format!("{klines}symbol=BTCUSDT&interval=1m&endTime=99999999999999999999"), -1102),
        (format!("{klines}interval=1m"), -1102),
        (format!("{klines}symbol=&interval=1m"), -1102),
        (format!("{klines}symbol=BTCUSDT"), -1102),
        (format!("{klines}symbol=BTCUSDT&interval=1m&startTime=2&endTime=1"), -1023),
        (format!("{klines}symbol=BTCUSDT&symbol=ETHUSDT&interval=1m"), -1101),
        ("/fapi/v1/ticker/price?symbol=NOSUCH".to_owned(), -1121),
    ] {
        let reply = desk.get(&path).await;
        assert_eq!((reply.status, reply.json()["code"].as_i64()), (400, Some(code)), "{path}");
        assert!(reply.json()["msg"].is_string());
    }
    let reply = desk.get("/fapi/v1/nothing").await;
    assert_eq!((reply.status, reply.json()["code"].as_i64()), (404, Some(-5000)));
}

#[tokio::test]
async fn the_small_routes_answer_as_the_exchange_does() {
    let mut desk = desk(config()).await;
    desk.begin(3);
    assert_eq!(desk.get("/fapi/v1/ping").await.body, "{}");
    let time = format!("{{\"serverTime\":{}}}", START + 1_000);
    assert_eq!(desk.get("/fapi/v1/time").await.body, time);
    assert_eq!(desk.get("/fapi/v1/exchangeInfo").await.status, 503, "not known yet");
    let info = Bytes::from_static(b"{\"symbols\":[ 1.0 ],\"x\":\"as it came\"}");
    desk.exchange_info.send_replace(info.clone());
    assert_eq!(desk.get("/fapi/v1/exchangeInfo").await.body.as_bytes(), info);
    let price = format!(r#"{{"symbol":"BTCUSDT","price":"100.50","time":{}}}"#, START + 1_000);
    assert_eq!(desk.get("/fapi/v1/ticker/price?symbol=BTCUSDT").await.body, price);
    assert_eq!(desk.get("/fapi/v2/ticker/price").await.body, format!("[{price}]"));
    let head = format!(
        "HEAD /fapi/v1/ping HTTP/1.1\r\nhost: {}\r\nconnection: close\r\n\r\n",
        desk.running.address
    );
    let reply = send(desk.running.address, head.as_bytes()).await;
    assert_eq!((reply.status, reply.body.as_str()), (200, ""));
    for method in ["POST", "PUT", "DELETE", "OPTIONS", "CONNECT", "BREW"] {
        let text = head.replacen("HEAD", method, 1);
        let status = send(desk.running.address, text.as_bytes()).await.status;
        assert!([400, 405].contains(&status), "{method}: {status}");
    }
}

#[tokio::test]
async fn what_memory_no_longer_holds_comes_from_the_store() {
    let folder = tempfile::tempdir().unwrap();
    let mut store = Store::open(&StoreConfig::new(folder.path())).unwrap();
    let all = minutes(3000);
    let stored: Vec<_> = all
        .iter()
        .map(|&record| StoredKline { symbol: SymbolId(0), period: Period::M1, record })
        .collect();
    let symbol = StoredSymbol {
        id: SymbolId(0),
        name: "BTCUSDT".to_owned(),
        first_open_time: UnixMillis(0),
        onboard_time: None,
        precision: klagg_kline::Precision::new(2, 3).unwrap(),
        delisted: false,
    };
    store.append_symbols(&[symbol]).unwrap();
    store.write(&stored).unwrap();
    let mut desk = desk_with_store(config(), Some(store.reader_factory())).await;
    desk.market.page(0, Period::M1, all[2500..].to_vec());
    desk.market.trade(0, START + 1_000, "3001", "1");
    desk.market.publish(START + 1_000);
    let range = |from: i64, to: i64| (from..=to).collect::<Vec<_>>();
    let desk = &desk;
    assert_eq!(times(desk, "&limit=1500").await, range(-1499, 0), "store, memory, open, no seam");
    assert_eq!(times(desk, "&startTime=0&limit=2").await, [-3000, -2999]);
    let to = format!("&endTime={}&limit=4", START - 502 * MINUTE);
    assert_eq!(times(desk, &to).await, range(-505, -502));
    let from = format!("&startTime={}&limit=5", START - 502 * MINUTE);
    assert_eq!(times(desk, &from).await, range(-502, -498), "across the seam, from its start");
    let before = START - 2998 * MINUTE;
    let path = format!("/api/v1/klines?symbol=BTCUSDT&period=1m&before={before}");
    let page = desk.get(&path).await.json();
    assert_eq!(page["klines"].as_array().unwrap().len(), 2, "before is exclusive");
    assert_eq!(page["klines"][0][11], "confirmed");
}
