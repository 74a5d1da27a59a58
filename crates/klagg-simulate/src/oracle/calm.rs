//! Times in which nothing is wrong: there a minute closes at once, and nobody doubts it.
//!
//! When that is follows from the plan and from the market, not from what the product says of
//! itself. What goes wrong with REST or with the store does not count, nor what becomes of other
//! symbols: no minute waits for them.

use klagg_kline::{KlineStatus, SymbolId, UnixMillis};

use crate::agenda::Millis;
use crate::market::{Aggregate, Listing, MINUTE};
use crate::oracle::Oracle;
use crate::oracle::closed::GRACE;
use crate::outcome::Rule;
use crate::plan::{Fault, Kind, Plan};
use crate::process::{Process, Stage};
use crate::scenario::{QUIET_FROM, Scenario};

/// Every connection delivers again, and every stream is subscribed, so long after something was
/// wrong.
const WELL_WITHIN: Millis = 60_000;
/// A socket whose canary pauses for so long may be replaced.
const PAUSE_MAX: Millis = 9_000;
/// A stream is subscribed within this where nothing is wrong. Until then its connection is not
/// whole, and tells no time (`a_feed_tells_no_time_while_a_stream_is_subscribed`).
const SUBSCRIBED_WITHIN: Millis = 2_000;
/// What was sent is read within this.
const READ_WITHIN: Millis = 100;

/// From when until when something is wrong, what it leaves behind included.
#[derive(Debug)]
pub(super) struct Calm {
    troubles: Vec<(Millis, Millis)>,
    /// The end of the minute that was looked at last.
    looked_at: Millis,
}

impl Calm {
    pub(super) fn new(scenario: &Scenario, plan: &Plan) -> Self {
        let spans = plan.faults.iter().filter_map(span);
        let troubles = spans.map(|(from, until)| (scenario.start + from, scenario.start + until));
        Self { troubles: troubles.collect(), looked_at: 0 }
    }

    /// Since when nothing is wrong at `now`; in the future if something is.
    fn since(&self, now: Millis) -> Millis {
        let begun = self.troubles.iter().filter(|&&(from, _)| from <= now);
        begun.map(|&(_, until)| until).max().unwrap_or(Millis::MIN)
    }
}

fn span(&Fault { at, kind, amount, .. }: &Fault) -> Option<(Millis, Millis)> {
    let until = at + Millis::from(amount);
    match kind {
        Kind::RestErrors
        | Kind::RestTimeouts
        | Kind::RestOutage
        | Kind::ForeignWeight
        | Kind::Banned
        | Kind::WrongPages
        | Kind::WrongTrades
        | Kind::WriterStall
        | Kind::StoreFull
        | Kind::Skew
        | Kind::Listing
        | Kind::Delisting
        | Kind::Relisting
        | Kind::Steady
        | Kind::Watched
        | Kind::ShortMessages
        | Kind::RawFills => None,
        _ => Some((at, until.min(QUIET_FROM) + WELL_WITHIN)),
    }
}

impl Oracle {
    /// Once the canary has told every connection that a minute is over, it is closed, and whole.
    pub(super) fn calm_minutes(&mut self, now: Millis, process: &Process, scenario: &Scenario) {
        let shown_within = READ_WITHIN + scenario.gateway_cadence;
        let end = (now - GRACE - shown_within).div_euclid(MINUTE) * MINUTE;
        if end <= self.calm.looked_at || process.stage != Stage::Running {
            return;
        }
        let Some(over) = over(scenario, end).filter(|over| now >= over + shown_within) else {
            return;
        };
        self.calm.looked_at = end;
        let since = self.calm.since(now);
        let subscribing = over - SUBSCRIBED_WITHIN..=over + READ_WITHIN;
        // Who stood still for a tenth of a socket's whole life is too late to replace it.
        let is_calm = scenario.is_steady
            && !process.clock.has_stood_still()
            && since <= end
            && !self.followed_at.values().any(|at| subscribing.contains(at))
            && !pauses(&scenario.listings[0], (end - MINUTE, over));
        for &symbol in process.followed.iter().filter(|_| is_calm) {
            if self.is_plain(symbol, scenario, (since, end, over))
                && let Some(what) = self.lacks(symbol, end, process)
            {
                let late = now - end;
                let what = format!("{late} ms after its end, minute {what}");
                return self.violated(Rule::P5, what);
            }
        }
    }

    /// How the minute of a symbol until `end` is not closed and whole, for no reason.
    fn lacks(&self, symbol: SymbolId, end: Millis, process: &Process) -> Option<String> {
        let open = UnixMillis(end - MINUTE);
        let Some(record) = process.gateway.history.get(symbol, 0, open) else {
            return Some(format!("{open} of {symbol} is not closed"));
        };
        let awaits_proof = self.doubts.awaits_proof(*self.listings.get(symbol.index())?);
        let is_doubtful = record.status == KlineStatus::Provisional && !awaits_proof;
        is_doubtful.then(|| format!("{open} of {symbol} is provisional"))
    }

    /// Whether nothing that a symbol's minute until `end` hangs on was missed since all is well:
    /// a trade of before it has come, and every one since.
    fn is_plain(
        &self,
        symbol: SymbolId,
        scenario: &Scenario,
        (since, end, until): (Millis, Millis, Millis),
    ) -> bool {
        let (Some(&number), Some(listing), Some(&followed_at)) = (
            self.listings.get(symbol.index()),
            self.listing(scenario, symbol),
            self.followed_at.get(&symbol),
        ) else {
            return false;
        };
        if listing.terms.ends_at < until {
            return false;
        }
        let since = since.max(followed_at + WELL_WITHIN);
        let from = listing.sent_before(since);
        let Some(seen) = listing.aggregates.get(from..listing.sent_before(until)) else {
            return false;
        };
        let open = end - MINUTE;
        let place = |of: &Aggregate| self.arrivals.place(number, of.id);
        // While a socket takes another's place, what comes over it may overtake the other's: a hole
        // for who waits for none.
        let is_overtaken = |of: &[Aggregate]| of[1].time >= open && place(&of[0]) > place(&of[1]);
        seen.first().is_some_and(|first| first.time < open)
            && seen.iter().all(|of| !self.arrivals.is_lost(number, of.id))
            && (scenario.hold_ms > 0 || !seen.windows(2).any(is_overtaken))
    }
}

/// When every connection is told that the minute until `end` is over: by the canary. Raw ids leave
/// some out, and another copy might fill what is none: what is held behind it goes first.
fn over(scenario: &Scenario, end: Millis) -> Option<Millis> {
    let canary = scenario.listings.first()?;
    let sent_from =
        |at: Millis| canary.aggregates.get(canary.sent_before(at - 1)).map(|of| of.sent);
    let over = sent_from(end + GRACE)?;
    let may_hold = scenario.is_raw && scenario.redundant;
    if may_hold { sent_from(over + scenario.hold_ms) } else { Some(over) }
}

/// Whether the canary pauses in a span of time for so long that nobody can trust its sockets.
fn pauses(canary: &Listing, (from, until): (Millis, Millis)) -> bool {
    let before = canary.sent_before(from).saturating_sub(1);
    let sent = canary.aggregates[before..].iter().map(|of| of.sent);
    let times: Vec<_> = sent.take_while(|&sent| sent <= until).collect();
    times.windows(2).any(|of| of[1] - of[0] > PAUSE_MAX)
}
