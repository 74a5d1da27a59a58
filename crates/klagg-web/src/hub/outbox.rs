//! What waits for one client: bounded, conflated to the newest state.
//!
//! A pure state machine. Per slot there wait at most one open kline (the newest), a short list
//! of closed ones in order, or the note that a fresh snapshot is due. A client that reads slowly
//! therefore skips open states, never a closed kline: when the closed ones outgrow their bound, a
//! live client gets a snapshot instead, and an exchange-style client, to whom the protocol gives
//! no snapshot, is told to reconnect.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use klagg_kline::UnixMillis;

use super::{Slot, SlotUpdate};

/// Closed klines of one slot above which a snapshot is the shorter answer.
const CLOSED_OF_SLOT_MAX: usize = 32;

/// How a client is spoken to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Dialect {
    /// `/ws/kline/live`: snapshots, every change of a closed kline.
    Live,
    /// The exchange's streams: a closed kline once, again only if its values changed.
    Exchange,
}

/// What the client's task sends next.
#[derive(Debug, Clone)]
pub(crate) enum Delivery {
    /// History and the open kline, read now.
    Snapshot {
        /// Of what.
        slot: Slot,
        /// How many klines of history.
        history: usize,
    },
    /// One kline.
    Kline(Arc<SlotUpdate>),
}

/// What became of an update.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Pushed {
    /// It waits.
    Queued,
    /// It waits in the place of an older state of the same kline, which is not sent.
    Conflated,
    /// The client does not want it.
    Ignored,
    /// The client will get a snapshot instead.
    Resync,
    /// The client cannot be served without a hole: it is to be closed.
    Overflow,
}

/// The outbox of one client.
#[derive(Debug)]
pub(crate) struct Outbox {
    dialect: Dialect,
    slots: HashMap<Slot, Pending>,
    /// Slots with something to send, each once, with the time since when it waits.
    ready: VecDeque<(Slot, Duration)>,
    closed_waiting: usize,
    closed_max: usize,
    overflowed: bool,
}

#[derive(Debug, Default)]
struct Pending {
    history: usize,
    closed: VecDeque<Arc<SlotUpdate>>,
    open: Option<Arc<SlotUpdate>>,
    snapshot: bool,
    ready: bool,
    /// Open time and revision of the last closed kline that was put here.
    told: Option<(UnixMillis, u32)>,
}

impl Outbox {
    pub(crate) fn new(dialect: Dialect, closed_max: usize) -> Self {
        Self {
            dialect,
            slots: HashMap::new(),
            ready: VecDeque::new(),
            closed_waiting: 0,
            closed_max,
            overflowed: false,
        }
    }

    /// How many slots the client has.
    pub(crate) fn len(&self) -> usize {
        self.slots.len()
    }

    pub(crate) fn contains(&self, slot: Slot) -> bool {
        self.slots.contains_key(&slot)
    }

    pub(crate) fn slots(&self) -> impl Iterator<Item = Slot> + '_ {
        self.slots.keys().copied()
    }

    /// Starts a slot of a live client, or starts it afresh: it is due a snapshot.
    pub(crate) fn subscribe(&mut self, slot: Slot, history: usize, now: Duration) {
        debug_assert_eq!(self.dialect, Dialect::Live);
        self.slots.entry(slot).or_default().history = history;
        self.resync(slot, now);
    }

    /// Starts a slot of an exchange-style client. Klines that opened before `from` are none of
    /// its business: the protocol has no history. Subscribing again changes nothing.
    pub(crate) fn follow(&mut self, slot: Slot, from: UnixMillis) {
        debug_assert_eq!(self.dialect, Dialect::Exchange);
        let before = (from.plus(-1), u32::MAX);
        self.slots.entry(slot).or_insert_with(|| Pending { told: Some(before), ..<_>::default() });
    }

    /// Ends a slot; whether there was one.
    pub(crate) fn unsubscribe(&mut self, slot: Slot) -> bool {
        let Some(pending) = self.slots.remove(&slot) else { return false };
        self.closed_waiting -= pending.closed.len();
        if pending.ready {
            self.ready.retain(|&(waiting, _)| waiting != slot);
        }
        true
    }

    /// Notes that a fresh snapshot is due and forgets what it will hold. Nothing for an
    /// exchange-style client: its protocol has no snapshot.
    pub(crate) fn resync(&mut self, slot: Slot, now: Duration) {
        let Some(pending) = self.slots.get_mut(&slot) else { return };
        if self.dialect == Dialect::Exchange {
            return;
        }
        self.closed_waiting -= pending.closed.len();
        pending.closed.clear();
        pending.open = None;
        pending.snapshot = true;
        if !std::mem::replace(&mut pending.ready, true) {
            self.ready.push_back((slot, now));
        }
    }

    /// Takes a new state of a kline.
    pub(crate) fn push(&mut self, update: &Arc<SlotUpdate>, now: Duration) -> Pushed {
        let slot = update.slot;
        let Some(pending) = self.slots.get_mut(&slot) else { return Pushed::Ignored };
        if pending.snapshot {
            return Pushed::Conflated; // the snapshot is read later than this and holds it
        }
        let pushed = if update.is_closed() {
            let news = pending.closed_is(update);
            let exchange = self.dialect == Dialect::Exchange;
            match news {
                News::Hole if exchange => {
                    self.overflowed = true;
                    return Pushed::Overflow;
                }
                News::Known if exchange => return Pushed::Ignored,
                _ => {}
            }
            let waiting = pending.closed.iter_mut();
            let mut waiting = waiting.filter(|held| held.open_time() == update.open_time());
            if let Some(held) = waiting.next() {
                *held = Arc::clone(update);
                return Pushed::Conflated;
            }
            if pending.closed.len() >= CLOSED_OF_SLOT_MAX || self.closed_waiting >= self.closed_max
            {
                self.overflowed |= exchange;
                self.resync(slot, now);
                return if exchange { Pushed::Overflow } else { Pushed::Resync };
            }
            pending.closed.push_back(Arc::clone(update));
            self.closed_waiting += 1;
            Pushed::Queued
        } else if pending.told.is_some_and(|(told, _)| update.open_time() <= told) {
            return Pushed::Ignored; // the closed kline was seen a moment before this state of it
        } else if pending.open.replace(Arc::clone(update)).is_some() {
            Pushed::Conflated
        } else {
            Pushed::Queued
        };
        if !std::mem::replace(&mut pending.ready, true) {
            self.ready.push_back((slot, now));
        }
        pushed
    }

    /// The next thing to send; slots take turns.
    pub(crate) fn pop(&mut self, now: Duration) -> Option<Delivery> {
        let (slot, _) = self.ready.pop_front()?;
        let pending = self.slots.get_mut(&slot)?;
        if std::mem::take(&mut pending.snapshot) {
            pending.ready = false;
            return Some(Delivery::Snapshot { slot, history: pending.history });
        }
        let update = match pending.closed.pop_front() {
            Some(update) => {
                self.closed_waiting -= 1;
                update
            }
            None => pending.open.take()?,
        };
        pending.ready = pending.open.is_some() || !pending.closed.is_empty();
        if pending.ready {
            self.ready.push_back((slot, now));
        }
        Some(Delivery::Kline(update))
    }

    /// Whether something waits.
    pub(crate) fn is_ready(&self) -> bool {
        !self.ready.is_empty()
    }

    /// Since when the first in the queue waits.
    pub(crate) fn waiting_since(&self) -> Option<Duration> {
        self.ready.front().map(|&(_, since)| since)
    }

    /// Whether a closed kline could not be kept: the client has a hole and must go.
    pub(crate) fn overflowed(&self) -> bool {
        self.overflowed
    }
}

/// What a closed kline is to a client that was told of others.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum News {
    /// The next one, or new values of the last one.
    Next,
    /// An older one, or the same values better proven.
    Known,
    /// Klines between the last one and this were never told.
    Hole,
}

impl Pending {
    /// Holds a closed kline against the last one, and remembers it if it is later.
    fn closed_is(&mut self, update: &SlotUpdate) -> News {
        let this = (update.open_time(), update.record.revision);
        if self.told.is_some_and(|told| this <= told) {
            return News::Known;
        }
        let expected = self.told.map(|(told, _)| update.period.next_open_time(told));
        self.told = Some(this);
        self.open = self.open.take().filter(|open| open.open_time() > this.0);
        if expected.is_some_and(|expected| this.0 > expected) { News::Hole } else { News::Next }
    }
}

#[cfg(test)]
mod tests;
