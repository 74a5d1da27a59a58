//! The server: bound first, serving after, stopped within its grace.

use std::net::SocketAddr;
use std::sync::Arc;

use axum::extract::DefaultBodyLimit;
use axum::routing::get;
use axum::{Router, middleware};
use tokio::sync::watch;
use tokio::time::Instant;
use tower_http::CompressionLevel;
use tower_http::compression::CompressionLayer;

use crate::admin::{self, Admin};
use crate::answer::ApiError;
use crate::app::App;
use crate::consumer::WebConsumer;
use crate::exchange::{rest, socket};
use crate::hub::Hub;
use crate::source::Source;
use crate::transport::{self, AllowLists, Gate, Guard, Listening, guard, harden};
use crate::{WebConfig, WebError, WebParts, api, live, page};

/// A bound server. See [`WebServer::serve`].
#[derive(Debug)]
pub struct WebServer {
    config: WebConfig,
    parts: WebParts,
    hub: Arc<Hub>,
    started: Instant,
    lists: Arc<AllowLists>,
    public: Listening,
    admin: Option<Listening>,
}

impl WebServer {
    /// Binds both addresses. The consumer is to be registered with the read scheduler; until
    /// then the server shows what is published, but nothing moves.
    ///
    /// # Errors
    /// [`WebError`] names the address that cannot be listened on, or the entry of an allow-list
    /// that can match nothing.
    #[expect(clippy::unused_async, reason = "sockets belong to the runtime that calls")]
    pub async fn bind(config: WebConfig, parts: WebParts) -> Result<(Self, WebConsumer), WebError> {
        let lists = Arc::new(AllowLists::new(&config.allowed_hosts, &config.allowed_origins)?);
        let buffer = config.limits.send_buffer_bytes;
        let public = transport::bind(config.listen, buffer)?;
        let admin = config.admin_listen.map(|address| transport::bind(address, buffer));
        let admin = admin.transpose()?;
        let hub = Arc::new(Hub::default());
        let started = Instant::now();
        let consumer = WebConsumer {
            hub: Arc::clone(&hub),
            symbols: parts.symbols.reader(),
            periods: parts.periods.clone(),
            started,
        };
        Ok((Self { config, parts, hub, started, lists, public, admin }, consumer))
    }

    /// Where the page is; with port 0 asked for, the one that was given.
    pub fn local_addr(&self) -> SocketAddr {
        self.public.address
    }

    /// Where probes and scrapers go, if anywhere.
    pub fn admin_addr(&self) -> Option<SocketAddr> {
        self.admin.as_ref().map(|admin| admin.address)
    }

    /// Serves until `shutdown` is true or its sender is gone; then websockets are closed with
    /// 1001, requests under way are answered, and what is left after the grace is cut.
    pub async fn serve(self, shutdown: watch::Receiver<bool>) {
        let limits = self.config.limits;
        let gate = |connections_max| {
            let per_ip_max = limits.connections_per_ip_max;
            Gate::new(connections_max, per_ip_max, limits.requests_per_second_per_ip)
        };
        let missing_origin = self.config.missing_origin;
        let guard_of = |gate: &Arc<Gate>| {
            Guard::new(Arc::clone(&self.lists), missing_origin, Arc::clone(gate), &limits)
        };
        let source = Source::new(self.parts, limits.store_readers_max);
        let app = App::new(limits.clone(), source, self.hub, self.started, shutdown.clone());
        let public_gate = gate(limits.connections_max);
        let public_guard = guard_of(&public_gate);
        let public_router = protect(public_routes(Arc::clone(&app)), Arc::clone(&public_guard));
        let public = transport::serve(
            self.public,
            public_router,
            Arc::clone(&public_gate),
            limits.clone(),
            shutdown.clone(),
        );
        let Some(listening) = self.admin else { return public.await };
        let admin = Admin { app, gate: public_gate, guard: public_guard };
        let admin_gate = gate(ADMIN_CONNECTIONS_MAX);
        let admin_router = protect(admin::routes(admin), guard_of(&admin_gate));
        let admin = transport::serve(listening, admin_router, admin_gate, limits, shutdown);
        tokio::join!(public, admin);
    }
}

/// Probes and scrapers are few.
const ADMIN_CONNECTIONS_MAX: usize = 64;

/// What every request goes through, outermost last.
fn protect(routes: Router, rules: Arc<Guard>) -> Router {
    routes
        .layer(DefaultBodyLimit::max(0))
        .layer(CompressionLayer::new().quality(CompressionLevel::Fastest))
        .layer(middleware::from_fn_with_state(rules, guard))
        .layer(middleware::from_fn(harden))
}

fn public_routes(app: Arc<App>) -> Router {
    let mut router = page::routes()
        .route("/ws/kline/live", get(live::socket::handle))
        .route("/api/v1/symbols", get(api::symbols))
        .route("/api/v1/klines", get(api::klines))
        .route("/api/v1/status", get(api::status))
        .route("/fapi/v1/ping", get(rest::ping))
        .route("/fapi/v1/time", get(rest::time))
        .route("/fapi/v1/exchangeInfo", get(rest::exchange_info))
        .route("/fapi/v1/klines", get(rest::klines))
        .route("/fapi/v1/continuousKlines", get(rest::continuous))
        .route("/fapi/v1/ticker/price", get(rest::price))
        .route("/fapi/v2/ticker/price", get(rest::price));
    // Clients of any age: the bare paths were the exchange's until 2026, the others are now.
    for prefix in ["", "/market", "/public", "/private"] {
        router = router
            .route(&format!("{prefix}/ws"), get(socket::raw))
            .route(&format!("{prefix}/ws/"), get(socket::raw))
            .route(&format!("{prefix}/ws/{{*names}}"), get(socket::raw_named))
            .route(&format!("{prefix}/stream"), get(socket::combined));
    }
    router.fallback(|| async { ApiError::not_found() }).with_state(app)
}
