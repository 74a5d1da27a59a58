//! Why a numbering cannot be made or changed.

use klagg_kline::SymbolId;

use crate::{NewSymbol, SymbolEntry};

/// Why a numbering cannot be made or changed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SymbolsError {
    /// The numbering is full. What still fitted was appended and is handed out here, to be
    /// treated as if it had been returned; the rest is handed back.
    #[error("the limit of {max} symbols is reached: {} refused, first `{}`",
        .refused.len(), .refused.first().map_or("", |symbol| symbol.name.as_str()))]
    Full {
        /// The limit.
        max: usize,
        /// What was appended before the limit was met. These symbols are numbered and visible.
        appended: Vec<SymbolEntry>,
        /// What did not fit, in the order in which it would have been numbered.
        refused: Vec<NewSymbol>,
    },
    /// More entries than the limit when loading.
    #[error("{count} symbols were numbered before, but the limit is {max}")]
    TooMany {
        /// How many there are.
        count: usize,
        /// The limit.
        max: usize,
    },
    /// A name that is empty, longer than 64 bytes, or holds whitespace or control characters.
    #[error("`{}` is no symbol name", .name.escape_debug())]
    BadName {
        /// The name.
        name: String,
    },
    /// The numbers of loaded entries are not 0, 1, 2, … each once.
    #[error("the numbering has a hole or a double at {missing}")]
    NotContiguous {
        /// The first number that is missing.
        missing: SymbolId,
    },
    /// Two loaded entries with one name are both listed.
    #[error("`{name}` is listed twice, as {first} and {second}")]
    ListedTwice {
        /// The name.
        name: String,
        /// The lower number.
        first: SymbolId,
        /// The higher number.
        second: SymbolId,
    },
    /// No symbol has this number.
    #[error("no symbol has the number {id}")]
    Unknown {
        /// The number.
        id: SymbolId,
    },
}
