//! Joins a stream connection to the engine: trades in, watermarks and interruptions behind them.

use klagg_binance::{FeedSink, SinkRefusal};
use klagg_engine::EngineFeed;
use klagg_kline::{SymbolId, Trade, UnixMillis};

/// The engine's end of one connection.
#[derive(Debug)]
pub(crate) struct EngineSink(pub(crate) EngineFeed);

impl FeedSink for EngineSink {
    fn on_trade(&mut self, symbol: SymbolId, trade: Trade) -> Result<(), SinkRefusal> {
        self.0.push(symbol, trade).map_err(|_| SinkRefusal::Full)
    }

    fn on_event_time(&mut self, time: UnixMillis) {
        self.0.watermark(time);
    }

    fn on_interrupted(&mut self) {
        self.0.interrupted();
    }

    fn flush(&mut self) -> Result<(), SinkRefusal> {
        match self.0.try_flush() {
            Ok(true) => Ok(()),
            Ok(false) => Err(SinkRefusal::Full),
            Err(_) => Err(SinkRefusal::Closed),
        }
    }
}
