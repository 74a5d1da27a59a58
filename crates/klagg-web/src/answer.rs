//! Answers to requests: JSON in the exchange's manner, errors as `{"code":…,"msg":…}`.

use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};

/// An error as the exchange would say it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ApiError {
    pub(crate) status: StatusCode,
    pub(crate) code: i64,
    pub(crate) message: String,
}

impl ApiError {
    pub(crate) fn bad(code: i64, message: impl Into<String>) -> Self {
        Self { status: StatusCode::BAD_REQUEST, code, message: message.into() }
    }

    pub(crate) fn invalid_symbol() -> Self {
        Self::bad(-1121, "Invalid symbol.")
    }

    pub(crate) fn invalid_interval() -> Self {
        Self::bad(-1120, "Invalid interval.")
    }

    pub(crate) fn mandatory(name: &str) -> Self {
        Self::bad(
            -1102,
            format!("Mandatory parameter '{name}' was not sent, was empty/null, or malformed."),
        )
    }

    pub(crate) fn parameter(name: &str) -> Self {
        Self::bad(-1130, format!("Data sent for parameter '{name}' is not valid."))
    }

    pub(crate) fn start_after_end() -> Self {
        Self::bad(-1023, "Start time is greater than end time.")
    }

    pub(crate) fn not_found() -> Self {
        let message = "Path not found, or method not supported.".to_owned();
        Self { status: StatusCode::NOT_FOUND, code: -5000, message }
    }

    pub(crate) fn method() -> Self {
        Self { status: StatusCode::METHOD_NOT_ALLOWED, ..Self::not_found() }
    }

    pub(crate) fn forbidden(message: &str) -> Self {
        Self { status: StatusCode::FORBIDDEN, code: -1002, message: message.to_owned() }
    }

    pub(crate) fn too_many_requests() -> Self {
        let message = "Too many requests; slow down.".to_owned();
        Self { status: StatusCode::TOO_MANY_REQUESTS, code: -1003, message }
    }

    pub(crate) fn overloaded() -> Self {
        let message = "Server is currently overloaded. Please try again in a while.".to_owned();
        Self { status: StatusCode::SERVICE_UNAVAILABLE, code: -1008, message }
    }

    pub(crate) fn not_yet(message: &str) -> Self {
        Self { status: StatusCode::SERVICE_UNAVAILABLE, code: -1001, message: message.to_owned() }
    }

    pub(crate) fn internal() -> Self {
        let message = "An unknown error occurred while processing the request.".to_owned();
        Self { status: StatusCode::INTERNAL_SERVER_ERROR, code: -1000, message }
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let mut body = String::with_capacity(96);
        klagg_wire::encode::api_error(&mut body, self.code, &self.message);
        let mut response = (self.status, json(body)).into_response();
        let busy = [StatusCode::TOO_MANY_REQUESTS, StatusCode::SERVICE_UNAVAILABLE];
        if busy.contains(&self.status) {
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
        }
        response
    }
}

/// Milliseconds for which the symbol asked for has not been heard of, if it is stale. A header,
/// because the exchange's bodies have no place for it and unmodified clients must not trip.
const STALE: HeaderName = HeaderName::from_static("x-klagg-stale-ms");

/// The same answer, saying that what it holds is stale, if it is.
pub(crate) fn stale_since(mut response: Response, age_ms: Option<i64>) -> Response {
    if let Some(age) = age_ms {
        response.headers_mut().insert(STALE, HeaderValue::from(age));
    }
    response
}

/// A JSON body, written already.
pub(crate) fn json(body: impl Into<axum::body::Body>) -> Response {
    let kind = HeaderValue::from_static("application/json;charset=UTF-8");
    ([(header::CONTENT_TYPE, kind)], body.into()).into_response()
}
