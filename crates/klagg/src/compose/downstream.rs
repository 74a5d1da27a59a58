//! What stands behind the engine: gateway, read scheduler, database writer.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use klagg_engine::{Engine, HistoryPage, HistoryReader, HistoryWriter, WorkerReadHandle};
use klagg_gateway::{
    Consumer, ConsumerReport, GatewayError, GatewayParts, GatewayReport, GlobalKlines,
    ReadScheduler, SchedulerStatus, Unwritten, gateway_task,
};
use klagg_store::{Store, StoreWriter, WriterHandle};
use klagg_web::WebConsumer;
use tokio::runtime::Handle;
use tokio::sync::{mpsc, watch};
use tokio::task::{JoinHandle, spawn_blocking};

use crate::config::Config;
use crate::db_writer::HistoryPull;
use crate::logs::say;
use crate::parts;

/// Snapshots that may wait to wake the database writer.
const DB_QUEUE: usize = 4;
/// History pages that may wait for the gateway.
const PAGES: usize = 64;
/// A consumer that takes longer than this is named.
const SLOW_CONSUMER: Duration = Duration::from_millis(50);

/// What the gateway reads from and writes to.
pub(super) struct Upstream {
    pub(super) readers: Vec<WorkerReadHandle>,
    pub(super) history: (HistoryWriter, HistoryReader),
    pub(super) klines: watch::Sender<Arc<GlobalKlines>>,
}

/// What runs behind the engine.
pub(super) struct Downstream {
    gateway: JoinHandle<Result<GatewayReport, GatewayError>>,
    gateway_shutdown: watch::Sender<bool>,
    scheduler: std::thread::JoinHandle<Vec<ConsumerReport>>,
    scheduler_status: SchedulerStatus,
    waker: JoinHandle<()>,
    writer: Option<StoreWriter>,
    pages: mpsc::Sender<HistoryPage>,
}

impl Downstream {
    /// Starts everything behind the engine. `clock` is the exchange's time.
    pub(super) fn start(
        config: &Config,
        upstream: Upstream,
        store: Option<Store>,
        web: Option<WebConsumer>,
        clock: klagg_backfill::Clock,
    ) -> anyhow::Result<Self> {
        let Upstream { readers, history: (history_writer, history), klines } = upstream;
        let snapshots = klines.subscribe();
        let writer = store.map(|store| {
            let periods = config.engine.periods.clone();
            let unwritten = Unwritten::new(history.clone(), periods);
            let mut pull = HistoryPull::new(unwritten, snapshots.clone());
            StoreWriter::spawn(store, parts::writer(config), move |rows| pull.pull(rows))
        });
        let writer = writer.transpose()?;
        let (db_queue, mut snapshots_out) = mpsc::channel(DB_QUEUE);
        let handle = writer.as_ref().map(StoreWriter::handle);
        let waker = tokio::spawn(async move {
            while snapshots_out.recv().await.is_some() {
                if let Some(handle) = &handle {
                    handle.wake();
                }
            }
        });
        let consumers = web.map(|web| Box::new(web) as Box<dyn Consumer>).into_iter().collect();
        let scheduler = ReadScheduler::new(history, consumers, SLOW_CONSUMER);
        let scheduler_status = scheduler.status();
        let scheduler = scheduler
            .start(snapshots, &Handle::current())
            .context("cannot start the read scheduler's thread")?;
        let (pages, pages_rx) = mpsc::channel(PAGES);
        let (gateway_shutdown, shutdown) = watch::channel(false);
        let gateway_parts = GatewayParts {
            readers,
            history: history_writer,
            pages: pages_rx,
            klines,
            db_queue,
            shutdown,
        };
        let gateway =
            tokio::spawn(gateway_task(parts::gateway(config), gateway_parts, move || clock()));
        Ok(Self { gateway, gateway_shutdown, scheduler, scheduler_status, waker, writer, pages })
    }

    /// Where history pages go.
    pub(super) fn pages(&self) -> mpsc::Sender<HistoryPage> {
        self.pages.clone()
    }

    /// The database writer, if there is one.
    pub(super) fn writer_handle(&self) -> Option<WriterHandle> {
        self.writer.as_ref().map(StoreWriter::handle)
    }

    /// How the consumers fare.
    pub(super) fn consumers(&self) -> SchedulerStatus {
        self.scheduler_status.clone()
    }

    /// Drains the engine, whose feeds and controls must be gone, through the gateway into the
    /// store, and waits for every part.
    pub(super) async fn end(self, engine: Arc<Engine>) -> anyhow::Result<()> {
        let Self { gateway, gateway_shutdown, scheduler, waker, writer, pages, .. } = self;
        drop(pages);
        let engine = Arc::into_inner(engine).context("a feed still holds the engine")?;
        // The workers end once the gateway has taken their last delta, so both are waited for
        // at once.
        let engine = spawn_blocking(move || engine.join());
        gateway_shutdown.send_replace(true);
        let gateway = gateway.await.context("the gateway broke")??;
        let engine = engine.await.context("the engine broke")??;
        spawn_blocking(move || scheduler.join())
            .await?
            .map_err(|_| anyhow::anyhow!("the read scheduler broke"))?;
        waker.await.context("the database writer's waker broke")?;
        let trades: u64 = engine.workers.iter().map(|worker| worker.trades).sum();
        if let Some(writer) = writer {
            let written = spawn_blocking(move || writer.flush_and_join())
                .await
                .context("the database writer broke")??;
            say(&format!(
                "stopped: {trades} trades folded, {} klines written in {} commits",
                written.rows_written, written.commits
            ));
        } else {
            say(&format!("stopped: {trades} trades folded"));
        }
        anyhow::ensure!(
            gateway.unfinished.is_empty(),
            "workers {:?} did not hand out their last klines in time; the next start fetches them",
            gateway.unfinished
        );
        Ok(())
    }
}
