//! The exchange's REST routes for klines.

use std::fmt::Write as _;
use std::sync::Arc;

use axum::extract::{RawQuery, State};
use axum::response::Response;
use klagg_engine::Keep;
use klagg_kline::{Kline, Period, UnixMillis};
use klagg_wire::encode;

use crate::answer::{ApiError, json, stale_since};
use crate::app::App;
use crate::hub::Slot;
use crate::query::Query;
use crate::source::Range;

/// Rows of `klines` unless `limit` says otherwise, and at most.
const ROWS_DEFAULT: usize = 500;
const ROWS_MAX: usize = 1500;

type Answer = Result<Response, ApiError>;

/// `GET /fapi/v1/ping`
pub(crate) async fn ping() -> Response {
    json("{}")
}

/// `GET /fapi/v1/time`
pub(crate) async fn time(State(app): State<Arc<App>>) -> Response {
    let mut body = String::new();
    encode::server_time(&mut body, app.now());
    json(body)
}

/// `GET /fapi/v1/exchangeInfo`: the exchange's own bytes.
pub(crate) async fn exchange_info(State(app): State<Arc<App>>) -> Answer {
    let bytes = app.source.parts.exchange_info.borrow().clone();
    if bytes.is_empty() {
        return Err(ApiError::not_yet("exchangeInfo is not known yet."));
    }
    Ok(json(bytes))
}

/// `GET /fapi/v1/klines`
pub(crate) async fn klines(State(app): State<Arc<App>>, RawQuery(query): RawQuery) -> Answer {
    let query = Query::parse(query.as_deref())?;
    let symbol = query.mandatory("symbol")?;
    rows(&app, &query, symbol).await
}

/// `GET /fapi/v1/continuousKlines`: of perpetuals, the same rows as `klines`.
pub(crate) async fn continuous(State(app): State<Arc<App>>, RawQuery(query): RawQuery) -> Answer {
    let query = Query::parse(query.as_deref())?;
    let pair = query.mandatory("pair")?;
    match query.mandatory("contractType")? {
        "PERPETUAL" | "TRADIFI_PERPETUAL" => rows(&app, &query, pair).await,
        "CURRENT_QUARTER" | "NEXT_QUARTER" => Err(ApiError::invalid_symbol()),
        _ => Err(ApiError::parameter("contractType")),
    }
}

async fn rows(app: &App, query: &Query, symbol: &str) -> Answer {
    let interval = query.mandatory("interval")?;
    let limit = query.count("limit", ROWS_DEFAULT, ROWS_MAX)?;
    let from = query.time("startTime")?;
    let to = query.time("endTime")?;
    if from.zip(to).is_some_and(|(from, to)| from > to) {
        return Err(ApiError::start_after_end());
    }
    let slot = slot(app, symbol, interval)?;
    app.hub.note_asked(slot, app.uptime());
    // From a start on, the earliest; without one, the newest.
    let keep = if from.is_some() { Keep::Oldest } else { Keep::Newest };
    let range = Range { from, to, limit, keep };
    let page = app.source.read(slot, range).await.map_err(|error| {
        tracing::warn!(%error, "klines could not be read from the store");
        ApiError::internal()
    })?;
    let name = app.source.name(slot).ok_or_else(ApiError::invalid_symbol)?;
    let klines: Vec<Kline> = page.records.iter().map(|record| record.kline).collect();
    let mut body = String::with_capacity(160 * klines.len() + 2);
    encode::kline_rows(&mut body, &klines, name.period, name.precision);
    Ok(stale_since(json(body), app.source.staleness(slot.symbol)))
}

/// The slot that a request names. The exchange takes lower case too.
pub(crate) fn slot(app: &App, symbol: &str, period: &str) -> Result<Slot, ApiError> {
    let period: Period = period.parse().map_err(|_| ApiError::invalid_interval())?;
    let period_index = app.source.parts.periods.index_of(period);
    let period_index = period_index.and_then(|index| u8::try_from(index).ok());
    let table = app.source.parts.symbols.load();
    let symbol = table.get(&symbol.to_ascii_uppercase()).ok_or_else(ApiError::invalid_symbol)?;
    Ok(Slot { symbol, period_index: period_index.ok_or_else(ApiError::invalid_interval)? })
}

/// `GET /fapi/v1/ticker/price` and `/fapi/v2/ticker/price`
pub(crate) async fn price(State(app): State<Arc<App>>, RawQuery(query): RawQuery) -> Answer {
    let query = Query::parse(query.as_deref())?;
    let table = app.source.parts.symbols.load();
    let wanted = match query.optional("symbol") {
        Some("") => return Err(ApiError::mandatory("symbol")),
        Some(name) => Some(
            table.get_listed(&name.to_ascii_uppercase()).ok_or_else(ApiError::invalid_symbol)?,
        ),
        None => None,
    };
    let (time, prices) = app.source.look(|klines| {
        let time = klines.exchange_time.unwrap_or(klines.published_at);
        let entries = table.iter().filter(|entry| !entry.delisted);
        let entries = entries.filter(|entry| wanted.is_none_or(|wanted| wanted == entry.id));
        let price = |entry: &klagg_symbols::SymbolEntry| {
            let record = klines.slot(entry.id, 0)?.newest()?;
            Some((entry.id, record.kline.close))
        };
        (time, entries.filter_map(price).collect::<Vec<_>>())
    });
    let one = |out: &mut String, index: usize| {
        let (symbol, price) = prices[index];
        let Some(entry) = table.entry(symbol) else { return };
        out.push_str("{\"symbol\":");
        crate::live::encode::string(out, &entry.name);
        let price = price.display(entry.precision.price());
        // Writing into a string cannot fail.
        let _ = write!(out, ",\"price\":\"{price}\",\"time\":{time}}}");
    };
    let mut body = String::new();
    if wanted.is_some() {
        if prices.is_empty() {
            return Err(ApiError::not_yet("no price is known yet."));
        }
        one(&mut body, 0);
    } else {
        body.push('[');
        for index in 0..prices.len() {
            if index > 0 {
                body.push(',');
            }
            one(&mut body, index);
        }
        body.push(']');
    }
    Ok(json(body))
}

/// Times of the exchange are milliseconds, never negative.
impl Query {
    fn time(&self, name: &str) -> Result<Option<UnixMillis>, ApiError> {
        Ok(self.number(name)?.map(UnixMillis))
    }
}
