//! Recorded data: what the project ships is checked against its manifest, what the exchange
//! publishes is fetched on demand.
//!
//! `fixtures/MANIFEST.toml` has a table `shipped` (path → SHA-256) and a list `dumps` (addresses
//! below the exchange's public archive, each with its SHA-256 once it is known; the archive's own
//! `.CHECKSUM` file is checked too).

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, bail, ensure};
use clap::Subcommand;
use serde::Deserialize;
use sha2::{Digest, Sha256};

use crate::workspace::{relative, root, step};

/// What to do with recorded data.
#[derive(Debug, Subcommand)]
pub(crate) enum Action {
    /// Bring the exchange's public dumps named in the manifest (needs internet and curl).
    Fetch,
    /// Check what is shipped against the manifest.
    Check,
    /// Write the checksums of what is shipped into the manifest's form, on stdout.
    Sums,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Manifest {
    #[serde(default)]
    shipped: std::collections::BTreeMap<String, String>,
    archive: String,
    #[serde(default)]
    dumps: Vec<Dump>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Dump {
    path: String,
}

fn folder() -> PathBuf {
    root().join("fixtures")
}

fn manifest() -> anyhow::Result<Manifest> {
    let path = folder().join("MANIFEST.toml");
    let text = fs::read_to_string(&path).with_context(|| format!("read {}", path.display()))?;
    toml::from_str(&text).with_context(|| format!("parse {}", path.display()))
}

/// Runs `action`.
///
/// # Errors
/// If a file is missing, altered, or cannot be fetched.
#[expect(clippy::print_stderr, clippy::print_stdout, reason = "a developer's tool")]
pub(crate) fn run(action: &Action) -> anyhow::Result<()> {
    match action {
        Action::Check => {
            let mut violations = Vec::new();
            check(&mut violations)?;
            ensure!(violations.is_empty(), "{}", violations.join("\n"));
            eprintln!("fixtures: all as the manifest says");
        }
        Action::Sums => {
            for file in shipped_files()? {
                let name = file.strip_prefix(folder())?.display().to_string();
                println!("\"{name}\" = \"{}\"", sha256(&file)?);
            }
        }
        Action::Fetch => {
            let manifest = manifest()?;
            for dump in &manifest.dumps {
                fetch(&manifest.archive, &dump.path)?;
            }
        }
    }
    Ok(())
}

/// Adds every shipped file that is missing, altered, or not in the manifest.
///
/// # Errors
/// If the manifest or a file cannot be read.
pub(crate) fn check(violations: &mut Vec<String>) -> anyhow::Result<()> {
    let manifest = manifest()?;
    for (name, expected) in &manifest.shipped {
        let file = folder().join(name);
        if !file.is_file() {
            violations.push(format!("fixtures/{name}: in the manifest, but missing"));
        } else if sha256(&file)? != *expected {
            violations.push(format!("fixtures/{name}: not what the manifest says"));
        }
    }
    for file in shipped_files()? {
        let name = file.strip_prefix(folder())?.display().to_string();
        if !manifest.shipped.contains_key(&name) {
            violations.push(format!("{}: not in fixtures/MANIFEST.toml", relative(&file)));
        }
    }
    Ok(())
}

/// Every file below `fixtures/` but the manifest, the read-me and what was fetched.
fn shipped_files() -> anyhow::Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    let mut folders = vec![folder()];
    while let Some(next) = folders.pop() {
        for entry in next.read_dir()? {
            let path = entry?.path();
            if path.is_dir() {
                if !path.ends_with("fetched") {
                    folders.push(path);
                }
            } else if !path.ends_with("MANIFEST.toml") && !path.ends_with("README.md") {
                files.push(path);
            }
        }
    }
    files.sort();
    Ok(files)
}

fn sha256(file: &Path) -> anyhow::Result<String> {
    let bytes = fs::read(file).with_context(|| format!("read {}", file.display()))?;
    Ok(hex(&Sha256::digest(bytes)))
}

fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write;
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// Brings one dump and the archive's checksum of it; keeps it only if they agree.
fn fetch(archive: &str, path: &str) -> anyhow::Result<()> {
    let target = folder().join("fetched").join(path);
    if target.is_file() {
        return Ok(());
    }
    let parent = target.parent().context("a dump lies in a folder")?;
    fs::create_dir_all(parent)?;
    let partial = target.with_extension("partial");
    let checksum = target.with_extension("CHECKSUM");
    let curl = |address: &str, file: &Path| {
        let mut command = Command::new("curl");
        command.args(["--fail", "--location", "--retry", "3", "--output"]).arg(file).arg(address);
        step("fetch", &mut command)
    };
    curl(&format!("{archive}/{path}.CHECKSUM"), &checksum)?;
    curl(&format!("{archive}/{path}"), &partial)?;
    let line = fs::read_to_string(&checksum)?;
    let expected = line.split_whitespace().next().unwrap_or_default().to_lowercase();
    let found = sha256(&partial)?;
    if expected != found {
        fs::remove_file(&partial)?;
        bail!("{path}: its SHA-256 is {found}, the archive says {expected}; fetch it again");
    }
    fs::rename(&partial, &target)?;
    Ok(())
}
