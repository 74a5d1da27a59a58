//! Symbols of which nothing comes although they trade: the real cross-check, and who is named.

use std::collections::{BTreeMap, BTreeSet};

use klagg_binance::{CrossCheck, CrossCheckRules, Finding, LastPrice, LastTrade};
use klagg_kline::{Price, SymbolId, UnixMillis};

#[derive(Debug)]
pub(crate) struct Silence {
    check: CrossCheck,
    /// The newest trade that was handed on of each symbol.
    received: BTreeMap<SymbolId, LastTrade>,
    /// Symbols that are named as silent.
    mute: BTreeSet<SymbolId>,
}

impl Silence {
    pub(crate) fn new() -> Self {
        // The product's own numbers.
        let rules = CrossCheckRules {
            doubt_after_ms: 2_000,
            suspect_after_ms: 5_000,
            renew_after_ms: 30_000,
        };
        let (received, mute) = (BTreeMap::new(), BTreeSet::new());
        Self { check: CrossCheck::new(rules), received, mute }
    }

    /// A trade of a symbol was handed on.
    pub(crate) fn received(&mut self, symbol: SymbolId, price: Price, event_time: UnixMillis) {
        // A copy that is behind brings older trades after newer ones.
        if event_time >= self.heard_at(symbol) {
            self.received.insert(symbol, LastTrade { price, event_time });
        }
    }

    /// Takes a frame of tickers; gives the symbols that are doubted, and those that are to be
    /// subscribed anew.
    pub(crate) fn on_tickers(
        &mut self,
        mut rows: Vec<LastPrice>,
        is_watched: impl Fn(SymbolId) -> bool,
    ) -> (Vec<SymbolId>, Vec<SymbolId>) {
        let mut findings = Vec::new();
        rows.retain(|row| is_watched(row.symbol));
        self.check.forget(|symbol| !is_watched(symbol), &mut findings);
        let received = &self.received;
        self.check.on_tickers(&rows, |symbol| received.get(&symbol).copied(), &mut findings);
        let (mut doubted, mut suspected) = (Vec::new(), Vec::new());
        for finding in findings {
            match finding {
                Finding::Doubted(symbol) => doubted.push(symbol),
                Finding::Suspected(symbol) => {
                    self.mute.insert(symbol);
                    suspected.push(symbol);
                }
                Finding::Recovered(symbol) => {
                    self.mute.remove(&symbol);
                }
            }
        }
        (doubted, suspected)
    }

    /// When the newest trade that came of a symbol was sent.
    pub(crate) fn heard_at(&self, symbol: SymbolId) -> UnixMillis {
        self.received.get(&symbol).map_or(UnixMillis(0), |of| of.event_time)
    }

    /// Whether a symbol is named as silent.
    pub(crate) fn is_mute(&self, symbol: SymbolId) -> bool {
        self.mute.contains(&symbol)
    }
}
