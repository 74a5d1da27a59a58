//! What a text frame means to a connection: a trade for its sink, a sign of life, a notice.
//!
//! Sans-io. Always true here: only trades of symbols that this connection owns are handed on, so
//! that the canary, which every connection carries, reaches the engine once; everything that is
//! not handed on has its counter.

use klagg_kline::{SymbolId, Trade, UnixMillis};
use klagg_symbols::{SymbolIndex, SymbolReader};
use klagg_wire::{Decoder, StreamEvent, TradeEvent};

use crate::counters::FeedCounterSet;
use crate::plan::ConnectionId;
use crate::policy::Source;
use crate::stream::FeedNotice;

/// Whether a frame proves that data flows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Sign {
    Data(Source),
    None,
}

/// What a frame held.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Seen {
    pub(crate) trade: Option<(SymbolId, Trade)>,
    pub(crate) event_time: Option<UnixMillis>,
    pub(crate) sign: Sign,
    pub(crate) notice: Option<Told>,
    /// The number of a request that was acknowledged.
    pub(crate) acknowledged: Option<u64>,
    /// It cannot be read, so that it may have been a trade.
    pub(crate) is_lost: bool,
}

impl Seen {
    const NOTHING: Self = Self {
        trade: None,
        event_time: None,
        sign: Sign::None,
        notice: None,
        acknowledged: None,
        is_lost: false,
    };
}

/// A notice that lacks the connection's number.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Told {
    Whole(FeedNotice),
    Refused { code: i64, message: String },
}

impl Told {
    pub(crate) fn for_connection(self, connection: ConnectionId) -> FeedNotice {
        match self {
            Self::Whole(notice) => notice,
            Self::Refused { code, message } => FeedNotice::Refused { connection, code, message },
        }
    }
}

/// Reads the frames of one connection.
#[derive(Debug)]
pub(crate) struct Reader {
    decoder: Decoder,
    symbols: SymbolReader,
    canary: Option<String>,
    /// By symbol number: whether this connection hands its trades on.
    owned: Vec<bool>,
}

impl Reader {
    pub(crate) fn new(index: &SymbolIndex, canary: Option<String>) -> Self {
        Self { decoder: Decoder::new(), symbols: index.reader(), canary, owned: Vec::new() }
    }

    /// Trades of these symbols are handed on from now.
    pub(crate) fn own(&mut self, symbols: impl IntoIterator<Item = SymbolId>) {
        for symbol in symbols {
            if self.owned.len() <= symbol.index() {
                self.owned.resize(symbol.index() + 1, false);
            }
            self.owned[symbol.index()] = true;
        }
    }

    /// Trades of these symbols are no longer handed on.
    pub(crate) fn disown(&mut self, symbols: impl IntoIterator<Item = SymbolId>) {
        for symbol in symbols {
            if let Some(owned) = self.owned.get_mut(symbol.index()) {
                *owned = false;
            }
        }
    }

    /// Reads one text frame.
    pub(crate) fn read(&mut self, frame: &[u8], counters: &FeedCounterSet) -> Seen {
        counters.frames.add(1);
        counters.bytes.add(frame.len() as u64);
        let event = match self.decoder.decode(frame) {
            Ok(event) => event,
            Err(error) => {
                counters.malformed.add(1);
                tracing::debug!(%error, "a frame that cannot be read");
                return Seen { is_lost: true, ..Seen::NOTHING };
            }
        };
        let other =
            |event_time| Seen { event_time, sign: Sign::Data(Source::Other), ..Seen::NOTHING };
        match event {
            StreamEvent::Trade(event) => {
                let table = self.symbols.table();
                let symbol = table.get(event.symbol);
                let owned = symbol
                    .is_some_and(|symbol| self.owned.get(symbol.index()).copied().unwrap_or(false));
                trade(&event, symbol, owned, self.canary.as_deref(), counters)
            }
            StreamEvent::OffMarketTrade { event_time, symbol, .. } => {
                counters.off_market.add(1);
                let sign = Sign::Data(source(symbol, self.canary.as_deref()));
                Seen { sign, ..other(Some(event_time)) }
            }
            StreamEvent::MiniTickers { tickers, skipped } => {
                counters.malformed.add(skipped);
                // Those of the other market have another clock.
                let ours = tickers.iter().filter(|ticker| !ticker.coin_margined);
                let newest = ours.map(|ticker| ticker.event_time).max();
                let notice = Some(Told::Whole(FeedNotice::MiniTickers(tickers)));
                Seen { notice, ..other(newest) }
            }
            StreamEvent::ContractInfo(info) => {
                let event_time = (!info.coin_margined).then_some(info.event_time);
                let notice = Some(Told::Whole(FeedNotice::ContractInfo(info)));
                Seen { notice, ..other(event_time) }
            }
            StreamEvent::Ack { id } => {
                counters.acknowledged.add(1);
                Seen { acknowledged: Some(id), ..Seen::NOTHING }
            }
            StreamEvent::Refused { code, message } => {
                counters.refused.add(1);
                tracing::warn!(code, message, "the exchange refused a request");
                Seen { notice: Some(Told::Refused { code, message }), ..Seen::NOTHING }
            }
            _ => {
                counters.unused.add(1);
                Seen::NOTHING
            }
        }
    }
}

fn source(symbol: &str, canary: Option<&str>) -> Source {
    if canary == Some(symbol) { Source::Canary } else { Source::Other }
}

fn trade(
    event: &TradeEvent<'_>,
    symbol: Option<SymbolId>,
    owned: bool,
    canary: Option<&str>,
    counters: &FeedCounterSet,
) -> Seen {
    let source = source(event.symbol, canary);
    let event_time = Some(event.event_time);
    let seen = Seen { event_time, sign: Sign::Data(source), ..Seen::NOTHING };
    if event.coin_margined {
        // Of another market, and its clock is not this market's watermark.
        counters.coin_margined.add(1);
        return Seen::NOTHING;
    }
    match symbol {
        Some(symbol) if owned => Seen { trade: Some((symbol, event.trade)), ..seen },
        _ if source == Source::Canary => {
            counters.canary_trades.add(1);
            seen
        }
        Some(_) => {
            counters.foreign_trades.add(1);
            seen
        }
        None => {
            counters.unknown_symbols.add(1);
            seen
        }
    }
}
