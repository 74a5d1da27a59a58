//! What a worker is told besides trades. Commands have their own lane, served before trades.

use klagg_kline::{KlineRecord, Price, SymbolId, Trade, TradeId, UnixMillis};

/// Number of a feed: a source whose exchange time and interruptions concern its own symbols.
///
/// Several [`EngineFeed`](crate::EngineFeed)s may share a number: parts of one feed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FeedId(pub u16);

/// A symbol to be folded from now on.
///
/// # Examples
///
/// ```
/// use klagg_engine::{FeedId, NewSymbolSpec};
/// use klagg_kline::{Price, SymbolId, TradeId};
///
/// let (id, feed) = (SymbolId(7), FeedId(0));
/// // Its last price and id are known: the minutes from now on can be whole from the first.
/// let known = NewSymbolSpec {
///     id,
///     feed,
///     previous_close: Some(Price::parse("0.01234")?),
///     next_id: Some(TradeId(1_000_001)),
///     since: None,
/// };
/// // Nothing is known: the minute of its first trade is provisional.
/// let unknown = NewSymbolSpec { previous_close: None, next_id: None, ..known };
/// # assert_ne!(known, unknown);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NewSymbolSpec {
    /// Its permanent number.
    pub id: SymbolId,
    /// The feed that carries it.
    pub feed: FeedId,
    /// The last traded price, if known: minutes without trades are flat at it.
    pub previous_close: Option<Price>,
    /// The id that its next trade must have, if known; 1 for a new listing. Without it, the first
    /// trade is taken as it comes and its minute is provisional, unless its id is 0 or 1: a
    /// listing's first trade.
    /// Where something was known before (a close, klines supplied), such an id is another listing's
    /// of the same name: from it on every minute is provisional, until an official kline of one.
    pub next_id: Option<TradeId>,
    /// Exchange time from which on its minutes are to be told of, heard or not: those that pass
    /// before the first sign of its feed are provisional. Without it they are left out, for
    /// whoever supplies its history.
    pub since: Option<UnixMillis>,
}

/// What a worker does with its symbols besides folding.
#[derive(Debug, Clone)]
pub(crate) enum Command {
    /// Fold this symbol. For one that is folded already, only its feed is changed.
    Add(NewSymbolSpec),
    /// Fold this symbol no more.
    Retire(SymbolId),
    /// Trades of this symbol may be missing although its feed delivers: those behind the newest one
    /// that came, which was sent at this time.
    Doubt(SymbolId, UnixMillis),
    /// Another listing has had the name of this symbol since then, and may trade under it.
    DoubtName(SymbolId, UnixMillis),
    /// Closed klines from outside: official ones, or stored ones.
    Supply { symbol: SymbolId, period_index: usize, records: Vec<KlineRecord> },
    /// The trades that a hole of this symbol lacks.
    Fill { symbol: SymbolId, trades: Vec<Trade> },
    /// Break, or stand still: see [`EngineControl::fault`](crate::EngineControl::fault).
    #[cfg(debug_assertions)]
    Fault(WorkerFault),
}

/// What a test does to a worker.
#[doc(hidden)]
#[cfg(debug_assertions)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WorkerFault {
    /// It panics.
    Panic,
    /// It stands still for so long.
    Stall(std::time::Duration),
}
