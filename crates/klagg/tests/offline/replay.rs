//! `klagg replay` of the shipped inputs.

use crate::program::{fixture, klagg};

const RAW: &str = "AUSDT-trades-2024-01-02.csv";
const AGGREGATES: &str = "AUSDT-aggTrades-2024-01-02.csv";

/// Minutes 1 to 4 of the fixture's klines, as printed with one decimal each.
const MINUTES: [&str; 4] = [
    "AUSDT,1m,1704153660000,100.5,101.0,99.5,99.5,1.0,1704153719999,100.30,3,0.7,70.45,0",
    "AUSDT,1m,1704153720000,99.5,99.5,99.0,99.0,0.8,1704153779999,79.55,2,0.0,0.00,0",
    "AUSDT,1m,1704153780000,99.0,99.0,99.0,99.0,0.0,1704153839999,0.00,0,0.0,0.00,0",
    "AUSDT,1m,1704153840000,100.0,100.0,100.0,100.0,3.0,1704153899999,300.00,2,2.0,200.00,0",
];

#[test]
fn raw_trades_become_the_exchange_s_klines() {
    let run = klagg(&["replay", &fixture(RAW), "--period", "1m"]);
    assert_eq!(run.status, 0, "{}", run.err);
    let lines: Vec<&str> = run.out.lines().collect();
    assert!(lines[0].starts_with("symbol,period,open_time,open,high,low,close,volume,close_time,"));
    assert_eq!(lines.len(), 6, "the first, which is provisional, four more, not the open one");
    assert_eq!(lines[2..], MINUTES);
    assert!(run.err.contains("9 rows, 9 trades"), "{}", run.err);
    assert!(run.err.contains("1 of them provisional"), "{}", run.err);
    assert_eq!(klagg(&["replay", "--quiet", &fixture(RAW)]).err, "");
}

#[test]
fn frames_of_the_same_fills_give_the_same_klines_and_tell_what_they_left_out() {
    let dump = klagg(&["replay", &fixture(RAW), "--period", "1m"]);
    let run = klagg(&["replay", &fixture("frames-trade.jsonl"), "--period", "1m"]);
    let volumes: Vec<&str> =
        run.out.lines().skip(1).map(|line| line.split(',').nth(7).unwrap()).collect();
    assert_eq!(volumes, ["1.000", "1.000", "0.800", "0.000", "3.000"], "as the frames print them");
    assert_eq!(run.out.lines().count(), dump.out.lines().count());
    for part in ["14 rows, 10 trades", "1 outside the order book", "2 of other streams"] {
        assert!(run.err.contains(part), "{part}: {}", run.err);
    }
    assert!(run.err.contains("1 duplicates"), "{}", run.err);
    assert!(run.err.contains("1 malformed rows were skipped"), "{}", run.err);
    assert!(run.err.contains("frames-trade.jsonl:9: "), "{}", run.err);
}

#[test]
fn an_aggregate_across_an_edge_falls_into_the_earlier_minute() {
    let run = klagg(&["replay", &fixture(AGGREGATES), "--period", "1m"]);
    let volumes: Vec<&str> =
        run.out.lines().skip(1).map(|line| line.split(',').nth(7).unwrap()).collect();
    assert_eq!(volumes, ["1.0", "1.7", "0.1", "0.0", "3.0"]);
}

#[test]
fn open_klines_are_printed_with_their_status_when_asked_for() {
    let run =
        klagg(&["replay", &fixture(RAW), "--include-open", "--period", "1m", "--period", "1h"]);
    let statuses: Vec<String> = run
        .out
        .lines()
        .skip(1)
        .map(|line| {
            let fields: Vec<&str> = line.split(',').collect();
            format!("{} {}", fields[1], fields[14])
        })
        .collect();
    let expected = [
        "1m provisional",
        "1m closed",
        "1m closed",
        "1m closed",
        "1m closed",
        "1m open",
        "1h broken",
    ];
    assert_eq!(statuses, expected);
}

#[test]
fn whole_days_are_finished_to_their_end() {
    let run = klagg(&["replay", &fixture(RAW), "--whole-days", "--period", "1m", "--period", "1d"]);
    assert_eq!(run.out.lines().count(), 1 + 1_440 + 1);
    let day = run.out.lines().last().unwrap();
    assert!(day.starts_with("AUSDT,1d,1704153600000,100.0,101.0,99.0,100.0,6.8,"), "{day}");
}

#[test]
fn json_lines_go_to_a_file() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("klines.jsonl");
    let path = out.to_str().unwrap();
    let args = ["replay", &fixture(RAW), "--format", "jsonl", "--out", path, "--period", "5m"];
    let run = klagg(&args);
    assert_eq!((run.status, run.out.as_str()), (0, ""));
    let text = std::fs::read_to_string(&out).unwrap();
    assert_eq!(text.lines().count(), 1);
    assert!(
        text.starts_with(r#"{"symbol":"AUSDT","period":"5m","open_time":1704153600000,"#),
        "{text}"
    );
    assert!(
        text.contains(r#""volume":"5.8""#) && text.contains(r#""status":"provisional""#),
        "{text}"
    );
}

#[test]
fn what_replay_prints_can_be_compared_with() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("klines.csv");
    let path = out.to_str().unwrap();
    klagg(&["replay", &fixture(AGGREGATES), "--out", path]);
    let run = klagg(&["verify", &fixture(AGGREGATES), "--klines", path, "--strict"]);
    assert_eq!(run.status, 0, "{}{}", run.out, run.err);
}

#[test]
fn the_exchange_s_precision_decides_the_printed_decimals() {
    let folder = tempfile::tempdir().unwrap();
    let info = folder.path().join("exchangeInfo.json");
    let symbol = r#"{"symbol":"AUSDT","pair":"AUSDT","contractType":"PERPETUAL","status":"TRADING",
        "onboardDate":1569398400000,"deliveryDate":4133404800000,"baseAsset":"A",
        "quoteAsset":"USDT","marginAsset":"USDT",
        "pricePrecision":2,"quantityPrecision":3,"filters":[]}"#;
    let reply = format!(r#"{{"serverTime":1704153600000,"rateLimits":[],"symbols":[{symbol}]}}"#);
    std::fs::write(&info, reply).unwrap();
    let info = info.to_str().unwrap();
    let run = klagg(&["replay", &fixture(RAW), "--exchange-info", info, "--period", "1m"]);
    let expected = "AUSDT,1m,1704153660000,100.50,101.00,99.50,99.50,1.000,1704153719999,\
                    100.30000,3,0.700,70.45000,0";
    assert!(run.out.contains(expected), "{}{}", run.out, run.err);
}

#[test]
fn bad_inputs_end_with_one_sentence_and_print_no_kline() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| {
        let path = folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let check = |args: &[&str], wanted: &str| {
        let run = klagg(args);
        assert_eq!((run.status, run.out.as_str()), (2, ""), "{args:?}: {}", run.err);
        assert!(run.err.contains(wanted), "{args:?}: {}", run.err);
        assert_eq!(run.err.lines().count(), 1, "{args:?}: {}", run.err);
    };
    check(&["replay", "missing.csv"], "missing.csv");
    check(&["replay", &write("empty.csv", "")], "empty");
    check(&["replay", &write("words.txt", "some words\n")], "starts with");
    check(&["replay", &write("AUSDT-1m-1.csv", "open_time,open\n1,2\n")], "not that of trades");
    let nameless = write("rows.csv", "1,1.5,2,1,1,1729209603958,true\n");
    check(&["replay", &nameless], "symbol");
    check(&["replay", &fixture(RAW), &nameless], "symbol");
    check(&["replay", &fixture(RAW), "--out", "/nonexistent/klines.csv"], "/nonexistent");
    check(&["replay", &fixture(RAW), "--exchange-info", &nameless], "no exchangeInfo");
    check(&["replay", &fixture(RAW), "--period", "1m", "--period", "1m"], "twice");
    let run = klagg(&["replay", &fixture(RAW), "--period", "7m"]);
    assert_eq!(run.status, 2);
    assert!(run.err.contains("unknown period `7m`"), "{}", run.err);
}
