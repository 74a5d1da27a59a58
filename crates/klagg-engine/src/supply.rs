//! Closed klines from outside: seeds before the first trade, repairs and confirmations after it.
//!
//! - Before anything is seen of a symbol, they say where its open minute stands and at which
//!   price. They are not events: nobody is told of them but by the longer klines made of them.
//! - Later, one that supersedes what is kept replaces it and is told; the longer klines that hold
//!   it are made again. Minutes that the shard has not reached yet are taken and move it forward.
//! - Trades of the open minute are never replaced by a kline that is only closed: it may lack some
//!   of them. A confirmed one ends the minute, although the feed's time has not reached its end.

use klagg_kline::{Kline, KlineRecord, KlineStatus, Period, UnixMillis};

use crate::levels::{Child, Closing};
use crate::sequencer::{Desk, STEP_MS_MAX, is_plausible};
use crate::symbol::{Coverage, Life, MINUTE_MS, minute_of};

impl Desk<'_> {
    /// Takes over records of the period `index`. `clock` is the feed's time, and `boundary` the
    /// first minute that is not to be closed by it.
    pub(crate) fn supply(
        &mut self,
        index: usize,
        records: &[KlineRecord],
        (boundary, clock): (UnixMillis, Option<UnixMillis>),
    ) {
        let period = self.scope.plan.rungs[index].period;
        let mut records: Vec<KlineRecord> = records.to_vec();
        let count = records.len();
        records.retain(|record| is_fit(record, period));
        self.scope.out.counters.supply_refused += (count - records.len()) as u64;
        records.sort_by_key(|record| record.kline.open_time);
        let Some(newest) = records.last().copied() else { return };
        if index == 0 {
            self.believe_the_name(&newest);
        }
        let begins = self.cold.life == Life::Seeding;
        if begins {
            self.seed(index, &newest, clock);
        } else if index == 0 {
            self.move_forward(&mut records);
        }
        let changed: Vec<_> =
            records.iter().filter_map(|record| self.take(index, record)).collect();
        if !changed.is_empty() {
            self.know_close(index, &newest);
            match (index, &mut *self.levels) {
                (0, _) => self.follow_minutes(changed),
                (_, Some(levels)) => levels.follow(&mut self.scope, index, &changed),
                (_, None) => {}
            }
        }
        if begins && self.cold.life == Life::Live {
            self.advance_to(boundary);
        }
        self.refresh_span();
    }

    /// Opens the minute behind the newest kline known, or if the feed's time is later, the one with
    /// which the symbol begins.
    fn seed(&mut self, index: usize, newest: &KlineRecord, clock: Option<UnixMillis>) {
        let end = self.scope.plan.rungs[index].end(newest.kline.open_time);
        let mut minute = self.position().unwrap_or(end).max(end);
        if let Some(clock) = clock {
            minute = minute.max(self.told_from(minute_of(clock)));
            self.cold.life = Life::Live;
        }
        let price = match self.position() {
            Some(_) if end < self.cold.close_known_at => self.slot.open.close,
            _ => newest.kline.close,
        };
        if self.position().is_none_or(|position| position < minute) {
            self.seat(minute, price);
        }
    }

    /// While no trade was seen, the open minute is flat at the latest close known.
    fn know_close(&mut self, index: usize, newest: &KlineRecord) {
        let end = self.scope.plan.rungs[index].end(newest.kline.open_time);
        let unseen = self.cold.coverage != Coverage::Proven && self.slot.open.is_flat();
        // A later minute knows better: what was traded in it, or what the exchange says of it.
        let knows = |child: &Child| {
            let KlineRecord { kline, status, .. } = child.record;
            kline.open_time >= end && (!kline.is_flat() || status == KlineStatus::Confirmed)
        };
        let minutes = self.levels.iter_mut().flat_map(|levels| levels.ring(0).iter());
        let unseen = unseen && !minutes.into_iter().any(knows);
        if unseen && end >= self.cold.close_known_at && end <= self.slot.open.open_time {
            self.slot.open = Kline::flat(self.slot.open.open_time, newest.kline.close);
            self.cold.close_known_at = end;
        }
    }

    /// Takes minutes that the shard has not closed yet out of `records`, and moves on behind
    /// them. What passed unseen is unproven until the next trade's id. One that ends the open
    /// minute with the trades that it holds stays in `records`: it is to be compared with them.
    fn move_forward(&mut self, records: &mut Vec<KlineRecord>) {
        records.retain(|record| {
            let minute = record.kline.open_time;
            let end = minute.plus(MINUTE_MS);
            let position = self.slot.open.open_time;
            let holds_trades = minute == position && !self.slot.open.is_flat();
            let refused = minute.since(position) > STEP_MS_MAX
                || (holds_trades && record.status != KlineStatus::Confirmed);
            if minute < position || refused {
                return true;
            }
            // Of the open minute itself it may show that none of its trades passed unseen.
            let shows_all = minute == position
                && record.status == KlineStatus::Confirmed
                && holds_nothing_else(&record.kline, &self.slot.open);
            if self.cold.coverage == Coverage::Proven && !shows_all {
                self.cold.coverage = Coverage::Interrupted;
            }
            if holds_trades {
                self.advance_to(end);
                return true;
            }
            self.advance_to(minute);
            if let Some(levels) = &mut *self.levels {
                let KlineRecord { kline, revision, status } = record;
                let (revision, status) = (*revision, *status);
                let closing = Closing { kline, revision, status, unproven: false, end };
                levels.close(&mut self.scope, 0, &closing);
            }
            self.slot.open = Kline::flat(end, record.kline.close);
            self.scope.out.counters.supplied += 1;
            false
        });
    }

    /// Puts one record into its ring. Its open time, if anything changed.
    fn take(&mut self, index: usize, record: &KlineRecord) -> Option<UnixMillis> {
        let open_time = record.kline.open_time;
        let counters = &mut self.scope.out.counters;
        let levels = self.levels.as_mut()?;
        if self.scope.plan.rungs[index].end(open_time) > self.slot.open.open_time {
            counters.supply_refused += 1;
            return None;
        }
        if !levels.keeps(index, open_time) {
            counters.supply_ignored += 1;
            return None;
        }
        let Some(held) = levels.ring(index).find(open_time) else {
            let placed = levels.ring(index).insert(Child::settled(*record));
            *(if placed { &mut counters.supplied } else { &mut counters.supply_ignored }) += 1;
            return placed.then_some(open_time);
        };
        let Some(mut better) = record.superseding(&held.record) else {
            counters.supply_ignored += 1;
            return None;
        };
        if !better.kline.same_values(&held.record.kline) {
            counters.corrected += 1;
        } else if held.record.kline.has_ids() {
            better.kline = held.record.kline;
        }
        *held = Child::settled(better);
        counters.supplied += 1;
        self.scope.emit(index, &better);
        Some(open_time)
    }
}

/// Whether an official kline holds what ours holds, and nothing else. Ids that were burnt, within a
/// trade, count in ours alone.
fn holds_nothing_else(official: &Kline, ours: &Kline) -> bool {
    let trade_count = ours.trade_count;
    official.trade_count <= trade_count && Kline { trade_count, ..*official }.same_values(ours)
}

/// Whether a record can be one of closed klines of `period`.
fn is_fit(record: &KlineRecord, period: Period) -> bool {
    let open_time = record.kline.open_time;
    !record.status.is_open()
        && is_plausible(open_time)
        && period.open_time(open_time) == open_time
        && record.kline.validate().is_ok()
}
