//! The stages, one after the other: load, recent; then history, the seam and confirmation together.

use std::time::Duration;

use klagg_binance::Priority;
use klagg_kline::{Kline, KlineStatus, Period, SymbolId, UnixMillis};

use super::{BackfillCore, Lane};
use crate::action::{Action, Notice};
use crate::event::{Now, Stored, SymbolSpec};
use crate::plan::Depth;
use crate::progress::Phase;
use crate::state::{SymbolState, pause};

/// The first pause before history that could not be fetched is planned again.
const RETRY_PAUSE: Duration = Duration::from_secs(5);

/// So far ahead of our time that of a list is believed, in milliseconds: who stood still for longer
/// has measured the clock before the list comes.
const LIST_AHEAD_MS: i64 = 24 * 3_600_000;

/// How far the start has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Stage {
    /// Nothing was added yet.
    Idle,
    /// The store is read.
    Loading,
    /// The exchange is asked for its time, by which is decided what is final.
    Clock,
    /// What the open klines are made of is fetched.
    Recent,
    /// Old history is fetched, and looked at again now and then. The minute in which the feed
    /// began is waited for meanwhile: weight that is not spent in a minute is lost.
    History {
        /// When the next sweep begins, once none is under way.
        sweep_at: Duration,
        /// Sweeps in a row some of whose pages were not what was asked for.
        failures: u32,
    },
}

/// Where history and live meet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Seam {
    /// The feed has not delivered yet.
    Unknown {
        /// How long that is nothing to speak of; `None` once it was told.
        patience_until: Option<Duration>,
    },
    /// At the end of the minute in which it began.
    At(UnixMillis),
    /// They have met there.
    Met(UnixMillis),
}

impl BackfillCore {
    pub(super) fn on_added(
        &mut self,
        now: Now,
        symbols: Vec<SymbolSpec>,
        actions: &mut Vec<Action>,
    ) {
        let mut added = Vec::new();
        for SymbolSpec { id, name, first_open_time, is_listed } in symbols {
            // The exchange answers by name: whoever had it before can be asked about no more.
            self.states.retain(|&other, state| other == id || state.name != name);
            let state = self.states.entry(id).or_insert_with(|| {
                added.push(id);
                SymbolState::new(id, name, first_open_time, &self.config.periods)
            });
            // It may have been taken for ended.
            state.ends_at = None;
            if is_listed {
                state.listed_at = now.exchange;
            }
        }
        self.loading.extend(&added);
        if self.stage == Stage::Idle {
            self.stage = Stage::Loading;
            let total = added.len();
            self.tell(|progress| progress.symbols_total = total);
        }
        actions.push(Action::Load(added));
    }

    /// The minutes up to now are still to be confirmed; then the symbols are left.
    pub(super) fn on_retired(&mut self, now: Now, symbols: &[SymbolId], at: UnixMillis) {
        let ended_at = now.exchange.max(at.min(now.exchange.plus(LIST_AHEAD_MS)));
        let ends_at = if mutated!(LastMinutesForgotten) {
            UnixMillis(0)
        } else {
            Period::M1.next_open_time(ended_at)
        };
        for symbol in symbols {
            if let Some(state) = self.states.get_mut(symbol) {
                state.ends_at.get_or_insert(ends_at);
            }
        }
    }

    /// Takes klines of the store: periods come shortest first, so that longer klines which the
    /// store lacks are folded here.
    pub(super) fn on_stored(&mut self, now: Now, stored: Stored, actions: &mut Vec<Action>) {
        let Stored { symbol, index, records, damaged, complete_until } = stored;
        let settled = self.settled(now);
        let Some(state) = self.states.get_mut(&symbol) else { return };
        if damaged > 0 {
            let name = state.name.clone();
            actions.push(Action::Say(Notice::RowsDamaged { name, count: damaged }));
        }
        state.stored_until[index] = complete_until;
        let confirmed: Vec<Kline> = records
            .iter()
            .filter(|record| record.status == KlineStatus::Confirmed)
            .map(|record| record.kline)
            .collect();
        let wanted = super::wanted_recently(&self.config, state.first_open_time, settled);
        let folded = state.take_stored(index, &confirmed, &wanted);
        self.count(|counts| {
            counts.klines_loaded += records.len() as u64;
            counts.rows_damaged += damaged;
        });
        self.supply(now, symbol, index, records.iter().copied(), actions);
        if !records.is_empty() && !mutated!(StoredForgotten) {
            actions.push(Action::Show { symbol, index, records });
        }
        for part in folded {
            self.hand_on(now, symbol, part, actions);
        }
    }

    pub(super) fn on_loaded(&mut self, symbols: &[SymbolId], actions: &mut Vec<Action>) {
        for symbol in symbols {
            let news = self.loading.remove(symbol);
            if news && self.stage > Stage::Clock {
                self.begin_pass(*symbol, Depth::Recent, Priority::Urgent);
            }
        }
        if self.stage != Stage::Loading {
            return;
        }
        let done = self.states.len() - self.loading.len();
        self.tell(|progress| progress.symbols_done = done);
        if self.loading.is_empty() {
            self.stage = Stage::Clock;
            actions.push(Action::MeasureClock);
        }
    }

    pub(super) fn on_clock_measured(&mut self, now: Now) {
        if self.stage == Stage::Clock {
            self.stage = Stage::Recent;
            self.enter(Phase::Recent);
            self.begin_sweep(now, Depth::Recent, Priority::Normal);
        }
    }

    pub(super) fn on_live(&mut self, since: UnixMillis) {
        if matches!(self.seam, Seam::Unknown { .. }) {
            // The minute in which the feed began is not complete here: its official kline closes
            // the seam.
            self.seam = Seam::At(Period::M1.next_open_time(since));
        }
    }

    /// Moves on as far as what has happened allows.
    pub(super) fn advance(&mut self, now: Now, actions: &mut Vec<Action>) {
        match (self.stage, self.end_sweep()) {
            (Stage::Recent, Some(_)) => {
                if let Seam::Unknown { patience_until } = &mut self.seam {
                    *patience_until = Some(now.local + self.config.live_patience);
                }
                self.look_at = now.local;
                self.stage = Stage::History { sweep_at: now.local, failures: 0 };
                self.enter(Phase::History);
                self.begin_sweep(now, Depth::Full, Priority::Bulk);
            }
            (Stage::History { failures, .. }, Some((_, failed))) => {
                self.end_history(now, (failed, failures), actions);
            }
            (Stage::History { sweep_at, .. }, None)
                if self.sweep.is_none() && now.local >= sweep_at =>
            {
                actions.push(Action::MeasureClock);
                self.begin_sweep(now, Depth::Full, Priority::Bulk);
            }
            _ => {}
        }
        if !matches!(self.stage, Stage::History { .. }) {
            return;
        }
        if now.local >= self.look_at {
            self.look_at = now.local + self.config.tick;
            self.look(now, actions);
        }
        if let Seam::Unknown { patience_until } = &mut self.seam
            && patience_until.take_if(|until| now.local >= *until).is_some()
        {
            actions.push(Action::Say(Notice::FeedSilent));
        }
        if let Seam::At(until) = self.seam
            && (self.is_confirmed(until, now) || mutated!(MetTooEarly))
        {
            self.seam = Seam::Met(until);
            actions.push(Action::Say(Notice::Met(until)));
            self.tell(|progress| progress.ready = true);
            if self.progress.phase == Phase::Seam {
                self.enter(Phase::Confirming);
            }
        }
    }

    fn end_history(&mut self, now: Now, (failed, before): (u64, u32), actions: &mut Vec<Action>) {
        let mut wait = self.config.audit_cadence;
        let failures = if failed > 0 { before.saturating_add(1) } else { 0 };
        if failed > 0 {
            wait = wait.min(pause(RETRY_PAUSE, failures));
            actions.push(Action::Say(Notice::HistoryHoles(failed)));
        } else {
            self.tell(|progress| progress.history_complete = true);
            let has_met = matches!(self.seam, Seam::Met(_));
            self.enter(if has_met { Phase::Confirming } else { Phase::Seam });
        }
        self.stage = Stage::History { sweep_at: now.local + wait, failures };
    }

    /// Whether most of the old history is still to come: not when every symbol was passed and all
    /// that lacks are pages that came and were not right. Those are few, and may never be right.
    pub(super) fn arrives(&self) -> bool {
        let is_passed = matches!(self.stage, Stage::History { failures: 1.., .. });
        !self.progress.history_complete && !is_passed
    }

    /// Asks for what is due, as far as the lanes have room.
    pub(super) fn issue(&mut self, now: Now, actions: &mut Vec<Action>) {
        if self.is_unwell(now) {
            self.issue_files(now, actions);
            return;
        }
        let mut room = self.room(Lane::Prompt);
        room -= self.issue_repairs(room, actions);
        room -= self.issue_passes(now, Priority::Urgent, room, actions);
        room -= self.issue_doubtful(room, actions);
        room -= self.issue_passes(now, Priority::Normal, room, actions);
        room -= self.issue_settled(now, room, actions);
        self.issue_checks(now, room, actions);
        self.issue_sweep(now, actions);
        // What was just planned.
        self.issue_files(now, actions);
    }

    fn enter(&mut self, phase: Phase) {
        self.tell(|progress| progress.phase = phase);
    }
}
