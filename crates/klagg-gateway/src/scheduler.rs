//! The read scheduler: consumers one after the other, in a fixed order, from one task.
//!
//! Always true here:
//! - No consumer ever sees two calls at once, and each sees the same updates in the same order.
//!   So one place in the change log is every consumer's place.
//! - A kline's change is logged in the history before the snapshot with it is published; the log
//!   is read after the snapshot is taken. So what a snapshot shows as closed was told.
//! - A consumer that panics is told of, skipped from then on, and costs the others nothing.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::thread::{Builder, JoinHandle};
use std::time::Duration;

use klagg_engine::{ChangedKline, HistoryReader, KlineData};
use klagg_kline::SymbolId;
use tokio::runtime::Handle;
use tokio::sync::watch;
use tokio::time::{Instant, timeout};

use crate::consumer::ConsumerTimes;
use crate::{Consumer, ConsumerReport, GlobalKlines, Heartbeat, Update};

/// Most closed klines in one call. More come in further calls, at once.
const CLOSED_MAX: usize = 16_384;
/// How often a slow consumer is named in the log.
const SLOW_WARNING_CADENCE: Duration = Duration::from_secs(10);
/// How often the scheduler says that it lives while there is nothing to do.
const IDLE_BEAT: Duration = Duration::from_secs(1);

/// A consumer with what is kept about it.
struct Seat {
    consumer: Box<dyn Consumer>,
    name: Arc<str>,
    times: Arc<ConsumerTimes>,
    warned_at: Option<Instant>,
}

impl std::fmt::Debug for Seat {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Seat").field("name", &self.name).finish_non_exhaustive()
    }
}

/// Shows from anywhere, at any time, how the consumers fare.
#[derive(Debug, Clone)]
pub struct SchedulerStatus {
    heartbeat: Heartbeat,
    calling: Arc<AtomicUsize>,
    seats: Arc<[(Arc<str>, Arc<ConsumerTimes>)]>,
}

impl SchedulerStatus {
    /// One report for each consumer, in their order.
    pub fn reports(&self) -> Vec<ConsumerReport> {
        self.seats.iter().map(|(name, times)| times.report(name)).collect()
    }

    /// Who is being called just now. While the scheduler is silent: who does not return.
    pub fn calling(&self) -> Option<&str> {
        // Relaxed: a number to be shown, with which nothing is handed over.
        let place = self.calling.load(Relaxed).checked_sub(1)?;
        self.seats.get(place).map(|(name, _)| &**name)
    }

    /// Beats with every update and, while there is none, once a second. Silent: a consumer does
    /// not return.
    pub fn heartbeat(&self) -> &Heartbeat {
        &self.heartbeat
    }
}

/// Calls consumers, serially, whenever there is a new snapshot.
///
/// # Examples
///
/// ```
/// use std::time::Duration;
/// use klagg_engine::{HistoryConfig, history};
/// use klagg_gateway::{Consumer, GlobalKlines, ReadScheduler, Update};
/// use klagg_kline::PeriodSet;
///
/// struct Momentum;
/// impl Consumer for Momentum {
///     fn name(&self) -> &str {
///         "momentum"
///     }
///     fn on_update(&mut self, update: &Update<'_>) {
///         for &(symbol, period_index) in update.changed {
///             let _slot = update.klines.slot(symbol, usize::from(period_index));
///         }
///     }
/// }
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let periods = PeriodSet::default();
/// let capacity = vec![10; periods.len()];
/// let (_writer, reader) =
///     history(HistoryConfig { periods, symbols_max: 1, capacity, log_capacity: 64 })?;
/// let scheduler =
///     ReadScheduler::new(reader, vec![Box::new(Momentum)], Duration::from_millis(20));
/// let (klines, snapshots) = tokio::sync::watch::channel(Default::default());
/// drop(klines);
/// # let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
/// let reports = runtime.block_on(scheduler.run(snapshots));
/// assert_eq!(reports[0].name, "momentum");
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct ReadScheduler {
    seats: Vec<Seat>,
    history: HistoryReader,
    slow_limit: Duration,
    heartbeat: Heartbeat,
    /// The place of the consumer being called, from 1 up; 0: none is.
    calling: Arc<AtomicUsize>,
    /// Place in the history's change log.
    cursor: u64,
    /// The snapshot that the consumers saw last; `None` before the first.
    seen: Option<u64>,
    changed: Vec<(SymbolId, u8)>,
    logged: Vec<ChangedKline>,
    closed: Vec<KlineData>,
}

impl ReadScheduler {
    /// Consumers in the order in which they are called: strategies first, the web last. A call
    /// that takes longer than `slow_limit` is counted, and its consumer named in the log.
    pub fn new(
        history: HistoryReader,
        consumers: Vec<Box<dyn Consumer>>,
        slow_limit: Duration,
    ) -> Self {
        let seat = |consumer: Box<dyn Consumer>| {
            let name = Arc::from(consumer.name());
            Seat { consumer, name, times: Arc::default(), warned_at: None }
        };
        Self {
            seats: consumers.into_iter().map(seat).collect(),
            cursor: history.change_head(),
            history,
            slow_limit,
            heartbeat: Heartbeat::default(),
            calling: Arc::default(),
            seen: None,
            changed: Vec::new(),
            logged: Vec::new(),
            closed: Vec::new(),
        }
    }

    /// A handle for health pages and metrics.
    pub fn status(&self) -> SchedulerStatus {
        let seats = self.seats.iter().map(|seat| (seat.name.clone(), seat.times.clone()));
        SchedulerStatus {
            heartbeat: self.heartbeat.clone(),
            calling: Arc::clone(&self.calling),
            seats: seats.collect(),
        }
    }

    /// As [`ReadScheduler::run`], on a thread of its own: a consumer that blocks or computes for
    /// long then delays the consumers behind it and nobody else. On a thread of the runtime it
    /// could keep the runtime's timers from being looked at, and the gateway from its cadence.
    ///
    /// # Errors
    /// If the operating system refuses the thread.
    pub fn start(
        self,
        snapshots: watch::Receiver<Arc<GlobalKlines>>,
        runtime: &Handle,
    ) -> std::io::Result<JoinHandle<Vec<ConsumerReport>>> {
        let runtime = runtime.clone();
        let name = "klagg-read".to_owned();
        Builder::new().name(name).spawn(move || runtime.block_on(self.run(snapshots)))
    }

    /// Calls the consumers for each snapshot, until the gateway has dropped its sender and the
    /// last snapshot was seen. Snapshots that come while consumers run are skipped, but not what
    /// closed in them. For consumers whose calls are short: see [`ReadScheduler::start`].
    pub async fn run(
        mut self,
        mut snapshots: watch::Receiver<Arc<GlobalKlines>>,
    ) -> Vec<ConsumerReport> {
        loop {
            self.heartbeat.beat();
            match timeout(IDLE_BEAT, snapshots.changed()).await {
                Ok(Ok(())) => {
                    let klines = Arc::clone(&snapshots.borrow_and_update());
                    self.update(&klines);
                }
                Ok(Err(_)) => break,
                Err(_) => {}
            }
        }
        self.status().reports()
    }

    /// Tells every consumer what is new in `klines` since the last call.
    pub fn update(&mut self, klines: &Arc<GlobalKlines>) {
        let first = self.seen.is_none();
        self.changed.clear();
        self.changed.extend(klines.changed_since(self.seen.unwrap_or(0)));
        self.seen = Some(klines.sequence);
        let mut resync = first;
        // What closes from here on is the next update's: else a backfill, which writes faster
        // than consumers read, would keep them from ever seeing a newer snapshot.
        let head = self.history.change_head();
        loop {
            self.read_closed(&mut resync);
            self.call_all(klines, resync);
            if self.cursor >= head {
                break;
            }
            self.changed.clear();
            resync = false;
        }
    }

    /// Reads what closed since the last call, at most [`CLOSED_MAX`].
    fn read_closed(&mut self, resync: &mut bool) {
        self.logged.clear();
        self.closed.clear();
        let place = self.history.changes_since(self.cursor, &mut self.logged, CLOSED_MAX);
        self.cursor = place.next;
        *resync |= place.lost;
        for change in &self.logged {
            let period_index = usize::from(change.period_index);
            match self.history.get(change.symbol, period_index, change.open_time) {
                Some(record) => self.closed.push(KlineData {
                    symbol: change.symbol,
                    period_index: change.period_index,
                    record,
                }),
                // Newer klines have pushed it out of the history before it could be told.
                None => *resync = true,
            }
        }
    }

    fn call_all(&mut self, klines: &Arc<GlobalKlines>, resync: bool) {
        let update = Update { klines, changed: &self.changed, closed: &self.closed, resync };
        for (place, seat) in (1..).zip(&mut self.seats) {
            if !seat.times.panicked() {
                self.calling.store(place, Relaxed);
                seat.call(&update, self.slow_limit);
            }
        }
        self.calling.store(0, Relaxed);
    }
}

impl Seat {
    fn call(&mut self, update: &Update<'_>, slow_limit: Duration) {
        let start = Instant::now();
        // What a panic may have left half done is the consumer's own, and it is not used again.
        let outcome = catch_unwind(AssertUnwindSafe(|| self.consumer.on_update(update)));
        let took = start.elapsed();
        if let Err(panic) = outcome {
            self.times.set_panicked();
            let message = panic_message(panic.as_ref());
            let consumer = &*self.name;
            tracing::error!(consumer, message, "a consumer panicked; it is called no more");
            return;
        }
        let slow = took > slow_limit;
        self.times.record(took, slow);
        let due = self.warned_at.is_none_or(|at| start - at >= SLOW_WARNING_CADENCE);
        if slow && due {
            self.warned_at = Some(start);
            tracing::warn!(consumer = &*self.name, ?took, ?slow_limit, "a consumer is slow");
        }
    }
}

/// What a panic said.
fn panic_message(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<&str>().copied();
    text.or_else(|| panic.downcast_ref::<String>().map(String::as_str)).unwrap_or("no message")
}

#[cfg(test)]
mod tests;
