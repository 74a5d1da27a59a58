//! The sans-io state of a worker.

use crate::command::Command;
use crate::feed::Item;
use crate::{EngineConfig, FeedId, WorkerCounters, WorkerDelta};

/// State.
#[derive(Debug)]
pub struct Shard {
    worker: usize,
    sequence: u64,
    acknowledged: u64,
    counters: WorkerCounters,
}

impl Shard {
    pub(crate) fn new(config: &EngineConfig, worker: usize) -> Self {
        let _ = config;
        Self { worker, sequence: 0, acknowledged: 0, counters: WorkerCounters::default() }
    }
    pub(crate) fn worker(&self) -> usize {
        self.worker
    }
    pub(crate) fn counters(&self) -> &WorkerCounters {
        &self.counters
    }
    pub(crate) fn sequence(&self) -> u64 {
        self.sequence
    }
    pub(crate) fn acknowledged(&self) -> u64 {
        self.acknowledged
    }
    pub(crate) fn acknowledge(&mut self, sequence: u64) {
        self.acknowledged = self.acknowledged.max(sequence.min(self.sequence));
    }
    pub(crate) fn fill_delta(&mut self, delta: &mut WorkerDelta) {
        self.sequence += 1;
        delta.sequence = self.sequence;
    }
    pub(crate) fn on_command(&mut self, command: Command) {
        let _ = command;
    }
    pub(crate) fn on_items(&mut self, feed: FeedId, items: &[Item]) {
        let _ = (feed, items);
    }
}
