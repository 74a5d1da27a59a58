//! The live part of the pipeline: from the first socket to the last commit.

use std::sync::Arc;

use anyhow::Context;
use klagg_backfill::Discovery;
use klagg_binance::{ConnectionId, Feed};
use klagg_engine::{Engine, EngineControl, FeedId, NewSymbolSpec};
use klagg_store::Store;
use klagg_web::WebConsumer;
use tokio::sync::watch;

use super::downstream::{Downstream, Upstream};
use super::{Opened, StoredUntil, notices};
use crate::config::Config;
use crate::feed_sink::EngineSink;
use crate::logs::say;
use crate::parts;

/// Runs until `stop` turns true, then drains everything that was accepted.
///
/// # Errors
/// What could not be started, or which part broke.
pub(super) async fn run(
    config: &Config,
    opened: Opened,
    consumer: Option<WebConsumer>,
    found: &Discovery,
    mut stop: watch::Receiver<bool>,
) -> anyhow::Result<()> {
    let Opened { rest, tls, index, store, history, klines, status, .. } = opened;
    let stored_until = stored_until(config, store.as_ref(), found)?;
    let mut engine = Engine::start(parts::engine(config)).context("cannot start the engine")?;
    let control = engine.control();
    let upstream = Upstream { readers: engine.take_readers(), history, klines };
    let clock = rest.clock().clone();
    let downstream =
        Downstream::start(config, upstream, store.map(|store| (store, stored_until)), consumer, {
            move || clock.exchange()
        })?;
    status.writer(downstream.writer_handle());
    status.consumers(downstream.consumers());

    let engine = Arc::new(engine);
    let feeds = Arc::clone(&engine);
    let connect = move |id: ConnectionId| EngineSink(feeds.feed(FeedId(id.0)));
    let (mut feed, taken) = Feed::start(parts::stream(config)?, tls, index.clone(), connect)
        .context("exchange.stream_url or the feed's settings cannot be used")?;
    add_symbols(&mut feed, &control, found)?;
    status.feed(feed.counts_reader());
    feed.subscribe(&found.active).await.context("cannot subscribe the symbols")?;

    tokio::select! {
        biased;
        _ = stop.wait_for(|stop| *stop) => {}
        () = notices::watch(taken, &status, |_| ()) => {}
    }
    say("stopping: writing what is under way");
    status.phase("stopping");
    feed.stop().await;
    drop(control);
    downstream.end(engine).await
}

/// Tells the engine which symbols there are and which connection carries each.
fn add_symbols<S: klagg_binance::FeedSink>(
    feed: &mut Feed<S>,
    control: &EngineControl,
    found: &Discovery,
) -> anyhow::Result<()> {
    let assignments = feed.assign(&found.active).context("cannot spread the symbols")?;
    for assignment in assignments {
        control
            .add_symbol(NewSymbolSpec {
                id: assignment.symbol,
                feed: FeedId(assignment.connection.0),
                previous_close: None,
                next_id: None,
            })
            .context("cannot add a symbol to the engine")?;
    }
    Ok(())
}

/// Up to where each series is stored and confirmed.
fn stored_until(
    config: &Config,
    store: Option<&Store>,
    found: &Discovery,
) -> anyhow::Result<StoredUntil> {
    let mut until = StoredUntil::new();
    let Some(store) = store else { return Ok(until) };
    for &symbol in &found.active {
        for (index, &period) in (0_u8..).zip(config.engine.periods.as_slice()) {
            if let Some(time) = store.complete_until(symbol, period)? {
                until.insert((symbol, index), time);
            }
        }
    }
    Ok(until)
}
