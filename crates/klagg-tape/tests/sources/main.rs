//! Whole files through the public interface: containers, kinds, faults, tapes, recorded data.

#![allow(clippy::unwrap_used, reason = "a test that cannot prepare its files has failed")]

mod containers;
mod files;
mod kinds;
mod recorded;
mod tape;
