//! What must be true when all has been well for a while.

use klagg_kline::{KlineStatus, Period, SymbolId, UnixMillis};

use crate::agenda::Millis;
use crate::exchange::CUT_AGE;
use crate::market::{Listing, MINUTE, Terms};
use crate::outcome::{Rule, Violation};
use crate::plan::Fault;
use crate::process::Stage;
use crate::scenario::QUIET_FROM;
use crate::world::World;

/// Every connection is open again within this, and every stream subscribed.
const FEED_WELL_WITHIN: Millis = 60_000;
/// A trade is on its way for no longer, where nothing is wrong.
const UNDER_WAY_MAX: Millis = 5_000;
/// Sockets are replaced so long before the exchange cuts them, and longer.
const STOOD_STILL_MAX: Millis = 10_000;
/// A doubtful minute is repaired within this.
const REPAIRED_WITHIN: Millis = 65_000;
/// All doubtful minutes of all symbols are, once the exchange answers again.
const REPAIRED_ALL_WITHIN: Millis = 120_000;

impl World {
    /// Two minutes after all is well, everything that lies so far back is confirmed.
    pub(super) fn must_have_converged(&mut self) {
        let until = self.now - REPAIRED_WITHIN - self.scenario.confirm_wait;
        if let Some(violation) = self.is_confirmed_until(until) {
            self.oracle.violated(violation.rule, violation.what);
        }
    }

    /// The same at the end, and all of it is on the disk and right.
    pub(super) fn look_at_the_end(&mut self) -> Option<Violation> {
        let until = self.now - REPAIRED_WITHIN - self.scenario.confirm_wait;
        if let Some(violation) = self.is_confirmed_until(until) {
            return Some(violation);
        }
        let rows: Vec<_> = self.disk.rows().map(|(key, record)| (key, *record)).collect();
        for ((symbol, period), record) in rows {
            self.oracle.record(&self.scenario, symbol, period, &record);
        }
        self.oracle.take_violation()
    }

    /// Whether every kline that closed before `until` and that this run was there for is confirmed
    /// in the history and on the disk.
    fn is_confirmed_until(&self, until: Millis) -> Option<Violation> {
        let late = |what: String| Some(Violation { rule: Rule::P5, at: 0, what });
        let Some(process) = self.process.as_ref().filter(|of| of.stage == Stage::Running) else {
            return late("the process does not run, long after all is well".to_owned());
        };
        let well = (self.scenario.start + QUIET_FROM + FEED_WELL_WITHIN, self.now - UNDER_WAY_MAX);
        // Where the canary pauses, sockets are replaced for its silence; and who stood still for
        // long during the life of a socket is too late to replace it.
        let stood_still = process.clock.stood_still_since(well.0 - CUT_AGE);
        let is_steady = self.scenario.is_steady && stood_still <= STOOD_STILL_MAX;
        for &symbol in process.followed.iter().filter(|_| is_steady) {
            if let Some(lost) = self.oracle.lost_between(&self.scenario, symbol, well) {
                return late(format!("trade {lost} of {symbol} was lost while all was well"));
            }
        }
        for listing in &self.scenario.listings {
            let is_listed = listing.terms.listed_at < self.now - REPAIRED_WITHIN;
            let name = &listing.terms.name;
            let has_room = process.index.load().iter().count() < self.scenario.symbols_max;
            if is_listed && has_room && !self.oracle.is_numbered(&self.scenario, listing) {
                return late(format!("{name} trades and has no number"));
            }
            let has_ended = listing.terms.ends_at < self.now - REPAIRED_WITHIN;
            if has_ended && self.oracle.is_followed(&self.scenario, listing, process) {
                return late(format!("{name} has ended and is followed"));
            }
        }
        for symbol in process.index.load().iter() {
            let Some(listing) = self.oracle.listing(&self.scenario, symbol.id) else { continue };
            let Some(first) = listing.first_time() else { continue };
            for (index, &period) in self.scenario.periods.as_slice().iter().enumerate() {
                let whole = self.scenario.start.max(first);
                let end = listing.terms.ends_at.min(until).min(self.ended_before(symbol.id));
                let end = if self.is_owed(listing) { end } else { Millis::MIN };
                let mut open = period.open_time(UnixMillis(whole));
                if let Some(doubtful) = self.doubtful(symbol.id, (index, period), open) {
                    let name = &symbol.name;
                    return late(format!("{period} {doubtful} of {name} is still provisional"));
                }
                while period.next_open_time(open).0 <= end {
                    if let Some(what) = self.lacks(symbol.id, (index, period), open) {
                        let at = (open.0 - self.scenario.start - QUIET_FROM) / 1_000;
                        let name = &symbol.name;
                        return late(format!("{period} {open} of {name} ({at} s) {what}"));
                    }
                    open = period.next_open_time(open);
                }
            }
        }
        None
    }

    /// A symbol that has ended is confirmed up to where this process followed it. One that ended
    /// before this process began is asked for no more.
    fn ended_before(&self, symbol: SymbolId) -> Millis {
        let follows = self.process.as_ref().is_some_and(|of| of.followed.contains(&symbol));
        if follows { Millis::MAX } else { self.oracle.left_at(symbol).unwrap_or(Millis::MIN) }
    }

    /// Whether the last minutes of a symbol that has ended had to be confirmed: the exchange
    /// answers by name, so that nobody can ask for them once its name is listed anew. They are
    /// owed where nothing had gone wrong for so long as a repair takes
    /// (`a_name_listed_anew_ends_what_can_be_asked_of_the_listing_before_it`).
    fn is_owed(&self, listing: &Listing) -> bool {
        let Terms { name, ends_at, .. } = &listing.terms;
        let anew = |of: &&Listing| of.terms.name == *name && of.terms.listed_at >= *ends_at;
        let Some(anew) = self.scenario.listings.iter().find(anew) else { return true };
        let listed_at = anew.terms.listed_at;
        let over =
            |fault: &Fault| self.scenario.start + fault.at + Millis::from(fault.amount).max(MINUTE);
        let is_before = |of: &&Fault| of.kind.is_wrong() && self.scenario.start + of.at < listed_at;
        let wrong_until = self.plan.faults.iter().filter(is_before).map(over).max();
        let wrong_until = wrong_until.unwrap_or(0).max(*ends_at);
        wrong_until + REPAIRED_ALL_WITHIN + self.scenario.confirm_wait <= listed_at
    }

    /// The first kline from `open` on that ended so long ago that it had to be repaired, and is
    /// still doubtful: unlike a clean one, such a one waits for nothing.
    fn doubtful(
        &self,
        symbol: SymbolId,
        (index, period): (usize, Period),
        mut open: UnixMillis,
    ) -> Option<UnixMillis> {
        let process = self.process.as_ref().filter(|of| of.followed.contains(&symbol))?;
        while period.next_open_time(open).0 <= self.now - REPAIRED_WITHIN {
            let shown = process.gateway.history.get(symbol, index, open);
            if shown.is_some_and(|record| record.status == KlineStatus::Provisional) {
                return Some(open);
            }
            open = period.next_open_time(open);
        }
        None
    }

    fn lacks(
        &self,
        symbol: SymbolId,
        (index, period): (usize, Period),
        open: UnixMillis,
    ) -> Option<String> {
        let stored = self.disk.get((symbol, period), open);
        match stored.map(|record| record.status) {
            Some(KlineStatus::Confirmed) => {}
            other => return Some(format!("is {other:?} on the disk")),
        }
        let process = self.process.as_ref()?;
        let kept = self.scenario.capacity[index];
        let newest = process.gateway.history.last(symbol, index)?.kline.open_time;
        let later = |at: &UnixMillis| Some(period.next_open_time(*at)).filter(|at| *at <= newest);
        let is_kept = std::iter::successors(Some(open), later).count() <= kept;
        let shown = process.gateway.history.get(symbol, index, open).map(|record| record.status);
        (is_kept && shown != Some(KlineStatus::Confirmed))
            .then(|| format!("is {shown:?} in the history"))
    }
}
