//! REST: routes, weights, errors with the exchange's codes.

use std::sync::{Arc, PoisonError};

use axum::body::Body;
use axum::extract::{OriginalUri, State};
use axum::http::{Method, StatusCode, header};
use axum::response::Response;
use klagg_wire::encode;

use super::{Counts, Failure, Shared};
use crate::Spoiled;
use crate::weight::{Verdict, klines_weight};

mod answer;
mod parameters;

use self::answer::answer;
use self::parameters::Parameters;

/// A body that is no answer.
const BROKEN: &str = "<html><body>broken on purpose</body></html>";
const USED_WEIGHT: &str = "x-mbx-used-weight-1m";

/// A refusal: HTTP status, the exchange's code and words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Refused {
    pub(crate) status: StatusCode,
    pub(crate) code: i64,
    pub(crate) message: String,
}

impl Refused {
    pub(crate) fn new(code: i64, message: impl Into<String>) -> Self {
        Self { status: StatusCode::BAD_REQUEST, code, message: message.into() }
    }
}

/// What is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Asked {
    Ping,
    Time,
    ExchangeInfo,
    Klines,
    ContinuousKlines,
    AggTrades,
    Trades,
    Ticker,
}

impl Asked {
    fn of_path(path: &str) -> Option<Self> {
        Some(match path.strip_prefix("/fapi/v1/")? {
            "ping" => Self::Ping,
            "time" => Self::Time,
            "exchangeInfo" => Self::ExchangeInfo,
            "klines" => Self::Klines,
            "continuousKlines" => Self::ContinuousKlines,
            "aggTrades" => Self::AggTrades,
            "trades" => Self::Trades,
            "ticker/24hr" => Self::Ticker,
            _ => return None,
        })
    }

    /// Charged whether the request is served or not (measured).
    fn weight(self, parameters: &Parameters) -> u32 {
        match self {
            Self::Ping | Self::Time | Self::ExchangeInfo => 1,
            Self::Klines | Self::ContinuousKlines => {
                let limit = parameters.get("limit");
                klines_weight(limit.map(|limit| limit.parse().unwrap_or(0)))
            }
            Self::AggTrades => 20,
            Self::Trades => 5,
            Self::Ticker if parameters.get("symbol").is_some() => 1,
            Self::Ticker => 40,
        }
    }
}

/// Answers any request that is no websocket.
pub(crate) async fn serve(
    State(shared): State<Arc<Shared>>,
    OriginalUri(uri): OriginalUri,
    method: Method,
) -> Response {
    Counts::add(&shared.counts.requests, 1);
    let spoiled = match failure(&shared) {
        None => None,
        Some(Failure::Spoiled(spoiled)) => Some(spoiled),
        Some(Failure::Status(status)) => {
            let status = StatusCode::from_u16(status).unwrap_or(StatusCode::SERVICE_UNAVAILABLE);
            return reply(status, None, BROKEN.to_owned());
        }
    };
    let path = uri.path();
    let asked = Asked::of_path(path).filter(|_| method == Method::GET || method == Method::HEAD);
    let Some(asked) = asked else {
        let message = format!("Path {path}, Method {method} is invalid");
        let status = StatusCode::NOT_FOUND;
        return refuse(&Refused { status, code: -5000, message }, None);
    };
    let parameters = Parameters::of_query(uri.query().unwrap_or_default());
    let now = shared.clock.now();
    let verdict = shared.weight().charge(now, asked.weight(&parameters));
    let limit = shared.weight().limit();
    let used = match verdict {
        Verdict::Served { used } => used,
        Verdict::Refused { used } => {
            Counts::add(&shared.counts.requests_refused, 1);
            let message = format!(
                "Too many requests; current limit is {limit} requests per minute. Please use the \
                 websocket for live updates to avoid polling the API."
            );
            let status = StatusCode::TOO_MANY_REQUESTS;
            return refuse(&Refused { status, code: -1003, message }, Some(used));
        }
        Verdict::Banned { until } => {
            Counts::add(&shared.counts.requests_banned, 1);
            let message = format!(
                "Way too many requests; IP(127.0.0.1) banned until {until}. Please use the \
                 websocket for live updates to avoid bans."
            );
            let status = StatusCode::IM_A_TEAPOT;
            return refuse(&Refused { status, code: -1003, message }, None);
        }
    };
    // Klines of a month take milliseconds: not on a thread that also sends trades.
    let job = tokio::task::spawn_blocking(move || answer(&shared, asked, &parameters, spoiled));
    match job.await {
        Ok(Ok(_)) if spoiled == Some(Spoiled::Html) => {
            reply(StatusCode::OK, Some(used), BROKEN.to_owned())
        }
        Ok(Ok(body)) if spoiled == Some(Spoiled::CutOff) => cut_off(body),
        Ok(Ok(body)) => reply(StatusCode::OK, Some(used), body),
        Ok(Err(refused)) => refuse(&refused, Some(used)),
        Err(error) => {
            tracing::error!(%error, "a REST answer panicked");
            reply(StatusCode::INTERNAL_SERVER_ERROR, Some(used), String::new())
        }
    }
}

/// What is to be wrong with the answer to this request, if anything is.
fn failure(shared: &Shared) -> Option<Failure> {
    let mut failing = shared.failing.lock().unwrap_or_else(PoisonError::into_inner);
    let left = failing.as_mut()?;
    let failure = left.failure;
    left.requests -= 1;
    if left.requests == 0 {
        *failing = None;
    }
    Counts::add(&shared.counts.requests_failed, 1);
    Some(failure)
}

/// An answer whose connection ends amid the body.
fn cut_off(mut body: String) -> Response {
    let half = body.floor_char_boundary(body.len() / 2);
    body.truncate(half);
    let parts = [Ok(body), Err(std::io::Error::from(std::io::ErrorKind::ConnectionReset))];
    Response::new(Body::from_stream(futures_util::stream::iter(parts)))
}

fn refuse(refused: &Refused, used: Option<u32>) -> Response {
    let mut body = String::new();
    encode::api_error(&mut body, refused.code, &refused.message);
    reply(refused.status, used, body)
}

fn reply(status: StatusCode, used: Option<u32>, body: String) -> Response {
    let kind = if body.starts_with('<') { "text/html" } else { "application/json;charset=UTF-8" };
    let mut reply = Response::builder().status(status).header(header::CONTENT_TYPE, kind);
    if let Some(used) = used {
        reply = reply.header(USED_WEIGHT, used);
    }
    reply.body(Body::from(body)).unwrap_or_default()
}
