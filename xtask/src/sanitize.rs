//! Runs tests under the interpreter that knows undefined behaviour (Miri), and under the
//! sanitizer that knows data races (`ThreadSanitizer`).
//!
//! Both need what a stable toolchain does not bring. Where it is missing they say what, and that
//! they were skipped; that is no failure.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::workspace::{root, step};

/// Toolchains in the order in which they are asked for what is needed.
const TOOLCHAINS: &[&str] = &["stable", "nightly"];

/// What Miri interprets, a thousand times slower than the machine runs it: where decimals are
/// read, numbers packed, and words handed from thread to thread. The package, and what the names
/// of its tests contain; nothing is all of them.
const MIRI: &[(&str, &[&str])] = &[
    ("klagg-kline", &[]),
    (
        "klagg-engine",
        &["history::cell", "history::pack", "history::series", "history::numbers", "a_follower"],
    ),
    ("klagg-symbols", &["appenders_and_readers"]),
];

/// What runs under `ThreadSanitizer`: the tests that start threads.
const THREADS: &[&[&str]] = &[
    &["--package", "klagg-engine", "--lib", "--test", "engine"],
    &["--package", "klagg-symbols", "--lib"],
    &["--package", "klagg-gateway", "--lib", "--test", "task"],
];

/// Interprets the tests of [`MIRI`].
///
/// # Errors
/// If Miri finds something, or a test fails.
pub(crate) fn miri() -> anyhow::Result<()> {
    let Some(toolchain) = TOOLCHAINS.iter().find(|toolchain| has_miri(toolchain)) else {
        return skipped(
            "no toolchain here has the component miri (rustup +nightly component add \
                        miri rust-src)",
        );
    };
    for (package, filters) in MIRI {
        let mut tests = with(toolchain);
        tests.args(["miri", "test", "--package", package, "--lib", "--"]).args(*filters);
        // Random numbers and the clock of the system are what proptest starts from.
        tests.env("MIRIFLAGS", "-Zmiri-disable-isolation");
        // A few cases: the interpreter looks at how something is done, not at what comes out.
        tests.env("PROPTEST_CASES", "4").env("CARGO_TARGET_DIR", root().join("target/miri"));
        step("miri", &mut tests)?;
    }
    Ok(())
}

/// Runs the tests of [`THREADS`], with the standard library built for it too: without that, the
/// fence in an `Arc`'s drop is not seen and reported as a race. Nothing is suppressed.
///
/// # Errors
/// If there is a data race, or a test fails.
pub(crate) fn tsan() -> anyhow::Result<()> {
    if !cfg!(all(target_os = "linux", target_arch = "x86_64")) {
        return skipped("the sanitizer is used on Linux and x86-64 only");
    }
    let Some(toolchain) = TOOLCHAINS.iter().find(|toolchain| has_library_source(toolchain)) else {
        return skipped(
            "no toolchain here has the component rust-src (rustup component add \
                        rust-src)",
        );
    };
    for arguments in THREADS {
        let mut tests = with(toolchain);
        tests.args(["test", "-Zbuild-std", "--target", "x86_64-unknown-linux-gnu"]);
        tests.args(*arguments);
        tests.env("RUSTFLAGS", "-Zsanitizer=thread");
        if *toolchain != "nightly" {
            // The sanitizer is in the stable compiler too, but does not come out unasked.
            tests.env("RUSTC_BOOTSTRAP", "1");
        }
        tests.env("TSAN_OPTIONS", "halt_on_error=1 suppressions=");
        tests.env("CARGO_TARGET_DIR", root().join("target/tsan"));
        step("thread sanitizer", &mut tests)?;
    }
    Ok(())
}

/// The cargo of a toolchain, whichever one runs this chore.
fn with(toolchain: &str) -> Command {
    let mut cargo = Command::new("rustup");
    cargo.args(["run", toolchain, "cargo"]);
    for variable in ["CARGO", "RUSTC", "RUSTDOC", "RUSTUP_TOOLCHAIN"] {
        cargo.env_remove(variable);
    }
    cargo
}

fn has_miri(toolchain: &str) -> bool {
    let mut asked = with(toolchain);
    asked.args(["miri", "--version"]).stdout(Stdio::null()).stderr(Stdio::null());
    asked.status().is_ok_and(|status| status.success()) && has_library_source(toolchain)
}

fn has_library_source(toolchain: &str) -> bool {
    let mut asked = Command::new("rustup");
    asked.args(["run", toolchain, "rustc", "--print", "sysroot"]).stderr(Stdio::null());
    let sysroot = asked.output().ok().filter(|outcome| outcome.status.success());
    let sysroot = sysroot.and_then(|outcome| String::from_utf8(outcome.stdout).ok());
    let library = |sysroot: &str| -> PathBuf {
        Path::new(sysroot.trim()).join("lib/rustlib/src/rust/library/Cargo.lock")
    };
    sysroot.is_some_and(|sysroot| library(&sysroot).is_file())
}

#[expect(clippy::print_stderr, reason = "words of a developer's tool")]
#[expect(clippy::unnecessary_wraps, reason = "the last word of a chore that has others")]
fn skipped(reason: &str) -> anyhow::Result<()> {
    eprintln!("skipped: {reason}");
    Ok(())
}
