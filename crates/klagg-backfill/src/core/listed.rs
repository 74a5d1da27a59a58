//! The exchange answers by name, and a name may be listed anew: what is asked and taken for a
//! number only while it surely is the one that its name stands for.
//!
//! Always true here: no answer is taken for a number of which the exchange's list has not been
//! seen to hold the listing within the time in which no name is listed anew. What is not asked
//! meanwhile stays missing, and is asked when the list has been seen again.

use klagg_kline::{SymbolId, UnixMillis};

use super::BackfillCore;
use crate::event::Now;

impl BackfillCore {
    /// The list that tells of the time `at` holds these symbols' own listings, whether they trade
    /// or have ended.
    pub(super) fn on_listed(&mut self, symbols: &[SymbolId], at: UnixMillis) {
        for symbol in symbols {
            if let Some(state) = self.states.get_mut(symbol) {
                state.listed_at = at;
            }
        }
    }

    /// Whether its name cannot stand for another listing yet.
    pub(super) fn has_its_name(&self, symbol: SymbolId, now: Now) -> bool {
        let within = self.config.relisting_ms;
        self.states.get(&symbol).is_none_or(|of| now.exchange.since(of.listed_at) < within)
    }
}
