//! Names, prices and decimals as they could stand on the exchange.

use super::symbol::Contract;
use crate::random::mix;

/// What distinguishes one contract from another when it is listed.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Profile {
    pub(crate) base: String,
    pub(crate) quote: &'static str,
    pub(crate) contract: Contract,
    /// Price in units of its last printed decimal.
    pub(crate) price: i64,
    pub(crate) price_decimals: u8,
    pub(crate) quantity_decimals: u8,
    /// Ticks are so many units of the last printed decimal.
    pub(crate) tick: i64,
}

type Row = (&'static str, i64, u8, u8, i64);

/// Base asset, price in its last decimal, decimals of price and quantity, tick; by size of trade.
const COINS: [Row; 60] = [
    ("BTC", 8_241_870, 2, 3, 10),
    ("ETH", 312_155, 2, 3, 1),
    ("1000PEPE", 84_310, 7, 0, 1),
    ("币安人生", 21_734, 5, 0, 1),
    ("SOL", 19_823, 2, 2, 1),
    ("XRP", 24_183, 4, 1, 1),
    ("BNB", 91_240, 2, 2, 1),
    ("DOGE", 187_350, 6, 0, 10),
    ("1INCH", 19_870, 5, 0, 1),
    ("SUI", 28_144, 4, 1, 1),
    ("ADA", 64_930, 5, 0, 1),
    ("LINK", 17_452, 3, 2, 1),
    ("AVAX", 21_870, 3, 1, 1),
    ("LTC", 9_644, 2, 3, 1),
    ("BCH", 54_021, 2, 3, 1),
    ("HYPE", 40_215, 3, 2, 1),
    ("ENA", 54_310, 5, 0, 1),
    ("TRX", 29_812, 5, 0, 1),
    ("DOT", 3_412, 3, 1, 1),
    ("NEAR", 2_417, 3, 0, 1),
    ("1000SATS", 312, 7, 0, 1),
    ("1000SHIB", 10_231, 6, 0, 1),
    ("1000BONK", 18_420, 6, 0, 1),
    ("1000FLOKI", 74_210, 6, 0, 1),
    ("我踏马来了", 40_318, 6, 0, 1),
    ("WIF", 7_124, 4, 1, 1),
    ("UNI", 6_921, 3, 0, 1),
    ("AAVE", 24_310, 2, 1, 1),
    ("FIL", 1_842, 3, 1, 1),
    ("ETC", 17_211, 3, 2, 1),
    ("APT", 3_921, 3, 1, 1),
    ("ARB", 41_230, 5, 1, 1),
    ("OP", 54_120, 5, 1, 1),
    ("INJ", 9_120, 3, 1, 1),
    ("TIA", 1_412, 3, 0, 1),
    ("SEI", 24_120, 5, 0, 1),
    ("LDO", 91_210, 5, 0, 1),
    ("CRV", 68_120, 5, 1, 1),
    ("ATOM", 3_821, 3, 2, 1),
    ("ICP", 4_512, 3, 0, 1),
    ("XLM", 31_240, 5, 0, 1),
    ("HBAR", 19_210, 5, 0, 1),
    ("TON", 22_130, 4, 1, 1),
    ("WLD", 84_120, 5, 0, 1),
    ("ORDI", 8_213, 3, 1, 1),
    ("GALA", 15_120, 6, 0, 1),
    ("SAND", 24_310, 5, 0, 1),
    ("MANA", 23_120, 5, 0, 1),
    ("AXS", 18_210, 4, 0, 1),
    ("ALGO", 17_120, 5, 1, 1),
    ("VET", 21_310, 6, 0, 1),
    ("XMR", 34_210, 2, 3, 1),
    ("ZEC", 41_230, 2, 3, 1),
    ("DASH", 6_120, 2, 3, 1),
    ("YFI", 5_012, 0, 3, 1),
    ("MKR", 16_120, 1, 3, 1),
    ("COMP", 4_512, 2, 3, 1),
    ("SNX", 1_121, 3, 1, 1),
    ("牛来", 9_120, 6, 0, 1),
    ("4", 12_310, 5, 0, 1),
];

const TRADFI: [Row; 8] = [
    ("XAU", 412_310, 2, 3, 1),
    ("XAG", 5_231, 2, 2, 1),
    ("TSLA", 42_120, 2, 2, 1),
    ("NVDA", 19_120, 2, 2, 1),
    ("CL", 6_120, 2, 2, 1),
    ("AAPL", 27_120, 2, 2, 1),
    ("MSTR", 29_120, 2, 2, 1),
    ("SPY", 68_120, 2, 2, 1),
];

/// Settled long ago, still listed.
const SETTLED: [Row; 6] = [
    ("OMG", 3_120, 4, 1, 1),
    ("FTT", 16_780, 4, 1, 1),
    ("SRM", 3_412, 4, 0, 1),
    ("WAVES", 11_210, 4, 1, 1),
    ("XEM", 17_210, 5, 0, 1),
    ("OCEAN", 41_230, 5, 0, 1),
];

/// Syllables of coins that exist nowhere.
const SYLLABLES: [&str; 32] = [
    "BA", "CO", "DI", "FU", "GA", "HE", "JO", "KI", "LU", "MA", "NE", "PI", "QUA", "RO", "SA",
    "TE", "VI", "WO", "XA", "YU", "ZE", "BLI", "CRA", "DRO", "FLE", "GRI", "KLO", "PLU", "STA",
    "TRO", "ZY", "NOX",
];

fn profile(row: Row, quote: &'static str, contract: Contract) -> Profile {
    let (base, price, price_decimals, quantity_decimals, tick) = row;
    let base = base.to_owned();
    Profile { base, quote, contract, price, price_decimals, quantity_decimals, tick }
}

/// The perpetual at place `at`, biggest first. Names are distinct.
pub(crate) fn perpetual(at: usize) -> Profile {
    // A TradFi contract at every tenth place, a second quote asset at two.
    match at {
        12 => return profile(COINS[0], "USDC", Contract::Perpetual),
        13 => return profile(COINS[1], "USDC", Contract::Perpetual),
        _ => {}
    }
    if at % 10 == 9
        && let Some(row) = TRADFI.get(at / 10)
    {
        return profile(*row, "USDT", Contract::TradFiPerpetual);
    }
    let others = (at / 10).min(TRADFI.len()) + if at > 13 { 2 } else { 0 };
    let coin = at - others;
    COINS.get(coin).map_or_else(|| invented(coin), |row| profile(*row, "USDT", Contract::Perpetual))
}

/// Contracts that were settled, as many as asked for, if there are.
pub(crate) fn settled(count: usize) -> impl Iterator<Item = Profile> {
    SETTLED.into_iter().take(count).map(|row| profile(row, "USDT", Contract::Perpetual))
}

/// A coin from its number alone.
fn invented(number: usize) -> Profile {
    let digits = [number % 32, number / 32 % 32, number / 1_024 % 32];
    let mut base: String = digits.iter().map(|&digit| SYLLABLES[digit]).collect();
    // Syllables join ambiguously; the number does not.
    base.push_str(&number.to_string());
    like(&base, "USDT")
}

/// Price and decimals for a name that is not in the tables.
pub(crate) fn like(base: &str, quote: &'static str) -> Profile {
    let number = base.bytes().fold(7, |hash, byte| mix(hash ^ u64::from(byte)));
    let digits = u8::try_from(number % 5).unwrap_or(0);
    Profile {
        base: base.to_owned(),
        quote,
        contract: Contract::Perpetual,
        price: 2_000 + ((number >> 8) % 90_000).cast_signed(),
        price_decimals: 2 + digits,
        quantity_decimals: 2_u8.saturating_sub(digits),
        tick: 1,
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn ten_thousand_names_are_distinct() {
        let names: HashSet<_> = (0..10_000)
            .map(perpetual)
            .map(|profile| format!("{}{}", profile.base, profile.quote))
            .collect();
        assert_eq!(names.len(), 10_000);
        for name in ["BTCUSDT", "ETHUSDT", "1000PEPEUSDT", "币安人生USDT", "XAUUSDT", "BTCUSDC"]
        {
            assert!(names.contains(name), "{name}");
        }
        assert_eq!(perpetual(0).base, "BTC");
    }
}
