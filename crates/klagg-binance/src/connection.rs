//! One stream connection: a thin shell that opens its sockets, feeds the policy and does what it
//! says. What frames mean is in `reading.rs`.
//!
//! Always true here: while the sink has no room no socket is read, so that the exchange's end
//! waits and nothing is dropped; what the policy says to the sink is said at once, before any
//! later time, for sockets are dealt with only after what is read was passed on.

mod line;
mod steps;

use std::borrow::Cow;
use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures_util::{FutureExt, StreamExt};
use klagg_kline::{SymbolId, UnixMillis};
use tokio::sync::{mpsc, watch};
use tokio_tungstenite::tungstenite::{Error as SocketError, Message};

use self::line::{Came, Line, next_of};
use crate::Tls;
use crate::clock::{ExchangeClock, random};
use crate::copies::{Copies, CopyId, Step};
use crate::counters::FeedCounters;
use crate::plan::ConnectionId;
use crate::policy::Event;
use crate::reading::{Reader, Sign};
use crate::received::Received;
use crate::stream::{FeedNotice, FeedSink, SinkRefusal, StreamConfig};
use crate::turnstile::Turnstile;

/// Messages taken from the socket before its trades are passed on.
const READ_MESSAGES_MAX: usize = 256;
/// How often a full sink is asked again.
const RETRY_CADENCE: Duration = Duration::from_millis(1);
/// Longest wait for a polite close.
const CLOSE_TIMEOUT: Duration = Duration::from_millis(300);

/// A change of what a connection carries.
#[derive(Debug)]
pub(crate) enum Command {
    Subscribe(Vec<(SymbolId, String)>),
    Unsubscribe(Vec<(SymbolId, String)>),
    Renew(Vec<(SymbolId, String)>),
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
    pub(crate) copies: Copies,
    pub(crate) turnstile: Arc<Mutex<Turnstile>>,
    pub(crate) received: Received,
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
    /// By [`CopyId`].
    lines: Vec<Line>,
    /// The line that is asked first next time.
    first: usize,
    steps: VecDeque<Step>,
    /// Highest event time of a socket that was whole.
    event_time: Option<UnixMillis>,
}

/// What became of a text frame.
enum Frame {
    /// It was read; the event time that it told, if that is believed.
    Taken(Option<UnixMillis>),
    /// A trade may have been lost with it.
    Lost,
}

impl<S: FeedSink> Connection<S> {
    pub(crate) fn new(parts: Parts<S>) -> Self {
        let lines = std::iter::repeat_with(Line::default).take(parts.copies.slots()).collect();
        Self { parts, lines, first: 0, steps: VecDeque::new(), event_time: None }
    }

    /// Runs until shutdown, or until the sink is closed.
    pub(crate) async fn run(mut self) {
        self.decide(|copies, now, steps| copies.start(now, random(), steps));
        let end = loop {
            if let Err(end) = self.step().await {
                break end;
            }
        };
        let now = self.now();
        self.parts.copies.end(now, &mut lock(&self.parts.turnstile));
        if end == End::SinkClosed {
            self.notice(FeedNotice::SinkClosed { connection: self.parts.id });
            tracing::error!(connection = %self.parts.id, "the sink of a connection is closed");
        } else if self.pass_on(FeedSink::flush).await.is_err() {
            tracing::warn!(connection = %self.parts.id, "the last trades were not taken");
        }
        for mut line in self.lines {
            if let Some(socket) = line.socket() {
                // A close frame is a courtesy; the exchange does without as well.
                drop(tokio::time::timeout(CLOSE_TIMEOUT, socket.close(None)).await);
            }
        }
    }

    /// Does what the policy wants, then waits for whatever comes first.
    async fn step(&mut self) -> Result<(), End> {
        while let Some(step) = self.steps.pop_front() {
            self.take(step).await?;
        }
        let deadline = self.parts.copies.next_deadline().unwrap_or(Duration::MAX);
        let sleep = deadline.saturating_sub(self.now()).min(Duration::from_hours(1));
        self.first = (self.first + 1) % self.lines.len();
        tokio::select! {
            biased;
            () = stopped(&mut self.parts.shutdown) => Err(End::Shutdown),
            Some(command) = self.parts.commands.recv() => {
                self.command(command);
                Ok(())
            }
            (copy, came) = next_of(&mut self.lines, self.first) => match came {
                Came::Opened(opened) => {
                    self.opened(copy, opened);
                    Ok(())
                }
                Came::Message(message) => self.read(copy, message).await,
            },
            () = tokio::time::sleep(sleep) => {
                let turnstile = Arc::clone(&self.parts.turnstile);
                self.decide(|copies, now, steps| {
                    copies.on_timer(now, random(), &mut lock(&turnstile), steps);
                });
                Ok(())
            }
        }
    }

    fn now(&self) -> Duration {
        self.parts.clock.elapsed()
    }

    fn decide(&mut self, act: impl FnOnce(&mut Copies, Duration, &mut Vec<Step>)) {
        let mut steps = Vec::new();
        act(&mut self.parts.copies, self.parts.clock.elapsed(), &mut steps);
        for step in &steps {
            match *step {
                Step::Copies(count) => self.parts.sink.on_copies(count),
                Step::Interrupted => self.parts.sink.on_interrupted(),
                Step::Quiet => self.parts.sink.on_quiet(),
                Step::Act(..) | Step::CloseReplaced(_) | Step::GiveUp(_) => {}
            }
        }
        self.steps.extend(steps);
    }

    fn event(&mut self, copy: CopyId, event: Event) {
        self.decide(|copies, now, steps| copies.on_event(now, random(), (copy, event), steps));
    }

    fn event_for_all(&mut self, event: &Event) {
        self.decide(|copies, now, steps| copies.on_event_for_all(now, random(), event, steps));
    }

    fn command(&mut self, command: Command) {
        match command {
            Command::Subscribe(streams) => {
                self.parts.reader.own(streams.iter().map(|&(symbol, _)| symbol));
                for &(symbol, _) in &streams {
                    self.parts.received.assign(symbol, Some(self.parts.id));
                }
                self.event_for_all(&Event::Subscribe(names(streams)));
            }
            Command::Unsubscribe(streams) => {
                self.parts.reader.disown(streams.iter().map(|&(symbol, _)| symbol));
                for &(symbol, _) in &streams {
                    self.parts.received.assign(symbol, None);
                }
                self.event_for_all(&Event::Unsubscribe(names(streams)));
            }
            Command::Renew(streams) => self.event_for_all(&Event::Renew(names(streams))),
        }
    }

    /// Tells a notice if there is room for it.
    fn notice(&mut self, notice: FeedNotice) {
        if self.parts.notices.try_send(notice).is_err() {
            self.parts.counters.notices_dropped.add(1);
        }
    }

    /// Takes a message and those that are ready behind it, then passes their trades on.
    async fn read(
        &mut self,
        copy: CopyId,
        first: Option<Result<Message, SocketError>>,
    ) -> Result<(), End> {
        let mut next = Some(first);
        let mut newest = None;
        let mut read = 0;
        while let Some(message) = next.take() {
            let why = match message {
                Some(Ok(Message::Text(text))) => {
                    match self.frame(copy, text.as_bytes()).await? {
                        Frame::Taken(event_time) => newest = newest.max(event_time),
                        Frame::Lost => {
                            // What was told before it says nothing of what comes after.
                            self.pass_on_read(copy, newest.take()).await?;
                            self.missed(copy);
                        }
                    }
                    None
                }
                Some(Ok(Message::Pong(_))) => {
                    self.event(copy, Event::Pong);
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
                self.pass_on_read(copy, newest).await?;
                self.event(copy, Event::Closed);
                return self.lost(copy, &why).await;
            }
            read += 1;
            if read < READ_MESSAGES_MAX {
                let socket = self.lines[copy.index()].socket();
                next = socket.and_then(|socket| socket.next().now_or_never());
            }
        }
        self.pass_on_read(copy, newest).await
    }

    /// The end of a read: the watermark after the trades, then all of it to the sink's other side.
    async fn pass_on_read(&mut self, copy: CopyId, newest: Option<UnixMillis>) -> Result<(), End> {
        if let Some(time) = newest {
            self.decide(|copies, now, steps| copies.on_event_time(now, copy, time, steps));
            if self.parts.copies.is_trusted(copy) {
                self.event_time = self.event_time.max(newest);
            }
        }
        if let (Some(_), Some(time)) = (newest, self.event_time) {
            self.parts.sink.on_event_time(time);
        }
        self.pass_on(FeedSink::flush).await
    }

    /// One text frame.
    async fn frame(&mut self, copy: CopyId, frame: &[u8]) -> Result<Frame, End> {
        self.parts.sink.on_frame(frame);
        let seen = self.parts.reader.read(frame, &self.parts.counters);
        let Line::Open(line) = &mut self.lines[copy.index()] else { return Ok(Frame::Taken(None)) };
        let event_time = seen.event_time.filter(|&time| line.times.take(time));
        line.event_time = line.event_time.max(event_time);
        let is_doubted = event_time != seen.event_time
            || seen.trade.is_some_and(|(_, trade)| !line.times.allows(trade.time));
        if is_doubted {
            self.parts.counters.times_doubted.add(1);
            tracing::warn!(connection = %self.parts.id, event_time = ?seen.event_time,
                "a frame is far ahead of all others; it is not believed");
        } else if let Some((symbol, trade)) = seen.trade {
            self.pass_on(|sink| sink.on_trade(symbol, trade)).await?;
            self.parts.counters.trades.add(1);
            if let Some(event_time) = event_time {
                self.parts.received.record(symbol, trade.price, event_time);
            }
        }
        // Who waits for a connection to be live wants to know since when: no time, no sign.
        if let (Sign::Data(source), Some(_)) = (seen.sign, event_time) {
            self.event(copy, Event::Data(source));
        }
        if let Some(id) = seen.acknowledged {
            self.event(copy, Event::Acknowledged(id));
        }
        if let Some(notice) = seen.notice {
            self.notice(notice.for_connection(self.parts.id));
        }
        // The next trade of its symbol shows the hole. Until then time alone proves nothing.
        let is_lost = seen.is_lost || (is_doubted && seen.trade.is_some());
        Ok(if is_lost { Frame::Lost } else { Frame::Taken(event_time) })
    }

    /// A trade of this socket may be lost.
    fn missed(&mut self, copy: CopyId) {
        if self.parts.copies.on_missed(self.parts.clock.elapsed(), copy) {
            self.parts.sink.on_interrupted();
        }
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
        self.event_for_all(&Event::Resumed);
        Ok(())
    }
}

/// Completes when shutdown is asked for, or nobody is left to ask.
async fn stopped(shutdown: &mut watch::Receiver<bool>) {
    // An error means that the sender is gone, which is a shutdown as well.
    drop(shutdown.wait_for(|&stop| stop).await);
}

fn names(streams: Vec<(SymbolId, String)>) -> Vec<String> {
    streams.into_iter().map(|(_, name)| name).collect()
}

fn lock(turnstile: &Mutex<Turnstile>) -> std::sync::MutexGuard<'_, Turnstile> {
    // Its methods leave it whole at every point where they could panic.
    turnstile.lock().unwrap_or_else(PoisonError::into_inner)
}
