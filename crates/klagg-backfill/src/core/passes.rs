//! A pass fetches what is missing of one symbol; a sweep passes over all of them.
//!
//! Always true here: a period of a symbol is planned once the pages of those that it is folded from
//! have come, so that what they bring is folded and not asked for. Of each, files of the archive
//! come first, and pages bring what they left. What people look at goes first: see `waiting`.

use std::collections::VecDeque;
use std::time::Duration;

use klagg_binance::Priority;
use klagg_kline::SymbolId;

use super::archive::{Archive, WaitingFile};
use super::{Asked, BackfillCore, Lane, Owner, Subject};
use crate::action::Action;
use crate::event::Now;
use crate::pages::Page;
use crate::plan::Depth;
use crate::waiting::{Indexes, Turn, Waiting};

/// Symbols that are planned by one event at most, so that none takes long.
const PLANNED_MAX: usize = 256;

/// Number of a pass.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct PassId(u64);

/// Fetches what is missing of a symbol, period by period.
#[derive(Debug)]
pub(super) struct Pass {
    symbol: SymbolId,
    depth: Depth,
    priority: Priority,
    /// Whether the sweep counts it; otherwise it is for a symbol that was just added.
    of_sweep: bool,
    /// The indexes of the periods, in the order in which they are planned.
    order: Vec<usize>,
    /// Periods of the symbol that come later in the sweep.
    later: Indexes,
    /// Of how many periods files have been planned.
    archived: usize,
    /// Of how many periods pages have been planned.
    planned: usize,
    /// The period whose pages are asked for.
    index: usize,
    /// Whether that is the newest page of a symbol that may be new: what it brings tells what
    /// else there is.
    is_probe: bool,
    pub(super) files: VecDeque<WaitingFile>,
    waiting: VecDeque<Page>,
    /// Files and pages.
    pub(super) under_way: usize,
    /// Months that the archive does not have, newest first, since it had one.
    pub(super) missing_months: u32,
    /// Pages that did not come.
    failed: u64,
}

impl Pass {
    /// Whose files these are: the symbol and the index of the period.
    pub(super) fn file_of(&self) -> (SymbolId, usize) {
        (self.symbol, self.order[self.archived.saturating_sub(1)])
    }

    /// Whether everything that was planned has come.
    fn is_idle(&self) -> bool {
        self.files.is_empty() && self.waiting.is_empty() && self.under_way == 0
    }
}

/// A pass over all symbols.
#[derive(Debug)]
pub(super) struct Sweep {
    depth: Depth,
    priority: Priority,
    pub(super) pending: Waiting,
    total: usize,
    done: usize,
    failed: u64,
    started: Duration,
}

/// What became of a page of a pass.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Outcome {
    Taken,
    /// It did not come, or broke a rule.
    Failed,
    /// Nobody is answered just now: it is asked for again.
    Postponed,
}

impl BackfillCore {
    /// Begins to pass over all symbols that are loaded; those that are watched come first.
    pub(super) fn begin_sweep(&mut self, now: Now, depth: Depth, priority: Priority) {
        debug_assert!(self.sweep.is_none());
        let all = Indexes::all(&self.config.periods);
        let mut pending = Waiting::default();
        let loaded = self.states.keys().filter(|id| !self.loading.contains(id));
        let total = loaded.clone().count();
        loaded.for_each(|&symbol| pending.push(symbol, all, self.needs(symbol)));
        let started = now.local;
        self.sweep = Some(Sweep { depth, priority, pending, total, done: 0, failed: 0, started });
        self.tell(|progress| (progress.symbols_total, progress.symbols_done) = (total, 0));
    }

    /// Fetches what is missing of one symbol, besides the sweep.
    pub(super) fn begin_pass(&mut self, symbol: SymbolId, depth: Depth, priority: Priority) {
        let now = Indexes::all(&self.config.periods);
        let turn = Turn { symbol, now, later: Indexes::NONE };
        self.add_pass(turn, depth, priority, false);
    }

    fn add_pass(&mut self, turn: Turn, depth: Depth, priority: Priority, of_sweep: bool) {
        let Turn { symbol, now, later } = turn;
        self.pass_id.0 += 1;
        let pass = Pass {
            symbol,
            depth,
            priority,
            of_sweep,
            order: now.in_order(self.needs(symbol)).collect(),
            later,
            archived: 0,
            planned: 0,
            index: 0,
            is_probe: false,
            files: VecDeque::new(),
            waiting: VecDeque::new(),
            under_way: 0,
            missing_months: 0,
            failed: 0,
        };
        self.passes.insert(self.pass_id, pass);
    }

    /// Asks for pages of the sweep while there is room in its lane.
    pub(super) fn issue_sweep(&mut self, now: Now, actions: &mut Vec<Action>) {
        let Some(Sweep { depth, priority, .. }) = self.sweep else { return };
        let mut room = self.room(Lane::of(priority));
        let mut at = PassId::default();
        let mut planned = 0;
        while room > 0 && planned < PLANNED_MAX {
            let next = self.passes.range(at..).find(|(_, pass)| pass.of_sweep);
            let Some((&id, _)) = next else {
                if !self.may_begin_pass() {
                    break;
                }
                let Some(turn) = self.next_turn(depth) else { break };
                planned += 1;
                self.add_pass(turn, depth, priority, true);
                at = self.pass_id;
                continue;
            };
            room -= self.issue_pass(now, id, room, actions);
            at = PassId(id.0 + 1);
        }
    }

    /// Whose turn it is in the sweep. What open klines are made of is wanted of all periods alike:
    /// they are shown from the beginning.
    fn next_turn(&mut self, depth: Depth) -> Option<Turn> {
        let mut sweep = self.sweep.take()?;
        let turn = sweep.pending.pop(|symbol| self.needs(symbol));
        self.sweep = Some(sweep);
        let all = Indexes::all(&self.config.periods);
        turn.map(|turn| match depth {
            Depth::Recent => Turn { now: all, later: Indexes::NONE, ..turn },
            Depth::Full => turn,
        })
    }

    /// Asks for pages of passes beside the sweep, as far as `room` goes; gives how many.
    pub(super) fn issue_passes(
        &mut self,
        now: Now,
        priority: Priority,
        room: usize,
        actions: &mut Vec<Action>,
    ) -> usize {
        let wanted = self.passes.iter().filter(|(_, of)| !of.of_sweep && of.priority == priority);
        let ids: Vec<PassId> = wanted.map(|(&id, _)| id).collect();
        let mut left = room;
        for id in ids {
            left -= self.issue_pass(now, id, left, actions);
        }
        room - left
    }

    /// Asks for up to `room` pages of a pass, and ends it if nothing is left of it.
    fn issue_pass(
        &mut self,
        now: Now,
        id: PassId,
        room: usize,
        actions: &mut Vec<Action>,
    ) -> usize {
        let mut issued = 0;
        while issued < room {
            let Some((page, asked)) = self.next_of(now, id) else { break };
            debug_assert!(page.klines > 0);
            issued += 1;
            self.ask(asked, actions);
        }
        let over = self.passes.get(&id).is_some_and(|pass| {
            let is_planned = pass.planned >= pass.order.len();
            // Of a name that may stand for another nothing is asked, and the others of a sweep do
            // not wait for it: a later sweep takes it once it has been seen again.
            let is_unknown = pass.under_way == 0 && !self.has_its_name(pass.symbol, now);
            (pass.of_sweep && is_unknown) || (pass.is_idle() && is_planned)
        });
        if over && let Some(pass) = self.passes.remove(&id) {
            self.end_pass(now, &pass);
        }
        issued
    }

    fn next_of(&mut self, now: Now, id: PassId) -> Option<(Page, Asked)> {
        let symbol = self.passes.get(&id)?.symbol;
        if !self.has_its_name(symbol, now) {
            return None;
        }
        let mut pass = self.passes.remove(&id)?;
        if !self.states.contains_key(&pass.symbol) {
            // It was left meanwhile: nobody is asked, so nothing would come and end the pass.
            pass.waiting.clear();
            pass.is_probe = false;
            pass.files.clear();
        }
        while pass.is_idle()
            && let Some(&index) = pass.order.get(pass.planned)
        {
            if pass.archived == pass.planned {
                let wanted = (pass.depth, index);
                pass.files = self.plan_files(now, pass.symbol, wanted);
                pass.archived += 1;
                pass.missing_months = 0;
                continue;
            }
            if let Some(state) = self.states.get(&pass.symbol) {
                let wanted = self.wanted(state, pass.depth, now);
                let pages = state.plan(&wanted, index);
                if state.lacks_newest(&pages, self.settled(now)) {
                    pass.failed += 1;
                    pass.planned = pass.order.len();
                    pass.later = Indexes::NONE;
                    break;
                }
                pass.is_probe = state.may_be_new(&pages);
                pass.index = index;
                pass.waiting.extend(state.newest_if_new(pages));
            }
            pass.planned += usize::from(!pass.is_probe);
        }
        let page = pass.waiting.pop_front();
        pass.under_way += usize::from(page.is_some());
        let (symbol, priority, owner) = (pass.symbol, pass.priority, Owner::Pass(id));
        let index = pass.index;
        self.passes.insert(id, pass);
        page.map(|page| {
            (page, Asked { symbol, subject: Subject::Klines { index, page }, owner, priority })
        })
    }

    /// A page of a pass was answered.
    pub(super) fn on_pass_page(&mut self, id: PassId, page: Page, outcome: Outcome) {
        let Some(pass) = self.passes.get_mut(&id) else { return };
        debug_assert!(pass.under_way > 0);
        pass.under_way -= 1;
        match outcome {
            // What else there is of its period is planned now.
            Outcome::Taken => pass.is_probe = false,
            Outcome::Failed => {
                pass.failed += 1;
                if std::mem::take(&mut pass.is_probe) {
                    pass.planned = pass.order.len();
                    pass.later = Indexes::NONE;
                }
            }
            Outcome::Postponed => pass.waiting.push_front(page),
        }
    }

    fn end_pass(&mut self, now: Now, pass: &Pass) {
        if pass.depth == Depth::Recent {
            self.begin_watch(now, pass.symbol);
        }
        if pass.of_sweep {
            self.end_turn(now, pass);
        } else if pass.depth == Depth::Recent {
            self.begin_pass(pass.symbol, Depth::Full, Priority::Normal);
        }
    }

    /// A symbol of the sweep is done, or waits for the turn of its other periods.
    fn end_turn(&mut self, now: Now, pass: &Pass) {
        let needs = self.needs(pass.symbol);
        let goes_on = self.states.contains_key(&pass.symbol) && self.has_its_name(pass.symbol, now);
        let Some(sweep) = &mut self.sweep else { return };
        sweep.failed += pass.failed;
        if goes_on && !pass.later.is_empty() {
            sweep.pending.push(pass.symbol, pass.later, needs);
            return;
        }
        sweep.done += 1;
        let (done, total) = (sweep.done, sweep.total);
        let left = u32::try_from(total.saturating_sub(done)).unwrap_or(u32::MAX);
        let spent = now.local.saturating_sub(sweep.started);
        let pace = spent / u32::try_from(done.max(1)).unwrap_or(u32::MAX);
        self.tell(|progress| {
            progress.symbols_done = done;
            progress.remaining = Some(pace.saturating_mul(left));
        });
    }

    pub(super) fn is_sweep_over(&self) -> bool {
        self.sweep.as_ref().is_some_and(|sweep| sweep.done >= sweep.total)
    }

    /// Whether symbols of the sweep are not planned yet though their lane has room.
    pub(super) fn has_more_to_plan(&self) -> bool {
        let waits = self.sweep.as_ref().filter(|sweep| !sweep.pending.is_empty());
        waits.is_some_and(|sweep| self.room(Lane::of(sweep.priority)) > 0) && self.may_begin_pass()
    }

    /// Whether so few passes of the sweep are under way that another may begin: those that wait
    /// for files take no room in a lane.
    fn may_begin_pass(&self) -> bool {
        let waits_max = self.archive.as_ref().map_or(0, Archive::passes_max);
        let begun = self.passes.values().filter(|pass| pass.of_sweep).count();
        begun < self.config.concurrency + waits_max
    }

    /// Ends the sweep if every symbol was passed; gives its depth and how many pages did not come.
    pub(super) fn end_sweep(&mut self) -> Option<(Depth, u64)> {
        let Sweep { depth, failed, .. } = self.sweep.take_if(|sweep| sweep.done >= sweep.total)?;
        self.tell(|progress| progress.remaining = None);
        Some((depth, failed))
    }
}
