//! Deleting what need not be kept: in small steps, with coverage true after each.

use klagg_kline::{KlineStatus, Period, SymbolId, UnixMillis};
use klagg_store::{Retention, Store, StoreConfig, StoredKline, StoredSymbol};
use tempfile::TempDir;

use crate::support::{ALL, MINUTE, START, row, symbol};

const DAY: i64 = 1_440;
const SYMBOLS: u32 = 100;
/// Long after everything: only the newest kline counts.
const LATER: UnixMillis = UnixMillis(START + 900 * DAY * MINUTE);

fn config(folder: &TempDir) -> StoreConfig {
    let retention = vec![Retention { period: Period::M1, days: 1 }];
    StoreConfig { retention, ..StoreConfig::new(folder.path()) }
}

fn of(symbol: u32, minute: i64, status: KlineStatus) -> StoredKline {
    StoredKline { symbol: SymbolId(symbol), ..row(minute, status) }
}

/// Three days of every 64th minute, and of each minute of symbol 0; the last day is kept.
fn filled() -> (TempDir, Store) {
    let folder = tempfile::tempdir().unwrap();
    let mut store = Store::open(&config(&folder)).unwrap();
    let names: Vec<StoredSymbol> = (0..SYMBOLS).map(|id| symbol(id, &format!("S{id}"))).collect();
    store.append_symbols(&names).unwrap();
    let confirmed = KlineStatus::Confirmed;
    let all = (0..3 * DAY).map(|minute| of(0, minute, confirmed));
    let others = (1..SYMBOLS)
        .flat_map(|id| (0..3 * DAY).step_by(64).map(move |minute| of(id, minute, confirmed)));
    store.write(&all.chain(others).collect::<Vec<_>>()).unwrap();
    (folder, store)
}

/// The run of a symbol is what its rows say, however many steps were made.
fn check_coverage(store: &Store, id: u32) {
    let reader = store.reader().unwrap();
    let page = reader.read_page(SymbolId(id), Period::M1, &ALL).unwrap();
    assert!(
        page.damaged.is_empty() && page.missing.is_empty(),
        "S{id}: the run claims what is not there"
    );
    let times: Vec<i64> = page.records.iter().map(|record| record.kline.open_time.0).collect();
    let run = store.coverage(SymbolId(id), Period::M1).unwrap();
    assert_eq!(run, reader.coverage(SymbolId(id), Period::M1).unwrap());
    let run = run.map(|run| (run.from.0, run.until.0));
    let expected = times.first().map(|&first| {
        let joined = times.iter().zip(0..).take_while(|&(&time, at)| time == first + at * MINUTE);
        (first, first + i64::try_from(joined.count()).unwrap() * MINUTE)
    });
    assert_eq!(run, expected, "S{id}");
}

#[test]
fn old_klines_go_step_by_step_and_coverage_is_true_after_each() {
    let (folder, mut store) = filled();
    let (mut steps, mut rows) = (0, 0);
    while let Some(deleted) = store.trim(LATER).unwrap() {
        assert!(deleted <= 64 * 16, "{deleted} rows in one step");
        steps += 1;
        rows += deleted;
        if steps % 37 == 0 {
            for id in [0, 1, 63, 64, 99] {
                check_coverage(&store, id);
            }
        }
        if steps == 100 {
            drop(store);
            store = Store::open(&config(&folder)).unwrap();
        }
    }
    assert!(rows > 2_000 && steps > 100, "{rows} rows in {steps} steps");
    for id in 0..SYMBOLS {
        check_coverage(&store, id);
    }
    let kept = store.reader().unwrap().read(SymbolId(0), Period::M1, &ALL).unwrap();
    let kept_from = (kept[0].kline.open_time.0 - START) / MINUTE;
    let newest = 3 * DAY - 1;
    assert!((newest - DAY - 32..=newest - DAY).contains(&kept_from), "from minute {kept_from}");
    assert_eq!(i64::try_from(kept.len()).unwrap(), 3 * DAY - kept_from);
    assert_eq!(store.trim(LATER).unwrap(), None);
    // What comes later joins on.
    store.write(&[of(0, 3 * DAY, KlineStatus::Confirmed)]).unwrap();
    check_coverage(&store, 0);
    drop(store);
    let store = Store::open(&config(&folder)).unwrap();
    for id in 0..SYMBOLS {
        check_coverage(&store, id);
    }
}

#[test]
fn neither_a_wrong_clock_nor_a_kline_from_the_future_empties_the_store() {
    let (_folder, mut store) = filled();
    assert_eq!(store.trim(UnixMillis(START)).unwrap(), None, "the clock is behind");
    store.write(&[of(0, 900 * DAY, KlineStatus::Closed)]).unwrap();
    let now = UnixMillis(START + 3 * DAY * MINUTE);
    while store.trim(now).unwrap().is_some() {}
    let kept = store.reader().unwrap().read(SymbolId(0), Period::M1, &ALL).unwrap();
    assert!(i64::try_from(kept.len()).unwrap() > DAY, "{} rows", kept.len());
}

#[test]
fn other_periods_and_stores_without_a_limit_are_left_alone() {
    let (folder, mut store) = filled();
    let day = |at: i64| {
        let mut row = of(0, 0, KlineStatus::Confirmed);
        row.period = Period::D1;
        row.record.kline.open_time = UnixMillis((START / 86_400_000 - at) * 86_400_000);
        row
    };
    store.write(&(0..100).map(day).collect::<Vec<_>>()).unwrap();
    while store.trim(LATER).unwrap().is_some() {}
    assert_eq!(store.reader().unwrap().read(SymbolId(0), Period::D1, &ALL).unwrap().len(), 100);
    drop(store);
    let mut store = Store::open(&StoreConfig::new(folder.path())).unwrap();
    assert_eq!(store.trim(LATER).unwrap(), None);
}
