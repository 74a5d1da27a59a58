//! The names of streams: `btcusdt@aggTrade`, `!miniTicker@arr`, …
//!
//! Only ASCII letters have a case here: the stream of `币安人生USDT` is
//! `币安人生usdt@aggTrade` (measured). A name with an upper-case symbol is acknowledged by the
//! exchange and never delivers (measured), so it is no name here.

use std::fmt;
use std::str::FromStr;

use klagg_kline::Period;

use crate::WireError;
use crate::limits::SYMBOL_BYTES_MAX;

/// Contract types of `continuousKline` as stream names write them; none is the end of a later one.
const CONTRACT_TYPES: [&str; 4] =
    ["tradifi_perpetual", "current_quarter", "next_quarter", "perpetual"];

/// Which stream. Symbols, pairs and contract types are held in the exchange's upper case.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum StreamName {
    /// `btcusdt@aggTrade`
    AggTrade(String),
    /// `btcusdt@trade` (undocumented)
    Trade(String),
    /// `btcusdt@kline_1m`
    Kline(String, Period),
    /// `btcusdt_perpetual@continuousKline_1m`
    ContinuousKline {
        /// For example `BTCUSDT`.
        pair: String,
        /// For example `PERPETUAL`.
        contract_type: String,
        /// The kline's length.
        period: Period,
    },
    /// `btcusdt@miniTicker`
    MiniTicker(String),
    /// `!miniTicker@arr`
    AllMiniTickers,
    /// `!contractInfo`
    ContractInfo,
}

/// Whether a text can be a symbol of the exchange: letters of any script, digits and `_`
/// (measured over 924 symbols), at most [`SYMBOL_BYTES_MAX`] bytes.
pub fn is_symbol(text: &str) -> bool {
    !text.is_empty()
        && text.len() <= SYMBOL_BYTES_MAX
        && text.chars().all(|letter| letter.is_alphanumeric() || letter == '_')
}

/// The symbol as stream names write it: ASCII letters in lower case, all else untouched.
pub fn lowercase(symbol: &str) -> String {
    symbol.to_ascii_lowercase()
}

/// The symbol of a stream name as everything else writes it.
fn uppercase(symbol: &str) -> Result<String, WireError> {
    if !is_symbol(symbol) || symbol.bytes().any(|byte| byte.is_ascii_uppercase()) {
        return Err(WireError::StreamName);
    }
    Ok(symbol.to_ascii_uppercase())
}

impl FromStr for StreamName {
    type Err = WireError;

    fn from_str(name: &str) -> Result<Self, WireError> {
        match name {
            "!miniTicker@arr" => return Ok(Self::AllMiniTickers),
            "!contractInfo" => return Ok(Self::ContractInfo),
            _ => {}
        }
        let (symbol, kind) = name.split_once('@').ok_or(WireError::StreamName)?;
        let period = |text: &str| text.parse().map_err(|_| WireError::StreamName);
        match kind {
            "aggTrade" => return Ok(Self::AggTrade(uppercase(symbol)?)),
            "trade" => return Ok(Self::Trade(uppercase(symbol)?)),
            "miniTicker" => return Ok(Self::MiniTicker(uppercase(symbol)?)),
            _ => {}
        }
        if let Some(text) = kind.strip_prefix("kline_") {
            return Ok(Self::Kline(uppercase(symbol)?, period(text)?));
        }
        let text = kind.strip_prefix("continuousKline_").ok_or(WireError::StreamName)?;
        let (pair, contract_type) = CONTRACT_TYPES
            .iter()
            .find_map(|kind| Some((symbol.strip_suffix(kind)?.strip_suffix('_')?, *kind)))
            .ok_or(WireError::StreamName)?;
        Ok(Self::ContinuousKline {
            pair: uppercase(pair)?,
            contract_type: contract_type.to_ascii_uppercase(),
            period: period(text)?,
        })
    }
}

impl fmt::Display for StreamName {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::AggTrade(symbol) => write!(formatter, "{}@aggTrade", lowercase(symbol)),
            Self::Trade(symbol) => write!(formatter, "{}@trade", lowercase(symbol)),
            Self::Kline(symbol, period) => {
                write!(formatter, "{}@kline_{period}", lowercase(symbol))
            }
            Self::ContinuousKline { pair, contract_type, period } => {
                let (pair, kind) = (lowercase(pair), lowercase(contract_type));
                write!(formatter, "{pair}_{kind}@continuousKline_{period}")
            }
            Self::MiniTicker(symbol) => write!(formatter, "{}@miniTicker", lowercase(symbol)),
            Self::AllMiniTickers => formatter.write_str("!miniTicker@arr"),
            Self::ContractInfo => formatter.write_str("!contractInfo"),
        }
    }
}
