//! The project's chores: what CI runs, what a developer runs before a commit.
//!
//! `cargo xtask test` runs every test. `cargo xtask ci` adds format, lints, docs and the rules for
//! dependencies. The rules of `tidy` also run as a `#[test]`, so a plain `cargo test` knows them.

mod api;
mod arrows;
mod bench;
mod ci;
mod fixtures;
mod loom;
mod readers;
mod sanitize;
mod simulate;
mod sources;
mod tidy;
mod workspace;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// The project's chores.
#[derive(Debug, Parser)]
#[command(name = "cargo xtask")]
struct Cli {
    #[command(subcommand)]
    chore: Chore,
}

#[derive(Debug, Subcommand)]
enum Chore {
    /// Run every test: unit, property, doc, system, tidy.
    Test,
    /// What CI runs: format, lints, docs, rules for dependencies, every test.
    Ci {
        /// Leave the tests out (for a CI that has just run `cargo xtask test`).
        #[arg(long)]
        without_tests: bool,
    },
    /// Check arrows between crates, file length, inherited lints, dependency owners, fixtures.
    Tidy,
    /// Run the benches, or each of them once.
    Bench {
        /// Run each bench once, to see that it works.
        #[arg(long)]
        once: bool,
    },
    /// Run the models of the lock-free hand-overs: every interleaving, every weak memory; then
    /// without their orderings, which must fail.
    Loom,
    /// Interpret tests under Miri, which knows undefined behaviour.
    Miri,
    /// Run the tests with threads under `ThreadSanitizer`, which knows data races.
    Tsan,
    /// Compare the public API of the crates that others embed with the lists in the repository.
    Api {
        /// Write the lists anew, if the version allows the change.
        #[arg(long)]
        accept: bool,
    },
    /// Run seeds of the deterministic simulation: the real machines, a broken exchange, oracles.
    Simulate {
        /// How many seeds.
        #[arg(long, default_value_t = 1_000)]
        seeds: u64,
        /// The first one.
        #[arg(long, default_value_t = 1)]
        seed: u64,
        /// Run seeded bugs instead: the oracles must find each.
        #[arg(long)]
        mutants: bool,
    },
    /// Bring pandas, polars and duckdb, which a test reads exports back with.
    Readers,
    /// Bring or check recorded data.
    Fixtures {
        #[command(subcommand)]
        action: fixtures::Action,
    },
}

#[expect(clippy::print_stderr, reason = "words of a developer's tool")]
fn main() -> ExitCode {
    let done = match Cli::parse().chore {
        Chore::Test => ci::test(),
        Chore::Ci { without_tests } => ci::ci(without_tests),
        Chore::Tidy => tidy::run(),
        Chore::Bench { once } => bench::run(once),
        Chore::Loom => loom::run(),
        Chore::Miri => sanitize::miri(),
        Chore::Tsan => sanitize::tsan(),
        Chore::Api { accept } => api::run(accept),
        Chore::Simulate { seed, mutants: true, .. } => simulate::mutants(seed),
        Chore::Simulate { seeds, seed, .. } => simulate::run(seeds, seed),
        Chore::Readers => readers::run(),
        Chore::Fixtures { action } => fixtures::run(&action),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}
