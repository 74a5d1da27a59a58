//! The examples do what they say. Each is compiled into this test; only its `main` is left out.

#![expect(clippy::duplicate_mod, reason = "two examples read the same kind of rows")]

#[expect(dead_code, reason = "an example's `main` is for its own binary")]
#[path = "../examples/aggregate_csv.rs"]
mod aggregate_csv;
#[expect(dead_code, reason = "an example's `main` is for its own binary")]
#[path = "../examples/backtest.rs"]
mod backtest;
#[expect(dead_code, reason = "an example's `main` is for its own binary")]
#[path = "../examples/threaded.rs"]
mod threaded;

use std::collections::BTreeMap;

use klagg_kline::{KlineStatus, SymbolId};

const DUMP: &str = include_str!("../../../fixtures/trades/AUSDT-aggTrades-2024-01-02.csv");

#[test]
fn a_dump_becomes_klines_one_a_line() {
    let mut out = Vec::new();
    aggregate_csv::aggregate(DUMP.as_bytes(), &mut out).unwrap();
    let text = String::from_utf8(out).unwrap();
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(lines[0], "period,open_time,open,high,low,close,volume,trades,status");
    assert_eq!(lines[1], "1m,1704153600000,100,100,100,100,1,1,provisional");
    assert_eq!(lines[2], "1m,1704153660000,100.5,101,99.5,99.5,1.7,4,closed");
    assert_eq!(lines[4], "1m,1704153780000,99,99,99,99,0,0,closed", "flat: nobody traded");
    assert_eq!(lines[6], "5m,1704153600000,100,101,99,100,5.8,8,provisional");
    assert_eq!(lines[12], "1d,1704153600000,100,101,99,100,6.8,9,broken", "the day began before");
    assert_eq!(lines.len(), 13);
}

#[test]
fn a_dump_that_is_none_is_refused_by_what_is_wrong_with_it() {
    let refused = aggregate_csv::aggregate(&b"1,2,3\n"[..], Vec::new()).unwrap_err();
    assert_eq!(refused.to_string(), "3 columns where 7 are needed: `1,2,3`");
}

#[test]
fn the_threaded_engine_folds_what_its_source_brings_and_hands_all_of_it_out() {
    let minutes = 7;
    let mut closed = BTreeMap::new();
    let report = threaded::run(minutes, |delta| {
        let one_minute = delta.closed.iter().filter(|data| data.period_index == 0);
        for data in one_minute {
            closed.insert((data.symbol, data.record.kline.open_time), data.record);
        }
    })
    .unwrap();
    assert_eq!(report.workers.iter().map(|worker| worker.trades).sum::<u64>(), 7 * 20 * 50);
    assert_eq!(closed.len(), 6 * 50, "the seventh minute is open");
    assert!(closed.values().all(|record| record.kline.trade_count == 20));
}

#[test]
fn a_backtest_sees_every_minute_of_every_symbol_once_and_in_order() {
    let trades = backtest::invent(300_000, 3).unwrap();
    let mut minutes = [0; 3];
    let mut others = 0;
    backtest::replay(&trades, |data| {
        if data.period_index > 0 {
            others += 1;
            return;
        }
        let minute = &mut minutes[data.symbol.index()];
        assert_eq!(data.record.kline.open_time.0, *minute * 60_000);
        assert_eq!(
            (data.record.status, data.record.kline.trade_count),
            (KlineStatus::Closed, 20_000)
        );
        *minute += 1;
    })
    .unwrap();
    assert_eq!((minutes, others), ([4; 3], 0), "300 s: the fifth minute is open");
    let dump = backtest::load(DUMP.as_bytes()).unwrap();
    assert_eq!((dump.len(), dump[0].0), (8, SymbolId(0)));
}
