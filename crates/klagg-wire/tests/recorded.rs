//! Recorded frames and replies decode without an error, where the recordings lie.

#![expect(clippy::unwrap_used, reason = "a test stops at the first surprise")]
#![expect(clippy::print_stdout, reason = "what was skipped is said")]

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read;
use std::path::Path;

use klagg_wire::{Decoder, StreamEvent, rest};

/// The unpacked file, or `None` (said) where there are no recordings.
fn recorded(name: &str) -> Option<Vec<u8>> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data").join(name);
    let Ok(file) = File::open(&path) else {
        println!("skipped: no recording {name}");
        return None;
    };
    let mut bytes = Vec::new();
    flate2::read::MultiGzDecoder::new(file).read_to_end(&mut bytes).unwrap();
    Some(bytes)
}

/// Decodes all frames both ways and counts them by kind.
fn count_frames(name: &str) -> Option<BTreeMap<&'static str, u32>> {
    let lines = recorded(name)?;
    let (mut fast, mut general) = (Decoder::new(), Decoder::new());
    let mut counts = BTreeMap::new();
    for (number, line) in lines.split(|&byte| byte == b'\n').enumerate() {
        let Some(start) = line.iter().position(|&byte| byte == b'{') else { continue };
        let event = fast.decode(&line[start..]);
        assert_eq!(event, general.decode_general(&line[start..]), "line {number}");
        let kind = match event.unwrap_or_else(|error| panic!("line {number}: {error}")) {
            StreamEvent::Trade(_) => "trade",
            StreamEvent::OffMarketTrade { .. } => "off market",
            StreamEvent::Kline(_) => "kline",
            StreamEvent::Other => "other",
            odd => panic!("line {number}: {odd:?}"),
        };
        *counts.entry(kind).or_insert(0) += 1;
    }
    println!("{name}: {counts:?}");
    Some(counts)
}

#[test]
fn frames_of_2021_hold_aggregates_klines_and_streams_not_used() {
    let name = "frames/4-symbols-aggTrade-kline_1m-2021-07-22.jsonl.gz";
    if let Some(counts) = count_frames(name) {
        assert!(["trade", "kline", "other"].iter().all(|kind| counts.contains_key(kind)));
    }
}

#[test]
fn frames_of_2024_hold_raw_trades() {
    for symbol in ["BTCUSDT", "ETHUSDT"] {
        let Some(counts) = count_frames(&format!("frames/{symbol}-trade-2024-08-08.jsonl.gz"))
        else {
            continue;
        };
        assert!(counts["trade"] > 1_000);
        assert!(counts.keys().all(|kind| ["trade", "off market"].contains(kind)));
    }
}

#[test]
fn the_listing_of_2021_is_read_whole() {
    let Some(reply) = recorded("exchange_info/fapi-exchangeInfo-2021-07-22.json.gz") else {
        return;
    };
    let info = rest::exchange_info(&reply).unwrap();
    assert_eq!((info.symbols.len(), info.skipped), (122, 0));
    assert_eq!(info.weight_per_minute, Some(2_400));
    let bitcoin = info.symbols.iter().find(|symbol| symbol.name == "BTCUSDT").unwrap();
    assert_eq!((bitcoin.precision.price(), bitcoin.precision.quantity()), (2, 3));
    assert_eq!(bitcoin.tick_size.unwrap().to_string(), "0.01");
    assert_eq!(bitcoin.step_size.unwrap().to_string(), "0.001");
    assert!(info.symbols.iter().all(|symbol| symbol.tick_size.is_some()));
}

#[test]
fn a_reply_of_2026_has_nq() {
    let Some(reply) = recorded("trades/CLUSDT-aggTrades-rest-2026-05-01.json.gz") else {
        return;
    };
    let rows = rest::agg_trades(&reply).unwrap();
    assert!(rows.len() > 100);
    assert!(rows.windows(2).all(|pair| pair[1].trade.id == pair[0].trade.id.next()));
}
