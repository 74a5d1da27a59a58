//! What the backfill wants done. Actions are carried out in their order.

use std::fmt;
use std::sync::Arc;

use klagg_binance::{AGG_TRADES_WEIGHT, Priority, klines_weight};
use klagg_kline::{KlineRecord, Period, SymbolId, Trade, TradeId, UnixMillis};

use crate::files::{ArchiveFile, FileFault};
use crate::pages::Page;

/// Number of a request, never used twice.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RequestId(pub u64);

/// Something to be done.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Action {
    /// Read what the store has of these symbols; tell each part with
    /// [`Event::Stored`](crate::Event::Stored) and the end with
    /// [`Event::Loaded`](crate::Event::Loaded).
    Load(Vec<SymbolId>),
    /// Ask the exchange, once its weight may be spent.
    Ask(Request),
    /// Fetch a file of the archive, which costs no weight; tell with
    /// [`Event::Fetched`](crate::Event::Fetched).
    Fetch(FileRequest),
    /// Ask the exchange for its time and set the clock by it; tell with
    /// [`Event::ClockMeasured`](crate::Event::ClockMeasured), whatever came.
    MeasureClock,
    /// Confirmed klines: to the store, then to the history.
    HandOver {
        /// Which symbol.
        symbol: SymbolId,
        /// Index of the period.
        index: usize,
        /// The klines, ascending.
        records: Vec<KlineRecord>,
    },
    /// Klines that the store has already: to the history.
    Show {
        /// Which symbol.
        symbol: SymbolId,
        /// Index of the period.
        index: usize,
        /// The klines, ascending.
        records: Vec<KlineRecord>,
    },
    /// Klines that open and just closed klines are made of: to the engine.
    Supply {
        /// Which symbol.
        symbol: SymbolId,
        /// Index of the period.
        index: usize,
        /// The klines, ascending.
        records: Vec<KlineRecord>,
    },
    /// The trades that a hole lacks: to the engine.
    Fill {
        /// Which symbol.
        symbol: SymbolId,
        /// The trades, ascending by id.
        trades: Vec<Trade>,
    },
    /// Something for the log.
    Say(Notice),
    /// [`BackfillCore::progress`](crate::BackfillCore::progress) has changed.
    Progress,
}

/// A request to the exchange.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// Comes back with the answer.
    pub id: RequestId,
    /// Whose klines or trades.
    pub symbol: SymbolId,
    /// Its name.
    pub name: Arc<str>,
    /// What is asked for.
    pub what: What,
    /// Who goes first when weight is short.
    pub priority: Priority,
}

/// A file of the archive to be fetched.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileRequest {
    /// Comes back with the file.
    pub id: RequestId,
    /// Whose klines.
    pub symbol: SymbolId,
    /// Its name.
    pub name: Arc<str>,
    /// Which file.
    pub file: ArchiveFile,
}

/// What is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum What {
    /// The klines of a page.
    Klines(Page),
    /// Aggregate trades by id.
    Trades {
        /// The first one.
        from: TradeId,
        /// How many at most.
        limit: u16,
    },
}

impl Request {
    /// What it costs.
    pub const fn weight(&self) -> u32 {
        match self.what {
            What::Klines(page) => klines_weight(page.klines),
            What::Trades { .. } => AGG_TRADES_WEIGHT,
        }
    }
}

impl fmt::Display for Request {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = &self.name;
        match self.what {
            What::Klines(page) => write!(formatter, "klines {} of {name}", page.period),
            What::Trades { from, .. } => write!(formatter, "trades of {name} from id {from}"),
        }
    }
}

/// How loud a notice is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Level {
    /// Good to know.
    Info,
    /// Somebody should look if it repeats.
    Warning,
    /// Somebody should look.
    Error,
}

/// Something for the log; its [`fmt::Display`] is the sentence.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Notice {
    /// A page came and breaks a rule; it is asked for again.
    PageRefused {
        /// Name of the symbol.
        name: Arc<str>,
        /// The period asked for.
        period: Period,
        /// How often in a row the symbol was answered so; the pause grows with it.
        times: u32,
        /// Which rule it breaks.
        reason: &'static str,
    },
    /// The exchange now answers differently for klines that were confirmed.
    ConfirmedChanged {
        /// Name of the symbol.
        name: Arc<str>,
        /// Their period.
        period: Period,
        /// How many.
        count: u64,
    },
    /// Rows of the store are damaged and fetched anew.
    RowsDamaged {
        /// Name of the symbol.
        name: Arc<str>,
        /// How many.
        count: u64,
    },
    /// The last minutes of a symbol that ended could not be confirmed.
    LastMinutesMissing {
        /// Name of the symbol.
        name: Arc<str>,
    },
    /// Closed minutes were complete by their ids, and yet differ from the exchange's.
    Unexplained {
        /// Name of the symbol.
        name: Arc<str>,
        /// How many.
        count: u64,
    },
    /// A fold of confirmed klines differs from the exchange's own; its klines are fetched anew.
    FoldDiffers {
        /// Name of the symbol.
        name: Arc<str>,
        /// Which period.
        period: Period,
        /// Which kline.
        open_time: UnixMillis,
    },
    /// The feed does not deliver; history goes first.
    FeedSilent,
    /// History and live have met at this minute.
    Met(UnixMillis),
    /// So many pages of history did not come; they are asked for again.
    HistoryHoles(u64),
    /// A file of the archive is of no use; the exchange is asked instead.
    FileRefused {
        /// Name of the file.
        name: String,
        /// What is wrong with it.
        fault: FileFault,
    },
    /// The archive cannot be reached, and is left alone for a while.
    ArchiveUnreachable,
}

impl Notice {
    /// How loud it is.
    pub const fn level(&self) -> Level {
        match self {
            Self::Met(_) => Level::Info,
            Self::FeedSilent
            | Self::HistoryHoles(_)
            | Self::FileRefused { .. }
            | Self::ArchiveUnreachable
            | Self::Unexplained { .. } => Level::Warning,
            Self::PageRefused { .. }
            | Self::ConfirmedChanged { .. }
            | Self::RowsDamaged { .. }
            | Self::FoldDiffers { .. }
            | Self::LastMinutesMissing { .. } => Level::Error,
        }
    }
}

impl fmt::Display for Notice {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::PageRefused { name, period, times, reason } => write!(
                formatter,
                "klines {period} of {name} refused, {times} in a row, asking again, ever more \
                 seldom: {reason}"
            ),
            Self::ConfirmedChanged { name, period, count } => write!(
                formatter,
                "the exchange changed {count} klines {period} of {name} that were confirmed"
            ),
            Self::RowsDamaged { name, count } => {
                write!(formatter, "{count} stored klines of {name} are damaged; fetched anew")
            }
            Self::LastMinutesMissing { name } => {
                write!(formatter, "{name} has ended, and its last minutes could not be confirmed")
            }
            Self::Unexplained { name, count } => write!(
                formatter,
                "{count} closed minutes of {name} differed from the exchange's for no known reason"
            ),
            Self::FoldDiffers { name, period, open_time } => write!(
                formatter,
                "the {period} of {name} at {open_time} differs from the exchange's own, though all \
                 it is made of was confirmed; fetching that anew"
            ),
            Self::FeedSilent => {
                formatter.write_str("the feed does not deliver; history is fetched meanwhile")
            }
            Self::Met(until) => write!(formatter, "history and live have met at {until}"),
            Self::HistoryHoles(pages) => {
                write!(formatter, "history lacks {pages} pages that did not come; asking again")
            }
            Self::FileRefused { name, fault } => write!(
                formatter,
                "the archive's file {name} is left out, and its klines are asked of the exchange: \
                 {}",
                fault.as_str()
            ),
            Self::ArchiveUnreachable => formatter.write_str(
                "the archive cannot be reached; for a while the exchange is asked for everything",
            ),
        }
    }
}
