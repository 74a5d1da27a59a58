//! What snapshots hold: closed klines like any other, and open minutes as the fold of what was
//! handed over.
//!
//! An open minute shows by its ids how far it has come. Between its first and its last id it holds
//! exactly what was handed over, where each came in its turn. What came late, behind a higher id,
//! may have been held back for or left out: then the minute holds no more than all of them, and
//! its ends are right. What a worker that broke has lost, it holds or not.

use klagg_gateway::GlobalKlines;
use klagg_kline::{Kline, Period, SymbolId};

use crate::agenda::Millis;
use crate::market::{Aggregate, Listing, MINUTE};
use crate::oracle::{Oracle, truth_of};
use crate::outcome::Rule;
use crate::process::Process;
use crate::scenario::Scenario;
use crate::truth::{Truth, of_aggregates};

impl Oracle {
    /// Looks at the values of every slot that a snapshot changed.
    pub(super) fn slots_hold(
        &mut self,
        klines: &GlobalKlines,
        process: &Process,
        scenario: &Scenario,
    ) {
        if let Some(what) = self.slots.differs(&process.gateway.history) {
            self.violated(Rule::O3, what);
        }
        self.slots.answered.resize(klines.workers.len(), 0);
        for (answered, worker) in self.slots.answered.iter_mut().zip(&klines.workers) {
            if worker.consecutive_timeouts == 0 {
                *answered = self.arrivals.next_place();
            }
        }
        let changed = std::mem::take(&mut self.slots.changed);
        for slot in &changed {
            let period = klines.periods.get(slot.period_index);
            if let Some(record) = &slot.closed {
                self.record(scenario, slot.symbol, period, record);
            }
            if let Some(record) = &slot.open
                && period == Period::M1
            {
                self.must_hold_what_came(scenario, slot.symbol, &record.kline);
                self.must_be_whole(scenario, slot.symbol, record);
            }
        }
        self.slots.changed = changed;
    }

    fn must_hold_what_came(&mut self, scenario: &Scenario, symbol: SymbolId, kline: &Kline) {
        let Some(listing) = self.listing(scenario, symbol) else {
            return self.violated(Rule::O8, format!("{symbol} is open, and has no number"));
        };
        let is_right = if kline.has_ids() {
            self.holds_what_came((symbol, listing), scenario, kline)
        } else {
            kline.is_flat() && self.stands_at_a_known_price((symbol, listing), scenario, kline)
        };
        if !is_right {
            let (name, told) = (&listing.terms.name, truth_of(kline));
            let ids = (kline.first_id.0, kline.last_id.0);
            let what = format!("the open minute of {name} ({symbol}), {ids:?}, is {told:?}");
            self.violated(Rule::O2, what);
        }
    }

    fn holds_what_came(
        &self,
        (symbol, listing): (SymbolId, &Listing),
        scenario: &Scenario,
        kline: &Kline,
    ) -> bool {
        let Some(&number) = self.listings.get(symbol.index()) else { return false };
        let (open, until) = (kline.open_time.0, kline.open_time.0 + MINUTE);
        let (first, last) = (kline.first_id.0, kline.last_id.0);
        let traded = traded(scenario, listing, open);
        let is_in_it = |id| first <= id && id <= last;
        let told = truth_of(kline);
        let is_some_of_them = || {
            let all = of_aggregates(traded, open, until, is_in_it);
            all.is_some_and(|all| is_part_of(&told, &all))
        };
        if !std::ptr::eq(traded, listing) {
            return is_some_of_them();
        }
        let ends = [first, last].map(|id| listing.aggregate(id));
        let [Some(lowest), Some(highest)] = ends else { return false };
        if lowest.time < open || highest.time >= until {
            return false;
        }
        let came = |id| is_in_it(id) && !self.arrivals.is_lost(number, id);
        let mut places = (first..=last).map(|id| self.arrivals.place(number, id));
        let mut newest = 0;
        let in_turn = places.all(|place| {
            let rises = place > newest;
            newest = if place == u64::MAX { newest } else { place };
            rises
        });
        if of_aggregates(listing, open, until, came) == Some(told) {
            return true;
        }
        let is_broken = self.arrivals.was_broken(symbol.index() % scenario.workers, open);
        (!in_turn || is_broken) && is_some_of_them()
    }

    /// Whether a minute in which nothing came stands at the price of the newest aggregate before
    /// it that its worker had folded when it last answered in time, or of a later one: an answer
    /// that comes late tells of any moment since
    /// (`an_open_minute_of_a_late_answer_stands_where_it_stood`), and klines tell of what has not
    /// come. What was handed over to a worker that broke may be lost with it. Of a symbol of which
    /// nothing has come in this life, the minute stands at what an earlier one kept: maybe the
    /// price of the first trade that it saw of this very minute, at which it made up the
    /// provisional minute before (`a_flat_minute_may_stand_at_what_an_earlier_life_saw_of_it`). Of
    /// a name listed anew, it stands at any price before it of the new listing, as what is handed
    /// to the old number is nobody's
    /// (`an_open_minute_of_a_name_listed_anew_may_stand_at_the_new_ones_price`).
    fn stands_at_a_known_price(
        &self,
        (symbol, listing): (SymbolId, &Listing),
        scenario: &Scenario,
        kline: &Kline,
    ) -> bool {
        let Some(&number) = self.listings.get(symbol.index()) else { return false };
        let open = kline.open_time.0;
        let ended = |until| listing.aggregates.partition_point(|of| of.time < until);
        let came = |of: &Aggregate| !self.arrivals.is_lost(number, of.id);
        let before = &listing.aggregates[..ended(open)];
        let candidates = if before.iter().any(came) {
            let worker = symbol.index() % scenario.workers;
            let answered = self.slots.answered.get(worker).copied().unwrap_or(0);
            let is_folded = |of: &Aggregate| {
                self.arrivals.place(number, of.id) < answered
                    && !self.arrivals.was_broken(worker, of.sent)
            };
            let first_held = self.first_held((symbol, before), scenario, answered);
            &before[before[..first_held].iter().rposition(is_folded).unwrap_or(0)..]
        } else {
            &listing.aggregates[..ended(open + MINUTE)]
        };
        let is_at = |of: &Aggregate| of.price == kline.close.scaled();
        let anew = traded(scenario, listing, open);
        let is_at_the_new_ones =
            || anew.aggregates.iter().take_while(|of| of.time < open).any(is_at);
        candidates.iter().any(is_at) || (!std::ptr::eq(anew, listing) && is_at_the_new_ones())
    }

    /// The place among the aggregates before a minute from which on all were held before a place in
    /// the order, behind an id that is left out and that another copy might have brought. The first
    /// of them that came has waited by the feed's time
    /// (`an_open_minute_stands_at_a_fill_before_those_that_are_held`).
    fn first_held(
        &self,
        (symbol, before): (SymbolId, &[Aggregate]),
        scenario: &Scenario,
        answered: u64,
    ) -> usize {
        let Some(&number) = self.listings.get(symbol.index()) else { return before.len() };
        let feed = symbol.index() % scenario.connections;
        let now = self.arrivals.told_at(feed, answered);
        let mut first = before.len();
        let mut since = Millis::MAX;
        for at in (1..before.len()).rev().filter(|_| scenario.redundant && scenario.hold_ms > 0) {
            let (of, last) = (&before[at], &before[at - 1]);
            let place = self.arrivals.place(number, of.id);
            if place < answered {
                since = since.min(of.time.max(self.arrivals.told_at(feed, place)));
            }
            if since <= now - scenario.hold_ms {
                break;
            }
            if last.id + 1 != of.id || self.arrivals.place(number, last.id) >= answered {
                first = at;
            }
        }
        first
    }
}

/// The listing whose trades a kline of a number holds. Until a look has seen that its name was
/// listed anew, those of the other one go to the old number; contracts come on board at full
/// minutes, so that none holds both
/// (`what_is_traded_of_a_name_listed_anew_is_open_at_the_old_number_until_a_look`).
fn traded<'a>(scenario: &'a Scenario, listing: &'a Listing, open: Millis) -> &'a Listing {
    let is_anew = |of: &&Listing| {
        of.terms.name == listing.terms.name
            && of.terms.listed_at > listing.terms.listed_at
            && of.terms.listed_at <= open
    };
    scenario.listings.iter().find(is_anew).unwrap_or(listing)
}

/// Whether a kline can hold some of the trades of another one, with its first and its last.
fn is_part_of(part: &Truth, all: &Truth) -> bool {
    (part.open_time, part.open, part.close) == (all.open_time, all.open, all.close)
        && part.high <= all.high
        && part.low >= all.low
        && part.count <= all.count
        && part.volume <= all.volume
        && part.quote_volume <= all.quote_volume
        && part.taker_volume <= all.taker_volume
        && part.taker_quote_volume <= all.taker_quote_volume
}
