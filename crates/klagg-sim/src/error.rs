//! Why the simulated exchange cannot do what was asked.

use std::net::SocketAddr;

/// An error of the simulated exchange.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SimError {
    /// A number of the configuration is out of its range.
    #[error("simulated exchange: `{key}` is {value}, allowed is {allowed}")]
    Config {
        /// The field of [`crate::SimConfig`].
        key: &'static str,
        /// What it holds.
        value: String,
        /// What it may hold.
        allowed: &'static str,
    },
    /// The address cannot be listened on.
    #[error("simulated exchange: cannot listen on {address}")]
    Listen {
        /// The address asked for.
        address: SocketAddr,
        /// What the system said.
        source: std::io::Error,
    },
    /// No symbol of that name was ever listed.
    #[error("simulated exchange: no symbol `{0}`")]
    UnknownSymbol(String),
    /// A symbol of that name is already listed.
    #[error("simulated exchange: symbol `{0}` is already listed")]
    AlreadyListed(String),
    /// No room for another symbol.
    #[error("simulated exchange: {0} symbols is the most it holds")]
    TooManySymbols(usize),
    /// A name that the exchange would not give.
    #[error("simulated exchange: `{0}` is no symbol name like `BTCUSDT` or `BTCUSDC`")]
    BadName(String),
    /// A task of the server ended by itself.
    #[error("simulated exchange: the {task} task failed: {reason}")]
    Task {
        /// Which.
        task: &'static str,
        /// How.
        reason: String,
    },
}
