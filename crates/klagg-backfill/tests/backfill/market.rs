//! A market that is a function of time, its exchange on loopback, and a clock for it.

use std::collections::HashMap;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::extract::{Query, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use klagg_kline::{Kline, Period, Precision, Price, UnixMillis, Volume};
use klagg_wire::encode;
use klagg_wire::rest::{ExchangeInfo, SymbolInfo};

const MINUTE: i64 = 60_000;

/// A symbol and the minute in which it was listed.
#[derive(Debug, Clone)]
pub(crate) struct Listed {
    pub(crate) name: &'static str,
    pub(crate) since: UnixMillis,
    pub(crate) contract_type: &'static str,
    pub(crate) status: &'static str,
}

/// The exchange; clones share it.
#[derive(Debug, Clone)]
pub(crate) struct Market {
    now: Arc<AtomicI64>,
    symbols: Arc<Mutex<Vec<Listed>>>,
    requests: Arc<Mutex<Vec<String>>>,
    served: Arc<AtomicU64>,
    /// Every so many pages of klines one is spoiled; 0: none.
    pub(crate) spoil_every: Arc<AtomicU64>,
}

impl Market {
    /// Starts to serve on loopback; gives the address besides. Ends with the test's runtime.
    pub(crate) async fn start(now: UnixMillis, symbols: Vec<Listed>) -> (Self, String) {
        let market = Self {
            now: Arc::new(AtomicI64::new(now.0)),
            symbols: Arc::new(Mutex::new(symbols)),
            requests: Arc::default(),
            served: Arc::default(),
            spoil_every: Arc::default(),
        };
        let app = Router::new()
            .route("/fapi/v1/klines", get(klines))
            .route("/fapi/v1/time", get(time))
            .route("/fapi/v1/exchangeInfo", get(exchange_info))
            .with_state(market.clone());
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        tokio::spawn(async move { axum::serve(listener, app).await });
        (market, address)
    }

    pub(crate) fn now(&self) -> UnixMillis {
        UnixMillis(self.now.load(Ordering::SeqCst))
    }

    pub(crate) fn advance(&self, millis: i64) {
        self.now.fetch_add(millis, Ordering::SeqCst);
    }

    pub(crate) fn change(&self, change: impl FnOnce(&mut Vec<Listed>)) {
        change(&mut self.symbols.lock().unwrap());
    }

    /// Takes the requests for klines since the last call.
    pub(crate) fn take_requests(&self) -> Vec<String> {
        std::mem::take(&mut self.requests.lock().unwrap())
    }

    /// The official kline, if any trade could have been in it; open ones hold what is over.
    pub(crate) fn official(since: UnixMillis, period: Period, open: UnixMillis) -> Option<Kline> {
        let until = period.next_open_time(open);
        let minutes = (open.max(since).0..until.0).step_by(60_000).map(minute);
        let mut whole: Option<Kline> = None;
        for part in minutes {
            let sum = whole.get_or_insert(Kline {
                volume: Volume::ZERO,
                trade_count: 0,
                open_time: open,
                ..part
            });
            sum.high = sum.high.max(part.high);
            sum.low = sum.low.min(part.low);
            sum.close = part.close;
            sum.volume += part.volume;
            sum.trade_count += part.trade_count;
        }
        whole
    }
}

fn minute(open_time: i64) -> Kline {
    let step = (open_time / MINUTE) % 97;
    let price = |offset: i64| Price::from_scaled(1_000_000 + (step * 31 + offset) % 89);
    let (open, close) = (price(0), price(7));
    Kline {
        open,
        close,
        high: open.max(close),
        low: open.min(close),
        volume: Volume::from_scaled(i128::from(step + 1)),
        trade_count: step.unsigned_abs() + 1,
        ..Kline::flat(UnixMillis(open_time), open)
    }
}

pub(crate) fn precision() -> Precision {
    Precision::new(8, 8).unwrap()
}

async fn klines(
    State(market): State<Market>,
    Query(query): Query<HashMap<String, String>>,
) -> Response {
    let number = |name: &str| query.get(name).and_then(|text| text.parse::<i64>().ok());
    let period: Period = query["interval"].parse().unwrap();
    let name = &query["symbol"];
    let (start, end) = (number("startTime"), number("endTime"));
    let limit = usize::try_from(number("limit").unwrap()).unwrap();
    market.requests.lock().unwrap().push(format!("{name} {period} {start:?} {limit}"));
    let since = market.symbols.lock().unwrap().iter().find(|of| of.name == name).map(|of| of.since);
    let Some(since) = since else {
        let mut body = String::new();
        encode::api_error(&mut body, -1121, "Invalid symbol.");
        return (StatusCode::BAD_REQUEST, body).into_response();
    };
    let mut rows = Vec::new();
    let first = period.open_time(since).max(UnixMillis(start.unwrap_or(0)));
    let mut at = period.open_time(first);
    if at < first {
        at = period.next_open_time(at);
    }
    let end = end.unwrap_or(i64::MAX).min(market.now().0);
    while at.0 <= end && rows.len() < limit {
        rows.extend(Market::official(since, period, at));
        at = period.next_open_time(at);
    }
    let served = market.served.fetch_add(1, Ordering::SeqCst) + 1;
    let spoil_every = market.spoil_every.load(Ordering::SeqCst);
    if spoil_every > 0 && served.is_multiple_of(spoil_every) && rows.len() > 2 {
        rows.remove(rows.len() / 2);
    }
    let mut body = String::new();
    encode::kline_rows(&mut body, &rows, period, precision());
    body.into_response()
}

async fn time(State(market): State<Market>) -> String {
    format!(r#"{{"serverTime":{}}}"#, market.now())
}

async fn exchange_info(State(market): State<Market>) -> String {
    let symbol = |listed: &Listed| SymbolInfo {
        name: listed.name.to_owned(),
        contract_type: listed.contract_type.to_owned(),
        status: listed.status.to_owned(),
        base_asset: listed.name.trim_end_matches("USDT").to_owned(),
        quote_asset: "USDT".to_owned(),
        margin_asset: "USDT".to_owned(),
        onboard_time: listed.since,
        delivery_time: UnixMillis(4_133_404_800_000),
        precision: precision(),
        tick_size: None,
        step_size: None,
    };
    let info = ExchangeInfo {
        server_time: market.now(),
        weight_per_minute: Some(1_000_000),
        symbols: market.symbols.lock().unwrap().iter().map(symbol).collect(),
        skipped: 0,
    };
    let mut body = String::new();
    encode::exchange_info(&mut body, &info);
    body
}
