//! `klagg record` of the simulated exchange.

use crate::program::klagg;

const SMALL: [&str; 6] =
    ["--set", "sim.symbols=5", "--set", "sim.history_days=1", "--set", "log.filter=warn"];

#[test]
fn a_tape_replays_without_a_gap_and_is_never_overwritten() {
    let folder = tempfile::tempdir().unwrap();
    let tape = folder.path().join("market.tape");
    let tape = tape.to_str().unwrap();
    let mut args = vec!["record", "--sim", "--out", tape, "--symbols", "BTCUSDT,ETHUSDT"];
    args.extend(["--duration", "3s"]);
    args.extend(SMALL);
    let run = klagg(&args);
    assert_eq!(run.status, 0, "{}", run.err);
    let replayed = klagg(&["replay", tape, "--include-open", "--period", "1m"]);
    assert_eq!(replayed.status, 0, "{}", replayed.err);
    assert!(replayed.err.contains("0 gaps"), "{}", replayed.err);
    assert!(!replayed.err.contains("warning"), "{}", replayed.err);
    assert!(replayed.out.contains("BTCUSDT,1m,"), "{}", replayed.out);

    let again = klagg(&args);
    assert_eq!(again.status, 2, "{}", again.err);
    assert!(again.err.contains("market.tape"), "{}", again.err);
    assert_eq!(klagg(&["replay", tape, "--include-open", "--period", "1m"]).out, replayed.out);
}
