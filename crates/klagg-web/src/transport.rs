//! From a TCP connection to a request that may be answered: bounds, then allow-lists.

mod accept;
mod gate;
mod guard;
mod hosts;
mod metered;

pub(crate) use accept::{Listening, bind, serve, stopped};
pub(crate) use gate::{Bucket, Gate, Pass};
pub(crate) use guard::{Guard, guard, harden};
pub(crate) use hosts::AllowLists;

use std::net::IpAddr;
use std::sync::Arc;

/// Who is at the other end; an extension of every request.
#[derive(Debug, Clone)]
pub(crate) struct Peer {
    /// The other end's address.
    pub(crate) ip: IpAddr,
    /// The address of ours to which it connected.
    pub(crate) local_ip: IpAddr,
    /// Holds the connection's place in the gate for as long as a websocket lives.
    #[expect(dead_code, reason = "held for its drop")]
    pub(crate) pass: Arc<Pass>,
}
