//! Closed minutes against the exchange's own, for ever; and the seam, which is the first round.
//!
//! Always true here:
//! - What is not known to be right goes first: the seam, then provisional minutes; what is settled
//!   only waits for its stamp, and is paid for out of a tenth of the exchange's limit.
//! - When that does not suffice, every wait grows alike: nobody is left out, since whose wait
//!   ended first goes first.

use std::collections::BTreeSet;
use std::time::Duration;

use klagg_binance::{Priority, WeightBudget, klines_weight};
use klagg_engine::{ChangedKline, HistoryQuery, Keep};
use klagg_kline::{KlineRecord, KlineStatus, Period, SymbolId, UnixMillis};

use super::check::next_check;
use super::stages::Seam;
use super::{Asked, BackfillCore, Owner, Subject};
use crate::action::{Action, Notice};
use crate::cheapest::cheapest;
use crate::config::Confirmation;
use crate::event::Now;
use crate::pages::Page;
use crate::plan::Depth;
use crate::state::SymbolState;

/// After so many pages in a row that were not what was asked for, a symbol holds nobody up.
const ODD_PAGES_MAX: u32 = 3;
/// How long the last minutes of a symbol that has ended are waited for, in milliseconds.
const LAST_MINUTES_MS: i64 = 15 * 60_000;
/// Minutes of a symbol that are looked at for doubtful ones.
const DOUBTFUL_MAX: usize = 128;
/// What ended so long before is settled, in milliseconds.
const UNSETTLED_MS: i64 = 5 * 60_000;
/// Changes of the history that are read at once.
const CHANGES_MAX: usize = 4_096;
/// How long a settled minute of a symbol that people look at waits at most, in milliseconds.
const WATCHED_WAIT_MS: i64 = 60_000;
/// How long a settled minute waits at least while history is arriving, in milliseconds.
const ARRIVING_WAIT_MS: i64 = 15 * 60_000;
/// The part of the exchange's limit that confirmation of settled minutes may use.
const SETTLED_PERCENT: u8 = 10;

/// A page worth confirming.
#[derive(Debug, Clone, Copy)]
pub(super) struct Due {
    urgency: Urgency,
    symbol: SymbolId,
    page: Page,
}

/// Doubtful minutes first, watched ones before others; then whose wait ended first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Urgency {
    is_settled: bool,
    is_unwatched: bool,
    wait_ended: UnixMillis,
}

impl BackfillCore {
    /// Begins to follow the minutes of a symbol whose newest klines have been fetched.
    pub(super) fn begin_watch(&mut self, now: Now, symbol: SymbolId) {
        let until = Period::M1.open_time(self.settled(now));
        let Some(state) = self.states.get(&symbol) else { return };
        let from = self.wanted(state, Depth::Recent, now).span(0).from.min(until);
        let anchor = state.held.of(0).run_until(from);
        if let Some(state) = self.states.get_mut(&symbol) {
            state.anchor.get_or_insert(anchor);
            state.is_doubtful = true;
            state.check_at.get_or_insert(next_check(symbol, now.exchange));
        }
    }

    /// Looks for what is to be confirmed, and says how far it is.
    pub(super) fn look(&mut self, now: Now, actions: &mut Vec<Action>) {
        let until = Period::M1.open_time(self.settled(now));
        self.note_doubtful();
        self.leave_ended(until, actions);
        let (mut unconfirmed, mut confirmed_until) = (0, None);
        for state in self.states.values_mut() {
            let Some(anchor) = state.anchor else { continue };
            let run = state.held.of(0).run_until(anchor);
            state.anchor = Some(run);
            unconfirmed += usize::from(run < until);
            confirmed_until = Some(confirmed_until.map_or(run, |least: UnixMillis| least.min(run)));
        }
        let before = (self.progress.unconfirmed_symbols, self.progress.confirmed_until);
        if before != (unconfirmed, confirmed_until) {
            self.tell(|progress| {
                progress.unconfirmed_symbols = unconfirmed;
                progress.confirmed_until = confirmed_until;
            });
        }
        self.find_due(now, until);
        self.find_checks(now);
    }

    /// Marks symbols of which a kline may have become provisional since the last look.
    fn note_doubtful(&mut self) {
        let mut changes: Vec<ChangedKline> = Vec::new();
        loop {
            changes.clear();
            let cursor = self.history.changes_since(self.changes_seen, &mut changes, CHANGES_MAX);
            let is_more = cursor.next > self.changes_seen;
            self.changes_seen = cursor.next;
            if cursor.lost {
                // Too many to be told one by one: any symbol may be among them.
                self.states.values_mut().for_each(|state| state.is_doubtful = true);
            }
            for change in &changes {
                let period_index = usize::from(change.period_index);
                let record = self.history.get(change.symbol, period_index, change.open_time);
                let doubtful = record.is_some_and(|of| of.status == KlineStatus::Provisional);
                if doubtful && let Some(state) = self.states.get_mut(&change.symbol) {
                    state.is_doubtful = true;
                }
            }
            if !is_more || changes.len() < CHANGES_MAX {
                return;
            }
        }
    }

    fn leave_ended(&mut self, until: UnixMillis, actions: &mut Vec<Action>) {
        self.states.retain(|_, state| {
            let Some(ends_at) = state.ends_at else { return true };
            let all = state.is_refused || state.anchor.is_some_and(|anchor| anchor >= ends_at);
            let late = !all && until.since(ends_at) > LAST_MINUTES_MS;
            if late {
                let name = state.name.clone();
                actions.push(Action::Say(Notice::LastMinutesMissing { name }));
            }
            !all && !late
        });
    }

    /// Finds the pages that are due, most urgent first.
    fn find_due(&mut self, now: Now, until: UnixMillis) {
        let mut due: Vec<Due> = Vec::new();
        let mut clear: Vec<SymbolId> = Vec::new();
        let asked: BTreeSet<SymbolId> = self
            .asked
            .values()
            .filter(|asked| !matches!(asked.owner, Owner::Pass(_)))
            .map(|asked| asked.symbol)
            .collect();
        for state in self.states.values() {
            let Some(anchor) = state.anchor else { continue };
            let until = state.ends_at.map_or(until, |ends_at| until.min(ends_at));
            let is_nothing = state.nothing_until >= Some(until) && state.is_unknown();
            let may_be_asked = !asked.contains(&state.id) && self.has_its_name(state.id, now);
            if state.retry_at > now.local || anchor >= until || !may_be_asked || is_nothing {
                continue;
            }
            let is_doubtful = state.is_doubtful && self.is_doubtful(state.id, anchor, until);
            // What closed a moment ago is not settled yet: it is looked at again.
            let soon = until.plus(UNSETTLED_MS);
            if state.is_doubtful && !is_doubtful && !self.is_doubtful(state.id, anchor, soon) {
                clear.push(state.id);
            }
            let Some(urgency) = self.urgency(state, is_doubtful, (anchor, until)) else { continue };
            let missing = state.held.of(0).missing(anchor, until);
            let of = |page| Due { urgency, symbol: state.id, page: state.with_known(0, page) };
            let pages = state.newest_if_new(cheapest(Period::M1, &missing));
            due.extend(pages.into_iter().map(of));
        }
        for symbol in clear {
            if let Some(state) = self.states.get_mut(&symbol) {
                state.is_doubtful = false;
            }
        }
        due.sort_by_key(|due| due.urgency);
        self.due = due.into();
    }

    /// How urgent the stretch from `anchor` to `until` is; `None`: it may still wait.
    fn urgency(
        &self,
        state: &SymbolState,
        is_doubtful: bool,
        (anchor, until): (UnixMillis, UnixMillis),
    ) -> Option<Urgency> {
        let is_unwatched = !self.is_watched(state);
        let meets = match self.seam {
            Seam::Unknown { .. } => false,
            Seam::At(seam) => until >= seam,
            // The others did not wait for it: it still lacks minutes from before live.
            Seam::Met(seam) => anchor < seam,
        };
        if is_doubtful || meets {
            return Some(Urgency { is_settled: false, is_unwatched, wait_ended: anchor });
        }
        let Confirmation::Everything { wait_ms } = self.config.confirmation else { return None };
        // While history arrives weight is short, and one weight confirms up to 99 minutes.
        let wait_ms = if self.arrives() { wait_ms.max(ARRIVING_WAIT_MS) } else { wait_ms };
        let wait_ms = if is_unwatched { wait_ms } else { wait_ms.min(WATCHED_WAIT_MS) };
        let ends = state.ends_at == Some(until);
        let wait_ended = if ends { anchor } else { anchor.plus(wait_ms) };
        (until >= wait_ended).then_some(Urgency {
            is_settled: true,
            is_unwatched: false,
            wait_ended,
        })
    }

    /// Whether a minute of the stretch is provisional, or a longer kline that ended in it: the
    /// exchange's minutes up to its end make it a true one. As long as history arrives, minutes
    /// from before are missing to longer klines, and it is these that will bring them.
    fn is_doubtful(&self, symbol: SymbolId, from: UnixMillis, until: UnixMillis) -> bool {
        let is_provisional = |record: &KlineRecord| record.status == KlineStatus::Provisional;
        let read = |period_index, from| {
            let (from, to) = (Some(from), Some(until.plus(-1)));
            let query = HistoryQuery { from, to, limit: DOUBTFUL_MAX, keep: Keep::Newest };
            self.history.read(symbol, period_index, &query)
        };
        if read(0, from).iter().any(is_provisional) {
            return true;
        }
        let longer = self.config.periods.as_slice().iter().enumerate().skip(1);
        !self.arrives()
            && longer.into_iter().any(|(period_index, period)| {
                let ends_in_it = |of: &KlineRecord| {
                    let end = period.next_open_time(of.kline.open_time);
                    from < end && end <= until
                };
                let begun = read(period_index, period.open_time(from));
                begun.iter().any(|record| is_provisional(record) && ends_in_it(record))
            })
    }

    /// Asks for pages with doubtful minutes, as far as `room` goes; gives how many.
    pub(super) fn issue_doubtful(&mut self, room: usize, actions: &mut Vec<Action>) -> usize {
        let priority = match self.seam {
            Seam::At(_) => Priority::Urgent,
            Seam::Unknown { .. } | Seam::Met(_) => Priority::Normal,
        };
        let mut issued = 0;
        while issued < room
            && let Some(due) = self.due.pop_front_if(|due| !due.urgency.is_settled)
        {
            self.ask_minutes(due, Owner::Doubtful, priority, actions);
            issued += 1;
        }
        issued
    }

    /// Asks for pages of settled minutes, as far as `room` and their own budget go; gives how many.
    pub(super) fn issue_settled(
        &mut self,
        now: Now,
        room: usize,
        actions: &mut Vec<Action>,
    ) -> usize {
        let mut issued = 0;
        while issued < room
            && let Some(&due) = self.due.front()
            && due.urgency.is_settled
            && self.spend_settled(now, due.page)
        {
            self.due.pop_front();
            self.ask_minutes(due, Owner::Settled, Priority::Normal, actions);
            issued += 1;
        }
        issued
    }

    fn ask_minutes(
        &mut self,
        Due { symbol, page, .. }: Due,
        owner: Owner,
        priority: Priority,
        actions: &mut Vec<Action>,
    ) {
        let subject = Subject::Klines { index: 0, page };
        self.ask(Asked { symbol, subject, owner, priority }, actions);
    }

    /// Takes over the exchange's limit, of which settled minutes may use a part.
    pub(super) fn learn_limit(&mut self, limit: u32) {
        match &mut self.settled_weight {
            Some(budget) => budget.set_limit(limit),
            none if limit >= WeightBudget::LIMIT_MIN => {
                let percent = if mutated!(SettledUnpaid) { 80 } else { SETTLED_PERCENT };
                *none = Some(WeightBudget::new(limit, percent));
            }
            None => {}
        }
    }

    pub(super) fn spend_settled(&mut self, now: Now, page: Page) -> bool {
        let weight = klines_weight(page.klines);
        let Some(budget) = &mut self.settled_weight else { return false };
        let spent = budget.try_spend(local(now), weight, Priority::Urgent);
        let retry_at = spent.err().and_then(|short| short.retry_at);
        self.settled_at = retry_at.map(|at| Duration::from_millis(at.0.unsigned_abs()));
        spent.is_ok()
    }

    /// A request for settled minutes was answered: its weight counts for a minute more.
    pub(super) fn settle_settled(&mut self, now: Now, page: Page) {
        if let Some(budget) = &mut self.settled_weight {
            budget.settle(local(now), klines_weight(page.klines), None);
        }
    }

    /// Whether every symbol that the exchange answers for, and rightly, is confirmed up to `until`.
    pub(super) fn is_confirmed(&self, until: UnixMillis, now: Now) -> bool {
        self.states.values().all(|state| {
            state.is_refused
                || state.odd_pages >= ODD_PAGES_MAX
                || state.ends_at.is_some()
                || !self.has_its_name(state.id, now)
                || state.anchor.is_some_and(|at| state.held.of(0).run_until(at) >= until)
        })
    }
}

/// The local time, as the budget counts it.
fn local(now: Now) -> UnixMillis {
    UnixMillis(i64::try_from(now.local.as_millis()).unwrap_or(i64::MAX))
}
