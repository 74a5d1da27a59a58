//! Every case of `fixtures/payloads` comes out as written there.
//!
//! `KLAGG_BLESS=1` rewrites the files with what comes out now.

#![expect(clippy::unwrap_used, reason = "a test stops at the first surprise")]

#[path = "payloads/describe.rs"]
mod describe;

use std::fs;
use std::path::{Path, PathBuf};

use klagg_kline::Period;
use klagg_wire::stream_name::StreamName;
use klagg_wire::{Decoder, WireError, request, rest};

/// What comes out of one payload, in one line.
fn outcome(kind: &str, payload: &[u8]) -> String {
    match kind {
        "rest-klines" => describe::list(rest::klines(payload, Period::M1), describe::kline),
        "rest-aggTrades" => describe::list(rest::agg_trades(payload), describe::agg_trade_row),
        "rest-trades" => describe::list(rest::trades(payload), describe::trade_row),
        "rest-time" => describe::result(rest::server_time(payload), |time| format!("time {time}")),
        "rest-error" => rest::api_error(payload)
            .map_or("none".to_owned(), |error| format!("{} {:?}", error.code, error.message)),
        "rest-exchangeInfo" => {
            describe::result(rest::exchange_info(payload), |info| describe::exchange_info(&info))
        }
        "request" => match request::parse(payload) {
            Ok(request) => format!("{request:?}"),
            Err(refusal) => {
                let mut answer = String::new();
                request::encode_refusal(&mut answer, &refusal);
                format!("refused {answer}")
            }
        },
        "streamName" => {
            let name = std::str::from_utf8(payload).unwrap().parse::<StreamName>();
            describe::result(name, |name| format!("{name:?}"))
        }
        _ => {
            let mut general = Decoder::new();
            let general = describe::result(general.decode_general(payload), describe::event);
            let mut fast = Decoder::new();
            let fast = describe::result(fast.decode(payload), describe::event);
            assert_eq!(fast, general, "both ways of decoding agree");
            fast
        }
    }
}

struct Case {
    name: String,
    payload: String,
    expected: String,
}

fn cases(text: &str) -> Vec<Case> {
    let mut cases: Vec<Case> = Vec::new();
    for block in text.split("\n== ").skip(1) {
        let (name, rest) = block.split_once('\n').expect("a payload below the name");
        let (payload, expected) = rest.split_once("\n->").expect("a line with `->`");
        let expected = expected.lines().next().unwrap_or_default().trim();
        cases.push(Case {
            name: name.to_owned(),
            payload: payload.to_owned(),
            expected: expected.to_owned(),
        });
    }
    cases
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures/payloads")
}

fn files() -> Vec<(String, PathBuf)> {
    let mut files: Vec<(String, PathBuf)> = fs::read_dir(folder())
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "txt"))
        .map(|path| (path.file_stem().unwrap().to_str().unwrap().to_owned(), path))
        .collect();
    files.sort();
    files
}

/// The file again, with what comes out now.
fn bless(kind: &str, text: &str) -> String {
    let mut blessed = text.split("\n== ").next().unwrap_or_default().to_owned();
    for case in cases(text) {
        let outcome = outcome(kind, case.payload.as_bytes());
        for part in ["\n== ", &case.name, "\n", &case.payload, "\n-> ", &outcome] {
            blessed.push_str(part);
        }
    }
    blessed + "\n"
}

#[test]
fn every_payload_comes_out_as_written() {
    let files = files();
    assert_eq!(files.len(), 14, "a file for every wire type");
    let mut count = 0;
    for (kind, path) in files {
        let text = fs::read_to_string(&path).unwrap();
        if std::env::var_os("KLAGG_BLESS").is_some() {
            fs::write(&path, bless(&kind, &text)).unwrap();
            continue;
        }
        for case in cases(&text) {
            let found = outcome(&kind, case.payload.as_bytes());
            assert_eq!(found, case.expected, "{kind}: {}", case.name);
            count += 1;
        }
    }
    assert!(count > 100 || std::env::var_os("KLAGG_BLESS").is_some(), "{count} cases");
}

#[test]
fn every_kind_has_all_sorts_of_cases() {
    for (kind, path) in files() {
        let cases = cases(&fs::read_to_string(path).unwrap());
        for sort in ["sample", "malformed", "truncated"] {
            assert!(cases.iter().any(|case| case.name.starts_with(sort)), "{kind} has no {sort}");
        }
    }
}

#[test]
fn a_sample_cut_anywhere_is_refused() {
    for (kind, path) in files() {
        if kind == "streamName" {
            continue;
        }
        for case in cases(&fs::read_to_string(path).unwrap()) {
            if !case.name.starts_with("sample") {
                continue;
            }
            for end in 0..case.payload.len() {
                let found = outcome(&kind, &case.payload.as_bytes()[..end]);
                let refused = ["error: ", "refused ", "none"];
                assert!(
                    refused.iter().any(|start| found.starts_with(start)),
                    "{kind}: {} cut at {end}: {found}",
                    case.name
                );
            }
        }
    }
}

#[test]
fn what_is_too_long_is_refused_by_its_length() {
    let frame = vec![b' '; klagg_wire::limits::FRAME_BYTES_MAX + 1];
    let limit = klagg_wire::limits::FRAME_BYTES_MAX;
    assert_eq!(
        Decoder::new().decode(&frame),
        Err(WireError::TooLarge { length: limit + 1, limit })
    );
    let reply = vec![b' '; klagg_wire::limits::REPLY_BYTES_MAX + 1];
    assert!(matches!(rest::klines(&reply, Period::M1), Err(WireError::TooLarge { .. })));
    assert!(matches!(rest::agg_trades(&reply), Err(WireError::TooLarge { .. })));
    assert_eq!(request::parse(&reply).unwrap_err().code, 3);
}
