//! Closed klines: each is the fold of all its aggregates, as far as anybody could know.
//!
//! A minute may be closed by the feed's time where its symbol is quiet. If an aggregate of it was
//! lost on a connection that lived, nobody can know before the next one comes: then, and only
//! then, a kline without its last aggregates passes. What was sent while no socket of ours was to
//! carry it is known to be missing, though not what it was. Longer klines are made of minutes of
//! which some are official by now and others are folds.

use klagg_kline::{Kline, Period, SymbolId};

use crate::agenda::Millis;
use crate::market::{Aggregate, Listing, MINUTE};
use crate::oracle::{Oracle, truth_of};
use crate::outcome::Rule;
use crate::scenario::Scenario;
use crate::truth::{Truth, of_aggregates, official};

/// After the end of a minute, the feed's time at which it may be closed without a later trade.
pub(super) const GRACE: Millis = 500;
/// Most ways to put a longer kline together that are tried.
const WAYS_MAX: usize = 4_096;

impl Oracle {
    pub(super) fn must_be_the_fold(
        &mut self,
        (symbol, listing): (SymbolId, &Listing),
        scenario: &Scenario,
        period: Period,
        kline: &Kline,
    ) {
        let (open, until) = (kline.open_time.0, period.next_open_time(kline.open_time).0);
        let told = truth_of(kline);
        let fold = of_aggregates(listing, open, until, |_| true);
        if fold == Some(told) {
            return;
        }
        let place = (symbol, period, open);
        if self.accepted.get(&place).is_some_and(|accepted| accepted.same_values(kline)) {
            return;
        }
        let passes = if period == Period::M1 {
            self.lacks_only_the_unknown((symbol, listing), scenario, kline)
        } else {
            self.is_made_of_minutes((symbol, listing), (open, until), &told)
        };
        if passes {
            self.accepted.insert(place, *kline);
            return;
        }
        let name = &listing.terms.name;
        let what = format!("{period} of {name} ({symbol}) is {told:?}, its aggregates {fold:?}");
        self.violated(Rule::O2, what);
    }

    /// Whether a minute is the fold of its first aggregates, and of the others nobody could know
    /// when it closed.
    fn lacks_only_the_unknown(
        &self,
        (symbol, listing): (SymbolId, &Listing),
        scenario: &Scenario,
        kline: &Kline,
    ) -> bool {
        let (open, until) = (kline.open_time.0, kline.open_time.0 + MINUTE);
        let last = if kline.has_ids() { kline.last_id.0 } else { i64::MIN };
        let fold = of_aggregates(listing, open, until, |id| id <= last);
        let is_flat = kline.is_flat() && !kline.has_ids();
        if !is_flat && fold != Some(truth_of(kline)) {
            return false;
        }
        let Some(&number) = self.listings.get(symbol.index()) else { return false };
        let feed = symbol.index() % scenario.connections;
        let closed_at = self.arrivals.reached(feed, until + GRACE);
        let in_it = |of: &&Aggregate| of.time >= open && of.time < until && of.id > last;
        let Some(missing) = listing.aggregates.iter().find(in_it) else {
            return is_flat && self.is_last_known((number, listing), until, closed_at, kline);
        };
        let later = listing.aggregates[usize::try_from(missing.id - 1).unwrap_or(0)..].iter();
        let mut later = later.take(400);
        !self.arrivals.is_unwanted(number, missing.id)
            && later.all(|of| self.arrivals.place(number, of.id) > closed_at)
    }

    /// Whether a minute without trades is flat at the price of the last one before it that anybody
    /// could know when it closed: where the trades behind that one were lost on a connection that
    /// lived, the minute that lacks them passes, and so do the flat ones behind it.
    fn is_last_known(
        &self,
        (number, listing): (u16, &Listing),
        until: Millis,
        closed_at: u64,
        kline: &Kline,
    ) -> bool {
        let before = listing.aggregates.partition_point(|of| of.time < until);
        let unknown = |of: &&Aggregate| self.arrivals.place(number, of.id) > closed_at;
        let lost = listing.aggregates[..before].iter().rev().take_while(unknown).count();
        let known = &listing.aggregates[..before - lost];
        lost > 0 && known.last().is_some_and(|of| of.price == kline.close.scaled())
    }

    /// Whether a longer kline is the sum of minutes, each official or a fold.
    fn is_made_of_minutes(
        &self,
        (symbol, listing): (SymbolId, &Listing),
        (open, until): (Millis, Millis),
        told: &Truth,
    ) -> bool {
        let mut minutes = Vec::new();
        let mut ways = 1_usize;
        let mut minute = open;
        while minute < until {
            let end = minute + MINUTE;
            let accepted = self.accepted.get(&(symbol, Period::M1, minute)).map(truth_of);
            let mut of: Vec<Truth> = [
                official(listing, minute, end, Millis::MAX),
                of_aggregates(listing, minute, end, |_| true),
                accepted,
            ]
            .into_iter()
            .flatten()
            .collect();
            of.dedup();
            ways = ways.saturating_mul(of.len().max(1));
            if !of.is_empty() {
                minutes.push(of);
            }
            minute = end;
        }
        if ways > WAYS_MAX {
            return true;
        }
        (0..ways).any(|way| sum(open, &minutes, way).as_ref() == Some(told))
    }
}

/// The sum of minutes, of each the one that `way` picks.
fn sum(open: Millis, minutes: &[Vec<Truth>], mut way: usize) -> Option<Truth> {
    let mut whole: Option<Truth> = None;
    for of in minutes {
        let minute = &of[way % of.len()];
        way /= of.len();
        match &mut whole {
            None => whole = Some(Truth { open_time: open, ..*minute }),
            Some(whole) => whole.append(minute),
        }
    }
    whole
}
