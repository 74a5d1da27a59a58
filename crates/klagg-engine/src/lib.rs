//! The lock-free kline engine: sequencer, shards, worker threads, deltas, history. Sync, no runtime, no network.
