//! The budget shared by all callers: a request waits here until its weight may be spent.
//!
//! Always true here: whoever waits with a higher priority is served before a lower one; a permit
//! is settled exactly once, also when the request is cancelled.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;

use crate::clock::ExchangeClock;
use crate::weight::{Priority, Refusal, WeightBudget, WeightStatus};
use klagg_kline::UnixMillis;

/// Longest sleep before the budget is asked again; a safety net, not a cadence.
const SLEEP_MAX: Duration = Duration::from_secs(30);

/// A [`WeightBudget`] with a clock and a queue before it. Clones share it.
#[derive(Debug, Clone)]
pub struct WeightGate {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    state: Mutex<State>,
    changed: Notify,
    clock: ExchangeClock,
}

#[derive(Debug)]
struct State {
    budget: WeightBudget,
    /// Callers that wait, by priority.
    waiting: [u32; Priority::ALL.len()],
}

impl WeightGate {
    /// A gate before `budget`.
    pub fn new(budget: WeightBudget, clock: ExchangeClock) -> Self {
        let state = State { budget, waiting: [0; Priority::ALL.len()] };
        let shared = Shared { state: Mutex::new(state), changed: Notify::new(), clock };
        Self { shared: Arc::new(shared) }
    }

    /// Waits until `weight` may be spent.
    pub async fn acquire(&self, weight: u32, priority: Priority) -> WeightPermit {
        let _waiting = Waiting::enter(&self.shared, priority);
        loop {
            // Registered before looking, so that a change in between is not missed.
            let changed = self.shared.changed.notified();
            let mut changed = std::pin::pin!(changed);
            changed.as_mut().enable();
            let sleep = match self.look(weight, priority) {
                Look::Granted => return WeightPermit::new(Arc::clone(&self.shared), weight),
                Look::Wait(sleep) => sleep.min(SLEEP_MAX),
            };
            // Whichever comes first; both mean the same: look again.
            drop(tokio::time::timeout(sleep, changed).await);
        }
    }

    fn look(&self, weight: u32, priority: Priority) -> Look {
        let now = self.shared.clock.local();
        let mut state = self.shared.lock();
        if state.waiting[priority as usize + 1..].iter().any(|&count| count > 0) {
            return Look::Wait(SLEEP_MAX);
        }
        state.budget.set_offset(self.shared.clock.offset_ms());
        match state.budget.try_spend(now, weight, priority) {
            Ok(()) => Look::Granted,
            Err(short) => Look::Wait(short.retry_at.map_or(SLEEP_MAX, |at| {
                Duration::from_millis(u64::try_from(at.since(now)).unwrap_or(0) + 1)
            })),
        }
    }

    /// The exchange refused; gives the end of the refusal by our clock.
    pub(crate) fn refuse(&self, refusal: Refusal) -> UnixMillis {
        let now = self.shared.clock.local();
        self.shared.lock().budget.refuse(now, refusal)
    }

    /// Takes over the limit that the exchange states.
    pub(crate) fn set_limit(&self, limit: u32) {
        self.shared.lock().budget.set_limit(limit);
        self.shared.changed.notify_waiters();
    }

    /// The state now.
    pub fn status(&self) -> WeightStatus {
        self.shared.lock().budget.status(self.shared.clock.local())
    }
}

enum Look {
    Granted,
    Wait(Duration),
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        // The budget's methods leave it whole at every point where they could panic.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Counts a caller as waiting until it is served or gives up.
struct Waiting<'a> {
    shared: &'a Shared,
    priority: Priority,
}

impl<'a> Waiting<'a> {
    fn enter(shared: &'a Shared, priority: Priority) -> Self {
        shared.lock().waiting[priority as usize] += 1;
        Self { shared, priority }
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.shared.lock().waiting[self.priority as usize] -= 1;
        self.shared.changed.notify_waiters();
    }
}

/// Weight that was granted; settled when dropped.
#[derive(Debug)]
pub struct WeightPermit {
    shared: Arc<Shared>,
    weight: u32,
    used: Option<u32>,
}

impl WeightPermit {
    fn new(shared: Arc<Shared>, weight: u32) -> Self {
        Self { shared, weight, used: None }
    }

    /// What the exchange reported as used in its minute.
    pub fn report_used(&mut self, used: u32) {
        self.used = Some(used);
    }
}

impl Drop for WeightPermit {
    fn drop(&mut self) {
        let now = self.shared.clock.local();
        self.shared.lock().budget.settle(now, self.weight, self.used);
        self.shared.changed.notify_waiters();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_higher_priority_is_served_first_and_a_cancelled_permit_is_settled() {
        let gate = WeightGate::new(WeightBudget::new(100, 100), ExchangeClock::start());
        let permit = gate.acquire(90, Priority::Bulk).await;
        assert_eq!(gate.status().used, 90);
        let bulk = gate.clone();
        let bulk = tokio::spawn(async move { bulk.acquire(1, Priority::Bulk).await });
        let urgent = gate.acquire(10, Priority::Urgent).await;
        assert_eq!(gate.status().used, 100);
        drop((permit, urgent));
        assert_eq!(gate.status().used, 100, "settled weight counts for a minute more");
        bulk.abort();
        assert!(bulk.await.is_err(), "the bulk request had no room");
        assert_eq!(gate.status().spent_total, 100);
        assert!(gate.shared.lock().waiting.iter().all(|&count| count == 0));
    }
}
