//! What an answer of the exchange is worth: is it what was asked for, how long, how to read its
//! headers.

use bytes::{Bytes, BytesMut};
use klagg_kline::{Kline, TradeId};
use klagg_wire::rest::AggTradeRow;
use reqwest::Response;

use super::{AGG_TRADES_LIMIT_MAX, KlineQuery};
use crate::BinanceError;
use crate::gate::WeightPermit;

/// How much of an unreadable error body is shown.
const MESSAGE_CHARS_MAX: usize = 200;

pub(super) fn check_klines(klines: &[Kline], query: KlineQuery) -> Result<(), &'static str> {
    if klines.len() > usize::from(query.limit) {
        return Err("more rows than asked for");
    }
    // Ascending, so the ends speak for all.
    let (Some(first), Some(last)) = (klines.first(), klines.last()) else { return Ok(()) };
    if query.start.is_some_and(|start| first.open_time < start) {
        return Err("a kline before the start that was asked for");
    }
    if query.end.is_some_and(|end| last.open_time > end) {
        return Err("a kline after the end that was asked for");
    }
    Ok(())
}

pub(super) fn check_agg_trades(
    rows: &[AggTradeRow],
    from_id: Option<TradeId>,
    limit: u16,
) -> Result<(), &'static str> {
    if rows.len() > usize::from(limit.clamp(1, AGG_TRADES_LIMIT_MAX)) {
        return Err("more rows than asked for");
    }
    match (rows.first(), from_id) {
        (Some(first), Some(from)) if first.trade.id < from => {
            Err("a trade before the id that was asked for")
        }
        _ => Ok(()),
    }
}

pub(super) fn transport(route: &'static str, source: reqwest::Error) -> BinanceError {
    BinanceError::Transport { route, source: source.without_url() }
}

pub(super) fn header_number<T: std::str::FromStr>(answer: &Response, name: &str) -> Option<T> {
    answer.headers().get(name)?.to_str().ok()?.trim().parse().ok()
}

pub(super) fn note_used_weight(answer: &Response, permit: &mut WeightPermit) {
    if let Some(used) = header_number(answer, "x-mbx-used-weight-1m") {
        permit.report_used(used);
    }
}

/// Reads the body, unpacked, up to `bytes_max`.
pub(super) async fn read_body(
    route: &'static str,
    mut answer: Response,
    bytes_max: usize,
) -> Result<Bytes, BinanceError> {
    let mut body = BytesMut::new();
    while let Some(chunk) = answer.chunk().await.map_err(|source| transport(route, source))? {
        if body.len() + chunk.len() > bytes_max {
            return Err(BinanceError::BodyTooLong { route, bytes_max });
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body.freeze())
}

pub(super) fn beginning_of(body: &[u8]) -> String {
    String::from_utf8_lossy(body).chars().take(MESSAGE_CHARS_MAX).collect()
}
