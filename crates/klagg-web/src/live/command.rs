//! What a client of `/ws/kline/live` may say, and nothing else.
//!
//! A refusal names the rule and the place, never the text that was sent: nothing of a client's
//! input is reflected.

use klagg_kline::{Period, PeriodSet};
use klagg_symbols::{SymbolIndex, SymbolTable};
use serde::Deserialize;

use crate::hub::Slot;

/// Klines of history in a snapshot unless the client asks for another number.
const HISTORY_DEFAULT: usize = 500;
/// The most history of one snapshot: about 200 KiB of JSON.
const HISTORY_MAX: usize = 1500;

/// A command, understood.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Command {
    /// Start, or start afresh with a new snapshot.
    Subscribe {
        /// Every symbol with every period.
        slots: Vec<Slot>,
        /// The blueprint's short form: what was subscribed before ends.
        replace: bool,
        /// Klines of history in each snapshot.
        history: usize,
    },
    /// Stop these.
    Unsubscribe {
        /// Those that are not subscribed are passed over.
        slots: Vec<Slot>,
    },
}

/// A refusal: a word for programs, a sentence for people.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Refusal {
    pub(crate) code: &'static str,
    pub(crate) message: String,
}

impl Refusal {
    pub(crate) fn new(code: &'static str, message: impl Into<String>) -> Self {
        Self { code, message: message.into() }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawCommand {
    subscribe: Option<Names>,
    unsubscribe: Option<Names>,
    periods: Option<Vec<String>>,
    history: Option<usize>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Names {
    One(String),
    Many(Vec<String>),
}

/// Understands one message. All of a command is done or nothing of it.
pub(crate) fn parse(
    text: &str,
    symbols: &SymbolIndex,
    periods: &PeriodSet,
    slots_max: usize,
) -> Result<Command, Refusal> {
    let raw: RawCommand = serde_json::from_str(text).map_err(|_| {
        Refusal::new(
            "bad_command",
            "send {\"subscribe\": SYMBOL or [SYMBOLS], \"periods\": [PERIODS], \"history\": N} \
             or {\"unsubscribe\": …, \"periods\": …}",
        )
    })?;
    let period_indexes = period_indexes(raw.periods.as_deref(), periods)?;
    let table = symbols.load();
    match (raw.subscribe, raw.unsubscribe) {
        (Some(names), None) => {
            let history = raw.history.unwrap_or(HISTORY_DEFAULT);
            if history > HISTORY_MAX {
                return Err(Refusal::new("bad_history", format!("history is 0 to {HISTORY_MAX}")));
            }
            let replace = matches!(names, Names::One(_));
            let slots = slots(names, &period_indexes, &table, slots_max)?;
            Ok(Command::Subscribe { slots, replace, history })
        }
        (None, Some(names)) if raw.history.is_none() => {
            Ok(Command::Unsubscribe { slots: slots(names, &period_indexes, &table, slots_max)? })
        }
        _ => Err(Refusal::new("bad_command", "one of subscribe and unsubscribe, not both")),
    }
}

fn period_indexes(names: Option<&[String]>, periods: &PeriodSet) -> Result<Vec<u8>, Refusal> {
    let all = || 0..periods.len();
    let Some(names) = names else { return Ok(all().filter_map(|at| at.try_into().ok()).collect()) };
    let mut indexes = Vec::with_capacity(names.len().min(periods.len()));
    for (at, name) in names.iter().enumerate() {
        let index = all().find(|&index| periods.get(index).as_str() == name);
        let index = index.and_then(|index| u8::try_from(index).ok()).ok_or_else(|| {
            let known: Vec<_> =
                periods.as_slice().iter().map(|held: &Period| held.as_str()).collect();
            Refusal::new(
                "unknown_period",
                format!("period {} of the list is none of {}", at + 1, known.join(" ")),
            )
        })?;
        if !indexes.contains(&index) {
            indexes.push(index);
        }
    }
    if indexes.is_empty() {
        return Err(Refusal::new("bad_command", "the list of periods is empty"));
    }
    Ok(indexes)
}

fn slots(
    names: Names,
    period_indexes: &[u8],
    table: &SymbolTable,
    slots_max: usize,
) -> Result<Vec<Slot>, Refusal> {
    let names = match names {
        Names::One(name) => vec![name],
        Names::Many(names) => names,
    };
    if names.is_empty() {
        return Err(Refusal::new("bad_command", "the list of symbols is empty"));
    }
    if names.len().saturating_mul(period_indexes.len()) > slots_max {
        return Err(too_many(slots_max));
    }
    let mut slots = Vec::with_capacity(names.len() * period_indexes.len());
    for (at, name) in names.iter().enumerate() {
        let symbol = table.get(name).ok_or_else(|| {
            Refusal::new("unknown_symbol", format!("symbol {} of the list is not known", at + 1))
        })?;
        slots.extend(period_indexes.iter().map(|&period_index| Slot { symbol, period_index }));
    }
    Ok(slots)
}

/// The refusal of more pairs than a connection may have.
pub(crate) fn too_many(slots_max: usize) -> Refusal {
    Refusal::new(
        "too_many_subscriptions",
        format!("a connection may have {slots_max} pairs of symbol and period"),
    )
}

#[cfg(test)]
mod tests {
    use klagg_kline::{Precision, SymbolId, UnixMillis};
    use klagg_symbols::NewSymbol;

    use super::*;

    fn parse_here(text: &str) -> Result<Command, Refusal> {
        let index = SymbolIndex::empty(4);
        let symbol = |name: &str| NewSymbol {
            name: name.to_owned(),
            first_open_time: UnixMillis(0),
            onboard_time: None,
            precision: Precision::new(2, 3).unwrap(),
        };
        index.append(vec![symbol("BTCUSDT"), symbol("ETHUSDT")]).unwrap();
        parse(text, &index, &PeriodSet::default(), 12)
    }

    #[test]
    fn the_blueprints_form_and_the_long_form_are_understood() {
        let pair = |symbol, period_index| Slot { symbol: SymbolId(symbol), period_index };
        let slots: Vec<_> = (0..6).map(|period_index| pair(0, period_index)).collect();
        let history = HISTORY_DEFAULT;
        assert_eq!(
            parse_here(r#"{"subscribe":"BTCUSDT"}"#),
            Ok(Command::Subscribe { slots, replace: true, history })
        );
        let text = r#"{"subscribe":["BTCUSDT","ETHUSDT"],"periods":["1h","1m","1h"],"history":9}"#;
        let slots = vec![pair(0, 3), pair(0, 0), pair(1, 3), pair(1, 0)];
        assert_eq!(parse_here(text), Ok(Command::Subscribe { slots, replace: false, history: 9 }));
        assert_eq!(
            parse_here(r#"{"unsubscribe":"ETHUSDT","periods":["1d"]}"#),
            Ok(Command::Unsubscribe { slots: vec![pair(1, 5)] })
        );
    }

    #[test]
    fn a_refusal_names_the_rule_and_reflects_nothing() {
        let check = |text: &str, code: &str| {
            let refusal = parse_here(text).unwrap_err();
            assert_eq!(refusal.code, code, "{text}");
            assert!(!refusal.message.contains("EVIL"), "{}", refusal.message);
        };
        for text in ["", "EVIL", "[]", "{}", "null", r#"{"EVIL":1}"#, r#"{"subscribe":5}"#] {
            check(text, "bad_command");
        }
        check(r#"{"subscribe":"BTCUSDT","EVIL":1}"#, "bad_command");
        check(r#"{"subscribe":"BTCUSDT","unsubscribe":"BTCUSDT"}"#, "bad_command");
        check(r#"{"subscribe":"BTCUSDT","subscribe":"BTCUSDT"}"#, "bad_command");
        check(r#"{"unsubscribe":"BTCUSDT","history":1}"#, "bad_command");
        check(r#"{"subscribe":[]}"#, "bad_command");
        check(r#"{"subscribe":"BTCUSDT","periods":[]}"#, "bad_command");
        check(r#"{"subscribe":"EVIL"}"#, "unknown_symbol");
        check(r#"{"subscribe":["BTCUSDT","btcusdt"]}"#, "unknown_symbol");
        check(r#"{"subscribe":"BTCUSDT","periods":["EVIL"]}"#, "unknown_period");
        check(r#"{"subscribe":"BTCUSDT","periods":["3m"]}"#, "unknown_period");
        check(r#"{"subscribe":"BTCUSDT","history":1501}"#, "bad_history");
        check(r#"{"subscribe":"BTCUSDT","history":-1}"#, "bad_command");
        check(r#"{"subscribe":["BTCUSDT","ETHUSDT","X"]}"#, "too_many_subscriptions");
    }
}
