//! The feed against a small exchange on loopback: liveness, back-pressure, reconnects, shutdown.

#![expect(clippy::unwrap_used, reason = "a helper that fails is a test that fails")]

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::extract::ws::{Message, WebSocket, WebSocketUpgrade};
use axum::response::Response;
use axum::routing::any;
use klagg_binance::{
    Backoff, ConnectionId, Feed, FeedNotice, FeedSink, MarketStreams, PlainText, Silence,
    SinkRefusal, StreamConfig, StreamTiming, Tls, TradeStream,
};
use klagg_kline::{Precision, SymbolId, Trade, UnixMillis};
use klagg_symbols::{NewSymbol, SymbolIndex};
use tokio::sync::{broadcast, mpsc};

/// A bound on every wait of these tests.
const PATIENCE: Duration = Duration::from_secs(20);

/// What happened at a sink, in order.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Taken {
    Trade(ConnectionId, SymbolId, i64),
    Time(ConnectionId, i64),
    Interrupted(ConnectionId),
}

/// A sink that writes down what it is given, or has no room.
struct Sink {
    connection: ConnectionId,
    taken: Arc<Mutex<Vec<Taken>>>,
    full: Arc<AtomicBool>,
}

impl FeedSink for Sink {
    fn on_trade(&mut self, symbol: SymbolId, trade: Trade) -> Result<(), SinkRefusal> {
        self.flush()?;
        self.taken.lock().unwrap().push(Taken::Trade(self.connection, symbol, trade.id.0));
        Ok(())
    }

    fn on_event_time(&mut self, time: UnixMillis) {
        self.taken.lock().unwrap().push(Taken::Time(self.connection, time.0));
    }

    fn on_interrupted(&mut self) {
        self.taken.lock().unwrap().push(Taken::Interrupted(self.connection));
    }

    fn flush(&mut self) -> Result<(), SinkRefusal> {
        if self.full.load(Ordering::SeqCst) { Err(SinkRefusal::Full) } else { Ok(()) }
    }
}

/// What the exchange does with a frame for everybody.
#[derive(Debug, Clone)]
enum Order {
    Text(String),
    Binary(Vec<u8>),
    Hang,
}

/// An exchange that acknowledges everything and sends what the test says.
#[derive(Clone)]
struct Exchange {
    orders: broadcast::Sender<Order>,
    requests: mpsc::Sender<(String, String)>,
    sockets: Arc<AtomicUsize>,
}

async fn upgrade(
    State(exchange): State<Exchange>,
    uri: axum::http::Uri,
    upgrade: WebSocketUpgrade,
) -> Response {
    upgrade.on_upgrade(move |socket| serve(exchange, uri.path().to_owned(), socket))
}

async fn serve(exchange: Exchange, path: String, mut socket: WebSocket) {
    exchange.sockets.fetch_add(1, Ordering::SeqCst);
    let mut orders = exchange.orders.subscribe();
    loop {
        tokio::select! {
            order = orders.recv() => match order {
                Ok(Order::Text(text)) => drop(socket.send(Message::text(text)).await),
                Ok(Order::Binary(bytes)) => drop(socket.send(Message::binary(bytes)).await),
                Ok(Order::Hang) | Err(_) => return,
            },
            message = socket.recv() => match message {
                Some(Ok(Message::Text(text))) => {
                    let id = text.rsplit(':').next().unwrap().trim_end_matches('}').to_owned();
                    exchange.requests.send((path.clone(), text.to_string())).await.unwrap();
                    let ack = Message::text(format!(r#"{{"result":null,"id":{id}}}"#));
                    drop(socket.send(ack).await);
                }
                Some(Ok(_)) => {}
                _ => return,
            },
        }
    }
}

struct World {
    exchange: Exchange,
    feed: Feed<Sink>,
    notices: mpsc::Receiver<FeedNotice>,
    requests: mpsc::Receiver<(String, String)>,
    taken: Arc<Mutex<Vec<Taken>>>,
    full: Arc<AtomicBool>,
}

const NAMES: [&str; 5] = ["BTCUSDT", "ETHUSDT", "币安人生USDT", "1000PEPEUSDT", "SOLUSDT"];

fn config(base_url: String) -> StreamConfig {
    StreamConfig {
        base_url,
        plain_text: PlainText::LoopbackOnly,
        market_path: "/market".to_owned(),
        public_path: "/public".to_owned(),
        source: TradeStream::AggTrade,
        market_streams: MarketStreams::On,
        canary: Some("BTCUSDT".to_owned()),
        streams_per_connection: 6,
        connections_max: 4,
        copies: 1,
        message_bytes_max: 1 << 16,
        notices_max: 256,
        drain_timeout: Duration::from_millis(200),
        timing: StreamTiming {
            connect_timeout: Duration::from_secs(5),
            first_data: Duration::from_secs(10),
            silence: Duration::from_secs(15),
            ping_cadence: Duration::from_secs(20),
            acknowledge_timeout: Duration::from_secs(10),
            pong_timeout: Duration::from_secs(10),
            rotation: Duration::from_hours(1),
            rotation_jitter: Duration::ZERO,
            lifetime: Duration::from_hours(2),
            overlap: Duration::from_millis(20),
            overlap_max: Duration::from_secs(10),
            rotation_gap: Duration::from_millis(50),
            backoff: Backoff { floor: Duration::from_millis(5), ceiling: Duration::from_millis(9) },
            messages_per_second: 8,
            names_per_subscribe: 200,
        },
    }
}

impl World {
    async fn start(change: impl FnOnce(&mut StreamConfig)) -> Self {
        let (requests, requested) = mpsc::channel(256);
        let exchange =
            Exchange { orders: broadcast::Sender::new(4_096), requests, sockets: Arc::default() };
        let app = Router::new()
            .route("/market/stream", any(upgrade))
            .route("/public/stream", any(upgrade))
            .with_state(exchange.clone());
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let mut config = config(format!("ws://{}", listener.local_addr().unwrap()));
        change(&mut config);
        tokio::spawn(async move { axum::serve(listener, app).await });
        let index = SymbolIndex::empty(100);
        let new = NAMES.iter().enumerate().map(|(at, name)| NewSymbol {
            name: (*name).to_owned(),
            first_open_time: UnixMillis(i64::try_from(at).unwrap() * 86_400_000),
            onboard_time: None,
            precision: Precision::new(2, 3).unwrap(),
        });
        index.append(new.collect()).unwrap();
        let (taken, full) = (Arc::default(), Arc::default());
        let sink = (Arc::clone(&taken), Arc::clone(&full));
        let connect = move |connection| Sink {
            connection,
            taken: Arc::clone(&sink.0),
            full: Arc::clone(&sink.1),
        };
        let (feed, notices) = Feed::start(config, Tls::new().unwrap(), index, connect).unwrap();
        Self { exchange, feed, notices, requests: requested, taken, full }
    }

    /// Waits for a notice that `wanted` accepts.
    async fn notice(&mut self, wanted: impl Fn(&FeedNotice) -> bool) -> FeedNotice {
        let search = async {
            loop {
                let notice = self.notices.recv().await.expect("the feed lives");
                if wanted(&notice) {
                    return notice;
                }
            }
        };
        tokio::time::timeout(PATIENCE, search).await.expect("a notice in time")
    }

    async fn request(&mut self) -> (String, String) {
        tokio::time::timeout(PATIENCE, self.requests.recv()).await.unwrap().unwrap()
    }

    /// Waits until the sinks' notes satisfy `wanted`.
    async fn until_taken(&self, wanted: impl Fn(&[Taken]) -> bool) -> Vec<Taken> {
        let search = async {
            loop {
                let taken = self.taken.lock().unwrap().clone();
                if wanted(&taken) {
                    return taken;
                }
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        };
        tokio::time::timeout(PATIENCE, search).await.expect("trades in time")
    }

    fn say(&self, text: String) {
        self.exchange.orders.send(Order::Text(text)).unwrap();
    }
}

fn trade(symbol: &str, id: i64) -> String {
    let (event, time) = (1_000_000 + id, 1_000_000 + id - 150);
    format!(
        r#"{{"stream":"x","data":{{"e":"aggTrade","E":{event},"a":{id},"s":"{symbol}","p":"10.5",
        "q":"1","f":1,"l":1,"T":{time},"m":false,"st":1}}}}"#
    )
}

fn trades_of(taken: &[Taken], symbol: u32) -> Vec<i64> {
    let id = |taken: &Taken| match taken {
        Taken::Trade(_, of, id) if *of == SymbolId(symbol) => Some(*id),
        _ => None,
    };
    taken.iter().filter_map(id).collect()
}

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
