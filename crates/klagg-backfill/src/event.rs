//! What the backfill is told: everything that happens outside of it.

use std::sync::Arc;
use std::time::Duration;

use klagg_binance::WeightStatus;
use klagg_engine::Hole;
use klagg_kline::{Kline, KlineRecord, Period, SymbolId, Trade, UnixMillis};

use crate::action::RequestId;
use crate::files::FileFault;

/// The two times that matter here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Now {
    /// Since the start, by a clock that never steps: pauses are measured by it.
    pub local: Duration,
    /// The exchange's time: what is final is decided by it. It may step.
    pub exchange: UnixMillis,
}

/// A symbol to look after.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SymbolSpec {
    /// Its number.
    pub id: SymbolId,
    /// Its name at the exchange.
    pub name: Arc<str>,
    /// Open time of its first daily kline.
    pub first_open_time: UnixMillis,
    /// Whether the exchange's list has just been seen to hold its own listing. If not, nothing is
    /// asked of it until [`Event::Listed`] says so.
    pub is_listed: bool,
}

/// What the store has of one period of one symbol.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stored {
    /// Which symbol.
    pub symbol: SymbolId,
    /// Index of the period.
    pub index: usize,
    /// The klines, ascending.
    pub records: Vec<KlineRecord>,
    /// Rows that were left out because they are damaged.
    pub damaged: u64,
    /// Up to where the store has everything.
    pub complete_until: Option<UnixMillis>,
}

/// Something that happened.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Event {
    /// These symbols are folded from now on. The first of these events starts everything.
    Added(Vec<SymbolSpec>),
    /// These are no longer.
    Retired {
        /// Which.
        symbols: Vec<SymbolId>,
        /// The exchange's time of which the list tells that shows it: where the process stood
        /// still, its own idea of that time may lie behind.
        at: UnixMillis,
    },
    /// The exchange's list holds the listings of these symbols, whether they trade or have ended:
    /// until a while after, their names cannot stand for others.
    Listed {
        /// Which.
        symbols: Vec<SymbolId>,
        /// The exchange's time of which the list tells.
        at: UnixMillis,
    },
    /// People look at these now, and no longer at others. Of symbols that the configuration names,
    /// all periods are watched besides.
    Watched(Vec<(SymbolId, Period)>),
    /// Klines of the store; shortest period first for each symbol.
    Stored(Stored),
    /// Nothing more of these symbols comes from the store.
    Loaded(Vec<SymbolId>),
    /// All feed connections have delivered for the first time, at this exchange time: minutes
    /// after it are complete.
    Live(UnixMillis),
    /// A request was answered. Every request is, once.
    Answered {
        /// Which.
        id: RequestId,
        /// What came.
        answer: Answer,
    },
    /// A file of the archive was fetched, or could not be. Every one is, once.
    Fetched {
        /// Which request.
        id: RequestId,
        /// Its klines, in the order in which they stand there.
        file: Result<Vec<Kline>, FileFailure>,
    },
    /// The engine has given up a hole in a symbol's ids.
    Hole(Hole),
    /// The exchange was asked for its time, and the clock was set by its answer, if there was one.
    ClockMeasured,
    /// How the weight budget stands.
    Weight(WeightStatus),
    /// The time of [`crate::BackfillCore::next_deadline`] has come.
    Timer,
}

/// The answer to a request.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Answer {
    /// Klines, ascending.
    Klines(Vec<Kline>),
    /// Trades, ascending by id.
    Trades(Vec<Trade>),
    /// None that can be used.
    Failed(Failure),
}

/// Why a request has no usable answer, shaped by what is done next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Failure {
    /// The exchange answers nobody, as far as this tells: everybody waits a little.
    Exchange,
    /// It refuses this very request, however often it is asked.
    Refused,
    /// Something came that cannot be read, or is not what was asked for.
    Odd,
}

/// Why a file of the archive cannot be had, shaped by what is done next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FileFailure {
    /// The archive does not have it.
    Missing,
    /// It did not come: it is tried again after a while.
    Unreachable,
    /// It came and is of no use, however often it comes.
    Refused(FileFault),
}
