//! Just enough of a client: one GET, one websocket, deadlines.

use std::future::Future;
use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use klagg_sim::SimExchange;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::CloseFrame;
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async};

const DEADLINE: Duration = Duration::from_secs(20);

/// The result, or a failed test.
pub(crate) async fn soon<T>(what: &str, future: impl Future<Output = T>) -> T {
    let result = tokio::time::timeout(DEADLINE, future).await;
    result.unwrap_or_else(|_| panic!("{what} did not happen within {DEADLINE:?}"))
}

/// Looks every few milliseconds until the condition holds.
pub(crate) async fn until(what: &str, condition: impl Fn() -> bool) {
    let mut looks = tokio::time::interval(Duration::from_millis(5));
    soon(what, async {
        while !condition() {
            looks.tick().await;
        }
    })
    .await;
}

/// A reply of REST.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) used_weight: Option<u32>,
    pub(crate) body: String,
}

/// One request on a connection of its own.
pub(crate) async fn get(exchange: &SimExchange, path: &str) -> Reply {
    soon(path, async {
        let mut socket = TcpStream::connect(exchange.local_addr()).await.unwrap();
        let request = format!("GET {path} HTTP/1.1\r\nhost: sim\r\nconnection: close\r\n\r\n");
        socket.write_all(request.as_bytes()).await.unwrap();
        let mut reply = Vec::new();
        socket.read_to_end(&mut reply).await.unwrap();
        let reply = String::from_utf8(reply).unwrap();
        let (head, body) = reply.split_once("\r\n\r\n").unwrap();
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        let header = head.lines().find_map(|line| line.strip_prefix("x-mbx-used-weight-1m: "));
        let used_weight = header.map(|used| used.parse().unwrap());
        Reply { status, used_weight, body: body.to_owned() }
    })
    .await
}

/// A websocket of a client.
pub(crate) struct Client(WebSocketStream<MaybeTlsStream<TcpStream>>);

impl Client {
    pub(crate) async fn connect(exchange: &SimExchange, path: &str) -> Self {
        let url = format!("{}{path}", exchange.stream_url());
        Self(soon("connecting", Box::pin(connect_async(url))).await.unwrap().0)
    }

    pub(crate) async fn send(&mut self, text: &str) {
        soon("sending", self.0.send(Message::text(text))).await.unwrap();
    }

    pub(crate) async fn send_message(&mut self, message: Message) {
        soon("sending", self.0.send(message)).await.unwrap();
    }

    pub(crate) async fn subscribe(&mut self, names: &[&str]) {
        let mut request = String::new();
        klagg_wire::encode::subscribe(&mut request, names, 7);
        self.send(&request).await;
        self.text_with(r#"{"result":null,"id":7}"#).await;
    }

    /// The next message; `None` once the connection is gone without a close.
    pub(crate) async fn next(&mut self) -> Option<Message> {
        soon("a message", self.0.next()).await.and_then(Result::ok)
    }

    pub(crate) async fn text(&mut self) -> String {
        loop {
            if let Message::Text(text) = self.next().await.expect("the connection lives") {
                return text.to_string();
            }
        }
    }

    /// The next text that contains `part`.
    pub(crate) async fn text_with(&mut self, part: &str) -> String {
        soon(part, async {
            loop {
                let text = self.text().await;
                if text.contains(part) {
                    return text;
                }
            }
        })
        .await
    }

    /// Reads until the server closes: the texts before, and the close frame if one came.
    pub(crate) async fn until_closed(&mut self) -> (Vec<String>, Option<CloseFrame>) {
        let mut texts = Vec::new();
        loop {
            match self.next().await {
                Some(Message::Text(text)) => texts.push(text.to_string()),
                Some(Message::Close(frame)) => return (texts, frame),
                Some(_) => {}
                None => return (texts, None),
            }
        }
    }
}
