//! A small exchange on loopback, a feed before it, and sinks that write down what they are given.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::extract::ws::{Message, WebSocket, WebSocketUpgrade};
use axum::response::Response;
use axum::routing::any;
use klagg_binance::{
    Backoff, ConnectionId, Feed, FeedNotice, FeedSink, MarketStreams, PlainText, SinkRefusal,
    StreamConfig, StreamTiming, Tls, TradeStream,
};
use klagg_kline::{Precision, SymbolId, Trade, UnixMillis};
use klagg_symbols::{NewSymbol, SymbolIndex};
use tokio::sync::{broadcast, mpsc};

/// A bound on every wait of these tests.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// What happened at a sink, in order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Taken {
    Trade(ConnectionId, SymbolId, i64),
    Time(ConnectionId, i64),
    Interrupted(ConnectionId),
    Quiet(ConnectionId),
}

/// A sink that writes down what it is given, or has no room.
pub(crate) struct Sink {
    pub(crate) connection: ConnectionId,
    pub(crate) taken: Arc<Mutex<Vec<Taken>>>,
    pub(crate) full: Arc<AtomicBool>,
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

    fn on_quiet(&mut self) {
        self.taken.lock().unwrap().push(Taken::Quiet(self.connection));
    }

    fn flush(&mut self) -> Result<(), SinkRefusal> {
        if self.full.load(Ordering::SeqCst) { Err(SinkRefusal::Full) } else { Ok(()) }
    }
}

/// What the exchange does with a frame for everybody.
#[derive(Debug, Clone)]
pub(crate) enum Order {
    /// Keeps the socket open, and neither reads nor writes any more.
    Freeze,
    Text(String),
    /// Only over one of the sockets, by the order in which they opened.
    TextOver(usize, String),
    Binary(Vec<u8>),
    Hang,
}

/// An exchange that acknowledges everything and sends what the test says.
#[derive(Clone)]
pub(crate) struct Exchange {
    pub(crate) orders: broadcast::Sender<Order>,
    pub(crate) requests: mpsc::Sender<(String, String)>,
    pub(crate) sockets: Arc<AtomicUsize>,
}

pub(crate) async fn upgrade(
    State(exchange): State<Exchange>,
    uri: axum::http::Uri,
    upgrade: WebSocketUpgrade,
) -> Response {
    upgrade.on_upgrade(move |socket| serve(exchange, uri.path().to_owned(), socket))
}

pub(crate) async fn serve(exchange: Exchange, path: String, mut socket: WebSocket) {
    let number = exchange.sockets.fetch_add(1, Ordering::SeqCst);
    let mut orders = exchange.orders.subscribe();
    loop {
        tokio::select! {
            order = orders.recv() => match order {
                Ok(Order::Freeze) => std::future::pending().await,
                Ok(Order::Text(text)) => drop(socket.send(Message::text(text)).await),
                Ok(Order::TextOver(of, text)) => if of == number {
                    drop(socket.send(Message::text(text)).await);
                },
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

pub(crate) struct World {
    pub(crate) exchange: Exchange,
    pub(crate) feed: Feed<Sink>,
    pub(crate) notices: mpsc::Receiver<FeedNotice>,
    pub(crate) requests: mpsc::Receiver<(String, String)>,
    pub(crate) taken: Arc<Mutex<Vec<Taken>>>,
    pub(crate) full: Arc<AtomicBool>,
}

pub(crate) const NAMES: [&str; 5] =
    ["BTCUSDT", "ETHUSDT", "币安人生USDT", "1000PEPEUSDT", "SOLUSDT"];

pub(crate) fn config(base_url: String) -> StreamConfig {
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
            quiet: Duration::from_millis(100),
            backoff: Backoff { floor: Duration::from_millis(5), ceiling: Duration::from_millis(9) },
            messages_per_second: 8,
            names_per_subscribe: 200,
        },
    }
}

impl World {
    pub(crate) async fn start(change: impl FnOnce(&mut StreamConfig)) -> Self {
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
    pub(crate) async fn notice(&mut self, wanted: impl Fn(&FeedNotice) -> bool) -> FeedNotice {
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

    pub(crate) async fn request(&mut self) -> (String, String) {
        tokio::time::timeout(PATIENCE, self.requests.recv()).await.unwrap().unwrap()
    }

    /// Waits until the sinks' notes satisfy `wanted`.
    pub(crate) async fn until_taken(&self, wanted: impl Fn(&[Taken]) -> bool) -> Vec<Taken> {
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

    pub(crate) fn say(&self, text: String) {
        self.exchange.orders.send(Order::Text(text)).unwrap();
    }
}

pub(crate) fn trade(symbol: &str, id: i64) -> String {
    let (event, time) = (1_000_000 + id, 1_000_000 + id - 150);
    format!(
        r#"{{"stream":"x","data":{{"e":"aggTrade","E":{event},"a":{id},"s":"{symbol}","p":"10.5",
        "q":"1","f":1,"l":1,"T":{time},"m":false,"st":1}}}}"#
    )
}

pub(crate) fn trades_of(taken: &[Taken], symbol: u32) -> Vec<i64> {
    let id = |taken: &Taken| match taken {
        Taken::Trade(_, of, id) if *of == SymbolId(symbol) => Some(*id),
        _ => None,
    };
    taken.iter().filter_map(id).collect()
}
