//! What a shard hands out, and when it may forget it.

use klagg_kline::{KlineRecord, KlineStatus, SymbolId};

use super::Shard;
use crate::symbol::{Life, Slot};
use crate::{KlineData, WorkerDelta};

impl Shard {
    /// The delta with this number arrived: what it carried may be forgotten. A number that was
    /// never handed out proves nothing.
    pub fn acknowledge(&mut self, sequence: u64) {
        if sequence > self.acknowledged && sequence <= self.sequence {
            self.acknowledged = sequence;
            self.out.acknowledge(sequence);
        }
    }

    /// Fills a delta with everything that changed since the last acknowledged one.
    pub fn fill_delta(&mut self, delta: &mut WorkerDelta) {
        self.forget_delivered();
        self.sequence += 1;
        debug_assert_eq!(self.sequence, self.out.epoch, "a delta closes its epoch");
        self.out.epoch = self.sequence + 1;
        delta.worker = self.worker;
        delta.sequence = self.sequence;
        delta.exchange_time = self.exchange_time;
        delta.counters = self.out.counters;
        delta.closed_dropped = self.out.closed_dropped();
        delta.is_last = false;
        delta.closed.clear();
        delta.closed.extend(self.out.closed());
        delta.open.clear();
        for &index in &self.changed {
            self.compose(index, &mut delta.open);
        }
    }

    /// Drops from the list of changes what was acknowledged, and retired symbols with it.
    fn forget_delivered(&mut self) {
        let Self { changed, slots, levels, cold, acknowledged, .. } = self;
        changed.retain(|&index| {
            let index = index as usize;
            let kept = slots[index].epoch > *acknowledged;
            if !kept && cold[index].as_ref().is_some_and(|cold| cold.life == Life::Retired) {
                cold[index] = None;
                levels[index] = None;
            }
            kept
        });
        self.pruned = self.acknowledged;
    }

    /// The open klines of a symbol, one for each period; none if no minute is open.
    pub fn open_klines(&self, symbol: SymbolId) -> Vec<KlineData> {
        let (worker, index) = self.route.place(symbol);
        let mut open = Vec::new();
        if worker == self.worker {
            self.compose(index, &mut open);
        }
        open
    }

    fn compose(&self, index: u32, open: &mut Vec<KlineData>) {
        let Some(Some(levels)) = self.levels.get(index as usize) else { return };
        let Slot { open: minute, symbol, .. } = &self.slots[index as usize];
        levels.compose(&self.plan, minute, |period_index, kline| {
            let record = KlineRecord { kline: *kline, revision: 0, status: KlineStatus::Open };
            open.push(KlineData::new(*symbol, period_index, &record));
        });
    }

    /// Takes the closed klines out, as delivered.
    pub(crate) fn drain_closed(&mut self) -> impl Iterator<Item = KlineData> + '_ {
        self.out.drain_closed()
    }
}
