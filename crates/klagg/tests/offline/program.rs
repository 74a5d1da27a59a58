//! Runs the program and holds what it said.

use std::path::{Path, PathBuf};
use std::process::Command;

/// How a run ended.
#[derive(Debug)]
pub(crate) struct Run {
    pub(crate) status: i32,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl Run {
    /// The line of stdout that starts with `start`, its runs of blanks made one.
    pub(crate) fn line(&self, start: &str) -> String {
        let mut lines = self.out.lines().map(|line| {
            let words: Vec<&str> = line.split_whitespace().collect();
            words.join(" ")
        });
        lines.find(|line| line.starts_with(start)).unwrap_or_default()
    }
}

/// Runs `klagg` with `args`.
pub(crate) fn klagg(args: &[&str]) -> Run {
    let output = Command::new(env!("CARGO_BIN_EXE_klagg")).args(args).output().unwrap();
    Run {
        status: output.status.code().unwrap(),
        out: String::from_utf8(output.stdout).unwrap(),
        err: String::from_utf8(output.stderr).unwrap(),
    }
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// The path of a shipped input.
pub(crate) fn fixture(name: &str) -> String {
    root().join("fixtures/trades").join(name).to_str().unwrap().to_owned()
}

/// The path of a recorded input; says what is skipped if it is not there.
#[expect(clippy::print_stdout, reason = "what a test skips is to be seen")]
pub(crate) fn recorded(name: &str) -> Option<String> {
    let path = root().join("../shared/data").join(name);
    if path.exists() {
        return Some(path.to_str().unwrap().to_owned());
    }
    println!("skipped: {name} is not there");
    None
}
