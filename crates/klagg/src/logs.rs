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

/// An error and its causes in one line; a cause that its error has said already is not repeated.
pub(crate) fn sentence(error: &anyhow::Error) -> String {
    let mut text = error.to_string();
    for cause in error.chain().skip(1).map(ToString::to_string) {
        if !text.ends_with(&cause) {
            text = format!("{text}: {cause}");
        }
    }
    text
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cause_is_said_once() {
        let cause = || std::io::Error::other("the disk is gone");
        let error = anyhow::Error::new(cause()).context("cannot write: the disk is gone");
        assert_eq!(
            sentence(&error.context("no klines")),
            "no klines: cannot write: the disk is gone"
        );
        let error = anyhow::Error::new(cause()).context("cannot write");
        assert_eq!(sentence(&error), "cannot write: the disk is gone");
    }
}
