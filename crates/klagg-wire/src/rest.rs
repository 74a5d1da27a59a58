//! REST replies: bytes to plain, validated structs.
//!
//! A reply is a unit: one bad row makes the whole reply an error that names the row. The one
//! exception is [`exchange_info()`], where a symbol that cannot be read is skipped and counted, so
//! that one odd listing does not hide the market.

pub(crate) mod exchange_info;
pub(crate) mod klines;
pub(crate) mod trades;

pub use exchange_info::{ExchangeInfo, SymbolInfo, exchange_info};
use klagg_kline::UnixMillis;
pub use klines::klines;
pub use trades::{AggTradeRow, TradeRow, agg_trades, trades};

use crate::json::Parser;
use crate::limits::REPLY_BYTES_MAX;
use crate::{Row, WireError};

/// An error of the exchange's REST: `{"code":-1121,"msg":"Invalid symbol."}` (docs: Error Code).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApiError {
    /// The exchange's code.
    pub code: i64,
    /// Its words.
    pub message: String,
}

/// The reply of `/fapi/v1/time` (docs: Check Server Time): `{"serverTime":1791362591474}`.
///
/// # Errors
/// [`WireError`] if the reply is anything else.
pub fn server_time(reply: &[u8]) -> Result<UnixMillis, WireError> {
    Parser::new(64).parse(reply, REPLY_BYTES_MAX, |root| {
        let [time] = root.fields(["serverTime"], Row::NONE)?;
        time.time()
    })
}

/// The body of a refused request, if it is one that the exchange's API wrote. Other bodies
/// (a gateway's HTML, nothing) give `None`.
pub fn api_error(reply: &[u8]) -> Option<ApiError> {
    Parser::new(256)
        .parse(reply, REPLY_BYTES_MAX, |root| {
            let [code, message] = root.fields(["code", "msg"], Row::NONE)?;
            Ok(ApiError { code: code.int()?, message: message.text()?.to_owned() })
        })
        .ok()
}
