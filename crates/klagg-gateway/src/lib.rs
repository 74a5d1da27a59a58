//! Pull, degrade, publish; and the read scheduler.
//!
//! The gateway asks every worker for what changed, on a cadence that does not drift, applies the
//! answers in place and publishes the whole market as one [`GlobalKlines`].

mod config;
mod klines;
mod worker;

pub use config::{GatewayConfig, GatewayError};
pub use klines::{GlobalKlines, KlineState};
pub use worker::{GatewayCounters, WorkerState};
