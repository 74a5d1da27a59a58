//! `replay`, `verify` and `record` as programs: statuses, words and klines of small inputs and of
//! recorded ones.

#![allow(clippy::unwrap_used, reason = "a test that cannot start the program has failed")]

mod configuration;
mod doctor;
mod export;
mod import;
#[cfg(target_os = "linux")]
mod memory;
mod program;
mod readers;
mod record;
mod recorded;
mod replay;
mod store;
mod verify;
