//! The core against a naive model of workers that stall, answer late, repeat themselves and die.
//!
//! The model keeps the truth in plain maps and hands out deltas under the engine's promise:
//! whatever was not acknowledged is handed out again. It shares no code with the core.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use klagg_engine::{HistoryConfig, HistoryReader, KlineData, WorkerCounters, WorkerDelta, history};
use klagg_gateway::{GatewayConfig, GatewayCore, GlobalKlines, Timing};
use klagg_kline::{Kline, KlineRecord, KlineStatus, Period, PeriodSet, Price, SymbolId};
use klagg_kline::{TradeId, UnixMillis};
use proptest::collection::vec;
use proptest::prelude::*;

const SYMBOLS: u32 = 5;
const PERIODS: [Period; 2] = [Period::M1, Period::M5];

/// A slot's place.
type Place = (u32, u8);

#[derive(Debug, Clone)]
enum Step {
    /// A trade in a slot: opens its kline or adds to it.
    Trade(Place),
    /// The open kline of a slot closes.
    Close(Place),
    /// A closed kline, so many before the newest, is corrected.
    Correct(Place, usize),
    /// The open kline is folded anew from corrected parts: same ids, another count.
    Refold(Place),
    /// A tick in which the workers of the mask do not answer in time.
    Tick { stalled: u8, keep: bool },
    /// An old delta of a worker arrives once more.
    Repeat(usize),
    /// A worker ends.
    Die(usize),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let place = || (0..SYMBOLS, 0..2_u8);
    let step = prop_oneof![
        12 => place().prop_map(Step::Trade),
        4 => place().prop_map(Step::Close),
        2 => (place(), 0..3_usize).prop_map(|(place, age)| Step::Correct(place, age)),
        3 => place().prop_map(Step::Refold),
        6 => (any::<u8>(), any::<bool>()).prop_map(|(stalled, keep)| Step::Tick { stalled, keep }),
        4 => any::<usize>().prop_map(Step::Repeat),
        1 => any::<usize>().prop_map(Step::Die),
    ];
    vec(step, 1..120)
}

/// One worker as the engine promises it to be.
#[derive(Default)]
struct Worker {
    sequence: u64,
    asked: bool,
    dead: bool,
    changed: BTreeSet<Place>,
    closed: Vec<KlineData>,
    handed_out: Vec<WorkerDelta>,
}

#[derive(Default)]
struct Model {
    workers: Vec<Worker>,
    open: BTreeMap<Place, KlineRecord>,
    closed: BTreeMap<Place, BTreeMap<UnixMillis, KlineRecord>>,
    next_id: i64,
}

impl Model {
    fn owner(&mut self, place: Place) -> &mut Worker {
        let workers = self.workers.len();
        &mut self.workers[place.0 as usize % workers]
    }

    fn step_of(place: Place) -> i64 {
        PERIODS[usize::from(place.1)].fixed_millis().expect("a minute and five")
    }

    fn trade(&mut self, place: Place) {
        let newest = self.closed.get(&place).and_then(|closed| closed.keys().next_back().copied());
        let next = newest.map_or(UnixMillis(0), |time| time.plus(Self::step_of(place)));
        self.next_id += 1;
        let id = TradeId(self.next_id);
        let price = Price::from_scaled(1_000 + self.next_id);
        let open = self.open.entry(place).or_insert_with(|| {
            let kline = Kline { first_id: id, ..Kline::flat(next, price) };
            KlineRecord { kline, revision: 0, status: KlineStatus::Open }
        });
        open.kline.trade_count += 1;
        open.kline.last_id = id;
        open.kline.close = price;
        self.owner(place).changed.insert(place);
    }

    fn refold(&mut self, place: Place) {
        let Some(open) = self.open.get_mut(&place) else { return };
        open.kline.trade_count = open.kline.trade_count.saturating_sub(1).max(1);
        self.owner(place).changed.insert(place);
    }

    fn close(&mut self, place: Place) {
        let Some(open) = self.open.remove(&place) else { return };
        let record = KlineRecord { status: KlineStatus::Closed, ..open };
        self.emit(place, record);
    }

    fn correct(&mut self, place: Place, age: usize) {
        let Some(closed) = self.closed.get(&place) else { return };
        let Some(record) = closed.values().rev().nth(age) else { return };
        let mut record = *record;
        record.revision += 1;
        record.status = KlineStatus::Confirmed;
        record.kline.trade_count += 1;
        self.emit(place, record);
    }

    fn emit(&mut self, place: Place, record: KlineRecord) {
        self.closed.entry(place).or_default().insert(record.kline.open_time, record);
        let owner = self.owner(place);
        owner.changed.insert(place);
        owner.closed.push(data(place, record));
    }

    fn delta(&mut self, worker: usize) -> WorkerDelta {
        let Self { workers, open, .. } = self;
        let one = &mut workers[worker];
        one.sequence += 1;
        let changed = one.changed.iter();
        let delta = WorkerDelta {
            worker,
            sequence: one.sequence,
            exchange_time: None,
            open: changed.filter_map(|at| open.get(at).map(|open| data(*at, *open))).collect(),
            closed: one.closed.clone(),
            ended: Vec::new(),
            holes: Vec::new(),
            counters: WorkerCounters::default(),
            closed_dropped: 0,
            is_last: false,
        };
        one.handed_out.push(delta.clone());
        delta
    }

    fn acknowledge(&mut self, worker: usize) {
        self.workers[worker].changed.clear();
        self.workers[worker].closed.clear();
    }
}

fn data((symbol, period_index): Place, record: KlineRecord) -> KlineData {
    KlineData { symbol: SymbolId(symbol), period_index, record }
}

/// The core, the model, and the snapshots that readers keep.
struct World {
    core: GatewayCore,
    history: HistoryReader,
    model: Model,
    now: UnixMillis,
    kept: Vec<(Arc<GlobalKlines>, Vec<Slot>)>,
}

/// A copy of a slot: open and last closed kline, and the snapshot that changed it.
type Slot = (Option<KlineRecord>, Option<KlineRecord>, u64);

fn slots(klines: &GlobalKlines) -> Vec<Slot> {
    let symbols = (0..).map(SymbolId).take(klines.symbols());
    let states = symbols.flat_map(|symbol| klines.symbol_slots(symbol));
    states
        .map(|state| (state.open.copied(), state.last_closed.copied(), state.changed_in))
        .collect()
}

impl World {
    fn new(workers: usize) -> Self {
        let config = GatewayConfig {
            cadence: Duration::from_millis(100),
            worker_timeout: Duration::from_millis(50),
            alarm_threshold: 3,
            symbols_max: SYMBOLS as usize,
            periods: PeriodSet::new(&PERIODS).expect("with the minute"),
        };
        let (writer, reader) = history(HistoryConfig {
            periods: config.periods.clone(),
            symbols_max: SYMBOLS as usize,
            capacity: vec![256; 2],
            log_capacity: 4_096,
        })
        .expect("numbers that work");
        let core = GatewayCore::new(&config, workers, writer).expect("as configured");
        let workers = std::iter::repeat_with(Worker::default).take(workers).collect();
        let model = Model { workers, ..Model::default() };
        Self { core, history: reader, model, now: UnixMillis(0), kept: Vec::new() }
    }

    fn answer(&mut self, worker: usize, timing: Timing) {
        let delta = self.model.delta(worker);
        let _ = self.core.take(worker, delta, timing, self.now);
        self.model.acknowledge(worker);
    }

    fn tick(&mut self, stalled: impl Fn(usize) -> bool, keep: bool) {
        self.now = self.now.plus(100);
        for worker in 0..self.model.workers.len() {
            if self.model.workers[worker].dead {
                self.core.died(worker, self.now);
            } else if stalled(worker) {
                self.model.workers[worker].asked = true;
                self.core.missed(worker, self.now);
            } else {
                if std::mem::take(&mut self.model.workers[worker].asked) {
                    self.answer(worker, Timing::Late);
                }
                self.answer(worker, Timing::InTime);
            }
        }
        let before = Arc::clone(self.core.published());
        let after = self.core.publish(self.now);
        check_step(&before, &after);
        if keep {
            self.kept.push((Arc::clone(&after), slots(&after)));
        }
    }

    fn repeat(&mut self, pick: usize) {
        let worker = pick % self.model.workers.len();
        let handed_out = &self.model.workers[worker].handed_out;
        if let Some(delta) = handed_out.get(pick / 7 % handed_out.len().max(1)).cloned() {
            let _ = self.core.take(worker, delta, Timing::Late, self.now);
        }
    }

    fn run(&mut self, steps: &[Step]) {
        for step in steps {
            match *step {
                Step::Trade(place) => self.model.trade(place),
                Step::Close(place) => self.model.close(place),
                Step::Correct(place, age) => self.model.correct(place, age),
                Step::Refold(place) => self.model.refold(place),
                Step::Tick { stalled, keep } => self.tick(|at| stalled >> at & 1 == 1, keep),
                Step::Repeat(pick) => self.repeat(pick),
                Step::Die(pick) => {
                    let worker = pick % (self.model.workers.len() * 4);
                    if let Some(worker) = self.model.workers.get_mut(worker) {
                        worker.dead = true;
                    }
                }
            }
        }
        self.tick(|_| false, false);
    }

    /// After a tick in which all living workers answered, everything is as the model has it.
    fn check_equal(&self) {
        let published = self.core.published();
        for symbol in 0..SYMBOLS {
            let owner = symbol as usize % self.model.workers.len();
            if self.model.workers[owner].dead {
                continue;
            }
            for period_index in 0..2_u8 {
                let place = (symbol, period_index);
                let slot = published.slot(SymbolId(symbol), usize::from(period_index));
                let slot = slot.unwrap_or_default();
                let closed = self.model.closed.get(&place);
                let last = closed.and_then(|closed| closed.values().next_back());
                assert_eq!(slot.open, self.model.open.get(&place), "open of {place:?}");
                assert_eq!(slot.last_closed, last, "last closed of {place:?}");
                for (time, record) in closed.into_iter().flatten() {
                    let held = self.history.get(SymbolId(symbol), usize::from(period_index), *time);
                    assert_eq!(held.as_ref(), Some(record), "history of {place:?} at {time}");
                }
            }
        }
    }
}

/// What must hold from any snapshot to the next.
fn check_step(before: &GlobalKlines, after: &GlobalKlines) {
    assert_eq!(after.sequence, before.sequence + 1);
    assert!(after.published_at >= before.published_at);
    assert!(after.symbols() >= before.symbols());
    let listed: BTreeSet<_> = after.changed_since(before.sequence).collect();
    assert_eq!(listed.len(), after.changed_since(before.sequence).count(), "each once");
    let places = (0..SYMBOLS).flat_map(|symbol| [(symbol, 0_u8), (symbol, 1)]);
    let mut olds = slots(before).into_iter();
    for (slot, (symbol, period_index)) in slots(after).into_iter().zip(places) {
        let old = olds.next().unwrap_or_default();
        let place = (SymbolId(symbol), period_index);
        let marked = slot.2 == after.sequence;
        assert_eq!(listed.contains(&place), marked, "{place:?}");
        assert_eq!(slot != old, marked, "{place:?} changed, or is marked");
        check_slot(&old, &slot);
    }
}

fn check_slot(old: &Slot, new: &Slot) {
    let open_time = |slot: &Slot| slot.0.or(slot.1).map(|record| record.kline.open_time);
    assert!(open_time(new) >= open_time(old), "back in time: {old:?} to {new:?}");
    let ((old_open, old_closed, _), (new_open, new_closed, _)) = (old, new);
    if let (Some(old), Some(new)) = (old_open, new_open)
        && old.kline.open_time == new.kline.open_time
    {
        assert!(new.kline.last_id >= old.kline.last_id, "trades lost: {old:?} to {new:?}");
    }
    if let Some(old) = old_closed {
        let new = new_closed.as_ref().expect("a closed kline is never taken away");
        assert!(new.kline.open_time >= old.kline.open_time);
        if new.kline.open_time == old.kline.open_time {
            assert!(new == old || new.supersedes(old), "unproven: {old:?} to {new:?}");
        }
    }
    if let (Some(open), Some(closed)) = (new_open, new_closed) {
        assert!(open.kline.open_time > closed.kline.open_time);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 192, failure_persistence: None, ..<_>::default() })]

    #[test]
    fn whatever_workers_do_snapshots_only_go_forward_and_end_up_equal(
        workers in 1..4_usize,
        steps in steps(),
    ) {
        let mut world = World::new(workers);
        world.run(&steps);
        world.check_equal();
        prop_assert_eq!(world.core.counters().out_of_range, 0);
        for (kept, copy) in &world.kept {
            prop_assert_eq!(&slots(kept), copy, "a published snapshot changed");
        }
    }

    #[test]
    fn the_last_delta_applied_once_more_changes_nothing(
        workers in 1..4_usize,
        steps in steps(),
    ) {
        let mut world = World::new(workers);
        world.run(&steps);
        let before = slots(world.core.published());
        for worker in 0..workers {
            if let Some(delta) = world.core.last_delta(worker).cloned() {
                let _ = world.core.take(worker, delta, Timing::Late, world.now);
            }
        }
        let after = world.core.publish(world.now);
        prop_assert_eq!(slots(&after), before);
    }
}
