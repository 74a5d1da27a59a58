//! Klines and the symbol table on disk, in SQLite.
//!
//! Always true here:
//! - One process writes: the data folder is held by a lock. One connection writes; readers have
//!   their own, which cannot.
//! - A row is replaced only by one that supersedes it: writing is idempotent, in any order.
//! - Every value is exact, and every row carries a checksum that is checked when it is read.
//! - [`Coverage`] speaks of what the same transaction wrote, so a crash cannot make it a lie.
//! - Closed klines and open ones live in tables of their own, for speed.
//!
//! Deliberately absent: the exchange, the engine, the notion of "now" (but for the writer's
//! timers). What to fetch is decided elsewhere, from what [`Coverage`] says.
//!
//! Files in the data folder: `klagg.db` with its `-wal` and `-shm`, and `klagg.lock`. For people
//! with `sqlite3` or pandas there are the views `klines` and `klines_exact`.

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

mod connection;
mod coverage;
mod error;
mod folder;
mod identity;
mod known;
mod model;
mod quarantine;
mod reader;
mod retention;
mod row;
mod schema;
mod store;
mod symbols;
mod views;
mod wal;
mod writer;

pub use error::StoreError;
pub use model::{
    Coverage, Durability, OpenCheck, ReadEnd, ReadPage, ReadQuery, StoreConfig, StoredKline,
    StoredSymbol, WriteOutcome,
};
pub use quarantine::Quarantine;
pub use reader::{Census, CensusSlot, Newest, ScanOutcome, StoreReader, StoreReaderFactory};
pub use retention::Retention;
pub use store::Store;
pub use writer::{
    Batch, Pull, StoreWriter, SubmitError, SymbolChange, WriterConfig, WriterCore, WriterHandle,
    WriterStatus, WriterStep,
};
