//! A simulated exchange for a test, on threads of its own.

use std::time::Duration;

use klagg_kline::UnixMillis;
use klagg_sim::{Oracle, Quirks, SimClock, SimConfig, SimExchange};
use tokio::runtime::Runtime;

use crate::process::wait_until;

/// 2026-03-31T23:57:20Z: within minutes of the end of an hour, four hours, a day and a month.
pub(crate) const START: UnixMillis = UnixMillis(1_775_001_440_000);

/// A running market and its truth.
#[derive(Debug)]
pub(crate) struct Market {
    exchange: Option<SimExchange>,
    runtime: Runtime,
}

impl Market {
    /// A small market with everything that makes the real one hard to read, `factor` times as
    /// fast as the wall's clock.
    pub(crate) fn open(seed: u64, factor: f64) -> Self {
        Self::open_with(seed, factor, Quirks::REAL)
    }

    /// The same with other quirks.
    pub(crate) fn open_with(seed: u64, factor: f64, quirks: Quirks) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .unwrap();
        let config = SimConfig {
            seed,
            symbols: 8,
            history_days: 2,
            trades_per_second: 12.0,
            clock: SimClock::Accelerated { factor, start: START },
            quirks,
            weight_limit: 100_000,
            ..SimConfig::demo()
        };
        let exchange = Some(runtime.block_on(SimExchange::start(config)).unwrap());
        Self { exchange, runtime }
    }

    pub(crate) fn exchange(&self) -> &SimExchange {
        self.exchange.as_ref().expect("the market is open until it is dropped")
    }

    pub(crate) fn oracle(&self) -> Oracle {
        self.exchange().oracle()
    }

    /// The settings that point a klagg at this market, and at `folder`.
    pub(crate) fn settings(&self, folder: &str) -> Vec<String> {
        [
            format!("exchange.rest_url={}", self.exchange().rest_url()),
            format!("exchange.stream_url={}", self.exchange().stream_url()),
            "exchange.weight_per_minute=100000".to_owned(),
            // Ten times the default: at this speed a wall-clock second is many seconds.
            "engine.close_grace_ms=5000".to_owned(),
            "feed.suspect_after_ms=40000".to_owned(),
            format!("store.directory={folder}"),
            "web.listen=127.0.0.1:0".to_owned(),
            "web.admin_listen=127.0.0.1:0".to_owned(),
        ]
        .into_iter()
        .collect()
    }
}

impl Drop for Market {
    fn drop(&mut self) {
        if let Some(exchange) = self.exchange.take() {
            let stopped = self.runtime.block_on(exchange.stop());
            if !std::thread::panicking() {
                stopped.unwrap();
            }
        }
    }
}

/// How long a test waits for anything: generous, for machines that are busy.
pub(crate) const PATIENCE: Duration = Duration::from_mins(2);

/// Waits until the market's own clock has reached `time`.
pub(crate) fn wait_for_market(market: &Market, time: UnixMillis) {
    wait_until(&format!("the market is at {time}"), PATIENCE, || market.exchange().now() >= time);
}
