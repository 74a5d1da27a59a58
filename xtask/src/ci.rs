//! What CI runs, in the order in which failures are cheapest to find.

use std::path::PathBuf;
use std::process::{Command, Stdio};

use crate::workspace::{cargo, root, step};
use crate::{api, bench, readers, simulate, tidy};

/// The release of cargo-deny that CI installs where none is found.
const CARGO_DENY: &str = "0.20.2";

/// Runs every test of the workspace.
///
/// # Errors
/// If a test fails.
pub(crate) fn test() -> anyhow::Result<()> {
    tidy::run()?;
    readers::run()?;
    step("tests", cargo().args(["test", "--workspace", "--no-fail-fast"]))
}

/// Runs what CI runs.
///
/// # Errors
/// Names the first step that fails.
pub(crate) fn ci(without_tests: bool) -> anyhow::Result<()> {
    step("format", cargo().args(["fmt", "--all", "--check"]))?;
    let lint = ["clippy", "--workspace", "--all-targets", "--", "--deny", "warnings"];
    step("lints", cargo().args(lint))?;
    let doc = ["doc", "--workspace", "--no-deps", "--document-private-items"];
    step("docs", cargo().args(doc).env("RUSTDOCFLAGS", "--deny warnings"))?;
    api::run(false)?;
    if without_tests {
        tidy::run()?;
    } else {
        test()?;
    }
    simulate::run(simulate::SEEDS_OF_A_COMMIT, 1)?;
    simulate::mutants(1)?;
    bench::run(true)?;
    dependencies()
}

/// Licences, bans and sources of every dependency; advisories where their database can be had.
#[expect(clippy::print_stderr, reason = "words of a developer's tool")]
fn dependencies() -> anyhow::Result<()> {
    let deny = cargo_deny()?;
    let run = |checks: &[&str]| {
        let mut command = Command::new(&deny);
        command.args(["--workspace", "--all-features", "check", "--hide-inclusion-graph"]);
        command.args(checks);
        command
    };
    step("dependencies", &mut run(&["licenses", "bans", "sources"]))?;
    let mut advisories = run(&["advisories"]);
    let found = advisories.current_dir(root()).stderr(Stdio::piped()).output()?;
    let words = String::from_utf8_lossy(&found.stderr);
    if found.status.success() {
        eprintln!("\n=== advisories: none against our dependencies");
    } else if words.contains("failed to fetch") || words.contains("failed to load advisory") {
        eprintln!("\n=== advisories: skipped: their database cannot be reached from here");
    } else {
        eprintln!("{words}");
        anyhow::bail!("advisories: a dependency has a known fault, see above");
    }
    Ok(())
}

/// The cargo-deny to use: the user's, else one built into the target folder.
fn cargo_deny() -> anyhow::Result<PathBuf> {
    let found = Command::new("cargo-deny")
        .arg("--version")
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success());
    if found {
        return Ok("cargo-deny".into());
    }
    let tools = root().join("target/tools");
    let deny = tools.join("bin").join(format!("cargo-deny{}", std::env::consts::EXE_SUFFIX));
    if !deny.is_file() {
        let mut install = cargo();
        install.args(["install", "cargo-deny", "--version", CARGO_DENY, "--locked", "--root"]);
        step("install cargo-deny", install.arg(&tools))?;
    }
    Ok(deny)
}
