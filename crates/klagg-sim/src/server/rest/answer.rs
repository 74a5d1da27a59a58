//! The bodies of the answers, from the market.

use std::sync::Arc;

use klagg_kline::{Price, Quantity, Trade, TradeId, UnixMillis};
use klagg_wire::encode;
use klagg_wire::rest::{AggTradeRow, ExchangeInfo, SymbolInfo, TradeRow};

use super::{Asked, Parameters, Refused};
use crate::Spoiled;
use crate::market::listing::NEVER;
use crate::market::symbol::MINUTE;
use crate::market::tape::{Aggregate, Tape};
use crate::market::ticker::{Rolling, ticker};
use crate::market::view::{Listed, Range, taker};
use crate::oracle::aggregate;
use crate::server::Shared;

const KLINES_MAX: usize = 1_500;
const TRADES_MAX: usize = 1_000;
const ROWS_USUAL: usize = 500;
/// How far back aggregates can be asked for.
const AGGREGATES_MS: i64 = 48 * 60 * MINUTE;

/// The body of an answer.
pub(crate) fn answer(
    shared: &Shared,
    asked: Asked,
    parameters: &Parameters,
    spoiled: Option<Spoiled>,
) -> Result<String, Refused> {
    let mut body = String::new();
    match asked {
        Asked::Ping => body.push_str("{}"),
        Asked::Time => encode::server_time(&mut body, shared.clock.now()),
        Asked::ExchangeInfo => encode::exchange_info(&mut body, &exchange_info(shared)),
        Asked::Klines => {
            let listed = listed(shared, &parameters.symbol("symbol")?)?;
            klines(shared, &listed, (parameters, spoiled), &mut body)?;
        }
        Asked::ContinuousKlines => {
            let pair = parameters.symbol("pair")?;
            let contract = parameters.symbol("contractType")?;
            let listed = shared.market.continuous(&pair, &contract).ok_or_else(unknown)?;
            klines(shared, &listed, (parameters, spoiled), &mut body)?;
        }
        Asked::AggTrades => {
            let listed = listed(shared, &parameters.symbol("symbol")?)?;
            let rows = agg_trades(shared, &listed, parameters)?;
            encode::agg_trade_rows(&mut body, &rows);
        }
        Asked::Trades => {
            let listed = listed(shared, &parameters.symbol("symbol")?)?;
            let limit = parameters.limit(ROWS_USUAL, TRADES_MAX)?;
            encode::trade_rows(&mut body, &newest_fills(shared, &listed, limit));
        }
        Asked::Ticker => tickers(shared, parameters, &mut body)?,
    }
    Ok(body)
}

fn unknown() -> Refused {
    Refused::new(-1121, "Invalid symbol.")
}

fn listed(shared: &Shared, name: &str) -> Result<Arc<Listed>, Refused> {
    shared.market.get(name).ok_or_else(unknown)
}

fn exchange_info(shared: &Shared) -> ExchangeInfo {
    let now = shared.clock.now();
    let info = |listed: &Arc<Listed>| {
        let symbol = &listed.symbol;
        SymbolInfo {
            name: symbol.name.to_string(),
            contract_type: symbol.contract.as_str().to_owned(),
            status: symbol.status(now).to_owned(),
            base_asset: symbol.base.to_string(),
            quote_asset: symbol.quote.to_owned(),
            margin_asset: symbol.quote.to_owned(),
            onboard_time: symbol.onboard,
            delivery_time: symbol.delivery.unwrap_or(NEVER),
            precision: symbol.precision,
            tick_size: Some(Price::from_scaled(symbol.tick)),
            step_size: Some(Quantity::from_scaled(symbol.step)),
        }
    };
    ExchangeInfo {
        server_time: now,
        weight_per_minute: Some(shared.weight().limit()),
        symbols: shared.market.newest().iter().map(info).collect(),
        skipped: 0,
    }
}

fn klines(
    shared: &Shared,
    listed: &Listed,
    (parameters, spoiled): (&Parameters, Option<Spoiled>),
    body: &mut String,
) -> Result<(), Refused> {
    let period = parameters.period()?;
    let limit = parameters.limit(ROWS_USUAL, KLINES_MAX)?;
    let (from, to) = parameters.times()?;
    let mut klines = listed.klines(period, Range { from, to, limit }, shared.sight());
    if let Some(spoiled) = spoiled {
        spoiled.spoil(&mut klines);
    }
    encode::kline_rows(body, &klines, period, listed.symbol.precision);
    Ok(())
}

fn agg_trades(
    shared: &Shared,
    listed: &Listed,
    parameters: &Parameters,
) -> Result<Vec<AggTradeRow>, Refused> {
    let symbol = &listed.symbol;
    let limit = parameters.limit(ROWS_USUAL, TRADES_MAX)?;
    let from_id = parameters.integer("fromId")?;
    let (from, to) = parameters.times()?;
    let published = shared.published();
    let oldest = shared.clock.now().plus(-AGGREGATES_MS);
    let too_old = || Refused::new(-4166, "Search window is restricted to recent 2 days only.");
    if from.is_some_and(|from| from < oldest) || to.is_some_and(|to| to < oldest) {
        return Err(too_old());
    }
    let end = published.min(to.unwrap_or(published));
    let last_minute = end.0.div_euclid(MINUTE);
    if published < symbol.onboard {
        return Ok(Vec::new());
    }
    let mut rows = Vec::new();
    let mut add_row = |tape: &Tape, one: &Aggregate| {
        if let Some(made) = aggregate(symbol, tape, one) {
            let (first_fill_id, last_fill_id) = (made.first_fill_id, made.last_fill_id);
            let precision = symbol.precision;
            rows.push(AggTradeRow { trade: made.trade, first_fill_id, last_fill_id, precision });
        }
        rows.len() < limit
    };
    let Some(first) = from_id.map(|id| (id - symbol.ids_before - 1).max(0)) else {
        let Some(from) = from else {
            newest(listed, end.min(published), oldest, &mut add_row);
            rows.reverse();
            return Ok(rows);
        };
        let minute = from.0.div_euclid(MINUTE).max(symbol.first_minute());
        ascending(listed, minute..=last_minute, |tape, one| {
            let time = tape.time(one);
            time < from.0 || (time <= end.0 && add_row(tape, one))
        });
        return Ok(rows);
    };
    let minute = symbol.minute_of(first, last_minute + 1);
    if minute <= last_minute {
        let tape = listed.tape(minute);
        let own = tape.aggregates.iter().find(|one| one.ordinal == first);
        if own.is_some_and(|one| tape.time(one) < oldest.0) {
            return Err(too_old());
        }
    }
    ascending(listed, minute..=last_minute, |tape, one| {
        one.ordinal < first || (tape.time(one) <= end.0 && add_row(tape, one))
    });
    Ok(rows)
}

/// Shows aggregates in order until `show` has enough.
fn ascending(
    listed: &Listed,
    minutes: std::ops::RangeInclusive<i64>,
    mut show: impl FnMut(&Tape, &Aggregate) -> bool,
) {
    for minute in minutes {
        let tape = listed.tape(minute);
        for one in &tape.aggregates {
            if !show(&tape, one) {
                return;
            }
        }
    }
}

/// Shows aggregates stamped until `end`, newest first, until `show` has enough.
fn newest(
    listed: &Listed,
    end: UnixMillis,
    oldest: UnixMillis,
    mut show: impl FnMut(&Tape, &Aggregate) -> bool,
) {
    let first = oldest.0.div_euclid(MINUTE).max(listed.symbol.first_minute());
    for minute in (first..=end.0.div_euclid(MINUTE)).rev() {
        let tape = listed.tape(minute);
        let seen = tape.aggregates.iter().rev();
        for one in seen.filter(|one| (oldest.0..=end.0).contains(&tape.time(one))) {
            if !show(&tape, one) {
                return;
            }
        }
    }
}

fn newest_fills(shared: &Shared, listed: &Listed, limit: usize) -> Vec<TradeRow> {
    let symbol = &listed.symbol;
    let published = shared.published();
    let oldest = shared.clock.now().plus(-AGGREGATES_MS);
    let mut rows = Vec::new();
    newest(listed, published, oldest, |tape, one| {
        for fill in tape.fills(one).iter().rev().filter(|fill| fill.time <= published.0) {
            let price = Price::from_scaled(one.ticks * symbol.tick);
            let quantity = Quantity::from_scaled(fill.steps * symbol.step);
            let (id, time) = (TradeId(fill.id), UnixMillis(fill.time));
            if let Ok(trade) = Trade::new(id, time, price, quantity, 1, taker(one)) {
                rows.push(TradeRow { trade, precision: symbol.precision });
            }
        }
        rows.len() < limit
    });
    rows.truncate(limit);
    rows.reverse();
    rows
}

fn tickers(shared: &Shared, parameters: &Parameters, body: &mut String) -> Result<(), Refused> {
    let now = shared.clock.now();
    let row =
        |listed: &Listed| Rolling::default().day(listed, now).map(|day| ticker(listed, now, &day));
    if parameters.get("symbol").is_some() {
        let listed = listed(shared, &parameters.symbol("symbol")?)?;
        let mut rows = String::new();
        encode::ticker_24h(&mut rows, &row(&listed).into_iter().collect::<Vec<_>>());
        // One symbol is an object, all are an array of them.
        body.push_str(rows.trim_start_matches('[').trim_end_matches(']'));
        return Ok(());
    }
    let trading = shared.market.all().into_iter().filter(|it| it.symbol.is_trading(now));
    let rows: Vec<_> = trading.filter_map(|listed| row(&listed)).collect();
    encode::ticker_24h(body, &rows);
    Ok(())
}
