//! `/fapi/v1/aggTrades`, `/fapi/v1/trades` and `/fapi/v1/historicalTrades`.

use klagg_kline::{Precision, Side, Trade, TradeId};

use crate::general::{fill_count, precision};
use crate::json::{Json, Parser};
use crate::limits::REPLY_BYTES_MAX;
use crate::{Row, WireError};

/// One aggregate of a REST reply.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AggTradeRow {
    /// Id `a`, time `T`, price `p`, quantity `q`, taker from `m`.
    pub trade: Trade,
    /// First raw fill, `f`.
    pub first_fill_id: i64,
    /// Last raw fill, `l`.
    pub last_fill_id: i64,
    /// Decimals as printed.
    pub precision: Precision,
}

/// One raw trade of a REST reply.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TradeRow {
    /// Id `id`, time `time`, price `price`, quantity `qty`, taker from `isBuyerMaker`.
    pub trade: Trade,
    /// Decimals as printed.
    pub precision: Precision,
}

/// The reply of `/fapi/v1/aggTrades` (docs: Compressed/Aggregate Trades List; `nq` documented
/// since 2026-06-05, not read: klines count all of `q`).
///
/// ```json
/// [{"a":3481200417,"p":"82418.70","q":"0.037","nq":"0.037","f":8162300551,"l":8162300554,
///   "T":1791460919871,"m":true}]
/// ```
/// The ids ascend strictly.
///
/// # Errors
/// [`WireError`] names the first row that breaks a rule.
pub fn agg_trades(reply: &[u8]) -> Result<Vec<AggTradeRow>, WireError> {
    rows(reply, agg_trade_row, |row| row.trade.id)
}

/// The reply of `/fapi/v1/trades` and `/fapi/v1/historicalTrades` (docs: Recent Trades List, Old
/// Trades Lookup).
///
/// ```json
/// [{"id":8162300551,"price":"82418.70","qty":"0.010","quoteQty":"824.18",
///   "time":1791460919871,"isBuyerMaker":true,"isRPITrade":false}]
/// ```
/// The ids ascend strictly, and may have holes.
///
/// # Errors
/// [`WireError`] names the first row that breaks a rule.
pub fn trades(reply: &[u8]) -> Result<Vec<TradeRow>, WireError> {
    rows(reply, trade_row, |row| row.trade.id)
}

fn rows<T>(
    reply: &[u8],
    read: fn(Json<'_, '_>, Row) -> Result<T, WireError>,
    id: fn(&T) -> TradeId,
) -> Result<Vec<T>, WireError> {
    Parser::new(reply.len().min(REPLY_BYTES_MAX)).parse(reply, REPLY_BYTES_MAX, |root| {
        let expected = "an array of trades";
        let rows = root.elements().ok_or(WireError::Shape { row: Row::NONE, expected })?;
        let mut trades: Vec<T> = Vec::new();
        for (at, row) in rows.enumerate() {
            let trade = read(row, Row::at(at))?;
            if trades.last().is_some_and(|before| id(before) >= id(&trade)) {
                return Err(WireError::OutOfOrder { row: Row::at(at) });
            }
            trades.push(trade);
        }
        Ok(trades)
    })
}

fn agg_trade_row(json: Json<'_, '_>, row: Row) -> Result<AggTradeRow, WireError> {
    let [id, price, quantity, first, last, time, maker] =
        json.fields(["a", "p", "q", "f", "l", "T", "m"], row)?;
    let (first_fill_id, last_fill_id) = (first.id()?, last.id()?);
    let trade = Trade::new(
        TradeId(id.id()?),
        time.time()?,
        price.price()?,
        quantity.quantity()?,
        fill_count(first_fill_id, last)?,
        Side::from_buyer_is_maker(maker.flag()?),
    )
    .map_err(|source| WireError::Trade { row, source })?;
    let precision = precision(price, quantity)?;
    Ok(AggTradeRow { trade, first_fill_id, last_fill_id, precision })
}

fn trade_row(json: Json<'_, '_>, row: Row) -> Result<TradeRow, WireError> {
    let [id, price, quantity, time, maker] =
        json.fields(["id", "price", "qty", "time", "isBuyerMaker"], row)?;
    let trade = Trade::new(
        TradeId(id.id()?),
        time.time()?,
        price.price()?,
        quantity.quantity()?,
        1,
        Side::from_buyer_is_maker(maker.flag()?),
    )
    .map_err(|source| WireError::Trade { row, source })?;
    Ok(TradeRow { trade, precision: precision(price, quantity)? })
}
