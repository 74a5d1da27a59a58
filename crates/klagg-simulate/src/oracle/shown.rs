//! What is shown against what has happened: who lags says so.

use klagg_gateway::GlobalKlines;
use klagg_kline::{KlineStatus, SymbolId};

use crate::agenda::Millis;
use crate::market::MINUTE;
use crate::oracle::Oracle;
use crate::outcome::Rule;
use crate::process::{Process, Stage};
use crate::scenario::Scenario;

/// How far behind the truth a kline may be shown without a word.
pub(super) const LAG_MAX: Millis = 15_000;
/// A trade that was handed to the engine is shown within this.
const SHOWN_WITHIN: Millis = 1_500;
/// After so much silence of a feed nothing is on its way over it: the product's number.
const QUIET: Millis = 1_000;
/// A minute that came in a late answer is there within this.
const HOLE_HEALED: Millis = 20_000;
/// A new symbol is subscribed within this, where nothing is wrong.
const SUBSCRIBED_WITHIN: Millis = 15_000;
/// How long a symbol may take to be subscribed before it is looked at.
const SETTLED_AFTER: Millis = 65_000;

impl Oracle {
    pub(super) fn lag(
        &mut self,
        now: Millis,
        klines: &GlobalKlines,
        process: &Process,
        scenario: &Scenario,
    ) {
        // What stood still itself cannot know for how long.
        let stood_still = now < process.suspended_until + LAG_MAX + SHOWN_WITHIN;
        if process.stage != Stage::Running || !klines.sequence.is_multiple_of(4) || stood_still {
            return;
        }
        for &symbol in &process.followed {
            let Some(&number) = self.listings.get(symbol.index()) else { continue };
            let worker = &klines.workers[symbol.index() % scenario.workers];
            if worker.stale_since.is_some() {
                continue;
            }
            let shown = shown(klines, symbol);
            let (newest, at) = self.arrivals.newest[usize::from(number)];
            let is_due = now - at > SHOWN_WITHIN + scenario.gateway_cadence;
            let feed = process.connection_of(symbol);
            if newest > shown && is_due && !self.may_be_held(now, (feed, at), scenario) {
                self.late_trade(klines, (symbol, newest, shown), (now, at), scenario);
            }
            self.silent_symbol(klines, process, symbol);
            self.silent_lag(now, klines, process, scenario, (symbol, shown));
            self.hole(now, process, symbol);
        }
    }

    /// A trade was handed over and is not shown: then its minute was confirmed meanwhile, or it
    /// was not folded for a reason that is told.
    fn late_trade(
        &mut self,
        klines: &GlobalKlines,
        (symbol, newest, shown): (SymbolId, i64, i64),
        (now, at): (Millis, Millis),
        scenario: &Scenario,
    ) {
        let Some(listing) = self.listing(scenario, symbol) else { return };
        let Some(trade) = listing.aggregate(newest) else { return };
        // What waited for a worker that broke may be lost, and counts as lost. What was handed over
        // after its rest is folded.
        let number = symbol.index() % scenario.workers;
        let counters = &klines.workers[number].counters;
        if counters.trades_lost > 0 && self.arrivals.rested_after(number, at) {
            return;
        }
        let slot = klines.slot(symbol, 0);
        let reached = slot.as_ref().and_then(klagg_gateway::KlineState::open_time);
        // The minute has passed: by a confirmed kline, which has no ids, or by time.
        if reached.is_some_and(|reached| reached.0 > trade.time) {
            return;
        }
        let confirmed = slot
            .and_then(|slot| slot.last_closed)
            .is_some_and(|last| last.kline.open_time.0 + MINUTE > trade.time);
        if !confirmed {
            let what = format!(
                "trade {newest} of {symbol} was taken {} ms ago, and {shown} is shown",
                now - at
            );
            self.violated(Rule::P5, what);
        }
    }

    /// Minutes close one after the other: behind one that is kept there is no hole.
    fn hole(&mut self, now: Millis, process: &Process, symbol: SymbolId) {
        let history = &process.gateway.history;
        let Some(last) = history.last(symbol, 0) else { return };
        let before = last.kline.open_time.plus(-MINUTE);
        let followed_at = self.followed_at.get(&symbol).copied().unwrap_or(Millis::MAX);
        let is_settled = last.kline.open_time.0 + MINUTE + HOLE_HEALED < now
            && before.0 > followed_at.saturating_add(MINUTE);
        if is_settled && history.get(symbol, 0, before).is_none() {
            self.violated(Rule::O3, format!("minute {before} of {symbol} was left out"));
        }
    }

    fn silent_lag(
        &mut self,
        now: Millis,
        klines: &GlobalKlines,
        process: &Process,
        scenario: &Scenario,
        (symbol, shown): (SymbolId, i64),
    ) {
        let Some(listing) = self.listing(scenario, symbol) else { return };
        let Some(sent) = listing.sent_before(now - LAG_MAX).checked_sub(1) else { return };
        let newest = &listing.aggregates[sent];
        // The minute in which a symbol's feed began is whole only with its official kline.
        let followed_at = self.followed_at.get(&symbol).copied().unwrap_or(Millis::MAX);
        // What is lost of one symbol on a feed that delivers is known by its tickers alone.
        if self.arrivals.is_lost(self.listings[symbol.index()], newest.id) {
            return;
        }
        if newest.id <= shown || newest.sent < followed_at.saturating_add(SETTLED_AFTER) {
            return;
        }
        let (came, at) = self.arrivals.newest[usize::from(self.listings[symbol.index()])];
        let feed = process.connection_of(symbol);
        if came >= newest.id && self.may_be_held(now, (feed, at), scenario) {
            return;
        }
        let Some(slot) = klines.slot(symbol, 0) else { return };
        let last = slot.last_closed;
        let is_passed = last.is_some_and(|last| last.kline.open_time.0 + MINUTE > newest.time);
        let is_doubtful = last.is_some_and(|last| last.status == KlineStatus::Provisional);
        // What was lost while the feed was cut makes its minute provisional.
        let worker = symbol.index() % scenario.workers;
        let is_cut = self.arrivals.was_cut(feed, worker, newest.sent);
        let is_told = is_passed || is_doubtful || is_cut || process.says_doubtful(symbol);
        if !is_told {
            let behind = now - newest.sent;
            let what = format!("{symbol} shows {shown}, {} was sent {behind} ms ago", newest.id);
            self.violated(Rule::O6, what);
        }
    }
}

impl Oracle {
    /// The first trade of a symbol that was sent in a span of time, since it is surely subscribed,
    /// and never reached the engine, though a stream carried it or should have been made to.
    pub(crate) fn lost_between(
        &self,
        scenario: &Scenario,
        symbol: SymbolId,
        (from, until): (Millis, Millis),
    ) -> Option<i64> {
        let followed_at = self.followed_at.get(&symbol).copied()?;
        let (number, listing) =
            (*self.listings.get(symbol.index())?, self.listing(scenario, symbol)?);
        let first = listing.sent_before(from.max(followed_at + SUBSCRIBED_WITHIN));
        let sent = listing.aggregates.get(first..listing.sent_before(until))?;
        let is_lost =
            |id| self.arrivals.is_lost(number, id) && !self.arrivals.is_withheld(number, id);
        sent.iter().map(|of| of.id).find(|&id| is_lost(id))
    }

    /// Whether what came at `at` may wait behind a hole that another copy may fill: by the feed's
    /// time, which stands where nothing newer comes. So long as a slower copy brings anything, it
    /// may bring that (`a_feed_is_not_silent_while_a_slower_copy_brings_what_is_known`); once
    /// nothing comes at all, nobody waits any more
    /// (`what_is_held_behind_a_hole_is_shown_though_the_time_of_a_quiet_feed_stands`).
    fn may_be_held(&self, now: Millis, (feed, at): (usize, Millis), scenario: &Scenario) -> bool {
        let is_quiet = now - at.max(self.arrivals.came[feed]) > QUIET + scenario.gateway_cadence;
        self.arrivals.told(feed) <= at + SHOWN_WITHIN && !is_quiet
    }
}

/// The highest id that is shown of a symbol.
fn shown(klines: &GlobalKlines, symbol: SymbolId) -> i64 {
    let Some(slot) = klines.slot(symbol, 0) else { return 0 };
    let records = slot.open.into_iter().chain(slot.last_closed);
    records.filter(|of| of.kline.has_ids()).map(|of| of.kline.last_id.0).max().unwrap_or(0)
}
