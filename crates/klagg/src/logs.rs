//! Logs and words for people: both go to stderr.

use std::io::IsTerminal;

use anyhow::Context;
use tracing_subscriber::EnvFilter;

use crate::config::{Log, LogFormat};

/// Says one line to the person at the terminal.
#[expect(clippy::print_stderr, reason = "this is where words leave the program")]
pub(crate) fn say(line: &str) {
    eprintln!("{line}");
}

/// Starts logging as configured.
///
/// # Errors
/// If `log.filter` is no filter.
pub(crate) fn start(config: &Log) -> anyhow::Result<()> {
    let filter = EnvFilter::try_new(&config.filter)
        .with_context(|| format!("log.filter is `{}`, which is no filter", config.filter))?;
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal());
    match config.format {
        LogFormat::Human => builder.compact().init(),
        LogFormat::Json => builder.json().init(),
    }
    Ok(())
}
