//! `/fapi/v1/exchangeInfo`.

use std::collections::HashSet;

use klagg_kline::{Precision, Price, Quantity, UnixMillis};

use crate::json::{Json, Parser};
use crate::limits::EXCHANGE_INFO_BYTES_MAX;
use crate::stream_name::is_symbol;
use crate::{Row, WireError};

/// What the exchange lists.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExchangeInfo {
    /// When the reply was made. The docs say not to use it as a clock.
    pub server_time: UnixMillis,
    /// Weight allowed in a minute, if the reply says so (2,400 measured).
    pub weight_per_minute: Option<u32>,
    /// The symbols, in the exchange's order; names are distinct.
    pub symbols: Vec<SymbolInfo>,
    /// Symbols that could not be read, or whose name stood twice.
    pub skipped: u64,
}

/// One listed contract, traded or not: look at `status`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SymbolInfo {
    /// `symbol`, for example `BTCUSDT`, `BTCUSDT_261225`, `币安人生USDT`.
    pub name: String,
    /// `contractType`: `PERPETUAL`, `TRADIFI_PERPETUAL`, `CURRENT_QUARTER`, …
    pub contract_type: String,
    /// `status`: `TRADING`, `SETTLING`, `PENDING_TRADING`, …
    pub status: String,
    /// `baseAsset`.
    pub base_asset: String,
    /// `quoteAsset`.
    pub quote_asset: String,
    /// `marginAsset`.
    pub margin_asset: String,
    /// `onboardDate`. Wrong for some old symbols (exchange's issue tracker).
    pub onboard_time: UnixMillis,
    /// `deliveryDate`; in the year 2100 for perpetuals.
    pub delivery_time: UnixMillis,
    /// `pricePrecision` and `quantityPrecision`: how many decimals are printed.
    pub precision: Precision,
    /// `tickSize` of the `PRICE_FILTER`: the true increment of prices.
    pub tick_size: Option<Price>,
    /// `stepSize` of the `LOT_SIZE`: the true increment of quantities.
    pub step_size: Option<Quantity>,
}

/// The reply of `/fapi/v1/exchangeInfo` (docs: Exchange Information).
///
/// ```json
/// {"timezone":"UTC","serverTime":1791362591474,"futuresType":"U_MARGINED",
///  "rateLimits":[{"rateLimitType":"REQUEST_WEIGHT","interval":"MINUTE","intervalNum":1,
///   "limit":2400}],"exchangeFilters":[],"assets":[],"symbols":[{"symbol":"1000SATSUSDT",
///   "pair":"1000SATSUSDT","contractType":"PERPETUAL","deliveryDate":4133404800000,
///   "onboardDate":1702377000000,"status":"TRADING","baseAsset":"1000SATS",
///   "quoteAsset":"USDT","marginAsset":"USDT","pricePrecision":7,"quantityPrecision":0,
///   "filters":[{"filterType":"PRICE_FILTER","minPrice":"0.0000010","maxPrice":"200",
///   "tickSize":"0.0000001"},{"filterType":"LOT_SIZE","minQty":"1","maxQty":"40000000",
///   "stepSize":"1"}]}]}
/// ```
/// Filters are read leniently: new types appear and the order of keys changes (measured).
///
/// # Errors
/// [`WireError`] if the reply as a whole cannot be read. A single symbol that cannot be read,
/// or prints more than 8 decimals, is skipped and counted.
pub fn exchange_info(reply: &[u8]) -> Result<ExchangeInfo, WireError> {
    let capacity = reply.len().min(EXCHANGE_INFO_BYTES_MAX);
    Parser::new(capacity).parse(reply, EXCHANGE_INFO_BYTES_MAX, |root| {
        let [time, limits, symbols] =
            root.fields(["serverTime", "rateLimits", "symbols"], Row::NONE)?;
        let rows =
            symbols.required()?.elements().ok_or_else(|| symbols.fault("an array of symbols"))?;
        let mut info = ExchangeInfo {
            server_time: time.time()?,
            weight_per_minute: limits.value.and_then(weight_per_minute),
            symbols: Vec::new(),
            skipped: 0,
        };
        let mut names = HashSet::new();
        for (at, row) in rows.enumerate() {
            match symbol_info(row, Row::at(at)) {
                Ok((name, symbol)) if names.insert(name) => info.symbols.push(symbol),
                Ok(_) | Err(_) => info.skipped += 1,
            }
        }
        Ok(info)
    })
}

fn weight_per_minute(limits: Json<'_, '_>) -> Option<u32> {
    limits.elements()?.find_map(|limit| {
        let names = ["rateLimitType", "interval", "intervalNum", "limit"];
        let [kind, interval, count, limit] = limit.fields(names, Row::NONE).ok()?;
        let is_weight = kind.text() == Ok("REQUEST_WEIGHT")
            && interval.text() == Ok("MINUTE")
            && count.int() == Ok(1);
        if is_weight { u32::try_from(limit.unsigned().ok()?).ok() } else { None }
    })
}

fn symbol_info<'i>(json: Json<'_, 'i>, row: Row) -> Result<(&'i str, SymbolInfo), WireError> {
    let names = [
        "symbol",
        "contractType",
        "status",
        "baseAsset",
        "quoteAsset",
        "marginAsset",
        "onboardDate",
        "deliveryDate",
        "pricePrecision",
        "quantityPrecision",
        "filters",
    ];
    let [name, contract, status, base, quote, margin, onboard, delivery, price, quantity, filters] =
        json.fields(names, row)?;
    let decimals = |digits: crate::json::Field<'_, '_>| {
        u8::try_from(digits.int()?).map_err(|_| digits.fault("a precision of 0 to 8"))
    };
    let precision = Precision::new(decimals(price)?, decimals(quantity)?)
        .map_err(|source| WireError::Decimal { row, field: price.name, source })?;
    let symbol = name.symbol()?;
    if !is_symbol(symbol) {
        return Err(name.fault("made of letters, digits and `_`"));
    }
    let (tick_size, step_size) = filters.value.map_or((None, None), increments);
    let info = SymbolInfo {
        name: symbol.to_owned(),
        contract_type: contract.text()?.to_owned(),
        status: status.text()?.to_owned(),
        base_asset: base.text()?.to_owned(),
        quote_asset: quote.text()?.to_owned(),
        margin_asset: margin.text()?.to_owned(),
        onboard_time: onboard.time()?,
        delivery_time: delivery.time()?,
        precision,
        tick_size,
        step_size,
    };
    Ok((symbol, info))
}

/// The tick and step sizes, where the filters tell them.
fn increments(filters: Json<'_, '_>) -> (Option<Price>, Option<Quantity>) {
    let (mut tick_size, mut step_size) = (None, None);
    for filter in filters.elements().into_iter().flatten() {
        let Ok([kind, tick, step]) =
            filter.fields(["filterType", "tickSize", "stepSize"], Row::NONE)
        else {
            continue;
        };
        match kind.text() {
            Ok("PRICE_FILTER") => tick_size = tick_size.or(tick.price().ok()),
            Ok("LOT_SIZE") => step_size = step_size.or(step.quantity().ok()),
            _ => {}
        }
    }
    (tick_size, step_size)
}
