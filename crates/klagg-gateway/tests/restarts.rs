//! Real shards that break and start again, before the real core: whatever is lost, late or
//! refused, time never goes back in a snapshot, and no minute is missing in the history.

use std::time::Duration;

use klagg_engine::{
    Continuity, EngineConfig, FeedId, HistoryConfig, HistoryReader, NewSymbolSpec, SequencerConfig,
    Shard, WorkerCounters, WorkerDelta, history,
};
use klagg_gateway::{GatewayConfig, GatewayCore, GlobalKlines, KlineState, Timing, WorkerNotice};
use klagg_kline::{Period, PeriodSet, Price, Quantity, Side, SymbolId, Trade, TradeId, UnixMillis};
use proptest::collection::vec;
use proptest::prelude::*;

const SYMBOLS: u32 = 5;
const WORKERS: usize = 2;
const FEED: FeedId = FeedId(0);
const MINUTE: i64 = 60_000;

#[derive(Debug, Clone)]
enum Step {
    /// The next trade of a symbol, so many milliseconds later.
    Trade(u32, i64),
    /// Exchange time is told.
    Time,
    /// A worker breaks; the next few trades of its symbols are lost.
    Break(usize, u8),
    /// A tick: each worker answers in time, late, or not at all; or its answer is not acknowledged.
    Tick([u8; WORKERS]),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let millis = prop_oneof![6 => 0..5_000_i64, 2 => 0..MINUTE, 1 => 0..9 * MINUTE];
    let step = prop_oneof![
        12 => (0..SYMBOLS, millis).prop_map(|(symbol, millis)| Step::Trade(symbol, millis)),
        3 => Just(Step::Time),
        1 => (0..WORKERS, 0..6_u8).prop_map(|(worker, lost)| Step::Break(worker, lost)),
        6 => any::<[u8; WORKERS]>().prop_map(Step::Tick),
    ];
    vec(step, 1..150)
}

fn engine_config() -> EngineConfig {
    EngineConfig {
        periods: PeriodSet::new(&[Period::M1, Period::M5]).expect("with the minute"),
        workers: WORKERS,
        symbols_max: SYMBOLS as usize,
        queue_batches: 1,
        batch_trades: 1,
        close_grace_ms: 500,
        sequencer: SequencerConfig { continuity: Continuity::Checked, held_max: 1, hold_ms: 0 },
        undelivered_max: 100_000,
        first_core: None,
    }
}

struct World {
    config: EngineConfig,
    shards: Vec<Shard>,
    resting: [u8; WORKERS],
    core: GatewayCore,
    history: HistoryReader,
    next_id: [i64; SYMBOLS as usize],
    now: i64,
    restarts_told: u64,
}

impl World {
    fn new() -> Self {
        let config = engine_config();
        let (writer, history) = history(HistoryConfig {
            periods: config.periods.clone(),
            symbols_max: SYMBOLS as usize,
            capacity: vec![8_192; 2],
            log_capacity: 1 << 16,
        })
        .expect("numbers that work");
        let gateway = GatewayConfig {
            cadence: Duration::from_millis(100),
            worker_timeout: Duration::from_millis(50),
            alarm_threshold: 3,
            symbols_max: SYMBOLS as usize,
            periods: config.periods.clone(),
        };
        let mut shards: Vec<_> = (0..WORKERS).map(|at| Shard::new(&config, at)).collect();
        for symbol in 0..SYMBOLS {
            let next_id = Some(TradeId(1));
            let id = SymbolId(symbol);
            let spec = NewSymbolSpec { id, feed: FEED, previous_close: None, next_id, since: None };
            shards[symbol as usize % WORKERS].add_symbol(&spec);
        }
        let core = GatewayCore::new(&gateway, WORKERS, writer).expect("as configured");
        let (resting, next_id) = ([0; WORKERS], [1; SYMBOLS as usize]);
        Self { config, shards, resting, core, history, next_id, now: 0, restarts_told: 0 }
    }

    fn trade(&mut self, symbol: u32, millis: i64) {
        self.now += millis;
        let id = &mut self.next_id[symbol as usize];
        let (price, quantity) = (Price::from_scaled(1_000 + *id), Quantity::from_scaled(1));
        let trade = Trade::new(TradeId(*id), UnixMillis(self.now), price, quantity, 1, Side::Buy);
        *id += 1;
        let worker = symbol as usize % WORKERS;
        if self.resting[worker] > 0 {
            self.resting[worker] -= 1;
        } else {
            self.shards[worker].on_trade(SymbolId(symbol), &trade.expect("a good trade"));
        }
    }

    fn tick(&mut self, fates: [u8; WORKERS]) {
        let before = std::sync::Arc::clone(self.core.published());
        for (worker, fate) in fates.into_iter().enumerate() {
            if fate % 4 == 0 || self.resting[worker] > 0 {
                let _ = self.core.missed(worker, UnixMillis(self.now));
                continue;
            }
            let mut delta = empty_delta(worker);
            self.shards[worker].fill_delta(&mut delta);
            let sequence = delta.sequence;
            let timing = if fate % 4 == 1 { Timing::Late } else { Timing::InTime };
            let taken = self.core.take(worker, delta, timing, UnixMillis(self.now));
            if let Some(WorkerNotice::Restarted { restarts, .. }) = taken.notice {
                self.restarts_told = self.restarts_told.max(restarts);
            }
            if fate % 4 != 2 {
                self.shards[worker].acknowledge(sequence);
            }
        }
        let after = self.core.publish(UnixMillis(self.now));
        check_step(&before, &after);
    }

    fn run(&mut self, steps: &[Step]) {
        for step in steps {
            match *step {
                Step::Trade(symbol, millis) => self.trade(symbol, millis),
                Step::Time => {
                    let time = UnixMillis(self.now);
                    self.shards.iter_mut().for_each(|shard| shard.on_watermark(FEED, time));
                }
                Step::Break(worker, lost) => {
                    self.shards[worker] = self.shards[worker].recover(&self.config);
                    self.resting[worker] = lost;
                }
                Step::Tick(fates) => self.tick(fates),
            }
        }
        self.resting = [0; WORKERS];
        self.tick([3; WORKERS]);
    }
}

fn empty_delta(worker: usize) -> WorkerDelta {
    WorkerDelta {
        worker,
        sequence: 0,
        exchange_time: None,
        open: Vec::new(),
        closed: Vec::new(),
        ended: Vec::new(),
        holes: Vec::new(),
        counters: WorkerCounters::default(),
        closed_dropped: 0,
        is_last: false,
    }
}

fn check_step(before: &GlobalKlines, after: &GlobalKlines) {
    for symbol in (0..SYMBOLS).map(SymbolId) {
        for (period_index, new) in after.symbol_slots(symbol).enumerate() {
            check_slot(&before.slot(symbol, period_index).unwrap_or_default(), &new);
        }
    }
}

fn check_slot(old: &KlineState<'_>, new: &KlineState<'_>) {
    assert!(new.open_time() >= old.open_time(), "back in time: {old:?} to {new:?}");
    if let (Some(old), Some(new)) = (old.open, new.open)
        && old.kline.open_time == new.kline.open_time
    {
        let count = |record: &klagg_kline::KlineRecord| record.kline.trade_count;
        assert!(count(new) >= count(old), "trades lost: {old:?} to {new:?}");
    }
    if let (Some(old), Some(new)) = (old.last_closed, new.last_closed)
        && old.kline.open_time == new.kline.open_time
    {
        assert!(new == old || new.supersedes(old), "unproven: {old:?} to {new:?}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 128, failure_persistence: None, ..<_>::default() })]

    #[test]
    fn time_never_goes_back_and_no_minute_is_missing_however_often_workers_break(
        steps in steps(),
    ) {
        let mut world = World::new();
        world.run(&steps);
        let published = world.core.published();
        prop_assert_eq!(world.core.counters().refused, 0);
        prop_assert_eq!(world.core.counters().closed_dropped, 0);
        for symbol in (0..SYMBOLS).map(SymbolId) {
            let Some(slot) = published.slot(symbol, 0) else { continue };
            let Some(last) = slot.last_closed else { continue };
            let all = klagg_engine::HistoryQuery {
                from: None, to: None, limit: usize::MAX, keep: klagg_engine::Keep::Newest,
            };
            let held = world.history.read(symbol, 0, &all);
            prop_assert_eq!(held.last(), Some(last));
            for pair in held.windows(2) {
                prop_assert_eq!(pair[1].kline.open_time, pair[0].kline.open_time.plus(MINUTE));
            }
        }
        let restarts = world.shards.iter().map(|shard| shard.counters().restarts).max();
        prop_assert_eq!(world.restarts_told, restarts.unwrap_or(0));
    }
}
