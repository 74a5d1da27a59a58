//! Runs the deterministic simulation: seeds against the oracles, and mutants against both.

use crate::workspace::{cargo, step};

/// Seeds of each commit.
pub(crate) const SEEDS_OF_A_COMMIT: u64 = 20_000;

/// Runs `seeds` seeds from `first` on.
///
/// # Errors
/// If a seed breaks a rule; the seed, the rule and the shrunk plan have been shown.
pub(crate) fn run(seeds: u64, first: u64) -> anyhow::Result<()> {
    let mut simulate = built(&[]);
    simulate.args(["--seeds", &seeds.to_string(), "--seed", &first.to_string()]);
    step("simulation", &mut simulate)
}

/// Runs every mutant until an oracle finds it.
///
/// # Errors
/// If one survives.
pub(crate) fn mutants(first: u64) -> anyhow::Result<()> {
    let mut simulate = built(&["--features", "mutants"]);
    simulate.args(["--mutants", "--seed", &first.to_string()]);
    step("mutants", &mut simulate)
}

fn built(features: &[&str]) -> std::process::Command {
    let mut simulate = cargo();
    simulate.args(["run", "--quiet", "--profile", "simulate", "--package", "klagg-simulate"]);
    simulate.args(features).arg("--");
    simulate
}
