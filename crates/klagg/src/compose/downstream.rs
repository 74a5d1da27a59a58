//! What stands behind the engine: gateway, read scheduler, database writer.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use klagg_engine::{Engine, HistoryPage, HistoryReader, HistoryWriter, Hole, WorkerReadHandle};
use klagg_gateway::{
    Consumer, ConsumerReport, GatewayError, GatewayParts, GatewayReport, GlobalKlines,
    ReadScheduler, SchedulerStatus, Unwritten, gateway_task,
};
use klagg_store::{Store, StoreWriter, WriterHandle};
use klagg_web::WebConsumer;
use tokio::runtime::Handle;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;

use super::ending::Ending;
use crate::config::Config;
use crate::db_writer::HistoryPull;
use crate::logs::say;
use crate::parts;
use crate::status::Status;
use crate::supervision::{GATEWAY, Pulses, READ_SCHEDULER};

/// Snapshots that may wait to wake the database writer.
const DB_QUEUE: usize = 4;
/// History pages that may wait for the gateway.
const PAGES: usize = 64;
/// Holes that may wait for the backfill; further ones are repaired by klines alone.
const HOLES: usize = 256;
/// A consumer that takes longer than this is named.
const SLOW_CONSUMER: Duration = Duration::from_millis(50);
/// The gateway beats with every tick, and so does every worker that answers it.
const GATEWAY_BOUND: Duration = Duration::from_secs(3);
/// A task that is kept beats once a second.
const TASK_BOUND: Duration = Duration::from_secs(10);
/// The read scheduler beats with every update, and once a second without.
const READ_BOUND: Duration = Duration::from_secs(5);
/// The writer beats with every look at the history; a commit or the pause after a failed one may
/// lie between two.
const WRITER_BOUND: Duration = Duration::from_secs(30);
/// How long the gateway may take to hand out what the workers still hold.
const GATEWAY_SHARE: Duration = Duration::from_secs(2);
/// How long a part may take that has nothing left to do.
const IDLE_SHARE: Duration = Duration::from_millis(500);
/// How long the writer may take: all that is left.
const WRITER_SHARE: Duration = Duration::from_secs(4);

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
    holes: Option<mpsc::Receiver<Hole>>,
}

impl Downstream {
    /// Starts everything behind the engine. `clock` is the exchange's time.
    pub(super) fn start(
        config: &Config,
        upstream: Upstream,
        store: Option<Store>,
        web: Option<WebConsumer>,
        (clock, pulses): (klagg_backfill::Clock, &Pulses),
    ) -> anyhow::Result<Self> {
        let Upstream { readers, history: (history_writer, history), klines } = upstream;
        let (snapshots, watched) = (klines.subscribe(), klines.subscribe());
        let writer = store.map(|store| {
            let periods = config.engine.periods.clone();
            let unwritten = Unwritten::new(history.clone(), periods);
            let mut pull = HistoryPull::new(unwritten, snapshots.clone());
            let heart = pulses.heart("the database writer", WRITER_BOUND);
            StoreWriter::spawn(store, parts::writer(config), move |rows| {
                heart.beat();
                pull.pull(rows);
            })
        });
        let writer = writer.transpose()?;
        let (db_queue, mut snapshots_out) = mpsc::channel(DB_QUEUE);
        let handle = writer.as_ref().map(StoreWriter::handle);
        let waking = async move {
            while snapshots_out.recv().await.is_some() {
                if let Some(handle) = &handle {
                    handle.wake();
                }
            }
        };
        let keeping = pulses.clone();
        let waker = tokio::spawn(async move {
            keeping.keep("the database writer's waker", TASK_BOUND, waking).await;
        });
        let consumers = web.map(|web| Box::new(web) as Box<dyn Consumer>).into_iter().collect();
        let scheduler = ReadScheduler::new(history, consumers, SLOW_CONSUMER);
        let scheduler_status = scheduler.status();
        let heart = scheduler_status.heartbeat().clone();
        let beats = move || (!heart.is_orphan()).then(|| heart.beats());
        pulses.probe(READ_SCHEDULER, READ_BOUND, None, beats);
        let scheduler = scheduler
            .start(snapshots, &Handle::current())
            .context("cannot start the read scheduler's thread")?;
        let (pages, pages_rx) = mpsc::channel(PAGES);
        let (holes, holes_rx) = mpsc::channel(HOLES);
        let (gateway_shutdown, shutdown) = watch::channel(false);
        let gateway_parts = GatewayParts {
            readers,
            history: history_writer,
            pages: pages_rx,
            holes,
            klines,
            db_queue,
            shutdown,
        };
        let gateway = parts::gateway(config);
        let bound = GATEWAY_BOUND.max(gateway.cadence * 3);
        let heart = pulses.heart(GATEWAY, bound);
        pulses.watch_workers(config.engine.workers, bound * 2, &watched);
        let gateway = tokio::spawn(gateway_task(gateway, gateway_parts, move || {
            heart.beat();
            clock()
        }));
        Ok(Self {
            gateway,
            gateway_shutdown,
            scheduler,
            scheduler_status,
            waker,
            writer,
            pages,
            holes: Some(holes_rx),
        })
    }

    /// Where history pages go.
    pub(super) fn pages(&self) -> mpsc::Sender<HistoryPage> {
        self.pages.clone()
    }

    /// Takes the receiver of holes out; a closed one when called again.
    pub(super) fn take_holes(&mut self) -> mpsc::Receiver<Hole> {
        self.holes.take().unwrap_or_else(|| mpsc::channel(1).1)
    }

    /// The database writer, if there is one.
    pub(super) fn writer_handle(&self) -> Option<WriterHandle> {
        self.writer.as_ref().map(StoreWriter::handle)
    }

    /// Lets the status ask the writer and the consumers how they fare.
    pub(super) fn show(&self, status: &Status) {
        status.writer(self.writer_handle());
        status.consumers(self.scheduler_status.clone());
    }

    /// Drains the engine, whose feeds and controls must be gone, through the gateway into the
    /// store, and waits for every part. What a part that is stuck has handed on before is written
    /// all the same.
    pub(super) async fn end(self, engine: Arc<Engine>, ending: &mut Ending) -> anyhow::Result<()> {
        let Self { gateway, gateway_shutdown, scheduler, waker, writer, pages, .. } = self;
        drop(pages);
        // The workers end once the gateway has taken their last delta, so both are waited for
        // at once.
        let engine = Arc::into_inner(engine).map(|engine| std::thread::spawn(|| engine.join()));
        gateway_shutdown.send_replace(true);
        let gateway = ending.wait("the gateway", GATEWAY_SHARE, gateway).await;
        let engine = match engine {
            Some(engine) => ending.join("a worker", IDLE_SHARE, engine).await,
            None => None,
        };
        let scheduler = ending.join("the read scheduler", IDLE_SHARE, scheduler).await;
        let waker = ending.wait("the database writer's waker", IDLE_SHARE, waker).await;
        let written = match writer {
            Some(writer) => {
                let end = move || writer.flush_and_join();
                ending.block("the database writer", WRITER_SHARE, end).await
            }
            None => None,
        };
        let broke = |part: &'static str| move |_| anyhow::anyhow!("{part} broke");
        let trades = match engine {
            Some(engine) => {
                let workers = engine.map_err(broke("the engine"))??.workers;
                workers.iter().map(|worker| worker.trades).sum::<u64>().to_string()
            }
            None => "an unknown number of".to_owned(),
        };
        let unfinished = match gateway {
            Some(report) => report.context("the gateway broke")??.unfinished,
            None => Vec::new(),
        };
        scheduler.transpose().map_err(broke("the read scheduler"))?;
        waker.transpose().context("the database writer's waker broke")?;
        match written.transpose().map_err(broke("the database writer"))?.transpose()? {
            Some(written) => say(&format!(
                "stopped: {trades} trades folded, {} klines written in {} commits",
                written.rows_written, written.commits
            )),
            None => say(&format!("stopped: {trades} trades folded")),
        }
        anyhow::ensure!(
            unfinished.is_empty(),
            "workers {unfinished:?} did not hand out their last klines in time; the next start \
             fetches them"
        );
        Ok(())
    }
}
