//! `complete_until`: the end of one run that never jumps over a hole.

use std::collections::BTreeMap;

use klagg_kline::{KlineRecord, KlineStatus, Period, SymbolId, UnixMillis};
use klagg_store::{Coverage, Store, StoreConfig, StoreError, StoredKline};
use rusqlite::Connection;

use crate::support::{MINUTE, START, kline, rows, store, symbol};

/// The run in minutes after the start, as store and reader tell it.
fn run(store: &Store) -> Option<(i64, i64)> {
    let told = store.coverage(SymbolId(0), Period::M1).unwrap();
    let read = store.reader().unwrap().coverage(SymbolId(0), Period::M1).unwrap();
    assert_eq!(told, read);
    let minutes = |time: UnixMillis| (time.0 - START) / MINUTE;
    told.map(|Coverage { from, until }| (minutes(from), minutes(until)))
}

#[test]
fn the_run_grows_at_both_ends_and_never_jumps() {
    use KlineStatus::{Closed, Confirmed, Provisional};
    let (folder, mut store) = store();
    let mut check = |minutes: Vec<i64>, status, expected: Option<(i64, i64)>| {
        store.write(&rows(minutes.clone(), status)).unwrap();
        assert_eq!(run(&store), expected, "{minutes:?} {status}");
    };
    check(vec![100, 101], Closed, None);
    check(vec![100], Confirmed, Some((100, 101)));
    check(vec![102], Confirmed, Some((100, 101)));
    check(vec![101], Provisional, Some((100, 101)));
    check(vec![101], Confirmed, Some((100, 103)));
    check(vec![150, 152, 151], Confirmed, Some((100, 103)));
    check((60..80).collect(), Confirmed, Some((100, 103)));
    check((80..100).collect(), Confirmed, Some((60, 103)));
    check((104..150).collect(), Confirmed, Some((60, 103)));
    check(vec![103], Confirmed, Some((60, 153)));
    check(vec![58, 153], Confirmed, Some((60, 154)));
    check(vec![59], Confirmed, Some((58, 154)));
    drop(store);
    let store = Store::open(&StoreConfig::new(folder.path())).unwrap();
    assert_eq!(run(&store), Some((58, 154)));
    assert_eq!(
        store.complete_until(SymbolId(0), Period::M1).unwrap(),
        Some(UnixMillis(START + 154 * MINUTE))
    );
    assert_eq!(store.complete_until(SymbolId(1), Period::M1).unwrap(), None);
    assert!(matches!(
        store.complete_until(SymbolId(9), Period::M1),
        Err(StoreError::UnknownSymbol { .. })
    ));
}

#[test]
fn months_join_though_their_lengths_differ() {
    let (_folder, mut store) = store();
    let mut months = Vec::new();
    let mut open_time = UnixMillis(0);
    for _ in 0..400 {
        months.push(StoredKline {
            symbol: SymbolId(1),
            period: Period::Mo1,
            record: KlineRecord {
                kline: kline(open_time.0, 5),
                revision: 0,
                status: KlineStatus::Confirmed,
            },
        });
        open_time = Period::Mo1.next_open_time(open_time);
    }
    let hole = months.remove(123);
    store.write(&months[123..]).unwrap();
    store.write(&months[..123]).unwrap();
    let from = hole.record.kline.open_time;
    let coverage = |store: &Store| store.coverage(SymbolId(1), Period::Mo1).unwrap();
    let after_hole = Period::Mo1.next_open_time(from);
    assert_eq!(coverage(&store), Some(Coverage { from: after_hole, until: open_time }));
    store.write(&[hole]).unwrap();
    assert_eq!(coverage(&store), Some(Coverage { from: UnixMillis(0), until: open_time }));
}

#[test]
fn a_damaged_coverage_is_found_and_not_believed() {
    let (folder, mut store) = store();
    store.write(&rows(0..5, KlineStatus::Confirmed)).unwrap();
    let reader = store.reader().unwrap();
    let vandal = Connection::open(store.path()).unwrap();
    let packed: Vec<u8> =
        vandal.query_row("SELECT slots FROM coverage", [], |row| row.get(0)).unwrap();
    let write = |packed: &[u8]| vandal.execute("UPDATE coverage SET slots = ?1", [packed]).unwrap();
    let check = |damaged: &[u8]| {
        write(damaged);
        let error = reader.complete_until(SymbolId(0), Period::M1).unwrap_err();
        assert!(matches!(error, StoreError::Corrupt { .. }), "{error}");
    };
    for bit in 0..packed.len() * 8 {
        let mut damaged = packed.clone();
        damaged[bit / 8] ^= 1 << (bit % 8);
        check(&damaged);
    }
    (0..packed.len()).for_each(|length| check(&packed[..length]));
    write(&packed);
    assert!(reader.complete_until(SymbolId(0), Period::M1).unwrap().is_some());
    // Where another period's block lies, it is another one's.
    vandal.execute("UPDATE coverage SET place = place + 1", []).unwrap();
    drop((store, vandal, reader));
    let error = Store::open(&StoreConfig::new(folder.path())).unwrap_err();
    assert!(error.to_string().contains("coverage"), "{error}");
}

#[test]
fn symbols_that_share_a_row_are_kept_apart() {
    let folder = tempfile::tempdir().unwrap();
    let mut store = Store::open(&StoreConfig::new(folder.path())).unwrap();
    let names = (0..100).map(|id| symbol(id, &format!("S{id}USDT")));
    store.append_symbols(&names.collect::<Vec<_>>()).unwrap();
    let periods = [Period::M1, Period::M5, Period::D1];
    let mut expected: BTreeMap<(SymbolId, Period), Coverage> = BTreeMap::new();
    let check = |store: &Store, expected: &BTreeMap<_, Coverage>| {
        let reader = store.reader().unwrap();
        for key in (0..100).map(SymbolId).flat_map(|id| periods.map(|period| (id, period))) {
            assert_eq!(store.coverage(key.0, key.1).unwrap(), expected.get(&key).copied());
            assert_eq!(reader.coverage(key.0, key.1).unwrap(), expected.get(&key).copied());
        }
    };
    for round in 0..24_u32 {
        let mut batch = Vec::new();
        for step in 0..9 {
            let key = (SymbolId((round * 37 + step * 31) % 100), periods[step as usize % 3]);
            let from = key.1.open_time(UnixMillis(START));
            let run = expected.entry(key).or_insert(Coverage { from, until: from });
            let kline = kline(run.until.0, 5);
            let record = KlineRecord { kline, revision: 0, status: KlineStatus::Confirmed };
            batch.push(StoredKline { symbol: key.0, period: key.1, record });
            run.until = key.1.next_open_time(run.until);
        }
        store.write(&batch).unwrap();
        check(&store, &expected);
    }
    drop(store);
    check(&Store::open(&StoreConfig::new(folder.path())).unwrap(), &expected);
}
