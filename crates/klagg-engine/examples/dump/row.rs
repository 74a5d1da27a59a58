//! One row of the exchange's dumps of aggregate trades.
//!
//! Columns: id, price, quantity, first fill, last fill, time, whether the buyer is the maker.

use std::error::Error;

use klagg_kline::{Price, Quantity, Side, Trade, TradeId, UnixMillis};

/// Times above this are microseconds: as milliseconds they would lie beyond the year 5000.
const MILLIS_MAX: i64 = 100_000_000_000_000;

/// The trade of a row; `None` for the line of names.
pub(crate) fn parse(row: &str) -> Result<Option<Trade>, Box<dyn Error>> {
    let columns: Vec<&str> = row.trim_end().split(',').collect();
    let &[id, price, quantity, first, last, time, buyer_is_maker] = columns.as_slice() else {
        return Err(format!("{} columns where 7 are needed: `{row}`", columns.len()).into());
    };
    if id.starts_with(|first: char| first.is_ascii_alphabetic()) {
        return Ok(None);
    }
    let time: i64 = time.parse()?;
    let time = UnixMillis(if time > MILLIS_MAX { time / 1_000 } else { time });
    let fills = u32::try_from(last.parse::<i64>()? - first.parse::<i64>()? + 1)?;
    let taker = Side::from_buyer_is_maker(buyer_is_maker.eq_ignore_ascii_case("true"));
    let (price, quantity) = (Price::parse(price)?, Quantity::parse(quantity)?);
    Ok(Some(Trade::new(TradeId(id.parse()?), time, price, quantity, fills, taker)?))
}
