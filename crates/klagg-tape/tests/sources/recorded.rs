//! Data recorded or published by others, where it lies beside the project.

use std::path::PathBuf;

use klagg_kline::{Kline, Period};
use klagg_wire::TradeKind;

use crate::files::{klines, trades, trades_of};

#[expect(clippy::print_stdout, reason = "what a test skips is to be seen")]
fn skip(what: &str) {
    println!("skipped: {what}");
}

/// The path of a recorded file; says what is skipped if it is not there.
fn recorded(file: &str) -> Option<PathBuf> {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../..");
    let path = root.join("../shared/data").join(file);
    if path.exists() {
        return Some(path);
    }
    skip(&format!("{file} is not there"));
    None
}

#[test]
fn a_whole_day_of_aggregates_has_no_hole_in_its_ids_and_one_in_the_raw_ids() {
    let Some(path) = recorded("trades/APEUSDT-aggTrades-2024-10-18.zip") else { return };
    let (found, counters) = trades(&path).unwrap();
    assert_eq!((found.len(), counters.rows, counters.malformed), (45_342, 45_342, 0));
    assert!(found.windows(2).all(|pair| pair[1].trade.id == pair[0].trade.id.next()));
    let holes = found.windows(2).filter(|pair| pair[1].first_fill_id != pair[0].last_fill_id + 1);
    assert_eq!(holes.count(), 1);
    assert!(found.iter().all(|row| row.precision.quantity() == 0), "19.0 is a whole number");
}

#[test]
fn all_recorded_trades_are_read_without_a_bad_row() {
    let check = |file: &str, symbol: Option<&str>, kind: TradeKind, given: usize| {
        let Some(path) = recorded(file) else { return };
        let (found, counters) = trades_of(&path, symbol).unwrap();
        assert_eq!((found.len(), counters.malformed, counters.truncated), (given, 0, 0), "{file}");
        assert!(found.iter().all(|row| row.kind == kind), "{file}");
    };
    check("trades/BTCUSDT-trades-2020-02-22.csv.gz", None, TradeKind::Raw, 9_999);
    check("trades/BTCUSDT-aggTrades-2024-10-28.part1.csv.gz", None, TradeKind::Aggregate, 41_681);
    let rest = "trades/CLUSDT-aggTrades-rest-2026-05-01.json.gz";
    check(rest, None, TradeKind::Aggregate, 1_000);
    check(rest, Some("CLUSDT"), TradeKind::Aggregate, 1_000);
    let frames = "frames/4-symbols-aggTrade-kline_1m-2021-07-22.jsonl.gz";
    check(frames, None, TradeKind::Aggregate, 91);
}

#[test]
fn recorded_fills_outside_the_order_book_are_dropped() {
    for (file, frames) in [("BTCUSDT", 21_313), ("ETHUSDT", 14_076)] {
        let file = format!("frames/{file}-trade-2024-08-08.jsonl.gz");
        let Some(path) = recorded(&file) else { continue };
        let (found, counters) = trades(&path).unwrap();
        assert_eq!(counters.rows, frames);
        assert_eq!(found.len() as u64 + counters.off_market, frames);
        assert_eq!((counters.malformed, counters.other_streams), (0, 0));
    }
}

#[test]
fn a_month_of_minutes_has_none_missing_and_its_flat_ones_are_flat() {
    let Some(path) = recorded("klines/NEARUSDT-1m-2023-09.csv.gz") else { return };
    let (found, counters) = klines(&path).unwrap();
    assert_eq!((found.len(), counters.malformed), (30 * 1_440, 0));
    let steps = found.windows(2);
    assert!({ steps }.all(|pair| pair[1].kline.open_time == pair[0].kline.open_time.plus(60_000)));
    let flat = found.iter().filter(|row| row.kline.is_flat());
    assert!(flat.clone().all(|row| row.kline.volume.scaled() == 0));
    assert!(flat.clone().all(|row| row.kline.high == row.kline.low));
    assert_eq!(flat.count(), 144);
}

#[test]
fn other_kline_dumps_are_read() {
    let check = |file: &str, period: Period, given: usize| {
        let Some(path) = recorded(file) else { return };
        let (found, counters) = klines(&path).unwrap();
        assert_eq!((found.len(), counters.malformed), (given, 0), "{file}");
        assert!(found.iter().all(|row| row.period == period && row.is_closed), "{file}");
    };
    check("klines/SOLUSDT-1m-2024-04-01.csv.gz", Period::M1, 1_999);
    check("klines/BTCUSDT-1h-2024-10-28.zip", Period::H1, 24);
    check("klines/BTCUSDT-1m-2024-10-28.part1.csv", Period::M1, 38);
}

#[test]
fn hours_merge_to_the_exchange_s_days() {
    let hours = recorded("klines/BTCUSDT-1h-2023-06-01.csv.gz");
    let days = recorded("klines/BTCUSDT-1d-2023-06-01.csv.gz");
    let (Some(hours), Some(days)) = (hours, days) else { return };
    let (hours, _) = klines(&hours).unwrap();
    let (days, _) = klines(&days).unwrap();
    let mut compared = 0;
    for day in &days {
        let open_time = day.kline.open_time;
        let parts = hours.iter().map(|row| &row.kline);
        let parts = parts.filter(|part| Period::D1.open_time(part.open_time) == open_time);
        let whole = Kline::rollup(open_time, parts).unwrap();
        // The recorder kept quote volumes as 32-bit floats: 24 bits, about 7 digits.
        let near = |left: klagg_kline::QuoteVolume, right: klagg_kline::QuoteVolume| {
            (left - right).scaled().abs() < right.scaled() / 1_000_000
        };
        assert!(near(whole.quote_volume, day.kline.quote_volume), "{open_time}");
        assert!(near(whole.taker_buy_quote_volume, day.kline.taker_buy_quote_volume));
        let exact = Kline {
            quote_volume: day.kline.quote_volume,
            taker_buy_quote_volume: day.kline.taker_buy_quote_volume,
            ..whole
        };
        assert!(exact.same_values(&day.kline), "{open_time}");
        compared += 1;
    }
    assert_eq!(compared, 61);
}
