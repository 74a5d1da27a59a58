//! What a websocket may do, and what becomes of it.

use std::time::Duration;

use klagg_sim::{SimConfig, SimExchange, SocketRules};
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;

use crate::client::{Client, until};
use crate::{config, exchange};

#[tokio::test]
async fn everything_is_acknowledged_and_bad_names_stay_silent() {
    let exchange = exchange().await;
    let mut client = Client::connect(&exchange, "/market/stream").await;
    let silent = ["BTCUSDT@aggTrade", "nousdt@aggTrade", "btcusdt@bogus", "btcusdt@trade", ""];
    client.subscribe(&silent).await;
    client.send(r#"{"method":"LIST_SUBSCRIPTIONS","id":3}"#).await;
    let listed = client.text().await;
    let expected = silent.map(|name| format!("\"{name}\"")).join(",");
    assert_eq!(listed, format!(r#"{{"result":[{expected}],"id":3}}"#));
    client.subscribe(&["ethusdt@aggTrade"]).await;
    for _ in 0..20 {
        let text = client.text().await;
        assert!(text.contains("ethusdt@aggTrade"), "{text}");
    }
    exchange.stop().await.unwrap();
}

#[tokio::test]
async fn an_unrouted_path_acknowledges_and_stays_silent() {
    let exchange = exchange().await;
    let mut unrouted = Client::connect(&exchange, "/stream").await;
    unrouted.subscribe(&["btcusdt@aggTrade", "!miniTicker@arr"]).await;
    let mut routed = Client::connect(&exchange, "/market/stream").await;
    routed.subscribe(&["btcusdt@aggTrade"]).await;
    for _ in 0..20 {
        routed.text_with("aggTrade").await;
    }
    unrouted.send(r#"{"method":"GET_PROPERTY","params":["combined"],"id":9}"#).await;
    assert_eq!(unrouted.text().await, r#"{"result":true,"id":9}"#, "nothing came before it");
    exchange.stop().await.unwrap();
}

#[tokio::test]
async fn subscriptions_can_be_ended_and_frames_unwrapped() {
    let exchange = exchange().await;
    let mut client = Client::connect(&exchange, "/market/stream").await;
    client.subscribe(&["btcusdt@aggTrade"]).await;
    assert!(client.text_with("aggTrade").await.starts_with(r#"{"stream":"btcusdt@aggTrade""#));
    client.send(r#"{"method":"SET_PROPERTY","params":["combined",false],"id":5}"#).await;
    client.text_with(r#""id":5"#).await;
    assert!(client.text().await.starts_with(r#"{"e":"aggTrade""#));
    client.send(r#"{"method":"UNSUBSCRIBE","params":["btcusdt@aggTrade"],"id":6}"#).await;
    client.text_with(r#""id":6"#).await;
    // What was under way may still arrive, then nothing more does.
    for (request, code) in [("{", 3), (r#"{"method":"NO","id":1}"#, 2)] {
        client.send(request).await;
        let refused = client.text_with("error").await;
        assert!(refused.contains(&format!(r#""code":{code}"#)), "{refused}");
    }
    exchange.stop().await.unwrap();
}

#[tokio::test]
async fn the_1025th_stream_costs_all() {
    let exchange = exchange().await;
    let mut client = Client::connect(&exchange, "/market/stream").await;
    let names: Vec<String> = (0..1_024).map(|number| format!("s{number}usdt@aggTrade")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    for page in names.chunks(200) {
        client.subscribe(page).await;
    }
    client.subscribe(&names[..1]).await;
    client.send(r#"{"method":"SUBSCRIBE","params":["btcusdt@aggTrade"],"id":8}"#).await;
    let (texts, close) = client.until_closed().await;
    assert_eq!(texts, [r#"{"error":{"code":4,"msg":"Too many subscriptions"}}"#]);
    let close = close.expect("a close frame");
    assert_eq!((close.code, close.reason.as_str()), (CloseCode::Policy, "Invalid request"));
    exchange.stop().await.unwrap();
}

#[tokio::test]
async fn a_burst_of_messages_is_closed() {
    let exchange = exchange().await;
    let mut client = Client::connect(&exchange, "/market/ws").await;
    for id in 0..40 {
        client.send(&format!(r#"{{"method":"LIST_SUBSCRIPTIONS","id":{id}}}"#)).await;
    }
    let (texts, close) = client.until_closed().await;
    assert!((15..40).contains(&texts.len()), "{} answers", texts.len());
    let close = close.expect("a close frame");
    assert_eq!((close.code, close.reason.as_str()), (CloseCode::Policy, "Too many requests"));
    assert_eq!(exchange.stop().await.unwrap().closed_rules, 1);
}

#[tokio::test]
async fn a_binary_frame_is_closed() {
    let exchange = exchange().await;
    let mut client = Client::connect(&exchange, "/market/ws").await;
    client.send_message(Message::binary(b"{}".to_vec())).await;
    let (_, close) = client.until_closed().await;
    assert_eq!(close.expect("a close frame").reason.as_str(), "Invalid request");
    exchange.stop().await.unwrap();
}

#[tokio::test]
async fn the_server_pings_with_the_time_and_cuts_after_the_lifetime() {
    let sockets = SocketRules {
        ping_cadence: Duration::from_millis(20),
        lifetime: Duration::from_millis(300),
        ..SocketRules::REAL
    };
    let exchange = SimExchange::start(SimConfig { sockets, ..config() }).await.unwrap();
    let mut client = Client::connect(&exchange, "/market/ws").await;
    let mut pings = 0;
    while let Some(message) = client.next().await {
        if let Message::Ping(payload) = message {
            let millis: i64 = std::str::from_utf8(&payload).unwrap().parse().unwrap();
            assert!(millis > 1_600_000_000_000);
            pings += 1;
        }
    }
    assert!(pings > 0);
    exchange.stop().await.unwrap();
}

#[tokio::test]
async fn a_client_that_does_not_read_is_ended() {
    let sockets = SocketRules { queued_frames_max: 50, ..SocketRules::REAL };
    let config = SimConfig { sockets, trades_per_second: 2_000.0, ..config() };
    let exchange = SimExchange::start(config).await.unwrap();
    let mut client = Client::connect(&exchange, "/market/stream").await;
    client.subscribe(&["btcusdt@aggTrade"]).await;
    let control = exchange.control();
    until("the end of a slow client", || control.counters().closed_slow > 0).await;
    exchange.stop().await.unwrap();
}

#[tokio::test]
async fn it_stops_within_a_second_whatever_hangs_on_it() {
    let exchange = exchange().await;
    let _idle = tokio::net::TcpStream::connect(exchange.local_addr()).await.unwrap();
    let mut client = Client::connect(&exchange, "/market/ws/btcusdt@aggTrade").await;
    client.text().await;
    let stopped = tokio::time::timeout(Duration::from_secs(2), exchange.stop()).await;
    assert_eq!(stopped.expect("it stops in time").unwrap().connections, 1);
    client.until_closed().await;
}
