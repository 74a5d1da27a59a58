//! Which sockets join, and whether the first one does so in doubt.

use super::{Copies, CopyId};

impl Copies {
    /// Lets those join of which nothing is missing any more. Where nobody has joined there is
    /// nothing to wait for: what lies before was told to be interrupted.
    pub(super) fn join(&mut self) {
        let joined = self.slots.iter().flatten().filter(|slot| slot.has_joined);
        let reached = joined.map(|slot| slot.event_time).max();
        for slot in self.slots.iter_mut().flatten() {
            let Some((_, told)) = slot.whole else { continue };
            slot.has_joined |= match (reached, told) {
                (None, _) => true,
                (Some(reached), Some(told)) => reached >= Some(told),
                (Some(_), None) => false,
            };
        }
    }

    /// Whether a socket is about to be the first to join, though another one that has not joined
    /// has delivered. Trades of that one have ended the doubt of their symbols; if it is dead by
    /// now, what it lost since is missing here as well, and nobody has told of it.
    pub(super) fn joins_in_doubt(&self, copy: CopyId) -> bool {
        let joins = self.slot(copy).is_some_and(|slot| slot.whole.is_some());
        let others = self.copies().into_iter().filter(|other| *other != copy);
        let has_told = |other: CopyId| self.slot(other).is_some_and(|of| of.event_time.is_some());
        joins
            && !self.slots.iter().flatten().any(|of| of.has_joined)
            && others.into_iter().any(has_told)
    }
}
