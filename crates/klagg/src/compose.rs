//! The pipeline, joined as in `docs/ARCHITECTURE.md`: what is opened, in which order, and how it
//! ends.
//!
//! Always true here:
//! - What can be refused at once (a busy port, a data folder in use) is tried before anything is
//!   asked of the exchange.
//! - Sockets are opened before history is asked for, so that live and history overlap.
//! - Shutdown follows the data: feeds end first, then the engine is drained through the gateway,
//!   then the database writer, the web front last. Whoever was started is waited for.

mod downstream;
mod ending;
mod listings;
mod live;
mod liveness;
mod notices;
mod opening;
mod workers;

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use bytes::Bytes;
use klagg_backfill::{ArchiveParts, Discovery, discover};
use klagg_binance::{RestClient, Tls};
use klagg_engine::{HistoryReader, HistoryWriter, history};
use klagg_gateway::GlobalKlines;
use klagg_kline::Period;
use klagg_store::{Store, StoreReaderFactory};
use klagg_symbols::SymbolIndex;
use klagg_web::{WebConsumer, WebParts, WebServer};
use tokio::sync::watch;
use tokio::task::JoinHandle;

use self::ending::Ending;
use crate::config::Config;
use crate::logs::say;
use crate::parts;
use crate::progress::Show;
use crate::status::Status;
use crate::supervision::{Guard, Pulses};

/// The parts that exist before anything was asked of the exchange.
struct Opened {
    rest: RestClient,
    archive: Option<ArchiveParts>,
    tls: Tls,
    index: SymbolIndex,
    store: Option<Store>,
    history: (HistoryWriter, HistoryReader),
    klines: watch::Sender<Arc<GlobalKlines>>,
    exchange_info: watch::Sender<Bytes>,
    status: Status,
    pulses: Pulses,
    web: Option<Web>,
}

/// The running web front.
struct Web {
    consumer: WebConsumer,
    shutdown: watch::Sender<bool>,
    task: JoinHandle<()>,
}

/// Runs the pipeline until `stop` turns true. `source` is what the page calls the exchange.
///
/// # Errors
/// What could not be opened or started, in a sentence. Once it runs, only a part that breaks its
/// own rules ends it.
pub(crate) async fn run(
    config: &Config,
    source: &'static str,
    show: Show,
    mut stop: watch::Receiver<bool>,
) -> anyhow::Result<()> {
    let mut opened = open(config, source).await?;
    let guard =
        Guard::start(opened.pulses.clone()).context("cannot start the watchdog's thread")?;
    let mut ending = None;
    let web = opened.web.take();
    let (consumer, web) = match web {
        Some(Web { consumer, shutdown, task }) => (Some(consumer), Some((shutdown, task))),
        None => (None, None),
    };
    let found = tokio::select! {
        biased;
        _ = stop.wait_for(|stop| *stop) => None,
        found = find_symbols(config, &mut opened) => Some(found),
    };
    let ended = match found {
        None => Ok(()),
        Some(Ok(found)) => {
            live::run(config, opened, consumer, (&found, show, &mut ending), stop).await
        }
        Some(Err(error)) => Err(error),
    };
    let mut ending = ending.unwrap_or_else(Ending::begin);
    if let Some((shutdown, task)) = web {
        shutdown.send_replace(true);
        if let Some(web) = ending.wait("the web front", WEB_SHARE, task).await {
            web.context("the web front broke")?;
        }
    }
    guard.end();
    ended.and(ending.verdict())
}

/// How long the web front may take to answer what was asked before the end.
const WEB_SHARE: Duration = Duration::from_secs(4);
/// The web front beats once a second.
const WEB_BOUND: Duration = Duration::from_secs(10);

/// Opens what needs no exchange, and shows the page.
async fn open(config: &Config, source: &'static str) -> anyhow::Result<Opened> {
    let tls = Tls::new().context("cannot set up TLS")?;
    let rest =
        RestClient::new(parts::rest(config), &tls).context("exchange.rest_url cannot be used")?;
    let archive = parts::archive(config, &tls)?;
    let (store, alarm) = opening::store(config, rest.clock().local())?;
    let index = opening::index(config, store.as_ref())?;
    let history = history(parts::history(config))?;
    let klines = watch::Sender::new(Arc::new(GlobalKlines::empty(config.engine.periods.clone())));
    let exchange_info = watch::Sender::new(Bytes::new());
    let pulses = Pulses::new();
    let status = Status::new(source, &rest, &klines, pulses.clone());
    status.quarantined(alarm);
    let web = None;
    let mut opened = Opened {
        rest,
        archive,
        tls,
        index,
        store,
        history,
        klines,
        exchange_info,
        status,
        pulses,
        web,
    };
    if config.web.enabled {
        let readers = opened.store.as_ref().map(Store::reader_factory);
        opened.web = Some(start_web(config, &opened, readers).await?);
    }
    Ok(opened)
}

async fn start_web(
    config: &Config,
    opened: &Opened,
    store: Option<StoreReaderFactory>,
) -> anyhow::Result<Web> {
    let (status, silence) = (opened.status.clone(), opened.status.clone());
    let clock = opened.rest.clock().clone();
    let web_parts = WebParts {
        symbols: opened.index.clone(),
        periods: config.engine.periods.clone(),
        history: opened.history.1.clone(),
        klines: opened.klines.subscribe(),
        store,
        exchange_info: opened.exchange_info.subscribe(),
        status: Arc::new(move || status.report()),
        silent_since: Arc::new(move |symbol| silence.silent_since(symbol)),
        clock: Arc::new(move || clock.exchange()),
    };
    let (server, consumer) = WebServer::bind(parts::web(config), web_parts).await.context(
        "the web front cannot start; another klagg may be running, so choose other addresses \
         with web.listen and web.admin_listen (port 0 takes a free one)",
    )?;
    say(&format!("page:    http://{}/", server.local_addr()));
    if let Some(admin) = server.admin_addr() {
        say(&format!("health:  http://{admin}/healthz  /readyz  /metrics"));
    }
    let (shutdown, stop) = watch::channel(false);
    let pulses = opened.pulses.clone();
    let task = tokio::spawn(async move {
        pulses.keep("the web front", WEB_BOUND, server.serve(stop)).await;
    });
    Ok(Web { consumer, shutdown, task })
}

/// Asks the exchange for its symbols; numbers and stores the new ones.
async fn find_symbols(config: &Config, opened: &mut Opened) -> anyhow::Result<Discovery> {
    opened.status.phase("asking the exchange for its symbols");
    let (rest, index) = (&opened.rest, &opened.index);
    rest.server_time(klagg_binance::Priority::Urgent).await.with_context(|| {
        format!(
            "{} cannot be reached; check the network and exchange.rest_url, or try `klagg demo`, \
             which needs neither",
            config.exchange.rest_url
        )
    })?;
    let filter = parts::symbol_filter(config);
    // Whoever trades later than what is stored of a name may be another listing of it.
    let stored_until = |id| {
        let store = opened.store.as_ref()?;
        store.complete_until(id, Period::M1).ok().flatten()
    };
    let found = discover(rest, &filter, index, config.backfill.concurrency, stored_until)
        .await
        .context("cannot learn which symbols there are")?;
    anyhow::ensure!(
        !found.active.is_empty(),
        "no symbol is left to follow: exchange.quote_assets = {:?}, exchange.symbols = {:?}",
        config.exchange.quote_assets,
        config.exchange.symbols,
    );
    if let Some(store) = &mut opened.store {
        for change in &found.changes {
            store.change_symbols(change).context("cannot store the symbols' numbers")?;
        }
    }
    opened.exchange_info.send_replace(found.raw.clone());
    let folder = match &opened.store {
        Some(store) => store.path().display().to_string(),
        None => "none (store.enabled = false)".to_owned(),
    };
    say(&format!("data:    {folder}"));
    say(&format!("symbols: {}, {} of them new", found.active.len(), found.appended.len()));
    Ok(found)
}
