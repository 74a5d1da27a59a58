//! Laws of the exchange's JSON: no bytes panic, the hot path equals the general parser, an
//! oracle that shares no code agrees with both, and what is printed is read back.

#![expect(clippy::unwrap_used, reason = "a test stops at the first surprise")]

#[path = "properties/frames.rs"]
mod frames;
#[path = "properties/round_trips.rs"]
mod round_trips;

use std::fs;
use std::path::Path;

use klagg_kline::{Period, UnixMillis};
use klagg_wire::stream_name::StreamName;
use klagg_wire::{Decoder, StreamEvent, request, rest};
use proptest::prelude::*;
use proptest::test_runner::TestCaseResult;
use serde_json::Value;

/// Both ways to decode give the same; an accepted frame is JSON for an unrelated parser as well.
fn check_frame(frame: &[u8]) -> TestCaseResult {
    let (mut fast, mut general) = (Decoder::new(), Decoder::new());
    let read = fast.decode(frame);
    prop_assert_eq!(&read, &general.decode_general(frame));
    if let Ok(text) = std::str::from_utf8(frame) {
        let mut decoder = Decoder::new();
        prop_assert_eq!(&decoder.decode_text(text), &read);
    }
    if read.is_ok() {
        let parsed = serde_json::from_slice::<&serde_json::value::RawValue>(frame);
        prop_assert!(parsed.is_ok(), "accepted, but {:?}", parsed);
    }
    Ok(())
}

/// Feeds the bytes to every parser there is.
fn check_all(bytes: &[u8]) -> TestCaseResult {
    check_frame(bytes)?;
    for period in [Period::M1, Period::W1, Period::Mo1] {
        for kline in rest::klines(bytes, period).unwrap_or_default() {
            prop_assert_eq!(kline.validate(), Ok(()));
        }
    }
    let _ = rest::agg_trades(bytes);
    let _ = rest::trades(bytes);
    let _ = rest::exchange_info(bytes);
    let _ = rest::server_time(bytes);
    let _ = rest::api_error(bytes);
    if let Err(refusal) = request::parse(bytes) {
        request::encode_refusal(&mut String::new(), &refusal);
    }
    if let Ok(text) = std::str::from_utf8(bytes)
        && let Ok(name) = text.parse::<StreamName>()
    {
        prop_assert_eq!(name.to_string(), text);
    }
    Ok(())
}

/// The samples of every message, from `fixtures/payloads`.
fn samples() -> Vec<String> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures/payloads");
    let mut samples = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let text = fs::read_to_string(entry.unwrap().path()).unwrap();
        for case in text.split("\n== sample: ").skip(1) {
            samples.push(case.lines().nth(1).unwrap().to_owned());
        }
    }
    assert!(samples.len() > 20);
    samples.sort();
    samples
}

/// A sample with a few bytes changed, put in, taken out, or its end cut off.
fn mutated() -> impl Strategy<Value = Vec<u8>> {
    let alphabet = prop_oneof![
        prop::sample::select(b"\"\\{}[]:, 0123456789-+.eEtfnamqu\n\x00\xff".to_vec()),
        any::<u8>()
    ];
    let edit = (0..4_u8, any::<prop::sample::Index>(), alphabet);
    let edits = prop::collection::vec(edit, 1..4);
    (prop::sample::select(samples()), edits).prop_map(|(sample, edits)| {
        let mut bytes = sample.as_bytes().to_vec();
        for (kind, index, byte) in edits {
            if bytes.is_empty() {
                break;
            }
            let at = index.index(bytes.len());
            match kind {
                0 => bytes[at] = byte,
                1 => bytes.insert(at, byte),
                2 => drop(bytes.remove(at)),
                _ => bytes.truncate(at),
            }
        }
        bytes
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn any_bytes_are_read_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        check_all(&bytes)?;
    }

    #[test]
    fn any_json_like_text_is_read_or_refused(
        text in r#"([\[\]{}:,"]|"[a-zA-Z]{0,3}"|-?[0-9]{1,20}|true|false|null|[.eE+\\u ]){0,60}"#
    ) {
        check_all(text.as_bytes())?;
    }

    #[test]
    fn a_damaged_frame_is_read_the_same_way_twice_or_refused(bytes in mutated()) {
        check_all(&bytes)?;
    }

    #[test]
    fn any_order_of_keys_any_white_space_and_unknown_keys_mean_the_same(
        frame in frames::frame()
    ) {
        let text = frame.text();
        check_frame(text.as_bytes())?;
        let mut decoder = Decoder::new();
        let read = decoder.decode(text.as_bytes());
        match frames::oracle(&text) {
            Some(expected) => {
                let Ok(StreamEvent::Trade(event)) = read else {
                    return Err(TestCaseError::fail(format!("{read:?} of {text}")));
                };
                prop_assert_eq!(frames::Expected::of(&event), expected, "{}", text);
            }
            None => prop_assert!(!matches!(read, Ok(StreamEvent::Trade(_))), "{}", text),
        }
    }

    #[test]
    fn nesting_is_bounded(
        depth in 0_usize..200, open in prop::sample::select(vec!["[", "{\"a\":"]),
    ) {
        let text = open.repeat(depth) + "1" + &(if open == "[" { "]" } else { "}" }).repeat(depth);
        let deep = Decoder::new().decode(text.as_bytes()).is_err();
        prop_assert!(depth <= 32 || deep, "depth {}", depth);
        check_all(text.as_bytes())?;
        check_all(open.repeat(depth).as_bytes())?;
    }

    #[test]
    fn server_time_is_read_back(millis in 0..=klagg_wire::limits::TIME_MAX) {
        let mut text = String::new();
        klagg_wire::encode::server_time(&mut text, UnixMillis(millis));
        prop_assert_eq!(rest::server_time(text.as_bytes()), Ok(UnixMillis(millis)));
    }

    #[test]
    fn any_text_survives_as_a_json_string(text in any::<String>()) {
        let mut json = String::new();
        klagg_wire::encode::json_string(&mut json, &text);
        prop_assert_eq!(serde_json::from_str::<Value>(&json).unwrap(), Value::String(text));
    }
}

#[test]
fn every_sample_is_cut_at_every_byte() {
    for sample in samples() {
        for end in 0..sample.len() {
            check_all(&sample.as_bytes()[..end]).unwrap();
        }
        check_all(sample.as_bytes()).unwrap();
    }
}
