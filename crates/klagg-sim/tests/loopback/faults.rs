//! Breaking it on purpose.

use klagg_kline::{Period, TradeId, UnixMillis};
use klagg_sim::{Oracle, SimError, Spoiled};
use klagg_wire::{Decoder, StreamEvent};

use crate::client::{Client, get, soon, until};
use crate::exchange;

fn aggregate_id(text: &str) -> TradeId {
    match Decoder::new().decode(text.as_bytes()).unwrap() {
        StreamEvent::Trade(event) => event.trade.id,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn connections_are_cut_without_a_word() {
    let exchange = exchange().await;
    let mut client = Client::connect(&exchange, "/market/ws/btcusdt@aggTrade").await;
    client.text().await;
    exchange.control().disconnect_all();
    let (_, close) = client.until_closed().await;
    assert_eq!(close, None);
    let mut again = Client::connect(&exchange, "/market/ws/btcusdt@aggTrade").await;
    again.text().await;
    exchange.stop().await.unwrap();
}

#[tokio::test]
async fn a_silenced_symbol_is_quiet_and_loses_what_it_had_to_say() {
    let exchange = exchange().await;
    let control = exchange.control();
    let mut client = Client::connect(&exchange, "/market/stream").await;
    client.subscribe(&["btcusdt@aggTrade", "ethusdt@aggTrade"]).await;
    let before = aggregate_id(&client.text_with("btcusdt@aggTrade").await);
    control.silence("BTCUSDT");
    soon("silence", async {
        while control.counters().frames_silenced < 10 {
            client.text_with("ethusdt@aggTrade").await;
        }
    })
    .await;
    control.unsilence();
    let mut after = aggregate_id(&client.text_with("btcusdt@aggTrade").await);
    let mut last = before;
    while after == last.next() {
        last = after;
        after = aggregate_id(&client.text_with("btcusdt@aggTrade").await);
    }
    assert!(after.0 >= last.0 + 10, "{last} then {after}");
    exchange.stop().await.unwrap();
}

#[tokio::test]
async fn frames_are_lost_and_doubled() {
    let exchange = exchange().await;
    let control = exchange.control();
    control.set_swallow(0.3);
    control.set_duplicate(0.3);
    let mut client = Client::connect(&exchange, "/market/ws/btcusdt@aggTrade").await;
    let mut last = aggregate_id(&client.text().await);
    let (mut holes, mut doubles) = (0, 0);
    while holes < 10 || doubles < 10 {
        let id = aggregate_id(&client.text().await);
        assert!(id >= last);
        doubles += i32::from(id == last);
        holes += i32::from(id > last.next());
        last = id;
    }
    let counters = exchange.stop().await.unwrap();
    assert!(counters.frames_swallowed >= 10 && counters.frames_duplicated >= 10);
}

#[tokio::test]
async fn rest_fails_as_often_as_it_is_told() {
    let exchange = exchange().await;
    exchange.control().fail_rest(503, 2);
    for expected in [503, 503, 200] {
        assert_eq!(get(&exchange, "/fapi/v1/ping").await.status, expected);
    }
    assert_eq!(exchange.stop().await.unwrap().requests_failed, 2);
}

#[tokio::test]
async fn answers_are_spoiled_as_they_are_told_to_be() {
    let exchange = exchange().await;
    let path = "/fapi/v1/klines?symbol=BTCUSDT&interval=1m&limit=5";
    exchange.control().spoil_rest(Spoiled::Html, 1);
    let reply = get(&exchange, path).await;
    assert_eq!((reply.status, reply.body.starts_with('<')), (200, true), "{}", reply.body);
    let rows = |body: &str| klagg_wire::rest::klines(body.as_bytes(), Period::M1);
    for (spoiled, readable) in [
        (Spoiled::Reversed, None),
        (Spoiled::OffGrid, None),
        (Spoiled::Holed, Some(4)),
        (Spoiled::Late, Some(4)),
    ] {
        exchange.control().spoil_rest(spoiled, 1);
        let body = get(&exchange, path).await.body;
        assert_eq!(rows(&body).ok().map(|rows| rows.len()), readable, "{spoiled:?}: {body}");
    }
    assert_eq!(rows(&get(&exchange, path).await.body).unwrap().len(), 5);
    assert_eq!(exchange.stop().await.unwrap().requests_failed, 5);
}

#[tokio::test]
async fn half_open_sockets_say_nothing_more_and_new_ones_do() {
    let exchange = exchange().await;
    let control = exchange.control();
    let mut client = Client::connect(&exchange, "/market/ws/btcusdt@aggTrade").await;
    client.text().await;
    control.freeze_all();
    let mut other = Client::connect(&exchange, "/market/ws/btcusdt@aggTrade").await;
    until("frames are kept back", || control.counters().frames_silenced > 5).await;
    other.text().await;
    assert_eq!(control.connections(), 2, "nobody was cut");
    // The exchange can end nevertheless.
    exchange.stop().await.unwrap();
}

#[tokio::test]
async fn time_stands_still_while_paused() {
    let exchange = exchange().await;
    let control = exchange.control();
    control.pause();
    let now = exchange.now();
    get(&exchange, "/fapi/v1/ping").await;
    assert_eq!(exchange.now(), now);
    control.resume();
    until("time", || exchange.now() != now).await;
    exchange.stop().await.unwrap();
}

#[tokio::test]
async fn a_new_symbol_trades_from_its_first_id() {
    let exchange = exchange().await;
    let control = exchange.control();
    let mut client = Client::connect(&exchange, "/market/stream").await;
    client.subscribe(&["!contractInfo", "牛马usdt@aggTrade"]).await;
    control.list_symbol("牛马USDT", 2.0).unwrap();
    assert!(matches!(control.list_symbol("牛马USDT", 2.0), Err(SimError::AlreadyListed(_))));
    for name in ["USDT", "lowerUSDT", "NEWEUR", "NEW USDT"] {
        assert!(matches!(control.list_symbol(name, 1.0), Err(SimError::BadName(_))), "{name}");
    }
    let news = client.text_with("!contractInfo").await;
    assert!(news.contains(r#""st":2"#), "the news of another market comes along: {news}");
    let news = client.text_with("!contractInfo").await;
    assert!(news.contains(r#""s":"牛马USDT""#) && news.contains(r#""cs":"TRADING""#), "{news}");
    for id in 1..20 {
        let text = client.text_with("aggTrade\"").await;
        assert_eq!(aggregate_id(&text), TradeId(id));
    }
    assert!(get(&exchange, "/fapi/v1/exchangeInfo").await.body.contains("牛马USDT"));
    control.delist_symbol("牛马USDT").unwrap();
    client.text_with("!contractInfo").await;
    let oracle = exchange.oracle();
    let status = || oracle.symbols().iter().find(|it| it.name == "牛马USDT").unwrap().status;
    until("settlement", || status() == "SETTLING").await;
    let settled = exchange.now();
    until("a flat kline", || oracle.settled_until().0 >= settled.0 + 120_000).await;
    let from = UnixMillis(settled.0 + 1);
    let klines = oracle.official("牛马USDT", Period::M1, from, exchange.now());
    assert!(klines[0].is_flat());

    // Listed anew, it is another contract: its ids begin again, and the old one is still known.
    control.list_symbol("牛马USDT", 2.0).unwrap();
    loop {
        let text = client.text_with("aggTrade\"").await;
        if aggregate_id(&text) == TradeId(1) {
            break;
        }
    }
    let info = get(&exchange, "/fapi/v1/exchangeInfo").await.body;
    assert_eq!(info.matches(r#""symbol":"牛马USDT""#).count(), 1);
    let told = |oracle: &Oracle| oracle.aggregates("牛马USDT", UnixMillis(0), exchange.now());
    let (old, new) = (told(&oracle.of_listing(0)), told(&oracle));
    assert!(old.len() >= 19 && old.iter().all(|one| one.trade.time <= settled));
    assert!(!new.is_empty() && new.iter().all(|one| one.trade.time > settled));
    assert_eq!((old[0].trade.id, new[0].trade.id), (TradeId(1), TradeId(1)));
    exchange.stop().await.unwrap();
}
