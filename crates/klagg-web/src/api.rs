//! Our own REST, made for the page: `/api/v1/symbols`, `/api/v1/klines`, `/api/v1/status`.

mod status;
mod symbols;

use std::sync::Arc;

use axum::extract::{RawQuery, State};
use axum::response::Response;
use klagg_engine::Keep;
use klagg_kline::UnixMillis;

pub(crate) use status::status;
pub(crate) use symbols::{Overviews, symbols};

use crate::answer::{ApiError, json, stale_since};
use crate::app::App;
use crate::exchange::rest::slot;
use crate::live::encode;
use crate::query::Query;
use crate::source::Range;

const ROWS_DEFAULT: usize = 500;
const ROWS_MAX: usize = 1500;

/// `GET /api/v1/klines?symbol=BTCUSDT&period=1m&before=1791460860000&limit=500`: the newest rows
/// that open before `before`, in the columns of the live socket, in its `snapshot` form.
pub(crate) async fn klines(
    State(app): State<Arc<App>>,
    RawQuery(query): RawQuery,
) -> Result<Response, ApiError> {
    let query = Query::parse(query.as_deref())?;
    let symbol = query.mandatory("symbol")?;
    let period = query.mandatory("period")?;
    let limit = query.count("limit", ROWS_DEFAULT, ROWS_MAX)?;
    let before = query.number("before")?.map(UnixMillis);
    let slot = slot(&app, symbol, period)?;
    app.hub.note_asked(slot, app.uptime());
    let to = before.map(|before| before.plus(-1));
    let range = Range { from: None, to, limit, keep: Keep::Newest };
    let page = app.source.read(slot, range).await.map_err(|error| {
        tracing::warn!(%error, "klines could not be read from the store");
        ApiError::internal()
    })?;
    let name = app.source.name(slot).ok_or_else(ApiError::invalid_symbol)?;
    let mut body = String::with_capacity(160 * page.records.len() + 256);
    let named = (&*name.symbol, name.period, name.precision);
    encode::snapshot(&mut body, page.sequence, named, &page.records);
    Ok(stale_since(json(body), app.source.staleness(slot.symbol)))
}
