//! What the server is given: the rest of the program, as far as it may see it.

use std::fmt;
use std::sync::Arc;

use bytes::Bytes;
use klagg_engine::HistoryReader;
use klagg_gateway::GlobalKlines;
use klagg_kline::{PeriodSet, SymbolId, UnixMillis};
use klagg_store::StoreReaderFactory;
use klagg_symbols::SymbolIndex;
use tokio::sync::watch;

use crate::StatusReport;

/// The rest of the program, as far as the server may see it. Nothing here can be changed.
#[derive(Clone)]
pub struct WebParts {
    /// Names and precisions.
    pub symbols: SymbolIndex,
    /// The periods that are folded; a period's index is its place here.
    pub periods: PeriodSet,
    /// The newest closed klines, in memory.
    pub history: HistoryReader,
    /// The published state: open klines and how fresh they are.
    pub klines: watch::Receiver<Arc<GlobalKlines>>,
    /// Older klines, if there is a store.
    pub store: Option<StoreReaderFactory>,
    /// The exchange's own `exchangeInfo`, byte for byte; empty until it is known.
    pub exchange_info: watch::Receiver<Bytes>,
    /// How the program is. Called at each look at the status, the readiness and the metrics.
    pub status: Arc<dyn Fn() -> StatusReport + Send + Sync>,
    /// Since when nothing comes of a symbol that ought to: its feed is down, or delivers others
    /// only. `None` while it comes. Called for each symbol of an answer.
    pub silent_since: Arc<dyn Fn(SymbolId) -> Option<UnixMillis> + Send + Sync>,
    /// The time now, in the exchange's time line.
    pub clock: Arc<dyn Fn() -> UnixMillis + Send + Sync>,
}

impl fmt::Debug for WebParts {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("WebParts").field("periods", &self.periods).finish_non_exhaustive()
    }
}
