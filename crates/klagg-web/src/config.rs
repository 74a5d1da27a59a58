//! What the server is told: addresses, allow-lists, bounds.

use std::net::SocketAddr;
use std::time::Duration;

/// Addresses, allow-lists and bounds of a [`crate::WebServer`].
#[derive(Debug, Clone)]
pub struct WebConfig {
    /// Where page, websockets and the compatible API are served; port 0 takes a free one.
    pub listen: SocketAddr,
    /// Where `/healthz`, `/readyz` and `/metrics` are served; `None` serves them nowhere.
    pub admin_listen: Option<SocketAddr>,
    /// Names beside loopback and the connection's own address that a `Host` header may hold,
    /// without a port: `klines.example.org`.
    pub allowed_hosts: Vec<String>,
    /// Origins beside the server's own whose pages may connect: `https://desk.example.org`.
    pub allowed_origins: Vec<String>,
    /// What happens to a websocket handshake without `Origin`, which programs send.
    pub missing_origin: MissingOrigin,
    /// Every bound.
    pub limits: WebLimits,
}

/// Whether a websocket handshake without an `Origin` header is served.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MissingOrigin {
    /// Programs that are no browsers may connect.
    Allow,
    /// Only pages of allowed origins may connect.
    Refuse,
}

/// Every bound of the server. [`WebLimits::standard`] holds the figures that klagg ships.
#[derive(Debug, Clone)]
pub struct WebLimits {
    /// Connections in all; one more is answered 503 and closed.
    pub connections_max: usize,
    /// Connections of one address (of one /64 for IPv6); one more is answered 503 and closed.
    pub connections_per_ip_max: usize,
    /// From the connection to the last byte of the request's head.
    pub header_timeout: Duration,
    /// From the request's head to the response's head, else 503.
    pub request_timeout: Duration,
    /// Bytes a second that one connection may send; more is read later. Burst: four seconds.
    pub inbound_bytes_per_second: u32,
    /// Kernel buffer for what a connection has not read yet.
    pub send_buffer_bytes: u32,
    /// Requests a second from one address, else 429. Burst: two seconds.
    pub requests_per_second_per_ip: u32,
    /// Requests worked on at once, else 503.
    pub requests_in_flight_max: usize,
    /// Reads of the store at once; more wait until the request times out.
    pub store_readers_max: usize,
    /// A message from a client on `/ws/kline/live`, else 1009.
    pub message_bytes_max: usize,
    /// A message from a client on the exchange's paths, else 1009: 200 names of streams fit.
    pub exchange_message_bytes_max: usize,
    /// Messages of a client on `/ws/kline/live` in any minute, else 1008.
    pub live_messages_per_minute: u32,
    /// Messages of a client on the exchange's paths in any second, else 1008. Burst: three
    /// seconds.
    pub exchange_messages_per_second: u32,
    /// Wrong commands after which a client is closed with 1008.
    pub strikes_max: u32,
    /// Symbol and period pairs of one websocket.
    pub subscriptions_max: usize,
    /// Closed klines waiting for one websocket; more: a fresh snapshot on the live socket, 1013
    /// on the exchange's paths.
    pub closed_waiting_max: usize,
    /// How long something may wait for one websocket, else 1013.
    pub behind_timeout: Duration,
    /// The least time between two messages of one exchange-style websocket.
    pub exchange_cadence: Duration,
    /// How often the live socket says where the data stand.
    pub heartbeat_cadence: Duration,
    /// How often a websocket is pinged.
    pub ping_cadence: Duration,
    /// Silence after which a websocket is closed.
    pub pong_timeout: Duration,
    /// What shutdown may take before connections are cut.
    pub shutdown_grace: Duration,
}

impl WebLimits {
    /// The shipped figures.
    pub const fn standard() -> Self {
        Self {
            connections_max: 12_000,
            connections_per_ip_max: 64,
            header_timeout: Duration::from_secs(5),
            request_timeout: Duration::from_secs(10),
            inbound_bytes_per_second: 16 * 1024,
            send_buffer_bytes: 256 * 1024,
            requests_per_second_per_ip: 200,
            requests_in_flight_max: 256,
            store_readers_max: 4,
            message_bytes_max: 4096,
            exchange_message_bytes_max: 32 * 1024,
            live_messages_per_minute: 100,
            exchange_messages_per_second: 10,
            strikes_max: 3,
            subscriptions_max: 1024,
            closed_waiting_max: 1024,
            behind_timeout: Duration::from_secs(10),
            exchange_cadence: Duration::from_millis(250),
            heartbeat_cadence: Duration::from_secs(1),
            ping_cadence: Duration::from_secs(20),
            pong_timeout: Duration::from_mins(1),
            shutdown_grace: Duration::from_secs(3),
        }
    }
}
