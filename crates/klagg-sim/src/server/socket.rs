//! One websocket: the exchange's rules about what a client may do.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use axum::body::Bytes;
use axum::extract::ws::{CloseFrame, Message, Utf8Bytes, WebSocket, WebSocketUpgrade};
use axum::extract::{OriginalUri, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use futures_util::SinkExt;
use klagg_wire::request::{self, ClientRequest, Refusal};
use tokio::time::{Instant as TokioInstant, sleep_until, timeout, timeout_at};

use super::hub::{Fate, Inbox};
use super::streams::{Route, in_url};
use super::{Counts, Shared};
use crate::SocketRules;
use crate::clock::{instant, ping_payload};

/// Policy violation, the exchange's answer to everything it does not like.
const POLICY: u16 = 1008;
/// How long a close frame may take to be answered.
const CLOSE_PATIENCE: Duration = Duration::from_millis(500);
/// Longest message of a client.
const MESSAGE_BYTES_MAX: usize = 64 * 1024;

/// Opens a websocket on any of the paths.
pub(crate) async fn open(
    State(shared): State<Arc<Shared>>,
    OriginalUri(uri): OriginalUri,
    upgrade: WebSocketUpgrade,
) -> Response {
    let route = Route::of_path(uri.path());
    let combined = uri.path().ends_with("/stream");
    let Some((id, inbox)) = shared.hub.join(route, combined) else {
        Counts::add(&shared.counts.connections_refused, 1);
        return StatusCode::SERVICE_UNAVAILABLE.into_response();
    };
    // Leaves the hub whatever happens: also if the upgrade fails and the socket never runs.
    let member = Member { shared, id };
    let streams = in_url(uri.path(), uri.query().unwrap_or_default());
    upgrade.read_buffer_size(4_096).max_message_size(MESSAGE_BYTES_MAX).on_upgrade(
        move |socket| async move {
            Counts::add(&member.shared.counts.connections, 1);
            let rules = member.shared.config.sockets;
            let mut session = Session { member, socket, allowance: Allowance::new(&rules) };
            session.run(inbox, streams).await;
        },
    )
}

#[derive(Debug)]
struct Member {
    shared: Arc<Shared>,
    id: u64,
}

impl Drop for Member {
    fn drop(&mut self) {
        self.shared.hub.leave(self.id);
    }
}

#[derive(Debug)]
struct Session {
    member: Member,
    socket: WebSocket,
    allowance: Allowance,
}

/// What to do after an event.
enum Next {
    GoOn,
    /// Half-open from now on.
    Freeze,
    /// Gone, or to be cut without a word.
    Drop,
    Close(&'static str),
}

impl Session {
    async fn run(&mut self, mut inbox: Inbox, streams: Vec<String>) {
        let rules = self.member.shared.config.sockets;
        let mut next = self.subscribe(streams).await;
        let opened = TokioInstant::from_std(instant());
        let end = opened + rules.lifetime;
        let mut ping_at = opened + rules.ping_cadence;
        let mut pong_until = None;
        while let Next::GoOn = next {
            let deadline = pong_until.unwrap_or(end).min(end);
            next = tokio::select! {
                biased;
                _ = inbox.fate.changed() => fate(*inbox.fate.borrow()),
                () = sleep_until(deadline) => Next::Drop,
                message = self.socket.recv() => {
                    if let Some(Ok(Message::Pong(_))) = message {
                        pong_until = None;
                    }
                    self.on_message(message).await
                }
                Some(batch) = inbox.batches.recv() => self.deliver(&mut inbox, batch).await,
                () = sleep_until(ping_at) => {
                    ping_at += rules.ping_cadence;
                    pong_until.get_or_insert(ping_at + rules.pong_timeout);
                    let ping = Message::Ping(Bytes::from(ping_payload()));
                    self.send(ping).await
                }
            };
        }
        match next {
            Next::Close(reason) => self.close(reason).await,
            Next::Freeze => {
                let over = inbox.fate.wait_for(|&fate| matches!(fate, Fate::Cut | Fate::Stop));
                let _ = timeout_at(end, over).await;
            }
            Next::GoOn | Next::Drop => {}
        }
    }

    /// Writes a batch, and takes further ones along that wait already.
    async fn deliver(&mut self, inbox: &mut Inbox, batch: Vec<Utf8Bytes>) -> Next {
        let write = async {
            let mut batch = Some(batch);
            while let Some(frames) = batch {
                // Relaxed: a bound on memory, not a hand-over.
                inbox.queued.fetch_sub(frames.len(), Ordering::Relaxed);
                for frame in frames {
                    self.socket.feed(Message::Text(frame)).await?;
                }
                batch = inbox.batches.try_recv().ok();
            }
            self.socket.flush().await
        };
        // A client that does not read must not outlive its fate.
        tokio::select! {
            biased;
            _ = inbox.fate.changed() => match fate(*inbox.fate.borrow()) {
                // Half a frame may be written: nothing sensible can follow.
                Next::Close(_) | Next::Drop => Next::Drop,
                next => next,
            },
            written = write => if written.is_ok() { Next::GoOn } else { Next::Drop },
        }
    }

    async fn send(&mut self, message: Message) -> Next {
        if self.socket.send(message).await.is_ok() { Next::GoOn } else { Next::Drop }
    }

    async fn on_message(&mut self, message: Option<Result<Message, axum::Error>>) -> Next {
        let Some(Ok(message)) = message else { return Next::Drop };
        if !self.allowance.take(instant()) {
            return self.violation("Too many requests");
        }
        match message {
            Message::Text(text) => self.on_request(&text).await,
            Message::Binary(_) => self.violation("Invalid request"),
            Message::Ping(_) | Message::Pong(_) => Next::GoOn,
            Message::Close(_) => Next::Drop,
        }
    }

    fn violation(&self, reason: &'static str) -> Next {
        Counts::add(&self.member.shared.counts.closed_rules, 1);
        Next::Close(reason)
    }

    async fn on_request(&mut self, text: &str) -> Next {
        let (hub, id) = (&self.member.shared.hub, self.member.id);
        let mut answer = String::new();
        match request::parse(text.as_bytes()) {
            Ok(ClientRequest::Subscribe { streams, id }) => match self.subscribe(streams).await {
                Next::GoOn => request::encode_ack(&mut answer, &id),
                next => return next,
            },
            Ok(ClientRequest::Unsubscribe { streams, id: request }) => {
                hub.unsubscribe(id, &streams);
                request::encode_ack(&mut answer, &request);
            }
            Ok(ClientRequest::ListSubscriptions { id: request }) => {
                request::encode_subscriptions(&mut answer, &hub.subscriptions(id), &request);
            }
            Ok(ClientRequest::SetProperty { combined, id: request }) => {
                hub.set_combined(id, combined);
                request::encode_ack(&mut answer, &request);
            }
            Ok(ClientRequest::GetProperty { id: request }) => {
                request::encode_property(&mut answer, hub.is_combined(id), &request);
            }
            Ok(_) => {
                let refusal = Refusal::new(2, "Invalid request", None);
                request::encode_refusal(&mut answer, &refusal);
            }
            Err(refusal) => request::encode_refusal(&mut answer, &refusal),
        }
        self.send(Message::text(answer)).await
    }

    /// Names that are none are taken as well: they never deliver.
    async fn subscribe(&mut self, streams: Vec<String>) -> Next {
        let (hub, id) = (&self.member.shared.hub, self.member.id);
        if hub.subscribe(id, streams).is_ok() {
            return Next::GoOn;
        }
        let mut answer = String::new();
        request::encode_refusal(&mut answer, &Refusal::too_many_subscriptions());
        match self.send(Message::text(answer)).await {
            Next::GoOn => self.violation("Invalid request"),
            next => next,
        }
    }

    async fn close(&mut self, reason: &'static str) {
        let frame = CloseFrame { code: POLICY, reason: Utf8Bytes::from_static(reason) };
        let farewell = async {
            if self.socket.send(Message::Close(Some(frame))).await.is_ok() {
                // Unread bytes would turn the close into a reset that overtakes it.
                while let Some(Ok(_)) = self.socket.recv().await {}
            }
        };
        // A client that never answers has had its time.
        let _ = timeout(CLOSE_PATIENCE, farewell).await;
    }
}

fn fate(fate: Fate) -> Next {
    match fate {
        Fate::Live => Next::GoOn,
        Fate::Slow => Next::Close("Too slow"),
        Fate::Frozen => Next::Freeze,
        Fate::Cut | Fate::Stop => Next::Drop,
    }
}

/// How many messages a client may still send: a bucket that refills.
#[derive(Debug)]
struct Allowance {
    burst: f64,
    per_second: f64,
    left: f64,
    since: Instant,
}

impl Allowance {
    fn new(rules: &SocketRules) -> Self {
        let burst = f64::from(rules.messages_burst);
        let per_second = f64::from(rules.messages_per_second);
        Self { burst, per_second, left: burst, since: instant() }
    }

    fn take(&mut self, now: Instant) -> bool {
        let refill = now.duration_since(self.since).as_secs_f64() * self.per_second;
        self.since = now;
        self.left = (self.left + refill).min(self.burst);
        if self.left < 1.0 {
            return false;
        }
        self.left -= 1.0;
        true
    }
}
