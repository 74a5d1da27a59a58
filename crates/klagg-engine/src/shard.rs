//! The sans-io state of a worker: trades, times and commands in, deltas out.
//!
//! Always true here:
//! - No clock, no thread, no lock: the same calls in the same order give the same answers.
//! - A trade costs two comparisons, one fold and the mark of a change. Nothing is allocated for
//!   it, unless it closes a minute and a list has to grow.
//! - A change is forgotten only when a delta that carried it was acknowledged.

mod deltas;
mod feeds;
mod recover;

use std::sync::Arc;

use klagg_kline::{KlineRecord, SymbolId, Trade, UnixMillis};

use self::feeds::FeedClock;
use crate::command::Command;
use crate::feed::{Item, Route};
use crate::levels::{Levels, Plan};
use crate::outgoing::{Outgoing, Scope};
use crate::sequencer::{Desk, STEP_MS_MAX, is_plausible};
use crate::symbol::{Cold, MINUTE_MS, Slot};
use crate::{Continuity, EngineConfig, FeedId, NewSymbolSpec, SequencerConfig, WorkerCounters};

/// The state of one worker: the symbols whose number mod `workers` is its own.
///
/// # Examples
///
/// ```
/// use klagg_engine::{
///     Continuity, EngineConfig, FeedId, NewSymbolSpec, SequencerConfig, Shard,
/// };
/// use klagg_kline::{PeriodSet, Price, Quantity, Side, SymbolId, Trade, TradeId, UnixMillis};
///
/// let config = EngineConfig {
///     periods: PeriodSet::default(),
///     workers: 1,
///     symbols_max: 100,
///     queue_batches: 1,
///     batch_trades: 1,
///     close_grace_ms: 500,
///     sequencer: SequencerConfig { continuity: Continuity::Checked, held_max: 1, hold_ms: 0 },
///     undelivered_max: 1_000,
///     first_core: None,
/// };
/// let mut shard = Shard::new(&config, 0);
/// let (id, feed) = (SymbolId(0), FeedId(0));
/// shard.add_symbol(&NewSymbolSpec { id, feed, previous_close: None, next_id: None, since: None });
/// let (price, quantity) = (Price::parse("82418.7")?, Quantity::parse("0.037")?);
/// let time = UnixMillis(59_000);
/// shard.on_trade(id, &Trade::new(TradeId(1), time, price, quantity, 1, Side::Buy)?);
/// assert_eq!(shard.open_klines(id).len(), 6, "one for each period");
/// assert_eq!(shard.counters().closed, 0);
/// shard.on_watermark(feed, UnixMillis(60_500));
/// assert_eq!(shard.counters().closed, 1, "the minute and its grace are over");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct Shard {
    worker: usize,
    route: Route,
    rules: SequencerConfig,
    /// By how much a trade's id may be ahead and still be the next one: 0, or anything where ids
    /// are not checked.
    id_slack: u64,
    close_grace_ms: i64,
    plan: Arc<Plan>,
    slots: Vec<Slot>,
    /// `None`: no minute is open yet. Beside the slots, so that a closing minute finds its sums
    /// without a detour.
    levels: Vec<Option<Levels>>,
    /// `None`: no such symbol.
    cold: Vec<Option<Box<Cold>>>,
    feeds: Vec<FeedClock>,
    /// Slots with trades held back.
    holding: Vec<u32>,
    /// Slots that changed since the last acknowledged delta.
    changed: Vec<u32>,
    exchange_time: Option<UnixMillis>,
    sequence: u64,
    acknowledged: u64,
    /// The acknowledged number when `changed` was last pruned: a slot is listed there if its
    /// epoch is above.
    pruned: u64,
    out: Outgoing,
}

impl Shard {
    /// The shard of worker number `worker`, with all its slots allocated.
    ///
    /// # Panics
    /// If the configuration is not valid, or has no such worker.
    pub fn new(config: &EngineConfig, worker: usize) -> Self {
        assert!(worker < config.workers, "worker {worker} of {}", config.workers);
        let route = Route::new(config.workers);
        let count = route.slots(config.symbols_max);
        Self {
            worker,
            route,
            rules: config.sequencer,
            id_slack: match config.sequencer.continuity {
                Continuity::Checked => 0,
                Continuity::Unchecked => u64::MAX >> 1,
            },
            close_grace_ms: config.close_grace_ms,
            plan: Arc::new(Plan::new(config.periods.clone())),
            slots: std::iter::repeat_with(Slot::vacant).take(count).collect(),
            levels: std::iter::repeat_with(|| None).take(count).collect(),
            cold: std::iter::repeat_with(|| None).take(count).collect(),
            feeds: Vec::new(),
            holding: Vec::new(),
            changed: Vec::new(),
            exchange_time: None,
            sequence: 0,
            acknowledged: 0,
            pruned: 0,
            out: Outgoing::new(config.undelivered_max),
        }
    }

    /// The number of the worker.
    pub const fn worker(&self) -> usize {
        self.worker
    }

    /// What was done so far.
    pub const fn counters(&self) -> &WorkerCounters {
        &self.out.counters
    }

    /// The number of the last delta.
    pub const fn sequence(&self) -> u64 {
        self.sequence
    }

    /// The number of the last delta that was acknowledged.
    pub const fn acknowledged(&self) -> u64 {
        self.acknowledged
    }

    /// Folds a trade. One of another worker's symbols, or of one never added, is counted.
    #[inline]
    pub fn on_trade(&mut self, symbol: SymbolId, trade: &Trade) {
        let (worker, slot) = self.route.place(symbol);
        if worker == self.worker {
            self.fold(slot, trade);
        } else {
            self.out.counters.unknown_symbol += 1;
        }
    }

    #[inline]
    pub(crate) fn fold(&mut self, index: u32, trade: &Trade) {
        if let Some(slot) = self.slots.get_mut(index as usize) {
            // As unsigned numbers, one comparison each covers too early and too late.
            let since_open = trade.time.0.wrapping_sub(slot.open.open_time.0).cast_unsigned();
            let ahead = trade.id.0.wrapping_sub(slot.next_id.0).cast_unsigned();
            if since_open < slot.span && ahead <= self.id_slack {
                slot.open.fold_next(trade);
                slot.next_id = trade.id.next();
                self.out.counters.trades += 1;
                if slot.epoch != self.out.epoch {
                    self.mark_changed(index);
                }
                return;
            }
        }
        self.fold_slowly(index, trade);
    }

    #[cold]
    fn mark_changed(&mut self, index: u32) {
        let slot = &mut self.slots[index as usize];
        if slot.epoch <= self.pruned {
            self.changed.push(index);
        }
        slot.epoch = self.out.epoch;
    }

    #[inline(never)]
    fn fold_slowly(&mut self, index: u32, trade: &Trade) {
        if self.close_plainly(index, trade) {
            return self.mark_changed(index);
        }
        let Some((mut desk, clock)) = self.desk(index) else {
            self.out.counters.unknown_symbol += 1;
            return;
        };
        let held_before = !desk.cold.held.is_empty();
        desk.on_trade(trade, clock.time);
        let held_after = !desk.cold.held.is_empty();
        if held_before && !held_after {
            desk.on_time(clock.boundary, clock.time.unwrap_or_default());
        }
        if held_after && !held_before {
            self.holding.push(index);
        }
        self.mark_changed(index);
    }

    /// Closes minutes before the next trade of a symbol about which all is plain: what most trades
    /// that are not simply folded ask for. `false`, and nothing done, for any other trade.
    #[inline]
    fn close_plainly(&mut self, index: u32, trade: &Trade) -> bool {
        let index = index as usize;
        let (Some(slot), Some(Some(levels))) =
            (self.slots.get_mut(index), self.levels.get_mut(index))
        else {
            return false;
        };
        // `span` is above 0 only for a symbol about which all is plain.
        let later = trade.time.since(slot.open.open_time);
        let ahead = trade.id.0.wrapping_sub(slot.next_id.0).cast_unsigned();
        let plain = slot.span > 0
            && ahead <= self.id_slack
            && (MINUTE_MS..STEP_MS_MAX).contains(&later)
            && is_plausible(trade.time);
        if plain {
            let mut scope = Scope { plan: &self.plan, out: &mut self.out, symbol: slot.symbol };
            slot.close_plainly(levels, &mut scope, trade);
        }
        plain
    }

    /// The symbol in a slot with all that its slow path needs, and its feed's time.
    fn desk(&mut self, index: u32) -> Option<(Desk<'_>, FeedClock)> {
        let cold = self.cold.get_mut(index as usize)?.as_deref_mut()?;
        let clock = self.feeds.get(usize::from(cold.feed.0)).copied().unwrap_or_default();
        let slot = &mut self.slots[index as usize];
        let levels = &mut self.levels[index as usize];
        let scope = Scope { plan: &self.plan, out: &mut self.out, symbol: slot.symbol };
        Some((Desk { slot, levels, cold, scope, rules: self.rules }, clock))
    }

    /// Nothing more will come: what is still held back is folded.
    pub fn finish(&mut self) {
        for index in std::mem::take(&mut self.holding) {
            if let Some((mut desk, _)) = self.desk(index) {
                desk.release_all();
                self.mark_changed(index);
            }
        }
    }

    /// Folds a symbol from now on; one that is folded already is only moved to the feed named.
    /// One of another worker, or beyond the limit, is ignored.
    pub fn add_symbol(&mut self, spec: &NewSymbolSpec) {
        let (worker, index) = self.route.place(spec.id);
        if worker != self.worker {
            return;
        }
        let copies = self.clock(spec.feed).copies;
        if let Some(cold) = self.cold.get_mut(index as usize) {
            match cold {
                Some(known) => {
                    (known.feed, known.copies) = (spec.feed, copies);
                }
                slot => {
                    *slot = Some(Box::new(Cold { copies, ..Cold::new(spec) }));
                    let slot = &mut self.slots[index as usize];
                    *slot = Slot { epoch: slot.epoch, symbol: spec.id, ..Slot::vacant() };
                    slot.next_id = spec.next_id.unwrap_or_default();
                    self.levels[index as usize] = None;
                }
            }
        }
    }

    /// Takes over closed klines from outside; `period_index` is an index into the periods.
    ///
    /// # Panics
    /// If there is no such period.
    pub fn supply(&mut self, symbol: SymbolId, period_index: usize, records: &[KlineRecord]) {
        assert!(period_index < self.plan.periods.len(), "no period {period_index}");
        let (worker, index) = self.route.place(symbol);
        let desk = if worker == self.worker { self.desk(index) } else { None };
        let Some((mut desk, clock)) = desk else {
            self.out.counters.supply_refused += records.len() as u64;
            return;
        };
        desk.supply(period_index, records, (clock.boundary, clock.time));
        self.mark_changed(index);
    }

    /// Takes the trades that a [`Hole`](crate::Hole) lacks: exactly those, in order. Anything else
    /// is refused and counted.
    pub fn fill(&mut self, symbol: SymbolId, trades: &[Trade]) {
        let (worker, index) = self.route.place(symbol);
        let desk = if worker == self.worker { self.desk(index) } else { None };
        let Some((mut desk, _)) = desk else {
            self.out.counters.fills_refused += 1;
            return;
        };
        desk.fill(trades);
        self.mark_changed(index);
    }

    pub(crate) fn on_command(&mut self, command: Command) {
        match command {
            Command::Add(spec) => self.add_symbol(&spec),
            Command::Retire(symbol) => self.retire_symbol(symbol),
            Command::Doubt(symbol, heard) => self.doubt_symbol(symbol, heard),
            Command::DoubtName(symbol, since) => self.doubt_name(symbol, since),
            Command::Fill { symbol, trades } => self.fill(symbol, &trades),
            Command::Supply { symbol, period_index, records } => {
                self.supply(symbol, period_index, &records);
            }
            #[cfg(debug_assertions)]
            Command::Fault(_) => unreachable!("the worker's shell takes it"),
        }
    }

    pub(crate) fn on_items(&mut self, feed: FeedId, items: &[Item]) {
        for item in items {
            match item {
                Item::Trade { slot, trade } => self.fold(*slot, trade),
                Item::Watermark(time) => self.on_watermark(feed, *time),
                Item::Interrupted => self.on_interrupted(feed),
                Item::Copies(count) => self.on_copies(feed, *count),
                Item::Quiet => self.on_quiet(feed),
            }
        }
    }

    /// Makes room for a symbol beyond those allocated, and folds it.
    pub(crate) fn grow_for(&mut self, spec: &NewSymbolSpec) {
        let (_, index) = self.route.place(spec.id);
        let wanted = self.slots.len().max(index as usize + 1);
        self.slots.resize_with(wanted, Slot::vacant);
        self.levels.resize_with(wanted, || None);
        self.cold.resize_with(wanted, || None);
        self.add_symbol(spec);
    }

    /// Whether a symbol is folded here.
    #[inline]
    pub(crate) fn has_symbol(&self, symbol: SymbolId) -> bool {
        let (_, index) = self.route.place(symbol);
        self.cold.get(index as usize).is_some_and(Option::is_some)
    }
}

fn index_u32(index: usize) -> u32 {
    u32::try_from(index).expect("slots are numbered by symbols, which are u32")
}

#[cfg(test)]
mod tests;
