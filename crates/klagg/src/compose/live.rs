//! The live part of the pipeline: from the first socket to the last commit.

use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use klagg_backfill::{
    BackfillCommand, BackfillCounts, BackfillError, BackfillParts, BackfillProgress, Clock,
    Discovery, Lookout, StoreParts, backfill_task,
};
use klagg_binance::{ConnectionId, CrossCheck, Feed, FeedNotice, RestClient, Tls, WeightStatus};
use klagg_engine::{Engine, FeedId};
use klagg_gateway::GlobalKlines;
use klagg_kline::SymbolId;
use klagg_store::Store;
use klagg_symbols::SymbolIndex;
use klagg_web::{WatchedSlots, WebConsumer};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;

use super::Opened;
use super::downstream::{Downstream, Upstream};
use super::ending::Ending;
use super::listings::{self, Listings, Looked, PendingLook, add_symbols};
use super::liveness::Liveness;
use super::notices::{self, News, Wakes};
use super::workers;
use crate::config::Config;
use crate::feed_sink::EngineSink;
use crate::logs::say;
use crate::parts;
use crate::progress::{self, Show};
use crate::status::{Status, connection_name};
use crate::supervision::Pulses;

/// Commands that may wait for the backfill.
const BACKFILL_COMMANDS: usize = 64;
/// How often is looked which symbols people look at.
const WATCHED_CADENCE: Duration = Duration::from_secs(1);

/// Runs until `stop` turns true, then drains everything that was accepted.
///
/// # Errors
/// What could not be started, or which part broke.
pub(super) async fn run(
    config: &Config,
    opened: Opened,
    consumer: Option<WebConsumer>,
    (found, show, end): (&Discovery, Show, &mut Option<Ending>),
    stop: watch::Receiver<bool>,
) -> anyhow::Result<()> {
    let Opened { rest, archive, tls, index, store, history, klines, status, .. } = opened;
    let Opened { exchange_info, pulses, .. } = opened;
    let (store_readers, reader) = (store.as_ref().map(Store::reader_factory), history.1.clone());
    let (supervision, gave_up) = workers::supervision(config);
    let mut engine = Engine::start_supervised(parts::engine(config), supervision)
        .context("cannot start the engine")?;
    let (control, clock) = (engine.control(), exchange_clock(&rest, klines.subscribe()));
    let upstream = Upstream { readers: engine.take_readers(), history, klines };
    let looked_at = consumer.as_ref().map(WebConsumer::watched);
    let watched = (Arc::clone(&clock), &pulses);
    let mut downstream = Downstream::start(config, upstream, store, consumer, watched)?;
    downstream.show(&status);

    let engine = Arc::new(engine);
    let (mut feed, taken) = start_feed(config, tls, &index, &engine, &pulses)?;
    add_symbols(&mut feed, &control, (&found.active, clock()), |_| None)?;
    status.feed(feed.counts_reader(), feed.received());
    feed.subscribe(&found.active).await.context("cannot subscribe the symbols")?;

    let (live_from, live_seen) = watch::channel(None);
    let backfill = Backfill::start(
        config,
        (&found.active, rest.weight()),
        (&status, show, &pulses, looked_at),
        |progress, shutdown, commands| {
            status.backfill(progress.subscribe());
            let store = store_readers.zip(downstream.writer_handle());
            BackfillParts {
                rest: rest.clone(),
                archive,
                index: index.clone(),
                listed: found.listed.clone(),
                engine: control.clone(),
                history: reader,
                pages: downstream.pages(),
                store: store.map(|(reader, writer)| StoreParts { reader, writer }),
                clock: Arc::clone(&clock),
                live_from: live_seen,
                holes: downstream.take_holes(),
                commands,
                progress,
                shutdown,
            }
        },
    );
    let mut listings = Listings {
        concurrency: config.backfill.concurrency,
        writer: downstream.writer_handle(),
        backfill: backfill.as_ref().map(|backfill| backfill.commands.clone()),
        status: status.clone(),
        lookout: Lookout::new(listings::LOOKOUT, parts::symbol_filter(config)),
        untold: VecDeque::new(),
        clock,
        rest,
        index,
        control,
        exchange_info,
    };
    listings.begin(found);
    let (wakes, woken) = Wakes::new(feed.connections(), live_from);
    let mut heard = Heard { stop, gave_up, notices: taken, woken, pulses };
    let broken = follow((config, &status), &mut heard, wakes, &mut listings, &mut feed).await;
    say("stopping: writing what is under way");
    status.phase("stopping");
    drop(listings);
    let ending = end.insert(Ending::begin());
    // Whatever became of the backfill, what was accepted is drained.
    let backfilled = ending.wait("the backfill", STAGE_SHARE, Backfill::end(backfill)).await;
    let _ = ending.wait("the feed", STAGE_SHARE, feed.stop()).await;
    let drained = downstream.end(engine, ending).await;
    broken.and(drained).and(backfilled.unwrap_or(Ok(())))
}

/// Who may say that something happened.
struct Heard {
    stop: watch::Receiver<bool>,
    gave_up: watch::Receiver<Option<String>>,
    notices: mpsc::Receiver<FeedNotice>,
    woken: mpsc::Receiver<News>,
    pulses: Pulses,
}

/// Follows the market until `stop` turns true or the feed ends.
///
/// # Errors
/// If a worker has ended for good.
async fn follow(
    (config, status): (&Config, &Status),
    heard: &mut Heard,
    wakes: Wakes,
    listings: &mut Listings,
    feed: &mut Feed<EngineSink>,
) -> anyhow::Result<()> {
    let Heard { stop, gave_up, notices, woken, pulses } = heard;
    let faults = workers::obey_faults(listings.control.clone());
    let liveness = Liveness {
        check: CrossCheck::new(parts::cross_check(config)),
        received: feed.received(),
        index: listings.index.clone(),
        control: listings.control.clone(),
        status: status.clone(),
    };
    let following = async {
        tokio::select! {
            biased;
            _ = stop.wait_for(|stop| *stop) => {}
            sentence = workers::given_up(gave_up) => anyhow::bail!(sentence),
            () = faults => {}
            () = notices::watch(notices, status, wakes, liveness) => {}
            () = keep_looking(listings, feed, woken) => {}
        }
        Ok(())
    };
    pulses.keep("the watch over the market", TASK_BOUND, following).await
}

/// How long the backfill and the feed may each take to end; the feed gives up after a second what
/// a worker does not take.
const STAGE_SHARE: Duration = Duration::from_millis(1_200);
/// Beats of the tasks here, once a second, and of a connection, which tries anew for half a minute
/// at most.
const TASK_BOUND: Duration = Duration::from_secs(10);
const CONNECTION_BOUND: Duration = Duration::from_mins(1);

/// The exchange's time: what was measured, and never less than what the feed has carried.
fn exchange_clock(rest: &RestClient, klines: watch::Receiver<Arc<GlobalKlines>>) -> Clock {
    let measured = rest.clock().clone();
    Arc::new(move || {
        let carried = klines.borrow().exchange_time;
        carried.map_or(measured.exchange(), |carried| carried.max(measured.exchange()))
    })
}

/// A feed whose connections each have an end of the engine.
fn start_feed(
    config: &Config,
    tls: Tls,
    index: &SymbolIndex,
    engine: &Arc<Engine>,
    pulses: &Pulses,
) -> anyhow::Result<(Feed<EngineSink>, mpsc::Receiver<FeedNotice>)> {
    let engine = Arc::clone(engine);
    let (pulses, silence) = (pulses.clone(), Duration::from_millis(config.feed.silent_after_ms));
    let connect = move |id: ConnectionId| EngineSink {
        feed: engine.feed(FeedId(id.0)),
        heart: pulses.heart(&connection_name(id), CONNECTION_BOUND + silence),
    };
    Feed::start(parts::stream(config)?, tls, index.clone(), connect)
        .context("exchange.stream_url or the feed's settings cannot be used")
}

/// Looks at the exchange's list whenever the lookout says so. A look waits for its weight, as long
/// as a ban lasts: meanwhile news are heard, and a stream that is mute is subscribed anew.
async fn keep_looking(
    listings: &mut Listings,
    feed: &mut Feed<EngineSink>,
    news: &mut mpsc::Receiver<News>,
) {
    let mut look: Option<PendingLook> = None;
    loop {
        if look.is_none() && listings.is_due() {
            look = Some(listings.look());
        }
        let patience = if look.is_some() { Duration::MAX } else { listings.patience() };
        tokio::select! {
            found = under_way(&mut look) => {
                look = None;
                listings.apply(found, feed).await;
            }
            heard = news.recv() => match heard {
                Some(News::Mute(symbol)) => feed.renew(symbol).await,
                Some(news) => listings.hear(&news),
                // The feed has ended: its other end decides what that means.
                None => return std::future::pending().await,
            },
            () = tokio::time::sleep(patience) => {}
        }
    }
}

/// What the look under way finds; without one, nothing ever.
async fn under_way(look: &mut Option<PendingLook>) -> Looked {
    match look {
        Some(look) => look.await,
        None => std::future::pending().await,
    }
}

/// Tells the backfill which symbols and periods people look at, whenever that has changed.
async fn tell_watched(looked_at: Option<WatchedSlots>, backfill: mpsc::Sender<BackfillCommand>) {
    let Some(looked_at) = looked_at else { return std::future::pending().await };
    let mut told = BTreeSet::new();
    loop {
        tokio::time::sleep(WATCHED_CADENCE).await;
        let now = looked_at.now();
        if now != told {
            let slots = now.iter().copied().collect();
            // Full: it is told with the next look.
            if backfill.try_send(BackfillCommand::Watch(slots)).is_ok() {
                told = now;
            }
        }
    }
}

/// The running backfill, and what shows it to a person.
struct Backfill {
    shown: JoinHandle<()>,
    task: JoinHandle<Result<BackfillCounts, BackfillError>>,
    shutdown: watch::Sender<bool>,
    commands: mpsc::Sender<BackfillCommand>,
}

impl Backfill {
    /// Starts it, unless it is switched off.
    fn start(
        config: &Config,
        (symbols, weight): (&[SymbolId], WeightStatus),
        (status, show, pulses, looked_at): (&Status, Show, &Pulses, Option<WatchedSlots>),
        parts_of: impl FnOnce(
            watch::Sender<BackfillProgress>,
            watch::Receiver<bool>,
            mpsc::Receiver<BackfillCommand>,
        ) -> BackfillParts,
    ) -> Option<Self> {
        if !config.backfill.enabled {
            return None;
        }
        let (shutdown, stop) = watch::channel(false);
        let (commands, taken) = mpsc::channel(BACKFILL_COMMANDS);
        let progress = watch::Sender::new(BackfillProgress::begin(weight));
        let shown = tokio::spawn(progress::show(progress.subscribe(), show));
        let parts = parts_of(progress, stop, taken);
        let backfill = Box::pin(backfill_task(parts::backfill(config), symbols.to_vec(), parts));
        let told = tell_watched(looked_at, commands.clone());
        let task = async move {
            tokio::select! {
                ended = backfill => ended,
                () = told => std::future::pending().await,
            }
        };
        let (status, pulses) = (status.clone(), pulses.clone());
        let task = tokio::spawn(async move {
            let ended = pulses.keep("the backfill", TASK_BOUND, task).await;
            if let Err(error) = &ended {
                tracing::error!(%error, "the backfill has ended; klines stay unconfirmed");
                status.fallen(format!("the backfill has ended: {error}; start klagg again"));
            }
            ended
        });
        Some(Self { shown, task, shutdown, commands })
    }

    /// Ends it, if it was started.
    async fn end(backfill: Option<Self>) -> anyhow::Result<()> {
        let Some(Self { shown, task, shutdown, .. }) = backfill else { return Ok(()) };
        shutdown.send_replace(true);
        task.await.context("the backfill broke")?.context("the backfill ended early")?;
        shown.await.context("the progress display broke")
    }
}
