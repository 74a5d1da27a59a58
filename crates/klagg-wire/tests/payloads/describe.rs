//! What was read, in one line, for people to compare with the payload above it.

use std::error::Error;
use std::fmt::Write;

use klagg_kline::{Kline, Precision, Side, Trade};
use klagg_wire::rest::{AggTradeRow, ExchangeInfo, TradeRow};
use klagg_wire::{StreamEvent, WireError};

pub(crate) fn result<T>(
    result: Result<T, WireError>,
    describe: impl FnOnce(T) -> String,
) -> String {
    match result {
        Ok(value) => describe(value),
        Err(error) => match error.source() {
            None => format!("error: {error}"),
            Some(source) => format!("error: {error}: {source}"),
        },
    }
}

pub(crate) fn list<T>(rows: Result<Vec<T>, WireError>, row: fn(&T) -> String) -> String {
    result(rows, |rows| {
        let mut text = format!("{} rows", rows.len());
        for value in &rows {
            let _ = write!(text, "; {}", row(value));
        }
        text
    })
}

fn trade(trade: &Trade, precision: Precision) -> String {
    let side = if trade.taker == Side::Buy { "buy" } else { "sell" };
    format!(
        "id {} time {} {side} {} at {} printed {}/{}",
        trade.id,
        trade.time,
        trade.quantity,
        trade.price,
        precision.price(),
        precision.quantity()
    )
}

fn fills(trade: &Trade, first: i64, last: i64) -> String {
    format!("{} fills {first}..{last}", trade.fill_count)
}

pub(crate) fn agg_trade_row(row: &AggTradeRow) -> String {
    let fills = fills(&row.trade, row.first_fill_id, row.last_fill_id);
    format!("{} {fills}", trade(&row.trade, row.precision))
}

pub(crate) fn trade_row(row: &TradeRow) -> String {
    trade(&row.trade, row.precision)
}

pub(crate) fn kline(kline: &Kline) -> String {
    let ids = if kline.has_ids() {
        format!("{}..{}", kline.first_id, kline.last_id)
    } else {
        "none".to_owned()
    };
    format!(
        "open {} ohlc {} {} {} {} volume {} {} taker {} {} count {} ids {ids}",
        kline.open_time,
        kline.open,
        kline.high,
        kline.low,
        kline.close,
        kline.volume,
        kline.quote_volume,
        kline.taker_buy_volume,
        kline.taker_buy_quote_volume,
        kline.trade_count,
    )
}

pub(crate) fn exchange_info(info: &ExchangeInfo) -> String {
    let weight = info.weight_per_minute.map_or("-".to_owned(), |weight| weight.to_string());
    let mut text = format!("time {} weight {weight} skipped {}", info.server_time, info.skipped);
    for symbol in &info.symbols {
        let tick = symbol.tick_size.map_or("-".to_owned(), |tick| tick.to_string());
        let step = symbol.step_size.map_or("-".to_owned(), |step| step.to_string());
        let _ = write!(
            text,
            "; {} {} {} {}+{}+{} from {} to {} printed {}/{} steps {tick}/{step}",
            symbol.name,
            symbol.contract_type,
            symbol.status,
            symbol.base_asset,
            symbol.quote_asset,
            symbol.margin_asset,
            symbol.onboard_time,
            symbol.delivery_time,
            symbol.precision.price(),
            symbol.precision.quantity(),
        );
    }
    text
}

pub(crate) fn event(event: StreamEvent<'_>) -> String {
    let product = |coin_margined: bool| if coin_margined { "COIN-M" } else { "USD-M" };
    match event {
        StreamEvent::Trade(event) => format!(
            "{:?} {} {} sent {} {} {}",
            event.kind,
            event.symbol,
            product(event.coin_margined),
            event.event_time,
            trade(&event.trade, event.precision),
            fills(&event.trade, event.first_fill_id, event.last_fill_id)
        ),
        StreamEvent::Kline(event) => format!(
            "Kline {} {} sent {} closed {} {}",
            event.symbol,
            event.period,
            event.event_time,
            event.is_closed,
            kline(&event.kline)
        ),
        StreamEvent::MiniTickers { tickers, skipped } => {
            let mut text = format!("MiniTickers skipped {skipped}");
            for ticker in tickers {
                let _ = write!(
                    text,
                    "; {} {} sent {} cohl {} {} {} {} volume {} {} printed {}/{}",
                    ticker.symbol,
                    product(ticker.coin_margined),
                    ticker.event_time,
                    ticker.close,
                    ticker.open,
                    ticker.high,
                    ticker.low,
                    ticker.volume,
                    ticker.quote_volume,
                    ticker.precision.price(),
                    ticker.precision.quantity()
                );
            }
            text
        }
        // The rest is plain enough as it is.
        plain => format!("{plain:?}"),
    }
}
