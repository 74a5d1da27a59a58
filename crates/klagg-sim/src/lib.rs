//! An exchange on loopback that can be broken on purpose.
//!
//! Always true here:
//! - The market is a pure function of seed, symbol and simulated time. Nothing is stored: any
//!   minute, past or present, is made again when somebody asks, the same on every machine.
//! - Single fills are the truth. Aggregates are derived from them; [`Oracle`] folds them naively,
//!   with no code of the fold and merge under test.
//! - Only loopback is listened on. Every queue is bounded; who cannot keep up is closed, counted.
//!
//! Deliberately absent: orders, accounts, order books, and any knowledge of who is connected.

mod clock;
mod config;
mod control;
mod desk;
mod error;
mod exchange;
mod feed;
mod market;
mod oracle;
mod random;
mod server;
mod weight;

pub use config::{Quirks, SimClock, SimConfig, SocketRules};
pub use control::{Control, SimCounters, Spoiled};
pub use desk::{Desk, DeskAnswer, KlinesAsked};
pub use error::SimError;
pub use exchange::SimExchange;
pub use oracle::{Oracle, SimAggregate, SimSymbol};
pub use server::archive::ArchiveFault;
