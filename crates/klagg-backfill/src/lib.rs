//! History before live: plan by weight, fetch, seam, repair, confirmation.
mod error;
mod pages;
mod plan;
mod progress;
mod reply;
mod spans;
mod symbols;

pub use error::BackfillError;
pub use pages::Page;
pub use plan::{Depth, Held, Wanted, plan};
pub use progress::{BackfillCounts, BackfillProgress, Phase};
pub use spans::{Span, Spans};
pub use symbols::{Discovery, SymbolFilter, discover, entry, stored};
