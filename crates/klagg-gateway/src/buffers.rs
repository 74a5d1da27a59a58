//! Two recycled snapshots in turn: publishing costs what changed, not what exists.
//!
//! Always true here:
//! - `front` is what was published last. Nobody writes it.
//! - `back` is the snapshot before, or being written for the next publication. What it lacks is
//!   exactly what `front` changed, which `front` itself lists.
//! - Memory is taken only while a reader still holds the older snapshot: then a deep copy of
//!   `front` takes its place, and the reader's is freed when it lets go. Since each reader holds
//!   at most a few snapshots (a watch channel one, a queue its length), so are the copies.

use std::sync::Arc;

use klagg_kline::PeriodSet;

use crate::GlobalKlines;

#[derive(Debug)]
pub(crate) struct Buffers {
    front: Arc<GlobalKlines>,
    back: Arc<GlobalKlines>,
    /// Whether `back` is unshared and holds all that `front` does.
    ready: bool,
    slots_max: usize,
    /// Deep copies made because a reader held the older snapshot.
    pub(crate) clones: u64,
    /// Times the whole state was copied into the recycled buffer, much having changed.
    pub(crate) copies: u64,
}

impl Buffers {
    pub(crate) fn new(periods: &PeriodSet, slots_max: usize, workers: usize) -> Self {
        let empty = || Arc::new(GlobalKlines::with_room(periods.clone(), slots_max, workers));
        Self { front: empty(), back: empty(), ready: false, slots_max, clones: 0, copies: 0 }
    }

    /// What was published last.
    pub(crate) fn front(&self) -> &Arc<GlobalKlines> {
        &self.front
    }

    /// The snapshot to be published next, for writing.
    pub(crate) fn back(&mut self) -> &mut GlobalKlines {
        if !self.ready {
            self.make_ready();
        }
        Arc::get_mut(&mut self.back).expect("made unshared above, and not handed out since")
    }

    fn make_ready(&mut self) {
        if let Some(back) = Arc::get_mut(&mut self.back) {
            self.copies += u64::from(catch_up(back, &self.front));
        } else {
            self.back = Arc::new(deep_copy(&self.front, self.slots_max));
            self.clones += 1;
        }
        self.ready = true;
        let back = self.back();
        back.sequence += 1;
        back.changed.clear();
    }

    /// Publishes what was written: from now on nobody writes it.
    pub(crate) fn publish(&mut self) -> Arc<GlobalKlines> {
        debug_assert!(self.ready, "the caller has stamped the snapshot, so it was made ready");
        debug_assert_eq!(self.back.sequence, self.front.sequence + 1);
        std::mem::swap(&mut self.front, &mut self.back);
        self.ready = false;
        Arc::clone(&self.front)
    }
}

/// Brings the snapshot before `front` up to it. Returns whether all slots were copied.
///
/// Slots lie 304 bytes apart: below a quarter, picking the changed ones touches less memory than
/// one sweep; above, the sweep wins because the machine sees it coming (bench `snapshot`).
fn catch_up(back: &mut GlobalKlines, front: &GlobalKlines) -> bool {
    debug_assert!(back.slots.len() <= front.slots.len());
    let much = front.changed.len() * 4 > front.slots.len();
    if much {
        back.slots.clear();
        back.slots.extend_from_slice(&front.slots);
    } else {
        back.slots.resize(front.slots.len(), crate::KlineState::default());
        for &at in &front.changed {
            let at = at as usize;
            back.slots[at] = front.slots[at];
        }
    }
    back.sequence = front.sequence;
    back.published_at = front.published_at;
    back.exchange_time = front.exchange_time;
    back.counters = front.counters;
    back.workers.clone_from(&front.workers);
    much
}

/// A copy with room for all slots, as the buffers have that were made at the start.
fn deep_copy(front: &GlobalKlines, slots_max: usize) -> GlobalKlines {
    let mut copy = GlobalKlines::with_room(front.periods.clone(), slots_max, 0);
    copy.slots.extend_from_slice(&front.slots);
    copy.sequence = front.sequence;
    copy.published_at = front.published_at;
    copy.exchange_time = front.exchange_time;
    copy.counters = front.counters;
    copy.workers.extend_from_slice(&front.workers);
    copy
}
