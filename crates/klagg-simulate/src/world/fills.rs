//! Fills as the text that the exchange sends: which of them count is for the product to read.

use klagg_kline::{Trade, UnixMillis};
use klagg_wire::{Decoder, StreamEvent, TradeEvent, TradeKind, encode};

use crate::exchange::rest::{precision, trade};
use crate::market::Aggregate;

/// Where a fill of the order book comes from, and one that is none, as the exchange says it.
pub(super) const MARKET: &str = "MARKET";
pub(super) const OFF_MARKET: &str = "INSURANCE_FUND";

/// What the product reads of a fill's text.
pub(super) fn as_read(
    decoder: &mut Decoder,
    symbol: &str,
    (told, origin): (&Aggregate, &str),
) -> Option<Trade> {
    let mut text = String::with_capacity(192);
    let event = TradeEvent {
        symbol,
        kind: TradeKind::Raw,
        event_time: UnixMillis(told.sent),
        trade: trade(told),
        first_fill_id: told.id,
        last_fill_id: told.id,
        coin_margined: false,
        precision: precision(),
    };
    encode::off_market_trade(&mut text, &event, origin);
    match decoder.decode_text(&text) {
        Ok(StreamEvent::Trade(event)) => Some(event.trade),
        _ => None,
    }
}
