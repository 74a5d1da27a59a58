//! The exchange's own trades and klines, where they lie beside the project.

use crate::program::{Run, klagg, recorded};

fn verify(trades: &str, klines: &str, more: &[&str]) -> Option<Run> {
    let (trades, klines) = (recorded(trades)?, recorded(klines)?);
    let args: Vec<&str> =
        ["verify", &trades, "--klines", &klines].into_iter().chain(more.iter().copied()).collect();
    Some(klagg(&args))
}

const FIELDS: [&str; 9] = [
    "open",
    "high",
    "low",
    "close",
    "volume",
    "quote_volume",
    "count",
    "taker_buy_volume",
    "taker_buy_quote_volume",
];

#[test]
fn raw_trades_give_the_official_klines_to_the_digit() {
    let check = |trades: &str, klines: &str, minutes: u32| {
        let Some(run) = verify(trades, klines, &["--strict"]) else { return };
        assert_eq!(run.status, 0, "{}{}", run.out, run.err);
        for field in FIELDS {
            assert_eq!(run.line(&format!("{field} ")), format!("{field} {minutes} 0 0"));
        }
    };
    let day = "2024-08-08";
    check("trades/BTCUSDT-trades-2020-02-22.csv.gz", "klines/BTCUSDT-1m-2020-02-22T0000.csv", 124);
    for symbol in ["BTCUSDT", "ETHUSDT"] {
        let frames = format!("frames/{symbol}-trade-{day}.jsonl.gz");
        check(&frames, &format!("klines/{symbol}-1m-{day}T2354.csv"), 5);
    }
}

#[test]
fn aggregates_differ_only_where_they_straddle_or_the_recorder_lost_trades() {
    let trades = "trades/BTCUSDT-aggTrades-2024-10-28.part1.csv.gz";
    let klines = "klines/BTCUSDT-1m-2024-10-28.part1.csv";
    let Some(run) = verify(trades, klines, &["--ignore", "count"]) else { return };
    assert_eq!(run.status, 1, "{}{}", run.out, run.err);
    for (field, counts) in [
        ("open", "33 3 0"),
        ("high", "36 0 0"),
        ("low", "36 0 0"),
        ("close", "36 0 0"),
        ("volume", "27 8 1"),
        ("quote_volume", "27 8 1"),
        ("taker_buy_volume", "34 1 1"),
        ("taker_buy_quote_volume", "34 1 1"),
    ] {
        assert_eq!(run.line(&format!("{field} ")), format!("{field} {counts}"));
    }
    assert!(run.line("BTCUSDT 1m").contains("2024-10-28 16:00:00Z"), "{}", run.out);
    let first = run.line("36 klines");
    assert!(first.contains("27 equal, 8 explained, 1 different; 2 incomplete"), "{first}");
}

#[test]
fn every_kline_frame_is_the_fold_of_the_aggregates_up_to_its_last_trade() {
    let frames = "frames/4-symbols-aggTrade-kline_1m-2021-07-22.jsonl.gz";
    let Some(run) = verify(frames, frames, &[]) else { return };
    assert_eq!(run.status, 0, "{}{}", run.out, run.err);
    // Six frames were made in the middle of an aggregate, of which they hold the first fills. The
    // uncovered ones belong to the minute in which the recording began.
    let expected =
        "21 klines compared: 15 equal, 6 explained, 0 different; 0 incomplete, 46 not covered";
    assert_eq!(run.line("21 klines"), expected);
}

#[test]
fn a_day_s_dump_gives_every_kline_of_the_day() {
    let Some(trades) = recorded("trades/APEUSDT-aggTrades-2024-10-18.zip") else { return };
    let run = klagg(&["replay", &trades, "--whole-days"]);
    assert_eq!(run.status, 0, "{}", run.err);
    assert!(run.err.contains("0 duplicates, 0 gaps"), "{}", run.err);
    let count = |period: &str| {
        run.out.lines().filter(|line| line.split(',').nth(1) == Some(period)).count()
    };
    assert_eq!(["1m", "5m", "30m", "1h", "4h", "1d"].map(count), [1_440, 288, 48, 24, 6, 1]);
}
