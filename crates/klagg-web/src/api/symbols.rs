//! `/api/v1/symbols`: the whole market at a glance, for the page's list.

use std::fmt::Write as _;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::extract::{RawQuery, State};
use axum::response::Response;
use bytes::Bytes;
use klagg_kline::Price;
use tokio::time::Instant;

use crate::answer::{ApiError, json};
use crate::app::App;
use crate::live::encode::string;
use crate::query::Query;

/// How long one answer serves all who ask.
const FRESH: Duration = Duration::from_millis(500);

/// The last answer for each period: however many pages are open, it is made twice a second.
#[derive(Debug, Default)]
pub(crate) struct Overviews {
    made: Mutex<Vec<Option<(Instant, Bytes)>>>,
}

/// `GET /api/v1/symbols?period=1h`
///
/// ```json
/// {"period":"1h","sequence":812,"columns":["symbol","price_precision","quantity_precision",
///  "first_open_time","open","last","listed"],"symbols":[["BTCUSDT",2,3,1567900800000,"82410.00",
///  "82433.20",true]]}
/// ```
///
/// `open` and `last` are of the newest kline of the period, null where there is none.
pub(crate) async fn symbols(
    State(app): State<Arc<App>>,
    RawQuery(query): RawQuery,
) -> Result<Response, ApiError> {
    let query = Query::parse(query.as_deref())?;
    let periods = &app.source.parts.periods;
    let index = match query.optional("period") {
        None => 0,
        Some(name) => {
            let known = periods.as_slice().iter().position(|period| period.as_str() == name);
            known.ok_or_else(ApiError::invalid_interval)?
        }
    };
    let mut made = app.overview.made.lock().unwrap_or_else(PoisonError::into_inner);
    made.resize(periods.len(), None);
    let now = Instant::now();
    if let Some((at, bytes)) = &made[index]
        && now.duration_since(*at) < FRESH
    {
        return Ok(json(bytes.clone()));
    }
    let bytes = Bytes::from(overview(&app, index));
    made[index] = Some((now, bytes.clone()));
    Ok(json(bytes))
}

fn overview(app: &App, period_index: usize) -> String {
    let parts = &app.source.parts;
    let table = parts.symbols.load();
    let (sequence, prices): (u64, Vec<Option<(Price, Price)>>) = app.source.look(|klines| {
        let newest = |entry: &klagg_symbols::SymbolEntry| {
            let kline = klines.slot(entry.id, period_index)?.newest()?.kline;
            Some((kline.open, kline.close))
        };
        (klines.sequence, table.iter().map(newest).collect())
    });
    let mut out = String::with_capacity(128 + 96 * prices.len());
    let period = parts.periods.get(period_index);
    // Writing into a string cannot fail.
    let _ = write!(
        out,
        "{{\"period\":\"{period}\",\"sequence\":{sequence},\"columns\":[\"symbol\",\
         \"price_precision\",\"quantity_precision\",\"first_open_time\",\"open\",\"last\",\
         \"listed\"],\"symbols\":["
    );
    let mut first = true;
    for (entry, prices) in table.iter().zip(prices) {
        // A name listed again leads to its newest number alone.
        if table.get(&entry.name) != Some(entry.id) {
            continue;
        }
        out.push_str(if first { "[" } else { ",[" });
        first = false;
        string(&mut out, &entry.name);
        let precision = entry.precision;
        let (price, quantity) = (precision.price(), precision.quantity());
        let _ = write!(out, ",{price},{quantity},{},", entry.first_open_time);
        let _ = match prices {
            Some((open, last)) => {
                write!(out, "\"{}\",\"{}\"", open.display(price), last.display(price))
            }
            None => write!(out, "null,null"),
        };
        let _ = write!(out, ",{}]", !entry.delisted);
    }
    out.push_str("]}");
    out
}
