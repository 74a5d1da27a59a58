//! Frames of streams, and our own requests to them.

use klagg_kline::{Precision, QuoteVolume};

use super::{array, json_string, put};
use crate::{ContractInfo, KlineEvent, MiniTicker, TradeEvent, TradeKind};

/// Appends `{"stream":…,"data":…}` around what `data` appends.
pub fn combined(out: &mut String, stream: &str, data: impl FnOnce(&mut String)) {
    out.push_str(r#"{"stream":"#);
    json_string(out, stream);
    out.push_str(r#","data":"#);
    data(out);
    out.push('}');
}

/// Appends an `@aggTrade` or a `@trade` payload, whichever the event is.
pub fn trade_event(out: &mut String, event: &TradeEvent<'_>) {
    match event.kind {
        TradeKind::Aggregate => agg_trade(out, event),
        TradeKind::Raw => raw_trade(out, event),
    }
}

/// How many keys an `@aggTrade` payload has behind its `e`.
const AGG_TRADE_KEYS: usize = 11;

/// Appends an `@aggTrade` payload in the usual order of keys. `nq` is printed equal to `q`.
pub fn agg_trade(out: &mut String, event: &TradeEvent<'_>) {
    out.push_str(r#"{"e":"aggTrade""#);
    for key in 0..AGG_TRADE_KEYS {
        agg_trade_key(out, event, key);
    }
    out.push('}');
}

/// Appends an `@aggTrade` payload with its keys in an order drawn from `seed`, as the exchange
/// may print it (the order is not fixed: measured), and sometimes with a key nobody knows yet.
pub fn agg_trade_shuffled(out: &mut String, event: &TradeEvent<'_>, seed: u64) {
    let mut keys: [usize; AGG_TRADE_KEYS] = std::array::from_fn(|key| key);
    let mut state = seed;
    for end in (1..AGG_TRADE_KEYS).rev() {
        // A linear congruential generator is random enough to permute a few keys.
        state =
            state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let drawn = usize::try_from((state >> 33) % (end as u64 + 1)).unwrap_or(0);
        keys.swap(end, drawn);
    }
    out.push_str(r#"{"e":"aggTrade""#);
    for key in keys {
        agg_trade_key(out, event, key);
    }
    if state & (1 << 40) != 0 {
        out.push_str(r#","zz":{"new":[1,"two",null]}"#);
    }
    out.push('}');
}

fn agg_trade_key(out: &mut String, event: &TradeEvent<'_>, key: usize) {
    let (trade, precision) = (&event.trade, event.precision);
    let quantity = trade.quantity.display(precision.quantity());
    match key {
        0 => put(out, format_args!(r#","E":{}"#, event.event_time)),
        1 => put(out, format_args!(r#","a":{}"#, trade.id)),
        2 => {
            out.push_str(r#","s":"#);
            json_string(out, event.symbol);
        }
        3 => put(out, format_args!(r#","p":"{}""#, trade.price.display(precision.price()))),
        4 => put(out, format_args!(r#","q":"{quantity}""#)),
        5 => put(out, format_args!(r#","nq":"{quantity}""#)),
        6 => put(out, format_args!(r#","f":{}"#, event.first_fill_id)),
        7 => put(out, format_args!(r#","l":{}"#, event.last_fill_id)),
        8 => put(out, format_args!(r#","T":{}"#, trade.time)),
        9 => put(out, format_args!(r#","m":{}"#, trade.taker.buyer_is_maker())),
        _ => put(out, format_args!(r#","st":{}"#, product(event.coin_margined))),
    }
}

/// The exchange's `st`.
fn product(coin_margined: bool) -> u8 {
    if coin_margined { 2 } else { 1 }
}

/// Appends a `@trade` payload of an order-book trade (`X` is `MARKET`).
pub fn raw_trade(out: &mut String, event: &TradeEvent<'_>) {
    off_market_trade(out, event, "MARKET");
}

/// Appends a `@trade` payload with another origin: `INSURANCE_FUND`, `ADL`, `NA`.
pub fn off_market_trade(out: &mut String, event: &TradeEvent<'_>, origin: &str) {
    let (trade, precision) = (&event.trade, event.precision);
    put(out, format_args!(r#"{{"e":"trade","E":{},"T":{},"s":"#, event.event_time, trade.time));
    json_string(out, event.symbol);
    let price = trade.price.display(precision.price());
    let quantity = trade.quantity.display(precision.quantity());
    put(out, format_args!(r#","t":{},"p":"{price}","q":"{quantity}","X":"#, trade.id));
    json_string(out, origin);
    put(out, format_args!(r#","m":{}}}"#, trade.taker.buyer_is_maker()));
}

/// Appends a `@kline_<interval>` payload. `f` and `L` are the kline's ids, or -1 without ids.
pub fn kline_event(out: &mut String, event: &KlineEvent<'_>, precision: Precision) {
    put(out, format_args!(r#"{{"e":"kline","E":{},"s":"#, event.event_time));
    json_string(out, event.symbol);
    out.push_str(r#","k":"#);
    kline_body(out, event, precision, Some(event.symbol));
    out.push('}');
}

/// Appends a `@continuousKline_<interval>` payload (docs: Continuous Contract Kline/Candlestick
/// Streams). `event.symbol` is the pair.
///
/// ```json
/// {"e":"continuous_kline","E":1791460933250,"ps":"BTCUSDT","ct":"PERPETUAL","k":{…}}
/// ```
pub fn continuous_kline_event(
    out: &mut String,
    event: &KlineEvent<'_>,
    contract_type: &str,
    precision: Precision,
) {
    put(out, format_args!(r#"{{"e":"continuous_kline","E":{},"ps":"#, event.event_time));
    json_string(out, event.symbol);
    out.push_str(r#","ct":"#);
    json_string(out, contract_type);
    out.push_str(r#","k":"#);
    kline_body(out, event, precision, None);
    out.push('}');
}

fn kline_body(
    out: &mut String,
    event: &KlineEvent<'_>,
    precision: Precision,
    symbol: Option<&str>,
) {
    let (kline, period) = (&event.kline, event.period);
    let close_time = period.close_time(kline.open_time);
    put(out, format_args!(r#"{{"t":{},"T":{close_time},"#, kline.open_time));
    if let Some(symbol) = symbol {
        out.push_str(r#""s":"#);
        json_string(out, symbol);
        out.push(',');
    }
    let (first, last) =
        if kline.has_ids() { (kline.first_id.0, kline.last_id.0) } else { (-1, -1) };
    put(out, format_args!(r#""i":"{period}","f":{first},"L":{last}"#));
    for (key, price) in [("o", kline.open), ("c", kline.close), ("h", kline.high), ("l", kline.low)]
    {
        put(out, format_args!(r#","{key}":"{}""#, price.display(precision.price())));
    }
    let volume = kline.volume.display(precision.quantity());
    let quote = kline.quote_volume.display(precision.quote());
    let taker = kline.taker_buy_volume.display(precision.quantity());
    let taker_quote = kline.taker_buy_quote_volume.display(precision.quote());
    put(out, format_args!(r#","v":"{volume}","n":{},"x":{}"#, kline.trade_count, event.is_closed));
    put(out, format_args!(r#","q":"{quote}","V":"{taker}","Q":"{taker_quote}","B":"0"}}"#));
}

/// Appends a `!miniTicker@arr` payload.
pub fn mini_ticker_array(out: &mut String, tickers: &[MiniTicker]) {
    array(out, tickers, mini_ticker);
}

/// Appends a `@miniTicker` payload. Tickers print quote volumes with two decimals, unlike klines
/// (inferred from one sample); what lies behind them is cut.
pub fn mini_ticker(out: &mut String, ticker: &MiniTicker) {
    put(out, format_args!(r#"{{"e":"24hrMiniTicker","E":{},"s":"#, ticker.event_time));
    json_string(out, &ticker.symbol);
    for (key, price) in
        [("c", ticker.close), ("o", ticker.open), ("h", ticker.high), ("l", ticker.low)]
    {
        put(out, format_args!(r#","{key}":"{}""#, price.display(ticker.precision.price())));
    }
    let volume = ticker.volume.display(ticker.precision.quantity());
    let quote = cents(ticker.quote_volume).display(2);
    put(out, format_args!(r#","v":"{volume}","q":"{quote}","ps":"#));
    json_string(out, ticker.symbol.split('_').next().unwrap_or_default());
    put(out, format_args!(r#","st":{}}}"#, product(ticker.coin_margined)));
}

/// The value without what lies behind its second decimal.
pub(super) fn cents(volume: QuoteVolume) -> QuoteVolume {
    let cent = 10_i128.pow(QuoteVolume::SCALE - 2);
    QuoteVolume::from_scaled(volume.scaled() / cent * cent)
}

/// Appends a `!contractInfo` payload.
pub fn contract_info(out: &mut String, info: &ContractInfo) {
    put(out, format_args!(r#"{{"e":"contractInfo","E":{},"s":"#, info.event_time));
    json_string(out, &info.symbol);
    out.push_str(r#","ct":"#);
    json_string(out, &info.contract_type);
    put(out, format_args!(r#","dt":{},"ot":{}"#, info.delivery_time, info.onboard_time));
    out.push_str(r#","cs":"#);
    json_string(out, &info.status);
    put(out, format_args!(r#","st":{}}}"#, product(info.coin_margined)));
}

/// Appends `{"method":"SUBSCRIBE","params":["btcusdt@aggTrade"],"id":1}`. At most 200 names were
/// seen accepted in one request.
pub fn subscribe(out: &mut String, streams: &[impl AsRef<str>], id: u64) {
    request(out, "SUBSCRIBE", streams, id);
}

/// Appends `{"method":"UNSUBSCRIBE","params":["btcusdt@aggTrade"],"id":1}`.
pub fn unsubscribe(out: &mut String, streams: &[impl AsRef<str>], id: u64) {
    request(out, "UNSUBSCRIBE", streams, id);
}

fn request(out: &mut String, method: &str, streams: &[impl AsRef<str>], id: u64) {
    put(out, format_args!(r#"{{"method":"{method}","params":"#));
    array(out, streams, |out, stream| json_string(out, stream.as_ref()));
    put(out, format_args!(r#","id":{id}}}"#));
}

/// Appends `{"method":"LIST_SUBSCRIPTIONS","id":3}`.
pub fn list_subscriptions(out: &mut String, id: u64) {
    put(out, format_args!(r#"{{"method":"LIST_SUBSCRIPTIONS","id":{id}}}"#));
}
