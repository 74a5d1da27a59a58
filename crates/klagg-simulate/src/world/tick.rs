//! The gateway's tick, the workers' stalls, the writer.

use klagg_engine::WorkerDelta;
use klagg_kline::UnixMillis;

use crate::plan::Kind;
use crate::process::writer::Waits;
use crate::world::{Own, World};

impl World {
    /// The time that the process goes by: what it measured, and never less than what the feed has
    /// carried.
    pub(super) fn exchange_time(&self) -> UnixMillis {
        let Some(process) = &self.process else { return UnixMillis(0) };
        let measured = process.clock.exchange(self.now);
        process.gateway.core.published().exchange_time.map_or(measured, |at| at.max(measured))
    }

    pub(super) fn tick(&mut self) {
        let shown = self.exchange_time();
        let Some(process) = &mut self.process else { return };
        if self.now < process.gateway.stalled_until {
            let at = process.gateway.stalled_until;
            return self.plan_own(at, Own::Tick);
        }
        let is_slow = self.exchange.troubles.is_on(Kind::LateAnswers, self.now);
        let troubles = &self.exchange.troubles;
        let now = self.now;
        let slow = |worker: usize| {
            let number = u32::try_from(worker).unwrap_or(0);
            is_slow && troubles.is_on_for(Kind::LateAnswers, now, number)
        };
        let mut late = Vec::new();
        let klines =
            process.gateway.tick(now, shown, &mut process.workers, slow, |worker, delta| {
                late.push((worker, delta));
            });
        process.writer.wake();
        for (worker, delta) in late {
            let wait = self.random.between(100, 4_000);
            let delta = Box::new(delta);
            self.plan_own(now + wait, Own::LateAnswer { worker, delta });
        }
        self.note(3, klines.sequence);
        self.published(&klines);
        let cadence = self.scenario.gateway_cadence;
        self.plan_own(now + cadence, Own::Tick);
        for hole in self.take_holes() {
            self.backfill(klagg_backfill::Event::Hole(hole));
        }
        self.read_backlogs();
        self.run_writer();
    }

    /// Holes in the ids that workers have given up.
    fn take_holes(&mut self) -> Vec<klagg_engine::Hole> {
        self.process.as_mut().map_or_else(Vec::new, |of| of.gateway.core.take_holes())
    }

    fn published(&mut self, klines: &klagg_gateway::GlobalKlines) {
        let Some(process) = &self.process else { return };
        let mut hash = self.hash;
        self.oracle.published(self.now, klines, process, &self.scenario, &mut hash);
        self.hash = hash;
        let of = (process, &self.scenario, &self.plan);
        self.oracle.new_symbols_are_on_the_page(self.now, of);
        self.oracle.broken(&mut self.exchange.broken);
    }

    pub(super) fn late_answer(&mut self, worker: usize, delta: WorkerDelta) {
        if let Some(process) = &mut self.process {
            process.gateway.late(worker, delta);
        }
    }

    pub(super) fn worker_wakes(&mut self, worker: usize) {
        let Some(process) = &mut self.process else { return };
        for delta in process.workers[worker].resume(self.now) {
            process.gateway.late(worker, delta);
        }
        self.read_backlogs();
    }

    /// Lets the writer go on until it has something to wait for.
    pub(super) fn run_writer(&mut self) {
        let Some(process) = &mut self.process else { return };
        if process.writer.is_committing() {
            return;
        }
        process.writer_alarm.rang(self.now);
        let elapsed = process.clock.elapsed(self.now);
        let klines = std::sync::Arc::clone(process.gateway.core.published());
        match process.writer.run(elapsed, &klines) {
            Waits::Until(until) => {
                let at = process.clock.world(until).max(self.now + 1);
                if process.writer_alarm.set(at) {
                    self.plan_own(at, Own::WriterTimer);
                }
            }
            Waits::Commit => {
                let stalled = self.exchange.troubles.until(Kind::WriterStall, self.now);
                let wait = self.random.between(1, 15);
                let at = (self.now + wait).max(stalled.unwrap_or(self.now));
                self.plan_own(at, Own::Committed);
            }
            Waits::Ended => {}
        }
    }

    pub(super) fn committed(&mut self) {
        let Some(process) = &mut self.process else { return };
        let elapsed = process.clock.elapsed(self.now);
        let is_written = !self.exchange.troubles.is_on(Kind::StoreFull, self.now);
        if is_written {
            self.disk.commit(process.writer.batch());
            self.oracle.committed(process.writer.batch(), &self.disk, &self.scenario);
        }
        process.writer.ended(elapsed, is_written);
        self.run_writer();
        self.store_has_room();
    }
}
