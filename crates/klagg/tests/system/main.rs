//! The real binary against the loopback exchange: what a user sees, what the disk holds.
//!
//! Nothing here waits for a time to pass: conditions are waited for, with a bound.

#![allow(clippy::unwrap_used, reason = "a test that cannot start the program has failed")]
#![expect(clippy::print_stdout, reason = "a test says what it skips, and why")]

mod archive;
mod broken;
mod clock;
mod disk;
mod faults;
mod listings;
mod market;
mod process;
mod refusals;
#[expect(dead_code, reason = "shared with the store's own tests")]
#[path = "../../../klagg-store/tests/disk/shim.rs"]
mod shim;
mod silence;
mod sockets;
mod start;
mod stores;
mod truth;
