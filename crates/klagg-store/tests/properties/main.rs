//! Laws of the store, against oracles that share no code with it.

#![expect(clippy::unwrap_used, reason = "a test that cannot set itself up has failed")]

mod damage;
mod newest;

use std::collections::BTreeMap;
use std::path::Path;

use klagg_kline::{
    Kline, KlineRecord, KlineStatus, Period, Precision, Price, QuoteVolume, SymbolId, TradeId,
    UnixMillis, Volume,
};
use klagg_store::{Durability, ReadEnd, ReadQuery, Store, StoreConfig, StoredKline, StoredSymbol};
use proptest::prelude::*;

const MINUTE: i64 = 60_000;
const SYMBOLS: u32 = 3;

/// Status, revision, and the price that stands for all values.
type Held = (u8, u32, i64);

/// Symbol, period's length in minutes, open time in minutes.
type Key = (u32, i64, i64);

const ALL: ReadQuery = ReadQuery { from: None, to: None, limit: usize::MAX, keep: ReadEnd::Oldest };

fn period(minutes: i64) -> Period {
    if minutes == 1 { Period::M1 } else { Period::M5 }
}

fn stored((symbol, minutes, at): Key, (status, revision, price): Held) -> StoredKline {
    let kline = Kline {
        volume: Volume::from_scaled(i128::from(price) << 60),
        quote_volume: QuoteVolume::from_scaled(i128::from(price) << 80),
        taker_buy_volume: Volume::from_scaled(i128::from(price)),
        taker_buy_quote_volume: QuoteVolume::from_scaled(-i128::from(price)),
        open_time: UnixMillis(at * MINUTE),
        open: Price::from_scaled(price),
        high: Price::from_scaled(price + 1),
        low: Price::from_scaled(price - 1),
        close: Price::from_scaled(price),
        trade_count: 3,
        first_id: TradeId(price),
        last_id: TradeId(price + 2),
    };
    let record = KlineRecord { kline, revision, status: KlineStatus::from_u8(status).unwrap() };
    StoredKline { symbol: SymbolId(symbol), period: period(minutes), record }
}

/// The rule of replacement in words: a higher status wins, then a higher revision; the revision
/// never falls, and rises when values of a kline change.
fn oracle_upsert(map: &mut BTreeMap<Key, Held>, key: Key, new: Held) {
    let Some(&old) = map.get(&key) else {
        map.insert(key, new);
        return;
    };
    if new.0 > old.0 || (new.0 == old.0 && new.1 > old.1) {
        let floor = if new.2 == old.2 { old.1 } else { old.1 + 1 };
        map.insert(key, (new.0, if new.1 > floor { new.1 } else { floor }, new.2));
    }
}

/// The run that holds the anchor, walked one kline at a time.
fn oracle_run(map: &BTreeMap<Key, Held>, (symbol, minutes, anchor): Key) -> (i64, i64) {
    let confirmed = |at| map.get(&(symbol, minutes, at)).is_some_and(|held| held.0 == 3);
    let (mut from, mut until) = (anchor, anchor);
    while confirmed(until) {
        until += minutes;
    }
    while confirmed(from - minutes) {
        from -= minutes;
    }
    (from, until)
}

fn batches() -> impl Strategy<Value = Vec<Vec<(Key, Held)>>> {
    let row = (0..SYMBOLS, prop_oneof![Just(1_i64), Just(5)], 1_000_i64..1_080)
        .prop_map(|(symbol, minutes, at)| (symbol, minutes, at * minutes));
    let held = (prop_oneof![1 => 1_u8..3, 3 => Just(3)], 0_u32..3, 100_i64..103);
    // Runs of neighbours, so that holes close and open.
    let span = (row, held, 1_i64..30).prop_map(|((symbol, minutes, at), held, length)| {
        (0..length).map(|step| ((symbol, minutes, at + step * minutes), held)).collect::<Vec<_>>()
    });
    prop::collection::vec(prop::collection::vec(span, 1..4).prop_map(|spans| spans.concat()), 1..12)
}

/// Without waiting for the disk: no test here pulls a plug.
fn config(folder: &Path) -> StoreConfig {
    StoreConfig { durability: Durability::Normal, ..StoreConfig::new(folder) }
}

fn new_store(folder: &Path) -> Store {
    let mut store = Store::open(&config(folder)).unwrap();
    let symbol = |id| StoredSymbol {
        id: SymbolId(id),
        name: format!("S{id}USDT"),
        first_open_time: UnixMillis(0),
        onboard_time: None,
        precision: Precision::new(2, 3).unwrap(),
        delisted: false,
    };
    store.append_symbols(&(0..SYMBOLS).map(symbol).collect::<Vec<_>>()).unwrap();
    store
}

fn contents(store: &Store) -> BTreeMap<Key, StoredKline> {
    let reader = store.reader().unwrap();
    let mut found = BTreeMap::new();
    for symbol in 0..SYMBOLS {
        for minutes in [1, 5] {
            let records = reader.read(SymbolId(symbol), period(minutes), &ALL).unwrap();
            assert!(
                records.windows(2).all(|pair| pair[0].kline.open_time < pair[1].kline.open_time)
            );
            for record in records {
                let key = (symbol, minutes, record.kline.open_time.0 / MINUTE);
                let row = StoredKline { symbol: SymbolId(symbol), period: period(minutes), record };
                found.insert(key, row);
            }
        }
    }
    found
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn any_batches_leave_what_the_oracle_leaves(batches in batches(), reopen_at in 0_usize..12) {
        let folder = tempfile::tempdir().unwrap();
        let mut store = new_store(folder.path());
        let mut expected: BTreeMap<Key, Held> = BTreeMap::new();
        let mut anchors: BTreeMap<(u32, i64), i64> = BTreeMap::new();
        for (at, batch) in batches.iter().enumerate() {
            if at == reopen_at {
                drop(store);
                store = Store::open(&config(folder.path())).unwrap();
            }
            let rows: Vec<StoredKline> =
                batch.iter().map(|&(key, held)| stored(key, held)).collect();
            let outcome = store.write(&rows).unwrap();
            prop_assert_eq!(outcome.written + outcome.unchanged, rows.len() as u64);
            let mut first: BTreeMap<(u32, i64), i64> = BTreeMap::new();
            for &(key, held) in batch {
                oracle_upsert(&mut expected, key, held);
                if held.0 == 3 {
                    let least = first.entry((key.0, key.1)).or_insert(key.2);
                    *least = (*least).min(key.2);
                }
            }
            for (slot, least) in first {
                anchors.entry(slot).or_insert(least);
            }
            for symbol in 0..SYMBOLS {
                for minutes in [1, 5] {
                    let run = store.coverage(SymbolId(symbol), period(minutes)).unwrap();
                    let told = run.map(|run| (run.from.0 / MINUTE, run.until.0 / MINUTE));
                    let anchor = anchors.get(&(symbol, minutes));
                    let walked = anchor.map(|&at| oracle_run(&expected, (symbol, minutes, at)));
                    prop_assert_eq!(told, walked);
                }
            }
        }
        let expected: BTreeMap<Key, StoredKline> =
            expected.into_iter().map(|(key, held)| (key, stored(key, held))).collect();
        prop_assert_eq!(&contents(&store), &expected);
        drop(store);
        let store = Store::open(&config(folder.path())).unwrap();
        prop_assert_eq!(&contents(&store), &expected);
    }

    #[test]
    fn any_values_come_back_as_they_went(values in prop::collection::vec(
        (
            prop::array::uniform4(any::<i128>()),
            prop::array::uniform6(any::<i64>()),
            any::<u64>(),
            any::<u32>(),
            1_u8..4,
        ),
        32,
    )) {
        let folder = tempfile::tempdir().unwrap();
        let mut store = new_store(folder.path());
        let record = |(at, (volumes, narrow, trade_count, revision, status))| {
            let ([volume, quote, taker, taker_quote], [open, high, low, close, first, last]) =
                (volumes, narrow);
            let kline = Kline {
                volume: Volume::from_scaled(volume),
                quote_volume: QuoteVolume::from_scaled(quote),
                taker_buy_volume: Volume::from_scaled(taker),
                taker_buy_quote_volume: QuoteVolume::from_scaled(taker_quote),
                open_time: UnixMillis(at * 1_000_003 * MINUTE),
                open: Price::from_scaled(open),
                high: Price::from_scaled(high),
                low: Price::from_scaled(low),
                close: Price::from_scaled(close),
                trade_count,
                first_id: TradeId(first),
                last_id: TradeId(last),
            };
            KlineRecord { kline, revision, status: KlineStatus::from_u8(status).unwrap() }
        };
        let records: Vec<KlineRecord> = (0_i64..).zip(values).map(record).collect();
        let rows = records.iter().map(|&record| {
            StoredKline { symbol: SymbolId(1), period: Period::M1, record }
        });
        store.write(&rows.collect::<Vec<_>>()).unwrap();
        let mut found = Vec::new();
        let to = UnixMillis(i64::MAX);
        let scan = store.reader().unwrap().scan(Period::M1, UnixMillis(0), to, |row| {
            found.push(row.record);
        });
        prop_assert_eq!(scan.unwrap().damaged, 0);
        prop_assert_eq!(found, records);
    }
}

/// From, to, limit, whether the newest are kept.
fn question() -> impl Strategy<Value = (Option<i64>, Option<i64>, usize, bool)> {
    let time = || prop::option::of(-5_i64..210);
    (time(), time(), 0_usize..90, any::<bool>())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Whatever is asked for, and however the klines lie, a read gives what a look at all of them
    /// would.
    #[test]
    fn a_read_gives_what_is_asked_for(
        minutes in prop::collection::btree_set(0_i64..200, 1..80),
        queries in prop::collection::vec(question(), 24),
    ) {
        let folder = quick_folder();
        let mut store = new_store(folder.path());
        let all: Vec<StoredKline> =
            minutes.iter().map(|&at| stored((1, 1, 5_000 + at), (2, 0, 777 + at))).collect();
        store.write(&all).unwrap();
        let reader = store.reader().unwrap();
        for (from, to, limit, newest) in queries {
            let time = |at: Option<i64>| at.map(|at| UnixMillis((5_000 + at) * MINUTE));
            let keep = if newest { ReadEnd::Newest } else { ReadEnd::Oldest };
            let query = ReadQuery { from: time(from), to: time(to), limit, keep };
            let found = reader.read(SymbolId(1), Period::M1, &query).unwrap();
            let within = |row: &&StoredKline| {
                let at = row.record.kline.open_time;
                query.from.is_none_or(|from| at >= from) && query.to.is_none_or(|to| at < to)
            };
            let mut expected: Vec<_> = all.iter().filter(within).map(|row| row.record).collect();
            let surplus = expected.len().saturating_sub(limit);
            if newest {
                expected.drain(..surplus);
            } else {
                expected.truncate(limit);
            }
            prop_assert_eq!(found, expected, "{:?}", query);
        }
    }
}

/// In memory where that can be had: many databases are made here, and none outlives a power cut.
fn quick_folder() -> tempfile::TempDir {
    tempfile::tempdir_in("/dev/shm").unwrap_or_else(|_| tempfile::tempdir().unwrap())
}
