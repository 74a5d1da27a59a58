//! What can be wrong with bytes that claim to come from the exchange.

use std::fmt;

use klagg_kline::{DecimalError, KlineError, TradeError};

/// The place of a fault inside an array: "row 3: ", or nothing outside of arrays.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Row(pub Option<u32>);

impl Row {
    /// Outside of any array.
    pub const NONE: Self = Self(None);

    /// The row at `index`, counted from 0.
    pub(crate) fn at(index: usize) -> Self {
        Self(u32::try_from(index).ok())
    }
}

impl fmt::Display for Row {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(row) => write!(formatter, "row {row}: "),
            None => Ok(()),
        }
    }
}

/// Why bytes are not what they should be. Small and `Copy`: the hot path returns it.
///
/// Rows count from 0. A field is named as the exchange names it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum WireError {
    /// Longer than the limit for its kind (see [`crate::limits`]).
    #[error("{length} bytes long, at most {limit} are read")]
    TooLarge {
        /// Bytes that came.
        length: usize,
        /// Bytes allowed.
        limit: usize,
    },
    /// Not JSON.
    #[error("not JSON near byte {offset}: {fault}")]
    Syntax {
        /// Where the parser gave up, in bytes from the start.
        offset: usize,
        /// What it found.
        fault: &'static str,
    },
    /// JSON nested deeper than [`crate::limits::DEPTH_MAX`].
    #[error("JSON nests too deep near byte {offset}")]
    TooDeep {
        /// Where the limit was passed.
        offset: usize,
    },
    /// JSON, but of another shape than the message must have.
    #[error("{row}expected {expected}")]
    Shape {
        /// Where.
        row: Row,
        /// What should be there.
        expected: &'static str,
    },
    /// A field that must be there is not.
    #[error("{row}field `{field}` is missing")]
    Missing {
        /// Where.
        row: Row,
        /// The exchange's name of the field.
        field: &'static str,
    },
    /// A field stands twice: nobody can say which one counts.
    #[error("{row}field `{field}` stands twice")]
    Duplicate {
        /// Where.
        row: Row,
        /// The exchange's name of the field.
        field: &'static str,
    },
    /// A field holds a value of another type or outside its range.
    #[error("{row}field `{field}` is not {expected}")]
    Field {
        /// Where.
        row: Row,
        /// The exchange's name of the field.
        field: &'static str,
        /// What it should be.
        expected: &'static str,
    },
    /// A field holds a text that is no decimal of its type.
    #[error("{row}field `{field}` is no decimal that can be kept exactly")]
    Decimal {
        /// Where.
        row: Row,
        /// The exchange's name of the field.
        field: &'static str,
        /// Why.
        source: DecimalError,
    },
    /// All fields can be read, but together they are no trade.
    #[error("{row}no valid trade")]
    Trade {
        /// Where.
        row: Row,
        /// Why.
        source: TradeError,
    },
    /// All fields can be read, but together they are no kline.
    #[error("{row}no valid kline")]
    Kline {
        /// Where.
        row: Row,
        /// Why.
        source: KlineError,
    },
    /// A kline does not open where klines of its period open, or does not end where they end.
    #[error("{row}open or close time is not on the grid of the period")]
    OffGrid {
        /// Where.
        row: Row,
    },
    /// A row does not come after the one before it.
    #[error("{row}not after the row before it")]
    OutOfOrder {
        /// Where.
        row: Row,
    },
    /// A name that no stream known here has.
    #[error("not the name of a stream that is known here")]
    StreamName,
}
