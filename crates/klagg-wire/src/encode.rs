//! The other direction: text as the exchange prints it, appended to a `String`.
//!
//! For the simulated exchange, the compatible API and our own requests. Numbers are printed with
//! the symbol's precision, zero padded: prices with `pricePrecision`, volumes with
//! `quantityPrecision`, quote volumes with their sum (inferred from the exchange's samples).
//! Printing never rounds. What is printed here is read back by this crate to the same value.
//!
//! # Examples
//!
//! ```
//! use klagg_wire::{StreamEvent, Decoder, encode};
//!
//! let frame = concat!(
//!     r#"{"e":"aggTrade","E":1791460920015,"a":3481200418,"s":"BTCUSDT","p":"82418.80","#,
//!     r#""q":"0.250","nq":"0.250","f":8162300556,"l":8162300561,"T":1791460919932,"#,
//!     r#""m":false,"st":1}"#,
//! );
//! let mut decoder = Decoder::new();
//! let StreamEvent::Trade(event) = decoder.decode(frame.as_bytes())? else { panic!() };
//! let mut text = String::new();
//! encode::agg_trade(&mut text, &event);
//! assert_eq!(text, frame);
//! # Ok::<(), klagg_wire::WireError>(())
//! ```

mod rest;
mod stream;

use std::fmt::{Display, Write};

pub use rest::{
    agg_trade_rows, api_error, exchange_info, kline_rows, server_time, ticker_24h, trade_rows,
};
pub use stream::{
    agg_trade, agg_trade_shuffled, combined, continuous_kline_event, contract_info, kline_event,
    list_subscriptions, mini_ticker, mini_ticker_array, off_market_trade, raw_trade, subscribe,
    trade_event, unsubscribe,
};

/// Appends a JSON string with its quotes: quotes, backslashes and control characters escaped,
/// all else as it is.
pub fn json_string(out: &mut String, text: &str) {
    out.push('"');
    for letter in text.chars() {
        match letter {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            control if control < ' ' => put(out, format_args!("\\u{:04x}", u32::from(control))),
            plain => out.push(plain),
        }
    }
    out.push('"');
}

/// Appends anything that can be displayed. A `String` takes all.
fn put(out: &mut String, value: impl Display) {
    let _ = write!(out, "{value}");
}

/// Appends the items, separated by commas, in square brackets.
fn array<T>(out: &mut String, items: &[T], mut item: impl FnMut(&mut String, &T)) {
    out.push('[');
    for (at, value) in items.iter().enumerate() {
        if at > 0 {
            out.push(',');
        }
        item(out, value);
    }
    out.push(']');
}
