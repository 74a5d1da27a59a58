//! One run: the exchange, the network, the disk and the process, driven by one heap of events.
//!
//! Always true here: everything that happens is an event with a time; what happens at once happens
//! in the order in which it was asked for; chance comes from the seed. So two runs of a seed do the
//! same, which their trace hashes show.

mod backfill;
mod end;
mod faults;
mod feed;
mod fills;
mod frames;
mod life;
mod listings;
mod rest;
mod tick;

use klagg_binance::CopyId;

use crate::agenda::{Agenda, Millis};
use crate::disk::Disk;
use crate::exchange::rest::{Ask, Reply};
use crate::exchange::{Delivery, Exchange, SocketId};
use crate::oracle::Oracle;
use crate::outcome::{Outcome, Rule, Violation};
use crate::plan::Plan;
use crate::process::Process;
use crate::random::{Random, mix};
use crate::scenario::Scenario;

/// More events than any run needs.
const EVENTS_MAX: u64 = 400_000;

/// Something that happens to the process; void once the process has died.
#[derive(Debug)]
enum Own {
    /// A connection was opened, or could not be.
    Opened { connection: usize, copy: CopyId, attempt: u32, socket: Option<SocketId> },
    /// A connection's deadline.
    StreamTimer { connection: usize },
    /// The gateway's cadence.
    Tick,
    /// A worker goes on, after a stall or the rest after it broke.
    WorkerWakes { worker: usize },
    /// An answer of a worker comes late.
    LateAnswer { worker: usize, delta: Box<klagg_engine::WorkerDelta> },
    /// An answer of the exchange has come, or is given up.
    Answered { number: u64, reply: Box<Reply>, used: Option<u32> },
    /// The backfill's deadline.
    BackfillTimer,
    /// Weight may be free again.
    WeightTimer,
    /// The start is tried again.
    Boot,
    /// The symbols are looked at.
    Look,
    /// The writer's wait is over.
    WriterTimer,
    /// The commit under way has reached the disk, or not.
    Committed,
}

#[derive(Debug)]
enum Event {
    /// The next aggregate is sent.
    Emit,
    /// Tickers, and cuts of old connections.
    Second,
    /// A symbol is listed or settled.
    ContractInfo {
        listing: u16,
    },
    Fault(usize),
    /// A frame or the end of a socket arrives.
    Socket(SocketId, Delivery),
    /// A question arrives at the exchange.
    Asked {
        incarnation: u32,
        number: u64,
        sent: Millis,
        weight: u32,
        ask: Box<Ask>,
    },
    Start,
    Own(u32, Own),
    /// What lasts ends; from now on all is well.
    Quiet,
    /// Everything must have converged.
    Converged,
}

/// The world of a run.
#[derive(Debug)]
pub(crate) struct World {
    scenario: Scenario,
    plan: Plan,
    now: Millis,
    agenda: Agenda<Event>,
    exchange: Exchange,
    disk: Disk,
    process: Option<Process>,
    incarnation: u32,
    skew: Millis,
    random: Random,
    oracle: Oracle,
    outbox: Vec<(Millis, SocketId, Delivery)>,
    hash: u64,
    events: u64,
}

/// Runs a plan under a seed.
pub(crate) fn run(seed: u64, plan: &Plan) -> Outcome {
    let scenario = Scenario::draw(seed, plan);
    let end = scenario.end();
    let mut world = World::new(scenario, plan.clone());
    let mut violation = None;
    while let Some((at, event)) = world.agenda.next() {
        if at >= end {
            break;
        }
        world.now = at;
        world.events += 1;
        world.handle(event);
        if world.events > EVENTS_MAX {
            world.oracle.violated(Rule::Assertion, "the run does not come to rest".to_owned());
        }
        if let Some(found) = world.oracle.take_violation() {
            violation = Some(found);
            break;
        }
    }
    world.finish(violation)
}

impl World {
    fn new(scenario: Scenario, plan: Plan) -> Self {
        let start = scenario.start;
        let mut world = Self {
            exchange: Exchange::new(&scenario),
            oracle: Oracle::new(&scenario, &plan),
            random: Random::new(scenario.seed, 0x0077_0771),
            scenario,
            plan,
            now: start,
            agenda: Agenda::new(),
            disk: Disk::default(),
            process: None,
            incarnation: 0,
            skew: 0,
            outbox: Vec::new(),
            hash: 0,
            events: 0,
        };
        for (number, fault) in world.plan.faults.iter().enumerate() {
            world.agenda.add(start + fault.at, Event::Fault(number));
        }
        for (number, listing) in (0_u16..).zip(&world.scenario.listings) {
            let terms = &listing.terms;
            for at in [terms.listed_at, terms.ends_at] {
                if (start..world.scenario.end()).contains(&at) {
                    world.agenda.add(at, Event::ContractInfo { listing: number });
                }
            }
        }
        world.agenda.add(start, Event::Start);
        world.agenda.add(start + 1_000, Event::Second);
        world.agenda.add(start + crate::scenario::QUIET_FROM, Event::Quiet);
        world.agenda.add(start + crate::scenario::CONVERGED_AT, Event::Converged);
        world.plan_emission();
        world
    }

    fn plan_emission(&mut self) {
        if let Some(at) = self.exchange.next_emission() {
            self.agenda.add(at.max(self.now), Event::Emit);
        }
    }

    fn note(&mut self, tag: u64, value: u64) {
        self.hash = mix(self.hash ^ tag.rotate_left(32) ^ value);
    }

    fn handle(&mut self, event: Event) {
        match event {
            Event::Emit => {
                self.exchange.emit(self.now, &self.scenario.listings, &mut self.outbox);
                for (listing, at) in self.exchange.unwanted.drain(..) {
                    self.oracle.unwanted(listing, at);
                }
                for (listing, at) in self.exchange.withheld.drain(..) {
                    self.oracle.withheld(listing, at, self.now);
                }
                self.plan_emission();
            }
            Event::Second => {
                self.exchange.mini_tickers(self.now, &mut self.outbox);
                self.exchange.cut_old(self.now, &mut self.outbox);
                self.agenda.add(self.now + 1_000, Event::Second);
            }
            Event::ContractInfo { listing } => {
                self.exchange.contract_info(self.now, listing, &mut self.outbox);
            }
            Event::Fault(number) => self.fault(number),
            Event::Socket(socket, delivery) => self.delivered(socket, delivery),
            Event::Asked { incarnation, number, sent, weight, ask } => {
                self.asked(incarnation, number, (sent, weight), &ask);
            }
            Event::Start => self.start(),
            Event::Own(incarnation, own) => self.own(incarnation, own),
            Event::Quiet => self.note(1, self.events),
            Event::Converged => self.must_have_converged(),
        }
        for (at, socket, delivery) in std::mem::take(&mut self.outbox) {
            self.agenda.add(at.max(self.now), Event::Socket(socket, delivery));
        }
    }

    fn own(&mut self, incarnation: u32, own: Own) {
        let Some(process) = &mut self.process else { return };
        if incarnation != self.incarnation {
            return;
        }
        if self.now < process.suspended_until {
            self.agenda.add(process.suspended_until, Event::Own(incarnation, own));
            return;
        }
        match own {
            Own::Opened { connection, copy, attempt, socket } => {
                self.opened(connection, copy, (attempt, socket));
            }
            Own::StreamTimer { connection } => self.stream_timer(connection),
            Own::Tick => self.tick(),
            Own::WorkerWakes { worker } => self.worker_wakes(worker),
            Own::LateAnswer { worker, delta } => self.late_answer(worker, *delta),
            Own::Answered { number, reply, used } => self.answered(number, *reply, used),
            Own::BackfillTimer => self.backfill_timer(),
            Own::WeightTimer => self.send_questions(),
            Own::Boot => self.boot(),
            Own::Look => self.look_if_due(),
            Own::WriterTimer => self.run_writer(),
            Own::Committed => self.committed(),
        }
    }

    /// Asks the agenda for something of the present process.
    fn plan_own(&mut self, at: Millis, own: Own) {
        self.agenda.add(at, Event::Own(self.incarnation, own));
    }

    fn finish(mut self, violation: Option<Violation>) -> Outcome {
        let violation = violation.or_else(|| self.look_at_the_end());
        self.note(2, self.disk.commits);
        Outcome {
            violation: violation.map(|mut of| {
                of.at = self.now - self.scenario.start;
                of
            }),
            trace: self.hash,
            events: self.events,
            simulated: self.now - self.scenario.start,
            confirmed: self.oracle.confirmed(),
            closed: self.oracle.closed(),
            crashes: u64::from(self.incarnation.saturating_sub(1)),
        }
    }
}
