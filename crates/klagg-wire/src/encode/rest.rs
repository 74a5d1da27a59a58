//! REST replies.

use klagg_kline::{Kline, Period, Precision, Price, Quantity, UnixMillis};

use super::stream::cents;
use super::{array, json_string, put};
use crate::MiniTicker;
use crate::rest::{AggTradeRow, ExchangeInfo, SymbolInfo, TradeRow};

/// Appends the reply of `/fapi/v1/klines`.
///
/// ```json
/// [[1791460860000,"82410.00","82433.20","82401.50","82418.70","40.118",1791460919999,
///   "3306421.55310",1986,"21.904","1805302.11870","0"]]
/// ```
pub fn kline_rows(out: &mut String, klines: &[Kline], period: Period, precision: Precision) {
    array(out, klines, |out, kline| {
        put(out, format_args!("[{}", kline.open_time));
        for price in [kline.open, kline.high, kline.low, kline.close] {
            put(out, format_args!(r#","{}""#, price.display(precision.price())));
        }
        let volume = kline.volume.display(precision.quantity());
        let quote = kline.quote_volume.display(precision.quote());
        let taker = kline.taker_buy_volume.display(precision.quantity());
        let taker_quote = kline.taker_buy_quote_volume.display(precision.quote());
        let close_time = period.close_time(kline.open_time);
        put(out, format_args!(r#","{volume}",{close_time},"{quote}",{}"#, kline.trade_count));
        put(out, format_args!(r#","{taker}","{taker_quote}","0"]"#));
    });
}

/// Appends the reply of `/fapi/v1/aggTrades`. `nq` is printed equal to `q`.
pub fn agg_trade_rows(out: &mut String, rows: &[AggTradeRow]) {
    array(out, rows, |out, row| {
        let price = row.trade.price.display(row.precision.price());
        let quantity = row.trade.quantity.display(row.precision.quantity());
        put(out, format_args!(r#"{{"a":{},"p":"{price}","q":"{quantity}""#, row.trade.id));
        put(out, format_args!(r#","nq":"{quantity}","f":{}"#, row.first_fill_id));
        put(out, format_args!(r#","l":{},"T":{}"#, row.last_fill_id, row.trade.time));
        put(out, format_args!(r#","m":{}}}"#, row.trade.taker.buyer_is_maker()));
    });
}

/// Appends the reply of `/fapi/v1/trades`.
pub fn trade_rows(out: &mut String, rows: &[TradeRow]) {
    array(out, rows, |out, row| {
        let price = row.trade.price.display(row.precision.price());
        let quantity = row.trade.quantity.display(row.precision.quantity());
        let quote = cents(row.trade.notional()).display(2);
        put(out, format_args!(r#"{{"id":{},"price":"{price}","qty":"{quantity}""#, row.trade.id));
        put(out, format_args!(r#","quoteQty":"{quote}","time":{}"#, row.trade.time));
        let maker = row.trade.taker.buyer_is_maker();
        put(out, format_args!(r#","isBuyerMaker":{maker},"isRPITrade":false}}"#));
    });
}

/// Appends the reply of `/fapi/v1/ticker/24hr` (docs: 24hr Ticker Price Change Statistics) for
/// these symbols, with the fields that a mini ticker knows.
///
/// ```json
/// [{"symbol":"ETHUSDT","priceChange":"-82.55","lastPrice":"3121.55","openPrice":"3204.10",
///   "highPrice":"3220.00","lowPrice":"3098.01","volume":"4102233.871",
///   "quoteVolume":"12921003411.25","openTime":1791296592429,"closeTime":1791382992429}]
/// ```
pub fn ticker_24h(out: &mut String, tickers: &[MiniTicker]) {
    array(out, tickers, |out, ticker| {
        out.push_str(r#"{"symbol":"#);
        json_string(out, &ticker.symbol);
        let change = Price::from_scaled(ticker.close.scaled().saturating_sub(ticker.open.scaled()));
        for (key, price) in [
            ("priceChange", change),
            ("lastPrice", ticker.close),
            ("openPrice", ticker.open),
            ("highPrice", ticker.high),
            ("lowPrice", ticker.low),
        ] {
            put(out, format_args!(r#","{key}":"{}""#, price.display(ticker.precision.price())));
        }
        let volume = ticker.volume.display(ticker.precision.quantity());
        let quote = cents(ticker.quote_volume).display(2);
        put(out, format_args!(r#","volume":"{volume}","quoteVolume":"{quote}""#));
        let from = ticker.event_time.plus(-86_400_000);
        put(out, format_args!(r#","openTime":{from},"closeTime":{}}}"#, ticker.event_time));
    });
}

/// Appends the reply of `/fapi/v1/time`: `{"serverTime":1791362591474}`.
pub fn server_time(out: &mut String, time: UnixMillis) {
    put(out, format_args!(r#"{{"serverTime":{time}}}"#));
}

/// Appends the body of a refused request: `{"code":-1121,"msg":"Invalid symbol."}`.
pub fn api_error(out: &mut String, code: i64, message: &str) {
    put(out, format_args!(r#"{{"code":{code},"msg":"#));
    json_string(out, message);
    out.push('}');
}

/// Appends the reply of `/fapi/v1/exchangeInfo`. What [`ExchangeInfo`] does not hold is printed
/// with values that the exchange uses for most symbols.
pub fn exchange_info(out: &mut String, info: &ExchangeInfo) {
    put(out, format_args!(r#"{{"timezone":"UTC","serverTime":{}"#, info.server_time));
    out.push_str(r#","futuresType":"U_MARGINED","rateLimits":["#);
    if let Some(weight) = info.weight_per_minute {
        out.push_str(r#"{"rateLimitType":"REQUEST_WEIGHT","interval":"MINUTE","intervalNum":1"#);
        put(out, format_args!(r#","limit":{weight}}},"#));
    }
    out.push_str(r#"{"rateLimitType":"ORDERS","interval":"MINUTE","intervalNum":1,"limit":1200},"#);
    out.push_str(r#"{"rateLimitType":"ORDERS","interval":"SECOND","intervalNum":10,"limit":300}]"#);
    out.push_str(r#","exchangeFilters":[],"assets":["#);
    out.push_str(r#"{"asset":"USDT","marginAvailable":true,"autoAssetExchange":"-10000"}]"#);
    out.push_str(r#","symbols":"#);
    array(out, &info.symbols, symbol_info);
    out.push('}');
}

fn symbol_info(out: &mut String, symbol: &SymbolInfo) {
    let mut field = |key: &str, text: &str| {
        put(out, format_args!(r#"{}"{key}":"#, if key == "symbol" { '{' } else { ',' }));
        json_string(out, text);
    };
    field("symbol", &symbol.name);
    field("pair", &format!("{}{}", symbol.base_asset, symbol.quote_asset));
    field("contractType", &symbol.contract_type);
    field("status", &symbol.status);
    field("baseAsset", &symbol.base_asset);
    field("quoteAsset", &symbol.quote_asset);
    field("marginAsset", &symbol.margin_asset);
    put(out, format_args!(r#","deliveryDate":{}"#, symbol.delivery_time));
    put(out, format_args!(r#","onboardDate":{}"#, symbol.onboard_time));
    put(out, format_args!(r#","pricePrecision":{}"#, symbol.precision.price()));
    put(out, format_args!(r#","quantityPrecision":{}"#, symbol.precision.quantity()));
    out.push_str(r#","baseAssetPrecision":8,"quotePrecision":8,"underlyingType":"COIN""#);
    out.push_str(r#","underlyingSubType":[],"triggerProtect":"0.0500""#);
    out.push_str(r#","liquidationFee":"0.012500","marketTakeBound":"0.05""#);
    out.push_str(r#","maintMarginPercent":"2.5000","requiredMarginPercent":"5.0000""#);
    out.push_str(r#","maxMoveOrderLimit":10000,"filters":["#);
    filters(out, symbol);
    out.push_str(r#"],"orderTypes":["LIMIT","MARKET"],"timeInForce":["GTC","IOC","FOK","GTX"]}"#);
}

fn filters(out: &mut String, symbol: &SymbolInfo) {
    let (price_decimals, decimals) = (symbol.precision.price(), symbol.precision.quantity());
    if let Some(tick) = symbol.tick_size.map(|tick| tick.display(price_decimals)) {
        let most = Price::from_scaled(1_000_000 * 100_000_000).display(0);
        put(out, format_args!(r#"{{"filterType":"PRICE_FILTER","minPrice":"{tick}""#));
        put(out, format_args!(r#","maxPrice":"{most}","tickSize":"{tick}"}},"#));
    }
    if let Some(step) = symbol.step_size.map(|step| step.display(decimals)) {
        let most = Quantity::from_scaled(10_000_000 * 100_000_000).display(0);
        for kind in ["LOT_SIZE", "MARKET_LOT_SIZE"] {
            put(out, format_args!(r#"{{"filterType":"{kind}","minQty":"{step}""#));
            put(out, format_args!(r#","maxQty":"{most}","stepSize":"{step}"}},"#));
        }
    }
    out.push_str(r#"{"filterType":"MAX_NUM_ORDERS","limit":200},"#);
    out.push_str(r#"{"filterType":"MIN_NOTIONAL","notional":"5"},"#);
    out.push_str(r#"{"filterType":"PERCENT_PRICE","multiplierUp":"1.0500","#);
    out.push_str(r#""multiplierDown":"0.9500","multiplierDecimal":"4"}"#);
}
