//! What the store holds of some symbols, for whoever asked for what it does not.

use klagg_kline::{Period, UnixMillis};
use klagg_store::{StoreError, StoreReader, StoredSymbol};

use crate::export::span::shown;

/// Whether nothing of the period is held of any of the symbols. What cannot be read may be there.
pub(super) fn is_missing(reader: &StoreReader, symbols: &[StoredSymbol], period: Period) -> bool {
    symbols.iter().all(|symbol| matches!(reader.stored(symbol.id, period), Ok(None)))
}

/// The periods held of any of the symbols, with the first and the last open time.
pub(super) fn held(
    reader: &StoreReader,
    symbols: &[StoredSymbol],
) -> Result<Vec<(Period, UnixMillis, UnixMillis)>, StoreError> {
    let mut held = Vec::new();
    for period in Period::ALL {
        let mut bounds = Vec::new();
        for symbol in symbols {
            bounds.extend(reader.stored(symbol.id, period)?);
        }
        let first = bounds.iter().map(|&(first, _)| first).min();
        let last = bounds.iter().map(|&(_, last)| last).max();
        held.extend(first.zip(last).map(|(first, last)| (period, first, last)));
    }
    Ok(held)
}

/// What is held, as a sentence.
pub(super) fn sentence(held: &[(Period, UnixMillis, UnixMillis)]) -> String {
    if held.is_empty() {
        return "of these symbols the store holds no closed kline yet".to_owned();
    }
    let one = |(period, first, last): &(Period, UnixMillis, UnixMillis)| {
        format!("{period} from {} to {}", shown(*first), shown(*last))
    };
    format!(
        "of these symbols the store holds {}",
        held.iter().map(one).collect::<Vec<_>>().join(", ")
    )
}
