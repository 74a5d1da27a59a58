//! Faults that last a while.

use crate::agenda::Millis;
use crate::plan::Kind;

#[derive(Debug, Clone, Copy)]
struct Trouble {
    kind: Kind,
    until: Millis,
    target: Option<u32>,
}

/// What goes wrong now.
#[derive(Debug, Default)]
pub(crate) struct Troubles {
    on: Vec<Trouble>,
}

impl Troubles {
    /// Begins a trouble, for one target or for all.
    pub(crate) fn begin(&mut self, now: Millis, kind: Kind, until: Millis, target: Option<u32>) {
        self.on.retain(|trouble| trouble.until > now);
        self.on.push(Trouble { kind, until, target });
    }

    pub(crate) fn is_on(&self, kind: Kind, now: Millis) -> bool {
        self.until(kind, now).is_some()
    }

    /// Until when, if it is on.
    pub(crate) fn until(&self, kind: Kind, now: Millis) -> Option<Millis> {
        let on = self.on.iter().filter(|of| of.kind == kind && of.until > now);
        on.map(|of| of.until).max()
    }

    pub(crate) fn is_on_for(&self, kind: Kind, now: Millis, target: u32) -> bool {
        self.until_for(kind, now, target).is_some()
    }

    /// Until when it is on for a target.
    pub(crate) fn until_for(&self, kind: Kind, now: Millis, target: u32) -> Option<Millis> {
        let hits = |of: &&Trouble| of.target.is_none_or(|of| of == target);
        let on = self.on.iter().filter(|of| of.kind == kind && of.until > now);
        on.filter(hits).map(|of| of.until).max()
    }
}
