//! The gateway's tick: ask all, take what comes in time, degrade for the others, publish.

use std::sync::Arc;

use klagg_engine::{HistoryPage, HistoryReader, HistoryWriter, WorkerDelta};
use klagg_gateway::{GatewayConfig, GatewayCore, GlobalKlines, Timing};
use klagg_kline::UnixMillis;

use crate::agenda::Millis;
use crate::process::workers::{Asked, Question, Worker};

/// The real core with what its task keeps.
#[derive(Debug)]
pub(crate) struct Gateway {
    pub(crate) core: GatewayCore,
    pub(crate) history: HistoryReader,
    /// By worker: whether a question of an earlier tick was not answered in time.
    is_late: Vec<bool>,
    /// Answers that came after their tick.
    arrived: Vec<(usize, WorkerDelta)>,
    /// Pages that wait for room.
    pages: Vec<HistoryPage>,
    pub(crate) stalled_until: Millis,
}

impl Gateway {
    pub(crate) fn new(
        config: &GatewayConfig,
        workers: usize,
        history: (HistoryWriter, HistoryReader),
    ) -> Self {
        let core = GatewayCore::new(config, workers, history.0).expect("the numbers hold");
        Self {
            core,
            history: history.1,
            is_late: vec![false; workers],
            arrived: Vec::new(),
            pages: Vec::new(),
            stalled_until: 0,
        }
    }

    /// A page for the history; taken at once while there is room.
    pub(crate) fn page(&mut self, page: HistoryPage) {
        if self.pages.is_empty() && self.core.has_room_for_page() {
            self.core.page(&page);
        } else {
            self.pages.push(page);
        }
    }

    /// An answer that comes after its tick.
    pub(crate) fn late(&mut self, worker: usize, delta: WorkerDelta) {
        self.arrived.push((worker, delta));
    }

    /// One tick. `now` is the world's time, `shown` the process's. `slow` workers' answers are
    /// handed out through `delay` instead.
    pub(crate) fn tick(
        &mut self,
        now: Millis,
        shown: UnixMillis,
        workers: &mut [Worker],
        slow: impl Fn(usize) -> bool,
        mut delay: impl FnMut(usize, WorkerDelta),
    ) -> Arc<GlobalKlines> {
        while self.core.has_room_for_page() && !self.pages.is_empty() {
            let page = self.pages.remove(0);
            self.core.page(&page);
        }
        for (is_late, worker) in self.is_late.iter_mut().zip(workers.iter_mut()) {
            *is_late &= !worker.takes_dropped();
        }
        for (number, delta) in std::mem::take(&mut self.arrived) {
            self.is_late[number] = false;
            self.take(now, shown, &mut workers[number], (number, delta), Timing::Late);
        }
        for (number, worker) in workers.iter_mut().enumerate() {
            if self.core.worker(number).has_ended() {
                continue;
            }
            let acknowledged = worker.acknowledged;
            let wanted = !self.is_late[number];
            match worker.ask(now, Question { acknowledged, wanted }) {
                Asked::Answered(delta) if !slow(number) => {
                    self.take(now, shown, worker, (number, *delta), Timing::InTime);
                }
                Asked::Answered(delta) => {
                    self.is_late[number] = true;
                    delay(number, *delta);
                    self.core.missed(number, shown);
                }
                Asked::Waits => {
                    self.is_late[number] = true;
                    self.core.missed(number, shown);
                }
                Asked::Dropped => {
                    self.is_late[number] = false;
                    self.core.missed(number, shown);
                }
            }
        }
        self.core.publish(shown)
    }

    fn take(
        &mut self,
        now: Millis,
        shown: UnixMillis,
        worker: &mut Worker,
        (number, delta): (usize, WorkerDelta),
        timing: Timing,
    ) {
        let sequence = delta.sequence;
        // The spent delta goes back to be filled again; here it is only dropped.
        drop(self.core.take(number, delta, timing, shown));
        worker.acknowledge(now, sequence);
    }
}
