//! Joins a stream connection to the engine: trades in, watermarks and interruptions behind them.

use klagg_binance::{FeedSink, SinkRefusal};
use klagg_engine::EngineFeed;
use klagg_gateway::Heartbeat;
use klagg_kline::{SymbolId, Trade, UnixMillis};

/// The engine's end of one connection.
#[derive(Debug)]
pub(crate) struct EngineSink {
    pub(crate) feed: EngineFeed,
    /// Beats with everything that arrives.
    pub(crate) heart: Heartbeat,
}

impl FeedSink for EngineSink {
    fn on_trade(&mut self, symbol: SymbolId, trade: Trade) -> Result<(), SinkRefusal> {
        self.feed.push(symbol, trade).map_err(|_| SinkRefusal::Full)
    }

    fn on_event_time(&mut self, time: UnixMillis) {
        self.feed.watermark(time);
    }

    fn on_interrupted(&mut self) {
        self.feed.interrupted();
    }

    fn on_copies(&mut self, count: u16) {
        self.feed.copies(count);
    }

    fn on_quiet(&mut self) {
        self.feed.quiet();
    }

    fn flush(&mut self) -> Result<(), SinkRefusal> {
        self.heart.beat();
        match self.feed.try_flush() {
            Ok(true) => Ok(()),
            Ok(false) => Err(SinkRefusal::Full),
            Err(_) => Err(SinkRefusal::Closed),
        }
    }
}

/// A worker that stands still must not hold the connection's task, and with it a thread of the
/// runtime: the connection has waited for as long as it may.
impl Drop for EngineSink {
    fn drop(&mut self) {
        let trades = self.feed.abandon();
        if trades > 0 {
            tracing::warn!(trades, "trades were given up: their workers did not take them");
        }
    }
}
