//! Who reads slowly: gets the newest state or goodbye, and costs the others nothing.

use std::time::Duration;

use crate::client::{config, connect_with, desk, until};
use crate::pipeline::{MINUTE, START};

const LARGE: &str = r#"{"subscribe":["BTCUSDT"],"periods":["1m"],"history":1500}"#;

#[tokio::test]
async fn a_slow_reader_gets_the_newest_state_and_others_get_all() {
    let mut config = config();
    config.limits.send_buffer_bytes = 4096;
    let mut desk = desk(config).await;
    desk.begin(1900);
    let address = desk.running.address;
    let mut slow = connect_with(address, "/ws/kline/live", &[], 4096).await.unwrap();
    for _ in 0..6 {
        slow.say(LARGE).await; // six snapshots of 200 KB that nobody reads
    }
    let mut quick = desk.live().await;
    quick.say(r#"{"subscribe":["BTCUSDT"],"periods":["1m"],"history":1}"#).await;
    quick.json_of("snapshot").await;
    // The quick one sees every state although the slow one is stuck.
    let mut last = String::new();
    for step in 1..=200 {
        let price = format!("{}.00", 100 + step);
        let time = START + 2_000 + step * 10;
        desk.market.trade(0, time, &price, "0.001");
        desk.market.publish(time);
        last = quick.json_of("kline").await["kline"][4].as_str().unwrap().to_owned();
        assert_eq!(last, price);
    }
    assert!(desk.figure("klagg_web_updates_conflated_total").await > 0.0, "the slow one's");
    // Now it reads: a few snapshots, and then at once the newest state.
    let mut states = 0;
    loop {
        let message = slow.json().await;
        let newest = match message["type"].as_str().unwrap() {
            "kline" => &message["kline"],
            "snapshot" => message["klines"].as_array().unwrap().last().unwrap(),
            _ => continue,
        };
        states += 1;
        if newest[4].as_str() == Some(&last) {
            break;
        }
    }
    assert!(states < 50, "{states} of 200 states were sent");
}

#[tokio::test]
async fn who_reads_nothing_at_all_is_closed_and_the_others_go_on() {
    let mut config = config();
    config.limits.send_buffer_bytes = 4096;
    config.limits.behind_timeout = Duration::from_millis(200);
    let mut desk = desk(config).await;
    desk.begin(1900);
    let address = desk.running.address;
    let mut stuck = connect_with(address, "/ws/kline/live", &[], 4096).await.unwrap();
    stuck.say(LARGE).await;
    let mut quick = desk.live().await;
    quick.say(r#"{"subscribe":["BTCUSDT"],"periods":["1m"],"history":1}"#).await;
    quick.json_of("snapshot").await;
    until("the stuck one is given up", async || {
        desk.figure("klagg_web_closed_behind_total").await >= 1.0
    })
    .await;
    until("its place is free", async || desk.figure("klagg_web_clients").await <= 1.0).await;
    desk.market.trade(0, START + MINUTE, "7.77", "0.001");
    desk.market.publish(START + MINUTE);
    assert_eq!(quick.json_of("kline").await["kline"][11], "closed");
    assert_eq!(quick.json_of("kline").await["kline"][4], "7.77");
    let code = stuck.code().await;
    assert!(code == 1013 || code == 1006, "said or cut, {code}");
}
