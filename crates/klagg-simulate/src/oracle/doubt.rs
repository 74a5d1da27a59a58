//! Doubt has a cause: where every trade came, each after the one before it, and nothing was said to
//! be cut, broken or doubted, no minute is provisional.
//!
//! Without this, a product that doubts everything would pass: the exchange's own klines repair it.

use klagg_kline::{KlineRecord, KlineStatus, SymbolId};

use crate::agenda::Millis;
use crate::market::MINUTE;
use crate::oracle::closed::GRACE;
use crate::oracle::{Oracle, truth_of};
use crate::outcome::Rule;
use crate::scenario::Scenario;
use crate::truth::Truth;

/// How whole a listing's trades came.
#[derive(Debug, Clone, Copy, Default)]
struct Calm {
    /// Where the newest one that came stands among all.
    newest: Option<usize>,
    /// Time of the one since which each came after the one before it.
    since: Option<Millis>,
    /// None up to here begins anything.
    not_before: Millis,
    /// Whether an official minute said other than what had come, and no trade came since.
    awaits_proof: bool,
}

/// The same of all listings.
#[derive(Debug)]
pub(super) struct Doubts {
    calms: Vec<Calm>,
}

impl Doubts {
    pub(super) fn new(scenario: &Scenario) -> Self {
        Self { calms: vec![Calm::default(); scenario.listings.len()] }
    }

    pub(super) fn forget(&mut self) {
        self.calms.fill(Calm::default());
    }

    /// A trade came that had not come before.
    pub(super) fn came(&mut self, listing: u16, (at, time): (usize, Millis), is_late: bool) {
        let calm = &mut self.calms[usize::from(listing)];
        calm.awaits_proof = false;
        if is_late || calm.newest.is_some_and(|newest| at != newest + 1) {
            calm.since = None;
        }
        calm.newest = calm.newest.max(Some(at));
        if calm.newest == Some(at) && time > calm.not_before {
            calm.since.get_or_insert(time);
        }
    }

    fn disturb(&mut self, listing: u16, until: Millis) {
        let calm = &mut self.calms[usize::from(listing)];
        (calm.since, calm.not_before) = (None, calm.not_before.max(until));
    }

    /// Whether only the next trade of a listing can show that none was missed, since an official
    /// minute said other than what had come.
    pub(super) fn awaits_proof(&self, listing: u16) -> bool {
        self.calms[usize::from(listing)].awaits_proof
    }
}

impl Oracle {
    /// Something happened, or lasts until then, for which minutes of some symbols may be doubtful.
    pub(super) fn disturb(&mut self, until: Millis, is_hit: impl Fn(usize) -> bool) {
        for (_, &listing) in self.listings.iter().enumerate().filter(|&(number, _)| is_hit(number))
        {
            self.doubts.disturb(listing, until);
        }
    }

    /// A worker stands still. What history brings meanwhile goes before the trades that wait for
    /// it, which then cannot show that none is missing.
    pub(crate) fn stood_still(&mut self, worker: usize, until: Millis) {
        let workers = self.workers;
        self.disturb(until, |number| number % workers == worker);
    }

    /// Official minutes go to the engine. One that its feed's time has not passed yet ends it
    /// there; if it is not the fold of what has come in its order, it does not show that none was
    /// missed: some fills of a trade at its turn may be another minute's. Ids that were burnt
    /// within a trade count in the fold alone, and are no cause
    /// (`ids_that_were_burnt_leave_the_minute_behind_them_proven`). A trade that was overtaken
    /// counts as known already where one copy is left, and the minute lacks it
    /// (`an_official_minute_with_a_trade_that_was_overtaken_is_a_doubt`).
    pub(crate) fn supplied(
        &mut self,
        symbol: SymbolId,
        records: &[KlineRecord],
        (now, scenario): (Millis, &Scenario),
    ) {
        let told = self.arrivals.told(symbol.index() % self.connections);
        let Some(listing) = self.listing(scenario, symbol) else { return };
        let Some(&number) = self.listings.get(symbol.index()) else { return };
        for record in records.iter().filter(|of| of.status == KlineStatus::Confirmed) {
            self.arrivals.official(number, record.kline.open_time.0 + MINUTE);
        }
        // What is held behind an id that a copy may still bring keeps its minute open.
        let held_until = self.arrivals.newest[usize::from(number)].1 + scenario.hold_ms;
        let may_hold = scenario.redundant && scenario.hold_ms > 0 && held_until >= told;
        let is_unlike = |record: &KlineRecord| {
            let (open, until) = (record.kline.open_time.0, record.kline.open_time.0 + MINUTE);
            let official = truth_of(&record.kline);
            let is_it = |fold: Truth| {
                fold.count >= official.count && Truth { count: fold.count, ..official } == fold
            };
            (until + GRACE > told || may_hold)
                && !self.of_those_in_order((symbol, listing), scenario, open).is_some_and(is_it)
        };
        if records.iter().any(is_unlike) {
            self.disturb(now, |number| number == symbol.index());
            self.doubts.calms[usize::from(number)].awaits_proof = true;
        }
    }

    /// Tickers make the minutes of a symbol doubtful.
    pub(crate) fn doubted(&mut self, symbol: SymbolId, now: Millis) {
        self.disturb(now, |number| number == symbol.index());
    }

    /// News tell that the name of a symbol is another listing's, as it then is for good.
    pub(crate) fn shares_its_name(&mut self, symbol: SymbolId) {
        self.disturb(Millis::MAX, |number| number == symbol.index());
    }

    /// A symbol is folded no more.
    pub(crate) fn left(&mut self, symbols: &[SymbolId], now: Millis) {
        self.acknowledged.left(symbols);
        self.followings.left(symbols.iter().copied(), now);
        for symbol in symbols {
            self.disturb(Millis::MAX, |number| number == symbol.index());
        }
    }

    /// A trade came.
    pub(super) fn came(&mut self, symbol: SymbolId, (listing, id): (u16, i64), now: Millis) {
        if let Some((at, time)) = self.arrivals.trade(listing, id, now) {
            // Its minute may have been closed.
            let told = self.arrivals.told(symbol.index() % self.connections);
            let is_late = told >= time - time.rem_euclid(MINUTE) + MINUTE + GRACE;
            self.doubts.came(listing, (at, time), is_late);
        }
    }

    /// A provisional minute has a cause.
    pub(super) fn must_have_a_cause(&mut self, symbol: SymbolId, record: &KlineRecord) {
        let Some(&listing) = self.listings.get(symbol.index()) else { return };
        let open_time = record.kline.open_time.0;
        let since = self.doubts.calms[usize::from(listing)].since;
        let is_calm = since.is_some_and(|since| open_time > since);
        if record.status == KlineStatus::Provisional && is_calm {
            let what = format!("minute {open_time} of {symbol} is provisional for no reason");
            self.violated(Rule::P5, what);
        }
    }
}
