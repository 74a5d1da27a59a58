//! The process's start and its end.

use klagg_binance::Priority;

use crate::exchange::rest::Ask;
use crate::process::client::Asker;
use crate::process::{Process, Stage};
use crate::world::{Event, Own, World};

impl World {
    pub(super) fn start(&mut self) {
        self.incarnation += 1;
        self.exchange.rest.weights.started(self.now);
        self.oracle.started(&self.disk, &self.scenario);
        self.process = Some(Process::start(&self.scenario, &self.disk, self.now, self.skew));
        self.boot();
    }

    /// The first thing that is asked for is the time.
    pub(super) fn boot(&mut self) {
        self.ask(Asker::Clock, Ask::Time, 1, Priority::Urgent);
    }

    pub(super) fn clock_measured(&mut self, is_told: bool) {
        let Some(process) = &mut self.process else { return };
        match process.stage {
            Stage::Clock if is_told => {
                process.stage = Stage::Symbols;
                self.look_if_due();
            }
            Stage::Clock => self.plan_own(self.now + 1_000, Own::Boot),
            Stage::Symbols => {}
            Stage::Running => self.backfill_clock_measured(),
        }
    }

    /// The process dies; another one starts after a while.
    pub(super) fn crash(&mut self, pause: i64) {
        let Some(process) = self.process.take() else { return };
        // A commit under way may have reached the disk, though nobody was told.
        if process.writer.is_committing() && self.random.per_mille(500) {
            self.disk.commit(process.writer.batch());
        }
        self.oracle.died(&process.followed, self.now);
        for line in process.connections.iter().flat_map(|of| &of.lines) {
            line.socket.into_iter().for_each(|socket| self.exchange.forget(socket));
        }
        self.agenda.add(self.now + pause, Event::Start);
    }
}
