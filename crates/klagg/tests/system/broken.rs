//! Parts of klagg itself that break or stand still: said, survived, and in the end no hole.

use std::time::Duration;

use klagg_kline::Period;

use crate::market::{Market, PATIENCE, START};
use crate::process::{Klagg, get, metric, wait_until};
use crate::truth::wait_until_confirmed;
use crate::truth::{FACTOR, Stored, minutes_after_start, start_with_faults, stop};

fn figure(admin: &str, name: &str) -> f64 {
    metric(admin, name).unwrap_or(0.0)
}

/// Asks the running klagg to do this to one of its workers, and waits until it has heard.
fn fault(folder: &str, words: &str) {
    let file = format!("{folder}/faults");
    let partly = format!("{file}.new");
    std::fs::write(&partly, words).unwrap();
    std::fs::rename(&partly, &file).unwrap();
    wait_until("the fault is heard of", PATIENCE, || !std::fs::exists(&file).unwrap());
}

#[test]
fn a_worker_that_stands_still_is_named_and_one_that_breaks_leaves_no_hole() {
    let market = Market::open(31, FACTOR);
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path().to_str().unwrap();
    let (mut klagg, page, admin) = start_with_faults(&market, folder, &[]);
    wait_until_confirmed(&admin, minutes_after_start(1));
    // The market lives in a time of its own, so that the machine's clock is named as wrong.
    let is_well = || {
        let health = get(&admin, "/healthz").unwrap();
        health.starts_with("ok\n") && !health.contains("worker")
    };
    assert!(is_well());

    fault(folder, "stall 1 9000");
    klagg.wait_for("worker 1 gives no sign of life", PATIENCE);
    let health = get(&admin, "/healthz").unwrap();
    assert!(health.starts_with("silent\nworker 1 has given no sign of life"), "{health}");
    assert!(!health.contains("worker 0"), "{health}");
    let silent = get(&admin, "/metrics").unwrap();
    assert!(silent.contains("klagg_part_silent{part=\"worker 1\"} 1"), "{silent}");
    assert!(health.contains("\nworker 1 does not answer; its klines are stale\n"), "{health}");
    assert!(silent.contains("klagg_worker_alarmed{worker=\"1\"} 1"), "{silent}");
    let status = get(&page, "/api/v1/status").unwrap();
    assert!(status.contains("\"workers_stale\":1"), "the page is told: {status}");
    let trades = figure(&admin, "klagg_trades_total");
    klagg.wait_for("worker 1 gives signs of life again", PATIENCE);
    assert!(figure(&admin, "klagg_trades_total") > trades, "the other one went on");

    fault(folder, "panic 0");
    klagg.wait_for("a worker has started again", PATIENCE);
    fault(folder, "panic 1");
    wait_until("both have started again", PATIENCE, || {
        figure(&admin, "klagg_worker_restarts_total") > 1.5
    });
    let whole = Period::M1.next_open_time(market.exchange().now()).plus(2 * 60_000);
    wait_until_confirmed(&admin, whole);
    wait_until("all is well", PATIENCE, is_well);
    let figures = get(&admin, "/metrics").unwrap();
    assert!(figures.contains("klagg_worker_alarmed{worker=\"1\"} 0"), "{figures}");
    stop(klagg);
    let stored = Stored::read(folder);
    assert!(stored.compare(&market.oracle(), START) > 8);
    stored.assert_no_hole(minutes_after_start(0), whole);
}

#[test]
fn a_worker_that_keeps_breaking_ends_klagg_with_a_sentence_and_what_was_confirmed_is_stored() {
    let market = Market::open(32, FACTOR);
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path().to_str().unwrap();
    let (mut klagg, _, admin) = start_with_faults(&market, folder, &["engine.restarts_max=1"]);
    let until = minutes_after_start(2);
    wait_until_confirmed(&admin, until);
    fault(folder, "panic 1");
    klagg.wait_for("a worker has started again", PATIENCE);
    fault(folder, "panic 1");
    let (status, words) = klagg.end(PATIENCE);
    assert_eq!(status.code(), Some(2), "{}", words.join("\n"));
    let sentence = "error: worker 1 broke 2 times in a row (`broken by a test`), and \
                    engine.restarts_max = 1 allows no more restarts: klagg stops, and the next \
                    start fetches what is missing";
    let errors: Vec<_> = words.iter().filter(|line| line.starts_with("error: ")).collect();
    assert_eq!(errors, [sentence], "{}", words.join("\n"));
    let stored = Stored::read(folder);
    assert!(stored.compare(&market.oracle(), START) > 8);
    stored.assert_no_hole(minutes_after_start(0), until);
}

#[test]
fn the_end_takes_five_seconds_at_most_also_while_a_worker_is_stuck() {
    let market = Market::open(33, FACTOR);
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path().to_str().unwrap();
    let (klagg, _, admin): (Klagg, _, _) = start_with_faults(&market, folder, &[]);
    let until = minutes_after_start(2);
    wait_until_confirmed(&admin, until);
    fault(folder, "stall 1 600000");
    wait_until("it is noticed", PATIENCE, || {
        figure(&admin, "klagg_worker_timeouts_total") > 0.5
            || get(&admin, "/healthz").is_some_and(|health| health.contains("does not answer"))
    });
    let (status, took, words) = klagg.interrupt();
    println!("the end took {took:?}");
    assert!(took < Duration::from_secs(5), "it took {took:?}: {}", words.join("\n"));
    assert_eq!(status.code(), Some(2), "{}", words.join("\n"));
    let is_named = |line: &String| line.starts_with("error: workers [1] did not hand");
    assert!(words.iter().any(is_named), "{}", words.join("\n"));
    let stored = Stored::read(folder);
    assert!(stored.compare(&market.oracle(), START) > 8);
    stored.assert_no_hole(minutes_after_start(0), until);
}
