//! The exchange, the clock and the oracle of these tests.

use std::collections::{BTreeSet, VecDeque};

use super::super::*;
use crate::backoff::Backoff;
use crate::policy::Source;

/// Milliseconds between two looks at the world.
pub(super) const STEP_MS: u64 = 5;
/// From a frame's sending to its arrival, at least.
pub(super) const LAG_MS: u64 = 20;
/// Streams of the connection; the first is the canary's.
pub(super) const STREAMS: usize = 5;

pub(super) fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

pub(super) fn timing() -> StreamTiming {
    StreamTiming {
        connect_timeout: ms(1_000),
        first_data: ms(2_000),
        silence: ms(3_000),
        ping_cadence: ms(4_000),
        acknowledge_timeout: ms(2_000),
        pong_timeout: ms(2_000),
        rotation: ms(8_000),
        rotation_jitter: ms(1_000),
        lifetime: ms(20_000),
        overlap: ms(300),
        overlap_max: ms(3_000),
        rotation_gap: ms(1_000),
        quiet: ms(1_000),
        backoff: Backoff { floor: ms(50), ceiling: ms(500) },
        messages_per_second: 8,
        names_per_subscribe: 2,
    }
}

pub(super) fn name(stream: usize) -> String {
    format!("s{stream}@aggTrade")
}

/// A small generator, so that a failing seed can be run again.
pub(super) struct Random(u64);

impl Random {
    pub(super) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963);
        self.0 >> 33
    }

    pub(super) fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound
    }
}

/// What a socket carries to us.
#[derive(Debug, Clone, Copy)]
pub(super) enum Frame {
    Trade { stream: usize, at: u64 },
    Acknowledged(u64),
    Pong,
}

/// The exchange's end of one socket.
#[derive(Debug, Default)]
pub(super) struct Server {
    pub(super) opens_at: Option<u64>,
    pub(super) is_open: bool,
    pub(super) subscribed: BTreeSet<usize>,
    pub(super) lag: u64,
    pub(super) is_mute: bool,
    /// With the time of arrival.
    pub(super) frames: VecDeque<(u64, Frame)>,
}

impl Server {
    pub(super) fn send(&mut self, now: u64, frame: Frame) {
        if self.is_open && !self.is_mute {
            let arrival = self.frames.back().map_or(0, |last| last.0).max(now + self.lag);
            self.frames.push_back((arrival, frame));
        }
    }
}

/// What the tests look at afterwards.
#[derive(Debug, Default)]
pub(super) struct Report {
    pub(super) interruptions: u32,
    pub(super) replaced: u32,
    pub(super) given_up: u32,
    pub(super) connects: u32,
    pub(super) most_open: u16,
    pub(super) garbled: u32,
}

pub(super) struct World {
    pub(super) seed: u64,
    pub(super) random: Random,
    pub(super) copies: Copies,
    pub(super) turnstile: Turnstile,
    pub(super) servers: Vec<Server>,
    pub(super) now: u64,
    pub(super) refuses: bool,
    /// So many of a hundred trades cannot be read when they come.
    pub(super) garbled_percent: u64,
    /// Trades so far, and which of them some socket brought.
    pub(super) trades: Vec<(u64, usize)>,
    pub(super) brought: BTreeSet<(u64, usize)>,
    /// Trades that some socket could not read since an interruption was last told.
    pub(super) lost: BTreeSet<(u64, usize)>,
    /// All trades up to this one were looked at.
    pub(super) checked: usize,
    /// An interruption was told, and no watermark since.
    pub(super) is_excused: bool,
    pub(super) report: Report,
}

impl World {
    pub(super) fn new(seed: u64, copies: u8) -> Self {
        let streams = (0..STREAMS).map(name).collect();
        let copies = Copies::new(timing(), copies, true, streams);
        let servers = std::iter::repeat_with(Server::default).take(copies.slots()).collect();
        let mut world = Self {
            seed,
            random: Random(seed),
            copies,
            turnstile: Turnstile::new(timing().rotation_gap),
            servers,
            now: 0,
            refuses: false,
            garbled_percent: 0,
            trades: Vec::new(),
            brought: BTreeSet::new(),
            lost: BTreeSet::new(),
            checked: 0,
            is_excused: true,
            report: Report::default(),
        };
        world.decide(|copies, now, random, _, steps| copies.start(now, random, steps));
        world
    }

    pub(super) fn decide(
        &mut self,
        act: impl FnOnce(&mut Copies, Duration, u64, &mut Turnstile, &mut Vec<Step>),
    ) {
        let mut steps = Vec::new();
        let random = self.random.next();
        act(&mut self.copies, ms(self.now), random, &mut self.turnstile, &mut steps);
        for step in steps {
            self.take(step);
        }
    }

    pub(super) fn event(&mut self, copy: CopyId, event: Event) {
        self.decide(|copies, now, random, _, steps| {
            copies.on_event(now, random, (copy, event), steps);
        });
    }

    pub(super) fn take(&mut self, step: Step) {
        let now = self.now;
        match step {
            Step::Interrupted => {
                self.report.interruptions += 1;
                self.is_excused = true;
            }
            Step::Quiet => {}
            Step::Copies(count) => self.report.most_open = self.report.most_open.max(count),
            Step::CloseReplaced(copy) => {
                self.report.replaced += 1;
                self.servers[copy.index()] = Server::default();
            }
            Step::GiveUp(copy) => {
                self.report.given_up += 1;
                self.servers[copy.index()] = Server::default();
            }
            Step::Act(copy, action) => {
                let lag = LAG_MS + self.random.below(60);
                let server = &mut self.servers[copy.index()];
                match action {
                    Action::Connect => {
                        let opens_at = Some(now + 30);
                        *server = Server { opens_at, lag, ..Server::default() };
                    }
                    Action::Subscribe { id, names } => {
                        let of = |stream: &usize| names.contains(&name(*stream));
                        server.subscribed.extend((0..STREAMS).filter(of));
                        server.send(now, Frame::Acknowledged(id));
                    }
                    Action::Ping => server.send(now, Frame::Pong),
                    Action::DropSilent(_) | Action::DropOld => *server = Server::default(),
                    Action::Unsubscribe { .. } | Action::Live | Action::Old => {}
                }
            }
        }
    }

    /// Lets the world go on for a while.
    pub(super) fn run(&mut self, millis: u64) {
        let end = self.now + millis;
        while self.now < end {
            self.now += STEP_MS;
            self.trade();
            for index in 0..self.servers.len() {
                self.deliver(CopyId(u8::try_from(index).unwrap()));
            }
            while self.copies.next_deadline().is_some_and(|at| at <= ms(self.now)) {
                self.decide(Copies::on_timer);
            }
        }
    }

    /// The canary trades always, the others when they like.
    pub(super) fn trade(&mut self) {
        let stream = if self.now.is_multiple_of(50) { 0 } else { self.random.below(30) };
        let stream = usize::try_from(stream).unwrap();
        if stream < STREAMS {
            let (at, now) = (self.now, self.now);
            self.trades.push((at, stream));
            for server in &mut self.servers {
                if server.subscribed.contains(&stream) {
                    server.send(now, Frame::Trade { stream, at });
                }
            }
        }
    }

    /// Opens a socket, or brings what has arrived on it.
    pub(super) fn deliver(&mut self, copy: CopyId) {
        let (now, refuses) = (self.now, self.refuses);
        let server = &mut self.servers[copy.index()];
        if server.opens_at.take_if(|at| *at <= now).is_some() {
            server.is_open = !refuses;
            self.report.connects += 1;
            self.event(copy, if refuses { Event::Closed } else { Event::Connected });
            return;
        }
        let mut newest = None;
        while let Some(&(arrival, frame)) = self.servers[copy.index()].frames.front()
            && arrival <= now
        {
            self.servers[copy.index()].frames.pop_front();
            match frame {
                Frame::Acknowledged(id) => self.event(copy, Event::Acknowledged(id)),
                Frame::Pong => self.event(copy, Event::Pong),
                // It cannot be read.
                Frame::Trade { stream, at } if self.random.below(100) < self.garbled_percent => {
                    self.report.garbled += 1;
                    self.tell(copy, newest.take());
                    self.lost.insert((at, stream));
                    if self.copies.on_missed(ms(now), copy) {
                        self.report.interruptions += 1;
                        // Every symbol is in doubt now, each until its next trade.
                        self.brought.append(&mut self.lost);
                    }
                }
                Frame::Trade { stream, at } => {
                    self.brought.insert((at, stream));
                    newest = Some(at);
                    let source = if stream == 0 { Source::Canary } else { Source::Other };
                    self.event(copy, Event::Data(source));
                }
            }
        }
        self.tell(copy, newest);
    }

    /// The newest time of what has arrived.
    fn tell(&mut self, copy: CopyId, newest: Option<u64>) {
        let Some(newest) = newest else { return };
        let time = UnixMillis(newest.cast_signed());
        self.decide(|copies, now, _, _, steps| copies.on_event_time(now, copy, time, steps));
        if self.copies.is_trusted(copy) {
            self.watermark(newest);
        }
    }

    /// A time that closes minutes: every trade before it must be here.
    pub(super) fn watermark(&mut self, time: u64) {
        while let Some(trade) = self.trades.get(self.checked)
            && trade.0 <= time
        {
            let (seed, now) = (self.seed, self.now);
            let is_here = self.brought.contains(trade) || self.is_excused;
            assert!(
                is_here,
                "seed {seed}: at {now} a watermark passes {trade:?}, which is missing"
            );
            self.checked += 1;
        }
        self.is_excused = false;
    }

    pub(super) fn cut(&mut self, copy: CopyId) {
        let server = std::mem::take(&mut self.servers[copy.index()]);
        if server.is_open || server.opens_at.is_some() {
            self.event(copy, Event::Closed);
        }
    }

    pub(super) fn open(&self) -> Vec<CopyId> {
        let ids = (0..=u8::MAX).map(CopyId).zip(&self.servers);
        ids.filter(|(_, server)| server.is_open).map(|(copy, _)| copy).collect()
    }

    /// After faults: everything is well again, and nobody is left over.
    pub(super) fn assert_converged(&mut self, copies: usize) {
        self.refuses = false;
        self.run(12_000);
        // Wherever a replacement is under way, it comes to its end.
        let mut patience = 0;
        while self.open().len() != copies {
            self.run(100);
            patience += 1;
            assert!(patience < 60, "seed {}: {:?} are open", self.seed, self.open());
        }
        for copy in self.open() {
            let is_well = self.copies.is_trusted(copy) || !self.copies.is_wanted(copy);
            assert!(is_well, "seed {}: {copy} is not whole", self.seed);
        }
        assert!(self.checked + 200 > self.trades.len(), "seed {}: watermarks stopped", self.seed);
    }
}
