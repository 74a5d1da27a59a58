//! What happens to a symbol besides the plain next trade of its open minute.
//!
//! Always true here:
//! - A trade is folded once or dropped and counted; which of them is decided by its id alone.
//! - A minute closes as `Closed` only if the ids show that no trade of it can be missing.
//! - Minutes close one after the other, aligned, none left out: however long nothing was traded.

use klagg_kline::{Kline, KlineStatus, Price, Trade, TradeId, UnixMillis};

use crate::fill::Hole;
use crate::levels::Levels;
use crate::outgoing::Scope;
use crate::symbol::{Cold, Copies, Coverage, Life, MINUTE_MS, Slot, minute_of};
use crate::{Continuity, SequencerConfig};

/// The longest step forward in time that is believed: 400 days. A longer one is a broken clock
/// or a wrong unit, and would close half a million minutes a year.
pub(crate) const STEP_MS_MAX: i64 = 400 * 24 * 3_600_000;
/// The last millisecond of the year 9999.
const TIME_MAX: UnixMillis = UnixMillis(253_402_300_799_999);

/// Whether a time can be a trade's.
pub(crate) fn is_plausible(time: UnixMillis) -> bool {
    (UnixMillis(0)..=TIME_MAX).contains(&time)
}

/// A symbol on the slow path, with all that it needs at hand.
#[derive(Debug)]
pub(crate) struct Desk<'a> {
    pub(crate) slot: &'a mut Slot,
    /// `None`: no minute is open yet.
    pub(crate) levels: &'a mut Option<Levels>,
    pub(crate) cold: &'a mut Cold,
    pub(crate) scope: Scope<'a>,
    pub(crate) rules: SequencerConfig,
}

impl Desk<'_> {
    /// A trade that is not plainly the next of the open minute. `clock` is the feed's time.
    pub(crate) fn on_trade(&mut self, trade: &Trade, clock: Option<UnixMillis>) {
        if trade.id == TradeId(0) && self.is_unheard_listing() {
            // The exchange counts from 0 here.
            self.slot.next_id = trade.id;
        }
        let far = self.levels.is_some() && trade.time.since(self.slot.open.open_time) > STEP_MS_MAX;
        if far || !is_plausible(trade.time) {
            self.scope.out.counters.time_refused += 1;
            return;
        }
        if self.is_of_another_listing(trade) {
            self.doubt_the_name(trade.time);
        }
        let next = self.slot.next_id;
        let counters = &mut self.scope.out.counters;
        if self.cold.coverage == Coverage::Unknown {
            // Where nothing is known, a floor may be: that of what was folded before a restart.
            if trade.id < next {
                counters.duplicates += 1;
            } else {
                self.identify(trade);
            }
            return;
        }
        if trade.id < next && !mutated!(NoDedupe) {
            let straggler = self.cold.gaps.hold(trade.id);
            *(if straggler { &mut counters.stragglers } else { &mut counters.duplicates }) += 1;
        } else if trade.id <= next || mutated!(NoGapDetection) {
            self.apply(trade);
            self.apply_held();
        } else if self.holds() {
            self.hold(trade, clock);
        } else if !self.cold.held.is_empty() {
            // Held since there was another copy: it goes first, for ids never go back.
            self.hold(trade, clock);
            self.release_all();
        } else {
            self.give_up_hole(trade);
            self.apply(trade);
        }
        self.refresh_span();
    }

    /// Whether a hole is held open: where another copy may fill it. Where ids may be left out,
    /// only if there surely is one, for most of the holes are none.
    fn holds(&self) -> bool {
        let may_be_filled = match (self.rules.continuity, self.cold.copies) {
            (_, Copies::One) | (Continuity::Unchecked, Copies::Untold) => false,
            (Continuity::Checked, Copies::Untold) | (_, Copies::Several) => true,
        };
        may_be_filled && self.rules.hold_ms > 0
    }

    /// Whether this is a new listing of which nothing was heard: its ids begin with the next one.
    fn is_unheard_listing(&self) -> bool {
        self.levels.is_none() && self.slot.next_id <= TradeId(1)
    }

    /// Whether ids that are left out mean nothing. After an interruption they do, for then they
    /// may be those of trades that were missed.
    fn may_skip_ids(&self) -> bool {
        self.rules.continuity == Continuity::Unchecked
            && self.cold.coverage == Coverage::Proven
            && !mutated!(RawIdsJudged)
    }

    /// The first trade of a symbol of which no id is known.
    fn identify(&mut self, trade: &Trade) {
        let minute = minute_of(trade.time);
        if self.cold.life == Life::Seeding {
            self.seat_first(trade);
        }
        let is_believed = mutated!(RestartBelieved) && self.slot.next_id == TradeId(1);
        let is_first = trade.id <= TradeId(1) && self.cold.another_since.is_none();
        if is_first || mutated!(CleanMidMinuteStart) || is_believed {
            // A listing's first trade: nothing came before it.
            self.note_listing(trade);
            self.break_until(UnixMillis(minute.0 - 1));
        } else {
            self.break_until(minute);
        }
        // Minutes open since before the first trade close while coverage is still unknown.
        self.advance_to(minute);
        self.apply(trade);
        self.refresh_span();
    }

    /// Remembers the minute of a listing's first trade.
    pub(crate) fn note_listing(&mut self, trade: &Trade) {
        if trade.id <= TradeId(1)
            && self.cold.another_since.is_none()
            && let Some(levels) = self.levels
        {
            levels.set_listed_at(minute_of(trade.time));
        }
    }

    /// Folds the trade whose id is next.
    pub(crate) fn apply(&mut self, trade: &Trade) {
        let minute = minute_of(trade.time);
        self.slot.next_id = trade.id.next();
        let is_proof = trade.time > self.cold.doubted_until;
        self.cold.coverage = if is_proof { Coverage::Proven } else { Coverage::Interrupted };
        if self.levels.is_none() {
            self.seat_first(trade);
        }
        self.cold.life = Life::Live;
        if self.cold.has_unproven {
            self.prove_before(minute);
        }
        if minute < self.slot.open.open_time {
            self.amend(minute, trade);
            return;
        }
        self.advance_to(minute);
        self.slot.open.fold(trade);
        self.scope.out.counters.trades += 1;
    }

    /// Opens a symbol's first minute. Those before its first trade prove nothing without a price.
    fn seat_first(&mut self, trade: &Trade) {
        let minute = minute_of(trade.time);
        // Nothing came before a listing's first trade.
        let from = if trade.id <= TradeId(1) { minute } else { self.told_from(minute) };
        // The first trade of another minute says nothing of the price at which this one stands.
        let price = self.known_close().filter(|_| from != minute);
        if price.is_none() {
            self.break_until(UnixMillis(minute.0 - 1));
        }
        self.seat(from, price.unwrap_or(trade.price));
        self.note_listing(trade);
    }

    /// Opens the minute, flat at `price`, without closing any.
    pub(crate) fn seat(&mut self, minute: UnixMillis, price: Price) {
        match &mut *self.levels {
            Some(levels) => levels.reseat(self.scope.plan, minute),
            empty @ None => *empty = Some(Levels::new(self.scope.plan, minute)),
        }
        self.slot.open = Kline::flat(minute, price);
    }

    /// The open minute, if one is open.
    pub(crate) fn position(&self) -> Option<UnixMillis> {
        self.levels.as_ref().map(|_| self.slot.open.open_time)
    }

    /// The minute with which a symbol begins of which something is heard in `minute`: those that
    /// passed unheard since it was to be told of are not left out.
    pub(crate) fn told_from(&self, minute: UnixMillis) -> UnixMillis {
        let told_from = self.cold.told_from.filter(|&from| minute.since(from) <= STEP_MS_MAX);
        let from = told_from.map_or(minute, |from| from.min(minute));
        self.position().map_or(from, |position| position.max(from))
    }

    /// The last price that is known, as far as nothing was heard.
    fn known_close(&self) -> Option<Price> {
        self.position().map(|_| self.slot.open.close).or(self.cold.previous_close)
    }

    /// Closes the open minute and all before `minute`.
    pub(crate) fn advance_to(&mut self, minute: UnixMillis) {
        while self.slot.open.open_time < minute {
            self.close_minute();
        }
    }

    fn close_minute(&mut self) {
        let Some(levels) = self.levels else { return };
        let coverage = self.cold.coverage;
        let minute = self.slot.open.open_time;
        self.cold.has_unproven |=
            coverage == Coverage::Interrupted && minute > self.slot.broken_until;
        let end = self.slot.close(levels, &mut self.scope, coverage);
        self.slot.open = Kline::flat(end, self.slot.open.close);
    }

    /// Carries changed minutes, ascending, on to the flat minutes behind them and to the longer
    /// klines that hold them.
    pub(crate) fn follow_minutes(&mut self, mut changed: Vec<UnixMillis>) {
        let Some(levels) = self.levels else { return };
        for minute in changed.clone() {
            let price = levels.reprice(&mut self.scope, (minute, None), &mut changed);
            if let Some(price) = price.filter(|_| self.slot.open.is_flat()) {
                self.slot.open = Kline::flat(self.slot.open.open_time, price);
            }
        }
        changed.sort_unstable();
        changed.dedup();
        levels.follow(&mut self.scope, 0, &changed);
    }

    /// The ids show that no trade before `minute` was missed: what was closed unproven is closed.
    fn prove_before(&mut self, minute: UnixMillis) {
        let Some(levels) = self.levels else { return };
        let mut proven = Vec::new();
        self.cold.has_unproven = false;
        for child in levels.ring(0).iter_mut().filter(|child| child.unproven) {
            if child.open_time() >= minute {
                self.cold.has_unproven = true;
                break;
            }
            child.unproven = false;
            child.record.status = child.record.status.max(KlineStatus::Closed);
            self.scope.emit(0, &child.record);
            proven.push(child.open_time());
        }
        levels.follow(&mut self.scope, 0, &proven);
    }

    /// Takes `trade` as the next one although ids before it are missing: every minute from the
    /// last trade to this one is provisional, whether closed since or not yet. Unless the ids that
    /// are left out mean nothing.
    pub(crate) fn give_up_hole(&mut self, trade: &Trade) {
        let next = self.slot.next_id;
        debug_assert!(trade.id > next);
        if self.may_skip_ids() {
            self.slot.next_id = trade.id;
            return;
        }
        let counters = &mut self.scope.out.counters;
        counters.gaps += 1;
        counters.gap_trades += trade.id.0.abs_diff(next.0);
        let (symbol, last) = (self.slot.symbol, TradeId(trade.id.0 - 1));
        let minute = minute_of(trade.time);
        let open = &self.slot.open;
        let holds_last = open.has_ids() && open.last_id.next() == next;
        let from = if self.is_unheard_listing() {
            minute
        } else if holds_last {
            open.open_time
        } else {
            UnixMillis(i64::MIN)
        };
        // Raw ids have holes that no trade will ever fill.
        let can_be_filled = self.rules.continuity == Continuity::Checked && from == minute;
        let hole = Hole { symbol, first: next, last, minute: can_be_filled.then_some(minute) };
        self.cold.gaps.add(hole, from, minute);
        self.scope.out.tell_hole(hole);
        let broken = if mutated!(GapMinuteClean) { UnixMillis(i64::MIN) } else { minute };
        self.slot.broken_until = self.slot.broken_until.max(broken);
        if let Some(levels) = self.levels {
            levels.ring(0).iter_mut().for_each(|child| child.unproven = false);
        }
        self.cold.has_unproven = false;
        self.slot.next_id = trade.id;
        self.cold.coverage = Coverage::Proven;
    }

    /// Minutes up to this one are provisional, whatever comes.
    pub(crate) fn break_until(&mut self, minute: UnixMillis) {
        self.cold.gaps.break_until(minute);
        self.slot.broken_until = self.slot.broken_until.max(minute);
    }

    /// The feed was cut off. What is held came before that: folded later, it would prove what is
    /// doubtful from now on.
    pub(crate) fn on_interrupted(&mut self) {
        self.release_all();
        if self.cold.coverage == Coverage::Proven && !mutated!(InterruptionIgnored) {
            self.cold.coverage = Coverage::Interrupted;
        }
        self.refresh_span();
    }

    /// Exchange time on the feed has passed: `boundary` is the first minute not to be closed,
    /// `now` the time itself. Whether anything changed.
    pub(crate) fn on_time(&mut self, boundary: UnixMillis, now: UnixMillis) -> bool {
        match self.cold.life {
            Life::Seeding => {
                let Some(price) = self.known_close() else { return false };
                let from = self.told_from(minute_of(now));
                if self.position() != Some(from) {
                    self.seat(from, price);
                }
                self.cold.life = Life::Live;
                self.advance_to(boundary);
            }
            Life::Live => {
                // What is held may belong into a minute that has passed: it goes first.
                if !self.cold.held.is_empty() || self.slot.open.open_time >= boundary {
                    return false;
                }
                if boundary.since(self.slot.open.open_time) > STEP_MS_MAX {
                    self.scope.out.counters.time_refused += 1;
                    return false;
                }
                self.advance_to(boundary);
            }
        }
        self.refresh_span();
        true
    }

    /// Says whether the next trade may be folded without coming here.
    pub(crate) fn refresh_span(&mut self) {
        // Where ids may be left out, the fold by two comparisons would take the newer trade of one
        // copy and drop the older one of the other.
        let skips = self.rules.continuity == Continuity::Unchecked && self.holds();
        let plain = self.cold.life == Life::Live
            && !skips
            && self.cold.coverage == Coverage::Proven
            && self.cold.held.is_empty()
            && !self.cold.has_unproven
            && !self.slot.open.is_flat();
        self.slot.span = if plain { MINUTE_MS.unsigned_abs() } else { 0 };
    }
}
