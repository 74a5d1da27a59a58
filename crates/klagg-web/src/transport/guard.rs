//! What every request passes before it is answered, and what every answer carries.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use axum::extract::{Request, State};
use axum::http::{HeaderName, HeaderValue, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use tokio::sync::Semaphore;

use super::{AllowLists, Gate, Peer};
use crate::answer::ApiError;
use crate::{MissingOrigin, WebLimits};

/// What the guard has counted.
#[derive(Debug, Default)]
pub(crate) struct GuardCounters {
    pub(crate) requests: AtomicU64,
    pub(crate) forbidden: AtomicU64,
    pub(crate) timed_out: AtomicU64,
    pub(crate) shed: AtomicU64,
}

/// The rules that requests are held against.
#[derive(Debug)]
pub(crate) struct Guard {
    lists: Arc<AllowLists>,
    missing_origin: MissingOrigin,
    gate: Arc<Gate>,
    in_flight: Semaphore,
    timeout: Duration,
    pub(crate) counters: GuardCounters,
}

impl Guard {
    pub(crate) fn new(
        lists: Arc<AllowLists>,
        missing_origin: MissingOrigin,
        gate: Arc<Gate>,
        limits: &WebLimits,
    ) -> Arc<Self> {
        Arc::new(Self {
            lists,
            missing_origin,
            gate,
            in_flight: Semaphore::new(limits.requests_in_flight_max),
            timeout: limits.request_timeout,
            counters: GuardCounters::default(),
        })
    }

    /// The allow-lists, before anything else happens, above all before an upgrade.
    fn admits(&self, request: &Request, peer: &Peer) -> Result<(), ApiError> {
        let headers = request.headers();
        let mut hosts = headers.get_all(header::HOST).iter();
        let host = match (hosts.next().and_then(|host| host.to_str().ok()), hosts.next()) {
            (Some(host), None) if self.lists.allows_host(host, peer.local_ip) => host,
            _ => return Err(ApiError::forbidden("this host name is not served here")),
        };
        // A request line with an authority of its own must not smuggle in another name.
        if request.uri().authority().is_some_and(|authority| authority.as_str() != host) {
            return Err(ApiError::forbidden("the request names two hosts"));
        }
        let mut origins = headers.get_all(header::ORIGIN).iter();
        match (origins.next().map(|origin| origin.to_str()), origins.next()) {
            (None, _) => {
                let upgrade = headers.contains_key(header::UPGRADE);
                if upgrade && self.missing_origin == MissingOrigin::Refuse {
                    return Err(ApiError::forbidden("a websocket needs an allowed origin"));
                }
            }
            (Some(Ok(origin)), None) if self.lists.allows_origin(origin, host) => {}
            _ => return Err(ApiError::forbidden("this origin is not allowed")),
        }
        match *request.method() {
            Method::GET | Method::HEAD => {}
            _ => return Err(ApiError::method()),
        }
        if !self.gate.request(peer.ip) {
            return Err(ApiError::too_many_requests());
        }
        Ok(())
    }
}

/// Refuses what breaks a rule; bounds the rest in number and time.
pub(crate) async fn guard(
    State(guard): State<Arc<Guard>>,
    request: Request,
    next: Next,
) -> Response {
    guard.counters.requests.fetch_add(1, Ordering::Relaxed);
    let Some(peer) = request.extensions().get::<Peer>() else {
        return ApiError::internal().into_response();
    };
    if let Err(refusal) = guard.admits(&request, peer) {
        if refusal.status == StatusCode::FORBIDDEN {
            guard.counters.forbidden.fetch_add(1, Ordering::Relaxed);
        }
        return refusal.into_response();
    }
    let Ok(_permit) = guard.in_flight.try_acquire() else {
        guard.counters.shed.fetch_add(1, Ordering::Relaxed);
        return ApiError::overloaded().into_response();
    };
    let answer = tokio::time::timeout(guard.timeout, next.run(request)).await;
    answer.unwrap_or_else(|_| {
        guard.counters.timed_out.fetch_add(1, Ordering::Relaxed);
        ApiError::overloaded().into_response()
    })
}

/// Headers that keep a browser from doing with our answers what they are not for.
pub(crate) async fn harden(request: Request, next: Next) -> Response {
    const FIXED: [(HeaderName, &str); 6] = [
        (
            header::CONTENT_SECURITY_POLICY,
            "default-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; \
             object-src 'none'",
        ),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::REFERRER_POLICY, "no-referrer"),
        (header::X_FRAME_OPTIONS, "DENY"),
        (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
        (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
    ];
    let mut response = next.run(request).await;
    let headers = response.headers_mut();
    for (name, value) in FIXED {
        headers.insert(name, HeaderValue::from_static(value));
    }
    headers.entry(header::CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    response
}
