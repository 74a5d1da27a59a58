//! The newest trade that was handed on of each symbol, shared: for whoever compares it with what
//! the market says elsewhere.
//!
//! Written by the connection that owns the symbol, read by anybody. The two numbers of a trade are
//! written one after the other, so that a reader may see one of each of two trades: a look that
//! comes again every second can live with that.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU32, Ordering};

use klagg_kline::{Price, SymbolId, UnixMillis};

use crate::plan::ConnectionId;

/// No connection, no trade.
const NONE: u32 = u32::MAX;
const NEVER: i64 = i64::MIN;

/// The newest trade that was handed on of a symbol.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LastTrade {
    /// Its price.
    pub price: Price,
    /// When the exchange sent it.
    pub event_time: UnixMillis,
}

#[derive(Debug)]
struct Cell {
    connection: AtomicU32,
    price: AtomicI64,
    event_time: AtomicI64,
}

/// The newest trades of all symbols. Clones share them.
#[derive(Debug, Clone)]
pub struct Received {
    cells: Arc<[Cell]>,
}

impl Received {
    pub(crate) fn new(symbols_max: usize) -> Self {
        let cell = || Cell {
            connection: AtomicU32::new(NONE),
            price: AtomicI64::new(0),
            event_time: AtomicI64::new(NEVER),
        };
        Self { cells: std::iter::repeat_with(cell).take(symbols_max).collect() }
    }

    /// The connection that carries a symbol, if one does.
    pub fn connection(&self, symbol: SymbolId) -> Option<ConnectionId> {
        let number = self.cells.get(symbol.index())?.connection.load(Ordering::Relaxed);
        u16::try_from(number).ok().map(ConnectionId)
    }

    /// The newest trade of a symbol; `None` before the first.
    pub fn last(&self, symbol: SymbolId) -> Option<LastTrade> {
        let cell = self.cells.get(symbol.index())?;
        let event_time = cell.event_time.load(Ordering::Relaxed);
        let price = Price::from_scaled(cell.price.load(Ordering::Relaxed));
        (event_time != NEVER).then_some(LastTrade { price, event_time: UnixMillis(event_time) })
    }

    pub(crate) fn assign(&self, symbol: SymbolId, connection: Option<ConnectionId>) {
        if let Some(cell) = self.cells.get(symbol.index()) {
            let number = connection.map_or(NONE, |connection| connection.0.into());
            cell.connection.store(number, Ordering::Relaxed);
        }
    }

    #[inline]
    pub(crate) fn record(&self, symbol: SymbolId, price: Price, event_time: UnixMillis) {
        // A copy that is behind brings older trades after newer ones.
        if let Some(cell) = self.cells.get(symbol.index())
            && event_time.0 >= cell.event_time.load(Ordering::Relaxed)
        {
            cell.price.store(price.scaled(), Ordering::Relaxed);
            cell.event_time.store(event_time.0, Ordering::Relaxed);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_copy_that_is_behind_does_not_bring_back_an_older_trade() {
        let received = Received::new(1);
        let symbol = SymbolId(0);
        for (price, millis) in [(1, 100), (2, 200), (1, 100)] {
            received.record(symbol, Price::from_scaled(price), UnixMillis(millis));
        }
        let newest = LastTrade { price: Price::from_scaled(2), event_time: UnixMillis(200) };
        assert_eq!(received.last(symbol), Some(newest));
    }
}
