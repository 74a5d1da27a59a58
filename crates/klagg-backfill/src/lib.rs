//! History before live: plan by weight, fetch, seam, repair, confirmation.
//!
//! Always true here:
//! - Weight is spent, not requests: what can be folded from shorter klines is not asked for, pages
//!   have the cheapest size, and every request waits for its weight at [`klagg_binance`].
//! - What is handed on was checked against what was asked for: no hole, nothing outside. A page
//!   that is refused or does not come is counted, and stays missing until it comes.
//! - Old history may come from the exchange's archive, which costs no weight: from there or from
//!   REST, never from both.
//! - A longer kline is folded only from children that are all confirmed.
//! - Everything runs inside one future: nothing is detached, dropping it ends all requests.
//!
//! What decides is pure: [`BackfillCore`], a state machine of events and actions around
//! [`plan()`], the fold and the comparison. [`backfill_task`] is the shell that carries its actions
//! out.
//! Deliberately absent: sockets, SQL, the exchange's JSON, and what a file of the archive looks
//! like inside (whoever composes gives a reader).
//!
//! How a start goes: what the store has is loaded; what open klines are made of is fetched; then
//! all older history. Meanwhile the minute in which the feed began is fetched once it is final (the
//! seam, after which nothing is missing), and closed minutes are compared with the exchange's own.

/// Whether a seeded bug is switched on: never, but in the simulation's own build.
#[cfg(feature = "mutants")]
macro_rules! mutated {
    ($mutant:ident) => {
        klagg_mutants::is_active(klagg_mutants::Mutant::$mutant)
    };
}
#[cfg(not(feature = "mutants"))]
macro_rules! mutated {
    ($mutant:ident) => {
        false
    };
}

mod action;
mod cheapest;
mod config;
mod core;
mod difference;
mod error;
mod event;
mod fetch;
mod files;
mod load;
mod look;
mod lookout;
mod pages;
mod plan;
mod progress;
mod record;
mod reply;
mod spans;
mod state;
mod symbols;
mod task;
mod waiting;

pub use action::{Action, FileRequest, Level, Notice, Request, RequestId, What};
pub use config::{
    ArchiveParts, ArchiveRules, BackfillCommand, BackfillConfig, BackfillParts, Clock,
    Confirmation, ReadFile, StoreParts,
};
pub use core::BackfillCore;
pub use error::BackfillError;
pub use event::{Answer, Event, Failure, FileFailure, Now, Stored, SymbolSpec};
pub use files::{ArchiveFile, FileFault, files};
pub use look::{Discovery, FirstKline, Look};
pub use lookout::{Lookout, LookoutConfig, Moves};
pub use pages::Page;
pub use plan::{Depth, Held, Wanted, plan};
pub use progress::{BackfillCounts, BackfillProgress, Phase};
pub use spans::{Span, Spans};
pub use symbols::{SymbolFilter, discover, entry, stored};
pub use task::backfill_task;
