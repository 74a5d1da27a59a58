//! Trade frames as the exchange may print them one day, and a naive reader of them.

use klagg_kline::Side;
use klagg_wire::{TradeEvent, TradeKind};
use proptest::prelude::*;
use serde_json::Value;

/// A frame as a list of members, to be shuffled, spoilt and printed.
#[derive(Debug, Clone)]
pub(crate) struct Frame {
    members: Vec<(String, String)>,
    combined: bool,
    space: &'static str,
}

impl Frame {
    pub(crate) fn text(&self) -> String {
        let space = self.space;
        let members: Vec<String> = self
            .members
            .iter()
            .map(|(key, value)| format!("{space}\"{key}\"{space}:{space}{value}{space}"))
            .collect();
        let data = format!("{{{}}}", members.join(","));
        if self.combined {
            format!("{{{space}\"stream\":\"btcusdt@x\",\"data\":{space}{data}{space}}}")
        } else {
            data
        }
    }
}

fn decimal() -> impl Strategy<Value = String> {
    prop_oneof![
        8 => r"[1-9][0-9]{0,5}\.[0-9]{1,8}",
        2 => r"[0-9]{1,14}(\.[0-9]{0,12})?",
        1 => r"-?[0-9]{0,3}\.?[0-9]{0,3}",
        1 => Just("0.000".to_owned()),
    ]
}

fn integer() -> impl Strategy<Value = String> {
    prop_oneof![
        8 => r"[1-9][0-9]{0,13}",
        2 => r"[0-9]{1,20}",
        1 => r"-[1-9][0-9]{0,2}|[0-9]{1,3}(\.0|e1)?",
    ]
}

fn symbol() -> impl Strategy<Value = String> {
    prop::sample::select(vec![
        "BTCUSDT",
        "币安人生USDT",
        "1000PEPEUSDT",
        "BTCUSDT_261225",
        r"BTC\u0055SDT",
        r#"A\"B"#,
        "",
        "Ünïcode",
    ])
    .prop_map(str::to_owned)
}

/// Usual members of either kind, in any order, some left out, doubled or unheard of.
pub(crate) fn frame() -> impl Strategy<Value = Frame> {
    let flag = prop::sample::select(vec!["true", "false", "false", "null", "1"]);
    let values = (
        any::<bool>(),
        symbol(),
        prop::collection::vec(decimal(), 3),
        prop::collection::vec(integer(), 5),
        0..5_i64,
        flag,
    );
    let members = values.prop_map(|(aggregate, symbol, decimals, ints, fills, flag)| {
        let quoted = |text: &str| format!("\"{text}\"");
        let mut members = vec![
            ("e", quoted(if aggregate { "aggTrade" } else { "trade" })),
            ("E", ints[0].clone()),
            ("s", quoted(&symbol)),
            ("p", quoted(&decimals[0])),
            ("q", quoted(&decimals[1])),
            ("T", ints[1].clone()),
            ("m", flag.to_owned()),
        ];
        if aggregate {
            let last = ints[3]
                .parse::<i64>()
                .map_or(ints[4].clone(), |first| first.saturating_add(fills).to_string());
            members.push(("a", ints[2].clone()));
            members.push(("f", ints[3].clone()));
            members.push(("l", last));
            members.push(("nq", quoted(&decimals[2])));
        } else {
            members.push(("t", ints[2].clone()));
            members.push(("X", quoted("MARKET")));
        }
        let owned = |(key, value): (&str, String)| (key.to_owned(), value);
        members.into_iter().map(owned).collect::<Vec<_>>()
    });
    let extra = prop_oneof![
        6 => Just(None),
        4 => Just(Some(("st", "1"))),
        2 => Just(Some(("st", "2"))),
        1 => Just(Some(("st", "12"))),
        1 => Just(Some(("zz", r#"{"a":[1,"}",null]}"#))),
        1 => Just(Some(("q", "\"1\""))),
        1 => Just(Some(("nq", "7"))),
        1 => Just(Some((r"\u0070", "\"1\""))),
    ];
    let space = prop::sample::select(vec!["", "", "", " ", "\n\t"]);
    let spoil = (extra, prop::option::weighted(0.1, any::<prop::sample::Index>()));
    // The order of the exchange every other time: it has a path of its own.
    let members = (members, any::<bool>()).prop_flat_map(|(mut members, usual)| {
        const USUAL: [&str; 12] = ["e", "E", "a", "s", "p", "q", "nq", "f", "l", "T", "m", "st"];
        members.sort_by_key(|(key, _)| USUAL.iter().position(|usual| usual == key));
        if usual { Just(members).boxed() } else { Just(members).prop_shuffle().boxed() }
    });
    (members, spoil, any::<bool>(), space).prop_map(
        |(mut members, (extra, left_out), combined, space)| {
            if let Some((key, value)) = extra {
                members.push((key.to_owned(), value.to_owned()));
            }
            if let Some(index) = left_out {
                members.remove(index.index(members.len()));
            }
            Frame { members, combined, space }
        },
    )
}

/// What a trade says, in plain values.
#[derive(Debug, PartialEq)]
pub(crate) struct Expected {
    symbol: String,
    aggregate: bool,
    ints: [i64; 5],
    fill_count: i64,
    /// At 1e-8.
    decimals: [i128; 2],
    printed: [usize; 2],
    flags: [bool; 2],
}

impl Expected {
    pub(crate) fn of(event: &TradeEvent<'_>) -> Self {
        let trade = &event.trade;
        let ids = [event.first_fill_id, event.last_fill_id];
        Self {
            symbol: event.symbol.to_owned(),
            aggregate: event.kind == TradeKind::Aggregate,
            ints: [event.event_time.0, trade.time.0, trade.id.0, ids[0], ids[1]],
            fill_count: i64::from(trade.fill_count),
            decimals: [i128::from(trade.price.scaled()), i128::from(trade.quantity.scaled())],
            printed: [event.precision.price().into(), event.precision.quantity().into()],
            flags: [trade.taker == Side::Sell, event.coin_margined],
        }
    }
}

/// Reads a trade frame the slow way. `None` if it is none, or must be refused.
pub(crate) fn oracle(text: &str) -> Option<Expected> {
    // `serde_json::Value` keeps the last of two equal keys; the rule is to refuse.
    let doubled = |key: &str| text.matches(&format!("\"{key}\"")).count() > 1;
    let escaped = text.contains(r"\u0070") && text.contains("\"p\"");
    if escaped || ["q", "p", "s", "E", "T"].into_iter().any(doubled) {
        return None;
    }
    let root: Value = serde_json::from_str(text).ok()?;
    let data = root.get("data").unwrap_or(&root);
    let aggregate = match data["e"].as_str()? {
        "aggTrade" => true,
        "trade" if data["X"] == "MARKET" => false,
        _ => return None,
    };
    let int = |key: &str, max: i64| data[key].as_i64().filter(|int| (0..=max).contains(int));
    let id = |key: &str| int(key, (1 << 62) - 1);
    let time = |key: &str| int(key, 253_402_300_799_999);
    let (id, first, last) =
        if aggregate { (id("a")?, id("f")?, id("l")?) } else { (id("t")?, id("t")?, id("t")?) };
    let (price, price_printed) = scaled(data["p"].as_str()?)?;
    let (quantity, quantity_printed) = scaled(data["q"].as_str()?)?;
    let coin_margined = match data.get("st") {
        None => false,
        Some(product) => product.as_i64()? == 2,
    };
    let symbol = data["s"].as_str()?.to_owned();
    let fits = !symbol.is_empty() && (1..=1 << 94).contains(&(price * quantity)) && last >= first;
    fits.then_some(Expected {
        symbol,
        aggregate,
        ints: [time("E")?, time("T")?, id, first, last],
        fill_count: last - first + 1,
        decimals: [price, quantity],
        printed: [price_printed, quantity_printed],
        flags: [data["m"].as_bool()?, coin_margined],
    })
}

/// A decimal at 1e-8, through text alone, and how many decimals it prints.
fn scaled(text: &str) -> Option<(i128, usize)> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, "0"));
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    if !digits(whole) || !digits(fraction) {
        return None;
    }
    let kept = fraction.trim_end_matches('0');
    if kept.len() > 8 {
        return None;
    }
    let value: i128 = format!("{whole}{kept:0<8}").parse().ok()?;
    let printed = text.split_once('.').map_or(0, |(_, fraction)| fraction.len()).min(8);
    (1..=i128::from(i64::MAX)).contains(&value).then_some((value, printed))
}
