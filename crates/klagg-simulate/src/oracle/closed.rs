//! Closed klines: each is the fold of all its aggregates, as far as anybody could know.
//!
//! A minute may be closed by the feed's time where its symbol is quiet. If an aggregate of it was
//! lost on a connection that lived, nobody can know before the next one comes: then, and only
//! then, a kline without its last aggregates passes. So does a flat one behind it, at the newest
//! price that was known, of an aggregate or of an official minute: a socket that is silent while
//! the process stands still loses what nothing tells of. Not if a cut was told of meanwhile, and
//! not if no socket of ours was there to carry what is missing. Longer klines are made of minutes
//! of which some are official by now and others are folds.

mod bounds;

use std::iter;

use klagg_kline::{Kline, Period, SymbolId};

use crate::agenda::Millis;
use crate::market::{Aggregate, Listing, MINUTE};
use crate::oracle::{Oracle, truth_of};
use crate::outcome::Rule;
use crate::scenario::Scenario;
use crate::truth::{Truth, of_aggregates, official};

/// After the end of a minute, the feed's time at which it may be closed without a later trade.
pub(super) const GRACE: Millis = 500;
/// Most ways to put a longer kline together that are tried; where there are more, its values have
/// to lie between what they may be.
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
            self.is_made_of_minutes((symbol, listing), scenario, (open, until), &told)
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
        if scenario.is_raw {
            return self.lacks_only_what_no_id_tells((symbol, listing), scenario, kline);
        }
        let (open, until) = (kline.open_time.0, kline.open_time.0 + MINUTE);
        let last = if kline.has_ids() { kline.last_id.0 } else { i64::MIN };
        let fold = of_aggregates(listing, open, until, |id| id <= last);
        let is_flat = kline.is_flat() && !kline.has_ids();
        if !is_flat && fold != Some(truth_of(kline)) {
            return false;
        }
        let in_it = |of: &&Aggregate| of.time >= open && of.time < until && of.id > last;
        let Some(missing) = listing.aggregates.iter().find(in_it) else {
            return is_flat && self.stands_at_the_newest_known((symbol, listing), scenario, kline);
        };
        let known = if kline.has_ids() {
            listing.place(last)
        } else {
            listing.place(missing.id).and_then(|at| at.checked_sub(1))
        };
        let known = known.map(|at| &listing.aggregates[at]);
        !self.was_told_since(known, symbol, scenario, until)
            && self.was_unknown((symbol, listing), scenario, missing, until)
    }

    /// Whether a cut was told of between a known aggregate and the close of the minute until
    /// `until`.
    fn was_told_since(
        &self,
        known: Option<&Aggregate>,
        symbol: SymbolId,
        scenario: &Scenario,
        until: Millis,
    ) -> bool {
        let Some(&number) = self.listings.get(symbol.index()) else { return false };
        let feed = symbol.index() % scenario.connections;
        let place = known.map_or(0, |of| self.arrivals.place(number, of.id));
        let closed_at = self.arrivals.reached(feed, until + GRACE);
        self.arrivals.was_cut_between(feed, (place, closed_at))
    }

    /// Whether nobody could know of an aggregate, or of one after it, when the minute until `until`
    /// closed.
    fn was_unknown(
        &self,
        (symbol, listing): (SymbolId, &Listing),
        scenario: &Scenario,
        missing: &Aggregate,
        until: Millis,
    ) -> bool {
        let Some(&number) = self.listings.get(symbol.index()) else { return false };
        let feed = symbol.index() % scenario.connections;
        let closed_at = self.arrivals.reached(feed, until + GRACE);
        let later = listing.aggregates[listing.place(missing.id).unwrap_or(0)..].iter();
        let mut later = later.take(400);
        !self.arrivals.is_unwanted(number, missing.id)
            && later.all(|of| self.arrivals.place(number, of.id) > closed_at)
    }

    /// Whether a flat minute in which nothing was traded stands at the newest price that was known,
    /// and what was traded after the newest aggregate handed over was lost without a word before
    /// the minute closed. What a process that stood still reads at once may hold the end of a
    /// minute, and only behind it the end of the socket
    /// (`a_cut_behind_the_end_of_a_flat_minute_says_nothing_of_it`).
    fn stands_at_the_newest_known(
        &self,
        (symbol, listing): (SymbolId, &Listing),
        scenario: &Scenario,
        kline: &Kline,
    ) -> bool {
        let (open, until) = (kline.open_time.0, kline.open_time.0 + MINUTE);
        let Some(&number) = self.listings.get(symbol.index()) else { return false };
        let before = &listing.aggregates[..listing.aggregates.partition_point(|of| of.time < open)];
        let known = before.iter().rposition(|of| !self.arrivals.is_lost(number, of.id));
        let Some(known) = known else { return false };
        let price = kline.close.scaled();
        let feed = symbol.index() % scenario.connections;
        let closed_at = self.arrivals.reached(feed, until + GRACE);
        // What is official later moves the price once more, but shows a little later.
        let later = self.arrivals.official_since(number, closed_at);
        let known_at = |place| self.price_known((number, listing), &before[known], (open, place));
        if !iter::once(closed_at).chain(later).any(|place| known_at(place) == price) {
            return false;
        }
        let Some(missing) = before.get(known + 1) else { return false };
        // What was lost in a worker that broke is told as well.
        !self.was_told_since(Some(&before[known]), symbol, scenario, until)
            && !self.arrivals.was_broken(symbol.index() % scenario.workers, missing.sent)
            && self.was_unknown((symbol, listing), scenario, missing, until)
    }

    /// The price before `open` as it was known at a place in the order: that of the newest
    /// aggregate handed over, or where an official minute reaches beyond it, the close of that one.
    /// It tells the price of an aggregate that was lost, but not that there was another one after
    /// it: an aggregate whose fills are on both sides of the turn of a minute makes the same
    /// difference
    /// (`a_flat_minute_stands_at_an_official_price_that_is_newer_than_the_newest_trade_known`).
    fn price_known(
        &self,
        (number, listing): (u16, &Listing),
        known: &Aggregate,
        (open, place): (Millis, u64),
    ) -> i64 {
        let end = self.arrivals.official_until(number, open, place);
        let end = end.filter(|&end| end > known.time);
        let kline = end.and_then(|end| official(listing, end - MINUTE, end, Millis::MAX));
        kline.map_or(known.price, |kline| kline.close)
    }

    /// What a minute of fills may have closed as, if its official kline came before anybody saw it.
    fn unseen(
        &self,
        (symbol, listing): (SymbolId, &Listing),
        scenario: &Scenario,
        minute: (Millis, bool),
    ) -> Option<Truth> {
        let is_raw = scenario.is_raw;
        is_raw.then(|| self.of_known_fills((symbol, listing), scenario, minute)).flatten()
    }

    /// Whether a longer kline is the sum of minutes, each official or a fold.
    fn is_made_of_minutes(
        &self,
        (symbol, listing): (SymbolId, &Listing),
        scenario: &Scenario,
        (open, until): (Millis, Millis),
        told: &Truth,
    ) -> bool {
        let mut minutes = Vec::new();
        let mut ways = 1_usize;
        // Before its first trade a listing has no minutes: a month would have thousands.
        let first = listing.first_time().unwrap_or(open);
        let mut minute = open.max(first - first.rem_euclid(MINUTE));
        while minute < until {
            let end = minute + MINUTE;
            let accepted = self.accepted.get(&(symbol, Period::M1, minute)).map(truth_of);
            let mut of: Vec<Truth> = [
                official(listing, minute, end, Millis::MAX),
                of_aggregates(listing, minute, end, |_| true),
                accepted,
                self.unseen((symbol, listing), scenario, (minute, false)),
                self.unseen((symbol, listing), scenario, (minute, true)),
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
            return bounds::may_be(told, &minutes);
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
