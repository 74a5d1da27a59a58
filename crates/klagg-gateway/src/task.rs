//! The gateway task: the core on a cadence, with the log and the channels around it.
//!
//! Always true here:
//! - The real-time path (`watch`) is served before the persistence path, which is never awaited.
//! - The cadence does not drift: ticks stay on the grid of the first one. A tick that took too
//!   long makes the ones it covered fall away (`MissedTickBehavior::Skip`): `Burst` would pull
//!   several times in a row for nothing, `Delay` would move the grid by every lateness.
//! - Between ticks history pages are taken, one at a time, so that a tick waits for one page at
//!   most and a page never waits for long.

use std::sync::Arc;
use std::time::Duration;

use klagg_engine::{HistoryPage, HistoryWriter, Hole, WorkerReadHandle};
use klagg_kline::UnixMillis;
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, MissedTickBehavior, interval, timeout_at};

use crate::pull::Puller;
use crate::{
    GatewayConfig, GatewayCore, GatewayCounters, GatewayError, GlobalKlines, WorkerNotice,
};

/// How long the last pulls may take once shutdown was asked for.
const SHUTDOWN_TIMEOUT: Duration = Duration::from_millis(1_500);
/// How often the workers are pulled then: they have little left, and somebody is waiting.
const SHUTDOWN_CADENCE: Duration = Duration::from_millis(10);
/// Timeouts in a row of one worker that are all told.
const TIMEOUTS_TOLD: u32 = 5;
/// How often a full persistence queue is told of.
const DB_QUEUE_WARNING_CADENCE: Duration = Duration::from_secs(10);

/// What a gateway reads from and writes to.
#[derive(Debug)]
pub struct GatewayParts {
    /// The engine's workers, in their order.
    pub readers: Vec<WorkerReadHandle>,
    /// The history, of which the gateway is the only writer.
    pub history: HistoryWriter,
    /// Older klines for the history, from the store and from the exchange.
    pub pages: mpsc::Receiver<HistoryPage>,
    /// The real-time path: always the newest snapshot.
    pub klines: watch::Sender<Arc<GlobalKlines>>,
    /// Takes the holes that workers tell of. Full is no loss: klines repair them.
    pub holes: mpsc::Sender<Hole>,
    /// The persistence path: a wake-up with each snapshot. Full is no loss, for the writer reads
    /// what it lacks from the history.
    pub db_queue: mpsc::Sender<Arc<GlobalKlines>>,
    /// Becomes `true` (or is dropped) once the feeds and controls of the engine are dropped and
    /// [`Engine::join`](klagg_engine::Engine::join) is under way on a thread of its own: then the
    /// workers are pulled until they have nothing more, a second and a half at most, and the
    /// gateway ends.
    pub shutdown: watch::Receiver<bool>,
}

/// What a gateway did, said at its end.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct GatewayReport {
    /// Snapshots published.
    pub published: u64,
    /// What was counted.
    pub counters: GatewayCounters,
    /// Workers that did not hand out everything before the gateway ended.
    pub unfinished: Vec<usize>,
}

/// Pulls, applies and publishes until shutdown. `clock` says what time it is for people.
///
/// At the end the senders in `parts` are dropped, which tells the readers to finish.
///
/// # Errors
/// [`GatewayError`] if the configuration or the workers' handles cannot work. Once it runs, it
/// does not fail.
pub async fn gateway_task(
    config: GatewayConfig,
    parts: GatewayParts,
    clock: impl Fn() -> UnixMillis + Send + Sync + 'static,
) -> Result<GatewayReport, GatewayError> {
    let GatewayParts { readers, history, mut pages, klines, holes, db_queue, .. } = parts;
    let mut shutdown = parts.shutdown;
    let misplaced = readers.iter().enumerate().find(|(place, reader)| reader.worker() != *place);
    if let Some((place, reader)) = misplaced {
        return Err(GatewayError::WorkersOutOfOrder { place, worker: reader.worker() });
    }
    let core = GatewayCore::new(&config, readers.len(), history)?;
    let puller = Puller::new(readers, config.worker_timeout);
    let mut gateway = Gateway { core, puller, klines, holes, db_queue, warned_at: None };

    let mut ticks = interval(config.cadence);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
    let mut pages_open = true;
    loop {
        tokio::select! {
            biased;
            () = stopped(&mut shutdown) => break,
            _ = ticks.tick() => gateway.tick(&clock).await,
            page = pages.recv(), if pages_open && gateway.core.has_room_for_page() => match page {
                Some(page) => gateway.core.page(&page),
                None => pages_open = false,
            },
        }
    }
    Ok(gateway.finish(&mut pages, &clock).await)
}

/// Waits until the signal is given, or nobody is left to give it.
async fn stopped(shutdown: &mut watch::Receiver<bool>) {
    let _ = shutdown.wait_for(|stop| *stop).await;
}

/// The running task's own things.
struct Gateway {
    core: GatewayCore,
    puller: Puller,
    klines: watch::Sender<Arc<GlobalKlines>>,
    holes: mpsc::Sender<Hole>,
    db_queue: mpsc::Sender<Arc<GlobalKlines>>,
    warned_at: Option<Instant>,
}

impl Gateway {
    async fn tick(&mut self, clock: &(impl Fn() -> UnixMillis + Sync)) {
        self.puller.pull(&mut self.core, clock, log_notice).await;
        self.publish(clock());
        for hole in self.core.take_holes() {
            // Closed: nobody repairs by trades here.
            if let Err(mpsc::error::TrySendError::Full(_)) = self.holes.try_send(hole) {
                self.core.hole_untold();
            }
        }
    }

    fn publish(&mut self, now: UnixMillis) {
        let snapshot = self.core.publish(now);
        self.klines.send_replace(Arc::clone(&snapshot));
        match self.db_queue.try_send(snapshot) {
            // Closed: a pipeline without a store, or its writer has ended and said why itself.
            Ok(()) | Err(mpsc::error::TrySendError::Closed(_)) => {}
            Err(mpsc::error::TrySendError::Full(_)) => {
                let failures = self.core.db_queue_full();
                self.warn_of_full_queue(failures);
            }
        }
    }

    fn warn_of_full_queue(&mut self, failures: u64) {
        let now = Instant::now();
        let due = self.warned_at.is_none_or(|at| now - at >= DB_QUEUE_WARNING_CADENCE);
        if due {
            self.warned_at = Some(now);
            tracing::warn!(
                failures,
                "the persistence queue is full; the writer will catch up from the history"
            );
        }
    }

    /// Pulls until every worker has handed out all it had, or died, or time is up.
    async fn finish(
        mut self,
        pages: &mut mpsc::Receiver<HistoryPage>,
        clock: &(impl Fn() -> UnixMillis + Sync),
    ) -> GatewayReport {
        let deadline = Instant::now() + SHUTDOWN_TIMEOUT;
        let mut ticks = interval(SHUTDOWN_CADENCE);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
        loop {
            ticks.tick().await;
            while self.core.has_room_for_page() {
                let Ok(page) = pages.try_recv() else { break };
                self.core.page(&page);
            }
            let pull = self.puller.pull(&mut self.core, clock, log_notice);
            // Cut short, a pull has applied what was answered; the rest is told below.
            let _ = timeout_at(deadline, pull).await;
            self.publish(clock());
            let all = self.unfinished().is_empty() && pages.is_empty();
            if all || Instant::now() >= deadline {
                break;
            }
        }
        let unfinished = self.unfinished();
        if !unfinished.is_empty() {
            tracing::error!(?unfinished, "workers did not hand out everything before shutdown");
        }
        let published = self.core.published().sequence;
        GatewayReport { published, counters: *self.core.counters(), unfinished }
    }

    /// The workers that may still have something to hand out.
    fn unfinished(&self) -> Vec<usize> {
        let workers = 0..self.puller.workers();
        workers.filter(|&worker| !self.core.worker(worker).has_ended()).collect()
    }
}

fn log_notice(notice: WorkerNotice) {
    match notice {
        // Each of the first ones; then, for as long as it lasts, ever more seldom.
        WorkerNotice::TimedOut { worker, consecutive } => {
            if consecutive <= TIMEOUTS_TOLD || consecutive.is_power_of_two() {
                tracing::error!(worker, consecutive, "a worker did not answer in time");
            }
        }
        WorkerNotice::Alarm { worker, consecutive } => {
            tracing::error!(worker, consecutive, "a worker does not answer; its klines are stale");
        }
        WorkerNotice::Died { worker } => {
            tracing::error!(worker, "a worker has ended; its klines are stale from now on");
        }
        WorkerNotice::Restarted { worker, restarts } => {
            tracing::warn!(worker, restarts, "a worker broke and has started again");
        }
        WorkerNotice::Recovered { worker, after } => {
            tracing::info!(worker, after, "a worker answers in time again");
        }
    }
}
