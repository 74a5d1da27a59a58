//! The configuration: one TOML file, `KLAGG_` environment variables over it, flags over those.
//!
//! Always true here: every key, its default, what it allows and what it means stand once, in
//! [`keys`]. An unknown key or a bad value is refused with the key, the value, where it came from
//! and what is allowed. What the rest of the program sees is typed and checked.
//!
//! Deliberately absent: reading a key by name anywhere else.

mod keys;
mod layers;
mod print;

use std::net::SocketAddr;
use std::path::PathBuf;

use anyhow::Context;
use klagg_kline::{Period, PeriodSet};
use serde::{Deserialize, Deserializer};

pub(crate) use layers::Layers;
pub(crate) use print::print;

/// Everything that can be set.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Config {
    pub(crate) exchange: Exchange,
    pub(crate) feed: Feed,
    pub(crate) engine: Engine,
    pub(crate) history: History,
    pub(crate) gateway: Gateway,
    pub(crate) backfill: Backfill,
    pub(crate) store: Store,
    pub(crate) web: Web,
    pub(crate) log: Log,
    pub(crate) sim: Sim,
}

/// Where the exchange is and which part of it is listened to.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Exchange {
    pub(crate) rest_url: String,
    pub(crate) stream_url: String,
    pub(crate) quote_assets: Vec<String>,
    pub(crate) symbols: Vec<String>,
    pub(crate) weight_per_minute: u32,
    pub(crate) weight_percent: u8,
}

/// The websocket connections.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Feed {
    pub(crate) stream: FeedStream,
    pub(crate) path: String,
    pub(crate) streams_per_connection: usize,
    pub(crate) silent_after_ms: u64,
    pub(crate) suspect_after_ms: i64,
    pub(crate) rotate_after_seconds: u64,
    pub(crate) copies: u8,
}

/// Which trades are listened to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
pub(crate) enum FeedStream {
    /// Aggregates: documented, one message per taker order and price.
    #[serde(rename = "aggTrade")]
    AggTrade,
    /// Raw fills: exact at the minute's edge, not documented by the exchange.
    #[serde(rename = "trade")]
    Trade,
}

/// The kline engine.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Engine {
    #[serde(deserialize_with = "periods")]
    pub(crate) periods: PeriodSet,
    pub(crate) workers: usize,
    pub(crate) restarts_max: u32,
    pub(crate) first_core: i64,
    pub(crate) max_symbols: usize,
    pub(crate) close_grace_ms: i64,
    pub(crate) hold_ms: i64,
    pub(crate) batch_trades: usize,
    pub(crate) queue_batches: usize,
}

/// Klines in memory.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct History {
    pub(crate) klines: usize,
    pub(crate) daily_klines: usize,
}

/// The gateway.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Gateway {
    pub(crate) cadence_ms: u64,
    pub(crate) worker_timeout_ms: u64,
    pub(crate) alarm_threshold: u32,
}

/// Backfill and confirmation.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Backfill {
    pub(crate) enabled: bool,
    pub(crate) confirm: bool,
    pub(crate) concurrency: usize,
    pub(crate) watched: Vec<String>,
    pub(crate) archive: bool,
    pub(crate) archive_url: String,
}

/// Persistence.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Store {
    pub(crate) enabled: bool,
    pub(crate) directory: PathBuf,
    #[serde(deserialize_with = "retention_days")]
    pub(crate) retention_days: Vec<(Period, u32)>,
    pub(crate) open_cadence_ms: u64,
}

/// The web front.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Web {
    pub(crate) enabled: bool,
    pub(crate) listen: SocketAddr,
    pub(crate) admin_listen: SocketAddr,
    pub(crate) allowed_hosts: Vec<String>,
    pub(crate) allowed_origins: Vec<String>,
}

/// Logs.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Log {
    pub(crate) format: LogFormat,
    pub(crate) filter: String,
}

/// How log lines look.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum LogFormat {
    /// For people.
    Human,
    /// One JSON object a line.
    Json,
}

/// The simulated exchange that `klagg demo` starts.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Sim {
    pub(crate) seed: u64,
    pub(crate) symbols: usize,
    pub(crate) history_days: u32,
    pub(crate) trades_per_second: f64,
    pub(crate) weight_per_minute: u32,
}

fn periods<'de, D: Deserializer<'de>>(deserializer: D) -> Result<PeriodSet, D::Error> {
    let names = Vec::<String>::deserialize(deserializer)?;
    keys::period_set(&names).map_err(serde::de::Error::custom)
}

fn retention_days<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Vec<(Period, u32)>, D::Error> {
    let texts = Vec::<String>::deserialize(deserializer)?;
    let days: Result<Vec<_>, _> = texts.iter().map(|text| keys::period_days(text)).collect();
    days.map_err(serde::de::Error::custom)
}

impl Config {
    /// The configuration that the layers add up to.
    ///
    /// # Errors
    /// Names the first key that is unknown or has a value that is not allowed, and its origin.
    pub(crate) fn from_layers(layers: &Layers) -> anyhow::Result<Self> {
        let table = layers.merged()?;
        let config: Self = table.try_into().context("the configuration does not fit together")?;
        config.check()?;
        Ok(config)
    }

    /// What is allowed, but hardly meant, on a machine with so many cores: a sentence each.
    pub(crate) fn warnings(&self, cores: usize) -> Vec<String> {
        let mut warnings = Vec::new();
        let workers = self.engine.workers;
        if workers > cores {
            warnings.push(format!(
                "engine.workers = {workers} is more than the {cores} cores of this machine, so \
                 workers take turns on a core and answer late; {cores} or fewer fold as much"
            ));
        }
        if let Ok(first) = usize::try_from(self.engine.first_core)
            && first + workers > cores
        {
            warnings.push(format!(
                "engine.first_core = {first} and engine.workers = {workers} need the cores {first} \
                 to {}, but this machine has {cores}; a worker without its core is not pinned",
                first + workers - 1,
            ));
        }
        warnings
    }

    /// Says on stderr what is hardly meant.
    pub(crate) fn warn(&self) {
        let cores = std::thread::available_parallelism().map_or(usize::MAX, usize::from);
        for warning in self.warnings(cores) {
            crate::logs::say(&format!("warning: {warning}"));
        }
    }

    /// What holds between keys.
    fn check(&self) -> anyhow::Result<()> {
        let gateway = &self.gateway;
        anyhow::ensure!(
            gateway.worker_timeout_ms <= gateway.cadence_ms,
            "gateway.worker_timeout_ms = {} is longer than gateway.cadence_ms = {}; a worker must \
             answer within one cadence, so lower the first or raise the second",
            gateway.worker_timeout_ms,
            gateway.cadence_ms,
        );
        for &(period, days) in &self.store.retention_days {
            let (key, klines) = match period {
                Period::D1 => ("history.daily_klines", self.history.daily_klines),
                _ => ("history.klines", self.history.klines),
            };
            // What memory holds is loaded from the store at each start, or fetched again.
            let step = period.fixed_millis().unwrap_or(31 * 86_400_000);
            let kept = i64::from(days) * 86_400_000 / step;
            let needed = i64::try_from(klines).unwrap_or(i64::MAX);
            anyhow::ensure!(
                kept >= needed,
                "store.retention_days keeps {kept} klines of {period} ({days} days), fewer than \
                 the {needed} that {key} holds in memory; raise the first or lower the second",
            );
        }
        anyhow::ensure!(
            self.web.enabled || self.store.enabled,
            "web.enabled and store.enabled are both false, so nobody would see a kline; \
             switch one of them on"
        );
        anyhow::ensure!(
            !self.web.enabled
                || self.web.listen.port() == 0
                || self.web.listen != self.web.admin_listen,
            "web.listen and web.admin_listen are both {}; give one of them another port",
            self.web.listen,
        );
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(sets: &[(&str, &str)]) -> Result<Config, String> {
        let mut layers = Layers::default();
        for (key, value) in sets {
            layers.set(key, value, "--set");
        }
        Config::from_layers(&layers).map_err(|error| format!("{error:#}"))
    }

    #[test]
    fn the_defaults_are_a_valid_configuration() {
        let config = config(&[]).unwrap();
        assert_eq!(config.engine.periods, PeriodSet::default());
        assert_eq!(config.feed.stream, FeedStream::AggTrade);
    }

    #[test]
    fn what_does_not_fit_together_is_refused_with_both_values() {
        let error = config(&[("gateway.worker_timeout_ms", "500")]).unwrap_err();
        assert!(error.contains("500") && error.contains("cadence_ms = 100"), "{error}");
        let error = config(&[("store.retention_days", "[\"1h=30\"]")]).unwrap_err();
        assert!(error.contains("720 klines of 1h") && error.contains("history.klines"), "{error}");
        let kept = config(&[("store.retention_days", "[\"1h=42\", \"1m=1\"]")]).unwrap();
        assert_eq!(kept.store.retention_days, [(Period::H1, 42), (Period::M1, 1)]);
        let error = config(&[("web.enabled", "false"), ("store.enabled", "false")]).unwrap_err();
        assert!(error.contains("nobody would see"), "{error}");
    }

    #[test]
    fn more_workers_than_cores_are_warned_of_and_not_refused() {
        let config = config(&[("engine.workers", "9"), ("engine.first_core", "2")]).unwrap();
        let warnings = config.warnings(4);
        assert_eq!(
            warnings[0],
            "engine.workers = 9 is more than the 4 cores of this machine, so workers take turns \
             on a core and answer late; 4 or fewer fold as much"
        );
        assert!(warnings[1].contains("the cores 2 to 10, but this machine has 4"), "{warnings:?}");
        assert!(config.warnings(11).is_empty());
    }

    #[test]
    fn a_bad_value_is_named_with_its_key_its_origin_and_what_is_allowed() {
        let check = |key: &str, value: &str, words: &[&str]| {
            let error = config(&[(key, value)]).unwrap_err();
            for word in words.iter().chain(&[key, "--set"]) {
                assert!(error.contains(word), "{word}: {error}");
            }
        };
        check("gateway.cadence_ms", "0", &["10 to 60000"]);
        check("gateway.alarm_threshold", "0", &["1 to 1000"]);
        check("gateway.worker_timeout_ms", "0", &["1 to 60000"]);
        check("engine.restarts_max", "-1", &["0 to 1000"]);
        check("engine.workers", "0", &["1 to 64"]);
        check("engine.workers", "many", &["`many`", "a whole number"]);
        check("engine.periods", "[\"5m\"]", &["must include 1m"]);
        check("engine.periods", "[\"1m\", \"7m\"]", &["unknown period `7m`"]);
        check("feed.stream", "depth", &["aggTrade", "trade"]);
        check("web.listen", "localhost", &["address and port"]);
        check("exchange.rest_url", "ftp://a", &["http://", "https://"]);
        check("exchange.weight_percent", "120", &["5 to 95"]);
        check("store.enabled", "yes", &["true or false"]);
        check("store.retention_days", "[\"1m\"]", &["`1m` has no `=`"]);
        check("store.retention_days", "[\"1m=0\"]", &["whole number of days"]);
        check("store.retention_days", "[\"7m=9\"]", &["unknown period `7m`"]);
        check("engine.wrokers", "2", &["unknown key", "engine.workers"]);
    }
}
