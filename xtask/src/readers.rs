//! Brings the Python readers of Parquet that a test of the export needs into the target folder.

use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::Context;

use crate::workspace::root;

/// The packages and their versions.
const WANTED: &str = include_str!("../readers.txt");

/// Bounds on waiting for a network that may not be there.
const NETWORK: [&str; 4] = ["--timeout", "15", "--retries", "1"];

/// Makes the virtual environment, unless it is there and holds what is wanted. Where it cannot be
/// made, says why and what that skips: the readers are not klagg's, so they are not required.
///
/// # Errors
/// If the target folder cannot be written.
#[expect(clippy::print_stderr, reason = "words of a developer's tool")]
pub(crate) fn run() -> anyhow::Result<()> {
    let folder = root().join("target/tools/readers");
    let complete = folder.join("complete");
    if fs::read_to_string(&complete).is_ok_and(|held| held == WANTED) {
        return Ok(());
    }
    eprintln!("\n=== readers: pandas, polars and duckdb into {}", folder.display());
    if folder.exists() {
        fs::remove_dir_all(&folder).with_context(|| format!("remove {}", folder.display()))?;
    }
    match install(&folder) {
        Ok(()) => {
            fs::write(&complete, WANTED).with_context(|| format!("write {}", complete.display()))
        }
        Err(reason) => {
            eprintln!("=== readers: skipped: {reason}");
            Ok(())
        }
    }
}

fn install(folder: &Path) -> Result<(), String> {
    told(Command::new("python3").args(["-m", "venv", "--clear"]).arg(folder))?;
    let wanted = root().join("xtask/readers.txt");
    let mut pip = Command::new(folder.join("bin/python"));
    pip.args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check"]);
    told(pip.args(NETWORK).args(["--only-binary", ":all:", "--requirement"]).arg(wanted))
}

/// Runs it; the last line that it says is why it failed.
fn told(command: &mut Command) -> Result<(), String> {
    let program = command.get_program().to_string_lossy().into_owned();
    let output = command.output().map_err(|error| format!("cannot start {program}: {error}"))?;
    if output.status.success() {
        return Ok(());
    }
    let words = [output.stderr, output.stdout].concat();
    let words = String::from_utf8_lossy(&words).into_owned();
    let last = words.lines().rfind(|line| !line.trim().is_empty()).unwrap_or("it said nothing");
    Err(format!("{program} ended with {}: {}", output.status, last.trim()))
}
