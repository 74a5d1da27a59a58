//! `/fapi/v1/klines` and `/fapi/v1/continuousKlines`.

use klagg_kline::{Kline, Period, TradeId, UnixMillis};

use crate::json::{Field, Json, Parser};
use crate::limits::REPLY_BYTES_MAX;
use crate::{Row, WireError};

/// The exchange's names of the columns (docs: Kline/Candlestick Data), the ignored one left out.
const COLUMNS: [&str; 11] = [
    "openTime",
    "open",
    "high",
    "low",
    "close",
    "volume",
    "closeTime",
    "quoteVolume",
    "count",
    "takerBuyVolume",
    "takerBuyQuoteVolume",
];

/// The reply of `/fapi/v1/klines` and `/fapi/v1/continuousKlines` for one period.
///
/// ```json
/// [[1791460860000,"82410.00","82433.20","82401.50","82418.70","40.118",1791460919999,
///   "3306421.55310",1986,"21.904","1805302.11870","0"]]
/// ```
/// The klines ascend strictly, lie on the period's grid and are valid; they have no ids. Holes
/// between them are possible. The newest is normally still open (measured): its end lies in the
/// future, which only the caller can judge.
///
/// # Errors
/// [`WireError`] names the first row that breaks a rule.
pub fn klines(reply: &[u8], period: Period) -> Result<Vec<Kline>, WireError> {
    Parser::new(reply.len().min(REPLY_BYTES_MAX)).parse(reply, REPLY_BYTES_MAX, |root| {
        let expected = "an array of klines";
        let rows = root.elements().ok_or(WireError::Shape { row: Row::NONE, expected })?;
        let mut klines: Vec<Kline> = Vec::new();
        for (at, row) in rows.enumerate() {
            let kline = kline_row(row, period, Row::at(at))?;
            if klines.last().is_some_and(|before| before.open_time >= kline.open_time) {
                return Err(WireError::OutOfOrder { row: Row::at(at) });
            }
            klines.push(kline);
        }
        Ok(klines)
    })
}

fn kline_row(json: Json<'_, '_>, period: Period, row: Row) -> Result<Kline, WireError> {
    let expected = "an array of 12 values";
    let mut values = json.elements().ok_or(WireError::Shape { row, expected })?;
    let columns = COLUMNS.map(|name| Field { name, row, value: values.next() });
    let [open_time, open, high, low, close, volume, close_time, quote, count, taker, taker_quote] =
        columns;
    let kline = Kline {
        volume: volume.volume()?,
        quote_volume: quote.quote_volume()?,
        taker_buy_volume: taker.volume()?,
        taker_buy_quote_volume: taker_quote.quote_volume()?,
        open_time: open_time.time()?,
        open: open.price()?,
        high: high.price()?,
        low: low.price()?,
        close: close.price()?,
        trade_count: count.unsigned()?,
        first_id: TradeId(0),
        last_id: TradeId(-1),
    };
    check_kline(&kline, close_time.time()?, period, row)?;
    Ok(kline)
}

/// What must hold of every kline from the exchange.
pub(crate) fn check_kline(
    kline: &Kline,
    close_time: UnixMillis,
    period: Period,
    row: Row,
) -> Result<(), WireError> {
    if period.open_time(kline.open_time) != kline.open_time
        || period.close_time(kline.open_time) != close_time
    {
        return Err(WireError::OffGrid { row });
    }
    kline.validate().map_err(|source| WireError::Kline { row, source })
}
