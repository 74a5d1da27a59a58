//! The klagg program: flags and configuration in, the composed pipeline out.
//!
//! Data goes to stdout, words go to stderr, and the exit status says how it went (see [`exit`]).

mod cli;
mod compose;
mod config;
mod db_writer;
mod doctor;
mod exit;
mod export;
mod feed_sink;
mod import;
mod logs;
mod parts;
mod pipeline;
mod progress;
mod record;
mod replay;
mod status;
mod stop;
mod supervision;
mod verify;

use std::process::ExitCode;

use clap::Parser;

fn main() -> ExitCode {
    match cli::run(cli::Cli::parse()) {
        Ok(exit) => exit.into(),
        Err(error) => {
            logs::say(&format!("error: {}", logs::sentence(&error)));
            exit::Exit::Failed.into()
        }
    }
}
