//! Who is followed: every symbol that trades, and none that has ended.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use klagg_kline::{KlineRecord, SymbolId};

use crate::agenda::Millis;
use crate::market::Listing;
use crate::oracle::Oracle;
use crate::outcome::Rule;
use crate::process::{Process, Stage};
use crate::scenario::Scenario;

/// Who has a number and trades is followed within this by the time of the process, whether the
/// exchange answers or not: it was the exchange that told of it.
const FOLLOWED_WITHIN: Duration = Duration::from_secs(65);

/// Where symbols were left.
#[derive(Debug, Default)]
pub(super) struct Followings {
    /// When the process that followed a symbol last left it, or ended.
    left_at: BTreeMap<SymbolId, Millis>,
    /// Since when this process has a number for what trades, and does not follow it.
    amiss_since: BTreeMap<SymbolId, Duration>,
}

impl Followings {
    pub(super) fn begun(&mut self, symbols: &[SymbolId]) {
        self.left_at.retain(|symbol, _| !symbols.contains(symbol));
    }

    pub(super) fn left(&mut self, symbols: impl Iterator<Item = SymbolId>, now: Millis) {
        self.left_at.extend(symbols.map(|symbol| (symbol, now)));
    }
}

impl Oracle {
    /// A process has ended that followed these symbols.
    pub(crate) fn died(&mut self, followed: &BTreeSet<SymbolId>, now: Millis) {
        self.followings.left(followed.iter().copied(), now);
        self.followings.amiss_since.clear();
    }

    /// When this process left a symbol that it followed.
    pub(crate) fn left_at(&self, symbol: SymbolId) -> Option<Millis> {
        self.followed_at.get(&symbol).and_then(|_| self.followings.left_at.get(&symbol)).copied()
    }

    /// Whether a listing is followed under its number.
    pub(crate) fn is_followed(
        &self,
        scenario: &Scenario,
        listing: &Listing,
        process: &Process,
    ) -> bool {
        let is_it = |id: &&SymbolId| {
            self.listing(scenario, **id).is_some_and(|of| std::ptr::eq(of, listing))
        };
        process.followed.iter().any(|id| is_it(&id))
    }

    /// Nothing that trades is left alone.
    pub(super) fn who_trades_is_followed(
        &mut self,
        now: Millis,
        process: &Process,
        scenario: &Scenario,
    ) {
        if process.stage != Stage::Running {
            return;
        }
        let elapsed = process.clock.elapsed(now);
        for (id, &number) in (0..).map(SymbolId).zip(&self.listings) {
            let terms = &scenario.listings[usize::from(number)].terms;
            let trades = (terms.listed_at..terms.ends_at).contains(&now);
            if !trades || process.followed.contains(&id) {
                self.followings.amiss_since.remove(&id);
                continue;
            }
            let since = *self.followings.amiss_since.entry(id).or_insert(elapsed);
            if elapsed.saturating_sub(since) > FOLLOWED_WITHIN {
                let name = &terms.name;
                let what = format!("{name} trades and has the number {id}, and is not followed");
                return self.violated(Rule::O6, what);
            }
        }
    }

    /// When a symbol was left, if a kline of it begins only after that.
    pub(super) fn begins_after_it_was_left(
        &self,
        symbol: SymbolId,
        record: &KlineRecord,
    ) -> Option<Millis> {
        let left_at = self.followings.left_at.get(&symbol).copied();
        left_at.filter(|&left_at| record.kline.open_time.0 > left_at)
    }
}
