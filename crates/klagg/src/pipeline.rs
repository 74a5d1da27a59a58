//! `klagg run` and `klagg demo`: the same pipeline, against the exchange or a simulated one.

use std::time::Duration;

use anyhow::Context;
use klagg_sim::{SimConfig, SimExchange};
use tokio::runtime::Runtime;

use crate::cli::Settings;
use crate::config::{Config, Layers};
use crate::exit::Exit;
use crate::logs::{self, say};
use crate::{compose, stop};

/// Follows the exchange live.
///
/// # Errors
/// What could not be configured or started.
pub(crate) fn run(settings: &Settings) -> anyhow::Result<Exit> {
    let config = Config::from_layers(&settings.layers(Layers::default())?)?;
    logs::start(&config.log)?;
    config.warn();
    run_to_end(async {
        let stop = stop::requested()?;
        compose::run(&config, "Binance USD-M futures", settings.show(), stop).await
    })?;
    Ok(Exit::Success)
}

/// Starts a simulated exchange in this process and follows it.
///
/// # Errors
/// As [`run`], and if the simulated exchange cannot start.
pub(crate) fn demo(settings: &Settings) -> anyhow::Result<Exit> {
    let mut base = Layers::default();
    base.set("store.directory", "klagg-data/demo", "klagg demo");
    let wanted = Config::from_layers(&settings.layers(base)?)?;
    logs::start(&wanted.log)?;
    wanted.warn();
    run_to_end(async {
        let stop = stop::requested()?;
        let sim = SimExchange::start(sim_config(&wanted))
            .await
            .context("the simulated exchange cannot start")?;
        say(&format!("market:  simulated, {} (seed {})", sim.rest_url(), wanted.sim.seed));
        let mut config = wanted;
        config.exchange.rest_url = sim.rest_url();
        config.backfill.archive_url = sim.archive_url();
        config.exchange.stream_url = sim.stream_url();
        config.exchange.weight_per_minute = config.sim.weight_per_minute;
        let ended = compose::run(&config, "simulated exchange", settings.show(), stop).await;
        sim.stop().await.context("the simulated exchange broke")?;
        ended
    })?;
    Ok(Exit::Success)
}

/// The simulated exchange as configured.
pub(crate) fn sim_config(config: &Config) -> SimConfig {
    SimConfig {
        seed: config.sim.seed,
        symbols: config.sim.symbols,
        history_days: config.sim.history_days,
        trades_per_second: config.sim.trades_per_second,
        weight_limit: config.sim.weight_per_minute,
        ..SimConfig::demo()
    }
}

/// Runs a future to its end, and leaves behind what does not end with it.
///
/// # Errors
/// The future's, and if the system gives no threads.
pub(crate) fn run_to_end<T>(all: impl Future<Output = anyhow::Result<T>>) -> anyhow::Result<T> {
    let runtime = runtime()?;
    let ended = runtime.block_on(all);
    // Whoever was started was waited for; a task that is stuck was named.
    runtime.shutdown_timeout(LEFT_BEHIND);
    ended
}

/// How long tasks may take that nobody waits for any more.
const LEFT_BEHIND: Duration = Duration::from_millis(200);

/// Threads for sockets and timers.
///
/// # Errors
/// If the system gives none.
pub(crate) fn runtime() -> anyhow::Result<Runtime> {
    tokio::runtime::Builder::new_multi_thread()
        .thread_name("klagg-io")
        .enable_all()
        .build()
        .context("cannot start the I/O threads")
}
