//! What one stream connection does next: connect, subscribe in step, ping, judge silence, retry.
//!
//! Always true here:
//! - At most [`StreamTiming::messages_per_second`] messages (pings included) in any second.
//! - An acknowledgement is no evidence: a connection is up when data arrived, and silent data is
//!   a reason to replace it.
//! - A failure is followed by a wait with full jitter, doubled until a connection proves steady.
//! - It counts as whole while it is live and every stream that is wanted was acknowledged.
//!
//! Sans-io: [`ConnectionPolicy::on_event`] takes the time and a random number and answers with
//! actions; [`ConnectionPolicy::next_deadline`] tells when to come back without an event.
//! Deliberately absent: sockets, clocks and the meaning of a frame.

mod events;

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

pub use self::events::{Action, Event, Silence, Source};
use crate::timing::StreamTiming;

/// Only a connection that lived so long has proved itself: one that delivers and ends at once,
/// again and again, must not be opened as fast, for the exchange bans who opens too many.
const STEADY: Duration = Duration::from_mins(1);
/// The window of the message limit.
const PACE_WINDOW: Duration = Duration::from_secs(1);

#[derive(Debug, PartialEq, Eq)]
enum Request {
    Subscribe(Vec<String>),
    Unsubscribe(Vec<String>),
}

impl Request {
    fn subscribes(&self, name: &String) -> bool {
        matches!(self, Self::Subscribe(names) if names.contains(name))
    }
}

/// The names of a renewal that waits last and has room for one more.
fn last_renewal(
    pending: &mut VecDeque<Request>,
    chunk: usize,
) -> Option<(&mut Vec<String>, &mut Vec<String>)> {
    let mut newest = pending.iter_mut().rev();
    match (newest.next(), newest.next()) {
        (Some(Request::Subscribe(begins)), Some(Request::Unsubscribe(ends)))
            if begins == ends && begins.len() < chunk =>
        {
            Some((ends, begins))
        }
        _ => None,
    }
}

#[derive(Debug)]
struct Open {
    since: Duration,
    /// `None`: it was said that the connection is old.
    old_at: Option<Duration>,
    live: bool,
    data_at: Duration,
    canary_at: Duration,
    pinged_at: Duration,
    pong_by: Option<Duration>,
    pending: VecDeque<Request>,
    /// By the number of a SUBSCRIBE: when its acknowledgement must be here.
    unacknowledged: BTreeMap<u64, Duration>,
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

    /// Whether the connection is open and delivers every stream that is wanted, as far as anybody
    /// can know.
    pub fn is_whole(&self) -> bool {
        matches!(&self.state, State::Open(open) if open.live
            && open.unacknowledged.is_empty()
            && !open.pending.iter().any(|request| matches!(request, Request::Subscribe(_))))
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
            Event::Acknowledged(id) => self.with_open(|open| {
                open.unacknowledged.remove(&id);
            }),
            Event::Resumed => self.resumed(now),
            Event::Subscribe(names) => self.subscribe(names),
            Event::Unsubscribe(names) => self.unsubscribe(names),
            Event::Renew(names) => self.renew(names),
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
                let end = open.since + self.timing.lifetime;
                [open.old_at, Some(end), Some(silence), Some(ping_or_pong), request]
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
        let told = if mutated!(NotSubscribedAnew) && self.failures > 0 { 0 } else { usize::MAX };
        let wanted = self.wanted.chunks(chunk).take(told);
        let pending = wanted.map(|names| Request::Subscribe(names.to_vec())).collect();
        self.state = State::Open(Box::new(Open {
            since: now,
            old_at: Some(now + self.timing.rotation.saturating_sub(early)),
            live: false,
            data_at: now,
            canary_at: now,
            pinged_at: now,
            pong_by: None,
            pending,
            unacknowledged: BTreeMap::new(),
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
        let (pong_timeout, acknowledge_timeout) =
            (self.timing.pong_timeout, self.timing.acknowledge_timeout);
        self.with_open(|open| {
            if open.live {
                open.data_at = now;
                open.canary_at = now;
            }
            if let Some(by) = &mut open.pong_by {
                *by = now + pong_timeout;
            }
            open.unacknowledged.values_mut().for_each(|by| *by = now + acknowledge_timeout);
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

    /// Ends and begins anew what the exchange delivers of these names. What waits already is not
    /// asked for twice, and goes along with what waits: however many symbols fall silent again and
    /// again, the requests stay few.
    fn renew(&mut self, mut names: Vec<String>) {
        names.retain(|name| self.wanted.contains(name));
        let chunk = self.timing.names_per_subscribe;
        self.with_open(|open| {
            names.retain(|name| !open.pending.iter().any(|request| request.subscribes(name)));
            for name in names {
                if let Some((ends, begins)) = last_renewal(&mut open.pending, chunk) {
                    ends.push(name.clone());
                    begins.push(name);
                } else {
                    open.pending.push_back(Request::Unsubscribe(vec![name.clone()]));
                    open.pending.push_back(Request::Subscribe(vec![name]));
                }
            }
        });
    }

    /// When something must have arrived, and what is missing then.
    fn silence_deadline(&self, open: &Open) -> (Duration, Silence) {
        let data = if mutated!(SilenceForever) {
            (Duration::MAX, Silence::Data)
        } else if open.live {
            let data = (open.data_at + self.timing.silence, Silence::Data);
            let canary = (open.canary_at + self.timing.silence, Silence::Canary);
            if self.has_canary && canary.0 < data.0 { canary } else { data }
        } else {
            (open.since + self.timing.first_data, Silence::FirstData)
        };
        let oldest = open.unacknowledged.values().min();
        let answer = oldest.map(|&by| (by, Silence::Acknowledgement));
        answer.filter(|answer| answer.0 < data.0).unwrap_or(data)
    }

    /// When the next message may be sent.
    fn free_at(&self, open: &Open) -> Duration {
        match open.sent.front() {
            _ if mutated!(MessagesUnpaced) => Duration::ZERO,
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
                if open.since + self.timing.lifetime <= now {
                    actions.push(Action::DropOld);
                    return self.connect(actions);
                }
                self.say_old(now, actions);
            }
            _ => return,
        }
        self.send_due(now, actions);
    }

    fn say_old(&mut self, now: Duration, actions: &mut Vec<Action>) {
        self.with_open(|open| {
            if open.old_at.take_if(|at| *at <= now).is_some() {
                actions.push(Action::Old);
            }
        });
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
            let acknowledge_by = now + self.timing.acknowledge_timeout;
            let State::Open(open) = &mut self.state else { return };
            if ping_due {
                open.pinged_at = now;
                open.pong_by = Some(pong_by);
                actions.push(Action::Ping);
            } else if let Some(request) = open.pending.pop_front() {
                self.next_request += 1;
                actions.push(match request {
                    Request::Subscribe(names) => {
                        open.unacknowledged.insert(id, acknowledge_by);
                        Action::Subscribe { id, names }
                    }
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
