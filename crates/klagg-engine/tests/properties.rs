//! The engine against a naive oracle, under every batching, order and loss that it promises to
//! bear. A failure prints the seed and the smallest case.

#![expect(clippy::unwrap_used, reason = "a test that cannot be set up has failed")]

#[path = "properties/oracle.rs"]
mod oracle;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use klagg_engine::{
    Continuity, Engine, EngineConfig, FeedId, KlineData, NewSymbolSpec, SequencerConfig, Shard,
};
use klagg_kline::{KlineRecord, KlineStatus, Period, PeriodSet, SymbolId, Trade};
use oracle::{Key, Oracle};
use proptest::prelude::*;

const FEED: FeedId = FeedId(3);
const MINUTE: i64 = 60_000;
const IN_ORDER: SequencerConfig =
    SequencerConfig { continuity: Continuity::Checked, held_max: 1, hold_ms: 0 };

fn periods() -> PeriodSet {
    PeriodSet::new(&[Period::M1, Period::M3, Period::M5, Period::M15, Period::H1]).unwrap()
}

fn config(workers: usize, sequencer: SequencerConfig) -> EngineConfig {
    EngineConfig {
        periods: periods(),
        workers,
        symbols_max: 16,
        queue_batches: 2,
        batch_trades: 7,
        close_grace_ms: 500,
        sequencer,
        undelivered_max: 1_000_000,
        first_core: None,
    }
}

fn spec(symbol: SymbolId) -> NewSymbolSpec {
    NewSymbolSpec { id: symbol, feed: FEED, previous_close: None, next_id: None, since: None }
}

fn shard(sequencer: SequencerConfig) -> Shard {
    let mut shard = Shard::new(&config(1, sequencer), 0);
    (0..16).for_each(|symbol| shard.add_symbol(&spec(SymbolId(symbol))));
    shard
}

/// Trades of up to `symbols` symbols in the order of time, each symbol's ids one up from 1.
fn market(symbols: u32, count: usize) -> impl Strategy<Value = Vec<(SymbolId, Trade)>> {
    let step = prop_oneof![
        8 => 0..5_000_i64,
        3 => 0..MINUTE,
        1 => 0..20 * MINUTE,
    ];
    let draft = (0..symbols, step, 1..50_i64, 1..1_000_i64, 1..4_u32, any::<bool>());
    prop::collection::vec(draft, 1..count).prop_map(|drafts| oracle::trades(&drafts))
}

/// The last word on every closed kline, by its place.
fn latest(closed: &[KlineData]) -> BTreeMap<Key, KlineRecord> {
    closed.iter().map(|data| (oracle::key(data), data.record)).collect()
}

/// What the shard says of everything up to now.
fn take(shard: &mut Shard) -> (Vec<KlineData>, Vec<KlineData>) {
    let mut delta = oracle::empty_delta();
    shard.fill_delta(&mut delta);
    shard.acknowledge(delta.sequence);
    (delta.open, delta.closed)
}

/// Pushes all trades through threads, flushing where `cuts` says, and takes all deltas.
fn through_engine(
    workers: usize,
    trades: &[(SymbolId, Trade)],
    cuts: &BTreeSet<usize>,
) -> (Vec<KlineData>, Vec<KlineData>) {
    let mut engine = Engine::start(config(workers, IN_ORDER)).unwrap();
    let readers = engine.take_readers();
    let control = engine.control();
    (0..16).for_each(|symbol| control.add_symbol(spec(SymbolId(symbol))).unwrap());
    let mut feed = engine.feed(FEED);
    for (at, (symbol, trade)) in trades.iter().enumerate() {
        while let Err(refused) = feed.push(*symbol, *trade) {
            assert_eq!(refused.0.trade, *trade);
            feed.flush().unwrap();
        }
        feed.watermark(trade.time);
        if cuts.contains(&at) {
            feed.try_flush().unwrap();
        }
    }
    drop((feed, control));
    let join = std::thread::spawn(move || engine.join().unwrap());
    let (mut open, mut closed) = (BTreeMap::new(), Vec::new());
    for reader in &readers {
        loop {
            let delta = reader.request_snapshot().unwrap().wait(Duration::from_secs(20)).unwrap();
            reader.acknowledge(delta.sequence);
            open.extend(delta.open.iter().map(|data| (oracle::key(data), *data)));
            closed.extend(delta.closed);
            if delta.is_last {
                break;
            }
        }
    }
    join.join().unwrap();
    // Workers answer one after the other: in the order of symbols, all answers are one.
    closed.sort_by_key(|data: &KlineData| data.symbol);
    let newest = open.into_values().map(|data| ((data.symbol, data.period_index), data));
    (newest.collect::<BTreeMap<_, _>>().into_values().collect(), closed)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn any_batching_and_any_number_of_workers_give_the_oracles_klines(
        trades in market(9, 300),
        cuts in prop::collection::btree_set(0_usize..300, 0..60),
    ) {
        let (open, closed) = through_engine(1, &trades, &cuts);
        for (workers, cuts) in [(2, &cuts), (7, &cuts), (2, &BTreeSet::new())] {
            let (other_open, other_closed) = through_engine(workers, &trades, cuts);
            prop_assert_eq!(&open, &other_open);
            prop_assert_eq!(&closed, &other_closed);
        }
        let mut oracle = Oracle::new(periods());
        for (symbol, trade) in &trades {
            oracle.add(*symbol, trade);
        }
        let now = trades.last().unwrap().1.time;
        oracle.check_closed(&latest(&closed), now.plus(-500))?;
        oracle.check_open(&open)?;
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn repetitions_and_reordering_within_the_hold_change_nothing(
        trades in market(3, 200),
        shifts in prop::collection::vec(0_usize..12, 200),
        repeats in prop::collection::vec(0_usize..3, 200),
    ) {
        let mut in_order = shard(IN_ORDER);
        for (symbol, trade) in &trades {
            in_order.on_trade(*symbol, trade);
        }
        // The first trade of each symbol stays first: nobody can know that one came before.
        let mut seen = BTreeSet::new();
        let mut shuffled = Vec::new();
        for (at, (symbol, trade)) in trades.iter().enumerate() {
            let place = if seen.insert(*symbol) { 0 } else { at + 1 + shifts[at] };
            shuffled.push((place, *symbol, *trade));
            for again in 0..repeats[at] {
                shuffled.push((at + 13 + again * 5, *symbol, *trade));
            }
        }
        shuffled.sort_by_key(|&(place, ..)| place);
        // Longer than the twelve places by which a trade is late can last.
        let rules = SequencerConfig {
            continuity: Continuity::Checked,
            held_max: 1_000,
            hold_ms: 13 * 20 * MINUTE,
        };
        let mut reordered = shard(rules);
        for (_, symbol, trade) in &shuffled {
            reordered.on_trade(*symbol, trade);
        }
        let ((mut open, mut closed), (mut other_open, mut other_closed)) =
            (take(&mut in_order), take(&mut reordered));
        for list in [&mut open, &mut closed, &mut other_open, &mut other_closed] {
            list.sort_by_key(|data| data.symbol);
        }
        prop_assert_eq!(open, other_open);
        prop_assert_eq!(closed, other_closed);
        prop_assert_eq!(reordered.counters().gaps, 0);
        prop_assert_eq!(reordered.counters().trades, trades.len() as u64);
    }

    #[test]
    fn a_kline_is_closed_only_if_it_is_the_oracles(
        trades in market(3, 200),
        lost in prop::collection::btree_set(0_usize..200, 0..10),
    ) {
        let mut oracle = Oracle::new(periods());
        let mut shard = shard(IN_ORDER);
        for (at, (symbol, trade)) in trades.iter().enumerate() {
            oracle.add(*symbol, trade);
            if !lost.contains(&at) {
                shard.on_trade(*symbol, trade);
            }
        }
        let (_, closed) = take(&mut shard);
        let closed = latest(&closed);
        for (key, record) in &closed {
            if record.status >= KlineStatus::Closed {
                oracle.check_one(key, &record.kline)?;
            }
        }
        let counters = shard.counters();
        prop_assert_eq!(counters.gaps > 0, counters.gap_trades > 0);
        if counters.gaps == 0 && lost.is_empty() {
            prop_assert!(closed.values().all(|record| record.status == KlineStatus::Closed));
        }
    }

    #[test]
    fn a_shard_that_breaks_tells_every_minute_once_and_closes_none_that_it_cannot_vouch_for(
        trades in market(3, 200),
        lost in prop::collection::btree_set(0_usize..200, 0..10),
        breaks in prop::collection::btree_set(0_usize..200, 1..6),
        reads in prop::collection::btree_set(0_usize..200, 0..40),
    ) {
        let (mut oracle, mut shard) = (Oracle::new(periods()), shard(IN_ORDER));
        let mut told: BTreeMap<Key, KlineRecord> = BTreeMap::new();
        let mut shown: BTreeMap<(SymbolId, u8), KlineRecord> = BTreeMap::new();
        let mut resting = false;
        for (at, (symbol, trade)) in trades.iter().enumerate() {
            oracle.add(*symbol, trade);
            if breaks.contains(&at) {
                shard = shard.recover(&config(1, IN_ORDER));
            }
            // Trades are lost while it rests, and nowhere else.
            resting = lost.contains(&at) && (resting || breaks.contains(&at));
            if !resting {
                shard.on_trade(*symbol, trade);
            }
            if reads.contains(&at) || at + 1 == trades.len() {
                let (open, closed) = take(&mut shard);
                for data in &closed {
                    let before = told.insert(oracle::key(data), data.record);
                    prop_assert!(before.is_none_or(|before| data.record.supersedes(&before)));
                }
                for data in &open {
                    let place = (data.symbol, data.period_index);
                    let (before, now) = (shown.insert(place, data.record), data.record.kline);
                    let before = before.map(|before| before.kline);
                    let forward = before.is_none_or(|before| {
                        (before.open_time, before.trade_count) <= (now.open_time, now.trade_count)
                            || before.open_time < now.open_time
                    });
                    prop_assert!(forward, "{place:?}: {before:?} to {now:?}");
                }
            }
        }
        for (key, record) in &told {
            if record.status >= KlineStatus::Closed {
                oracle.check_one(key, &record.kline)?;
            }
            // From each minute to the next, until the open one.
            let next = periods().get(usize::from(key.1)).next_open_time(key.2);
            let open = shown[&(key.0, key.1)].kline.open_time;
            prop_assert!(next == open || told.contains_key(&(key.0, key.1, next)), "{key:?}");
        }
    }

    #[test]
    fn supplies_make_the_klines_the_oracles_again(
        trades in market(2, 120),
        lost in prop::collection::btree_set(1_usize..120, 0..20),
        order in prop::collection::vec(any::<u32>(), 64),
    ) {
        let mut oracle = Oracle::new(periods());
        let mut shard = shard(IN_ORDER);
        let mut told = BTreeMap::new();
        for (at, (symbol, trade)) in trades.iter().enumerate() {
            oracle.add(*symbol, trade);
            if lost.contains(&at) {
                continue;
            }
            shard.on_trade(*symbol, trade);
            let (_, closed) = take(&mut shard);
            told.extend(latest(&closed));
            // What closed is confirmed at once, as the exchange has it, in any order.
            let minutes = closed.iter().filter(|data| data.period_index == 0);
            let mut official: Vec<_> =
                minutes.filter_map(|data| oracle.official(&oracle::key(data))).collect();
            official.sort_by_key(|record| {
                order[usize::try_from(record.kline.open_time.0 / MINUTE % 64).unwrap()]
            });
            // The last few minutes are kept; what a longer quiet time closed is older.
            for record in official {
                shard.supply(*symbol, 0, &[record]);
            }
            told.extend(latest(&take(&mut shard).1));
        }
        let ignored = shard.counters().supply_ignored;
        for (key, record) in &told {
            if record.status == KlineStatus::Confirmed {
                oracle.check_one(key, &record.kline)?;
            } else {
                prop_assert!(key.1 != 0 || ignored > 0, "{key:?} {record:?}");
            }
        }
    }

    #[test]
    fn no_reader_misses_a_closed_kline_however_often_it_times_out(
        trades in market(4, 200),
        reads in prop::collection::vec((0_usize..200, 0_u8..4), 0..60),
    ) {
        let mut read = shard(IN_ORDER);
        let mut unread = shard(IN_ORDER);
        let (mut closed, mut open) = (Vec::new(), BTreeMap::new());
        let mut delta = oracle::empty_delta();
        let mut acknowledged = 0;
        for (at, (symbol, trade)) in trades.iter().enumerate() {
            read.on_trade(*symbol, trade);
            unread.on_trade(*symbol, trade);
            for (_, fate) in reads.iter().filter(|&&(when, _)| when == at) {
                read.fill_delta(&mut delta);
                let before = acknowledged;
                match fate {
                    // It never arrived.
                    0 => continue,
                    // It arrived, but the proof is lost, or comes with the next.
                    1 => {}
                    // It arrived, and the shard knows, perhaps twice.
                    _ => {
                        acknowledged = delta.sequence;
                        (2..=*fate).for_each(|_| read.acknowledge(delta.sequence));
                        // One that comes late, and one that nobody handed out.
                        read.acknowledge(before);
                        read.acknowledge(if *fate == 3 { u64::MAX } else { 0 });
                    }
                }
                prop_assert!(delta.sequence > before);
                open.extend(delta.open.iter().map(|data| {
                    ((data.symbol, data.period_index), *data)
                }));
                closed.append(&mut delta.closed);
            }
        }
        read.fill_delta(&mut delta);
        closed.append(&mut delta.closed);
        open.extend(delta.open.iter().map(|data| ((data.symbol, data.period_index), *data)));
        prop_assert_eq!(latest(&closed), latest(&take(&mut unread).1));
        for symbol in (0..4).map(SymbolId) {
            let held = open.values().filter(|data| data.symbol == symbol).copied();
            prop_assert_eq!(held.collect::<Vec<_>>(), read.open_klines(symbol));
        }
    }
}
