//! A trade of a minute that is closed already.

use klagg_kline::{Kline, KlineStatus, Trade, UnixMillis};

use crate::sequencer::Desk;
use crate::symbol::MINUTE_MS;

impl Desk<'_> {
    /// Folds a trade into a minute that is closed already, if that is still kept and not final.
    pub(crate) fn amend(&mut self, minute: UnixMillis, trade: &Trade) {
        let Some(levels) = self.levels else { return };
        let Some(child) = levels.ring(0).find(minute) else {
            self.scope.out.counters.late_dropped += 1;
            self.stand_at(trade);
            return;
        };
        let kline = &child.record.kline;
        let places = kline.is_flat() || (kline.has_ids() && trade.id > kline.last_id);
        let is_final = child.record.status == KlineStatus::Confirmed;
        if (!places || is_final) && !mutated!(ConfirmedAmended) {
            self.scope.out.counters.late_dropped += 1;
            return;
        }
        if child.record.status == KlineStatus::Closed && minute <= self.slot.broken_until {
            // A hole that came to light after the minute closed: with this trade and without those
            // before it, it would be whole by its status and not by its ids. It stays what could be
            // known when it closed, until klines repair it.
            self.scope.out.counters.late_dropped += 1;
            self.stand_behind(minute, trade);
            return;
        }
        child.record.kline.fold(trade);
        child.record.revision = child.record.revision.saturating_add(1);
        let record = child.record;
        self.scope.emit(0, &record);
        let counters = &mut self.scope.out.counters;
        counters.trades += 1;
        counters.late_amended += 1;
        counters.corrected += 1;
        self.follow_minutes(vec![minute]);
    }

    /// Flat minutes behind that of `trade`, which is not folded, stand at its price all the same.
    fn stand_behind(&mut self, minute: UnixMillis, trade: &Trade) {
        let Some(levels) = self.levels else { return };
        let mut changed = Vec::new();
        let behind = (minute.plus(MINUTE_MS), Some(trade.price));
        let price = levels.reprice(&mut self.scope, behind, &mut changed);
        if let Some(price) = price.filter(|_| self.slot.open.is_flat()) {
            self.slot.open = Kline::flat(self.slot.open.open_time, price);
        }
        levels.follow(&mut self.scope, 0, &changed);
    }

    /// The first trade that is seen may be one of the minute before, which was never open here. It
    /// cannot be told of, but nothing came after it: a flat open minute stands at its price.
    fn stand_at(&mut self, trade: &Trade) {
        if self.slot.open.is_flat() && trade.time >= self.cold.close_known_at {
            self.slot.open = Kline::flat(self.slot.open.open_time, trade.price);
        }
    }
}
