//! Breaking the exchange on purpose, while it runs.

use crate::SimError;

/// A handle to a running exchange; cheap to clone, every call takes effect at once.
#[derive(Debug, Clone)]
pub struct Control;

/// What the exchange did so far.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct SimCounters {
    /// Frames handed to clients.
    pub frames_sent: u64,
}

impl Control {
    /// Cuts every websocket without a close frame.
    pub fn disconnect_all(&self) {}
    /// Stops simulated time: no trade, no minute ends.
    pub fn pause(&self) {}
    /// Lets time run on from where it was paused.
    pub fn resume(&self) {}
    /// Sends no more market data of one symbol; connections stay open.
    pub fn silence(&self, _symbol: &str) {}
    /// Sends no more market data at all; connections, acknowledgements and pings stay.
    pub fn silence_all(&self) {}
    /// Ends every silence.
    pub fn unsilence(&self) {}
    /// Lists a perpetual that trades from the next millisecond on, its ids from 1.
    ///
    /// # Errors
    /// [`SimError`] if the name is taken or impossible, or there is no room.
    pub fn list_symbol(&self, _name: &str, _trades_per_second: f64) -> Result<(), SimError> {
        Ok(())
    }
    /// Settles a symbol at the end of the current minute.
    ///
    /// # Errors
    /// [`SimError::UnknownSymbol`].
    pub fn delist_symbol(&self, _name: &str) -> Result<(), SimError> {
        Ok(())
    }
    /// Answers the next `requests` REST requests with `status`.
    pub fn fail_rest(&self, _status: u16, _requests: u32) {}
    /// Changes the weight a minute.
    pub fn set_weight_limit(&self, _limit: u32) {}
    /// Loses this share of the market data frames, each client for itself.
    pub fn set_swallow(&self, _share: f64) {}
    /// Sends this share of the market data frames twice.
    pub fn set_duplicate(&self, _share: f64) {}
    /// What happened so far.
    pub fn counters(&self) -> SimCounters {
        SimCounters::default()
    }
}
