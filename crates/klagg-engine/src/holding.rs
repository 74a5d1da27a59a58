//! Trades behind a hole in the ids, while another copy of the feed may fill it.
//!
//! Always true here: they are ascending by id, none is held longer than the rules allow since it
//! came, and there are never more of them than the rules allow.

use klagg_kline::{Trade, UnixMillis};

use crate::sequencer::Desk;
use crate::symbol::Held;

impl Desk<'_> {
    /// Takes a trade behind a hole.
    pub(crate) fn hold(&mut self, trade: &Trade, clock: Option<UnixMillis>) {
        let held = &mut self.cold.held;
        let at = held.partition_point(|other| other.trade.id < trade.id);
        if held.get(at).is_some_and(|other| other.trade.id == trade.id) {
            self.scope.out.counters.duplicates += 1;
            return;
        }
        let now = clock.map_or(trade.time, |clock| clock.max(trade.time));
        if held.is_empty() {
            self.cold.held_until = now.plus(self.rules.hold_ms);
        }
        held.insert(at, Held { trade: *trade, since: now });
        self.scope.out.counters.held += 1;
        if held.len() >= self.rules.held_max {
            self.release_first();
        }
        while !self.cold.held.is_empty() && self.cold.held_until <= now {
            self.release_first();
        }
    }

    /// Applies held trades as long as the next one is there. A hole behind them is waited for since
    /// the first trade came that showed it: if each had its time after the one before it, many
    /// would hold a symbol back for ever longer.
    pub(crate) fn apply_held(&mut self) {
        let before = self.cold.held.len();
        while let Some(Held { trade, .. }) = self.cold.held.front().copied() {
            if trade.id > self.slot.next_id {
                if self.cold.held.len() < before {
                    let since = self.cold.held.iter().map(|held| held.since).min();
                    self.cold.held_until = since.unwrap_or_default().plus(self.rules.hold_ms);
                }
                return;
            }
            self.cold.held.pop_front();
            if trade.id < self.slot.next_id {
                self.scope.out.counters.duplicates += 1;
            } else {
                self.apply(&trade);
            }
        }
        self.cold.held_until = UnixMillis(i64::MAX);
    }

    /// Gives the first hole up; a second one behind it has its own time.
    fn release_first(&mut self) {
        let Some(first) = self.cold.held.front().copied() else { return };
        self.give_up_hole(&first.trade);
        self.apply_held();
    }

    /// Gives up holes whose time has come. Whether none is left.
    pub(crate) fn release_until(&mut self, now: UnixMillis) -> bool {
        while !self.cold.held.is_empty() && self.cold.held_until <= now && !mutated!(HeldForever) {
            self.release_first();
        }
        self.refresh_span();
        self.cold.held.is_empty()
    }

    /// Gives up every hole: nothing will fill them any more.
    pub(crate) fn release_all(&mut self) {
        while let Some(first) = self.cold.held.front().copied() {
            self.give_up_hole(&first.trade);
            self.apply_held();
        }
        self.refresh_span();
    }
}
