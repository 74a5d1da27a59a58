//! The history as its readers see it.

use std::collections::BTreeMap;
use std::sync::atomic::AtomicBool;

use klagg_kline::{Kline, KlineStatus, Period, Price, QuoteVolume, TradeId, Volume};
use proptest::prelude::*;

use super::*;

const SYMBOL: SymbolId = SymbolId(3);

fn with_capacity(capacity: usize, log_capacity: usize) -> (HistoryWriter, HistoryReader) {
    let periods = PeriodSet::new(&[Period::M1]).unwrap();
    let config = HistoryConfig { periods, symbols_max: 5, capacity: vec![capacity], log_capacity };
    history(config).unwrap()
}

fn record(minute: i64, status: KlineStatus, revision: u32) -> KlineRecord {
    let price = Price::from_scaled(100_000_000 + minute + i64::from(revision));
    KlineRecord { kline: Kline::flat(UnixMillis(minute * 60_000), price), revision, status }
}

fn minutes(records: &[KlineRecord]) -> Vec<i64> {
    records.iter().map(|record| record.kline.open_time.0 / 60_000).collect()
}

#[test]
fn numbers_that_cannot_work_are_refused_with_a_sentence() {
    let check = |change: fn(&mut HistoryConfig), expected: &str| {
        let mut config = HistoryConfig {
            periods: PeriodSet::default(),
            symbols_max: 1,
            capacity: vec![1; 6],
            log_capacity: 1,
        };
        change(&mut config);
        assert_eq!(history(config).unwrap_err().to_string(), expected);
    };
    check(|config| config.symbols_max = 0, "`symbols_max` is 0, but must be from 1 to 1000000");
    check(|config| config.capacity[2] = 0, "`capacity` is 0, but must be from 1 to 16777216");
    check(|config| config.log_capacity = 0, "`log_capacity` is 0, but must be from 1 to 16777216");
    check(
        |config| config.capacity.truncate(5),
        "`capacity` is a list of 5, but must be as long as the list of periods",
    );
}

#[test]
fn a_query_takes_the_end_that_it_names() {
    let (mut writer, reader) = with_capacity(4, 100);
    let records: Vec<_> = [1, 2, 4, 5].map(|at| record(at, KlineStatus::Closed, 0)).into();
    assert_eq!(writer.apply(SYMBOL, 0, &records).applied, 4);
    let check = |from: Option<i64>, to: Option<i64>, limit, keep, expected: &[i64]| {
        let time = |time: i64| UnixMillis(time);
        let query = HistoryQuery { from: from.map(time), to: to.map(time), limit, keep };
        assert_eq!(minutes(&reader.read(SYMBOL, 0, &query)), expected, "{query:?}");
    };
    // Four are kept, counted in time: minute 1 is too old beside minute 5.
    check(None, None, 9, Keep::Oldest, &[2, 4, 5]);
    check(None, None, 2, Keep::Oldest, &[2, 4]);
    check(None, None, 2, Keep::Newest, &[4, 5]);
    check(Some(120_000), Some(240_000), 9, Keep::Oldest, &[2, 4]);
    check(Some(120_001), Some(299_999), 9, Keep::Oldest, &[4]);
    check(Some(600_000), None, 9, Keep::Newest, &[]);
    check(None, None, 0, Keep::Newest, &[]);
    assert_eq!(reader.len(SYMBOL, 0), 3);
    assert_eq!(reader.last(SYMBOL, 0), Some(records[3]));
    assert_eq!(reader.get(SYMBOL, 0, UnixMillis(240_000)), Some(records[2]));
    assert_eq!(reader.get(SYMBOL, 0, UnixMillis(180_000)), None);
    assert!(reader.is_empty(SymbolId(4), 0) && reader.is_empty(SymbolId(99), 7));
}

#[test]
fn what_cannot_be_kept_is_told_apart() {
    let (mut writer, reader) = with_capacity(4, 100);
    writer.apply(SYMBOL, 0, &[record(10, KlineStatus::Closed, 0)]);
    let mut off_grid = record(10, KlineStatus::Closed, 0);
    off_grid.kline.open_time = UnixMillis(600_001);
    let records = [
        record(11, KlineStatus::Open, 0),
        off_grid,
        record(6, KlineStatus::Confirmed, 0),
        record(10, KlineStatus::Provisional, 9),
        record(10, KlineStatus::Closed, 1),
        record(7, KlineStatus::Closed, 0),
    ];
    let outcome = writer.apply(SYMBOL, 0, &records);
    assert_eq!(outcome, ApplyOutcome { applied: 2, unchanged: 1, too_old: 1, refused: 2 });
    assert_eq!(writer.apply(SymbolId(5), 0, &records[4..]).refused, 2, "beyond the limit");
    assert_eq!(writer.apply(SYMBOL, 1, &records[4..]).refused, 2, "no such period");
    assert_eq!(reader.len(SYMBOL, 0), 2);
    // A confirmation with other values than those held: the revision goes on.
    writer.apply(SYMBOL, 0, &[record(10, KlineStatus::Confirmed, 0)]);
    assert_eq!(reader.last(SYMBOL, 0).unwrap().revision, 2);
}

#[test]
fn a_follower_sees_every_change_or_is_told() {
    let (mut writer, reader) = with_capacity(100, 8);
    let mut changes = Vec::new();
    let mut add = |from: i64, to: i64| {
        let records: Vec<_> = (from..to).map(|at| record(at, KlineStatus::Closed, 0)).collect();
        writer.apply(SYMBOL, 0, &records);
    };
    add(0, 5);
    let cursor = reader.changes_since(0, &mut changes, 3);
    assert_eq!((cursor, changes.len()), (ChangeCursor { next: 3, lost: false }, 3));
    let cursor = reader.changes_since(cursor.next, &mut changes, 9);
    assert_eq!((cursor, changes.len()), (ChangeCursor { next: 5, lost: false }, 5));
    assert_eq!(changes[4].open_time, UnixMillis(240_000));
    add(5, 15);
    let cursor = reader.changes_since(cursor.next, &mut changes, 99);
    assert_eq!((cursor, changes.len()), (ChangeCursor { next: 15, lost: true }, 13));
    assert_eq!(reader.changes_since(15, &mut changes, 99), ChangeCursor { next: 15, lost: false });
    assert!(reader.changes_since(16, &mut changes, 99).lost, "a cursor of another history");
    assert_eq!(reader.change_head(), 15);
}

/// Every field says the same number, so that a mixture shows.
fn self_checking(minute: i64, revision: u32) -> KlineRecord {
    let value = i64::from(revision) + 1;
    let price = Price::from_scaled(value * if revision.is_multiple_of(97) { 1 << 33 } else { 1 });
    KlineRecord {
        kline: Kline {
            volume: Volume::from_scaled(i128::from(value)),
            quote_volume: QuoteVolume::from_scaled(i128::from(value)),
            taker_buy_volume: Volume::from_scaled(i128::from(value)),
            taker_buy_quote_volume: QuoteVolume::from_scaled(i128::from(value)),
            open_time: UnixMillis(minute * 60_000),
            open: price,
            high: price,
            low: price,
            close: price,
            trade_count: value.unsigned_abs(),
            first_id: TradeId(value),
            last_id: TradeId(value),
        },
        revision,
        status: KlineStatus::Closed,
    }
}

#[test]
fn readers_beside_the_writer_see_whole_klines_without_inner_holes() {
    // A small window moves on in the middle of most reads, a large one spans chunks.
    read_beside_a_writer(4);
    read_beside_a_writer(300);
}

fn read_beside_a_writer(capacity: usize) {
    let (mut writer, reader) = with_capacity(capacity, 64);
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let read = |keep| {
            let (reader, done) = (reader.clone(), &done);
            move || {
                let query = HistoryQuery { from: None, to: None, limit: 1_000, keep };
                let mut newest = 0;
                while !done.load(Ordering::Relaxed) {
                    let records = reader.read(SYMBOL, 0, &query);
                    for record in &records {
                        let minute = record.kline.open_time.0 / 60_000;
                        assert_eq!(*record, self_checking(minute, record.revision));
                    }
                    let minutes = minutes(&records);
                    assert!(minutes.windows(2).all(|pair| pair[0] + 1 == pair[1]), "{minutes:?}");
                    // Nothing, if all that was kept went while it was read.
                    if let Some(&last) = minutes.last() {
                        assert!(last >= newest, "back in time");
                        newest = last;
                    }
                }
            }
        };
        scope.spawn(read(Keep::Oldest));
        scope.spawn(read(Keep::Newest));
        for minute in 0..20_000 {
            // Small revisions lie narrow, those above 16 bits wide.
            let small = u32::try_from(minute % 100).unwrap();
            let revision = if minute % 5_000 > 4_000 { 70_000 } else { small };
            writer.apply(SYMBOL, 0, &[self_checking(minute, revision)]);
            writer.apply(SYMBOL, 0, &[self_checking(minute, revision + 1)]);
        }
        done.store(true, Ordering::Relaxed);
    });
    assert_eq!(reader.len(SYMBOL, 0), capacity);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn the_ring_is_a_sorted_map_with_a_window(
        capacity in 1_usize..600,
        steps in prop::collection::vec((0_i64..900, 0_usize..4, 0_u32..3), 1..200),
        span in (-10_i64..910, 0_i64..910),
        limit in prop_oneof![0_usize..20, 0_usize..1_000],
    ) {
        let (mut writer, reader) = with_capacity(capacity, 16);
        let window = i64::try_from(capacity).unwrap();
        let mut oracle: BTreeMap<i64, KlineRecord> = BTreeMap::new();
        for (minute, status, revision) in steps {
            let record = record(minute, KlineStatus::ALL[status], revision);
            writer.apply(SYMBOL, 0, &[record]);
            let start = oracle.keys().last().map_or(i64::MIN, |newest| newest - window);
            if record.status.is_open() || minute <= start {
                continue;
            }
            let put = match oracle.get(&minute) {
                Some(held) => record.superseding(held),
                None => Some(record),
            };
            oracle.extend(put.map(|record| (minute, record)));
            let newest = *oracle.keys().last().unwrap();
            oracle.retain(|&minute, _| minute > newest - window);
        }
        let query = HistoryQuery { from: None, to: None, limit: 1_000, keep: Keep::Oldest };
        let expected: Vec<_> = oracle.into_values().collect();
        prop_assert_eq!(reader.len(SYMBOL, 0), expected.len());
        prop_assert_eq!(reader.last(SYMBOL, 0), expected.last().copied());
        prop_assert_eq!(reader.read(SYMBOL, 0, &query), expected.clone());
        let minute = |minute: i64| Some(UnixMillis(minute * 60_000));
        let (from, to) = (minute(span.0), minute(span.0 + span.1));
        let matching: Vec<_> = expected
            .into_iter()
            .filter(|record| (from..=to).contains(&Some(record.kline.open_time)))
            .collect();
        let oldest: Vec<_> = matching.iter().take(limit).copied().collect();
        let newest: Vec<_> =
            matching[matching.len().saturating_sub(limit)..].to_vec();
        for (keep, expected) in [(Keep::Oldest, oldest), (Keep::Newest, newest)] {
            // Behind what the caller's list holds already.
            let mut records = vec![record(7, KlineStatus::Closed, 0)];
            let query = HistoryQuery { from, to, limit, keep };
            reader.read_into(SYMBOL, 0, &query, &mut records);
            prop_assert_eq!(&records[1..], &expected[..], "{:?}", query);
        }
    }
}
