//! The server around the market: REST, websockets, and the task that sends.

pub(crate) mod archive;
pub(crate) mod frames;
pub(crate) mod hub;
pub(crate) mod rest;
pub(crate) mod socket;
pub(crate) mod streams;

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use axum::Router;
use axum::routing::get;
use klagg_kline::UnixMillis;
use klagg_wire::ContractInfo;
use tower_http::compression::CompressionLayer;

use self::hub::Hub;
use crate::clock::Clock;
use crate::market::Market;
use crate::market::view::Sight;
use crate::weight::WeightCounter;
use crate::{SimConfig, SimCounters, Spoiled};

/// What all connections share.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) config: SimConfig,
    pub(crate) clock: Arc<Clock>,
    pub(crate) market: Arc<Market>,
    pub(crate) hub: Hub,
    pub(crate) weight: Mutex<WeightCounter>,
    pub(crate) failing: Mutex<Option<Failing>>,
    /// Symbols whose files in the archive are spoiled.
    pub(crate) archive_faults: Mutex<archive::Faults>,
    /// Listings and settlements still to be told on `!contractInfo`, and from when on.
    pub(crate) announcements: Mutex<Vec<(UnixMillis, ContractInfo)>>,
    pub(crate) counts: Counts,
}

/// REST requests that get no good answer.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Failing {
    pub(crate) failure: Failure,
    pub(crate) requests: u32,
}

/// What is wrong with an answer.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Failure {
    /// It has this status, and a body that is no JSON.
    Status(u16),
    /// It says 200, and is this.
    Spoiled(Spoiled),
}

/// Counters of what happened. Relaxed: each stands for itself.
#[derive(Debug, Default)]
pub(crate) struct Counts {
    pub(crate) requests: AtomicU64,
    pub(crate) requests_failed: AtomicU64,
    pub(crate) requests_refused: AtomicU64,
    pub(crate) requests_banned: AtomicU64,
    pub(crate) connections: AtomicU64,
    pub(crate) connections_refused: AtomicU64,
    pub(crate) closed_rules: AtomicU64,
    pub(crate) closed_slow: AtomicU64,
    pub(crate) frames_sent: AtomicU64,
    pub(crate) frames_swallowed: AtomicU64,
    pub(crate) frames_duplicated: AtomicU64,
    pub(crate) frames_silenced: AtomicU64,
    pub(crate) archive_requests: AtomicU64,
    pub(crate) archive_files: AtomicU64,
    pub(crate) archive_bytes: AtomicU64,
}

impl Counts {
    pub(crate) fn add(counter: &AtomicU64, count: u64) {
        counter.fetch_add(count, Ordering::Relaxed);
    }

    pub(crate) fn read(&self) -> SimCounters {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        SimCounters {
            requests: read(&self.requests),
            requests_failed: read(&self.requests_failed),
            requests_refused: read(&self.requests_refused),
            requests_banned: read(&self.requests_banned),
            connections: read(&self.connections),
            connections_refused: read(&self.connections_refused),
            closed_rules: read(&self.closed_rules),
            closed_slow: read(&self.closed_slow),
            frames_sent: read(&self.frames_sent),
            frames_swallowed: read(&self.frames_swallowed),
            frames_duplicated: read(&self.frames_duplicated),
            frames_silenced: read(&self.frames_silenced),
            archive_requests: read(&self.archive_requests),
            archive_files: read(&self.archive_files),
            archive_bytes: read(&self.archive_bytes),
        }
    }
}

impl Shared {
    pub(crate) fn new(config: SimConfig) -> Self {
        let clock = Arc::new(Clock::new(config.clock));
        let market = Arc::new(Market::new(&config, clock.now()));
        Self {
            hub: Hub::new(config.seed, config.sockets),
            weight: Mutex::new(WeightCounter::new(config.weight_limit, config.refusals_until_ban)),
            failing: Mutex::new(None),
            archive_faults: Mutex::default(),
            announcements: Mutex::default(),
            counts: Counts::default(),
            clock,
            market,
            config,
        }
    }

    /// What REST sees of klines now.
    pub(crate) fn sight(&self) -> Sight {
        let now = self.clock.now();
        Sight { now, horizon: now.plus(-self.config.kline_lag_ms) }
    }

    /// Up to when trades have been published.
    pub(crate) fn published(&self) -> UnixMillis {
        self.clock.now().plus(-crate::feed::AGGREGATE_DELAY_MS)
    }

    pub(crate) fn weight(&self) -> std::sync::MutexGuard<'_, WeightCounter> {
        self.weight.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// All routes. Only exchangeInfo is large enough for compression to pay on loopback.
pub(crate) fn router(shared: Arc<Shared>) -> Router {
    let mut router = Router::new()
        .route("/fapi/v1/exchangeInfo", get(rest::serve).layer(CompressionLayer::new()))
        .route("/data/futures/um/{kind}/klines/{symbol}/{period}/{file}", get(archive::serve))
        .fallback(rest::serve);
    for path in ["", "/market", "/public", "/private"] {
        router = router
            .route(&format!("{path}/ws"), get(socket::open))
            .route(&format!("{path}/ws/{{*streams}}"), get(socket::open))
            .route(&format!("{path}/stream"), get(socket::open));
    }
    router.with_state(shared)
}
