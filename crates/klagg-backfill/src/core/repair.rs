//! Small holes of watched symbols and of new listings, filled trade by trade: exact within seconds
//! instead of after the minute is over.
//!
//! Always true here:
//! - What is not worth it, not allowed or does not work is left to the klines, which repair every
//!   provisional minute anyway.
//! - Trades leave half of the weight to the klines, however many holes are told of at once.

use klagg_binance::{AGG_TRADES_LIMIT_MAX, AGG_TRADES_WEIGHT, Priority};
use klagg_engine::Hole;
use klagg_kline::{KlineStatus, Trade, TradeId};

use super::{Asked, BackfillCore, Owner, Subject};
use crate::action::Action;
use crate::reply::check_trades;

/// Holes that may wait for their request; further ones are left to the klines.
const REPAIRS_MAX: usize = 64;

impl BackfillCore {
    pub(super) fn on_hole(&mut self, hole: Hole) {
        let worth = self.is_worth_trades(&hole) && self.repairs.len() < REPAIRS_MAX;
        self.count(|counts| {
            counts.holes += 1;
            counts.holes_left += u64::from(!worth);
        });
        if worth && let Some(state) = self.states.get_mut(&hole.symbol) {
            state.repaired_until = Some(hole.last);
            self.repairs.push_back(hole);
        }
    }

    /// Whether a hole is asked for trade by trade: a page of trades costs twenty pages of klines.
    fn is_worth_trades(&self, hole: &Hole) -> bool {
        let Some(state) = self.states.get(&hole.symbol) else { return false };
        // Told twice, it is asked for once.
        let is_new = state.repaired_until.is_none_or(|until| until < hole.first);
        is_new
            && self.is_trades_cheap(self.repairs.len())
            // Of a new listing nothing else is known yet.
            && (self.is_watched(state) || hole.first <= TradeId(1))
            && hole.trades() <= u64::from(AGG_TRADES_LIMIT_MAX)
            && self.is_open_to_repair(hole)
    }

    /// Whether another page of trades leaves enough for klines, with so many that wait. Those that
    /// were asked for may be waiting for their weight as well.
    fn is_trades_cheap(&self, waiting: usize) -> bool {
        let asked = self.asked.values().filter(|asked| asked.owner == Owner::Repair).count();
        let pages = u32::try_from(asked + waiting).unwrap_or(u32::MAX);
        let weight = &self.progress.weight;
        let used = weight.used.saturating_add(pages.saturating_mul(AGG_TRADES_WEIGHT));
        used < weight.allowance / 2 && weight.blocked_until.is_none()
    }

    /// Whether the hole lies in one minute that is not confirmed yet.
    fn is_open_to_repair(&self, hole: &Hole) -> bool {
        hole.minute.is_some_and(|minute| {
            let held = self.history.get(hole.symbol, 0, minute);
            held.is_none_or(|record| record.status < KlineStatus::Confirmed)
        })
    }

    /// Asks for the trades of holes, as far as `room` goes; gives how many.
    pub(super) fn issue_repairs(&mut self, room: usize, actions: &mut Vec<Action>) -> usize {
        let mut issued = 0;
        while issued < room
            && let Some(hole) = self.repairs.pop_front()
        {
            // It may have waited for long.
            if !self.is_open_to_repair(&hole) || !self.is_trades_cheap(0) {
                self.count(|counts| counts.holes_left += 1);
                continue;
            }
            issued += 1;
            let (symbol, subject) = (hole.symbol, Subject::Trades(hole));
            let (owner, priority) = (Owner::Repair, Priority::Normal);
            self.ask(Asked { symbol, subject, owner, priority }, actions);
        }
        issued
    }

    /// Takes the trades that were asked for, if they are exactly those that the hole lacks.
    pub(super) fn on_trades(&mut self, hole: &Hole, trades: Vec<Trade>, actions: &mut Vec<Action>) {
        if check_trades(hole, &trades).is_err() {
            self.count(|counts| counts.holes_left += 1);
            return;
        }
        let count = trades.len() as u64;
        self.count(|counts| {
            counts.holes_filled += 1;
            counts.trades_fetched += count;
        });
        actions.push(Action::Fill { symbol: hole.symbol, trades });
    }
}
