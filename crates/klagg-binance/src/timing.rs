//! The numbers by which connections are opened, judged and replaced.

use std::time::Duration;

use crate::backoff::Backoff;

/// The numbers of the connection policy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StreamTiming {
    /// Longest wait for TCP, TLS and the upgrade together.
    pub connect_timeout: Duration,
    /// Longest wait from open to the first data (of the canary, where there is one).
    pub first_data: Duration,
    /// Longest silence afterwards, of all data and of the canary.
    pub silence: Duration,
    /// How often we ping.
    pub ping_cadence: Duration,
    /// Longest wait for the answer to a SUBSCRIBE.
    pub acknowledge_timeout: Duration,
    /// Longest wait for a pong.
    pub pong_timeout: Duration,
    /// Age from which a connection is to be replaced by another, opened before it is closed.
    pub rotation: Duration,
    /// Up to so much is taken off [`StreamTiming::rotation`] at random, so that connections do
    /// not turn together.
    pub rotation_jitter: Duration,
    /// Age at which it is dropped even if it could not be replaced; the exchange cuts at 24 h.
    pub lifetime: Duration,
    /// For how long the connection that takes over has to deliver everything before the old one
    /// is closed.
    pub overlap: Duration,
    /// Longest overlap; then the new connection is given up, and the old one stays.
    pub overlap_max: Duration,
    /// Between the end of one replacement and the beginning of the next, of all connections.
    pub rotation_gap: Duration,
    /// For how long nothing has to come over any socket of a connection before nothing counts as
    /// on its way any more. Not less than the time for which trades are held back for another copy.
    pub quiet: Duration,
    /// Waits after failures.
    pub backoff: Backoff,
    /// Most messages sent in a second; the exchange allows 10, pongs included.
    pub messages_per_second: usize,
    /// Most names in one SUBSCRIBE.
    pub names_per_subscribe: usize,
}
