//! Open minutes: one of which a trade is missing is never shown as if it were whole.
//!
//! Nobody knows of what was lost behind the last trade that came; but of those before it the ids
//! tell at once. Raw ids tell nothing: the exchange leaves out what was not of the market.

use klagg_kline::{KlineRecord, KlineStatus, SymbolId};

use crate::market::{Listing, MINUTE};
use crate::oracle::{Oracle, truth_of};
use crate::outcome::Rule;
use crate::scenario::Scenario;
use crate::truth::of_aggregates;

impl Oracle {
    /// An open minute that is not said to be broken lacks nothing up to its last trade.
    pub(super) fn must_be_whole(
        &mut self,
        scenario: &Scenario,
        symbol: SymbolId,
        open: &KlineRecord,
    ) {
        let says_so = open.status == KlineStatus::Open && open.kline.has_ids();
        let Some(listing) = self.listing(scenario, symbol).filter(|_| says_so) else { return };
        if scenario.is_raw {
            return;
        }
        let (from, last) = (open.kline.open_time.0, open.kline.last_id.0);
        let until = from + MINUTE;
        let fold = of_aggregates(listing, from, until, |id| id <= last);
        let told = truth_of(&open.kline);
        // A name that is listed anew is that of the old number until the list is looked at
        // (`a_name_listed_anew_on_the_same_day_while_the_process_was_down_is_another_symbol`).
        let is_another = |of: &Listing| {
            let (of, this) = (&of.terms, &listing.terms);
            of.name == this.name && of.listed_at > this.listed_at && of.listed_at < until
        };
        if fold != Some(told) && !scenario.listings.iter().any(is_another) {
            let name = &listing.terms.name;
            let what = format!("open minute of {name} is {told:?}, its aggregates {fold:?}");
            self.violated(Rule::P5, what);
        }
    }
}
