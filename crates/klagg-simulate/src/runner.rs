//! Many seeds, on as many threads as are wanted; each seed on one.

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use crate::outcome::{Outcome, Rule, Violation};
use crate::plan::{Kind, Plan};
use crate::shrink::shrink;

/// What is to be run.
#[derive(Debug, Clone, Copy)]
pub struct Job {
    /// The first seed.
    pub first: u64,
    /// How many.
    pub count: u64,
    /// On how many threads.
    pub threads: usize,
    /// Whether to stop at the first failure.
    pub stops: bool,
    /// A seeded bug to be found.
    #[cfg(feature = "mutants")]
    pub mutant: Option<klagg_mutants::Mutant>,
}

/// A seed that broke a rule.
#[derive(Debug, Clone)]
pub struct Failure {
    /// The seed.
    pub seed: u64,
    /// The rule.
    pub violation: Violation,
}

/// What came of many seeds.
#[derive(Debug, Clone, Default)]
pub struct Report {
    /// Seeds that were run.
    pub seeds: u64,
    /// Events of all of them.
    pub events: u64,
    /// Simulated milliseconds.
    pub simulated: u64,
    /// Confirmed klines compared with the official ones.
    pub confirmed: u64,
    /// Closed klines compared with their aggregates.
    pub closed: u64,
    /// Faults that were drawn, by kind.
    pub faults: BTreeMap<Kind, u64>,
    /// Seeds that failed, in their order.
    pub failures: Vec<Failure>,
}

impl Report {
    fn add(&mut self, seed: u64, plan: &Plan, outcome: Outcome) {
        self.seeds += 1;
        self.events += outcome.events;
        self.simulated += outcome.simulated.unsigned_abs();
        self.confirmed += outcome.confirmed;
        self.closed += outcome.closed;
        for fault in &plan.faults {
            *self.faults.entry(fault.kind).or_default() += 1;
        }
        self.failures.extend(outcome.violation.map(|violation| Failure { seed, violation }));
    }

    fn merge(&mut self, other: Self) {
        self.seeds += other.seeds;
        self.events += other.events;
        self.simulated += other.simulated;
        self.confirmed += other.confirmed;
        self.closed += other.closed;
        for (kind, count) in other.faults {
            *self.faults.entry(kind).or_default() += count;
        }
        self.failures.extend(other.failures);
        self.failures.sort_by_key(|failure| failure.seed);
    }
}

/// Runs a plan under a seed. A panic of a machine is a broken rule as well.
pub fn run(seed: u64, plan: &Plan) -> Outcome {
    let run = AssertUnwindSafe(|| crate::world::run(seed, plan));
    catch_unwind(run).unwrap_or_else(|panic| {
        let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
        let text = text.or_else(|| panic.downcast_ref::<String>().cloned());
        let what = text.unwrap_or_else(|| "a panic without words".to_owned());
        let violation = Some(Violation { rule: Rule::Assertion, at: 0, what });
        Outcome { violation, ..Outcome::default() }
    })
}

/// The plan of a failing seed with everything left out that it fails without.
pub fn shrunk(seed: u64, plan: &Plan, rule: Rule) -> Plan {
    shrink(plan, rule, |plan| run(seed, plan).violation.map(|of| of.rule))
}

/// Runs all seeds of a job. `tell` hears how many are done, now and then.
pub fn run_all(job: &Job, tell: impl Fn(u64) + Sync) -> Report {
    let (next, stopped) = (AtomicU64::new(0), AtomicBool::new(false));
    let whole = Mutex::new(Report::default());
    let work = || {
        #[cfg(feature = "mutants")]
        klagg_mutants::activate(job.mutant);
        let mut report = Report::default();
        // Relaxed: a number that publishes nothing else.
        while !stopped.load(Ordering::Relaxed) {
            let at = next.fetch_add(1, Ordering::Relaxed);
            if at >= job.count {
                break;
            }
            let seed = job.first + at;
            let plan = Plan::draw(seed);
            report.add(seed, &plan, run(seed, &plan));
            if job.stops && !report.failures.is_empty() {
                stopped.store(true, Ordering::Relaxed);
            }
            if at % 64 == 0 {
                tell(at);
            }
        }
        if let Ok(mut whole) = whole.lock() {
            whole.merge(report);
        }
    };
    std::thread::scope(|scope| {
        for _ in 0..job.threads.max(1) {
            scope.spawn(work);
        }
    });
    whole.into_inner().unwrap_or_default()
}
