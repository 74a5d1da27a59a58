//! The klagg program: flags and configuration in, the composed pipeline out.
//!
//! Data goes to stdout, words go to stderr, and the exit status says how it went (see [`exit`]).

mod cli;
mod config;
mod exit;
mod logs;

use std::process::ExitCode;

use clap::Parser;

fn main() -> ExitCode {
    match cli::run(cli::Cli::parse()) {
        Ok(exit) => exit.into(),
        Err(error) => {
            logs::say(&format!("error: {error:#}"));
            exit::Exit::Failed.into()
        }
    }
}
