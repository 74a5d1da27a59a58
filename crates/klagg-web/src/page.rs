//! The chart page: files embedded in the binary, served under fixed names.
//!
//! There is no path from the network to a file: what is not in the table does not exist.

use std::hash::{DefaultHasher, Hash as _, Hasher as _};

use axum::Router;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use axum::routing::get;

use crate::answer::ApiError;

include!(concat!(env!("OUT_DIR"), "/chart_library.rs"));

/// What the chart library's licence asks to be shown.
pub(crate) const NOTICE: &str = "TradingView Lightweight Charts. \
    Copyright (c) 2023 TradingView, Inc. https://www.tradingview.com/";

const HTML: &str = "text/html; charset=utf-8";
const CSS: &str = "text/css; charset=utf-8";
const SCRIPT: &str = "text/javascript; charset=utf-8";
const SVG: &str = "image/svg+xml";

macro_rules! file {
    ($name:literal, $kind:expr) => {
        (concat!("/page/", $name), $kind, include_bytes!(concat!("../page/", $name)) as &[u8])
    };
}

const INDEX: &[u8] = include_bytes!("../page/index.html");
const FILES: [(&str, &str, &[u8]); 9] = [
    file!("style.css", CSS),
    file!("app.js", SCRIPT),
    file!("chart.js", SCRIPT),
    file!("feed.js", SCRIPT),
    file!("format.js", SCRIPT),
    file!("list.js", SCRIPT),
    file!("series.js", SCRIPT),
    file!("table.js", SCRIPT),
    file!("icon.svg", SVG),
];

/// The routes of the page.
pub(crate) fn routes<S: Clone + Send + Sync + 'static>() -> Router<S> {
    let mut router = Router::new().route("/", serve(HTML, INDEX));
    for (path, kind, bytes) in FILES {
        router = router.route(path, serve(kind, bytes));
    }
    let library = match CHART_LIBRARY {
        Some(bytes) => serve(SCRIPT, bytes),
        None => get(|| async { ApiError::not_found() }),
    };
    router.route("/page/lightweight-charts.js", library)
}

fn serve<S: Clone + Send + Sync + 'static>(
    kind: &'static str,
    bytes: &'static [u8],
) -> axum::routing::MethodRouter<S> {
    let mut hasher = DefaultHasher::new();
    bytes.hash(&mut hasher);
    let tag = format!("\"{:016x}\"", hasher.finish());
    get(move |headers: HeaderMap| {
        let answer = answer(&headers, &tag, kind, bytes);
        async move { answer }
    })
}

fn answer(headers: &HeaderMap, tag: &str, kind: &'static str, bytes: &'static [u8]) -> Response {
    let known = headers.get(header::IF_NONE_MATCH).is_some_and(|held| held == tag);
    let mut response = if known {
        StatusCode::NOT_MODIFIED.into_response()
    } else {
        ([(header::CONTENT_TYPE, HeaderValue::from_static(kind))], bytes).into_response()
    };
    if let Ok(tag) = HeaderValue::from_str(tag) {
        response.headers_mut().insert(header::ETAG, tag);
    }
    // Asked for at each load, sent again only after an update.
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    response
}
