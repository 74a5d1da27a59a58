//! The hot path: a scanner that knows what a trade frame looks like.
//!
//! Invariant: a frame is either read to exactly what the general parser reads, or not at all.
//! At the first byte that is not as expected (a key unknown or twice, an escape, white space, a
//! number of odd form, a value out of range) it gives up, and the general parser decides. So it
//! has no errors of its own, and its answer never depends on what came before.
//!
//! Keys may come in any order. Eight bytes are looked at in one step (see [`window`]).

#![expect(
    clippy::inline_always,
    reason = "a field is a dozen instructions: a call would cost as much"
)]

mod window;

use klagg_kline::{Precision, Price, Quantity, Side, Trade, TradeId, UnixMillis};
pub(crate) use window::Window;

use crate::limits::{SYMBOL_BYTES_MAX, TIME_MAX};
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
struct Values {
    seen: u16,
    kind: TradeKind,
    /// Where the symbol starts and ends.
    symbol: (usize, usize),
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
///
/// `slice` cuts a text out of the frame, or refuses because it is not UTF-8.
#[inline(always)]
pub(crate) fn trade<'a>(
    window: &mut Window,
    frame: &[u8],
    slice: impl Fn(usize, usize) -> Option<&'a str>,
) -> Option<TradeEvent<'a>> {
    if !window.fill(frame) {
        return None;
    }
    let window = &*window;
    let (mut at, mut braces) = (0, 1);
    if window.is(0, b"{\"stream") {
        let (end, is_ascii) = window.text_end(11)?;
        if !window.is(8, b"\":\"") || !window.is(end, b"\",\"data\"") || !window.is(end + 8, b":") {
            return None;
        }
        if !is_ascii {
            slice(11, end)?;
        }
        (at, braces) = (end + 9, 2);
    }
    let (values, end) = match usual(window, at) {
        Some(read) => read,
        None => object(window, at)?,
    };
    // The object's own brace is read already; the zero behind the frame proves nothing is left.
    if end + braces - 1 != frame.len() || (braces == 2 && window.byte(end) != b'}') {
        return None;
    }
    let symbol = slice(values.symbol.0, values.symbol.1)?;
    if symbol.is_empty() || symbol.len() > SYMBOL_BYTES_MAX {
        return None;
    }
    values.event(symbol)
}

/// Reads an aggregate whose keys come in the order in which the exchange prints them (seen from
/// 2021 to 2026), from its opening brace to behind its closing one. Without a choice at every key
/// it took 78 ns a frame where [`object`], which reads any order, took 94 (measured).
#[inline(always)]
fn usual(window: &Window, at: usize) -> Option<(Values, usize)> {
    let at = window.after(at, b"{\"e\":\"ag")?;
    let at = window.after(at, b"gTrade\",")?;
    let (event_time, at) = window.millis(window.after(at, b"\"E\":")?)?;
    let (id, at) = window.unsigned(window.after(at, b",\"a\":")?)?;
    let symbol_start = window.after(at, b",\"s\":\"")?;
    let (symbol_end, _) = window.text_end(symbol_start)?;
    let (price, at) = window.decimal(window.after(symbol_end, b"\",\"p\":")?)?;
    let (quantity, mut at) = window.decimal(window.after(at, b",\"q\":")?)?;
    if let Some(start) = window.after(at, b",\"nq\":\"") {
        at = window.plain_end(start)?;
    }
    let (first, at) = window.unsigned(window.after(at, b",\"f\":")?)?;
    let (last, at) = window.unsigned(window.after(at, b",\"l\":")?)?;
    let (time, at) = window.millis(window.after(at, b",\"T\":")?)?;
    let (taker, mut at) = match window.after(at, b",\"m\":tru") {
        Some(at) => (Side::Sell, window.after(at, b"e")?),
        None => (Side::Buy, window.after(window.after(at, b",\"m\":fal")?, b"se")?),
    };
    let mut coin_margined = false;
    if let Some(digit) = window.after(at, b",\"st\":") {
        coin_margined = window.byte(digit) == b'2';
        at = if window.byte(digit).is_ascii_digit() { digit + 1 } else { return None };
    }
    let values = Values {
        seen: seen::AGGREGATE,
        kind: TradeKind::Aggregate,
        symbol: (symbol_start, symbol_end),
        event_time,
        time,
        id,
        first,
        last,
        price,
        quantity,
        taker,
        coin_margined,
    };
    Some((values, window.after(at, b"}")?))
}

/// Reads an object from its opening brace to behind its closing one.
#[inline(always)]
fn object(window: &Window, mut at: usize) -> Option<(Values, usize)> {
    let mut values = Values {
        seen: 0,
        kind: TradeKind::Aggregate,
        symbol: (0, 0),
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
    if window.byte(at) != b'{' {
        return None;
    }
    loop {
        // Here stands what is before a key: the opening brace, or a comma.
        let bit;
        (bit, at) = values.member(window, at + 1)?;
        if values.seen & bit != 0 {
            return None;
        }
        values.seen |= bit;
        match window.byte(at) {
            b',' => {}
            b'}' => return Some((values, at + 1)),
            _ => return None,
        }
    }
}

impl Values {
    /// Reads one `"key":value` and returns the key's bit and where the value ends.
    #[inline(always)]
    fn member(&mut self, window: &Window, at: usize) -> Option<(u16, usize)> {
        let [quote, key, end, colon, ..] = window.word(at).to_le_bytes();
        if quote != b'"' || end != b'"' || colon != b':' {
            return self.long_member(window, at);
        }
        let at = at + 4;
        Some(match key {
            b'e' => {
                if window.is(at, b"\"aggTrad") && window.is(at + 8, b"e\"") {
                    (seen::EVENT, at + 10)
                } else if window.is(at, b"\"trade\"") {
                    self.kind = TradeKind::Raw;
                    (seen::EVENT, at + 7)
                } else {
                    return None;
                }
            }
            b'E' => (seen::EVENT_TIME, put(&mut self.event_time, window.millis(at)?)),
            b's' => {
                let (end, _) = window.text_end(at + 1)?;
                self.symbol = (at + 1, end);
                if window.byte(at) != b'"' {
                    return None;
                }
                (seen::SYMBOL, end + 1)
            }
            b'p' => (seen::PRICE, put(&mut self.price, window.decimal(at)?)),
            b'q' => (seen::QUANTITY, put(&mut self.quantity, window.decimal(at)?)),
            b'T' => (seen::TIME, put(&mut self.time, window.millis(at)?)),
            b'm' if window.is(at, b"true") => {
                self.taker = Side::Sell;
                (seen::MAKER, at + 4)
            }
            b'm' if window.is(at, b"false") => (seen::MAKER, at + 5),
            b'a' => (seen::AGGREGATE_ID, put(&mut self.id, window.unsigned(at)?)),
            b'f' => (seen::FIRST, put(&mut self.first, window.unsigned(at)?)),
            b'l' => (seen::LAST, put(&mut self.last, window.unsigned(at)?)),
            b't' => (seen::RAW_ID, put(&mut self.id, window.unsigned(at)?)),
            b'X' if window.is(at, b"\"MARKET\"") => (seen::MARKET, at + 8),
            _ => return None,
        })
    }

    /// The two keys of two letters.
    #[inline(always)]
    fn long_member(&mut self, window: &Window, at: usize) -> Option<(u16, usize)> {
        if window.is(at, b"\"nq\":\"") {
            return Some((seen::NORMAL_QUANTITY, window.plain_end(at + 6)?));
        }
        // One digit; what follows it is checked by the caller.
        let digit = window.byte(at + 5);
        if !window.is(at, b"\"st\":") || !digit.is_ascii_digit() {
            return None;
        }
        self.coin_margined = digit == b'2';
        Some((seen::PRODUCT, at + 6))
    }

    #[inline(always)]
    fn event<'a>(&self, symbol: &'a str) -> Option<TradeEvent<'a>> {
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
            symbol,
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

/// Keeps a value and passes on where it ends.
#[inline(always)]
fn put<T>(place: &mut T, (value, end): (T, usize)) -> usize {
    *place = value;
    end
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Whether the scanner reads the frame by itself.
    fn is_read(frame: &str) -> bool {
        let mut window = Window::new();
        let read = |window: &mut Window| {
            trade(window, frame.as_bytes(), |from, to| frame.get(from..to)).is_some()
        };
        read(&mut window)
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
