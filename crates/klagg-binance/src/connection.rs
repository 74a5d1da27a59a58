//! One stream connection: a thin shell that opens the socket, feeds the policy and does what it
//! says. What frames mean is in `reading.rs`.
//!
//! Always true here: while the sink has no room the socket is not read, so that the exchange's
//! end waits and nothing is dropped; when the socket is gone the sink is told.

use std::borrow::Cow;
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use futures_util::{FutureExt, SinkExt, StreamExt};
use klagg_kline::{SymbolId, UnixMillis};
use tokio::net::TcpStream;
use tokio::sync::{mpsc, watch};
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use tokio_tungstenite::tungstenite::{Error as SocketError, Message};
use tokio_tungstenite::{Connector, MaybeTlsStream, WebSocketStream};

use crate::Tls;
use crate::clock::{ExchangeClock, random};
use crate::counters::FeedCounters;
use crate::event_times::EventTimes;
use crate::plan::ConnectionId;
use crate::policy::{Action, ConnectionPolicy, Event, Silence};
use crate::reading::{Reader, Sign};
use crate::stream::{FeedNotice, FeedSink, SinkRefusal, StreamConfig};

type Socket = WebSocketStream<MaybeTlsStream<TcpStream>>;

/// Messages taken from the socket before its trades are passed on.
const READ_MESSAGES_MAX: usize = 256;
/// Bytes asked from the kernel at once.
const READ_BUFFER_BYTES: usize = 64 << 10;
/// How often a full sink is asked again.
const RETRY_CADENCE: Duration = Duration::from_millis(1);
/// Longest wait for a message of ours to be taken by the kernel, and for a polite close.
const SEND_TIMEOUT: Duration = Duration::from_secs(5);
const CLOSE_TIMEOUT: Duration = Duration::from_millis(300);

/// A change of what a connection carries.
#[derive(Debug)]
pub(crate) enum Command {
    Subscribe(Vec<(SymbolId, String)>),
    Unsubscribe(Vec<(SymbolId, String)>),
}

/// What a connection is made of.
pub(crate) struct Parts<S> {
    pub(crate) id: ConnectionId,
    pub(crate) url: String,
    pub(crate) path: String,
    pub(crate) config: Arc<StreamConfig>,
    pub(crate) tls: Tls,
    pub(crate) clock: ExchangeClock,
    pub(crate) counters: FeedCounters,
    pub(crate) policy: ConnectionPolicy,
    pub(crate) reader: Reader,
    pub(crate) sink: S,
    pub(crate) commands: mpsc::Receiver<Command>,
    pub(crate) notices: mpsc::Sender<FeedNotice>,
    pub(crate) shutdown: watch::Receiver<bool>,
}

/// Why the task ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    Shutdown,
    SinkClosed,
}

pub(crate) struct Connection<S> {
    parts: Parts<S>,
    socket: Option<Socket>,
    actions: VecDeque<Action>,
    /// Highest event time believed.
    event_time: Option<UnixMillis>,
    /// Those of the open socket.
    times: EventTimes,
}

impl<S: FeedSink> Connection<S> {
    pub(crate) fn new(parts: Parts<S>) -> Self {
        let times = EventTimes::default();
        Self { parts, socket: None, actions: VecDeque::new(), event_time: None, times }
    }

    /// Runs until shutdown, or until the sink is closed.
    pub(crate) async fn run(mut self) {
        self.event(Event::Start);
        let end = loop {
            if let Err(end) = self.step().await {
                break end;
            }
        };
        if end == End::SinkClosed {
            self.notice(FeedNotice::SinkClosed { connection: self.parts.id });
            tracing::error!(connection = %self.parts.id, "the sink of a connection is closed");
        } else if self.pass_on(FeedSink::flush).await.is_err() {
            tracing::warn!(connection = %self.parts.id, "the last trades were not taken");
        }
        if let Some(mut socket) = self.socket.take() {
            // A close frame is a courtesy; the exchange does without as well.
            drop(tokio::time::timeout(CLOSE_TIMEOUT, socket.close(None)).await);
        }
    }

    /// Does what the policy wants, then waits for whatever comes first.
    async fn step(&mut self) -> Result<(), End> {
        while let Some(action) = self.actions.pop_front() {
            self.act(action).await?;
        }
        let deadline = self.parts.policy.next_deadline().unwrap_or(Duration::MAX);
        let sleep = deadline.saturating_sub(self.now()).min(Duration::from_hours(1));
        let message = async {
            match &mut self.socket {
                Some(socket) => socket.next().await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            biased;
            () = stopped(&mut self.parts.shutdown) => Err(End::Shutdown),
            Some(command) = self.parts.commands.recv() => {
                self.command(command);
                Ok(())
            }
            message = message => self.read(message).await,
            () = tokio::time::sleep(sleep) => {
                self.event(Event::Timer);
                Ok(())
            }
        }
    }

    fn now(&self) -> Duration {
        self.parts.clock.elapsed()
    }

    fn event(&mut self, event: Event) {
        let mut actions = Vec::new();
        self.parts.policy.on_event(self.parts.clock.elapsed(), random(), event, &mut actions);
        self.actions.extend(actions);
    }

    fn command(&mut self, command: Command) {
        match command {
            Command::Subscribe(streams) => {
                self.parts.reader.own(streams.iter().map(|&(symbol, _)| symbol));
                self.event(Event::Subscribe(streams.into_iter().map(|(_, name)| name).collect()));
            }
            Command::Unsubscribe(streams) => {
                self.parts.reader.disown(streams.iter().map(|&(symbol, _)| symbol));
                let names = streams.into_iter().map(|(_, name)| name).collect();
                self.event(Event::Unsubscribe(names));
            }
        }
    }

    async fn act(&mut self, action: Action) -> Result<(), End> {
        match action {
            Action::Connect => self.connect().await,
            Action::Subscribe { id, names } => {
                let mut text = String::new();
                klagg_wire::encode::subscribe(&mut text, &names, id);
                self.send(Message::text(text)).await
            }
            Action::Unsubscribe { id, names } => {
                let mut text = String::new();
                klagg_wire::encode::unsubscribe(&mut text, &names, id);
                self.send(Message::text(text)).await
            }
            Action::Ping => self.send(Message::Ping(bytes::Bytes::new())).await,
            Action::Live => {
                let (connection, event_time) = (self.parts.id, self.event_time);
                self.notice(FeedNotice::Live { connection, event_time });
                tracing::info!(%connection, "a connection delivers");
                Ok(())
            }
            Action::DropSilent(silence) => self.drop_silent(silence).await,
            Action::DropOld => self.lost("it reached its age").await,
        }
    }

    async fn connect(&mut self) -> Result<(), End> {
        let limits = WebSocketConfig::default()
            .read_buffer_size(READ_BUFFER_BYTES)
            .max_message_size(Some(self.parts.config.message_bytes_max))
            .max_frame_size(Some(self.parts.config.message_bytes_max));
        let connector = if self.parts.url.starts_with("wss:") {
            Connector::Rustls(self.parts.tls.for_streams())
        } else {
            Connector::Plain
        };
        let opening = tokio_tungstenite::connect_async_tls_with_config(
            self.parts.url.as_str(),
            Some(limits),
            true,
            Some(connector),
        );
        let timeout = self.parts.config.timing.connect_timeout;
        let opened = tokio::select! {
            () = stopped(&mut self.parts.shutdown) => return Err(End::Shutdown),
            opened = tokio::time::timeout(timeout, opening) => opened,
        };
        let why = match opened {
            Ok(Ok((socket, _))) => {
                self.socket = Some(socket);
                self.parts.counters.connects.add(1);
                self.event(Event::Connected);
                self.notice(FeedNotice::Connected { connection: self.parts.id });
                return Ok(());
            }
            Ok(Err(error)) => Cow::from(format!("cannot connect: {error}")),
            Err(_) => Cow::from("cannot connect in time"),
        };
        self.parts.counters.connect_failures.add(1);
        self.event(Event::Closed);
        self.disconnected(&why);
        Ok(())
    }

    async fn send(&mut self, message: Message) -> Result<(), End> {
        // Actions that were decided for a socket which has gone since are void.
        let Some(socket) = &mut self.socket else { return Ok(()) };
        let why = match tokio::time::timeout(SEND_TIMEOUT, socket.send(message)).await {
            Ok(Ok(())) => return Ok(()),
            Ok(Err(error)) => Cow::from(format!("cannot send: {error}")),
            Err(_) => Cow::from("cannot send in time"),
        };
        self.event(Event::Closed);
        self.lost(&why).await
    }

    async fn drop_silent(&mut self, silence: Silence) -> Result<(), End> {
        let (connection, path) = (self.parts.id, self.parts.path.clone());
        self.parts.counters.silences.add(1);
        tracing::warn!(%connection, path, "no {} in time, connecting anew", silence.as_str());
        self.notice(FeedNotice::Silent { connection, path, silence });
        self.lost(silence.as_str()).await
    }

    /// Drops the socket and tells everybody.
    async fn lost(&mut self, why: &str) -> Result<(), End> {
        self.socket = None;
        self.times = EventTimes::default();
        self.parts.counters.disconnects.add(1);
        self.parts.sink.on_interrupted();
        self.disconnected(why);
        self.pass_on(FeedSink::flush).await
    }

    fn disconnected(&mut self, why: &str) {
        let (connection, failures) = (self.parts.id, self.parts.policy.failures());
        tracing::warn!(%connection, failures, why, "a connection is lost");
        self.notice(FeedNotice::Disconnected { connection, why: why.to_owned() });
    }

    /// Tells a notice if there is room for it.
    fn notice(&mut self, notice: FeedNotice) {
        if self.parts.notices.try_send(notice).is_err() {
            self.parts.counters.notices_dropped.add(1);
        }
    }

    /// Takes a message and those that are ready behind it, then passes their trades on.
    async fn read(&mut self, first: Option<Result<Message, SocketError>>) -> Result<(), End> {
        let mut next = Some(first);
        let mut newest = None;
        let mut read = 0;
        while let Some(message) = next.take() {
            let why = match message {
                Some(Ok(Message::Text(text))) => {
                    newest = newest.max(self.frame(text.as_bytes()).await?);
                    None
                }
                Some(Ok(Message::Pong(_))) => {
                    self.event(Event::Pong);
                    None
                }
                Some(Ok(Message::Binary(_))) => {
                    self.parts.counters.unused.add(1);
                    None
                }
                // Pings are answered by the socket itself.
                Some(Ok(Message::Ping(_) | Message::Frame(_))) => None,
                Some(Ok(Message::Close(frame))) => Some(frame.map_or_else(
                    || Cow::from("closed by the exchange"),
                    |frame| Cow::from(format!("closed by the exchange: {frame}")),
                )),
                Some(Err(error)) => Some(Cow::from(error.to_string())),
                None => Some(Cow::from("the socket ended")),
            };
            if let Some(why) = why {
                self.pass_on_read(newest).await?;
                self.event(Event::Closed);
                return self.lost(&why).await;
            }
            read += 1;
            if read < READ_MESSAGES_MAX {
                next = self.socket.as_mut().and_then(|socket| socket.next().now_or_never());
            }
        }
        self.pass_on_read(newest).await
    }

    /// The end of a read: the watermark after the trades, then all of it to the sink's other side.
    async fn pass_on_read(&mut self, newest: Option<UnixMillis>) -> Result<(), End> {
        if newest > self.event_time {
            self.event_time = newest;
        }
        if let (Some(_), Some(time)) = (newest, self.event_time) {
            self.parts.sink.on_event_time(time);
        }
        self.pass_on(FeedSink::flush).await
    }

    /// One text frame; gives the event time it told, if that is believed.
    async fn frame(&mut self, frame: &[u8]) -> Result<Option<UnixMillis>, End> {
        self.parts.sink.on_frame(frame);
        let seen = self.parts.reader.read(frame, &self.parts.counters);
        let event_time = seen.event_time.filter(|&time| self.times.take(time));
        let is_doubted = event_time != seen.event_time
            || seen.trade.is_some_and(|(_, trade)| !self.times.allows(trade.time));
        if is_doubted {
            // A trade dropped with it leaves a hole in the ids, so that its minute is repaired.
            self.parts.counters.times_doubted.add(1);
            tracing::warn!(connection = %self.parts.id, event_time = ?seen.event_time,
                "a frame is far ahead of all others; it is not believed");
        } else if let Some((symbol, trade)) = seen.trade {
            self.pass_on(|sink| sink.on_trade(symbol, trade)).await?;
            self.parts.counters.trades.add(1);
        }
        // Who waits for a connection to be live wants to know since when: no time, no sign.
        if let (Sign::Data(source), Some(_)) = (seen.sign, event_time) {
            self.event(Event::Data(source));
        }
        if let Some(notice) = seen.notice {
            self.notice(notice.for_connection(self.parts.id));
        }
        Ok(event_time)
    }

    /// Offers something to the sink until it takes it. At shutdown, only for a while.
    async fn pass_on(
        &mut self,
        mut offer: impl FnMut(&mut S) -> Result<(), SinkRefusal>,
    ) -> Result<(), End> {
        match offer(&mut self.parts.sink) {
            Ok(()) => return Ok(()),
            Err(SinkRefusal::Closed) => return Err(End::SinkClosed),
            Err(SinkRefusal::Full) => {}
        }
        let started = self.now();
        let mut stop_at = None;
        loop {
            tokio::time::sleep(RETRY_CADENCE).await;
            let now = self.now();
            // Making room and offering again; which of the two was refused does not matter.
            let refusal = match self.parts.sink.flush().and_then(|()| offer(&mut self.parts.sink)) {
                Ok(()) => break,
                Err(refusal) => refusal,
            };
            if refusal == SinkRefusal::Closed {
                return Err(End::SinkClosed);
            }
            if *self.parts.shutdown.borrow() {
                let stop_at = *stop_at.get_or_insert_with(|| now + self.parts.config.drain_timeout);
                if now >= stop_at {
                    self.parts.counters.dropped_at_shutdown.add(1);
                    return Err(End::Shutdown);
                }
            }
        }
        self.parts.counters.stalled(self.now().saturating_sub(started).as_millis());
        self.event(Event::Resumed);
        Ok(())
    }
}

/// Completes when shutdown is asked for, or nobody is left to ask.
async fn stopped(shutdown: &mut watch::Receiver<bool>) {
    // An error means that the sender is gone, which is a shutdown as well.
    drop(shutdown.wait_for(|&stop| stop).await);
}
