//! How the program ends.

use std::process::ExitCode;

/// Exit statuses, the same for every subcommand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Exit {
    /// Done as asked.
    Success,
    /// Done, and not all is well: `verify` found a difference, `doctor` a finding, `export` rows
    /// that could not be read, `import` files that it refused beside good ones.
    Different,
    /// Not done; stderr says why in a sentence.
    Failed,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(match exit {
            Exit::Success => 0,
            Exit::Different => 1,
            Exit::Failed => 2,
        })
    }
}
