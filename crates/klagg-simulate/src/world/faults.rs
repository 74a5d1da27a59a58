//! What a fault does.

use crate::agenda::Millis;
use crate::exchange::Delivery;
use crate::plan::{Fault, Kind};
use crate::scenario::QUIET_FROM;
use crate::world::{Own, World};

impl World {
    pub(super) fn fault(&mut self, number: usize) {
        let Fault { kind, target, amount, .. } = self.plan.faults[number];
        let until = (self.now + Millis::from(amount)).min(self.scenario.start + QUIET_FROM);
        self.note(4, number as u64);
        match kind {
            Kind::Disconnect => self.exchange.disconnect(self.now, target, &mut self.outbox),
            Kind::HalfOpen => self.exchange.half_open(target),
            Kind::DeadStream => self.exchange.end_stream(target),
            Kind::SilentSocket => {
                if let Some(socket) = self.exchange.nth(target) {
                    self.exchange.troubles.begin(self.now, kind, until, Some(socket));
                }
            }
            Kind::Failing => {
                self.exchange.half_open(target);
                if let Some(next) = self.exchange.nth(target.wrapping_add(1)) {
                    self.outbox.push((until, next, Delivery::Closed));
                }
            }
            Kind::SilentSymbol | Kind::HeldSymbol => {
                // The canary stops for nobody.
                let others = self.scenario.listings.len() - 1;
                let which = 1 + target as usize % others.max(1);
                let which = u32::try_from(which).ok();
                self.exchange.troubles.begin(self.now, kind, until, which);
            }
            Kind::LateAnswers => {
                let worker = target as usize % self.scenario.workers;
                let worker = u32::try_from(worker).ok();
                self.exchange.troubles.begin(self.now, kind, until, worker);
            }
            Kind::NoConnect
            | Kind::SilentAll
            | Kind::SilentPath
            | Kind::Held
            | Kind::Duplicates
            | Kind::Reordered
            | Kind::Late
            | Kind::Lost
            | Kind::RestErrors
            | Kind::RestTimeouts
            | Kind::RestOutage
            | Kind::WrongPages
            | Kind::WrongTrades
            | Kind::WriterStall
            | Kind::StoreFull => self.exchange.troubles.begin(self.now, kind, until, None),
            Kind::ForeignWeight => self.exchange.rest.weights.foreign(self.now, amount),
            Kind::Banned => self.exchange.rest.weights.ban(until),
            Kind::Skew => self.skew = Millis::from(amount) * if target % 2 == 0 { 1 } else { -1 },
            Kind::Suspend => self.suspend(until),
            Kind::Crash => self.crash(Millis::from(amount)),
            Kind::WorkerStall => self.stall_worker(target as usize, until),
            Kind::WorkerDeath => self.break_worker(target as usize),
            Kind::GatewayStall => {
                if let Some(process) = &mut self.process {
                    process.gateway.stalled_until = until;
                }
            }
            // What a run is made of from its start.
            Kind::Listing
            | Kind::Delisting
            | Kind::Relisting
            | Kind::Steady
            | Kind::Watched
            | Kind::ShortMessages
            | Kind::RawFills
            | Kind::LongPeriods => {}
        }
    }

    /// The process and its clock stand still.
    fn suspend(&mut self, until: Millis) {
        if let Some(process) = &mut self.process
            && self.now >= process.suspended_until
        {
            process.suspended_until = until;
            process.clock.stand_still(self.now, until - self.now);
        }
    }

    fn stall_worker(&mut self, target: usize, until: Millis) {
        let Some(process) = &mut self.process else { return };
        let worker = target % process.workers.len();
        process.workers[worker].stalled_until = until;
        self.oracle.stood_still(worker, until);
        self.plan_own(until, Own::WorkerWakes { worker });
    }

    fn break_worker(&mut self, target: usize) {
        let Some(process) = &mut self.process else { return };
        let number = target % process.workers.len();
        let elapsed = process.clock.elapsed(self.now);
        let worker = &mut process.workers[number];
        match worker.break_down((self.now, elapsed), &process.engine) {
            Some(until) => {
                self.oracle.broke(number, until);
                self.plan_own(until, Own::WorkerWakes { worker: number });
            }
            // Broken too often: the program ends, and is started again.
            None => self.crash(2_000),
        }
    }
}
