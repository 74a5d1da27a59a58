//! The lock-free kline engine: sequencer, shards, worker threads, deltas, history.

mod aggregator;
mod command;
mod config;
mod delta;
mod engine;
mod error;
mod feed;
mod history;
mod levels;
mod outgoing;
mod reader;
mod sequencer;
mod shard;
mod supply;
mod symbol;
mod worker;

pub use aggregator::Aggregator;
pub use command::{FeedId, NewSymbolSpec};
pub use config::{Continuity, EngineConfig, SequencerConfig};
pub use delta::{KlineData, WorkerCounters, WorkerDelta};
pub use engine::{Engine, EngineControl, EngineReport};
pub use error::EngineError;
pub use feed::{EngineFeed, FeedFull, FeedTrade};
pub use history::{
    ApplyOutcome, ChangeCursor, ChangedKline, HistoryConfig, HistoryPage, HistoryQuery,
    HistoryReader, HistoryWriter, Keep, history,
};
pub use reader::{PendingDelta, WorkerReadHandle};
pub use shard::Shard;
