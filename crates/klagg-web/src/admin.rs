//! `/healthz`, `/readyz`, `/metrics`: for probes and scrapers, on an address of its own.

mod metrics;

use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use axum::routing::get;
use prometheus_client::encoding::text::encode;
use prometheus_client::registry::Registry;

use crate::answer::ApiError;
use crate::app::App;
use crate::transport::{Gate, Guard};

/// What the handlers here look at.
#[derive(Debug, Clone)]
pub(crate) struct Admin {
    pub(crate) app: Arc<App>,
    pub(crate) gate: Arc<Gate>,
    pub(crate) guard: Arc<Guard>,
}

pub(crate) fn routes(admin: Admin) -> Router {
    let mut registry = Registry::with_prefix("klagg");
    registry.register_collector(Box::new(metrics::Figures(admin.clone())));
    let registry = Arc::new(registry);
    Router::new()
        .route("/healthz", get(health))
        .route("/readyz", get(ready))
        .route("/metrics", get(move || async move { metrics(&registry) }))
        .fallback(|| async { ApiError::not_found() })
        .with_state(admin)
}

/// Whether every part gives signs of life; and what else is wrong, for which nobody should be
/// started anew.
async fn health(State(admin): State<Admin>) -> Response {
    let report = (admin.app.source.parts.status)();
    let code =
        if report.silent.is_empty() { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    let first = if report.silent.is_empty() { "ok" } else { "silent" };
    let mut body = format!("{first}\n");
    for sentence in report.silent.iter().chain(&report.problems) {
        body.push_str(sentence);
        body.push('\n');
    }
    (code, body).into_response()
}

/// Whether klines can be relied on: history and the live feed have met.
async fn ready(State(admin): State<Admin>) -> Response {
    let report = (admin.app.source.parts.status)();
    let (code, mut words) = if report.ready {
        (StatusCode::OK, "ready\n".to_owned())
    } else {
        (StatusCode::SERVICE_UNAVAILABLE, format!("not ready: {}\n", report.phase))
    };
    // In either case: a problem that makes klines stale is told apart by the code alone.
    for problem in &report.problems {
        words.extend(["problem: ", problem, "\n"]);
    }
    (code, words).into_response()
}

fn metrics(registry: &Registry) -> Response {
    let mut body = String::with_capacity(8192);
    if encode(&mut body, registry).is_err() {
        return ApiError::internal().into_response();
    }
    let kind = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    ([(header::CONTENT_TYPE, kind)], body).into_response()
}
