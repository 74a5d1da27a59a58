//! The exchange's streams: paths, requests, events.

use serde_json::{Value, json};
use tokio_tungstenite::tungstenite::Message;

use crate::client::{Socket, config, connect, desk};
use crate::pipeline::{MINUTE, START};

async fn ack(socket: &mut Socket, request: &str, expected: Value) {
    socket.say(request).await;
    // Events may be on their way before the answer.
    loop {
        let message = socket.json().await;
        if message.get("id").is_some() || message.get("error").is_some() {
            assert_eq!(message, expected, "{request}");
            return;
        }
    }
}

#[tokio::test]
async fn every_path_of_the_exchange_delivers() {
    let mut desk = desk(config()).await;
    desk.begin(2);
    let mut clients = Vec::new();
    for prefix in ["", "/market", "/public", "/private"] {
        for (path, combined) in [
            ("/ws/btcusdt@kline_1m", false),
            ("/ws/0/btcusdt@kline_1m", false),
            ("/stream?streams=btcusdt@kline_1m/ethusdt@kline_1m", true),
            ("/stream?streams=btcusdt%40kline_1m", true),
        ] {
            let path = format!("{prefix}{path}");
            let socket = connect(desk.running.address, &path, &[]).await;
            let socket = socket.unwrap_or_else(|status| panic!("{path}: {status}"));
            clients.push((path, combined, socket));
        }
    }
    for (path, combined, socket) in &mut clients {
        ack(
            socket,
            r#"{"method":"GET_PROPERTY","params":["combined"],"id":1}"#,
            json!({"result": combined, "id": 1}),
        )
        .await;
        let _ = path;
    }
    desk.market.trade(0, START + 2_000, "101.00", "0.500");
    desk.market.publish(START + 2_000);
    for (path, combined, socket) in &mut clients {
        let message = socket.json().await;
        let event = if *combined {
            assert_eq!(message["stream"], "btcusdt@kline_1m", "{path}");
            &message["data"]
        } else {
            &message
        };
        let kline = &event["k"];
        assert_eq!((&event["e"], &event["s"]), (&"kline".into(), &"BTCUSDT".into()), "{path}");
        assert_eq!((&kline["c"], &kline["v"]), (&"101.00".into(), &"0.750".into()), "{path}");
        assert_eq!((&kline["x"], &kline["t"]), (&false.into(), &START.into()), "{path}");
    }
}

#[tokio::test]
async fn requests_are_answered_with_their_id_in_its_type() {
    let mut desk = desk(config()).await;
    desk.begin(2);
    let address = desk.running.address;
    let mut socket = connect(address, "/market/ws/0", &[]).await.unwrap();
    let subscribe = r#"{"method":"SUBSCRIBE","params":["btcusdt@kline_1m","x@aggTrade"],"id":7}"#;
    ack(&mut socket, subscribe, json!({"result": null, "id": 7})).await;
    ack(&mut socket, subscribe, json!({"result": null, "id": 7})).await;
    let request = r#"{"method":"LIST_SUBSCRIPTIONS","id":"a-text"}"#;
    let listed = json!({"result": ["btcusdt@kline_1m", "x@aggTrade"], "id": "a-text"});
    ack(&mut socket, request, listed).await;
    desk.market.trade(0, START + 2_000, "102.00", "0.500");
    desk.market.publish(START + 2_000);
    assert_eq!(socket.json().await["k"]["c"], "102.00");
    let unsubscribe = r#"{"method":"UNSUBSCRIBE","params":["btcusdt@kline_1m"],"id":null}"#;
    ack(&mut socket, unsubscribe, json!({"result": null, "id": null})).await;
    let request = r#"{"method":"LIST_SUBSCRIPTIONS","id":8}"#;
    ack(&mut socket, request, json!({"result": ["x@aggTrade"], "id": 8})).await;
    let continuous =
        r#"{"method":"SUBSCRIBE","params":["btcusdt_perpetual@continuousKline_1m"],"id":9}"#;
    ack(&mut socket, continuous, json!({"result": null, "id": 9})).await;
    desk.market.trade(0, START + 3_000, "103.00", "0.500");
    desk.market.publish(START + 3_000);
    let event = socket.json().await;
    assert_eq!((&event["e"], &event["ps"]), (&"continuous_kline".into(), &"BTCUSDT".into()));
    assert_eq!(event["k"]["c"], "103.00");
}

#[tokio::test]
async fn a_kline_is_told_closed_once_and_never_open_after_that() {
    let mut desk = desk(config()).await;
    desk.begin(2);
    let path = "/market/ws/btcusdt@kline_1m";
    let mut socket = connect(desk.running.address, path, &[]).await.unwrap();
    ack(
        &mut socket,
        r#"{"method":"LIST_SUBSCRIPTIONS","id":1}"#,
        json!({"result": ["btcusdt@kline_1m"], "id": 1}),
    )
    .await;
    let mut told = Vec::new();
    for minute in 1..=4 {
        let time = START + minute * MINUTE + 100;
        desk.market.trade(0, time, &format!("{}", 200 + minute), "0.001");
        desk.market.publish(time);
        loop {
            let event = socket.json().await;
            let kline = &event["k"];
            told.push((kline["t"].as_i64().unwrap(), kline["x"].as_bool().unwrap()));
            if kline["t"].as_i64() == Some(START + minute * MINUTE) {
                break;
            }
        }
    }
    let expected: Vec<_> = (0..4)
        .flat_map(|minute| {
            [(START + minute * MINUTE, true), (START + (minute + 1) * MINUTE, false)]
        })
        .collect();
    assert_eq!(told, expected);
}

#[tokio::test]
async fn what_the_exchange_refuses_is_refused_in_its_words() {
    let mut config = config();
    config.limits.subscriptions_max = 3;
    let desk = desk(config).await;
    let address = desk.running.address;
    let mut socket = connect(address, "/market/ws", &[]).await.unwrap();
    socket.say(r#"{"method":"SUBSCRIBE","params":["a@b","c@d","e@f","g@h"],"id":1}"#).await;
    let error = socket.json().await;
    assert_eq!(error["error"]["code"], 4);
    assert_eq!(error["error"]["msg"], "Too many subscriptions");
    assert_eq!(socket.code().await, 1008);
    let mut socket = connect(address, "/stream", &[]).await.unwrap();
    for (request, code) in [("{", 3), (r#"{"method":"BREW","id":1}"#, 2)] {
        socket.say(request).await;
        assert_eq!(socket.json().await["error"]["code"], code, "{request}");
    }
    socket.say("[]").await;
    assert!(socket.json().await["error"]["code"].is_i64());
    assert_eq!(socket.code().await, 1008, "the third wrong request");
    let mut socket = connect(address, "/ws", &[]).await.unwrap();
    socket.send(Message::binary(b"{}".to_vec())).await;
    assert_eq!(socket.code().await, 1008);
    let mut socket = connect(address, "/ws", &[]).await.unwrap();
    for _ in 0..40 {
        socket.say(r#"{"method":"LIST_SUBSCRIPTIONS","id":1}"#).await;
    }
    assert_eq!(socket.code().await, 1008, "a flood");
}
