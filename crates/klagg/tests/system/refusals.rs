//! What cannot work is refused with one sentence and a status that is not zero.

use std::net::TcpListener;
use std::time::Duration;

use crate::market::PATIENCE;
use crate::process::{Klagg, address, get};

/// Settings of a demo small enough for a test.
pub(crate) const SMALL: [&str; 8] = [
    "--set",
    "sim.symbols=4",
    "--set",
    "sim.history_days=1",
    "--set",
    "web.listen=127.0.0.1:0",
    "--set",
    "web.admin_listen=127.0.0.1:0",
];

/// Runs klagg, which must refuse with a sentence that holds all `words`.
pub(crate) fn check(arguments: &[&str], words: &[&str]) {
    let (status, said) = Klagg::start(arguments).end(PATIENCE);
    let said = said.join("\n");
    assert_eq!(status.code(), Some(2), "{arguments:?}: {said}");
    for word in words {
        assert!(said.contains(word), "{arguments:?} does not say `{word}`: {said}");
    }
    for word in ["panicked", "backtrace"] {
        assert!(!said.contains(word), "{arguments:?}: {said}");
    }
}

#[test]
fn a_bad_configuration_is_refused_before_anything_starts() {
    check(&["run", "--set", "gateway.cadence_ms=0"], &["gateway.cadence_ms", "`0`", "10 to 60000"]);
    check(&["demo", "--set", "engine.workers=0"], &["engine.workers", "1 to 64"]);
    check(&["demo", "--set", "engine.wrokers=2"], &["unknown key", "engine.workers"]);
    check(&["demo", "--set", "engine.workers"], &["SECTION.KEY=VALUE"]);
    check(&["run", "--config", "/nonexistent/klagg.toml"], &["cannot read", "klagg.toml"]);
    check(&["demo", "--set", "log.filter=klagg=loud"], &["log.filter", "loud"]);
}

#[test]
fn an_exchange_that_cannot_be_reached_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path().to_str().unwrap();
    // A port that was free a moment ago.
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let url = format!("exchange.rest_url=http://127.0.0.1:{port}");
    check(
        &["run", "--data-dir", folder, "--set", &url, "--set", "web.enabled=false"],
        &["cannot be reached", &port.to_string(), "klagg demo"],
    );
}

#[test]
fn a_busy_port_and_an_unusable_folder_are_named() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let busy = TcpListener::bind("127.0.0.1:0").unwrap();
    let busy = busy.local_addr().unwrap().to_string();
    let mut arguments = vec!["demo", "--data-dir", data.to_str().unwrap()];
    arguments.extend(SMALL);
    arguments.extend(["--listen", &busy]);
    check(&arguments, &[&busy]);

    let file = folder.path().join("file");
    std::fs::write(&file, "not a folder").unwrap();
    let mut arguments = vec!["demo", "--data-dir", file.to_str().unwrap()];
    arguments.extend(SMALL);
    check(&arguments, &[file.to_str().unwrap()]);
}

#[test]
fn a_demo_shows_klines_refuses_a_second_one_and_stops_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path().to_str().unwrap();
    let mut arguments = vec!["demo", "--data-dir", folder];
    arguments.extend(SMALL);
    let mut klagg = Klagg::start(&arguments);
    let page = address(&klagg.wait_for("page: ", PATIENCE));
    klagg.wait_for("symbols: ", PATIENCE);
    let html = get(&page, "/").unwrap();
    assert!(html.contains("<!doctype html>") || html.contains("<!DOCTYPE html>"), "{html}");
    check(&arguments, &[folder, "another"]);
    let (status, took, words) = klagg.interrupt();
    assert!(status.success(), "{}", words.join("\n"));
    assert!(took < Duration::from_secs(5), "stopping took {took:?}");
}
