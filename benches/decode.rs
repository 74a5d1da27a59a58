//! Question: what does it cost to read a trade's frame (combined stream, about 180 bytes) exactly,
//! and how much is won over the usual way, serde on borrowed structs?
//!
//! All contestants end with the same checked `Trade`: prices as exact integers, never floats.
//! `ours` is the hot path, `ours_general` what it falls back to. Throughput is in frames.

use std::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use klagg_bench::{Market, combined_frame, recorded_frames, size};
use klagg_kline::{Price, Quantity, Side, Trade, TradeId, UnixMillis};
use klagg_wire::{Decoder, StreamEvent};

#[derive(serde::Deserialize)]
struct Combined<'a> {
    #[serde(borrow)]
    data: AggTrade<'a>,
}

/// The keys that a kline needs.
#[derive(serde::Deserialize)]
struct AggTrade<'a> {
    s: &'a str,
    #[serde(rename = "E")]
    event_time: i64,
    a: i64,
    p: &'a str,
    q: &'a str,
    f: i64,
    l: i64,
    #[serde(rename = "T")]
    time: i64,
    m: bool,
}

/// The usual way. The symbol, the event time and the trade, as `ours` gives them.
fn with_serde(frame: &[u8]) -> Option<(&str, UnixMillis, Trade)> {
    let AggTrade { s, event_time, a, p, q, f, l, time, m } =
        serde_json::from_slice::<Combined<'_>>(frame).ok()?.data;
    let trade = Trade::new(
        TradeId(a),
        UnixMillis(time),
        Price::parse(p).ok()?,
        Quantity::parse(q).ok()?,
        u32::try_from(l - f + 1).ok()?,
        Side::from_buyer_is_maker(m),
    );
    Some((s, UnixMillis(event_time), trade.ok()?))
}

fn trade_of<'a>(event: &StreamEvent<'a>) -> Option<(&'a str, UnixMillis, Trade)> {
    match event {
        StreamEvent::Trade(event) => Some((event.symbol, event.event_time, event.trade)),
        _ => None,
    }
}

fn generated(criterion: &mut Criterion) {
    let mut market = Market::new(1, 600);
    let count = size(10_000, 200);
    let trades: Vec<_> = market.by_ref().take(count).collect();
    let frames: Vec<_> =
        trades.iter().map(|one| combined_frame(&market, one).into_bytes()).collect();
    let mut decoder = Decoder::new();
    for (frame, one) in frames.iter().zip(&trades) {
        let ours = decoder.decode(frame).expect("our own frame").clone();
        assert_eq!(trade_of(&ours), with_serde(frame), "all read the same");
        assert_eq!(trade_of(&ours).map(|(_, _, trade)| trade), Some(one.trade));
    }
    let mut group = criterion.benchmark_group("decode/generated");
    group.throughput(Throughput::Elements(frames.len() as u64));
    group.bench_function("ours", |bencher| {
        bencher.iter(|| {
            for frame in &frames {
                black_box(decoder.decode(black_box(frame)).is_ok());
            }
        });
    });
    let mut decoder = Decoder::new();
    group.bench_function("ours_general", |bencher| {
        bencher.iter(|| {
            for frame in &frames {
                black_box(decoder.decode_general(black_box(frame)).is_ok());
            }
        });
    });
    group.bench_function("serde_json_borrowed", |bencher| {
        bencher.iter(|| {
            for frame in &frames {
                black_box(with_serde(black_box(frame)));
            }
        });
    });
    group.finish();
}

/// The same on frames as the exchange sent them: other keys in another order, four symbols.
fn recorded(criterion: &mut Criterion) {
    for (name, file) in [
        ("agg_trade_2021", "4-symbols-aggTrade-kline_1m-2021-07-22.jsonl.gz"),
        ("trade_2024", "BTCUSDT-trade-2024-08-08.jsonl.gz"),
    ] {
        let frames = recorded_frames(file, size(10_000, 200));
        if frames.is_empty() {
            continue;
        }
        let mut group = criterion.benchmark_group("decode/recorded");
        group.throughput(Throughput::Elements(frames.len() as u64));
        let mut decoder = Decoder::new();
        group.bench_function(name, |bencher| {
            bencher.iter(|| {
                for frame in &frames {
                    black_box(decoder.decode(black_box(frame)).is_ok());
                }
            });
        });
        group.finish();
    }
}

criterion_group!(benches, generated, recorded);
criterion_main!(benches);
