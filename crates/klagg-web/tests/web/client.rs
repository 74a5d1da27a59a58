//! A market with a server, and clients that can misbehave.

use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use futures_util::{SinkExt as _, StreamExt as _};
use klagg_kline::{Kline, KlineRecord, KlineStatus, Period, Price, UnixMillis};
use klagg_web::{MissingOrigin, StatusReport, WebConfig, WebLimits};
use serde_json::Value;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpSocket, TcpStream};
use tokio::sync::watch;
use tokio::time::timeout;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;

use crate::pipeline::{self, MINUTE, Market, Running, START, Seams, Silent, listed};

/// Longer than anything here takes, even where much else runs.
const DEADLINE: Duration = Duration::from_mins(1);

/// A market of three symbols with a server in front.
pub(crate) struct Desk {
    pub(crate) market: Market,
    pub(crate) report: std::sync::Arc<std::sync::Mutex<StatusReport>>,
    pub(crate) silent: Silent,
    pub(crate) exchange_info: watch::Sender<Bytes>,
    pub(crate) running: Running,
}

pub(crate) fn config() -> WebConfig {
    WebConfig {
        listen: "127.0.0.1:0".parse().unwrap(),
        admin_listen: Some("127.0.0.1:0".parse().unwrap()),
        allowed_hosts: vec!["klines.example.org".to_owned()],
        allowed_origins: vec!["https://desk.example.org".to_owned()],
        missing_origin: MissingOrigin::Allow,
        limits: WebLimits {
            heartbeat_cadence: Duration::from_millis(50),
            exchange_cadence: Duration::from_millis(10),
            // Conditions are polled as fast as the machine can; the limit has a test of its own.
            requests_per_second_per_ip: 1_000_000,
            ..WebLimits::standard()
        },
    }
}

pub(crate) async fn desk(config: WebConfig) -> Desk {
    desk_with_store(config, None).await
}

pub(crate) async fn desk_with_store(
    config: WebConfig,
    store: Option<klagg_store::StoreReaderFactory>,
) -> Desk {
    let symbols =
        vec![listed("BTCUSDT", 2, 3), listed("ETHUSDT", 2, 3), listed("币安人生USDT", 5, 0)];
    let (market, seams) = Market::new(symbols, 2000, store);
    let running = pipeline::run(config, seams.parts).await.unwrap();
    let Seams { report, silent, exchange_info, .. } = seams;
    Desk { market, report, silent, exchange_info, running }
}

/// Confirmed minutes that end where the market begins; each costs as much as its number.
pub(crate) fn minutes(count: i64) -> Vec<KlineRecord> {
    (0..count)
        .map(|number| {
            let open_time = UnixMillis(START - (count - number) * MINUTE);
            let price = Price::from_scaled((number + 1) * 100_000_000);
            let kline = Kline::flat(open_time, price);
            KlineRecord { kline, revision: 0, status: KlineStatus::Confirmed }
        })
        .collect()
}

impl Desk {
    /// Gives BTCUSDT history and one trade, so that everything is there.
    pub(crate) fn begin(&mut self, history: i64) {
        // The last trade of the minute before, so that those from START on are known to be next.
        self.market.trade(0, START - 1_000, "11.00", "1.000");
        self.market.page(0, Period::M1, minutes(history));
        self.market.trade(0, START + 1_000, "100.50", "0.250");
        self.market.publish(START + 1_000);
    }

    pub(crate) async fn live(&self) -> Socket {
        let mut socket = connect(self.running.address, "/ws/kline/live", &[]).await.unwrap();
        assert_eq!(socket.json().await["type"], "welcome");
        socket
    }

    pub(crate) async fn get(&self, path: &str) -> Reply {
        get(self.running.address, path).await
    }

    /// A figure of `/metrics`.
    pub(crate) async fn figure(&self, name: &str) -> f64 {
        let body = get(self.running.admin.unwrap(), "/metrics").await.body;
        let line = body.lines().find(|line| line.split(' ').next() == Some(name));
        let line = line.unwrap_or_else(|| panic!("no {name} in {body}"));
        line.split(' ').nth(1).unwrap().parse().unwrap()
    }
}

/// Waits on a condition, never on a time.
pub(crate) async fn until<F: Future<Output = bool>>(what: &str, mut holds: impl FnMut() -> F) {
    let waiting = async {
        while !holds().await {
            tokio::task::yield_now().await;
        }
    };
    timeout(DEADLINE, waiting).await.unwrap_or_else(|_| panic!("never: {what}"));
}

/// An answer to a request.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) head: String,
    pub(crate) body: String,
}

impl Reply {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }
}

pub(crate) async fn get(address: SocketAddr, path: &str) -> Reply {
    let request = format!("GET {path} HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n\r\n");
    send(address, request.as_bytes()).await
}

/// Sends bytes as they are and reads until the server hangs up.
pub(crate) async fn send(address: SocketAddr, request: &[u8]) -> Reply {
    let mut stream = TcpStream::connect(address).await.unwrap();
    // A server that refuses early may have hung up already.
    let _ = stream.write_all(request).await;
    let mut answer = Vec::new();
    let read = timeout(DEADLINE, stream.read_to_end(&mut answer)).await.expect("an answer in time");
    assert!(read.is_ok() || !answer.is_empty(), "cut without an answer: {read:?}");
    let answer = String::from_utf8(answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap_or((&answer, ""));
    let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or(0);
    Reply { status, head: head.to_ascii_lowercase(), body: body.to_owned() }
}

/// A websocket that was accepted.
pub(crate) struct Socket {
    stream: WebSocketStream<TcpStream>,
}

/// Opens a websocket with further headers; the status if it is refused.
pub(crate) async fn connect(
    address: SocketAddr,
    path: &str,
    headers: &[(&'static str, &str)],
) -> Result<Socket, u16> {
    connect_with(address, path, headers, 1 << 20).await
}

/// The same with a small or large buffer for what is not read yet.
pub(crate) async fn connect_with(
    address: SocketAddr,
    path: &str,
    headers: &[(&'static str, &str)],
    buffer: u32,
) -> Result<Socket, u16> {
    let tcp = TcpSocket::new_v4().unwrap();
    tcp.set_recv_buffer_size(buffer).unwrap();
    let stream = tcp.connect(address).await.unwrap();
    let mut request = format!("ws://{address}{path}").into_client_request().unwrap();
    for &(name, value) in headers {
        request.headers_mut().insert(name, value.parse().unwrap());
    }
    match timeout(DEADLINE, tokio_tungstenite::client_async(request, stream)).await.unwrap() {
        Ok((stream, _)) => Ok(Socket { stream }),
        Err(tokio_tungstenite::tungstenite::Error::Http(response)) => {
            Err(response.status().as_u16())
        }
        Err(error) => panic!("{error}"),
    }
}

impl Socket {
    pub(crate) async fn say(&mut self, text: &str) {
        self.send(Message::text(text)).await;
    }

    pub(crate) async fn send(&mut self, message: Message) {
        // Who is being closed may still speak.
        let _ = self.stream.send(message).await;
    }

    /// The next text, or the code with which the server closed.
    pub(crate) async fn hear(&mut self) -> Result<String, u16> {
        loop {
            let next = timeout(DEADLINE, self.stream.next()).await.expect("a message in time");
            match next {
                Some(Ok(Message::Text(text))) => return Ok(text.to_string()),
                Some(Ok(Message::Close(frame))) => {
                    return Err(frame.map_or(1005, |frame| frame.code.into()));
                }
                Some(Ok(_)) => {}
                Some(Err(_)) | None => return Err(1006),
            }
        }
    }

    pub(crate) async fn json(&mut self) -> Value {
        let text = self.hear().await.unwrap();
        serde_json::from_str(&text).unwrap()
    }

    /// The next message of a type; others are passed over.
    pub(crate) async fn json_of(&mut self, kind: &str) -> Value {
        loop {
            let message = self.json().await;
            if message["type"] == kind {
                return message;
            }
        }
    }

    /// The code with which the server closes; messages before it are passed over.
    pub(crate) async fn code(&mut self) -> u16 {
        loop {
            if let Err(code) = self.hear().await {
                return code;
            }
        }
    }
}
