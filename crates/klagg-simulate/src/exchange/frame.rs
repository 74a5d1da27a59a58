//! What goes over the exchange's sockets.

use std::rc::Rc;

use crate::agenda::Millis;

/// What the exchange sends.
#[derive(Debug, Clone)]
pub(crate) enum Frame {
    /// An aggregate or a fill: the listing and its place in it.
    Trade { listing: u16, at: u32 },
    /// A print of no order book: the same.
    OffMarket { listing: u16, at: u32 },
    /// Last prices of symbols that changed: the listing, the price, the event time.
    MiniTickers(Rc<MiniTickers>),
    /// A contract's status has changed.
    ContractInfo { listing: u16, event_time: Millis },
    /// A request was acknowledged: proves nothing.
    Ack(u64),
    /// The answer to a ping.
    Pong,
}

/// What is to be sent on the stream of a listing: its place there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Print {
    Trade(u32),
    OffMarket(u32),
}

/// A frame of `!miniTicker@arr`.
#[derive(Debug)]
pub(crate) struct MiniTickers {
    pub(crate) event_time: Millis,
    pub(crate) rows: Vec<(u16, i64)>,
}

/// What is to happen to a socket, and when.
#[derive(Debug)]
pub(crate) enum Delivery {
    Frame(Frame),
    Closed,
}
