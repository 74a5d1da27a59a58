//! Runs the benches.

use crate::workspace::{cargo, step};

/// Runs the benches in full, or each of them once to see that it works.
///
/// # Errors
/// If a bench fails.
pub(crate) fn run(once: bool) -> anyhow::Result<()> {
    if once {
        // The test profile: built already by whoever ran the tests.
        let benches = ["test", "--package", "klagg-bench", "--benches"];
        step("benches, once each", cargo().args(benches))
    } else {
        step("benches", cargo().args(["bench", "--package", "klagg-bench"]))
    }
}
