//! The core against an exchange of a few lines, in simulated time and with the real weight budget:
//! what it spends, whom it prefers, how soon holes are repaired.

#![expect(clippy::unwrap_used, reason = "a helper that fails is a test that fails")]

mod archive;
mod causes;
mod listing;
mod repair;
mod resume;
mod spending;
mod watched;
mod world;
