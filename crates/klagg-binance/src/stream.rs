//! What a feed is given and what it tells: its numbers, its sink, its notices.

use std::time::Duration;

use klagg_kline::{SymbolId, Trade, UnixMillis};
use klagg_wire::stream_name::StreamName;
use klagg_wire::{ContractInfo, MiniTicker};

use crate::BinanceError;
use crate::address::{PlainText, Purpose, check_address};
use crate::copies::CopyId;
use crate::plan::ConnectionId;
use crate::policy::Silence;
use crate::timing::StreamTiming;

/// The most streams that the exchange lets a connection carry; one more and all are lost.
pub const STREAMS_PER_CONNECTION_MAX: usize = 1_024;
/// Streams a connection may carry beside those of its symbols: the canary and two of the market.
pub(crate) const EXTRA_STREAMS: usize = 3;

/// Which stream of a symbol's trades is listened to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TradeStream {
    /// `@aggTrade`: documented; an aggregate carries the time of its first fill.
    AggTrade,
    /// `@trade`: undocumented; single fills, exact.
    Trade,
}

impl TradeStream {
    /// The name of `symbol`'s stream.
    pub(crate) fn name(self, symbol: &str) -> String {
        let symbol = symbol.to_owned();
        match self {
            Self::AggTrade => StreamName::AggTrade(symbol).to_string(),
            Self::Trade => StreamName::Trade(symbol).to_string(),
        }
    }
}

/// Whether the streams of the whole market are wanted beside those of symbols.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MarketStreams {
    /// `!miniTicker@arr` and `!contractInfo`, on the first connection if its path carries them,
    /// else on one of their own.
    On,
    /// None.
    Off,
}

/// The numbers of a feed.
#[derive(Debug, Clone)]
pub struct StreamConfig {
    /// For example `wss://fstream.binance.com`.
    pub base_url: String,
    /// Where `ws` is allowed.
    pub plain_text: PlainText,
    /// Path that carries aggregates and the streams of the whole market: `/market`.
    pub market_path: String,
    /// Path that carries single fills: `/public`.
    pub public_path: String,
    /// Which stream of each symbol.
    pub source: TradeStream,
    /// Whether the streams of the whole market are wanted.
    pub market_streams: MarketStreams,
    /// The symbol that always trades and stands on every connection: `BTCUSDT`. Without one, any
    /// data proves a connection.
    pub canary: Option<String>,
    /// Most streams on a connection, the canary and those of the market included; 4 to 1,024.
    pub streams_per_connection: usize,
    /// Most connections.
    pub connections_max: u16,
    /// Sockets that carry the same, on each connection: 1, or 2 so that one may fail.
    pub copies: u8,
    /// Longest message accepted; a longer one ends the connection.
    pub message_bytes_max: usize,
    /// Most notices that wait to be taken; more are dropped and counted.
    pub notices_max: usize,
    /// How long a full sink is waited for at shutdown.
    pub drain_timeout: Duration,
    /// The numbers of the connection policy.
    pub timing: StreamTiming,
}

impl StreamConfig {
    /// Checks the numbers; gives the address to which a path is appended.
    pub(crate) fn check(&self) -> Result<String, BinanceError> {
        let refuse =
            |name, value: String, allowed| Err(BinanceError::Setting { name, value, allowed });
        let streams = self.streams_per_connection;
        if !(EXTRA_STREAMS + 1..=STREAMS_PER_CONNECTION_MAX).contains(&streams) {
            let allowed = "a connection carries 4 to 1,024 streams";
            return refuse("streams_per_connection", streams.to_string(), allowed);
        }
        if !(1..=2).contains(&self.copies) {
            return refuse("copies", self.copies.to_string(), "1 or 2");
        }
        if self.connections_max == 0 {
            return refuse("connections_max", "0".to_owned(), "at least 1");
        }
        if self.notices_max == 0 {
            return refuse("notices_max", "0".to_owned(), "at least 1");
        }
        let messages = self.timing.messages_per_second;
        if !(1..=9).contains(&messages) {
            let allowed = "1 to 9: the exchange cuts above 10, pongs included";
            return refuse("messages_per_second", messages.to_string(), allowed);
        }
        let names = self.timing.names_per_subscribe;
        if !(1..=200).contains(&names) {
            return refuse("names_per_subscribe", names.to_string(), "1 to 200");
        }
        for (name, path) in [("market_path", &self.market_path), ("public_path", &self.public_path)]
        {
            let fits = path.is_empty() || path.starts_with('/');
            if !fits || path.contains(['?', '#', ' ']) {
                return refuse(name, path.clone(), "empty, or a path that starts with a slash");
            }
        }
        let (base_url, _) = check_address(&self.base_url, Purpose::Stream, self.plain_text)?;
        Ok(base_url)
    }

    /// The path that carries the trades.
    pub(crate) fn trade_path(&self) -> &str {
        match self.source {
            TradeStream::AggTrade => &self.market_path,
            TradeStream::Trade => &self.public_path,
        }
    }
}

/// Why a sink did not take a trade.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SinkRefusal {
    /// No room now: flush, wait and offer again. Meanwhile the socket is not read.
    Full,
    /// Nobody is behind it any more: the connection ends.
    Closed,
}

/// Where a connection's trades go; the engine's end of a feed. Owned by one connection for life,
/// across all its sockets. Where several carry the same, every trade comes several times.
pub trait FeedSink: Send + 'static {
    /// A text frame as it arrived, before anybody reads it: for recorders. Does nothing unless
    /// implemented.
    #[inline]
    fn on_frame(&mut self, frame: &[u8]) {
        let _ = frame;
    }

    /// Takes a trade.
    ///
    /// # Errors
    /// [`SinkRefusal`]; the trade was not taken.
    fn on_trade(&mut self, symbol: SymbolId, trade: Trade) -> Result<(), SinkRefusal>;

    /// The highest exchange time seen on a socket that delivers everything; after the trades of
    /// the same read.
    fn on_event_time(&mut self, time: UnixMillis);

    /// No socket of the connection is left that delivers everything: what follows may have a hole.
    fn on_interrupted(&mut self);

    /// So many sockets may deliver the same trades from now on: while there are several, one may be
    /// behind the other. Does nothing unless implemented.
    fn on_copies(&mut self, count: u16) {
        let _ = count;
    }

    /// Nothing comes over any socket of the connection, and its time stands: no copy is about to
    /// bring what another one has left out. Does nothing unless implemented.
    fn on_quiet(&mut self) {}

    /// Passes on what was taken, without waiting.
    ///
    /// # Errors
    /// [`SinkRefusal`]; what was taken is kept, and this is to be called again.
    fn flush(&mut self) -> Result<(), SinkRefusal>;
}

/// Something a feed tells to whoever runs it.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum FeedNotice {
    /// A socket is open. Proves nothing yet.
    Connected {
        /// Which connection.
        connection: ConnectionId,
        /// Which of its sockets.
        copy: CopyId,
    },
    /// A socket delivers.
    Live {
        /// Which connection.
        connection: ConnectionId,
        /// Which of its sockets.
        copy: CopyId,
        /// Exchange time of the frame that proved it, where it told one. The trades before it in
        /// this minute were missed, unless another socket was live.
        event_time: Option<UnixMillis>,
    },
    /// A socket could not be opened, or ended.
    Disconnected {
        /// Which connection.
        connection: ConnectionId,
        /// Which of its sockets.
        copy: CopyId,
        /// What happened, in words.
        why: String,
    },
    /// A socket was closed by us and is not opened again: another has taken its place, or it was
    /// to take another's place and failed.
    Closed {
        /// Which connection.
        connection: ConnectionId,
        /// Which of its sockets.
        copy: CopyId,
    },
    /// A socket was open but delivered nothing for too long, and is replaced. On a wrong path the
    /// exchange acknowledges everything and stays silent.
    Silent {
        /// Which connection.
        connection: ConnectionId,
        /// Which of its sockets.
        copy: CopyId,
        /// The path it was opened on.
        path: String,
        /// What was missing.
        silence: Silence,
    },
    /// The exchange refused a request.
    Refused {
        /// Which connection.
        connection: ConnectionId,
        /// The exchange's code.
        code: i64,
        /// The exchange's words.
        message: String,
    },
    /// The last prices of symbols that changed.
    MiniTickers(Vec<MiniTicker>),
    /// A listing, settlement or change.
    ContractInfo(ContractInfo),
    /// A sink has closed and its connection has ended for good.
    SinkClosed {
        /// Which connection.
        connection: ConnectionId,
    },
}
