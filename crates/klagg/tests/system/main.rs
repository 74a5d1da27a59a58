//! The real binary against the loopback exchange: what a user sees, what the disk holds.
//!
//! Nothing here waits for a time to pass: conditions are waited for, with a bound.

#![allow(clippy::unwrap_used, reason = "a test that cannot start the program has failed")]

mod broken;
mod faults;
mod market;
mod process;
mod refusals;
mod truth;
