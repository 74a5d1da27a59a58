//! Which socket, and what is to be done with it.

use crate::policy::Action;

/// Which socket of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CopyId(pub u8);

impl CopyId {
    /// For indexing a table with a row a socket.
    pub const fn index(self) -> usize {
        self.0 as usize
    }
}

impl std::fmt::Display for CopyId {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(formatter)
    }
}

/// What is to be done, in order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// What a socket's policy wants. [`Action::Old`] is dealt with here and never handed on.
    Act(CopyId, Action),
    /// Close the socket: another has taken its place.
    CloseReplaced(CopyId),
    /// Close the socket, if it is still open: it was to take another's place and failed.
    GiveUp(CopyId),
    /// No socket is left of which nothing can be missing: what follows may have a hole.
    Interrupted,
    /// So many sockets may deliver the same trades from now on.
    Copies(u16),
    /// Nothing has come over any socket for [`StreamTiming::quiet`](crate::StreamTiming::quiet):
    /// no other one is about to bring what one has left out. Said once after what came last.
    Quiet,
}
