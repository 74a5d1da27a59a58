//! REST and stream client of the exchange: weight budget, connections, liveness.
//!
//! Always true here:
//! - The weight of REST requests stays within our share of the limit in any minute, and no
//!   request is sent while the exchange refuses them ([`WeightBudget`]).
//! - An acknowledged subscription proves nothing: a connection counts as up when data arrived, and
//!   is replaced when it falls silent ([`ConnectionPolicy`]).
//! - Nothing that a socket delivered is dropped for lack of room: the socket is not read until the
//!   sink takes more, so that the exchange's end waits.
//! - Every task is joined on shutdown. Every frame that is not handed on is counted.
//! - Plain text is spoken within this machine only, unless [`PlainText::Anywhere`] is chosen.
//!
//! What decides is pure and takes time and randomness as arguments; sockets, clocks and tasks are
//! thin shells around it. Deliberately absent: the exchange's JSON (that is `klagg-wire`), the
//! engine (a [`FeedSink`] stands before it), a plan of what to fetch.
//!
//! # Examples
//!
//! ```
//! use std::time::Duration;
//!
//! use klagg_binance::{Backoff, PlainText, RestClient, RestConfig, Tls};
//!
//! let config = RestConfig {
//!     base_url: "https://fapi.binance.com".to_owned(),
//!     plain_text: PlainText::LoopbackOnly,
//!     user_agent: "an-example/1.0".to_owned(),
//!     connect_timeout: Duration::from_secs(5),
//!     request_timeout: Duration::from_secs(15),
//!     attempts_max: 4,
//!     backoff: Backoff { floor: Duration::from_millis(100), ceiling: Duration::from_secs(30) },
//!     weight_per_minute: 2_400,
//!     weight_share_percent: 80,
//! };
//! let client = RestClient::new(config, &Tls::new()?)?;
//! assert_eq!(client.weight().allowance, 1_920);
//! # Ok::<(), klagg_binance::BinanceError>(())
//! ```

/// Whether a seeded bug is switched on: never, but in the simulation's own build.
#[cfg(feature = "mutants")]
macro_rules! mutated {
    ($mutant:ident) => {
        klagg_mutants::is_active(klagg_mutants::Mutant::$mutant)
    };
}
#[cfg(not(feature = "mutants"))]
macro_rules! mutated {
    ($mutant:ident) => {
        false
    };
}

mod address;
mod archive;
mod backoff;
mod clock;
mod connection;
mod copies;
mod counters;
mod cross_check;
mod error;
mod event_times;
mod feed;
mod gate;
mod plan;
mod policy;
mod reading;
mod received;
mod rest;
mod stream;
mod timing;
mod tls;
mod turnstile;
mod weight;

pub use address::PlainText;
pub use archive::{ArchiveClient, ArchiveConfig, ArchiveError, ArchiveSpan};
pub use backoff::Backoff;
pub use clock::ExchangeClock;
pub use copies::{Copies, CopyId, Step};
pub use counters::{FeedCounts, RestCounts};
pub use cross_check::{CrossCheck, CrossCheckRules, Finding, LastPrice};
pub use error::BinanceError;
pub use event_times::EventTimes;
pub use feed::Feed;
pub use gate::{WeightGate, WeightPermit};
pub use plan::{Assignment, ConnectionId};
pub use policy::{Action, ConnectionPolicy, Event, Silence, Source};
pub use received::{LastTrade, Received};
pub use rest::{
    AGG_TRADES_LIMIT_MAX, AGG_TRADES_WEIGHT, KLINES_LIMIT_MAX, KlineQuery, RestClient, RestConfig,
    klines_weight,
};
pub use stream::{
    FeedNotice, FeedSink, MarketStreams, STREAMS_PER_CONNECTION_MAX, SinkRefusal, StreamConfig,
    TradeStream,
};
pub use timing::StreamTiming;
pub use tls::Tls;
pub use turnstile::Turnstile;
pub use weight::{Priority, Refusal, WeightBudget, WeightShort, WeightStatus};
