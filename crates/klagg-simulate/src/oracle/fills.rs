//! Closed minutes of fills, whose ids leave some out for no reason that anybody tells.
//!
//! A fill that was lost on a socket that lives, or overtaken by a later one, leaves what any burnt
//! id leaves. So a minute may lack it; but not if the feed was said to be cut between its
//! neighbours before the minute closed, for then every id that is left out counts as missed.

use klagg_kline::{Kline, SymbolId};

use crate::agenda::Millis;
use crate::market::{Aggregate, Listing, MINUTE};
use crate::oracle::arrivals::NEVER;
use crate::oracle::closed::GRACE;
use crate::oracle::lacking::Lacking;
use crate::oracle::{Oracle, truth_of};
use crate::scenario::Scenario;
use crate::truth::{Truth, of_aggregates};

/// Fills of a minute that may count or not are tried in all ways that make its count and volume:
/// how late one came does not say whether it counts, for while one copy is left none is put where
/// it belongs (`a_fill_that_came_a_little_late_need_not_count_among_many`). Where that is too much,
/// so many are tried, the latest ones: those that came less late count.
const TRIED_MAX: usize = 18;

/// What is known of the fills up to the end of a minute.
struct Known<'a> {
    fills: &'a [Aggregate],
    /// Of each fill: the place in the order at which it was handed over.
    places: Vec<u64>,
    /// Of each fill: the place of the first one with a higher id.
    overtaken_at: Vec<u64>,
    /// The place at which the minute was closed at the latest, if by time.
    closed_at: u64,
    feed: usize,
}

impl Known<'_> {
    /// Whether none with a higher id had been handed over before it.
    fn in_order(&self, at: usize) -> bool {
        self.places[at] < self.overtaken_at[at]
    }

    /// Whether a fill came in its order, and before the minute was closed by time.
    fn surely_counts(&self, at: usize) -> bool {
        self.in_order(at) && self.places[at] <= self.closed_at
    }

    /// How much came between a fill and what should have come after it.
    fn lag(&self, at: usize) -> u64 {
        self.places[at].saturating_sub(self.overtaken_at[at].min(self.closed_at))
    }
}

impl Oracle {
    /// Whether a closed minute lacks nothing but fills of which nobody could know.
    pub(super) fn lacks_only_what_no_id_tells(
        &self,
        (symbol, listing): (SymbolId, &Listing),
        scenario: &Scenario,
        kline: &Kline,
    ) -> bool {
        let (open, until) = (kline.open_time.0, kline.open_time.0 + MINUTE);
        let Some(known) = self.known((symbol, listing), scenario, until) else { return false };
        let in_it = known.fills.partition_point(|of| of.time < open)
            ..known.fills.partition_point(|of| of.time < until);
        if kline.is_flat() && !kline.has_ids() {
            return self.stands_at_a_fill_before_the_unknown(&known, in_it.end, kline);
        }
        let is_excused = |at: usize| self.is_excused(&known, at);
        // With a second copy, what comes a little late is put where it belongs. What comes after
        // the minute has closed amends it.
        let is_held = scenario.redundant && scenario.hold_ms > 0;
        let may_count = |&at: &usize| {
            let (place, in_order) = (known.places[at], known.in_order(at));
            place != NEVER && !known.surely_counts(at) && (in_order || is_held)
        };
        let mut late: Vec<_> = in_it.clone().filter(may_count).collect();
        late.sort_by_key(|&at| std::cmp::Reverse(known.lag(at)));
        let volume = |of: &usize| i128::from(known.fills[*of].quantity);
        let sure: Vec<_> = in_it.clone().filter(|&at| known.surely_counts(at)).collect();
        let may_all: i128 = sure.iter().chain(&late).map(volume).sum();
        let lacks = may_all - kline.volume.scaled();
        let Some(lacking) = ((sure.len() + late.len()) as u64).checked_sub(kline.trade_count)
        else {
            return false;
        };
        let lacking = usize::try_from(lacking).unwrap_or(usize::MAX);
        [late.len(), TRIED_MAX].into_iter().any(|tried| {
            let tried = late.iter().take(tried).map(|at| (*at, volume(at)));
            let fits = |missing: &[usize]| {
                let may_count = |at: &usize| known.surely_counts(*at) || late.contains(at);
                let is_taken = |at: usize| may_count(&at) && !missing.contains(&at);
                let place = |id| known.fills.binary_search_by_key(&id, |of| of.id);
                let counts = |id| place(id).is_ok_and(is_taken);
                of_aggregates(listing, open, until, counts) == Some(truth_of(kline))
                    && in_it.clone().filter(|&at| !is_taken(at)).all(is_excused)
            };
            Lacking::among(tried, fits).are(lacking, lacks)
        })
    }

    /// What a minute may have closed as though nobody has seen it: its official kline came at once.
    /// With what came out of its order, or without.
    pub(super) fn of_known_fills(
        &self,
        (symbol, listing): (SymbolId, &Listing),
        scenario: &Scenario,
        (open, with_late): (Millis, bool),
    ) -> Option<Truth> {
        let until = open + MINUTE;
        let known = self.known((symbol, listing), scenario, until)?;
        let mut in_it = known.fills.partition_point(|of| of.time < open)
            ..known.fills.partition_point(|of| of.time < until);
        let is_late = |at: usize| with_late && known.places[at] != NEVER;
        let counts = |at: usize| known.surely_counts(at) || is_late(at);
        let is_fold = in_it.all(|at| counts(at) || self.is_excused(&known, at));
        let counts = |id| known.fills.binary_search_by_key(&id, |of| of.id).is_ok_and(counts);
        is_fold.then(|| of_aggregates(listing, open, until, counts)).flatten()
    }

    /// The fold of those trades of a minute before which none with a higher id was handed over.
    pub(super) fn of_those_in_order(
        &self,
        (symbol, listing): (SymbolId, &Listing),
        scenario: &Scenario,
        open: Millis,
    ) -> Option<Truth> {
        let until = open + MINUTE;
        let known = self.known((symbol, listing), scenario, until)?;
        let place = |id| known.fills.binary_search_by_key(&id, |of| of.id);
        let in_order = |id| place(id).is_ok_and(|at| known.in_order(at));
        of_aggregates(listing, open, until, in_order)
    }

    fn known<'a>(
        &self,
        (symbol, listing): (SymbolId, &'a Listing),
        scenario: &Scenario,
        until: Millis,
    ) -> Option<Known<'a>> {
        let number = *self.listings.get(symbol.index())?;
        let fills = &listing.aggregates[..];
        let places: Vec<_> = fills.iter().map(|of| self.arrivals.place(number, of.id)).collect();
        let mut overtaken_at = vec![NEVER; fills.len()];
        let mut earliest = NEVER;
        for (at, &place) in places.iter().enumerate().rev() {
            overtaken_at[at] = earliest;
            earliest = earliest.min(place);
        }
        let feed = symbol.index() % scenario.connections;
        let closed_at = self.arrivals.reached(feed, until + GRACE);
        Some(Known { fills, places, overtaken_at, closed_at, feed })
    }

    /// Whether no id tells that a fill is missing.
    fn is_excused(&self, known: &Known<'_>, at: usize) -> bool {
        let Some(before) = (0..at).rev().find(|&of| known.in_order(of)) else { return false };
        let after = (at + 1..known.fills.len()).find(|&of| known.in_order(of));
        let after = after.map_or(NEVER, |of| known.places[of]);
        let between = (known.places[before], after.min(known.closed_at));
        !self.arrivals.was_cut_between(known.feed, between)
    }

    /// Whether a flat minute stands at the price of a fill after which all were lost without a
    /// word.
    fn stands_at_a_fill_before_the_unknown(
        &self,
        known: &Known<'_>,
        end: usize,
        kline: &Kline,
    ) -> bool {
        for at in (0..end).rev() {
            if known.fills[at].price == kline.close.scaled() {
                return true;
            }
            if known.surely_counts(at) || !self.is_excused(known, at) {
                return false;
            }
        }
        false
    }
}
