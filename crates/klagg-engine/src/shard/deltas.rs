//! What a shard hands out, and when it may forget it.

use klagg_kline::{KlineRecord, KlineStatus, SymbolId};

use super::Shard;
use crate::symbol::{Coverage, Slot};
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
        delta.holes.clear();
        delta.holes.extend(self.out.holes());
        delta.closed.clear();
        delta.closed.extend(self.out.closed());
        delta.ended.clear();
        delta.ended.extend(self.out.ended());
        delta.open.clear();
        for &index in &self.changed {
            self.compose(index, &mut delta.open);
        }
        if mutated!(DeltaForgotten) {
            self.acknowledge(self.sequence);
        }
    }

    /// Drops from the list of changes what was acknowledged.
    fn forget_delivered(&mut self) {
        let Self { changed, slots, acknowledged, .. } = self;
        changed.retain(|&index| slots[index as usize].epoch > *acknowledged);
        self.pruned = self.acknowledged;
    }

    /// Folds a symbol no more. Of its open klines readers are told that they ended; the minute, if
    /// anything was traded in it, is handed out as provisional, for nobody here will see whether
    /// that is all of it.
    pub fn retire_symbol(&mut self, symbol: SymbolId) {
        let (worker, index) = self.route.place(symbol);
        let desk = if worker == self.worker { self.desk(index) } else { None };
        let Some((mut desk, _)) = desk else { return };
        desk.release_all();
        let at = index as usize;
        let minute = self.levels[at].take().map(|_| self.slots[at].open);
        if let Some(kline) = minute.filter(|minute| !minute.is_flat()) {
            let record = KlineRecord { kline, revision: 0, status: KlineStatus::Provisional };
            self.out.emit(symbol, 0, &record);
        }
        self.out.end(symbol);
        self.cold[at] = None;
        self.slots[at] = Slot { epoch: self.slots[at].epoch, symbol, ..Slot::vacant() };
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
        let Slot { open: minute, symbol, broken_until, .. } = &self.slots[index as usize];
        let is_unknown = (self.cold[index as usize].as_ref())
            .is_some_and(|cold| cold.coverage == Coverage::Unknown);
        let is_whole = (minute.open_time > *broken_until && !is_unknown) || mutated!(HoleUntold);
        levels.compose(&self.plan, (minute, is_whole), |period_index, kline, is_whole| {
            let status = if is_whole { KlineStatus::Open } else { KlineStatus::Broken };
            let record = KlineRecord { kline: *kline, revision: 0, status };
            open.push(KlineData::new(*symbol, period_index, &record));
        });
    }

    /// Takes the closed klines out, as delivered.
    pub(crate) fn drain_closed(&mut self) -> impl Iterator<Item = KlineData> + '_ {
        self.out.drain_closed()
    }
}
