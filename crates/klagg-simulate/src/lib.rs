//! The deterministic simulation: the real machines in one thread, driven by a seed.
//!
//! Always true here:
//! - One heap of events keyed by time and order, one seed for all chance, no thread, no clock, no
//!   iteration in the order of a hash: two runs of a seed have the same trace.
//! - What decides is the product's own: shards, gateway, connections, weight budget, backfill,
//!   writer. What stands around them here (sockets, REST, disk, lanes) is a model that can be
//!   broken on purpose.
//! - The oracles share no code with the product.
//! - A fault plan is data: a failing one is shrunk, printed, and kept as a test.

mod agenda;
mod disk;
mod exchange;
mod market;
mod oracle;
mod outcome;
mod plan;
mod process;
mod random;
mod runner;
mod scenario;
mod shrink;
mod truth;
mod world;

pub use outcome::{Outcome, Rule, Violation};
pub use plan::{Fault, Kind, Plan, fault};
pub use runner::{Failure, Job, Report, run, run_all, shrunk};
