//! Who wants which kline, and the hand-over from the pipeline to the clients' outboxes.
//!
//! Always true here:
//! - The pipeline's side ([`Hub::publish`]) only leaves updates in outboxes: it never waits for a
//!   client, and a client's lock is held for the length of a map insertion.
//! - An update is shared: each wire form of it is written once, by the first client that sends
//!   it, and the same bytes go to all others.
//! - A client is in the routes of exactly the slots that its outbox holds.

mod outbox;
mod update;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use klagg_kline::{SymbolId, UnixMillis};
use tokio::sync::Notify;

pub(crate) use outbox::{Delivery, Dialect, Outbox, Pushed};
pub(crate) use update::{Form, SlotUpdate};

/// For how long somebody who asked for klines over REST counts as looking at them: pages and
/// programs without a socket ask again within that time.
const ASKED_KEPT: Duration = Duration::from_mins(10);

/// One symbol in one period.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Slot {
    pub(crate) symbol: SymbolId,
    pub(crate) period_index: u8,
}

/// A connected client, as the hub sees it.
#[derive(Debug)]
pub(crate) struct Client {
    id: u64,
    outbox: Mutex<Outbox>,
    wake: Notify,
}

impl Client {
    /// The next thing to send.
    pub(crate) fn pop(&self, now: Duration) -> Option<Delivery> {
        lock(&self.outbox).pop(now)
    }

    /// Whether something waits or the client is lost.
    pub(crate) fn is_ready(&self) -> bool {
        let outbox = lock(&self.outbox);
        outbox.is_ready() || outbox.overflowed()
    }

    /// Whether the client has a hole, or lets its messages wait for longer than `timeout`.
    pub(crate) fn is_lost(&self, now: Duration, timeout: Duration) -> bool {
        let outbox = lock(&self.outbox);
        let waits = outbox.waiting_since().is_some_and(|since| now.saturating_sub(since) > timeout);
        outbox.overflowed() || waits
    }

    /// Makes [`Client::woken`] complete once more.
    pub(crate) fn wake(&self) {
        self.wake.notify_one();
    }

    /// Completes when something was put into the outbox since the last time.
    pub(crate) async fn woken(&self) {
        self.wake.notified().await;
    }

    /// How many slots it has.
    pub(crate) fn subscriptions(&self) -> usize {
        lock(&self.outbox).len()
    }

    /// Its slots, in order.
    pub(crate) fn slots(&self) -> Vec<Slot> {
        let mut slots: Vec<_> = lock(&self.outbox).slots().collect();
        slots.sort_unstable();
        slots
    }
}

/// What became of updates, since the start.
#[derive(Debug, Default)]
pub(crate) struct HubCounters {
    /// Updates left in outboxes.
    pub(crate) queued: AtomicU64,
    /// States that a newer one replaced before they were sent.
    pub(crate) conflated: AtomicU64,
    /// Snapshots due because closed klines outgrew their bound.
    pub(crate) resyncs: AtomicU64,
    /// Exchange-style clients that could not be served without a hole.
    pub(crate) overflows: AtomicU64,
    /// Clients now.
    pub(crate) clients: AtomicU64,
}

/// The routes from slots to clients.
#[derive(Debug, Default)]
pub(crate) struct Hub {
    routes: Mutex<HashMap<Slot, Vec<Arc<Client>>>>,
    /// When each slot was last asked for over REST: as many as there are slots, at most.
    asked: Mutex<BTreeMap<Slot, Duration>>,
    next_id: AtomicU64,
    pub(crate) counters: HubCounters,
}

impl Hub {
    /// A client without subscriptions.
    pub(crate) fn connect(&self, dialect: Dialect, closed_max: usize) -> Arc<Client> {
        self.counters.clients.fetch_add(1, Ordering::Relaxed);
        Arc::new(Client {
            id: self.next_id.fetch_add(1, Ordering::Relaxed),
            outbox: Mutex::new(Outbox::new(dialect, closed_max)),
            wake: Notify::new(),
        })
    }

    /// Forgets a client. To be called once, at its end.
    pub(crate) fn disconnect(&self, client: &Arc<Client>) {
        let slots = client.slots();
        self.unsubscribe(client, &slots);
        self.counters.clients.fetch_sub(1, Ordering::Relaxed);
    }

    /// Subscribes a live client: from now on updates gather, and a snapshot of each slot is due,
    /// which is to be read after this.
    pub(crate) fn subscribe(
        &self,
        client: &Arc<Client>,
        slots: &[Slot],
        history: usize,
        now: Duration,
    ) {
        let mut routes = lock(&self.routes);
        let mut outbox = lock(&client.outbox);
        for &slot in slots {
            if !outbox.contains(slot) {
                routes.entry(slot).or_default().push(Arc::clone(client));
            }
            outbox.subscribe(slot, history, now);
        }
        client.wake.notify_one();
    }

    /// Subscribes an exchange-style client to klines that open at or after `from`.
    pub(crate) fn follow(&self, client: &Arc<Client>, slot: Slot, from: UnixMillis) {
        let mut routes = lock(&self.routes);
        let mut outbox = lock(&client.outbox);
        if !outbox.contains(slot) {
            routes.entry(slot).or_default().push(Arc::clone(client));
        }
        outbox.follow(slot, from);
    }

    /// Ends subscriptions; those that are none are passed over.
    pub(crate) fn unsubscribe(&self, client: &Arc<Client>, slots: &[Slot]) {
        let mut routes = lock(&self.routes);
        let mut outbox = lock(&client.outbox);
        for &slot in slots {
            if !outbox.unsubscribe(slot) {
                continue;
            }
            if let Some(clients) = routes.get_mut(&slot) {
                clients.retain(|held| held.id != client.id);
                if clients.is_empty() {
                    routes.remove(&slot);
                }
            }
        }
    }

    /// Somebody has asked for klines of a slot, which exists, without subscribing it.
    pub(crate) fn note_asked(&self, slot: Slot, now: Duration) {
        lock(&self.asked).insert(slot, now);
    }

    /// Slots that somebody has subscribed, or has asked for a short while ago.
    pub(crate) fn wanted(&self, now: Duration) -> BTreeSet<Slot> {
        let mut asked = lock(&self.asked);
        asked.retain(|_, at| now.saturating_sub(*at) < ASKED_KEPT);
        let asked = asked.keys().copied();
        asked.chain(lock(&self.routes).keys().copied()).collect()
    }

    /// Leaves updates with all who want them. `make` is asked only for slots that somebody wants.
    pub(crate) fn publish<T>(
        &self,
        items: impl IntoIterator<Item = (Slot, T)>,
        mut make: impl FnMut(Slot, T) -> Option<SlotUpdate>,
        now: Duration,
    ) {
        let routes = lock(&self.routes);
        if routes.is_empty() {
            return;
        }
        for (slot, item) in items {
            let Some(clients) = routes.get(&slot) else { continue };
            let Some(update) = make(slot, item) else { continue };
            let update = Arc::new(update);
            for client in clients {
                let pushed = lock(&client.outbox).push(&update, now);
                self.count(pushed);
                if pushed != Pushed::Ignored {
                    client.wake.notify_one();
                }
            }
        }
    }

    /// Every live client is due a fresh snapshot of everything: the pipeline could not say what
    /// changed.
    pub(crate) fn resync(&self, now: Duration) {
        for (&slot, clients) in lock(&self.routes).iter() {
            for client in clients {
                lock(&client.outbox).resync(slot, now);
                self.count(Pushed::Resync);
                client.wake.notify_one();
            }
        }
    }

    fn count(&self, pushed: Pushed) {
        let counter = match pushed {
            Pushed::Queued => &self.counters.queued,
            Pushed::Conflated => &self.counters.conflated,
            Pushed::Resync => &self.counters.resyncs,
            Pushed::Overflow => &self.counters.overflows,
            Pushed::Ignored => return,
        };
        counter.fetch_add(1, Ordering::Relaxed);
    }
}

/// A lock that a panicking holder cannot take away from the others: what it guards is changed
/// by whole operations that do not panic half-way.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests;
