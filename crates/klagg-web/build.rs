//! Brings the chart library into the binary, or says that it is missing.
//!
//! The library is not in git. It is the npm package that `page/npm/package-lock.json` pins with
//! its integrity, looked for in this order:
//! 1. `KLAGG_NODE_MODULES`: a `node_modules` folder that holds it already;
//! 2. `page/npm/node_modules`, where `npm ci` in that folder puts it;
//! 3. `npm ci` into cargo's own out folder, which checks the integrity.
//!
//! Whatever fails, the build goes on: it warns, and the page shows tables instead of a chart.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

const PACKAGE: &str = "lightweight-charts";
const SCRIPT: &str = "dist/lightweight-charts.standalone.production.js";
/// A file outside these sizes is not the one that was pinned.
const SIZE: std::ops::RangeInclusive<u64> = 100_000..=500_000;

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-changed=page/npm/package.json");
    println!("cargo::rerun-if-changed=page/npm/package-lock.json");
    println!("cargo::rerun-if-env-changed=KLAGG_NODE_MODULES");
    let folder = |name: &str| PathBuf::from(std::env::var_os(name).unwrap_or_default());
    let (source, out) = (folder("CARGO_MANIFEST_DIR").join("page/npm"), folder("OUT_DIR"));
    let library = match library(&source, &out) {
        Ok(()) => "Some(include_bytes!(concat!(env!(\"OUT_DIR\"), \"/lightweight-charts.js\")))",
        Err(reason) => {
            println!(
                "cargo::warning=the page will show tables instead of charts: {reason}. With npm: \
                 `npm ci --ignore-scripts` in crates/klagg-web/page/npm, then touch its \
                 package.json and build again"
            );
            "None"
        }
    };
    let constant = format!(
        "/// The chart library's script, if the build found it.\n\
         pub(crate) const CHART_LIBRARY: Option<&[u8]> = {library};\n"
    );
    if let Err(error) = fs::write(out.join("chart_library.rs"), constant) {
        println!("cargo::error=cannot write into {}: {error}", out.display());
    }
}

/// Copies the script into `out`.
fn library(source: &Path, out: &Path) -> Result<(), String> {
    let version = pinned_version(&source.join("package-lock.json"))?;
    let given = std::env::var_os("KLAGG_NODE_MODULES").map(PathBuf::from);
    let found = match given {
        Some(modules) => check(&modules, &version)?,
        None => check(&source.join("node_modules"), &version)
            .or_else(|_| check(&out.join("npm/node_modules"), &version))
            .or_else(|_| install(source, out).and_then(|modules| check(&modules, &version)))?,
    };
    let copy = out.join("lightweight-charts.js");
    fs::copy(&found, &copy).map_err(|error| format!("cannot copy {}: {error}", found.display()))?;
    Ok(())
}

/// The version in the lock file: the line after the package's own.
fn pinned_version(lock: &Path) -> Result<String, String> {
    let text = fs::read_to_string(lock)
        .map_err(|error| format!("cannot read {}: {error}", lock.display()))?;
    version_after(&text, &format!("\"node_modules/{PACKAGE}\""))
        .ok_or_else(|| format!("{} does not pin {PACKAGE}", lock.display()))
}

fn version_after(text: &str, mark: &str) -> Option<String> {
    let rest = &text[text.find(mark)? + mark.len()..];
    let rest = &rest[rest.find("\"version\"")? + "\"version\"".len()..];
    rest.split('"').nth(1).map(str::to_owned)
}

/// The script in `modules`, if it is there in the pinned version and of a plausible size.
fn check(modules: &Path, version: &str) -> Result<PathBuf, String> {
    let package = modules.join(PACKAGE);
    let manifest = fs::read_to_string(package.join("package.json"))
        .map_err(|_| format!("{} does not hold {PACKAGE}", modules.display()))?;
    let found = version_after(&manifest, "{");
    if found.as_deref() != Some(version) {
        return Err(format!("{} is not version {version}", package.display()));
    }
    let script = package.join(SCRIPT);
    let size = fs::metadata(&script).map(|metadata| metadata.len());
    match size {
        Ok(size) if SIZE.contains(&size) => Ok(script),
        _ => Err(format!("{} is missing or of a strange size", script.display())),
    }
}

/// `npm ci` of the pinned package into `out`.
fn install(source: &Path, out: &Path) -> Result<PathBuf, String> {
    if std::env::var_os("DOCS_RS").is_some() {
        return Err("documentation is built without it".to_owned());
    }
    let folder = out.join("npm");
    let prepared = fs::create_dir_all(&folder).and_then(|()| {
        for name in ["package.json", "package-lock.json"] {
            fs::copy(source.join(name), folder.join(name))?;
        }
        Ok(())
    });
    prepared.map_err(|error| format!("cannot prepare {}: {error}", folder.display()))?;

    let npm = Command::new(if cfg!(windows) { "npm.cmd" } else { "npm" })
        .args(["ci", "--ignore-scripts", "--no-audit", "--no-fund", "--fetch-retries=1"])
        .args(["--fetch-timeout=20000", "--loglevel=error"])
        .current_dir(&folder)
        .output()
        .map_err(|error| format!("npm cannot be run ({error})"))?;
    if npm.status.success() {
        return Ok(folder.join("node_modules"));
    }
    let words = String::from_utf8_lossy(&npm.stderr);
    let last = words.lines().find(|line| line.contains("npm error")).unwrap_or("no reason given");
    Err(format!("npm ci failed: {}", last.trim()))
}
