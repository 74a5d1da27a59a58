//! Any frame of a stream, read from the general parser's tape.

use klagg_kline::{Kline, Precision, Side, Trade, TradeId};

use crate::json::{Field, Json};
use crate::rest::klines::check_kline;
use crate::{
    ContractInfo, KlineEvent, MiniTicker, Row, StreamEvent, TradeEvent, TradeKind, WireError,
};

/// Reads the root of a frame, combined or raw.
pub(crate) fn event<'i>(root: Json<'_, 'i>) -> Result<StreamEvent<'i>, WireError> {
    if !root.is_object() {
        return payload(root);
    }
    let [stream, data, event] = root.fields(["stream", "data", "e"], Row::NONE)?;
    match (stream.value, data.value) {
        (Some(_), Some(data)) => {
            stream.text()?;
            payload(data)
        }
        _ if event.value.is_some() => payload(root),
        _ => reply(root),
    }
}

/// The answer to a request.
fn reply<'i>(root: Json<'_, 'i>) -> Result<StreamEvent<'i>, WireError> {
    let names = ["result", "id", "error", "code", "msg"];
    let [result, id, error, code, message] = root.fields(names, Row::NONE)?;
    if let Some(error) = error.value {
        let [code, message] = error.fields(["code", "msg"], Row::NONE)?;
        return refused(code, message);
    }
    if code.value.is_some() && message.value.is_some() {
        return refused(code, message);
    }
    let (Some(result), Some(id)) = (result.value, id.value.and_then(Json::unsigned)) else {
        return Ok(StreamEvent::Other);
    };
    match result.elements() {
        None => Ok(StreamEvent::Ack { id }),
        Some(streams) => {
            let streams = streams
                .enumerate()
                .map(|(at, stream)| {
                    let expected = "a stream name";
                    stream
                        .text()
                        .map(str::to_owned)
                        .ok_or(WireError::Shape { row: Row::at(at), expected })
                })
                .collect::<Result<_, _>>()?;
            Ok(StreamEvent::Subscriptions { id, streams })
        }
    }
}

fn refused<'i>(code: Field<'_, '_>, message: Field<'_, '_>) -> Result<StreamEvent<'i>, WireError> {
    Ok(StreamEvent::Refused { code: code.int()?, message: message.text()?.to_owned() })
}

/// What a stream carries: one event, or an array of them.
fn payload<'i>(payload: Json<'_, 'i>) -> Result<StreamEvent<'i>, WireError> {
    if let Some(rows) = payload.elements() {
        return Ok(event_array(rows));
    }
    if !payload.is_object() {
        return Err(WireError::Shape { row: Row::NONE, expected: "an object or an array" });
    }
    let [event] = payload.fields(["e"], Row::NONE)?;
    if event.value.is_none() {
        return Ok(StreamEvent::Other);
    }
    match event.text()? {
        "aggTrade" => aggregate(payload).map(StreamEvent::Trade),
        "trade" => raw_trade(payload),
        "kline" => kline(payload).map(StreamEvent::Kline),
        "24hrMiniTicker" => {
            let tickers = vec![mini_ticker(payload, Row::NONE)?];
            Ok(StreamEvent::MiniTickers { tickers, skipped: 0 })
        }
        "contractInfo" => contract_info(payload).map(StreamEvent::ContractInfo),
        _ => Ok(StreamEvent::Other),
    }
}

fn event_array<'t, 'i: 't>(rows: impl Iterator<Item = Json<'t, 'i>>) -> StreamEvent<'i> {
    let (mut tickers, mut skipped, mut others) = (Vec::new(), 0, 0);
    for (at, row) in rows.enumerate() {
        let is_ticker = row
            .fields(["e"], Row::at(at))
            .is_ok_and(|[event]| event.text() == Ok("24hrMiniTicker"));
        if !is_ticker {
            others += 1;
            continue;
        }
        match mini_ticker(row, Row::at(at)) {
            Ok(ticker) => tickers.push(ticker),
            Err(_) => skipped += 1,
        }
    }
    if tickers.is_empty() && skipped == 0 {
        return StreamEvent::Other;
    }
    StreamEvent::MiniTickers { tickers, skipped: skipped + others }
}

fn aggregate<'i>(payload: Json<'_, 'i>) -> Result<TradeEvent<'i>, WireError> {
    let names = ["E", "a", "s", "p", "q", "f", "l", "T", "m", "st"];
    let [event_time, id, symbol, price, quantity, first, last, time, maker, st] =
        payload.fields(names, Row::NONE)?;
    let (first_fill_id, last_fill_id) = (first.id()?, last.id()?);
    let trade = Trade::new(
        TradeId(id.id()?),
        time.time()?,
        price.price()?,
        quantity.quantity()?,
        fill_count(first_fill_id, last)?,
        Side::from_buyer_is_maker(maker.flag()?),
    )
    .map_err(|source| WireError::Trade { row: Row::NONE, source })?;
    Ok(TradeEvent {
        symbol: symbol.symbol()?,
        kind: TradeKind::Aggregate,
        event_time: event_time.time()?,
        trade,
        first_fill_id,
        last_fill_id,
        coin_margined: st.is_coin_margined()?,
        precision: precision(price, quantity)?,
    })
}

fn raw_trade<'i>(payload: Json<'_, 'i>) -> Result<StreamEvent<'i>, WireError> {
    let names = ["E", "T", "s", "t", "p", "q", "X", "m", "st"];
    let [event_time, time, symbol, id, price, quantity, origin, maker, st] =
        payload.fields(names, Row::NONE)?;
    let (symbol, event_time, id) = (symbol.symbol()?, event_time.time()?, id.id()?);
    if origin.text()? != "MARKET" && !mutated!(OffMarketFolded) {
        return Ok(StreamEvent::OffMarketTrade { symbol, id: TradeId(id), event_time });
    }
    let trade = Trade::new(
        TradeId(id),
        time.time()?,
        price.price()?,
        quantity.quantity()?,
        1,
        Side::from_buyer_is_maker(maker.flag()?),
    )
    .map_err(|source| WireError::Trade { row: Row::NONE, source })?;
    Ok(StreamEvent::Trade(TradeEvent {
        symbol,
        kind: TradeKind::Raw,
        event_time,
        trade,
        first_fill_id: id,
        last_fill_id: id,
        coin_margined: st.is_coin_margined()?,
        precision: precision(price, quantity)?,
    }))
}

/// How many raw ids an aggregate spans. Burnt ids are counted too: the exchange does not tell.
pub(crate) fn fill_count(first: i64, last: Field<'_, '_>) -> Result<u32, WireError> {
    let count = last.id()?.saturating_sub(first).saturating_add(1).max(0);
    u32::try_from(count).map_err(|_| last.fault("within 2^32 ids of the first"))
}

pub(crate) fn precision(
    price: Field<'_, '_>,
    quantity: Field<'_, '_>,
) -> Result<Precision, WireError> {
    Precision::new(price.decimals()?, quantity.decimals()?).map_err(|source| WireError::Decimal {
        row: price.row,
        field: price.name,
        source,
    })
}

fn kline<'i>(payload: Json<'_, 'i>) -> Result<KlineEvent<'i>, WireError> {
    let [event_time, symbol, body] = payload.fields(["E", "s", "k"], Row::NONE)?;
    let names = ["t", "T", "i", "f", "L", "o", "c", "h", "l", "v", "n", "x", "q", "V", "Q"];
    let [
        open_time,
        close_time,
        period,
        first,
        last,
        open,
        close,
        high,
        low,
        volume,
        count,
        closed,
        quote,
        taker,
        taker_quote,
    ] = body.required()?.fields(names, Row::NONE)?;
    let period_value = period.text()?.parse().map_err(|_| period.fault("a period"))?;
    let ids = match (first.int()?, last.int()?) {
        (first_id @ 0.., last_id) if last_id >= first_id => {
            (TradeId(first.id()?), TradeId(last.id().map(|_| last_id)?))
        }
        _ => (TradeId(0), TradeId(-1)),
    };
    let kline = Kline {
        volume: volume.volume()?,
        quote_volume: quote.quote_volume()?,
        taker_buy_volume: taker.volume()?,
        taker_buy_quote_volume: taker_quote.quote_volume()?,
        open_time: open_time.time()?,
        open: open.price()?,
        high: high.price()?,
        low: low.price()?,
        close: close.price()?,
        trade_count: count.unsigned()?,
        first_id: ids.0,
        last_id: ids.1,
    };
    check_kline(&kline, close_time.time()?, period_value, Row::NONE)?;
    Ok(KlineEvent {
        symbol: symbol.symbol()?,
        period: period_value,
        event_time: event_time.time()?,
        is_closed: closed.flag()?,
        kline,
    })
}

fn mini_ticker(payload: Json<'_, '_>, row: Row) -> Result<MiniTicker, WireError> {
    let names = ["E", "s", "c", "o", "h", "l", "v", "q", "st"];
    let [event_time, symbol, close, open, high, low, volume, quote, st] =
        payload.fields(names, row)?;
    Ok(MiniTicker {
        symbol: symbol.symbol()?.to_owned(),
        event_time: event_time.time()?,
        close: close.price()?,
        open: open.price()?,
        high: high.price()?,
        low: low.price()?,
        volume: volume.volume()?,
        quote_volume: quote.quote_volume()?,
        coin_margined: st.is_coin_margined()?,
        precision: precision(close, volume)?,
    })
}

fn contract_info(payload: Json<'_, '_>) -> Result<ContractInfo, WireError> {
    let names = ["E", "s", "ct", "dt", "ot", "cs", "st"];
    let [event_time, symbol, contract_type, delivery, onboard, status, st] =
        payload.fields(names, Row::NONE)?;
    Ok(ContractInfo {
        symbol: symbol.symbol()?.to_owned(),
        event_time: event_time.time()?,
        contract_type: contract_type.text()?.to_owned(),
        status: status.text()?.to_owned(),
        onboard_time: onboard.time()?,
        delivery_time: delivery.time()?,
        coin_margined: st.is_coin_margined()?,
    })
}
