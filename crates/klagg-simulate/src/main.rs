//! Runs seeds of the deterministic simulation and says what came of them. Started by
//! `cargo xtask simulate`.

use std::fmt::Write as _;
use std::io::{IsTerminal, Write};
use std::process::ExitCode;
use std::time::Instant;

use klagg_simulate::{Failure, Job, Plan, Report, run_all, shrunk};

/// Failing seeds that are shrunk and shown; further ones are only listed.
const SHOWN_MAX: usize = 3;
const LISTED_MAX: usize = 100;

struct Wanted {
    seeds: u64,
    first: u64,
    threads: usize,
    mutants: bool,
}

#[expect(clippy::print_stderr, reason = "words of a developer's tool")]
fn main() -> ExitCode {
    // A panic of a machine is caught, and told with its seed.
    std::panic::set_hook(Box::new(|_| {}));
    let outcome = match wanted(std::env::args().skip(1)) {
        Ok(wanted) if wanted.mutants => mutants(&wanted),
        Ok(wanted) => seeds(&wanted),
        Err(sentence) => {
            eprintln!("error: {sentence}");
            return ExitCode::FAILURE;
        }
    };
    if outcome { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn wanted(mut arguments: impl Iterator<Item = String>) -> Result<Wanted, String> {
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let mut wanted = Wanted { seeds: 1_000, first: 1, threads: cores, mutants: false };
    while let Some(flag) = arguments.next() {
        let mut number = || {
            let value = arguments.next().unwrap_or_default();
            value.parse::<u64>().map_err(|_| format!("{flag} wants a number, not `{value}`"))
        };
        match flag.as_str() {
            "--seeds" => wanted.seeds = number()?,
            "--seed" => wanted.first = number()?,
            "--threads" => wanted.threads = usize::try_from(number()?).unwrap_or(1),
            "--mutants" => wanted.mutants = true,
            _ => return Err(format!("{flag} is not known; --seeds, --seed, --threads, --mutants")),
        }
    }
    Ok(wanted)
}

#[expect(clippy::disallowed_methods, reason = "how long a developer's tool takes")]
fn now() -> Instant {
    Instant::now()
}

/// Runs all seeds; whether all is well.
#[expect(clippy::print_stdout, clippy::print_stderr, reason = "words of a developer's tool")]
fn seeds(wanted: &Wanted) -> bool {
    let job = job(wanted, wanted.seeds, false);
    let (began, is_terminal) = (now(), std::io::stderr().is_terminal());
    let report = run_all(&job, |done| {
        if is_terminal {
            let per_second = u128::from(done) * 1_000 / began.elapsed().as_millis().max(1);
            eprint!("\r{done} of {} seeds, {per_second} a second ", wanted.seeds);
            // Lost progress is no loss.
            let _ = std::io::stderr().flush();
        }
    });
    if is_terminal {
        eprintln!();
    }
    let seconds = began.elapsed().as_secs_f64();
    println!("{}", summary(&report, seconds, wanted.threads));
    for failure in report.failures.iter().take(SHOWN_MAX) {
        println!("{}", told(failure));
    }
    for failure in report.failures.iter().skip(SHOWN_MAX).take(LISTED_MAX) {
        println!("seed {} breaks {}", failure.seed, failure.violation);
    }
    report.failures.is_empty()
}

#[expect(clippy::cast_precision_loss, reason = "figures for people")]
fn summary(report: &Report, seconds: f64, threads: usize) -> String {
    let days = report.simulated as f64 / 86_400_000.0;
    let pace = report.seeds as f64 / seconds;
    let mut text = format!(
        "{} seeds, {} failures, in {seconds:.1} s: {pace:.0} a second on {threads} threads\n\
         {days:.1} simulated days, {:.0} times real time; {} events, {} confirmed and {} closed \
         klines compared\nfaults:",
        report.seeds,
        report.failures.len(),
        report.simulated as f64 / 1_000.0 / seconds,
        report.events,
        report.confirmed,
        report.closed,
    );
    for (kind, count) in &report.faults {
        // Writing to a string cannot fail.
        let _ = write!(text, " {kind:?} {count}");
    }
    text
}

/// A failing seed, its rule and its shrunk plan, as a test keeps it.
fn told(failure: &Failure) -> String {
    let Failure { seed, violation } = failure;
    let plan = shrunk(*seed, &Plan::draw(*seed), violation.rule);
    format!("\nseed {seed} breaks {violation}\nits plan, shrunk:\n{plan}")
}

#[cfg(feature = "mutants")]
fn job(wanted: &Wanted, count: u64, stops: bool) -> Job {
    Job { first: wanted.first, count, threads: wanted.threads, stops, mutant: None }
}

#[cfg(not(feature = "mutants"))]
fn job(wanted: &Wanted, count: u64, stops: bool) -> Job {
    Job { first: wanted.first, count, threads: wanted.threads, stops }
}

/// Seeds in which a mutant must be found.
#[cfg(feature = "mutants")]
const MUTANT_SEEDS: u64 = 200;

/// Runs each mutant until it is found; whether all are.
#[cfg(feature = "mutants")]
#[expect(clippy::print_stdout, reason = "words of a developer's tool")]
fn mutants(wanted: &Wanted) -> bool {
    let mut survivors = 0;
    for &mutant in klagg_mutants::Mutant::ALL {
        let job = Job { mutant: Some(mutant), ..job(wanted, MUTANT_SEEDS, true) };
        let report = run_all(&job, |_| {});
        match report.failures.first() {
            Some(Failure { seed, violation }) => {
                let after = seed - wanted.first + 1;
                println!("{mutant:?}: found by {:?} after {after} seeds", violation.rule);
            }
            None => {
                survivors += 1;
                println!("{mutant:?}: SURVIVED {MUTANT_SEEDS} seeds ({})", mutant.words());
            }
        }
    }
    let all = klagg_mutants::Mutant::ALL.len();
    println!("{} of {all} mutants found within {MUTANT_SEEDS} seeds", all - survivors);
    survivors == 0
}

#[cfg(not(feature = "mutants"))]
#[expect(clippy::print_stderr, reason = "words of a developer's tool")]
fn mutants(_: &Wanted) -> bool {
    eprintln!("this build has no mutants; run `cargo xtask simulate --mutants`");
    false
}
