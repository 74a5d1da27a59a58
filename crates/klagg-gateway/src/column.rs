//! One kline of every slot, and which of them the snapshot changed.
//!
//! Always true here: of two columns in turn, the older one lacks exactly what the newer one
//! changed. While the older one is being written it therefore need not be brought up to date
//! first: [`Column::newest`] finds each slot where it is held, and [`Column::catch_up`] copies in
//! the end only what was not written meanwhile.

use std::ops::Range;

use klagg_kline::KlineRecord;

use crate::slot_set::SlotSet;

#[derive(Debug, Clone, Default)]
pub(crate) struct Column {
    records: Vec<Option<KlineRecord>>,
    pub(crate) changed: SlotSet,
}

impl Column {
    /// Empty, with room for `slots_max` slots so that it need never move.
    pub(crate) fn with_room(slots_max: usize) -> Self {
        Self { records: Vec::with_capacity(slots_max), changed: SlotSet::with_room(slots_max) }
    }

    pub(crate) fn grow(&mut self, slots: usize) {
        debug_assert!(slots >= self.records.len());
        self.records.resize(slots, None);
        self.changed.grow(slots);
    }

    #[inline]
    pub(crate) fn get(&self, slot: usize) -> Option<&KlineRecord> {
        self.records.get(slot)?.as_ref()
    }

    /// What a slot holds while this column is written and `newer` has what it lacks.
    #[inline]
    pub(crate) fn newest<'a>(
        &'a self,
        slot: usize,
        newer: Option<&'a Self>,
    ) -> Option<&'a KlineRecord> {
        match newer {
            Some(newer) if newer.changed.contains(slot) && !self.changed.contains(slot) => {
                newer.get(slot)
            }
            _ => self.get(slot),
        }
    }

    #[inline]
    pub(crate) fn put(&mut self, slot: usize, record: Option<&KlineRecord>) {
        self.records[slot] = record.copied();
        self.changed.insert(slot);
    }

    /// Copies what `newer` changed and this column has not written since, and names the slots.
    /// Returns how many.
    pub(crate) fn catch_up(&mut self, newer: &Self, mut each: impl FnMut(Range<usize>)) -> usize {
        let mut copied = 0;
        let Self { records, changed } = self;
        // Neighbours in one go: where most of a snapshot changed, this is one plain copy.
        newer.changed.runs_beyond(changed, |run| {
            copied += run.len();
            records[run.clone()].copy_from_slice(&newer.records[run.clone()]);
            each(run);
        });
        copied
    }

    /// A copy that says of itself that nothing was changed, with room for all slots.
    pub(crate) fn deep_copy(&self, slots_max: usize) -> Self {
        let mut copy = Self::with_room(slots_max);
        copy.records.extend_from_slice(&self.records);
        copy.changed.grow(self.records.len());
        copy
    }
}
