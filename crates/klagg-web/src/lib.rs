//! Everything spoken to people: live websocket, REST, compatible API, page, health, metrics.
//!
//! Always true here:
//! - Nobody who connects can delay the pipeline or another client: what is published is left in
//!   a bounded outbox per client, conflated to the newest state, and taken by that client's task.
//! - History and live data meet in one snapshot: a client is registered first, history is read
//!   after, so that nothing falls between the two; what is lost is said, by a fresh snapshot or
//!   by closing.
//! - Every size, count and time has a bound ([`WebLimits`]); what a bound refuses is counted.
//! - Names of symbols are untrusted text everywhere.
//!
//! Deliberately absent: anything that changes the program's state, files read from disk by a
//! path of the network, TLS (a proxy's job).
//!
//! The protocol of `/ws/kline/live` is written down in `src/live.rs`, what of the exchange's API
//! is served in `src/exchange.rs`.

mod admin;
mod answer;
mod api;
mod app;
mod config;
mod consumer;
mod error;
mod exchange;
mod hub;
mod line;
mod live;
mod page;
mod parts;
mod query;
mod server;
mod source;
mod status;
mod transport;

pub use config::{MissingOrigin, WebConfig, WebLimits};
pub use consumer::{WatchedSlots, WebConsumer};
pub use error::WebError;
pub use parts::WebParts;
pub use server::WebServer;
pub use status::{
    BackfillStatus, FeedStatus, HistogramSample, MetricKind, MetricSample, StatusReport,
};
