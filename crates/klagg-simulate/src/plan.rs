//! The fault plan: what goes wrong when. Data, so that a failing one can be shrunk and kept.
//!
//! What a run is like besides may stand in its plan as well: what was kept before such a kind came
//! up lacks it, and keeps its meaning.

mod draw;

use std::fmt;

use crate::agenda::Millis;

/// What can go wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// The exchange closes a socket.
    Disconnect,
    /// A socket is dead, and nobody says so: no frame, no pong.
    HalfOpen,
    /// No connection can be opened for a while.
    NoConnect,
    /// Sockets answer pings and deliver nothing: all of them.
    SilentAll,
    /// The same for one socket.
    SilentSocket,
    /// The exchange sends nothing of one symbol.
    SilentSymbol,
    /// New subscriptions are acknowledged and deliver nothing, as on a path that moved.
    SilentPath,
    /// Frames are held up and come in one burst.
    Held,
    /// Frames come twice.
    Duplicates,
    /// Frames overtake each other.
    Reordered,
    /// Frames come seconds late.
    Late,
    /// Frames are lost on a connection that lives.
    Lost,
    /// REST answers with errors.
    RestErrors,
    /// REST does not answer in time.
    RestTimeouts,
    /// REST cannot be reached.
    RestOutage,
    /// Somebody else at our address spends the weight: 429.
    ForeignWeight,
    /// Our address is banned for a while, whatever we did: 418.
    Banned,
    /// Pages of klines are wrong.
    WrongPages,
    /// Pages of aggregates are wrong.
    WrongTrades,
    /// The machine's clock is off from the next start on.
    Skew,
    /// The process stands still, and its clock with it.
    Suspend,
    /// The process dies and starts anew.
    Crash,
    /// A worker does nothing for a while.
    WorkerStall,
    /// A worker dies.
    WorkerDeath,
    /// A worker's answers come late.
    LateAnswers,
    /// The gateway does nothing for a while.
    GatewayStall,
    /// The store takes long for a commit.
    WriterStall,
    /// The store refuses commits.
    StoreFull,
    /// Symbols are listed.
    Listing,
    /// A symbol is settled.
    Delisting,
    /// A symbol is settled, and its name is listed again.
    Relisting,
    /// One stream of a socket that delivers is dead until it is subscribed anew.
    DeadStream,
    /// What the exchange sends of one symbol is held up, and comes in one burst.
    HeldSymbol,
    /// A network path fails: a socket is dead, and the next one is closed a little later.
    Failing,
    /// No fault: the canary never pauses, so that sockets grow old, and where nothing is wrong no
    /// trade may be lost.
    Steady,
    /// No fault: people look at some symbols, whose holes are filled trade by trade.
    Watched,
    /// No fault: a message names one stream, as if there were hundreds.
    ShortMessages,
    /// No fault: the stream carries fills one by one, not aggregates, and beside them prints of no
    /// order book.
    RawFills,
    /// No fault: klines of weeks and months are kept, around the turn of one.
    LongPeriods,
}

impl Kind {
    /// All of them.
    pub const ALL: [Self; 39] = [
        Self::Disconnect,
        Self::HalfOpen,
        Self::NoConnect,
        Self::SilentAll,
        Self::SilentSocket,
        Self::SilentSymbol,
        Self::SilentPath,
        Self::Held,
        Self::Duplicates,
        Self::Reordered,
        Self::Late,
        Self::Lost,
        Self::RestErrors,
        Self::RestTimeouts,
        Self::RestOutage,
        Self::ForeignWeight,
        Self::Banned,
        Self::WrongPages,
        Self::WrongTrades,
        Self::Skew,
        Self::Suspend,
        Self::Crash,
        Self::WorkerStall,
        Self::WorkerDeath,
        Self::LateAnswers,
        Self::GatewayStall,
        Self::WriterStall,
        Self::StoreFull,
        Self::Listing,
        Self::Delisting,
        Self::Relisting,
        Self::DeadStream,
        Self::HeldSymbol,
        Self::Failing,
        Self::Steady,
        Self::Watched,
        Self::ShortMessages,
        Self::RawFills,
        Self::LongPeriods,
    ];
}

impl Kind {
    /// Whether something is wrong with it: listings and what a run is like are no faults.
    pub(crate) const fn is_wrong(self) -> bool {
        !matches!(
            self,
            Self::Listing
                | Self::Delisting
                | Self::Relisting
                | Self::Steady
                | Self::Watched
                | Self::ShortMessages
                | Self::RawFills
                | Self::LongPeriods
        )
    }
}

/// One fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fault {
    /// Milliseconds after the start of the run.
    pub at: Millis,
    /// What goes wrong.
    pub kind: Kind,
    /// Which socket, symbol, worker: by its number, counted round.
    pub target: u32,
    /// For how many milliseconds, or how much.
    pub amount: u32,
}

/// A fault, written short: for tests that keep a plan.
pub const fn fault(at: Millis, kind: Kind, target: u32, amount: u32) -> Fault {
    Fault { at, kind, target, amount }
}

impl fmt::Display for Fault {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { at, kind, target, amount } = self;
        write!(formatter, "fault({at}, Kind::{kind:?}, {target}, {amount})")
    }
}

/// The faults of a run, in the order of time.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Plan {
    /// The faults.
    pub faults: Vec<Fault>,
}

impl Plan {
    /// Whether it holds a kind.
    pub fn has(&self, kind: Kind) -> bool {
        self.faults.iter().any(|fault| fault.kind == kind)
    }

    /// The plan of a seed: a few kinds, at an intensity that the seed draws as well.
    pub fn draw(seed: u64) -> Self {
        Self { faults: draw::faults(seed) }
    }
}

impl fmt::Display for Plan {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.faults.iter().try_for_each(|fault| writeln!(formatter, "    {fault},"))
    }
}
