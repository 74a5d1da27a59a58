//! What all handlers share.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use klagg_kline::UnixMillis;
use tokio::sync::watch;
use tokio::time::Instant;

use crate::WebLimits;
use crate::hub::Hub;
use crate::live::encode::Standing;
use crate::source::Source;

/// The state behind every handler of the public address.
#[derive(Debug)]
pub(crate) struct App {
    pub(crate) limits: WebLimits,
    pub(crate) source: Source,
    pub(crate) hub: Arc<Hub>,
    pub(crate) sockets: SocketCounters,
    pub(crate) shutdown: watch::Receiver<bool>,
    pub(crate) overview: crate::api::Overviews,
    started: Instant,
}

/// What was done on websockets since the start.
#[derive(Debug, Default)]
pub(crate) struct SocketCounters {
    pub(crate) messages_sent: AtomicU64,
    pub(crate) strikes: AtomicU64,
    pub(crate) closed_behind: AtomicU64,
    pub(crate) closed_stopping: AtomicU64,
    pub(crate) closed_for_cause: AtomicU64,
}

impl SocketCounters {
    pub(crate) fn add(counter: &AtomicU64) {
        counter.fetch_add(1, Ordering::Relaxed);
    }
}

impl App {
    pub(crate) fn new(
        limits: WebLimits,
        source: Source,
        hub: Arc<Hub>,
        started: Instant,
        shutdown: watch::Receiver<bool>,
    ) -> Arc<Self> {
        let sockets = SocketCounters::default();
        let overview = crate::api::Overviews::default();
        Arc::new(Self { limits, source, hub, sockets, shutdown, overview, started })
    }

    /// The time now, in the exchange's time line.
    pub(crate) fn now(&self) -> UnixMillis {
        (self.source.parts.clock)()
    }

    /// Time since the start, for what must not jump.
    pub(crate) fn uptime(&self) -> Duration {
        self.started.elapsed()
    }

    /// Where the data stand.
    pub(crate) fn standing(&self) -> Standing {
        let now = self.now();
        self.source.look(|klines| Standing {
            sequence: klines.sequence,
            published_at: klines.published_at,
            exchange_time: klines.exchange_time,
            now,
        })
    }
}
