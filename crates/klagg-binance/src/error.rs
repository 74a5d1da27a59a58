//! What can go wrong between us and the exchange, shaped by what the caller does next.

use klagg_kline::UnixMillis;

/// A failure of the REST client, of the stream client or of their configuration.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BinanceError {
    /// A base address that cannot be used; nothing was sent.
    #[error("address `{address}` cannot be used: {reason}")]
    Address {
        /// The address as given.
        address: String,
        /// Which rule it breaks.
        reason: &'static str,
    },
    /// A number of the configuration is out of its range.
    #[error("setting `{name}` cannot be {value}: {allowed}")]
    Setting {
        /// Name of the field.
        name: &'static str,
        /// Its value.
        value: String,
        /// What is allowed.
        allowed: &'static str,
    },
    /// The TLS configuration cannot be made.
    #[error("cannot set up TLS")]
    Tls(#[source] rustls::Error),
    /// The HTTP client cannot be made.
    #[error("cannot set up the HTTP client")]
    Client(#[source] reqwest::Error),
    /// No complete answer: not connected, cut off, or too late.
    #[error("no answer from {route}")]
    Transport {
        /// Path of the request.
        route: &'static str,
        /// What the HTTP client says, without the address, which may hold nothing secret but
        /// would repeat the route.
        #[source]
        source: reqwest::Error,
    },
    /// The body is longer than any honest answer.
    #[error("answer of {route} is longer than {bytes_max} bytes")]
    BodyTooLong {
        /// Path of the request.
        route: &'static str,
        /// The cap.
        bytes_max: usize,
    },
    /// The exchange wants us to wait: 429, 418 or 403.
    #[error("the exchange refuses requests (HTTP {status}) until {until}")]
    Limited {
        /// HTTP status.
        status: u16,
        /// No request is sent before this, by our clock.
        until: UnixMillis,
    },
    /// The exchange, or what stands before it, failed: 408 or 5xx.
    #[error("the exchange failed on {route} (HTTP {status}): {message}")]
    Unavailable {
        /// Path of the request.
        route: &'static str,
        /// HTTP status.
        status: u16,
        /// The beginning of the body.
        message: String,
    },
    /// The exchange refused this very request.
    #[error("the exchange refused {route} (HTTP {status}, code {code}): {message}")]
    Refused {
        /// Path of the request.
        route: &'static str,
        /// HTTP status.
        status: u16,
        /// The exchange's code, 0 if the body held none.
        code: i64,
        /// The exchange's words.
        message: String,
    },
    /// The body is not what the route answers.
    #[error("cannot read the answer of {route}")]
    Decode {
        /// Path of the request.
        route: &'static str,
        /// What is wrong in it.
        #[source]
        source: klagg_wire::WireError,
    },
    /// The body is well formed, yet not an answer to what was asked.
    #[error("the answer of {route} is not what was asked: {reason}")]
    Page {
        /// Path of the request.
        route: &'static str,
        /// Which rule it breaks.
        reason: &'static str,
    },
    /// A symbol number that the index does not hold.
    #[error("symbol {0} is not in the index")]
    UnknownSymbol(klagg_kline::SymbolId),
    /// All connections that the configuration allows are full.
    #[error("no room for another stream: {connections_max} connections are full")]
    NoRoom {
        /// The limit that is reached.
        connections_max: u16,
    },
}

impl BinanceError {
    /// Whether the same request may succeed later.
    pub const fn is_retryable(&self) -> bool {
        match self {
            Self::Transport { .. }
            | Self::Limited { .. }
            | Self::Unavailable { .. }
            | Self::BodyTooLong { .. }
            | Self::Decode { .. }
            | Self::Page { .. } => true,
            Self::Address { .. }
            | Self::Setting { .. }
            | Self::Tls(_)
            | Self::Client(_)
            | Self::Refused { .. }
            | Self::UnknownSymbol(_)
            | Self::NoRoom { .. } => false,
        }
    }
}
