//! Where things lie in the workspace, and how its commands are run.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, bail};

/// The folder that holds the workspace's `Cargo.toml`.
pub(crate) fn root() -> PathBuf {
    let xtask = Path::new(env!("CARGO_MANIFEST_DIR"));
    xtask.parent().unwrap_or(xtask).to_owned()
}

/// The folder of every package: the crates, then `benches` and `xtask`.
pub(crate) fn packages() -> anyhow::Result<Vec<PathBuf>> {
    let crates = root().join("crates");
    let mut packages = Vec::new();
    for entry in crates.read_dir().with_context(|| format!("read {}", crates.display()))? {
        let path = entry?.path();
        if path.join("Cargo.toml").is_file() {
            packages.push(path);
        }
    }
    packages.sort();
    packages.extend([root().join("benches"), root().join("xtask")]);
    Ok(packages)
}

/// Every `.rs` file of the workspace that is ours, sorted.
pub(crate) fn rust_files() -> anyhow::Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for package in packages()? {
        collect(&package, "rs", &mut files)?;
    }
    files.sort();
    Ok(files)
}

fn collect(folder: &Path, extension: &str, files: &mut Vec<PathBuf>) -> anyhow::Result<()> {
    for entry in folder.read_dir().with_context(|| format!("read {}", folder.display()))? {
        let path = entry?.path();
        if path.is_dir() {
            if !path.ends_with("target") && !path.ends_with("node_modules") {
                collect(&path, extension, files)?;
            }
        } else if path.extension().is_some_and(|found| found == extension) {
            files.push(path);
        }
    }
    Ok(())
}

/// `path` as seen from the workspace's root, for messages.
pub(crate) fn relative(path: &Path) -> String {
    path.strip_prefix(root()).unwrap_or(path).display().to_string()
}

/// Runs one step, showing its command first; its output goes straight through.
#[expect(clippy::print_stderr, reason = "words of a developer's tool")]
pub(crate) fn step(name: &str, command: &mut Command) -> anyhow::Result<()> {
    let words: Vec<_> =
        command.get_args().map(|argument| argument.to_string_lossy().into_owned()).collect();
    let program = command.get_program().to_string_lossy().into_owned();
    eprintln!("\n=== {name}: {program} {}", words.join(" "));
    let status = command
        .current_dir(root())
        .status()
        .with_context(|| format!("{name}: could not start `{program}`"))?;
    if !status.success() {
        bail!("{name} failed: `{program} {}` ended with {status}", words.join(" "));
    }
    Ok(())
}

/// The cargo that runs this chore.
pub(crate) fn cargo() -> Command {
    Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
}
