//! What can go wrong before the server serves.

use std::net::SocketAddr;

/// Why the web server could not be started.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum WebError {
    /// The address is taken, not ours, or not allowed.
    #[error("cannot listen on {address}")]
    Listen {
        /// The address as it was asked for.
        address: SocketAddr,
        /// What the operating system says.
        source: std::io::Error,
    },
    /// A name in an allow-list is no host or no origin.
    #[error("`{value}` in {setting} is not {expected}")]
    AllowList {
        /// Which setting holds it.
        setting: &'static str,
        /// The entry.
        value: String,
        /// What an entry looks like.
        expected: &'static str,
    },
}
