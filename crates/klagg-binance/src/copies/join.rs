//! Which sockets join, and whether the first one does so in doubt.
//!
//! Where nobody has joined there is nothing whole, and what lies before was told to be interrupted.
//! Yet trades of a socket that has not joined have ended the doubt of their symbols. If it dies
//! before the first one to join takes over from it, what it lost is missing here as well, and
//! nobody has told of it.

use std::time::Duration;

use super::{Copies, CopyId};

impl Copies {
    /// Lets those join of which nothing is missing any more. `is_told`: an interruption has just
    /// been told, so that nothing before now ends a doubt. Gives whether the first one to join does
    /// so in doubt, which is an interruption.
    #[must_use]
    pub(super) fn join(&mut self, now: Duration, is_told: bool) -> bool {
        let has_joined = self.slots.iter().flatten().any(|slot| slot.has_joined);
        if !has_joined {
            let proven = self.whole().find(|&copy| is_told || self.takes_over(copy));
            if proven.is_none() && self.first_join_at().is_none_or(|at| at > now) {
                return false;
            }
            if let Some(Some(slot)) = proven.and_then(|copy| self.slots.get_mut(copy.index())) {
                slot.has_joined = true;
            }
            if proven.is_none() || is_told {
                for slot in self.slots.iter_mut().flatten() {
                    slot.has_joined = slot.whole.is_some();
                }
                return proven.is_none();
            }
        }
        let joined = self.slots.iter().flatten().filter(|slot| slot.has_joined);
        let reached = joined.filter_map(|slot| slot.event_time).max();
        for slot in self.slots.iter_mut().flatten() {
            let told = slot.whole.and_then(|(_, told)| told);
            slot.has_joined |= told.is_some_and(|told| reached >= Some(told));
        }
        false
    }

    /// When the first one joins at the latest, though others have not shown that it may.
    pub(super) fn first_join_at(&self) -> Option<Duration> {
        let slots = || self.slots.iter().flatten();
        let whole_at = slots().filter_map(|slot| slot.whole).map(|(since, _)| since).min();
        whole_at.filter(|_| !slots().any(|of| of.has_joined)).map(|at| at + self.timing.overlap)
    }

    /// Whether a socket that is whole has what every other one that has delivered may lose from now
    /// on: they have told times at which it was whole already.
    fn takes_over(&self, copy: CopyId) -> bool {
        let told = self.slot(copy).and_then(|slot| slot.whole).and_then(|(_, told)| told);
        let others = self.copies().into_iter().filter(|&other| other != copy);
        let mut times = others.filter_map(|other| self.slot(other)?.event_time);
        times.all(|time| told.is_some_and(|told| time >= told))
    }

    fn whole(&self) -> impl Iterator<Item = CopyId> {
        let is_whole = |copy: &CopyId| self.slot(*copy).is_some_and(|slot| slot.whole.is_some());
        self.copies().into_iter().filter(is_whole)
    }
}
