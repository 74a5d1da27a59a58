//! What is taken over from a shard that broke: what was closed, and where each symbol stands.
//!
//! Always true here:
//! - What was closed and not acknowledged is handed out by the successor, under numbers that go
//!   on: for a reader no delta is missing, and none goes back.
//! - Sums, lists and places are made anew from closed klines. Of the open minutes the values are
//!   kept, so that what is shown does not fall back, but nothing is believed of them: each minute
//!   up to that of its symbol's next trade is provisional until it is confirmed from outside.
//! - Trades that were folded before are still known as such, by their ids.

use klagg_kline::{Kline, TradeId, UnixMillis};

use super::{Shard, index_u32};
use crate::feed::Item;
use crate::levels::{Child, Levels};
use crate::outgoing::Scope;
use crate::symbol::{Coverage, MINUTE_MS, Slot, minute_of};
use crate::{EngineConfig, FeedId};

impl Shard {
    /// The shard that takes the place of this one, in which a call panicked. `config` is the one
    /// that it was made with.
    ///
    /// Its trades since then, if any were dropped, may be missing: the ids of the next ones tell
    /// nothing about them, so that the first minute to be `Closed` again is the one after each
    /// symbol's next trade.
    ///
    /// # Panics
    /// If the configuration is not valid, or has no such worker.
    #[must_use]
    pub fn recover(&mut self, config: &EngineConfig) -> Self {
        let mut fresh = Self::new(config, self.worker);
        fresh.exchange_time = self.exchange_time;
        fresh.feeds.clone_from(&self.feeds);
        (fresh.sequence, fresh.acknowledged) = (self.sequence, self.acknowledged);
        fresh.pruned = self.acknowledged;
        fresh.out.take_over(&mut self.out, self.sequence + 1);
        fresh.out.counters.restarts += 1;
        // Symbols added beyond the configured number had made their own room.
        fresh.slots.resize_with(self.slots.len(), Slot::vacant);
        fresh.levels.resize_with(self.slots.len(), || None);
        fresh.cold.resize_with(self.slots.len(), || None);
        for index in 0..self.slots.len() {
            fresh.adopt(self, index);
        }
        fresh
    }

    /// Takes over one symbol.
    fn adopt(&mut self, broken: &mut Self, index: usize) {
        let Some(mut cold) = broken.cold[index].take() else { return };
        let (old, slot) = (&broken.slots[index], &mut self.slots[index]);
        slot.symbol = old.symbol;
        // A floor: what is below was folded.
        slot.next_id = old.next_id;
        cold.coverage = Coverage::Unknown;
        cold.has_unproven = false;
        self.out.counters.trades_lost += cold.held.len() as u64;
        cold.held.clear();
        cold.held_until = UnixMillis(i64::MAX);
        cold.gaps.give_up();
        let cold = self.cold[index].insert(cold);
        let Some(old_levels) = &broken.levels[index] else { return };
        let open = open_minute(&old.open, old_levels);
        slot.open = open;
        slot.broken_until = old.broken_until.max(open.open_time);
        if mutated!(RestartBelieved) {
            (slot.broken_until, slot.next_id) = (old.broken_until, TradeId(1));
        } else {
            cold.gaps.break_until(slot.broken_until);
        }
        let mut levels = old_levels.rebuilt(&self.plan, open.open_time);
        let minutes: Vec<_> = levels.ring(0).iter().map(Child::open_time).collect();
        let levels = self.levels[index].insert(levels);
        let symbol = slot.symbol;
        let mut scope = Scope { plan: &self.plan, out: &mut self.out, symbol };
        // Longer klines that should have closed with the minute in which it broke.
        levels.follow(&mut scope, 0, &minutes);
        self.mark_changed(index_u32(index));
    }

    /// Items of a batch that came while the worker rested, or in which it broke: all but the
    /// trades. How many of those were lost is for the caller to say.
    pub(crate) fn on_marks(&mut self, feed: FeedId, items: &[Item]) {
        for item in items {
            if !matches!(item, Item::Trade { .. }) {
                self.on_items(feed, std::slice::from_ref(item));
            }
        }
    }

    /// So many trades were dropped unseen.
    pub(crate) fn lose_trades(&mut self, count: u64) {
        self.out.counters.trades_lost += count;
    }
}

/// The open minute as it was left, if it can be one, and never one that closed already.
fn open_minute(old: &Kline, levels: &Levels) -> Kline {
    let newest = levels.newest_minute();
    let next = newest.map(|child| child.open_time().plus(MINUTE_MS));
    let usable = old.validate().is_ok() && minute_of(old.open_time) == old.open_time;
    match (newest, next) {
        (Some(newest), Some(next)) if !usable || old.open_time < next => {
            Kline::flat(next, newest.record.kline.close)
        }
        _ if usable => *old,
        _ => Kline::flat(minute_of(old.open_time), old.close),
    }
}
