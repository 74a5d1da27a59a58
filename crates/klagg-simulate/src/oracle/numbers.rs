//! Numbers of symbols: each is one listing, in this process and in every later one.

use klagg_kline::{SymbolId, UnixMillis};
use klagg_symbols::SymbolEntry;

use crate::agenda::Millis;
use crate::disk::Disk;
use crate::market::Listing;
use crate::oracle::Oracle;
use crate::outcome::Rule;
use crate::scenario::Scenario;

impl Oracle {
    /// Symbols have been given numbers.
    pub(crate) fn numbered(&mut self, appended: &[SymbolEntry], now: Millis, scenario: &Scenario) {
        for symbol in appended {
            let name = &*symbol.name;
            let is_it =
                |of: &&(usize, &Listing)| of.1.terms.name == name && of.1.terms.listed_at <= now;
            let found = scenario.listings.iter().enumerate().collect::<Vec<_>>();
            let listing = found.iter().rev().find(is_it).map_or(0, |&(number, _)| number);
            let listing = u16::try_from(listing).expect("few listings");
            if symbol.id.index() != self.listings.len() {
                self.violated(Rule::O8, format!("{name} got the number {}", symbol.id));
            }
            if self.listings.contains(&listing) {
                self.violated(Rule::O8, format!("{name} got a second number, {}", symbol.id));
            }
            self.listings.push(listing);
        }
    }

    /// The listing behind a number.
    pub(crate) fn listing<'a>(
        &self,
        scenario: &'a Scenario,
        symbol: SymbolId,
    ) -> Option<&'a Listing> {
        let number = self.listings.get(symbol.index())?;
        scenario.listings.get(usize::from(*number))
    }

    /// Whether a listing has a number.
    pub(crate) fn is_numbered(&self, scenario: &Scenario, listing: &Listing) -> bool {
        let is_it = |of: &Listing| std::ptr::eq(of, listing);
        self.listings.iter().any(|&number| is_it(&scenario.listings[usize::from(number)]))
    }

    /// After a start each number stands for the listing that got it.
    pub(super) fn numbers_must_mean_what_they_meant(&mut self, disk: &Disk, scenario: &Scenario) {
        for (symbol, &listing) in disk.symbols.iter().zip(&self.listings) {
            let terms = &scenario.listings[usize::from(listing)].terms;
            let (name, since) = (&terms.name, Some(UnixMillis(terms.listed_at)));
            if symbol.name != *name || symbol.onboard_time != since {
                let (id, told) = (symbol.id, &symbol.name);
                let what = format!("{id} was the number of {name}, now of {told}");
                return self.violated(Rule::O8, what);
            }
        }
        if disk.symbols.len() > self.listings.len() {
            let (stored, given) = (disk.symbols.len(), self.listings.len());
            self.violated(Rule::O8, format!("{stored} numbers are stored, {given} were given"));
        }
    }
}
