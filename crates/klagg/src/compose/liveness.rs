//! Symbols of which nothing comes although they trade: found by their tickers, doubted, named, and
//! subscribed anew.

use klagg_binance::{ConnectionId, CrossCheck, Finding, LastPrice, Received};
use klagg_engine::EngineControl;
use klagg_kline::{SymbolId, UnixMillis};
use klagg_symbols::SymbolIndex;
use klagg_wire::MiniTicker;

use crate::status::Status;

/// Holds tickers against what the feed has handed on.
pub(super) struct Liveness {
    pub(super) check: CrossCheck,
    pub(super) received: Received,
    pub(super) index: SymbolIndex,
    pub(super) control: EngineControl,
    pub(super) status: Status,
}

impl Liveness {
    /// Takes a frame of tickers; gives the symbols that are to be subscribed anew. Symbols of
    /// connections that are down are left out: the connection is named, and all of it comes back.
    pub(super) fn on_tickers(
        &mut self,
        tickers: &[MiniTicker],
        is_live: impl Fn(ConnectionId) -> bool,
    ) -> Vec<SymbolId> {
        let table = self.index.load();
        let is_watched = |symbol: SymbolId| self.received.connection(symbol).is_some_and(&is_live);
        let ours = tickers.iter().filter(|ticker| !ticker.coin_margined);
        let rows: Vec<LastPrice> = ours
            .filter_map(|ticker| {
                let symbol = table.get_listed(&ticker.symbol).filter(|&id| is_watched(id))?;
                let (price, event_time) = (ticker.close, ticker.event_time);
                Some(LastPrice { symbol, price, event_time })
            })
            .collect();
        let mut findings = Vec::new();
        self.check.forget(|symbol| !is_watched(symbol), &mut findings);
        self.check.on_tickers(&rows, |symbol| self.received.last(symbol), &mut findings);
        let mut mute = Vec::new();
        for finding in findings {
            let (Finding::Doubted(id) | Finding::Suspected(id) | Finding::Recovered(id)) = finding;
            let Some(entry) = table.entry(id) else { continue };
            let symbol = &*entry.name;
            match finding {
                Finding::Doubted(_) => {
                    let heard = self.received.last(id).map_or(UnixMillis(0), |of| of.event_time);
                    if let Err(error) = self.control.doubt_symbol(id, heard) {
                        tracing::warn!(symbol, %error, "its minutes cannot be marked as unproven");
                    }
                }
                Finding::Suspected(_) => {
                    tracing::error!(
                        symbol,
                        "nothing comes of a symbol although it trades; it is subscribed anew"
                    );
                    self.status.symbol_mute(id, symbol);
                    mute.push(id);
                }
                Finding::Recovered(_) => {
                    tracing::info!(symbol, "a symbol's trades come again");
                    self.status.symbol_heard(id);
                }
            }
        }
        mute
    }
}
