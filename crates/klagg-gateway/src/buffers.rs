//! Two recycled snapshots in turn: publishing costs what changed, not what exists.
//!
//! Always true here:
//! - `front` is what was published last. Nobody writes it.
//! - `back` is the snapshot before, or being written for the next publication. What it lacks is
//!   exactly what `front` changed and `back` has not written since; that is copied last. A slot
//!   that changes in every tick is thus written once in each and never copied.
//! - Memory is taken only while a reader still holds the older snapshot: then a deep copy of
//!   `front` takes its place, and the reader's is freed when it lets go. Since each reader holds
//!   at most a few snapshots (a watch channel one, a queue its length), so are the copies.

use std::sync::Arc;

use klagg_kline::PeriodSet;

use crate::GlobalKlines;
use crate::draft::Draft;

/// What stands in `back`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Back {
    /// The snapshot before `front`, which a reader may hold.
    Older,
    /// The next one, but for what `front` changed and it has not written.
    Lacking,
    /// The next one.
    Whole,
}

#[derive(Debug)]
pub(crate) struct Buffers {
    front: Arc<GlobalKlines>,
    back: Arc<GlobalKlines>,
    state: Back,
    slots_max: usize,
    /// Deep copies made because a reader held the older snapshot.
    pub(crate) clones: u64,
    /// Klines copied because the snapshot before changed them and the next one did not.
    pub(crate) copied: u64,
}

impl Buffers {
    pub(crate) fn new(periods: &PeriodSet, slots_max: usize, workers: usize) -> Self {
        let empty = || Arc::new(GlobalKlines::with_room(periods.clone(), slots_max, workers));
        let (front, back) = (empty(), empty());
        Self { front, back, state: Back::Older, slots_max, clones: 0, copied: 0 }
    }

    /// What was published last.
    pub(crate) fn front(&self) -> &Arc<GlobalKlines> {
        &self.front
    }

    /// The snapshot to be published next, for writing.
    pub(crate) fn draft(&mut self) -> Draft<'_> {
        if self.state == Back::Older {
            self.begin();
        }
        let klines = Arc::get_mut(&mut self.back);
        let klines = klines.expect("made unshared in `begin`, and not handed out since");
        let newer = (self.state == Back::Lacking).then_some(&*self.front);
        Draft { klines, newer }
    }

    /// Makes `back` the next snapshot, of which nothing is written yet.
    fn begin(&mut self) {
        if let Some(back) = Arc::get_mut(&mut self.back) {
            recycle(back, &self.front);
            self.state = Back::Lacking;
        } else {
            self.back = Arc::new(deep_copy(&self.front, self.slots_max));
            self.clones += 1;
            self.state = Back::Whole;
        }
    }

    /// Makes the snapshot to be published next whole: all klines are written.
    pub(crate) fn catch_up(&mut self) {
        self.copied += self.draft().catch_up() as u64;
        self.state = Back::Whole;
    }

    /// Publishes what was written and made whole: from now on nobody writes it.
    pub(crate) fn publish(&mut self) -> Arc<GlobalKlines> {
        assert_eq!(self.state, Back::Whole, "a snapshot that lacks klines is not shown");
        debug_assert_eq!(self.back.sequence, self.front.sequence + 1);
        std::mem::swap(&mut self.front, &mut self.back);
        self.state = Back::Older;
        Arc::clone(&self.front)
    }
}

/// Makes the snapshot before `front` the one after it, all but the klines.
fn recycle(back: &mut GlobalKlines, front: &GlobalKlines) {
    debug_assert!(back.symbols() <= front.symbols());
    if back.symbols() < front.symbols() {
        back.grow(front.symbols());
    }
    back.open.changed.clear();
    back.last_closed.changed.clear();
    if back.owners_changed_in != front.owners_changed_in {
        back.owners.copy_from_slice(&front.owners);
    }
    back.owners_changed_in = front.owners_changed_in;
    back.sequence = front.sequence + 1;
    back.published_at = front.published_at;
    back.exchange_time = front.exchange_time;
    back.counters = front.counters;
    back.workers.clone_from(&front.workers);
}

/// The snapshot after `front`, with room for all slots, as the buffers have that were made at the
/// start.
fn deep_copy(front: &GlobalKlines, slots_max: usize) -> GlobalKlines {
    let mut copy = GlobalKlines::with_room(front.periods.clone(), slots_max, 0);
    copy.open = front.open.deep_copy(slots_max);
    copy.last_closed = front.last_closed.deep_copy(slots_max);
    copy.changed_in.extend_from_slice(&front.changed_in);
    copy.owners.extend_from_slice(&front.owners);
    copy.owners_changed_in = front.owners_changed_in;
    copy.sequence = front.sequence + 1;
    copy.published_at = front.published_at;
    copy.exchange_time = front.exchange_time;
    copy.counters = front.counters;
    copy.workers.extend_from_slice(&front.workers);
    copy
}
