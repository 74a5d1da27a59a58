//! One socket of a connection: how it is opened, and waiting for whatever comes of several.

use std::borrow::Cow;
use std::future::poll_fn;
use std::task::{Context, Poll};
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::future::BoxFuture;
use klagg_kline::UnixMillis;
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use tokio_tungstenite::tungstenite::{Error as SocketError, Message};
use tokio_tungstenite::{Connector, MaybeTlsStream, WebSocketStream};

use crate::Tls;
use crate::copies::CopyId;
use crate::event_times::EventTimes;

pub(super) type Socket = WebSocketStream<MaybeTlsStream<TcpStream>>;

/// Bytes asked from the kernel at once.
const READ_BUFFER_BYTES: usize = 64 << 10;

/// A socket that is opened: itself, or why there is none.
type Opening = BoxFuture<'static, Result<Box<Socket>, Cow<'static, str>>>;

/// What there is of a socket.
#[derive(Default)]
pub(super) enum Line {
    #[default]
    Down,
    Opening(Opening),
    Open(OpenLine),
}

/// An open socket, and which of its times are believed.
pub(super) struct OpenLine {
    pub(super) socket: Box<Socket>,
    pub(super) times: EventTimes,
    /// The highest that was believed.
    pub(super) event_time: Option<UnixMillis>,
}

/// What came of a socket.
pub(super) enum Came {
    Opened(Result<Box<Socket>, Cow<'static, str>>),
    Message(Option<Result<Message, SocketError>>),
}

impl Line {
    /// Begins to open a socket.
    pub(super) fn open(url: String, tls: &Tls, message_bytes_max: usize, limit: Duration) -> Self {
        let limits = WebSocketConfig::default()
            .read_buffer_size(READ_BUFFER_BYTES)
            .max_message_size(Some(message_bytes_max))
            .max_frame_size(Some(message_bytes_max));
        let connector = if url.starts_with("wss:") {
            Connector::Rustls(tls.for_streams())
        } else {
            Connector::Plain
        };
        Self::Opening(Box::pin(async move {
            let opening = tokio_tungstenite::connect_async_tls_with_config(
                url.as_str(),
                Some(limits),
                true,
                Some(connector),
            );
            match tokio::time::timeout(limit, opening).await {
                Ok(Ok((socket, _))) => Ok(Box::new(socket)),
                Ok(Err(error)) => Err(Cow::from(format!("cannot connect: {error}"))),
                Err(_) => Err(Cow::from("cannot connect in time")),
            }
        }))
    }

    /// The socket, if it is open.
    pub(super) fn socket(&mut self) -> Option<&mut Socket> {
        match self {
            Self::Open(line) => Some(&mut line.socket),
            Self::Down | Self::Opening(_) => None,
        }
    }

    fn poll(&mut self, context: &mut Context<'_>) -> Poll<Came> {
        match self {
            Self::Down => Poll::Pending,
            Self::Opening(opening) => opening.as_mut().poll(context).map(Came::Opened),
            Self::Open(line) => line.socket.poll_next_unpin(context).map(Came::Message),
        }
    }
}

/// Waits for what comes first of any socket; `first` is asked before the others, so that each has
/// its turn.
pub(super) async fn next_of(lines: &mut [Line], first: usize) -> (CopyId, Came) {
    poll_fn(|context| {
        let count = lines.len();
        for index in (0..count).map(|at| (first + at) % count) {
            if let Poll::Ready(came) = lines[index].poll(context) {
                return Poll::Ready((CopyId(u8::try_from(index).unwrap_or(u8::MAX)), came));
            }
        }
        Poll::Pending
    })
    .await
}
