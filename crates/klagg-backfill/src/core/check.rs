//! Once a day, one official hour and one official day of each symbol against our folds of
//! confirmed minutes: a check of everything that confirmation of minutes cannot see.
//!
//! Always true here: a fold that differs is counted and said, and all that it was made of is
//! fetched anew. It is paid for out of what confirmation may spend, after everything else.

use klagg_binance::Priority;
use klagg_kline::{Kline, KlineStatus, Period, SymbolId, UnixMillis};

use super::{Asked, BackfillCore, Owner, Subject};
use crate::action::{Action, Notice};
use crate::event::Now;
use crate::pages::Page;

/// What is checked.
const CHECKED: [Period; 2] = [Period::H1, Period::D1];
const DAY_MS: i64 = 24 * 3_600_000;
/// How long after midnight the first symbols are checked, when the day is surely confirmed.
const AFTER_MIDNIGHT_MS: i64 = 30 * 60_000;

/// When a symbol is next checked: each day at the same time, spread over the day by its number.
pub(super) fn next_check(symbol: SymbolId, now: UnixMillis) -> UnixMillis {
    // A multiplier without small factors sends neighbours far apart.
    let spread = i64::from(symbol.0.wrapping_mul(2_654_435_761) >> 8);
    let offset = AFTER_MIDNIGHT_MS + spread * (DAY_MS - AFTER_MIDNIGHT_MS) / (1 << 24);
    let midnight = Period::D1.open_time(now);
    let today = midnight.plus(offset);
    if today > now { today } else { today.plus(DAY_MS) }
}

impl BackfillCore {
    /// Finds out which symbols are to be checked.
    pub(super) fn find_checks(&mut self, now: Now) {
        for state in self.states.values_mut() {
            let Some(confirmed) = state.anchor else { continue };
            if state.check_at.is_none_or(|at| now.exchange < at) {
                continue;
            }
            state.check_at = Some(next_check(state.id, now.exchange));
            for period in CHECKED {
                let Some(index) = self.config.periods.index_of(period) else { continue };
                // The newest one all of whose minutes are confirmed.
                let until = period.open_time(confirmed);
                let from = period.open_time(until.plus(-1));
                let page = Page { period, from, until, klines: 1 };
                self.checks.push_back((state.id, index, page));
            }
        }
    }

    /// Asks for klines to be checked, as far as `room` and the budget of confirmation go.
    pub(super) fn issue_checks(&mut self, now: Now, room: usize, actions: &mut Vec<Action>) {
        let mut issued = 0;
        while issued < room
            && let Some(&(symbol, index, page)) = self.checks.front()
        {
            if !self.is_fold_confirmed(symbol, index, page.from) {
                self.checks.pop_front();
                self.count(|counts| counts.checks_skipped += 1);
            } else if self.spend_settled(now, page) {
                self.checks.pop_front();
                issued += 1;
                let (subject, owner) = (Subject::Klines { index, page }, Owner::Check);
                self.ask(Asked { symbol, subject, owner, priority: Priority::Normal }, actions);
            } else {
                return;
            }
        }
    }

    fn is_fold_confirmed(&self, symbol: SymbolId, index: usize, open_time: UnixMillis) -> bool {
        let ours = self.history.get(symbol, index, open_time);
        ours.is_some_and(|record| record.status == KlineStatus::Confirmed)
    }

    /// Compares the official kline with ours.
    pub(super) fn on_check(
        &mut self,
        now: Now,
        symbol: SymbolId,
        (index, page): (usize, Page),
        klines: &[Kline],
        actions: &mut Vec<Action>,
    ) {
        let [official] = klines else {
            self.count(|counts| counts.checks_skipped += 1);
            return;
        };
        let ours = self.history.get(symbol, index, page.from);
        let Some(ours) = ours.filter(|_| official.open_time == page.from) else {
            self.count(|counts| counts.checks_skipped += 1);
            return;
        };
        if ours.kline.same_values(official) {
            self.count(|counts| counts.checks_equal += 1);
            return;
        }
        self.count(|counts| counts.checks_different += 1);
        let Some(state) = self.states.get_mut(&symbol) else { return };
        let (name, period, open_time) = (state.name.clone(), page.period, page.from);
        state.held.forget(page.from, page.until);
        // Where something is doubtful the exchange itself is asked.
        state.leave_files(page.from, now.exchange);
        actions.push(Action::Say(Notice::FoldDiffers { name, period, open_time }));
    }
}
