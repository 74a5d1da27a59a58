//! `klagg verify` of the shipped inputs.

use crate::program::{fixture, klagg};

const KLINES: &str = "AUSDT-1m-2024-01-02.csv";

#[test]
fn klines_of_raw_trades_are_equal() {
    for trades in ["AUSDT-trades-2024-01-02.csv", "frames-trade.jsonl"] {
        let run = klagg(&["verify", &fixture(trades), "--klines", &fixture(KLINES), "--strict"]);
        assert_eq!(run.status, 0, "{}{}", run.out, run.err);
        let first =
            "4 klines compared: 4 equal, 0 explained, 0 different; 2 incomplete, 0 not covered";
        assert_eq!(run.line("4 klines"), first);
        assert_eq!(run.line("quote_volume"), "quote_volume 4 0 0");
    }
}

#[test]
fn what_a_straddling_aggregate_changes_is_explained() {
    let trades = fixture("AUSDT-aggTrades-2024-01-02.csv");
    let klines = fixture(KLINES);
    let run = klagg(&["verify", &trades, "--klines", &klines]);
    assert_eq!(run.status, 0, "{}{}", run.out, run.err);
    assert!(run.line("4 klines").contains("2 equal, 2 explained, 0 different"), "{}", run.out);
    assert_eq!(run.line("open"), "open 3 1 0");
    assert_eq!(run.line("volume"), "volume 2 2 0");
    assert_eq!(run.line("taker_buy_volume"), "taker_buy_volume 4 0 0");
    let run = klagg(&["verify", &trades, "--klines", &klines, "--strict"]);
    assert_eq!(run.status, 1);
}

#[test]
fn kline_frames_are_compared_at_their_last_trade() {
    let frames = fixture("frames-aggTrade-kline_1m.jsonl");
    let run = klagg(&["verify", &frames, "--klines", &frames]);
    assert_eq!(run.status, 0, "{}{}", run.out, run.err);
    let first = "4 klines compared: 3 equal, 1 explained, 0 different; 0 incomplete, 2 not covered";
    assert_eq!(run.line("4 klines"), first);
}

#[test]
fn a_wrong_value_is_named_and_changes_the_status() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(KLINES);
    let text = std::fs::read_to_string(fixture(KLINES)).unwrap();
    let check = |from: &str, to: &str, wanted: &[&str]| {
        std::fs::write(&path, text.replace(from, to)).unwrap();
        let klines = path.to_str().unwrap();
        for trades in ["AUSDT-trades-2024-01-02.csv", "AUSDT-aggTrades-2024-01-02.csv"] {
            let run = klagg(&["verify", &fixture(trades), "--klines", klines]);
            assert_eq!(run.status, 1, "{}{}", run.out, run.err);
            for part in wanted {
                assert!(run.out.contains(part), "{part}: {}", run.out);
            }
        }
    };
    check("300.00000", "300.00001", &["1 different", "2024-01-02 00:04:00Z", "300.00001"]);
    check("101.00", "101.01", &["AUSDT 1m 2024-01-02 00:01:00Z", "high"]);
    let run = klagg(&[
        "verify",
        &fixture("AUSDT-trades-2024-01-02.csv"),
        "--klines",
        path.to_str().unwrap(),
        "--ignore",
        "high",
    ]);
    assert_eq!(run.status, 0, "{}{}", run.out, run.err);
    assert!(run.line("high").ends_with("ignored"), "{}", run.out);
}

#[test]
fn what_cannot_be_compared_fails() {
    let check = |args: &[&str], wanted: &str| {
        let run = klagg(args);
        assert_eq!(run.status, 2, "{args:?}: {}", run.err);
        assert!(run.err.contains(wanted), "{args:?}: {}", run.err);
    };
    let (trades, klines) = (fixture("AUSDT-trades-2024-01-02.csv"), fixture(KLINES));
    check(&["verify", &trades], "--klines");
    check(&["verify", &trades, "--klines", "missing.csv"], "missing.csv");
    check(&["verify", &trades, "--klines", &trades], "not that of klines");
    check(&["verify", &klines, "--klines", &klines], "not that of trades");
    let args = ["verify", &trades, "--klines", &klines, "--symbol", "BUSDT"];
    // Rows that name no symbol are taken for the one that was told, on both sides.
    assert_eq!(klagg(&args).status, 0);
    let other = fixture("frames-aggTrade-kline_1m.jsonl");
    check(&["verify", &other, "--klines", &klines, "--symbol", "BUSDT"], "nothing usable");
}
