//! Pull, degrade, publish; and the read scheduler.
//!
//! [`gateway_task`] asks every worker for what changed, on a cadence that does not drift, applies
//! the answers in place and publishes the whole market as one [`GlobalKlines`]: on a `watch` for
//! those who want the newest (real-time path), and as a wake-up on a bounded queue for whoever
//! writes to disk (persistence path). [`ReadScheduler`] calls [`Consumer`]s one after the other.
//!
//! Always true here:
//! - A late or dead worker costs the others nothing but, once, its timeout. What it showed stays,
//!   is told to be stale, and what it answers late is not lost.
//! - Time never goes back in a slot, and a closed kline is in the history before it is shown.
//! - Publishing costs what changed; memory is taken only while a reader holds an old snapshot.
//! - The real-time path never waits for the persistence path, nor for a reader.
//!
//! Deliberately absent: symbol names, sockets, disks, and what consumers do. [`GatewayCore`] has
//! no clock and no task either, so that a simulation can drive it.

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

mod buffers;
mod column;
mod config;
mod consumer;
mod draft;
mod gateway_core;
mod klines;
mod pull;
mod scheduler;
mod slot;
mod slot_set;
mod task;
mod unwritten;
mod watchdog;
mod worker;

pub use config::{GatewayConfig, GatewayError};
pub use consumer::{Consumer, ConsumerReport, Update};
pub use gateway_core::{GatewayCore, Taken, Timing, WorkerNotice};
pub use klines::GlobalKlines;
pub use scheduler::{ReadScheduler, SchedulerStatus};
pub use slot::KlineState;
pub use task::{GatewayParts, GatewayReport, gateway_task};
pub use unwritten::Unwritten;
pub use watchdog::{Heartbeat, PartId, Watchdog, WatchdogNotice};
pub use worker::{GatewayCounters, WorkerState};
