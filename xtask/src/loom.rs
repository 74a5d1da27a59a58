//! Runs the models of the lock-free hand-overs that are ours.

use crate::workspace::{cargo, root, step};

/// Where the models are: the package, and the name that all of their tests carry.
const MODELS: &[(&str, &str)] = &[("klagg-engine", "models::")];

/// Tries every interleaving of each model, and every value that its orderings allow.
///
/// # Errors
/// If a model breaks one of its assertions.
pub(crate) fn run() -> anyhow::Result<()> {
    for (package, name) in MODELS {
        let mut models = cargo();
        // Optimized: a model is run thousands of times. Shown: how many times that was.
        models.args(["test", "--release", "--package", package, "--lib"]);
        models.args(["--", "--show-output", name]);
        // A folder of its own: the flag would make every other build start anew.
        models.env("RUSTFLAGS", "--cfg loom").env("CARGO_TARGET_DIR", root().join("target/loom"));
        step("models", &mut models)?;
    }
    Ok(())
}
