//! The exchange's rules, checked from outside: real sockets on loopback.
//!
//! Time is accelerated; nothing sleeps. Every wait is for a condition and has a deadline.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod client;
mod faults;
mod klines;
mod rest;
mod rules;
mod streams;

use klagg_kline::UnixMillis;
use klagg_sim::{Quirks, SimClock, SimConfig, SimExchange};

/// 2026-10-07T00:00:30Z.
const START: UnixMillis = UnixMillis(1_791_331_230_000);

/// A small and fast exchange, hard to read.
fn config() -> SimConfig {
    SimConfig {
        symbols: 8,
        history_days: 2,
        trades_per_second: 20.0,
        clock: SimClock::Accelerated { factor: 60.0, start: START },
        quirks: Quirks::REAL,
        ..SimConfig::demo()
    }
}

async fn exchange() -> SimExchange {
    SimExchange::start(config()).await.unwrap()
}
