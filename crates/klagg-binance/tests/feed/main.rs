//! The feed against a small exchange on loopback: liveness, back-pressure, reconnects, shutdown.

#![expect(clippy::unwrap_used, reason = "a helper that fails is a test that fails")]

mod world;

use std::sync::atomic::Ordering;
use std::time::Duration;

use klagg_binance::{ConnectionId, FeedNotice, Silence, TradeStream};
use klagg_kline::SymbolId;

use self::world::{NAMES, Order, PATIENCE, Taken, World, trade, trades_of};

#[tokio::test]
async fn symbols_are_spread_with_the_canary_on_every_connection_and_each_trade_arrives_once() {
    let mut world = World::start(|_| {}).await;
    let symbols: Vec<SymbolId> = (0..5).map(SymbolId).collect();
    let assigned = world.feed.assign(&symbols).unwrap();
    assert_eq!(assigned[1].connection, ConnectionId(1));
    world.feed.subscribe(&symbols).await.unwrap();
    let of = |requests: &[(String, String)], name: &str| {
        requests.iter().filter(|(_, text)| text.contains(name)).count()
    };
    let mut requests = Vec::new();
    while of(&requests, "btcusdt") < 2
        || NAMES[1..].iter().any(|name| of(&requests, &name.to_ascii_lowercase()) == 0)
    {
        requests.push(world.request().await);
    }
    let of = |name: &str| of(&requests, name);
    assert_eq!(of("\"btcusdt@aggTrade\""), 2, "once on each connection: {requests:?}");
    assert_eq!(of("币安人生usdt@aggTrade"), 1);
    assert_eq!(of("!miniTicker@arr"), 1);
    assert!(requests.iter().all(|(path, _)| path == "/market/stream"));
    world.say(trade("BTCUSDT", 1));
    world.say(trade("ETHUSDT", 7));
    world.say(trade("NOSUCHUSDT", 8));
    world.say("{\"e\":\"aggTrade\"".to_owned());
    world.exchange.orders.send(Order::Binary(vec![1])).unwrap();
    world.say(trade("SOLUSDT", 9).replace("\"st\":1", "\"st\":2"));
    world.say(trade("BTCUSDT", 2));
    // This exchange tells everything to both connections.
    let done = |taken: &[Taken]| {
        let last = |time: i64, at| taken.contains(&Taken::Time(ConnectionId(at), time));
        last(1_000_007, 0) || (last(1_000_008, 0) && last(1_000_008, 1))
    };
    let taken = world.until_taken(done).await;
    assert_eq!(trades_of(&taken, 0), [1, 2]);
    assert_eq!(trades_of(&taken, 1), [7]);
    let stop = tokio::time::timeout(PATIENCE, world.feed.stop()).await.unwrap();
    assert_eq!((stop.trades, stop.canary_trades, stop.unknown_symbols), (3, 2, 2));
    assert_eq!((stop.malformed, stop.coin_margined, stop.unused), (2, 2, 2));
    assert_eq!(stop.foreign_trades, 1, "ETHUSDT on the connection that does not own it");
}

#[tokio::test]
async fn a_path_that_only_acknowledges_is_named_and_left() {
    let mut world =
        World::start(|config| config.timing.first_data = Duration::from_millis(30)).await;
    world.feed.subscribe(&[SymbolId(1)]).await.unwrap();
    let notice = world.notice(|notice| matches!(notice, FeedNotice::Silent { .. })).await;
    let FeedNotice::Silent { path, silence, .. } = notice else { unreachable!() };
    assert_eq!((path.as_str(), silence), ("/market", Silence::FirstData));
    // It connects again and subscribes everything again, now in one message.
    while world.exchange.sockets.load(Ordering::SeqCst) < 2 {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    let mut again = world.request().await.1;
    while !(again.contains("btcusdt") && again.contains("ethusdt")) {
        again = world.request().await.1;
    }
    for name in ["btcusdt@aggTrade", "ethusdt@aggTrade", "!miniTicker@arr"] {
        assert!(again.contains(name), "{again}");
    }
    assert!(world.feed.stop().await.silences >= 1);
}

#[tokio::test]
async fn a_full_sink_holds_up_reading_and_loses_nothing() {
    let mut world = World::start(|_| {}).await;
    world.feed.subscribe(&[SymbolId(0)]).await.unwrap();
    world.request().await;
    world.say(trade("BTCUSDT", 1));
    world.notice(|notice| matches!(notice, FeedNotice::Live { .. })).await;
    world.full.store(true, Ordering::SeqCst);
    for id in 2..=1_000 {
        world.say(trade("BTCUSDT", id));
    }
    let stalled = async {
        // An acknowledgement, the first trade, and the one that finds no room.
        while world.feed.counts().frames < 3 {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    tokio::time::timeout(PATIENCE, stalled).await.unwrap();
    world.full.store(false, Ordering::SeqCst);
    let taken = world.until_taken(|taken| trades_of(taken, 0).len() == 1_000).await;
    assert_eq!(trades_of(&taken, 0), (1..=1_000).collect::<Vec<_>>());
    let mut newest = 0;
    for entry in &taken {
        match *entry {
            Taken::Trade(_, _, id) => assert!(1_000_000 + id > newest, "the watermark ran ahead"),
            Taken::Time(_, time) => newest = time,
            Taken::Quiet(_) => {}
            Taken::Interrupted(_) => panic!("nothing was interrupted"),
        }
    }
    let counts = world.feed.stop().await;
    assert!(counts.stalls >= 1);
    assert_eq!(counts.dropped_at_shutdown, 0);
}

#[tokio::test]
async fn a_lost_connection_is_told_to_the_sink_and_opened_again() {
    let mut world = World::start(|_| {}).await;
    world.feed.subscribe(&[SymbolId(0)]).await.unwrap();
    world.request().await;
    world.say(trade("BTCUSDT", 1));
    world.until_taken(|taken| trades_of(taken, 0) == [1]).await;
    world.exchange.orders.send(Order::Hang).unwrap();
    world.notice(|notice| matches!(notice, FeedNotice::Disconnected { .. })).await;
    world.request().await;
    world.say(trade("BTCUSDT", 2));
    let taken = world.until_taken(|taken| trades_of(taken, 0) == [1, 2]).await;
    let at = |wanted: &Taken| taken.iter().position(|entry| entry == wanted);
    let interrupted = at(&Taken::Interrupted(ConnectionId(0)));
    assert!(interrupted > at(&Taken::Trade(ConnectionId(0), SymbolId(0), 1)));
    assert!(interrupted < at(&Taken::Trade(ConnectionId(0), SymbolId(0), 2)));
    assert_eq!(world.exchange.sockets.load(Ordering::SeqCst), 2);
    assert_eq!(world.feed.stop().await.disconnects, 1);
}

#[tokio::test]
async fn a_copy_that_joins_in_doubt_is_an_interruption_before_its_own_time() {
    let mut world = World::start(|config| config.copies = 2).await;
    world.feed.subscribe(&[SymbolId(0), SymbolId(1)]).await.unwrap();
    world.request().await;
    world.request().await;
    // Without the canary neither is live. Then one of them is, and of the other nothing comes
    // that would vouch for what lies before.
    world.say(trade("ETHUSDT", 1));
    world.until_taken(|taken| trades_of(taken, 1) == [1, 1]).await;
    world.exchange.orders.send(Order::TextOver(1, trade("BTCUSDT", 2))).unwrap();
    let is_interruption = |of: &Taken| matches!(of, Taken::Interrupted(_));
    world.until_taken(|taken| taken.iter().any(is_interruption)).await;
    world.exchange.orders.send(Order::TextOver(1, trade("BTCUSDT", 3))).unwrap();
    let is_time = |of: &Taken| matches!(of, Taken::Time(..));
    let taken = world.until_taken(|taken| taken.iter().any(is_time)).await;
    assert_eq!(trades_of(&taken, 0), [2, 3]);
    assert!(taken.iter().position(is_interruption) < taken.iter().position(is_time), "{taken:?}");
    world.feed.stop().await;
}

#[tokio::test]
async fn a_sink_is_told_once_that_nothing_comes_behind_what_came_last() {
    let mut world = World::start(|_| {}).await;
    world.feed.subscribe(&[SymbolId(0)]).await.unwrap();
    world.request().await;
    for id in 1..=3 {
        world.say(trade("BTCUSDT", id));
        let last = Taken::Trade(ConnectionId(0), SymbolId(0), id);
        let quiet = Taken::Quiet(ConnectionId(0));
        let is_told = |taken: &[Taken]| {
            let behind = taken.iter().skip_while(|of| **of != last);
            behind.filter(|of| **of == quiet).count() == 1
        };
        world.until_taken(is_told).await;
    }
    world.feed.stop().await;
}

#[tokio::test]
async fn a_frame_that_cannot_be_read_is_an_interruption_before_any_later_time() {
    let mut world = World::start(|_| {}).await;
    world.feed.subscribe(&[SymbolId(0)]).await.unwrap();
    world.request().await;
    world.say(trade("BTCUSDT", 1));
    world.notice(|notice| matches!(notice, FeedNotice::Live { .. })).await;
    world.say(trade("BTCUSDT", 2).replace("\"p\":\"10.5\"", "\"p\":\"1e9999\""));
    world.say(trade("BTCUSDT", 3));
    let taken = world.until_taken(|taken| trades_of(taken, 0) == [1, 3]).await;
    let of_last = taken.len() - 1;
    let interrupted = taken.iter().position(|of| *of == Taken::Interrupted(ConnectionId(0)));
    let later = taken.iter().position(|of| matches!(of, Taken::Time(_, time) if *time > 1_000_001));
    assert!(interrupted.is_some(), "{taken:?}");
    assert!(interrupted < Some(later.unwrap_or(of_last)), "{taken:?}");
    let counts = world.feed.stop().await;
    assert_eq!((counts.malformed, counts.disconnects), (1, 0), "its socket stays");
}

#[tokio::test]
async fn single_fills_come_on_their_own_path_with_the_market_beside_them() {
    let mut world = World::start(|config| config.source = TradeStream::Trade).await;
    world.feed.subscribe(&[SymbolId(1)]).await.unwrap();
    let mut requests = Vec::new();
    for wanted in ["!contractInfo", "ethusdt@trade"] {
        while !requests.iter().any(|(_, text): &(String, String)| text.contains(wanted)) {
            requests.push(world.request().await);
        }
    }
    for (path, text) in requests {
        let is_market = text.contains("!contractInfo");
        assert_eq!(path, if is_market { "/market/stream" } else { "/public/stream" }, "{text}");
    }
    world.feed.stop().await;
}

#[tokio::test]
async fn a_sink_that_never_has_room_does_not_hold_up_the_shutdown() {
    let mut world = World::start(|_| {}).await;
    world.feed.subscribe(&[SymbolId(0)]).await.unwrap();
    world.request().await;
    world.say(trade("BTCUSDT", 1));
    world.notice(|notice| matches!(notice, FeedNotice::Live { .. })).await;
    world.full.store(true, Ordering::SeqCst);
    world.say(trade("BTCUSDT", 2));
    let stalled = async {
        // An acknowledgement and two trades.
        while world.feed.counts().frames < 3 {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    tokio::time::timeout(PATIENCE, stalled).await.unwrap();
    let counts = tokio::time::timeout(PATIENCE, world.feed.stop()).await.unwrap();
    assert!(counts.dropped_at_shutdown >= 1);
}

#[tokio::test]
async fn a_peer_that_has_stopped_without_a_word_is_left_for_a_new_socket() {
    let mut world = World::start(|config| {
        config.timing.ping_cadence = Duration::from_millis(50);
        config.timing.pong_timeout = Duration::from_millis(100);
    })
    .await;
    world.feed.subscribe(&[SymbolId(0)]).await.unwrap();
    world.request().await;
    world.say(trade("BTCUSDT", 1));
    world.notice(|notice| matches!(notice, FeedNotice::Live { .. })).await;
    world.exchange.orders.send(Order::Freeze).unwrap();
    let notice = world.notice(|notice| matches!(notice, FeedNotice::Silent { .. })).await;
    assert!(matches!(notice, FeedNotice::Silent { silence: Silence::Pong, .. }), "{notice:?}");
    world.request().await;
    world.say(trade("BTCUSDT", 2));
    let taken = world.until_taken(|taken| trades_of(taken, 0) == [1, 2]).await;
    assert!(taken.contains(&Taken::Interrupted(ConnectionId(0))));
    assert!(world.feed.stop().await.silences >= 1);
}
