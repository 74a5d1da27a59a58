//! The permanent numbering of the market, lock-free to read.
//!
//! Always true here:
//! - A number never changes its meaning: numbers are given once, in order, without holes.
//! - Numbers given together follow the time of the first daily kline, then the name bytewise,
//!   whatever order they were handed in.
//! - A delisted symbol keeps its number as a tombstone. If its name is listed again, that is a new
//!   symbol with a new number; the name then leads to the newest. Only a listing that had not
//!   ended after all comes back under its number.
//! - Readers never wait: they see one immutable [`SymbolTable`] at a time.
//!
//! Deliberately absent: the exchange, the disk, the notion of "now". Whoever appends writes the
//! returned entries to the store before using their numbers.
//!
//! # Examples
//!
//! ```
//! use klagg_kline::{Precision, SymbolId, UnixMillis};
//! use klagg_symbols::{NewSymbol, SymbolIndex};
//!
//! let index = SymbolIndex::empty(10_000);
//! let symbol = |name: &str, first_open_time| NewSymbol {
//!     name: name.to_owned(),
//!     first_open_time: UnixMillis(first_open_time),
//!     onboard_time: None,
//!     precision: Precision::new(2, 3).unwrap(),
//! };
//! index.append(vec![symbol("ETHUSDT", 86_400_000), symbol("BTCUSDT", 86_400_000)])?;
//! let mut reader = index.reader();
//! assert_eq!(reader.table().get_bytes(b"BTCUSDT"), Some(SymbolId(0)));
//! assert_eq!(reader.table().get("ETHUSDT"), Some(SymbolId(1)));
//! # Ok::<(), klagg_symbols::SymbolsError>(())
//! ```

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

mod error;
mod index;
mod table;
#[cfg(test)]
mod tests;

pub use error::SymbolsError;
pub use index::{SymbolIndex, SymbolReader};
pub use table::{NewSymbol, SymbolEntry, SymbolTable};
