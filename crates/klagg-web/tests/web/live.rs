//! `/ws/kline/live`: snapshots, updates, commands, endings.

use std::time::Duration;

use klagg_kline::{Period, SymbolId, UnixMillis};
use serde_json::Value;
use tokio_tungstenite::tungstenite::Message;

use crate::client::{config, desk};
use crate::pipeline::{MINUTE, START};

/// Open time, close and status of a row.
fn brief(row: &Value) -> (i64, String, String) {
    let text = |at: usize| row[at].as_str().unwrap().to_owned();
    (row[0].as_i64().unwrap(), text(4), text(11))
}

#[tokio::test]
async fn history_and_live_klines_meet_in_one_snapshot() {
    let mut desk = desk(config()).await;
    desk.begin(20);
    let mut socket = desk.live().await;
    socket.say(r#"{"subscribe":["BTCUSDT"],"periods":["1m"],"history":10}"#).await;
    assert_eq!(socket.json_of("subscribed").await["subscriptions"], 1);
    let snapshot = socket.json_of("snapshot").await;
    assert_eq!((&snapshot["symbol"], &snapshot["period"]), (&"BTCUSDT".into(), &"1m".into()));
    let rows = snapshot["klines"].as_array().unwrap();
    assert_eq!(rows.len(), 11, "ten of history and the open one");
    assert_eq!(brief(&rows[0]), (START - 10 * MINUTE, "11.00".into(), "confirmed".into()));
    assert_eq!(brief(&rows[10]), (START, "100.50".into(), "open".into()));
    assert_eq!(rows[10][5], "0.250");

    desk.market.trade(0, START + 2_000, "101.25", "1.000");
    desk.market.publish(START + 2_000);
    let update = socket.json_of("kline").await;
    assert!(update["sequence"].as_u64() > snapshot["sequence"].as_u64());
    assert_eq!(brief(&update["kline"]), (START, "101.25".into(), "open".into()));
    assert_eq!(update["kline"][7], "126.37500", "quote volume, exact");

    desk.market.trade(0, START + MINUTE, "99", "0.001");
    desk.market.publish(START + MINUTE);
    let closed = socket.json_of("kline").await;
    assert_eq!(brief(&closed["kline"]), (START, "101.25".into(), "closed".into()));
    let next = socket.json_of("kline").await;
    assert_eq!(brief(&next["kline"]), (START + MINUTE, "99.00".into(), "open".into()));
}

#[tokio::test]
async fn one_name_replaces_and_a_list_adds() {
    let mut desk = desk(config()).await;
    desk.begin(1);
    let mut socket = desk.live().await;
    let mut check = async |command: &str, kind: &str, subscriptions: u64| {
        socket.say(command).await;
        assert_eq!(socket.json_of(kind).await["subscriptions"], subscriptions, "{command}");
    };
    check(r#"{"subscribe":"BTCUSDT"}"#, "subscribed", 6).await;
    check(r#"{"subscribe":["ETHUSDT"],"periods":["1m","1h"]}"#, "subscribed", 8).await;
    check(r#"{"subscribe":["ETHUSDT"],"periods":["1h"]}"#, "subscribed", 8).await;
    check(r#"{"unsubscribe":["BTCUSDT"],"periods":["1m"]}"#, "unsubscribed", 7).await;
    check(r#"{"subscribe":"币安人生USDT","periods":["1d"]}"#, "subscribed", 1).await;
    let snapshot = socket.json_of("snapshot").await;
    // Snapshots of what was subscribed before may have been on their way.
    let snapshot = if snapshot["symbol"] == "币安人生USDT" {
        snapshot
    } else {
        loop {
            let snapshot = socket.json_of("snapshot").await;
            if snapshot["symbol"] == "币安人生USDT" {
                break snapshot;
            }
        }
    };
    assert_eq!(snapshot["klines"].as_array().unwrap().len(), 0, "nothing was traded yet");
    assert_eq!(snapshot["price_precision"], 5);
}

#[tokio::test]
async fn the_third_wrong_command_ends_the_client() {
    let desk = desk(config()).await;
    let mut socket = desk.live().await;
    socket.say(r#"{"subscribe":"NOSUCHUSDT"}"#).await;
    let error = socket.json_of("error").await;
    assert_eq!(error["code"], "unknown_symbol");
    assert!(!error["message"].as_str().unwrap().contains("NOSUCH"), "input is not reflected");
    socket.say("{").await;
    assert_eq!(socket.json_of("error").await["code"], "bad_command");
    socket.send(Message::binary(vec![1, 2, 3])).await;
    assert_eq!(socket.json_of("error").await["code"], "bad_command");
    assert_eq!(socket.code().await, 1008);
}

#[tokio::test]
async fn floods_and_giants_are_cut_with_their_codes() {
    let mut config = config();
    config.limits.live_messages_per_minute = 5;
    let desk = desk(config).await;
    let mut socket = desk.live().await;
    for _ in 0..6 {
        socket.say(r#"{"unsubscribe":"BTCUSDT"}"#).await;
    }
    assert_eq!(socket.code().await, 1008);
    let mut socket = desk.live().await;
    socket.say(&"x".repeat(5000)).await;
    assert_eq!(socket.code().await, 1009);
}

#[tokio::test]
async fn what_people_look_at_is_told_with_the_period_that_they_named() {
    let mut desk = desk(config()).await;
    desk.begin(3);
    let watched = || desk.running.watched.now().into_iter().collect::<Vec<_>>();
    assert_eq!(watched(), []);
    desk.get("/fapi/v1/klines?symbol=ETHUSDT&interval=1h").await;
    desk.get("/fapi/v1/klines?symbol=ETHUSDT&interval=7h").await;
    desk.get("/fapi/v1/klines?symbol=NOSUCH&interval=1h").await;
    desk.get("/api/v1/klines?symbol=BTCUSDT&period=1d").await;
    let asked = [(SymbolId(0), Period::D1), (SymbolId(1), Period::H1)];
    assert_eq!(watched(), asked, "what was refused is looked at by nobody");
    let mut socket = desk.live().await;
    socket.say(r#"{"subscribe":["BTCUSDT"],"periods":["5m"]}"#).await;
    socket.json_of("snapshot").await;
    assert_eq!(watched(), [(SymbolId(0), Period::M5), asked[0], asked[1]]);
}

#[tokio::test]
async fn a_late_worker_makes_its_symbols_stale_and_says_since_when() {
    let mut desk = desk(config()).await;
    desk.begin(1);
    let mut socket = desk.live().await;
    socket.say(r#"{"subscribe":["BTCUSDT","ETHUSDT"],"periods":["1m"]}"#).await;
    assert_eq!(socket.json_of("heartbeat").await["stale"].as_array().unwrap().len(), 0);
    desk.market.miss(START + 9_000);
    loop {
        let heartbeat = socket.json_of("heartbeat").await;
        let stale = heartbeat["stale"].as_array().unwrap();
        if !stale.is_empty() {
            assert_eq!(stale.len(), 1, "ETHUSDT has no worker yet");
            assert_eq!(stale[0], serde_json::json!(["BTCUSDT", START + 1_000]));
            assert_eq!(heartbeat["now"], START + 9_000);
            break;
        }
    }
}

#[tokio::test]
async fn a_symbol_of_which_nothing_comes_is_stale_beside_those_that_are_heard() {
    let mut desk = desk(config()).await;
    desk.begin(1);
    let mut socket = desk.live().await;
    socket.say(r#"{"subscribe":["BTCUSDT","ETHUSDT"],"periods":["1m"]}"#).await;
    assert_eq!(socket.json_of("heartbeat").await["stale"], serde_json::json!([]));
    desk.silent.lock().unwrap().insert(SymbolId(1), UnixMillis(START - 20_000));
    let mut stale = serde_json::json!([]);
    while stale == serde_json::json!([]) {
        stale = socket.json_of("heartbeat").await["stale"].take();
    }
    assert_eq!(stale, serde_json::json!([["ETHUSDT", START - 20_000]]));
}

#[tokio::test]
async fn who_gives_no_sign_of_life_is_closed() {
    let mut config = config();
    config.limits.ping_cadence = Duration::from_millis(20);
    config.limits.pong_timeout = Duration::from_millis(60);
    config.limits.heartbeat_cadence = Duration::from_secs(100);
    let desk = desk(config).await;
    // The client library answers pings only while somebody reads; nobody does.
    let silent = desk.live().await;
    let mut talking = desk.live().await;
    let heard = tokio::spawn(async move { talking.code().await });
    crate::client::until("the silent one is closed", async || {
        desk.figure("klagg_web_closed_for_cause_total").await >= 1.0
    })
    .await;
    assert!(!heard.is_finished(), "who answers stays");
    drop(silent);
    desk.running.stop.send_replace(true);
    assert_eq!(heard.await.unwrap(), 1001);
}

#[tokio::test]
async fn stopping_tells_the_clients_and_ends_in_time() {
    let mut desk = desk(config()).await;
    desk.begin(1);
    let mut socket = desk.live().await;
    socket.say(r#"{"subscribe":"BTCUSDT"}"#).await;
    socket.json_of("snapshot").await;
    desk.running.stop.send_replace(true);
    let reading = tokio::spawn(async move { socket.code().await });
    tokio::time::timeout(Duration::from_secs(5), desk.running.server).await.unwrap().unwrap();
    assert_eq!(reading.await.unwrap(), 1001);
}
