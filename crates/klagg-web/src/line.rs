//! A websocket with clocks on it: what both kinds of socket have in common.
//!
//! One task per client reads and writes. A write that does not get through in `behind_timeout`
//! ends the client; so does silence after pings. Nobody else is ever waited for.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::ws::{CloseFrame, Message, Utf8Bytes, WebSocket, WebSocketUpgrade, close_code};
use axum::response::Response;
use bytes::Bytes;
use futures_util::SinkExt as _;
use tokio::time::{Instant, timeout};

use crate::app::{App, SocketCounters};
use crate::transport::{Bucket, Peer};

/// How long a client has to answer a close.
const CLOSE_GRACE: Duration = Duration::from_secs(1);
/// Buffers below the messages; axum's default of 128 KiB would be held for every client.
const BUFFER_BYTES: usize = 4096;
/// Above the largest snapshot, which is about 250 KiB.
const WRITE_BUFFER_BYTES_MAX: usize = 512 * 1024;
/// Messages between two flushes.
pub(crate) const BATCH: usize = 64;

/// Why a socket ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum End {
    /// The client said so or went away.
    Gone,
    /// We say so, with a code and a reason.
    Close(u16, &'static str),
}

impl End {
    /// It cannot keep up; it may come back and gets a fresh snapshot.
    pub(crate) const BEHIND: Self = Self::Close(close_code::AGAIN, "too far behind: reconnect");
    /// We stop.
    pub(crate) const STOPPING: Self = Self::Close(close_code::AWAY, "stopping");
    /// Too many messages.
    pub(crate) const FLOOD: Self = Self::Close(close_code::POLICY, "Too many requests");
    /// A message that has no meaning.
    pub(crate) const INVALID: Self = Self::Close(close_code::POLICY, "Invalid request");
    const SILENT: Self = Self::Close(close_code::POLICY, "no pong");
}

/// What a client sent.
#[derive(Debug)]
pub(crate) enum Heard {
    /// A command.
    Text(Utf8Bytes),
    /// Something that is no command.
    Binary,
    /// A sign of life.
    Control,
}

/// One websocket.
#[derive(Debug)]
pub(crate) struct Line {
    socket: WebSocket,
    pub(crate) app: Arc<App>,
    messages: Bucket,
    heard_at: Instant,
    strikes: u32,
    /// The connection's place, held as long as the socket lives.
    _peer: Peer,
}

/// Bounds of an upgrade.
pub(crate) fn upgrade(upgrade: WebSocketUpgrade, message_bytes_max: usize) -> WebSocketUpgrade {
    upgrade
        .max_message_size(message_bytes_max)
        .max_frame_size(message_bytes_max)
        .read_buffer_size(BUFFER_BYTES)
        .write_buffer_size(BUFFER_BYTES)
        .max_write_buffer_size(WRITE_BUFFER_BYTES_MAX)
}

/// Upgrades and runs `session` on the line; closes it as the session ends.
pub(crate) fn start<S, F>(
    request: WebSocketUpgrade,
    app: Arc<App>,
    peer: Peer,
    messages: Bucket,
    session: S,
) -> Response
where
    S: FnOnce(Line) -> F + Send + 'static,
    F: Future<Output = (Line, End)> + Send,
{
    request.on_upgrade(move |socket| async move {
        let heard_at = Instant::now();
        let line = Line { socket, app, messages, heard_at, strikes: 0, _peer: peer };
        let (line, end) = session(line).await;
        line.close(end).await;
    })
}

impl Line {
    /// The next thing from the client. May be dropped and called again.
    pub(crate) async fn hear(&mut self) -> Result<Heard, End> {
        let message = match self.socket.recv().await {
            None => return Err(End::Gone),
            Some(Ok(message)) => message,
            Some(Err(error)) => return Err(broken(&error)),
        };
        self.heard_at = Instant::now();
        let counts = !matches!(message, Message::Pong(_) | Message::Close(_));
        if counts && !self.messages.take(1.0, self.heard_at) {
            return Err(End::FLOOD);
        }
        match message {
            Message::Text(text) => Ok(Heard::Text(text)),
            Message::Binary(_) => Ok(Heard::Binary),
            Message::Ping(_) | Message::Pong(_) => Ok(Heard::Control),
            Message::Close(_) => Err(End::Gone),
        }
    }

    /// Counts a wrong command; the last one allowed ends the client.
    pub(crate) fn strike(&mut self) -> Result<(), End> {
        self.strikes += 1;
        SocketCounters::add(&self.app.sockets.strikes);
        if self.strikes >= self.app.limits.strikes_max {
            return Err(End::Close(close_code::POLICY, "too many wrong commands"));
        }
        Ok(())
    }

    /// Sends one text at once.
    pub(crate) async fn send(&mut self, text: impl Into<Utf8Bytes>) -> Result<(), End> {
        self.feed(text).await?;
        self.flush().await
    }

    /// Hands one text to the socket's buffer, which may write.
    pub(crate) async fn feed(&mut self, text: impl Into<Utf8Bytes>) -> Result<(), End> {
        SocketCounters::add(&self.app.sockets.messages_sent);
        let fed = self.socket.feed(Message::Text(text.into()));
        in_time(self.app.limits.behind_timeout, fed).await
    }

    /// Writes what was handed over.
    pub(crate) async fn flush(&mut self) -> Result<(), End> {
        in_time(self.app.limits.behind_timeout, self.socket.flush()).await
    }

    /// Asks for a sign of life, and ends who has given none.
    pub(crate) async fn ping(&mut self) -> Result<(), End> {
        if self.heard_at.elapsed() > self.app.limits.pong_timeout {
            return Err(End::SILENT);
        }
        let payload = Bytes::from(self.app.now().to_string());
        let sent = self.socket.send(Message::Ping(payload));
        in_time(self.app.limits.behind_timeout, sent).await
    }

    /// Says the reason, waits shortly for the answer, hangs up.
    async fn close(mut self, end: End) {
        let End::Close(code, reason) = end else { return };
        let counter = match end {
            End::BEHIND => &self.app.sockets.closed_behind,
            End::STOPPING => &self.app.sockets.closed_stopping,
            _ => &self.app.sockets.closed_for_cause,
        };
        SocketCounters::add(counter);
        tracing::debug!(code, reason, "websocket closed");
        let goodbye = async {
            let frame = CloseFrame { code, reason: Utf8Bytes::from_static(reason) };
            if self.socket.send(Message::Close(Some(frame))).await.is_ok() {
                // Whatever still comes is read, so that the close is not lost to a reset.
                while let Some(Ok(_)) = self.socket.recv().await {}
            }
        };
        let _ = timeout(CLOSE_GRACE, goodbye).await;
    }
}

async fn in_time<E>(
    behind: Duration,
    sending: impl Future<Output = Result<(), E>>,
) -> Result<(), End> {
    match timeout(behind, sending).await {
        Ok(Ok(())) => Ok(()),
        Ok(Err(_)) => Err(End::Gone),
        Err(_) => Err(End::BEHIND),
    }
}

/// The close for a failed read: too long, not UTF-8, or simply gone.
fn broken(error: &axum::Error) -> End {
    // axum hides the websocket library's error type; its text is all there is to tell by.
    let mut source: Option<&dyn std::error::Error> = Some(error);
    while let Some(error) = source {
        let text = error.to_string();
        if text.starts_with("Space limit exceeded") {
            return End::Close(close_code::SIZE, "message too long");
        }
        if text.starts_with("UTF-8") {
            return End::Close(close_code::INVALID, "text is not UTF-8");
        }
        if text.starts_with("WebSocket protocol error: Connection reset") {
            return End::Gone;
        }
        if text.starts_with("WebSocket protocol error") {
            return End::Close(close_code::PROTOCOL, "protocol error");
        }
        source = error.source();
    }
    End::Gone
}
