//! The stream connections: the real machine of each, and what its shell keeps of sockets.

use std::collections::VecDeque;
use std::time::Duration;

use klagg_binance::{Backoff, Copies, CopyId, EventTimes, Source, Step, StreamTiming};
use klagg_engine::FeedId;
use klagg_kline::{SymbolId, UnixMillis};

use crate::agenda::Alarm;
use crate::exchange::{Frame, SocketId};
use crate::scenario::Scenario;

/// What there is of a socket.
#[derive(Debug, Default)]
pub(crate) struct Line {
    pub(crate) socket: Option<SocketId>,
    /// Counts the attempts: an answer to an older one is void.
    pub(crate) attempt: u32,
    pub(crate) times: EventTimes,
    /// The highest event time that was believed.
    pub(crate) event_time: Option<UnixMillis>,
    pub(crate) is_live: bool,
}

/// One connection.
#[derive(Debug)]
pub(crate) struct Connection {
    pub(crate) copies: Copies,
    pub(crate) feed: FeedId,
    /// By [`CopyId`].
    pub(crate) lines: Vec<Line>,
    /// What is still to be done, in order.
    pub(crate) steps: VecDeque<Step>,
    /// Symbols whose trades it hands on.
    pub(crate) owned: Vec<SymbolId>,
    /// Highest event time of a socket that was whole.
    pub(crate) event_time: Option<UnixMillis>,
    /// Frames that wait because a worker's lane is full.
    pub(crate) backlog: VecDeque<(CopyId, Frame)>,
    pub(crate) alarm: Alarm,
}

/// After so much silence nothing counts as on its way: the product's number.
pub(crate) const QUIET: Duration = Duration::from_secs(1);

/// The product's numbers, those of hours and of hundreds of streams scaled to a run.
pub(crate) fn timing(names_per_subscribe: usize) -> StreamTiming {
    let seconds = Duration::from_secs;
    StreamTiming {
        connect_timeout: seconds(10),
        first_data: seconds(10),
        silence: seconds(12),
        ping_cadence: seconds(20),
        acknowledge_timeout: seconds(5),
        pong_timeout: seconds(10),
        rotation: seconds(240),
        rotation_jitter: seconds(60),
        lifetime: seconds(290),
        overlap: seconds(2),
        overlap_max: seconds(15),
        rotation_gap: seconds(5),
        quiet: QUIET,
        backoff: Backoff { floor: Duration::from_millis(100), ceiling: seconds(10) },
        messages_per_second: 4,
        names_per_subscribe,
    }
}

impl Connection {
    /// `has_canary`: that it carries the symbol that always trades.
    pub(crate) fn new(
        feed: FeedId,
        scenario: &Scenario,
        (streams, has_canary): (Vec<String>, bool),
    ) -> Self {
        let copies = if scenario.redundant { 2 } else { 1 };
        let timing = timing(scenario.names_per_subscribe);
        let copies = Copies::new(timing, copies, has_canary, streams);
        Self {
            lines: std::iter::repeat_with(Line::default).take(copies.slots()).collect(),
            copies,
            feed,
            steps: VecDeque::new(),
            owned: Vec::new(),
            event_time: None,
            backlog: VecDeque::new(),
            alarm: Alarm::default(),
        }
    }

    /// The copy that a socket is.
    pub(crate) fn copy_of(&self, socket: SocketId) -> Option<CopyId> {
        let at = self.lines.iter().position(|line| line.socket == Some(socket))?;
        Some(CopyId(u8::try_from(at).unwrap_or(0)))
    }

    /// Whether any of its sockets delivers.
    pub(crate) fn is_live(&self) -> bool {
        self.lines.iter().any(|line| line.is_live)
    }
}

/// Whether a symbol is the canary.
pub(crate) fn source(name: &str) -> Source {
    if name == CANARY { Source::Canary } else { Source::Other }
}

/// The symbol that always trades.
pub(crate) const CANARY: &str = "OLD0USDT";

/// The stream of a symbol's aggregates, or of its fills.
pub(crate) fn stream_of(name: &str, is_raw: bool) -> String {
    let kind = if is_raw { "trade" } else { "aggTrade" };
    format!("{}@{kind}", name.to_ascii_lowercase())
}

/// The streams of the whole market: on the first connection, or on one of their own.
pub(crate) fn market_streams() -> [String; 2] {
    ["!miniTicker@arr".to_owned(), "!contractInfo".to_owned()]
}
