//! A failing plan with everything left out that it fails without.

use crate::outcome::Rule;
use crate::plan::Plan;

/// Most runs that are spent on one plan.
const RUNS_MAX: usize = 400;

/// The smallest plan found that still breaks `rule` under `seed`. `run` gives the rule that a plan
/// breaks.
pub(crate) fn shrink(plan: &Plan, rule: Rule, run: impl Fn(&Plan) -> Option<Rule>) -> Plan {
    let mut best = plan.clone();
    let mut runs = 0;
    let mut part = best.faults.len().max(1);
    while part > 0 {
        let mut at = 0;
        while at < best.faults.len() && runs < RUNS_MAX {
            let mut candidate = best.clone();
            candidate.faults.drain(at..(at + part).min(best.faults.len()));
            runs += 1;
            if run(&candidate) == Some(rule) {
                best = candidate;
            } else {
                at += part;
            }
        }
        part /= 2;
    }
    shorten(best, rule, RUNS_MAX.saturating_sub(runs), run)
}

/// Halves what lasts long, as far as it still fails.
fn shorten(mut best: Plan, rule: Rule, runs: usize, run: impl Fn(&Plan) -> Option<Rule>) -> Plan {
    let mut left = runs;
    for at in 0..best.faults.len() {
        while best.faults[at].amount > 1_000 && left > 0 {
            let mut candidate = best.clone();
            candidate.faults[at].amount /= 2;
            left -= 1;
            if run(&candidate) != Some(rule) {
                break;
            }
            best = candidate;
        }
    }
    best
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::{Kind, fault};

    #[test]
    fn only_what_a_failure_needs_is_left() {
        let faults = (0..40).map(|at| {
            let kind = if at == 17 { Kind::Crash } else { Kind::Held };
            fault(i64::from(at) * 1_000, kind, 0, if at == 17 { 16_000 } else { 5 })
        });
        let plan = Plan { faults: faults.collect() };
        // Fails with a crash of at least five seconds and anything before it.
        let fails = |plan: &Plan| {
            let at = plan.faults.iter().position(|of| of.kind == Kind::Crash)?;
            (at > 0 && plan.faults[at].amount >= 5_000).then_some(Rule::O7)
        };
        let shrunk = shrink(&plan, Rule::O7, fails);
        assert_eq!(shrunk.faults.len(), 2);
        assert_eq!(shrunk.faults[1], fault(17_000, Kind::Crash, 0, 8_000));
    }
}
