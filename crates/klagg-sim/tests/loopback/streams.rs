//! What the streams carry, against the oracle.

use klagg_kline::{Period, Trade, TradeId};
use klagg_sim::{SimConfig, SimExchange};
use klagg_wire::{Decoder, StreamEvent, TradeKind};

use crate::client::Client;
use crate::{START, config, exchange};

#[tokio::test]
async fn aggregates_arrive_complete_and_in_order() {
    let exchange = exchange().await;
    let mut client = Client::connect(&exchange, "/market/stream").await;
    client.subscribe(&["btcusdt@aggTrade", "币安人生usdt@aggTrade"]).await;
    let mut decoder = Decoder::new();
    let mut trades: Vec<Trade> = Vec::new();
    let mut others = 0;
    let mut last_event_time = START;
    while trades.len() < 800 || others < 20 {
        let text = client.text().await;
        assert!(text.starts_with(r#"{"stream":""#), "{text}");
        let StreamEvent::Trade(event) = decoder.decode(text.as_bytes()).unwrap() else {
            panic!("{text}");
        };
        assert_eq!((event.kind, event.coin_margined), (TradeKind::Aggregate, false));
        assert!(event.event_time >= last_event_time, "sent in order over all symbols");
        last_event_time = event.event_time;
        let delay = event.event_time.since(event.trade.time);
        assert!((150..400).contains(&delay), "E - T is {delay}");
        if event.symbol == "BTCUSDT" {
            trades.push(event.trade);
        } else {
            assert_eq!(event.symbol, "币安人生USDT");
            others += 1;
        }
    }
    assert!(trades.windows(2).all(|pair| pair[1].id == pair[0].id.next()));
    let (first, last) = (trades[0], trades[trades.len() - 1]);
    let expected = exchange.oracle().aggregates("BTCUSDT", first.time, last.time);
    let expected: Vec<_> = expected
        .iter()
        .map(|one| one.trade)
        .filter(|one| (first.id..=last.id).contains(&one.id))
        .collect();
    assert_eq!(trades, expected);
    exchange.stop().await.unwrap();
}

#[tokio::test]
async fn single_fills_flow_on_the_public_path_only() {
    let exchange = exchange().await;
    let mut client = Client::connect(&exchange, "/ws/btcusdt@trade").await;
    let mut decoder = Decoder::new();
    let (mut market, mut off_market, mut last) = (0, 0, TradeId(0));
    while market < 1_500 || off_market < 1 {
        let text = client.text().await;
        match decoder.decode(text.as_bytes()).unwrap() {
            StreamEvent::Trade(event) => {
                assert!(event.kind == TradeKind::Raw && event.trade.id > last);
                last = event.trade.id;
                market += 1;
            }
            StreamEvent::OffMarketTrade { id, .. } => {
                assert!(id > last);
                last = id;
                off_market += 1;
            }
            other => panic!("{other:?}"),
        }
    }
    exchange.stop().await.unwrap();
}

#[tokio::test]
async fn kline_streams_end_with_the_official_kline() {
    let exchange = exchange().await;
    let mut client = Client::connect(
        &exchange,
        "/market/stream?streams=btcusdt@kline_1m/ethusdt_perpetual@continuousKline_3m",
    )
    .await;
    let mut decoder = Decoder::new();
    let mut closed = Vec::new();
    let mut updates = 0;
    while closed.len() < 5 {
        let text = client.text().await;
        if text.contains(r#""e":"continuous_kline""#) {
            continue;
        }
        let StreamEvent::Kline(event) = decoder.decode(text.as_bytes()).unwrap() else {
            panic!("{text}");
        };
        assert_eq!((event.symbol, event.period), ("BTCUSDT", Period::M1));
        if event.is_closed {
            closed.push(event.kline);
        } else {
            updates += 1;
        }
    }
    assert!(updates > 5);
    let (from, to) = (closed[0].open_time, closed[4].open_time);
    let settled = || exchange.oracle().settled_until() > Period::M1.close_time(to);
    while !settled() {
        client.text().await;
    }
    assert_eq!(exchange.oracle().official("BTCUSDT", Period::M1, from, to), closed);
    exchange.stop().await.unwrap();
}

#[tokio::test]
async fn tickers_hold_changed_symbols_and_those_of_another_market() {
    let exchange = exchange().await;
    let mut client = Client::connect(&exchange, "/market/ws/!miniTicker@arr").await;
    let mut decoder = Decoder::new();
    let (mut ours, mut coin) = (0, 0);
    while ours < 30 || coin < 5 {
        let text = client.text().await;
        let StreamEvent::MiniTickers { tickers, skipped: 0 } =
            decoder.decode(text.as_bytes()).unwrap()
        else {
            panic!("{text}");
        };
        for row in &tickers {
            assert!(row.low <= row.close && row.close <= row.high, "{row:?}");
            assert_eq!(row.coin_margined, row.symbol.contains("USD_"), "{row:?}");
        }
        coin += tickers.iter().filter(|row| row.coin_margined).count();
        ours += tickers.iter().filter(|row| !row.coin_margined).count();
    }
    exchange.stop().await.unwrap();
}

#[tokio::test]
async fn frames_come_in_shuffled_order_with_unknown_keys() {
    let mut config = SimConfig { symbols: 1, ..config() };
    config.quirks.shuffled_frames = 1.0;
    config.quirks.unknown_keys = 1.0;
    let exchange = SimExchange::start(config).await.unwrap();
    let mut client = Client::connect(&exchange, "/market/ws/btcusdt@aggTrade").await;
    let mut first_keys = std::collections::HashSet::new();
    let mut decoder = Decoder::new();
    while first_keys.len() < 5 {
        let text = client.text().await;
        assert!(text.contains(r#""zy":null"#), "{text}");
        assert!(matches!(decoder.decode(text.as_bytes()).unwrap(), StreamEvent::Trade(_)));
        first_keys.insert(text.split('"').nth(5).unwrap().to_owned());
    }
    exchange.stop().await.unwrap();
}

#[tokio::test]
async fn a_tape_is_played_as_it_is() {
    let exchange = exchange().await;
    exchange.control().silence_all();
    let mut client = Client::connect(&exchange, "/market/ws").await;
    client.subscribe(&["btcusdt@aggTrade"]).await;
    let frames = ["one", "two", "three"].map(|it| (std::time::Duration::ZERO, it.to_owned()));
    assert_eq!(exchange.play(frames).await, 3);
    for frame in ["one", "two", "three"] {
        assert_eq!(client.text().await, frame);
    }
    exchange.stop().await.unwrap();
}
