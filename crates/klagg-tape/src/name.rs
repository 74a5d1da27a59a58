//! What a file name tells when the rows do not: symbol and period.
//!
//! The exchange's dumps are called `SYMBOL-KIND-DATE…`, KIND being `aggTrades`, `trades`, `klines`
//! or a period (`1m` … `1mo`). A name of another shape tells nothing.

use std::path::Path;

use klagg_kline::Period;

/// Longest name of a symbol. The exchange's longest had 17 characters in 2026.
pub(crate) const SYMBOL_BYTES_MAX: usize = 64;

const KINDS: [&str; 6] = ["aggTrades", "aggTrade", "trades", "trade", "klines", "kline"];

/// What the name of a dump tells.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NameFacts {
    /// Whose trades or klines it holds.
    pub symbol: String,
    /// Of klines, how long they are.
    pub period: Option<Period>,
}

impl NameFacts {
    /// What a file's name tells, without its folders; `None` if it is not named as dumps are.
    pub fn of(path: &Path) -> Option<Self> {
        facts(path.file_name()?.to_str()?)
    }
}

/// What `name`, without its folders, tells.
pub(crate) fn facts(name: &str) -> Option<NameFacts> {
    let mut pieces = name.split('-');
    let symbol = pieces.next()?;
    let kind = pieces.next()?.split('.').next()?;
    let period = match kind {
        "1mo" => Some(Period::Mo1),
        text => text.parse().ok(),
    };
    if !is_symbol(symbol) || (period.is_none() && !KINDS.contains(&kind)) {
        return None;
    }
    Some(NameFacts { symbol: symbol.to_owned(), period })
}

/// Whether `text` may be the name of a symbol: no lower case, no blanks, no signs but `_`.
pub(crate) fn is_symbol(text: &str) -> bool {
    !text.is_empty()
        && text.len() <= SYMBOL_BYTES_MAX
        && text.chars().all(|letter| {
            letter.is_ascii_uppercase()
                || letter.is_ascii_digit()
                || letter == '_'
                || (!letter.is_ascii() && letter.is_alphanumeric())
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_the_exchange_tell_symbol_and_period() {
        let check = |name: &str, expected: Option<(&str, Option<Period>)>| {
            let expected =
                expected.map(|(symbol, period)| NameFacts { symbol: symbol.to_owned(), period });
            assert_eq!(facts(name), expected, "{name}");
        };
        check("BTCUSDT-aggTrades-2024-10-28.part1.csv.gz", Some(("BTCUSDT", None)));
        check("1000PEPEUSDT-trades-2024-10.zip", Some(("1000PEPEUSDT", None)));
        check("币安人生USDT-1m-2026-01-01.csv", Some(("币安人生USDT", Some(Period::M1))));
        check("BTCUSDT_261225-1mo-2026.csv", Some(("BTCUSDT_261225", Some(Period::Mo1))));
        check("BTCUSDT-1M-2026.csv", Some(("BTCUSDT", Some(Period::Mo1))));
        check("BTCUSDT-trades.csv", Some(("BTCUSDT", None)));
        check("trades.csv", None);
        check("4-symbols-aggTrade.jsonl", None);
        check("my-trades-2024.csv", None);
        check("", None);
        check("-aggTrades-", None);
    }
}
