//! What is listed while the process runs is on the page soon after its first trade.
//!
//! That is: it has its number and is followed. It has no values before a trade has come over its
//! stream, and a quiet symbol's next one may be a minute away; what has come is shown as soon as
//! that of all others (`shown`).

use crate::agenda::Millis;
use crate::market::MINUTE;
use crate::oracle::Oracle;
use crate::outcome::Rule;
use crate::plan::{Fault, Plan};
use crate::process::{Process, Stage};
use crate::scenario::Scenario;

/// From its first trade on, a new symbol is on the page within this.
const ON_THE_PAGE_WITHIN: Millis = 10_000;
/// How long after its start everything is as it shall be in a process.
const WELL_AFTER: Millis = 65_000;

impl Oracle {
    /// Looks at each listing when its time is over: what was wrong lately excuses it.
    pub(crate) fn new_symbols_are_on_the_page(
        &mut self,
        now: Millis,
        (process, scenario, plan): (&Process, &Scenario, &Plan),
    ) {
        let since = std::mem::replace(&mut self.listings_seen_at, now);
        // Where the canary pauses, sockets are replaced for its silence, and news are lost.
        if process.stage != Stage::Running || !scenario.is_steady {
            return;
        }
        for listing in &scenario.listings {
            let Some(first) = listing.aggregates.first().map(|of| of.sent) else { continue };
            let due = first + ON_THE_PAGE_WITHIN;
            let is_new = process.clock.since() + WELL_AFTER <= listing.terms.listed_at;
            if !(since..now).contains(&due) || !is_new || !is_well(scenario, plan, (first, due)) {
                continue;
            }
            // What has no number where there are no more is said to be left out.
            let has_room = process.index.load().iter().count() < scenario.symbols_max;
            if has_room && !self.is_followed(scenario, listing, process) {
                let name = &listing.terms.name;
                let what = format!("{name} first traded {} ms ago, not on the page", now - first);
                return self.violated(Rule::P5, what);
            }
        }
    }
}

/// Whether nothing was wrong between two times, nor so shortly before that it may still be felt.
fn is_well(scenario: &Scenario, plan: &Plan, (from, until): (Millis, Millis)) -> bool {
    let is_felt = |fault: &Fault| {
        let at = scenario.start + fault.at;
        at < until && at + Millis::from(fault.amount).max(MINUTE) + MINUTE > from
    };
    !plan.faults.iter().any(|fault| fault.kind.is_wrong() && is_felt(fault))
}
