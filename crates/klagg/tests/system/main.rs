//! The real binary against the loopback exchange: what a user sees, what the disk holds.

mod process;
