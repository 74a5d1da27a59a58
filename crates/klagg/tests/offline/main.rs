//! `replay` and `verify` as programs: statuses, words and klines of small and recorded inputs.

#![allow(clippy::unwrap_used, reason = "a test that cannot start the program has failed")]

mod program;
mod recorded;
mod replay;
mod verify;
