//! `/api/v1/status`: how the program is, for the page.

use std::sync::Arc;

use axum::extract::State;
use axum::response::Response;
use serde_json::{Value, json};

use crate::app::App;
use crate::{StatusReport, page};

/// `GET /api/v1/status`
pub(crate) async fn status(State(app): State<Arc<App>>) -> Response {
    let parts = &app.source.parts;
    let report = (parts.status)();
    let standing = app.standing();
    let (workers, stale) = app.source.look(|klines| {
        let stale = klines.workers.iter().filter(|worker| worker.stale_since.is_some());
        (klines.workers.len(), stale.count())
    });
    let periods: Vec<_> = parts.periods.as_slice().iter().map(|period| period.as_str()).collect();
    let mut body = program(&report);
    let market = json!({
        "periods": periods,
        "symbols": parts.symbols.load().iter().filter(|entry| !entry.delisted).count(),
        "sequence": standing.sequence,
        "published_at": standing.published_at.0,
        "exchange_time": standing.exchange_time.map(|time| time.0),
        "now": standing.now.0,
        "workers": workers,
        "workers_stale": stale,
        "chart_library": page::CHART_LIBRARY.is_some(),
        "notice": page::NOTICE,
    });
    if let (Some(body), Value::Object(market)) = (body.as_object_mut(), market) {
        body.extend(market);
    }
    crate::answer::json(body.to_string())
}

fn program(report: &StatusReport) -> Value {
    let backfill = report.backfill.as_ref().map(|backfill| {
        json!({
            "symbols_done": backfill.symbols_done,
            "symbols_total": backfill.symbols_total,
            "klines": backfill.klines,
            "requests": backfill.requests,
            "weight_used": backfill.weight_used,
            "weight_limit": backfill.weight_limit,
            "eta_seconds": backfill.eta_seconds,
        })
    });
    let problems: Vec<&String> = report.silent.iter().chain(&report.problems).collect();
    json!({
        "ready": report.ready,
        "phase": report.phase,
        "source": report.source,
        "version": report.version,
        "backfill": backfill,
        "feed": {
            "connections_up": report.feed.connections_up,
            "connections_total": report.feed.connections_total,
        },
        "problems": problems,
    })
}
