//! What the server says on `/ws/kline/live`; the rows are those of `/api/v1/klines` too.

use std::fmt::Write as _;

use klagg_kline::{KlineRecord, Period, Precision, UnixMillis};

use super::command::Refusal;
use crate::hub::SlotUpdate;

/// The names of a row's columns, in order.
pub(crate) const COLUMNS: [&str; 13] = [
    "open_time",
    "open",
    "high",
    "low",
    "close",
    "volume",
    "close_time",
    "quote_volume",
    "trade_count",
    "taker_buy_volume",
    "taker_buy_quote_volume",
    "status",
    "revision",
];

/// A text as JSON, quotes included.
pub(crate) fn string(out: &mut String, text: &str) {
    out.push('"');
    for character in text.chars() {
        match character {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            control if control < ' ' => {
                let _ = write!(out, "\\u{:04x}", u32::from(control));
            }
            plain => out.push(plain),
        }
    }
    out.push('"');
}

/// One kline: the exchange's eleven columns, then status and revision.
pub(crate) fn row(out: &mut String, record: &KlineRecord, period: Period, precision: Precision) {
    let kline = &record.kline;
    let (price, quantity, quote) = (precision.price(), precision.quantity(), precision.quote());
    // Writing into a string cannot fail.
    let _ = write!(
        out,
        "[{},\"{}\",\"{}\",\"{}\",\"{}\",\"{}\",{},\"{}\",{},\"{}\",\"{}\",\"{}\",{}]",
        kline.open_time,
        kline.open.display(price),
        kline.high.display(price),
        kline.low.display(price),
        kline.close.display(price),
        kline.volume.display(quantity),
        period.close_time(kline.open_time),
        kline.quote_volume.display(quote),
        kline.trade_count,
        kline.taker_buy_volume.display(quantity),
        kline.taker_buy_quote_volume.display(quote),
        record.status,
        record.revision,
    );
}

/// Rows in brackets.
pub(crate) fn rows(
    out: &mut String,
    records: &[KlineRecord],
    period: Period,
    precision: Precision,
) {
    out.push('[');
    for (at, record) in records.iter().enumerate() {
        if at > 0 {
            out.push(',');
        }
        row(out, record, period, precision);
    }
    out.push(']');
}

/// `{"type":"kline",…}`: a new state of one kline.
pub(crate) fn kline(out: &mut String, update: &SlotUpdate) {
    let _ = write!(out, "{{\"type\":\"kline\",\"sequence\":{},\"symbol\":", update.sequence);
    string(out, &update.symbol);
    let _ = write!(out, ",\"period\":\"{}\",\"kline\":", update.period);
    row(out, &update.record, update.period, update.precision);
    out.push('}');
}

/// `{"type":"snapshot",…}`: history and the open kline.
pub(crate) fn snapshot(
    out: &mut String,
    sequence: u64,
    (symbol, period, precision): (&str, Period, Precision),
    records: &[KlineRecord],
) {
    let _ = write!(out, "{{\"type\":\"snapshot\",\"sequence\":{sequence},\"symbol\":");
    string(out, symbol);
    let _ = write!(
        out,
        ",\"period\":\"{period}\",\"price_precision\":{},\"quantity_precision\":{},\"klines\":",
        precision.price(),
        precision.quantity(),
    );
    rows(out, records, period, precision);
    out.push('}');
}

/// `{"type":"welcome",…}`: the first message.
pub(crate) fn welcome(out: &mut String, periods: &[Period], columns: &[&str]) {
    out.push_str("{\"type\":\"welcome\",\"periods\":[");
    for (at, period) in periods.iter().enumerate() {
        let comma = if at > 0 { "," } else { "" };
        let _ = write!(out, "{comma}\"{period}\"");
    }
    out.push_str("],\"columns\":[");
    for (at, column) in columns.iter().enumerate() {
        let comma = if at > 0 { "," } else { "" };
        let _ = write!(out, "{comma}\"{column}\"");
    }
    out.push_str("]}");
}

/// Where the data stand.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Standing {
    pub(crate) sequence: u64,
    pub(crate) published_at: UnixMillis,
    pub(crate) exchange_time: Option<UnixMillis>,
    /// The server's clock now.
    pub(crate) now: UnixMillis,
}

/// `{"type":"heartbeat",…}`: where the data stand, and which subscribed symbols are stale.
pub(crate) fn heartbeat(out: &mut String, standing: &Standing, stale: &[(&str, UnixMillis)]) {
    let _ = write!(
        out,
        "{{\"type\":\"heartbeat\",\"sequence\":{},\"published_at\":{},\"exchange_time\":",
        standing.sequence, standing.published_at,
    );
    match standing.exchange_time {
        Some(time) => {
            let _ = write!(out, "{time}");
        }
        None => out.push_str("null"),
    }
    let _ = write!(out, ",\"now\":{},\"stale\":[", standing.now);
    for (at, (symbol, since)) in stale.iter().enumerate() {
        out.push_str(if at > 0 { ",[" } else { "[" });
        string(out, symbol);
        let _ = write!(out, ",{since}]");
    }
    out.push_str("]}");
}

/// `{"type":"subscribed","subscriptions":N}` or `unsubscribed`.
pub(crate) fn counted(out: &mut String, kind: &str, subscriptions: usize) {
    let _ = write!(out, "{{\"type\":\"{kind}\",\"subscriptions\":{subscriptions}}}");
}

/// `{"type":"error",…}`.
pub(crate) fn refusal(out: &mut String, refusal: &Refusal) {
    let _ = write!(out, "{{\"type\":\"error\",\"code\":\"{}\",\"message\":", refusal.code);
    string(out, &refusal.message);
    out.push('}');
}
