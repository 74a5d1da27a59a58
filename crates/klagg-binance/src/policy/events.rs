//! What a connection is told, and what it answers.

/// Whether a frame came from the canary's stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Source {
    /// The symbol that always trades.
    Canary,
    /// Any other stream.
    Other,
}

/// What happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// The connection is wanted from now on.
    Start,
    /// The socket is open.
    Connected,
    /// The socket could not be opened, or has ended.
    Closed,
    /// Data arrived.
    Data(Source),
    /// A pong arrived.
    Pong,
    /// The exchange acknowledged the request with this number.
    Acknowledged(u64),
    /// Reading was held up by us, not by the exchange, and goes on.
    Resumed,
    /// More streams are wanted.
    Subscribe(Vec<String>),
    /// These streams are no longer wanted.
    Unsubscribe(Vec<String>),
    /// These streams are wanted, but nothing comes of them: they are to be subscribed anew.
    Renew(Vec<String>),
    /// [`ConnectionPolicy::next_deadline`](super::ConnectionPolicy::next_deadline) has passed.
    Timer,
}

/// What is missing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Silence {
    /// No data since the connection was opened: perhaps a path that only acknowledges.
    FirstData,
    /// No data for too long.
    Data,
    /// The canary stopped while other streams may go on.
    Canary,
    /// No pong.
    Pong,
    /// No answer to a SUBSCRIBE.
    Acknowledgement,
}

impl Silence {
    /// What was waited for, in words.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::FirstData => "first data",
            Self::Data => "data",
            Self::Canary => "the canary",
            Self::Pong => "a pong",
            Self::Acknowledgement => "an acknowledgement",
        }
    }
}

/// What is to be done, in order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// Open the socket; answer with [`Event::Connected`] or [`Event::Closed`].
    Connect,
    /// Send SUBSCRIBE.
    Subscribe {
        /// Number of the request.
        id: u64,
        /// Names of streams.
        names: Vec<String>,
    },
    /// Send UNSUBSCRIBE.
    Unsubscribe {
        /// Number of the request.
        id: u64,
        /// Names of streams.
        names: Vec<String>,
    },
    /// Send a ping frame.
    Ping,
    /// The connection delivers: said once after each connect.
    Live,
    /// Drop the socket; no event is to follow.
    DropSilent(Silence),
    /// The connection has reached the age at which it is to be replaced: said once after each
    /// connect.
    Old,
    /// Drop the socket because it will not live longer; no event is to follow.
    DropOld,
}
