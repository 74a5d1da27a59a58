//! What one stream connection does next: connect, subscribe in step, ping, judge silence, retry.
//!
//! Always true here:
//! - At most [`StreamTiming::messages_per_second`] messages (pings included) in any second.
//! - An acknowledgement is no evidence: a connection is up when data arrived, and silent data is
//!   a reason to replace it.
//! - A failure is followed by a wait with full jitter, doubled until a connection proves steady.
//!
//! Sans-io: [`ConnectionPolicy::on_event`] takes the time and a random number and answers with
//! actions; [`ConnectionPolicy::next_deadline`] tells when to come back without an event.
//! Deliberately absent: sockets, clocks and the meaning of a frame.

use std::collections::VecDeque;
use std::time::Duration;

use crate::backoff::Backoff;

/// Only a connection that lived so long has proved itself: one that delivers and ends at once,
/// again and again, must not be opened as fast, for the exchange bans who opens too many.
const STEADY: Duration = Duration::from_mins(1);
/// The window of the message limit.
const PACE_WINDOW: Duration = Duration::from_secs(1);

/// The numbers of the connection policy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StreamTiming {
    /// Longest wait for TCP, TLS and the upgrade together.
    pub connect_timeout: Duration,
    /// Longest wait from open to the first data (of the canary, where there is one).
    pub first_data: Duration,
    /// Longest silence afterwards, of all data and of the canary.
    pub silence: Duration,
    /// How often we ping.
    pub ping_cadence: Duration,
    /// Longest wait for a pong.
    pub pong_timeout: Duration,
    /// Age at which a connection is replaced; the exchange cuts at 24 h.
    pub rotation: Duration,
    /// Up to so much is taken off [`StreamTiming::rotation`] at random, so that connections do
    /// not turn together.
    pub rotation_jitter: Duration,
    /// Waits after failures.
    pub backoff: Backoff,
    /// Most messages sent in a second; the exchange allows 10, pongs included.
    pub messages_per_second: usize,
    /// Most names in one SUBSCRIBE.
    pub names_per_subscribe: usize,
}

/// Whether a frame came from the canary's stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Source {
    /// The symbol that always trades.
    Canary,
    /// Any other stream.
    Other,
}

/// What happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// The connection is wanted from now on.
    Start,
    /// The socket is open.
    Connected,
    /// The socket could not be opened, or has ended.
    Closed,
    /// Data arrived.
    Data(Source),
    /// A pong arrived.
    Pong,
    /// Reading was held up by us, not by the exchange, and goes on.
    Resumed,
    /// More streams are wanted.
    Subscribe(Vec<String>),
    /// These streams are no longer wanted.
    Unsubscribe(Vec<String>),
    /// [`ConnectionPolicy::next_deadline`] has passed.
    Timer,
}

/// What is missing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Silence {
    /// No data since the connection was opened: perhaps a path that only acknowledges.
    FirstData,
    /// No data for too long.
    Data,
    /// The canary stopped while other streams may go on.
    Canary,
    /// No pong.
    Pong,
}

impl Silence {
    /// What was waited for, in words.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::FirstData => "first data",
            Self::Data => "data",
            Self::Canary => "the canary",
            Self::Pong => "a pong",
        }
    }
}

/// What is to be done, in order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// Open the socket; answer with [`Event::Connected`] or [`Event::Closed`].
    Connect,
    /// Send SUBSCRIBE.
    Subscribe {
        /// Number of the request.
        id: u64,
        /// Names of streams.
        names: Vec<String>,
    },
    /// Send UNSUBSCRIBE.
    Unsubscribe {
        /// Number of the request.
        id: u64,
        /// Names of streams.
        names: Vec<String>,
    },
    /// Send a ping frame.
    Ping,
    /// The connection delivers: said once after each connect.
    Live,
    /// Drop the socket; no event is to follow.
    DropSilent(Silence),
    /// Drop the socket because of its age; no event is to follow.
    DropOld,
}

#[derive(Debug, PartialEq, Eq)]
enum Request {
    Subscribe(Vec<String>),
    Unsubscribe(Vec<String>),
}

#[derive(Debug)]
struct Open {
    since: Duration,
    rotate_at: Duration,
    live: bool,
    data_at: Duration,
    canary_at: Duration,
    pinged_at: Duration,
    pong_by: Option<Duration>,
    pending: VecDeque<Request>,
    /// Times of the newest messages, oldest first; at most `messages_per_second`.
    sent: VecDeque<Duration>,
}

#[derive(Debug)]
enum State {
    Idle,
    Waiting { until: Duration },
    Connecting,
    Open(Box<Open>),
}

/// The state machine of one connection.
#[derive(Debug)]
pub struct ConnectionPolicy {
    timing: StreamTiming,
    has_canary: bool,
    /// Streams wanted; its length is bounded by whoever plans the connections.
    wanted: Vec<String>,
    state: State,
    failures: u32,
    next_request: u64,
}

impl ConnectionPolicy {
    /// A machine that wants `streams`; with a canary, its data alone makes the connection live.
    pub fn new(timing: StreamTiming, has_canary: bool, streams: Vec<String>) -> Self {
        debug_assert!(timing.messages_per_second > 0 && timing.names_per_subscribe > 0);
        Self {
            timing,
            has_canary,
            wanted: streams,
            state: State::Idle,
            failures: 0,
            next_request: 1,
        }
    }

    /// Failures in a row, since a connection last lived for a minute.
    pub fn failures(&self) -> u32 {
        self.failures
    }

    /// Takes one event; `random` is used for jitter only.
    pub fn on_event(
        &mut self,
        now: Duration,
        random: u64,
        event: Event,
        actions: &mut Vec<Action>,
    ) {
        match event {
            Event::Start => {
                if matches!(self.state, State::Idle) {
                    self.connect(actions);
                }
            }
            Event::Connected => self.opened(now, random),
            Event::Closed => self.fail(now, random),
            Event::Data(source) => self.data(now, source, actions),
            Event::Pong => self.with_open(|open| open.pong_by = None),
            Event::Resumed => self.resumed(now),
            Event::Subscribe(names) => self.subscribe(names),
            Event::Unsubscribe(names) => self.unsubscribe(names),
            Event::Timer => {}
        }
        self.poll(now, random, actions);
    }

    /// When to come back with [`Event::Timer`] if nothing happens before.
    pub fn next_deadline(&self) -> Option<Duration> {
        match &self.state {
            State::Idle | State::Connecting => None,
            State::Waiting { until } => Some(*until),
            State::Open(open) => {
                let turn = self.free_at(open);
                let request = (!open.pending.is_empty()).then_some(turn);
                // A ping that is due waits for its turn among the messages.
                let ping = (open.pinged_at + self.timing.ping_cadence).max(turn);
                let ping_or_pong = open.pong_by.unwrap_or(ping);
                let silence = self.silence_deadline(open).0;
                [Some(open.rotate_at), Some(silence), Some(ping_or_pong), request]
                    .into_iter()
                    .flatten()
                    .min()
            }
        }
    }

    fn with_open(&mut self, act: impl FnOnce(&mut Open)) {
        if let State::Open(open) = &mut self.state {
            act(open);
        }
    }

    fn connect(&mut self, actions: &mut Vec<Action>) {
        self.state = State::Connecting;
        actions.push(Action::Connect);
    }

    fn opened(&mut self, now: Duration, random: u64) {
        debug_assert!(matches!(self.state, State::Connecting), "opened without being asked to");
        let jitter = u64::try_from(self.timing.rotation_jitter.as_millis()).unwrap_or(u64::MAX);
        let early = Duration::from_millis(random % jitter.saturating_add(1).max(1));
        let chunk = self.timing.names_per_subscribe;
        let pending =
            self.wanted.chunks(chunk).map(|names| Request::Subscribe(names.to_vec())).collect();
        self.state = State::Open(Box::new(Open {
            since: now,
            rotate_at: now + self.timing.rotation.saturating_sub(early),
            live: false,
            data_at: now,
            canary_at: now,
            pinged_at: now,
            pong_by: None,
            pending,
            sent: VecDeque::with_capacity(self.timing.messages_per_second),
        }));
    }

    fn fail(&mut self, now: Duration, random: u64) {
        let steady = matches!(&self.state, State::Open(of) if of.live && now >= of.since + STEADY);
        self.failures = if steady { 1 } else { self.failures.saturating_add(1) };
        let until = now + self.timing.backoff.wait(self.failures, random);
        self.state = State::Waiting { until };
    }

    fn data(&mut self, now: Duration, source: Source, actions: &mut Vec<Action>) {
        let State::Open(open) = &mut self.state else { return };
        open.data_at = now;
        if source == Source::Canary {
            open.canary_at = now;
        }
        if !open.live && (source == Source::Canary || !self.has_canary) {
            open.live = true;
            actions.push(Action::Live);
        }
    }

    fn resumed(&mut self, now: Duration) {
        let pong_timeout = self.timing.pong_timeout;
        self.with_open(|open| {
            if open.live {
                open.data_at = now;
                open.canary_at = now;
            }
            if let Some(by) = &mut open.pong_by {
                *by = now + pong_timeout;
            }
        });
    }

    fn subscribe(&mut self, names: Vec<String>) {
        let names: Vec<String> =
            names.into_iter().filter(|name| !self.wanted.contains(name)).collect();
        let chunk = self.timing.names_per_subscribe;
        self.wanted.extend_from_slice(&names);
        self.with_open(|open| {
            open.pending.extend(names.chunks(chunk).map(|part| Request::Subscribe(part.to_vec())));
        });
    }

    fn unsubscribe(&mut self, mut names: Vec<String>) {
        names.retain(|name| self.wanted.contains(name));
        self.wanted.retain(|name| !names.contains(name));
        let chunk = self.timing.names_per_subscribe;
        self.with_open(|open| {
            open.pending
                .extend(names.chunks(chunk).map(|part| Request::Unsubscribe(part.to_vec())));
        });
    }

    /// When data must have arrived, and what is missing then.
    fn silence_deadline(&self, open: &Open) -> (Duration, Silence) {
        if !open.live {
            return (open.since + self.timing.first_data, Silence::FirstData);
        }
        let data = (open.data_at + self.timing.silence, Silence::Data);
        let canary = (open.canary_at + self.timing.silence, Silence::Canary);
        if self.has_canary && canary.0 < data.0 { canary } else { data }
    }

    /// When the next message may be sent.
    fn free_at(&self, open: &Open) -> Duration {
        match open.sent.front() {
            Some(&oldest) if open.sent.len() >= self.timing.messages_per_second => {
                oldest + PACE_WINDOW
            }
            _ => Duration::ZERO,
        }
    }

    /// Does whatever is due at `now`.
    fn poll(&mut self, now: Duration, random: u64, actions: &mut Vec<Action>) {
        match &self.state {
            State::Waiting { until } if *until <= now => return self.connect(actions),
            State::Open(open) => {
                let (deadline, silence) = self.silence_deadline(open);
                let missing = match open.pong_by {
                    Some(by) if by <= now => Some(Silence::Pong),
                    _ => (deadline <= now).then_some(silence),
                };
                if let Some(silence) = missing {
                    actions.push(Action::DropSilent(silence));
                    return self.fail(now, random);
                }
                if open.rotate_at <= now {
                    actions.push(Action::DropOld);
                    return self.connect(actions);
                }
            }
            _ => return,
        }
        self.send_due(now, actions);
    }

    fn send_due(&mut self, now: Duration, actions: &mut Vec<Action>) {
        while let State::Open(open) = &self.state
            && self.free_at(open) <= now
        {
            let ping_due =
                open.pong_by.is_none() && open.pinged_at + self.timing.ping_cadence <= now;
            let pong_by = now + self.timing.pong_timeout;
            let id = self.next_request;
            let limit = self.timing.messages_per_second;
            let State::Open(open) = &mut self.state else { return };
            if ping_due {
                open.pinged_at = now;
                open.pong_by = Some(pong_by);
                actions.push(Action::Ping);
            } else if let Some(request) = open.pending.pop_front() {
                self.next_request += 1;
                actions.push(match request {
                    Request::Subscribe(names) => Action::Subscribe { id, names },
                    Request::Unsubscribe(names) => Action::Unsubscribe { id, names },
                });
            } else {
                return;
            }
            if open.sent.len() >= limit {
                open.sent.pop_front();
            }
            open.sent.push_back(now);
        }
    }
}

#[cfg(test)]
mod tests;
