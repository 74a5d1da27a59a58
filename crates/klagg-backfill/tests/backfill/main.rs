//! The backfill as a whole: a scripted exchange with a clock to turn, and the simulated one.

#![expect(clippy::unwrap_used, reason = "a helper that fails is a test that fails")]

mod archive;
mod faults;
mod market;
mod pipeline;
mod scripted;
mod simulated;
