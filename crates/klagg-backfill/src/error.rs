//! What can stop history from being fetched, and what only delays it.

use klagg_binance::BinanceError;
use klagg_engine::EngineError;
use klagg_store::StoreError;
use klagg_symbols::SymbolsError;

use crate::event::Failure;

/// A failure of discovery, of the backfill or of a single page.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BackfillError {
    /// A number of the configuration is out of its range.
    #[error("setting `{name}` cannot be {value}: {allowed}")]
    Setting {
        /// Name of the field.
        name: &'static str,
        /// Its value.
        value: String,
        /// What is allowed.
        allowed: &'static str,
    },
    /// The exchange did not answer a request.
    #[error("cannot fetch {what}")]
    Exchange {
        /// What was asked for.
        what: String,
        /// Why not.
        #[source]
        source: BinanceError,
    },
    /// The store cannot be read or written.
    #[error("the store failed while {doing}")]
    Store {
        /// What was tried.
        doing: &'static str,
        /// Why it failed.
        #[source]
        source: StoreError,
    },
    /// The engine has ended.
    #[error("the engine does not take klines any more")]
    Engine(#[source] EngineError),
    /// The numbering refused the symbols.
    #[error("cannot number the symbols")]
    Symbols(#[source] SymbolsError),
    /// The history's writer has ended.
    #[error("nobody takes history pages any more")]
    HistoryClosed,
    /// The store's writer has ended.
    #[error("the store does not take klines any more")]
    StoreStopped,
    /// A thread for reading the store could not finish.
    #[error("reading the store was cut off")]
    ReaderLost,
}

impl BackfillError {
    /// Whether the same may succeed later.
    pub const fn is_retryable(&self) -> bool {
        match self {
            Self::Exchange { source, .. } => source.is_retryable(),
            Self::Setting { .. }
            | Self::Store { .. }
            | Self::Engine(_)
            | Self::Symbols(_)
            | Self::HistoryClosed
            | Self::StoreStopped
            | Self::ReaderLost => false,
        }
    }
}

/// What a failed request means for the next ones.
pub(crate) const fn failure_of(error: &BinanceError) -> Failure {
    use BinanceError::{Limited, Transport, Unavailable};
    match error {
        Transport { .. } | Unavailable { .. } | Limited { .. } => Failure::Exchange,
        error if error.is_retryable() => Failure::Odd,
        _ => Failure::Refused,
    }
}
