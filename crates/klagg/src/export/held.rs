//! What the store holds of some symbols, for whoever asked for what it does not.

use klagg_kline::{Period, UnixMillis};
use klagg_store::{StoreError, StoreReader, StoredSymbol};

use crate::export::span::shown;

/// The periods held of any of the symbols, with the first and the last open time.
pub(super) fn held(
    reader: &StoreReader,
    symbols: &[StoredSymbol],
) -> Result<Vec<(Period, UnixMillis, UnixMillis)>, StoreError> {
    let mut held = Vec::new();
    for period in Period::ALL {
        let mut bounds: Option<(UnixMillis, UnixMillis)> = None;
        for symbol in symbols {
            let Some((first, last)) = reader.stored(symbol.id, period)? else { continue };
            let (least, most) = bounds.unwrap_or((first, last));
            bounds = Some((least.min(first), most.max(last)));
        }
        held.extend(bounds.map(|(first, last)| (period, first, last)));
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
