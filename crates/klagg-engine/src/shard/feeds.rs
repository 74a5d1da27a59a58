//! What concerns all symbols of a feed: its time, its interruptions, its copies.

use klagg_kline::{SymbolId, UnixMillis};

use super::{Shard, index_u32};
use crate::FeedId;
use crate::sequencer::{Desk, STEP_MS_MAX, is_plausible};
use crate::symbol::{Cold, Copies, minute_of};

/// What is known of a feed.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct FeedClock {
    pub(super) time: Option<UnixMillis>,
    /// Minutes before this one are closed.
    pub(super) boundary: UnixMillis,
    pub(super) copies: Copies,
}

impl Shard {
    /// Exchange time was seen on a feed: minutes of its symbols that ended before it by the grace
    /// are closed. Earlier times than already seen are ignored.
    pub fn on_watermark(&mut self, feed: FeedId, time: UnixMillis) {
        let clock = self.clock(feed);
        let far = clock.time.is_some_and(|seen| time.since(seen) > STEP_MS_MAX);
        if far || !is_plausible(time) {
            self.out.counters.time_refused += 1;
            return;
        }
        if clock.time.is_some_and(|seen| time <= seen) {
            return;
        }
        clock.time = Some(time);
        self.exchange_time = self.exchange_time.max(Some(time));
        self.release_held(feed, time);
        let early = if mutated!(NoGrace) { 2_000 } else { 0 };
        let early = if mutated!(GraceTooLong) { -20_000 } else { early };
        let boundary = minute_of(time.plus(early - self.close_grace_ms));
        let clock = self.clock(feed);
        if boundary <= clock.boundary {
            return;
        }
        clock.boundary = boundary;
        self.for_each_of(feed, |desk| desk.on_time(boundary, time));
    }

    /// A feed was cut off: what its symbols' open minutes hold is unproven until their next trade
    /// shows that none is missing.
    pub fn on_interrupted(&mut self, feed: FeedId) {
        self.out.counters.interruptions += 1;
        let FeedClock { time, boundary, .. } = *self.clock(feed);
        self.for_each_of(feed, |desk| {
            let held = !desk.cold.held.is_empty();
            desk.on_interrupted();
            if held {
                // Minutes that waited for what was held.
                desk.on_time(boundary, time.unwrap_or_default());
            }
            held
        });
    }

    /// Nothing comes over any copy of a feed, and its time stands: none is about to fill a hole,
    /// and what is held behind one does not wait for a time that may not come for long.
    pub fn on_quiet(&mut self, feed: FeedId) {
        if !mutated!(QuietUnheard) {
            self.release_held(feed, UnixMillis(i64::MAX));
        }
    }

    /// So many copies of a feed deliver from now on.
    pub fn on_copies(&mut self, feed: FeedId, count: u16) {
        let copies = if count > 1 { Copies::Several } else { Copies::One };
        self.clock(feed).copies = copies;
        self.for_each_of(feed, |desk| {
            desk.cold.copies = copies;
            desk.refresh_span();
            false
        });
    }

    /// Trades of a symbol may be missing although its feed delivers. `heard` is when the newest one
    /// that came was sent: it and those before it, which may not be here yet, prove nothing.
    pub fn doubt_symbol(&mut self, symbol: SymbolId, heard: UnixMillis) {
        let (worker, index) = self.route.place(symbol);
        if worker == self.worker
            && let Some((mut desk, _)) = self.desk(index)
        {
            desk.cold.doubted_until = heard;
            desk.on_interrupted();
            self.mark_changed(index);
        }
    }

    /// Another listing has had the name of a symbol since then: what comes under it proves nothing
    /// of this one, until an official kline shows that the name is its own after all.
    pub fn doubt_name(&mut self, symbol: SymbolId, since: UnixMillis) {
        let (worker, index) = self.route.place(symbol);
        if worker == self.worker
            && let Some((mut desk, _)) = self.desk(index)
        {
            desk.doubt_the_name(since);
            self.mark_changed(index);
        }
    }

    pub(super) fn clock(&mut self, feed: FeedId) -> &mut FeedClock {
        let index = usize::from(feed.0);
        if self.feeds.len() <= index {
            self.feeds.resize(index + 1, FeedClock::default());
        }
        &mut self.feeds[index]
    }

    /// Calls `act` on every symbol of a feed and marks those for which it says so.
    fn for_each_of(&mut self, feed: FeedId, mut act: impl FnMut(&mut Desk<'_>) -> bool) {
        for index in 0..self.cold.len() {
            let is_other = |cold: &Cold| cold.feed != feed && !mutated!(ClosedTooEarly);
            if self.cold[index].as_deref().is_none_or(is_other) {
                continue;
            }
            let index = index_u32(index);
            if self.desk(index).is_some_and(|(mut desk, _)| act(&mut desk)) {
                self.mark_changed(index);
            }
        }
    }

    /// Gives up the holes of a feed that were to be waited for until `until`.
    fn release_held(&mut self, feed: FeedId, until: UnixMillis) {
        let mut at = 0;
        while at < self.holding.len() {
            let index = self.holding[at];
            let Some((mut desk, clock)) = self.desk(index) else {
                self.holding.swap_remove(at);
                continue;
            };
            if desk.cold.feed != feed || !desk.release_until(until) {
                at += 1;
                continue;
            }
            desk.on_time(clock.boundary, clock.time.unwrap_or_default());
            self.holding.swap_remove(at);
            self.mark_changed(index);
        }
    }
}
