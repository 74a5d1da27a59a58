//! Set-up shared by the benches: a seeded market, its frames, and recorded ones where they lie.
//!
//! Always true here: the same seed gives the same trades on every machine. What is measured must
//! not depend on luck.

mod bare;
mod market;
mod recorded;
mod rounds;
mod series;
pub mod startup;

pub use bare::{Bare, Layout};
pub use market::{Market, MarketTrade, combined_frame};
pub use recorded::recorded_frames;
pub use rounds::Rounds;
pub use series::Series;

/// Whether each bench is only to be run once, to see that it works: under `cargo test`, and with
/// `--test`. Then everything is small, for it runs without optimisation and in CI.
pub fn is_quick() -> bool {
    let has = |wanted: &str| std::env::args().any(|argument| argument == wanted);
    has("--test") || !has("--bench")
}

/// The first number in a full run, the second in a quick one.
pub fn size(full: usize, quick: usize) -> usize {
    if is_quick() { quick } else { full }
}
