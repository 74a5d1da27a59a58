//! The hot path: a scanner that knows what a trade frame looks like.
//!
//! Invariant: a frame is either read to exactly what the general parser reads, or not at all.
//! At the first byte that is not as expected (a key unknown or twice, an escape, white space, a
//! number of odd form, a value out of range) it gives up, and the general parser decides. So it
//! has no errors of its own, and its answer never depends on what came before.
//!
//! Keys may come in any order. Eight bytes are looked at in one step (see [`swar`]).

#![expect(clippy::inline_always, reason = "measured: a call a field costs a third of the frame")]

mod swar;

use klagg_kline::{Precision, Price, Quantity, Side, Trade, TradeId, UnixMillis};

use crate::limits::{FRAME_BYTES_MAX, SYMBOL_BYTES_MAX, TIME_MAX};
use crate::{TradeEvent, TradeKind};

/// One bit a key, to see which came and whether one comes twice.
mod seen {
    pub(super) const EVENT: u16 = 1;
    pub(super) const EVENT_TIME: u16 = 1 << 1;
    pub(super) const SYMBOL: u16 = 1 << 2;
    pub(super) const PRICE: u16 = 1 << 3;
    pub(super) const QUANTITY: u16 = 1 << 4;
    pub(super) const TIME: u16 = 1 << 5;
    pub(super) const MAKER: u16 = 1 << 6;
    pub(super) const AGGREGATE_ID: u16 = 1 << 7;
    pub(super) const FIRST: u16 = 1 << 8;
    pub(super) const LAST: u16 = 1 << 9;
    pub(super) const RAW_ID: u16 = 1 << 10;
    pub(super) const MARKET: u16 = 1 << 11;
    pub(super) const NORMAL_QUANTITY: u16 = 1 << 12;
    pub(super) const PRODUCT: u16 = 1 << 13;

    const BOTH: u16 = EVENT | EVENT_TIME | SYMBOL | PRICE | QUANTITY | TIME | MAKER;
    /// Exactly these make an aggregate,
    pub(super) const AGGREGATE: u16 = BOTH | AGGREGATE_ID | FIRST | LAST;
    /// these a raw trade,
    pub(super) const RAW: u16 = BOTH | RAW_ID | MARKET;
    /// and these may be there as well.
    pub(super) const OPTIONAL: u16 = NORMAL_QUANTITY | PRODUCT;
}

/// The values as they come. Zeros mean nothing until `seen` says that all are there.
struct Values<'a> {
    seen: u16,
    kind: TradeKind,
    symbol: &'a str,
    event_time: u64,
    time: u64,
    id: u64,
    first: u64,
    last: u64,
    price: (i64, u8),
    quantity: (i64, u8),
    taker: Side,
    coin_margined: bool,
}

/// Reads a frame of `@aggTrade` or `@trade`, combined or raw. `None` where the general parser
/// must look: a frame of another kind, a deviation, or an error that only it can name.
#[inline]
pub(crate) fn trade(frame: &[u8]) -> Option<TradeEvent<'_>> {
    if frame.len() > FRAME_BYTES_MAX {
        return None;
    }
    if let Some(rest) = frame.strip_prefix(b"{\"stream\":\"") {
        let (_, rest) = swar::text(rest)?;
        let (values, rest) = object(rest.strip_prefix(b",\"data\":{")?)?;
        return if rest == b"}" { values.event() } else { None };
    }
    let (values, rest) = object(frame.strip_prefix(b"{")?)?;
    if rest.is_empty() { values.event() } else { None }
}

/// Reads members up to and including the closing brace.
#[inline]
fn object(mut rest: &[u8]) -> Option<(Values<'_>, &[u8])> {
    let mut values = Values {
        seen: 0,
        kind: TradeKind::Aggregate,
        symbol: "",
        event_time: 0,
        time: 0,
        id: 0,
        first: 0,
        last: 0,
        price: (0, 0),
        quantity: (0, 0),
        taker: Side::Buy,
        coin_margined: false,
    };
    loop {
        let bit;
        (bit, rest) = values.member(rest)?;
        if values.seen & bit != 0 {
            return None;
        }
        values.seen |= bit;
        match rest.split_first()? {
            (b',', more) => rest = more,
            (b'}', more) => return Some((values, more)),
            _ => return None,
        }
    }
}

impl<'a> Values<'a> {
    /// Reads one `"key":value` and returns the key's bit and what follows the value.
    #[inline(always)]
    fn member(&mut self, rest: &'a [u8]) -> Option<(u16, &'a [u8])> {
        let (&[quote, key, end, colon], value) = rest.split_first_chunk::<4>()?;
        if quote != b'"' {
            return None;
        }
        if end != b'"' {
            return self.long_member(rest);
        }
        if colon != b':' {
            return None;
        }
        let after;
        let bit = match key {
            b'e' => {
                (self.kind, after) = kind(value)?;
                seen::EVENT
            }
            b'E' => {
                (self.event_time, after) = swar::millis(value)?;
                seen::EVENT_TIME
            }
            b's' => {
                (self.symbol, after) = symbol(value)?;
                seen::SYMBOL
            }
            b'p' => {
                (self.price, after) = swar::decimal(value)?;
                seen::PRICE
            }
            b'q' => {
                (self.quantity, after) = swar::decimal(value)?;
                seen::QUANTITY
            }
            b'T' => {
                (self.time, after) = swar::millis(value)?;
                seen::TIME
            }
            b'm' => {
                (self.taker, after) = taker(value)?;
                seen::MAKER
            }
            b'a' => {
                (self.id, after) = swar::unsigned(value)?;
                seen::AGGREGATE_ID
            }
            b'f' => {
                (self.first, after) = swar::unsigned(value)?;
                seen::FIRST
            }
            b'l' => {
                (self.last, after) = swar::unsigned(value)?;
                seen::LAST
            }
            b't' => {
                (self.id, after) = swar::unsigned(value)?;
                seen::RAW_ID
            }
            b'X' => {
                after = value.strip_prefix(b"\"MARKET\"")?;
                seen::MARKET
            }
            _ => return None,
        };
        Some((bit, after))
    }

    /// The two keys of two letters.
    #[inline(always)]
    fn long_member(&mut self, rest: &'a [u8]) -> Option<(u16, &'a [u8])> {
        let (key, value) = rest.split_first_chunk::<5>()?;
        match key {
            b"\"nq\":" => {
                let (_, after) = swar::text(value.strip_prefix(b"\"")?)?;
                Some((seen::NORMAL_QUANTITY, after))
            }
            b"\"st\":" => {
                // One digit; what follows it is checked by the caller.
                let (&digit, after) = value.split_first()?;
                if !digit.is_ascii_digit() {
                    return None;
                }
                self.coin_margined = digit == b'2';
                Some((seen::PRODUCT, after))
            }
            _ => None,
        }
    }

    #[inline(always)]
    fn event(&self) -> Option<TradeEvent<'a>> {
        let needed = self.seen & !seen::OPTIONAL;
        let (first, last) = match self.kind {
            TradeKind::Aggregate if needed == seen::AGGREGATE => (self.first, self.last),
            TradeKind::Raw if needed == seen::RAW => (self.id, self.id),
            TradeKind::Aggregate | TradeKind::Raw => return None,
        };
        let fill_count = last.checked_sub(first)?.checked_add(1)?;
        let trade = Trade::new(
            TradeId(self.id.cast_signed()),
            time(self.time)?,
            Price::from_scaled(self.price.0),
            Quantity::from_scaled(self.quantity.0),
            u32::try_from(fill_count).ok()?,
            self.taker,
        )
        .ok()?;
        Some(TradeEvent {
            symbol: self.symbol,
            kind: self.kind,
            event_time: time(self.event_time)?,
            trade,
            first_fill_id: first.cast_signed(),
            last_fill_id: last.cast_signed(),
            coin_margined: self.coin_margined,
            precision: Precision::new(self.price.1, self.quantity.1).ok()?,
        })
    }
}

#[inline(always)]
fn time(millis: u64) -> Option<UnixMillis> {
    if millis <= TIME_MAX.cast_unsigned() { Some(UnixMillis(millis.cast_signed())) } else { None }
}

#[inline(always)]
fn kind(value: &[u8]) -> Option<(TradeKind, &[u8])> {
    if let Some(after) = value.strip_prefix(b"\"aggTrade\"") {
        return Some((TradeKind::Aggregate, after));
    }
    Some((TradeKind::Raw, value.strip_prefix(b"\"trade\"")?))
}

#[inline(always)]
fn symbol(value: &[u8]) -> Option<(&str, &[u8])> {
    let (text, after) = swar::text(value.strip_prefix(b"\"")?)?;
    if text.is_empty() || text.len() > SYMBOL_BYTES_MAX {
        return None;
    }
    Some((std::str::from_utf8(text).ok()?, after))
}

#[inline(always)]
fn taker(value: &[u8]) -> Option<(Side, &[u8])> {
    if let Some(after) = value.strip_prefix(b"true") {
        return Some((Side::Sell, after));
    }
    Some((Side::Buy, value.strip_prefix(b"false")?))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Whether the scanner reads the frame by itself.
    fn is_read(frame: &str) -> bool {
        trade(frame.as_bytes()).is_some()
    }

    #[test]
    fn frames_as_the_exchange_prints_them_need_no_general_parser() {
        for frame in [
            concat!(
                r#"{"stream":"btcusdt@aggTrade","data":{"e":"aggTrade","E":1791460920015,"#,
                r#""a":3481200418,"s":"BTCUSDT","p":"82418.80","q":"0.250","nq":"0.240","#,
                r#""f":8162300556,"l":8162300561,"T":1791460919932,"m":false,"st":1}}"#,
            ),
            concat!(
                r#"{"stream":"币安人生usdt@aggTrade","data":{"e":"aggTrade","E":1791460920400,"#,
                r#""a":90412,"s":"币安人生USDT","p":"0.1420300","q":"2114","f":310877,"#,
                r#""l":310879,"T":1791460920251,"m":true}}"#,
            ),
            concat!(
                r#"{"st":2,"m":true,"T":1,"l":3,"f":1,"q":"1","p":"123456789.12345678","s":"A","#,
                r#""a":0,"E":0,"e":"aggTrade"}"#,
            ),
            concat!(
                r#"{"stream":"btcusdt@trade","data":{"e":"trade","E":1723161256322,"#,
                r#""T":1723161256322,"s":"BTCUSDT","t":5266583935,"p":"61800.30","q":"0.006","#,
                r#""X":"MARKET","m":false}}"#,
            ),
        ] {
            assert!(is_read(frame), "{frame}");
        }
    }

    #[test]
    fn a_deviation_is_left_to_the_general_parser() {
        let usual = concat!(
            r#"{"e":"aggTrade","E":1,"a":5,"s":"BTCUSDT","p":"1.5","q":"1","f":1,"l":2,"#,
            r#""T":1,"m":false,"st":1}"#,
        );
        assert!(is_read(usual));
        for (from, to) in [
            ("\"E\":1", "\"E\": 1"),
            ("\"E\":1", "\"E\":-1"),
            ("\"E\":1", "\"E\":01"),
            ("\"E\":1", "\"E\":1.0"),
            ("\"E\":1", "\"E\":99999999999999999"),
            ("\"a\":5", "\"a\":5,\"a\":5"),
            ("\"a\":5,", ""),
            ("\"a\":5", "\"b\":5"),
            ("\"a\":5", "\"a\":5,\"X\":\"MARKET\""),
            ("BTC", "\\u0042TC"),
            ("BTC", "B\nTC"),
            ("1.5", "1.123456789"),
            ("1.5", "0"),
            ("\"l\":2", "\"l\":0"),
            ("\"st\":1", "\"st\":10"),
            ("\"st\":1", "\"st\":1,"),
            ("aggTrade", "bookTicker"),
            ("false", "null"),
        ] {
            assert!(!is_read(&usual.replacen(from, to, 1)), "{from} -> {to}");
        }
        for end in 0..usual.len() {
            assert!(!is_read(&usual[..end]), "cut at {end}");
        }
    }
}
