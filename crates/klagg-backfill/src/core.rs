//! The backfill as a state machine: events in, actions out. Pure.
//!
//! Always true here:
//! - No clock, no task, no log: the same events at the same times give the same actions.
//! - What is handed over was checked against what was asked for; a page that does not come or is
//!   refused stays missing, and is planned again.
//! - At most `concurrency` requests for old history are under way, and as many for everything that
//!   somebody waits for: neither keeps the other out.
//! - While the exchange answers nobody, nothing is asked; files of the archive come all the same.

mod answers;
mod archive;
mod check;
mod confirm;
mod listed;
mod passes;
mod repair;
mod stages;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use klagg_binance::{AGG_TRADES_LIMIT_MAX, Priority, WeightBudget, WeightStatus};
use klagg_engine::{HistoryReader, Hole};
use klagg_kline::{Period, SymbolId, TradeId, UnixMillis};

use self::archive::Archive;
use self::confirm::Due;
use self::passes::{Pass, PassId, Sweep};
use self::stages::{Seam, Stage};
use crate::action::{Action, Request, RequestId, What};
use crate::config::BackfillConfig;
use crate::event::{Event, Now};
use crate::pages::Page;
use crate::plan::{Depth, Wanted};
use crate::state::SymbolState;
use crate::waiting::Indexes;
use crate::{BackfillCounts, BackfillError, BackfillProgress};

/// The backfill without a clock, a socket or a disk: see [`BackfillCore::on_event`].
///
/// Dropping it and beginning with a new one is what a crash does: what is held is learned from
/// the store again, and only what is missing there is asked for.
#[derive(Debug)]
pub struct BackfillCore {
    config: BackfillConfig,
    history: HistoryReader,
    states: BTreeMap<SymbolId, SymbolState>,
    /// Symbols that people look at, besides those that the configuration names, and which periods
    /// they need of each.
    watched: BTreeMap<SymbolId, Indexes>,
    stage: Stage,
    seam: Seam,
    /// Symbols whose klines the store is still being asked for.
    loading: BTreeSet<SymbolId>,
    passes: BTreeMap<PassId, Pass>,
    pass_id: PassId,
    sweep: Option<Sweep>,
    /// What the last look found worth confirming, most urgent first.
    due: VecDeque<Due>,
    /// Holes whose trades are to be asked for.
    repairs: VecDeque<Hole>,
    /// Longer klines to be compared with the exchange's own; two a symbol at most.
    checks: VecDeque<(SymbolId, usize, Page)>,
    /// When is looked for something to confirm.
    look_at: Duration,
    /// Where in the history's log of changes the last look stood.
    changes_seen: u64,
    asked: BTreeMap<RequestId, Asked>,
    request_id: RequestId,
    unwell: Unwell,
    /// Where old history may come from.
    archive: Option<Archive>,
    /// What confirmation of settled minutes may spend; none until the exchange's limit is known.
    settled_weight: Option<WeightBudget>,
    /// When that has room again for what waits.
    settled_at: Option<Duration>,
    /// The local time of the last event.
    at: Duration,
    progress: BackfillProgress,
    /// Whether the progress has changed since it was last told.
    untold: bool,
}

/// A request that is under way.
#[derive(Debug, Clone, Copy)]
struct Asked {
    symbol: SymbolId,
    subject: Subject,
    owner: Owner,
    priority: Priority,
}

/// What was asked for.
#[derive(Debug, Clone, Copy)]
enum Subject {
    Klines { index: usize, page: Page },
    Trades(Hole),
}

/// Who waits for an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Owner {
    Pass(PassId),
    /// Confirmation of minutes, some of which are provisional or all of which are waited for.
    Doubtful,
    /// Confirmation of minutes about which all is well, paid for out of its own budget.
    Settled,
    /// A check of a longer kline, out of the same budget.
    Check,
    /// A hole that is to be filled trade by trade.
    Repair,
}

/// Two kinds of requests that do not keep each other out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Lane {
    History,
    Prompt,
}

impl Lane {
    const fn of(priority: Priority) -> Self {
        match priority {
            Priority::Bulk => Self::History,
            Priority::Normal | Priority::Urgent => Self::Prompt,
        }
    }
}

/// While the exchange answers nobody.
#[derive(Debug, Default)]
struct Unwell {
    /// Failures since the last answer.
    failures: u32,
    until: Duration,
}

/// The first pause after the exchange did not answer; each further one is twice as long.
const UNWELL_PAUSE_MIN: Duration = Duration::from_millis(100);

impl BackfillCore {
    /// A backfill to which nothing has happened yet. It reads what is held in `history`.
    ///
    /// # Errors
    /// [`BackfillError::Setting`] if a number of the configuration cannot work.
    pub fn new(config: BackfillConfig, history: HistoryReader) -> Result<Self, BackfillError> {
        config.check()?;
        Ok(Self {
            archive: config.archive.map(Archive::new),
            config,
            changes_seen: history.change_head(),
            history,
            states: BTreeMap::new(),
            watched: BTreeMap::new(),
            stage: Stage::Idle,
            seam: Seam::Unknown { patience_until: None },
            loading: BTreeSet::new(),
            passes: BTreeMap::new(),
            pass_id: PassId::default(),
            sweep: None,
            due: VecDeque::new(),
            repairs: VecDeque::new(),
            checks: VecDeque::new(),
            look_at: Duration::ZERO,
            asked: BTreeMap::new(),
            request_id: RequestId(0),
            unwell: Unwell::default(),
            settled_weight: None,
            settled_at: None,
            at: Duration::ZERO,
            progress: BackfillProgress::begin(WeightStatus::default()),
            untold: false,
        })
    }

    /// How far it is.
    pub const fn progress(&self) -> &BackfillProgress {
        &self.progress
    }

    /// Takes an event; appends what is to be done to `actions`, in the order in which it is to be
    /// done.
    pub fn on_event(&mut self, now: Now, event: Event, actions: &mut Vec<Action>) {
        self.at = now.local;
        match event {
            Event::Added(symbols) => self.on_added(now, symbols, actions),
            Event::Retired { symbols, at } => self.on_retired(now, &symbols, at),
            Event::Listed { symbols, at } => self.on_listed(&symbols, at),
            Event::Watched(slots) => self.on_watched(&slots),
            Event::Stored(stored) => self.on_stored(now, stored, actions),
            Event::Loaded(symbols) => self.on_loaded(&symbols, actions),
            Event::ClockMeasured => self.on_clock_measured(now),
            Event::Live(since) => self.on_live(since),
            Event::Answered { id, answer } => self.on_answered(now, id, answer, actions),
            Event::Fetched { id, file } => self.on_fetched(now, id, file, actions),
            Event::Hole(hole) => self.on_hole(hole),
            Event::Weight(weight) => self.on_weight(weight),
            Event::Timer => {}
        }
        loop {
            self.advance(now, actions);
            self.issue(now, actions);
            if !self.is_sweep_over() {
                break;
            }
        }
        if std::mem::take(&mut self.untold) {
            actions.push(Action::Progress);
        }
    }

    /// When [`Event::Timer`] is due, by the local time; at once if that has passed.
    pub fn next_deadline(&self) -> Option<Duration> {
        let looks = matches!(self.stage, Stage::History { .. });
        let stage = match self.stage {
            Stage::History { sweep_at, .. } if self.sweep.is_none() => Some(sweep_at),
            _ => None,
        };
        let patience = match self.seam {
            Seam::Unknown { patience_until } => patience_until,
            Seam::At(_) | Seam::Met(_) => None,
        };
        let waits = !self.passes.is_empty() || self.sweep.is_some() || !self.due.is_empty();
        let unwell = (self.unwell.until > self.at && waits).then_some(self.unwell.until);
        let settled = self.settled_at.filter(|&at| at > self.at);
        // So many symbols lacked nothing that planning was cut off.
        let plans = (unwell.is_none() && self.has_more_to_plan()).then_some(Duration::ZERO);
        let look = looks.then_some(self.look_at);
        let files = self.archive.as_ref().and_then(|archive| archive.rests_until(self.at));
        let files = files.filter(|_| self.passes.values().any(|pass| !pass.files.is_empty()));
        [look, stage, patience, unwell, settled, plans, files].into_iter().flatten().min()
    }

    fn on_weight(&mut self, weight: WeightStatus) {
        self.progress.weight = weight;
        self.learn_limit(weight.limit);
    }

    /// The exchange's time, less the margin after which a closed kline is final.
    fn settled(&self, now: Now) -> UnixMillis {
        let margin = if mutated!(NoSettleMargin) { 0 } else { self.config.settle_ms };
        now.exchange.plus(-margin)
    }

    /// What is wanted of a symbol now: of one that has ended nothing behind its end. What closed
    /// since the newest confirmed minute is left to confirmation, which gathers several minutes
    /// into one request.
    fn wanted<'a>(&'a self, state: &'a SymbolState, depth: Depth, now: Now) -> Wanted<'a> {
        let settled = state.ends_at.into_iter().fold(self.settled(now), UnixMillis::min);
        let settled = match (depth, state.anchor) {
            (Depth::Full, Some(anchor)) => settled.min(anchor),
            _ => settled,
        };
        let stored_until = &state.stored_until;
        let recently = wanted_recently(&self.config, state.first_open_time, settled);
        Wanted { stored_until, depth, kept_until: self.settled(now), ..recently }
    }

    fn on_watched(&mut self, slots: &[(SymbolId, Period)]) {
        let periods = &self.config.periods;
        self.watched.clear();
        for &(symbol, period) in slots {
            let Some(index) = periods.index_of(period) else { continue };
            let needs = self.watched.entry(symbol).or_default();
            *needs = needs.with_sources(periods, index);
        }
        if let Some(mut sweep) = self.sweep.take() {
            sweep.pending.rearrange(|symbol| self.needs(symbol));
            self.sweep = Some(sweep);
        }
    }

    fn is_watched(&self, state: &SymbolState) -> bool {
        self.watched.contains_key(&state.id) || self.is_named(state)
    }

    /// Whether the configuration says that people look at it.
    fn is_named(&self, state: &SymbolState) -> bool {
        self.config.watched.iter().any(|name| **name == *state.name)
    }

    /// The periods of a symbol that people look at, and what these are folded from.
    fn needs(&self, symbol: SymbolId) -> Indexes {
        if self.states.get(&symbol).is_some_and(|state| self.is_named(state)) {
            return Indexes::all(&self.config.periods);
        }
        self.watched.get(&symbol).copied().unwrap_or_default()
    }

    /// Asks the exchange.
    fn ask(&mut self, asked: Asked, actions: &mut Vec<Action>) {
        let Asked { symbol, subject, priority, .. } = asked;
        let Some(state) = self.states.get(&symbol) else { return };
        self.request_id.0 += 1;
        let (id, name) = (self.request_id, state.name.clone());
        self.asked.insert(id, asked);
        let what = match subject {
            Subject::Klines { page, .. } => What::Klines(page),
            Subject::Trades(hole) => {
                let limit = u16::try_from(hole.trades()).unwrap_or(AGG_TRADES_LIMIT_MAX);
                let early = i64::from(mutated!(SeamUnjoined));
                let from = TradeId(hole.first.0 - early);
                What::Trades { from, limit: limit.min(AGG_TRADES_LIMIT_MAX) }
            }
        };
        actions.push(Action::Ask(Request { id, symbol, name, what, priority }));
    }

    /// How many more requests may be under way in a lane.
    fn room(&self, lane: Lane) -> usize {
        let taken = self.asked.values().filter(|asked| Lane::of(asked.priority) == lane).count();
        self.config.concurrency.saturating_sub(taken)
    }

    fn is_unwell(&self, now: Now) -> bool {
        now.local < self.unwell.until
    }

    fn count(&mut self, count: impl FnOnce(&mut BackfillCounts)) {
        count(&mut self.progress.counts);
        self.untold = true;
    }

    fn tell(&mut self, change: impl FnOnce(&mut BackfillProgress)) {
        change(&mut self.progress);
        self.untold = true;
    }
}

/// What is wanted of the newest klines: what the store holds has no part in it.
fn wanted_recently(
    config: &BackfillConfig,
    first_open_time: UnixMillis,
    settled: UnixMillis,
) -> Wanted<'_> {
    Wanted {
        periods: &config.periods,
        capacity: &config.capacity,
        first_open_time,
        stored_until: &[],
        gap_klines_max: config.gap_klines_max,
        settled,
        kept_until: settled,
        depth: Depth::Recent,
    }
}
