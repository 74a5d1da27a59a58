//! Where answers arrive and are handed on: to the history, the store and the engine.
//!
//! Always true here: what is handed on was checked against what was asked for; a page that does
//! not come or is refused is counted and stays missing, so that it is planned again.

use klagg_engine::{HistoryQuery, Keep};
use klagg_kline::{Kline, KlineRecord, KlineStatus, SymbolId};

use super::passes::Outcome;
use super::{Asked, BackfillCore, Owner, Subject, UNWELL_PAUSE_MIN, Unwell};
use crate::action::{Action, Notice, RequestId};
use crate::difference::Differences;
use crate::event::{Answer, Failure, Now};
use crate::pages::Page;
use crate::plan::Depth;
use crate::record::settle;
use crate::state::Confirmed;

impl BackfillCore {
    pub(super) fn on_answered(
        &mut self,
        now: Now,
        id: RequestId,
        answer: Answer,
        actions: &mut Vec<Action>,
    ) {
        let Some(asked) = self.asked.remove(&id) else {
            self.count(|counts| counts.answers_dropped += 1);
            return;
        };
        let Asked { symbol, subject, owner, .. } = asked;
        if !matches!(answer, Answer::Failed(Failure::Exchange)) {
            self.unwell = Unwell::default();
        }
        match (subject, answer) {
            (Subject::Klines { index, page }, answer) => {
                if matches!(owner, Owner::Settled | Owner::Check) {
                    self.settle_settled(now, page);
                }
                let outcome = match answer {
                    Answer::Klines(_) if !self.has_its_name(symbol, now) => {
                        // It may be another listing's.
                        self.count(|counts| counts.answers_dropped += 1);
                        Outcome::Postponed
                    }
                    Answer::Klines(klines) if owner == Owner::Check => {
                        self.on_check(now, symbol, (index, page), &klines, actions);
                        Outcome::Taken
                    }
                    Answer::Klines(klines) => {
                        self.on_page(now, symbol, (index, page), klines, actions)
                    }
                    Answer::Failed(failure) => self.failed(now, asked, failure),
                    Answer::Trades(_) => self.failed(now, asked, Failure::Odd),
                };
                if let Owner::Pass(pass) = owner {
                    self.on_pass_page(pass, page, outcome);
                }
            }
            (Subject::Trades(hole), Answer::Trades(trades)) => {
                let trades = if self.has_its_name(symbol, now) { trades } else { Vec::new() };
                self.on_trades(&hole, trades, actions);
            }
            (Subject::Trades(_), Answer::Failed(failure)) => {
                self.failed(now, asked, failure);
            }
            (Subject::Trades(_), Answer::Klines(_)) => {
                self.failed(now, asked, Failure::Odd);
            }
        }
        if matches!(owner, Owner::Doubtful | Owner::Settled) && self.due.is_empty() {
            // What it brought may be all that was waited for.
            self.look_at = self.look_at.min(now.local);
        }
    }

    fn on_page(
        &mut self,
        now: Now,
        symbol: SymbolId,
        (index, page): (usize, Page),
        klines: Vec<Kline>,
        actions: &mut Vec<Action>,
    ) -> Outcome {
        let settled = self.settled(now);
        let Some(state) = self.states.get_mut(&symbol) else {
            self.count(|counts| counts.answers_dropped += 1);
            return Outcome::Taken;
        };
        let fetched = klines.len() as u64;
        state.is_refused = false;
        if fetched == 0 && state.is_unknown() {
            state.nothing_until = Some(page.until);
        }
        let wanted = super::wanted_recently(&self.config, state.first_open_time, settled);
        let confirmed = match state.take_page(index, &page, klines, &wanted) {
            Ok(confirmed) => confirmed,
            Err(reason) => {
                let (name, period) = (state.name.clone(), page.period);
                let is_news = state.rest_from_odd(now.local, self.config.retry_pause);
                let times = state.odd_pages;
                self.count(|counts| counts.pages_refused += 1);
                if is_news {
                    let notice = Notice::PageRefused { name, period, times, reason };
                    actions.push(Action::Say(notice));
                }
                return Outcome::Failed;
            }
        };
        state.wake();
        let folded = confirmed.iter().filter(|part| part.index != index);
        let folded = folded.map(|part| part.klines.len() as u64).sum::<u64>();
        self.count(|counts| {
            counts.pages += 1;
            counts.klines_fetched += fetched;
            counts.klines_folded += folded;
        });
        for part in confirmed {
            self.hand_on(now, symbol, part, actions);
        }
        Outcome::Taken
    }

    /// Counts a failure, and leaves the symbol alone for a while; everybody, if it is nobody's.
    fn failed(&mut self, now: Now, asked: Asked, failure: Failure) -> Outcome {
        let Asked { symbol, owner, .. } = asked;
        match owner {
            Owner::Repair => self.count(|counts| counts.holes_left += 1),
            Owner::Check => self.count(|counts| counts.checks_skipped += 1),
            Owner::Pass(_) | Owner::Doubtful | Owner::Settled => {
                self.count(|counts| counts.pages_failed += 1);
            }
        }
        // That trades are refused or odd tells nothing about klines.
        let of_klines = owner != Owner::Repair;
        if of_klines && let Some(state) = self.states.get_mut(&symbol) {
            let times = if mutated!(FailedForgotten) { 1_000 } else { 1 };
            let shortest = self.config.retry_pause * times;
            state.is_refused = failure == Failure::Refused;
            if failure == Failure::Exchange {
                state.rest(now.local, shortest);
            } else {
                state.rest_from_odd(now.local, shortest);
            }
        }
        if failure == Failure::Exchange {
            let Unwell { failures, until } = &mut self.unwell;
            // Those that were under way together tell only once that nobody is answered.
            if now.local >= *until {
                *failures += 1;
                let doubled = UNWELL_PAUSE_MIN.saturating_mul(1 << (*failures - 1).min(16));
                *until = now.local + doubled.min(self.config.retry_pause);
            }
            return Outcome::Postponed;
        }
        Outcome::Failed
    }

    /// Hands confirmed klines to the history, the store and the engine.
    pub(super) fn hand_on(
        &mut self,
        now: Now,
        symbol: SymbolId,
        part: Confirmed,
        actions: &mut Vec<Action>,
    ) {
        let Confirmed { index, klines } = part;
        let (Some(first), Some(last)) = (klines.first(), klines.last()) else { return };
        let (from, to) = (first.open_time, last.open_time);
        let (limit, keep) = (klines.len(), Keep::Oldest);
        let query = HistoryQuery { from: Some(from), to: Some(to), limit, keep };
        let held = self.history.read(symbol, index, &query);
        let Some(state) = self.states.get_mut(&symbol) else { return };
        let mut longer = Differences::default();
        let differences = if index == 0 { &mut state.differences } else { &mut longer };
        let (records, tally) = settle(&held, &klines, differences);
        if tally.corrected_confirmed > 0 {
            let (name, period) = (state.name.clone(), self.config.periods.get(index));
            let count = tally.corrected_confirmed;
            actions.push(Action::Say(Notice::ConfirmedChanged { name, period, count }));
        }
        if index == 0 && tally.causes.unexplained > 0 {
            let (name, count) = (state.name.clone(), tally.causes.unexplained);
            actions.push(Action::Say(Notice::Unexplained { name, count }));
        }
        // The engine compares for itself, also what the history had. It refuses a minute that is
        // open to it and holds trades, as where the feed is behind: the newest of the last time.
        // It has moved on since, so it is told of that one again.
        let before = if index == 0 { state.before(0, from) } else { None };
        if index == 0 {
            self.count(|counts| {
                counts.confirmed_equal += tally.equal;
                counts.corrected_straddle += tally.causes.straddle;
                counts.corrected_late += tally.causes.late;
                counts.corrected_unexplained += tally.causes.unexplained;
                counts.corrected_provisional += tally.corrected_provisional;
                counts.corrected_confirmed += tally.corrected_confirmed;
            });
        }
        let status = KlineStatus::Confirmed;
        let all = before.iter().chain(&klines);
        let all = all.map(|kline| KlineRecord { kline: *kline, revision: 0, status });
        self.supply(now, symbol, index, all, actions);
        if !records.is_empty() {
            let mut records = records;
            if mutated!(WrongMinute) {
                let late =
                    |of: &mut KlineRecord| of.kline.open_time = of.kline.open_time.plus(60_000);
                records.iter_mut().for_each(late);
            }
            actions.push(Action::HandOver { symbol, index, records });
        }
    }

    /// Gives the engine those records that its open and just closed klines are made of.
    pub(super) fn supply(
        &self,
        now: Now,
        symbol: SymbolId,
        index: usize,
        records: impl Iterator<Item = KlineRecord>,
        actions: &mut Vec<Action>,
    ) {
        let Some(state) = self.states.get(&symbol) else { return };
        let from = self.wanted(state, Depth::Recent, now).recent_from(index);
        let records: Vec<KlineRecord> =
            records.filter(|record| record.kline.open_time >= from).collect();
        if !records.is_empty() {
            actions.push(Action::Supply { symbol, index, records });
        }
    }
}
