//! The lock-free kline engine: sequencer, shards, worker threads, deltas, history.
//!
//! Always true here:
//! - A trade is folded once, into its symbol's open minute; longer klines are merged from closed
//!   minutes. The same trades give the same klines for any number of workers and any batching.
//! - One thread writes each datum. Readers are answered or copy out; none can delay a writer.
//! - Everything is bounded: lanes, batches, held trades, undelivered klines, history. Whatever is
//!   dropped is counted.
//! - A change is forgotten only after the delta that carried it was acknowledged.
//!
//! Deliberately absent: an async runtime, sockets, files, symbol names, the clock (but for the
//! pause of a worker that broke).
//!
//! Three ways in: [`Aggregator`] on the caller's thread; [`Engine`] with worker threads;
//! [`Shard`], the state of one worker as a plain value. [`history()`] keeps closed klines for
//! readers.
//!
//! # Examples
//!
//! ```
//! use std::time::Duration;
//!
//! use klagg_engine::{
//!     Continuity, Engine, EngineConfig, FeedId, NewSymbolSpec, SequencerConfig,
//! };
//! use klagg_kline::{PeriodSet, Price, Quantity, Side, SymbolId, Trade, TradeId, UnixMillis};
//!
//! let mut engine = Engine::start(EngineConfig {
//!     periods: PeriodSet::default(),
//!     workers: 2,
//!     symbols_max: 10_000,
//!     queue_batches: 64,
//!     batch_trades: 256,
//!     close_grace_ms: 500,
//!     sequencer: SequencerConfig { continuity: Continuity::Checked, held_max: 1, hold_ms: 0 },
//!     undelivered_max: 100_000,
//!     first_core: None,
//! })?;
//! let (mut feed, readers) = (engine.feed(FeedId(0)), engine.take_readers());
//! let btc = NewSymbolSpec {
//!     id: SymbolId(0),
//!     feed: FeedId(0),
//!     previous_close: None,
//!     next_id: None,
//!     since: None,
//! };
//! engine.control().add_symbol(btc)?;
//! let (price, quantity) = (Price::parse("82418.7")?, Quantity::parse("0.037")?);
//! feed.push(
//!     SymbolId(0),
//!     Trade::new(TradeId(1), UnixMillis(59_000), price, quantity, 1, Side::Buy)?,
//! )?;
//! feed.watermark(UnixMillis(60_500)); // Exchange time: the first minute and its grace are over.
//! drop(feed); // Hands over what is left.
//!
//! let mut closed = Vec::new();
//! while closed.is_empty() {
//!     let delta = readers[0].request_snapshot()?.wait(Duration::from_secs(5))?;
//!     readers[0].acknowledge(delta.sequence);
//!     closed.extend(delta.closed);
//! }
//! assert_eq!(closed[0].record.kline.close, price);
//! drop(readers);
//! assert_eq!(engine.join()?.workers[0].trades, 1);
//! # Ok::<(), Box<dyn std::error::Error>>(())
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

mod aggregator;
mod another;
mod command;
mod config;
mod delta;
mod engine;
mod error;
mod feed;
mod fill;
mod history;
mod holding;
mod late;
mod levels;
mod outgoing;
mod reader;
mod restart;
mod sequencer;
mod shard;
mod supply;
mod symbol;
mod worker;

pub use aggregator::Aggregator;
#[cfg(debug_assertions)]
#[doc(hidden)]
pub use command::WorkerFault;
pub use command::{FeedId, NewSymbolSpec};
pub use config::{Continuity, EngineConfig, SequencerConfig};
pub use delta::{KlineData, WorkerCounters, WorkerDelta};
pub use engine::{Engine, EngineControl, EngineReport};
pub use error::EngineError;
pub use feed::{EngineFeed, FeedFull, FeedTrade};
pub use fill::Hole;
pub use history::{
    ApplyOutcome, ChangeCursor, ChangedKline, HistoryConfig, HistoryPage, HistoryQuery,
    HistoryReader, HistoryWriter, Keep, history,
};
pub use reader::{PendingDelta, WorkerReadHandle};
pub use restart::{RestartConfig, RestartDecision, RestartPolicy, Supervision, WorkerEvent};
pub use shard::Shard;
