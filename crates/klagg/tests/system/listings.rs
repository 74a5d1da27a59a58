//! Symbols that come and go while klagg runs, under every kind of name, and the second source of
//! trades.

use std::fmt::Write as _;

use klagg_kline::{KlineStatus, Period, TradeId};
use klagg_sim::Quirks;

use crate::market::{Market, PATIENCE, START};
use crate::process::{get, metric, now, wait_until};
use crate::truth::{FACTOR, Stored, minutes_after_start, start, stop, wait_until_confirmed};

/// How soon a new symbol must be on the page, and an ended one shown as ended.
const SOON_SECONDS: f64 = 10.0;

/// What the page's list tells of a symbol: whether a price is known, and whether it is listed.
fn on_page(page: &str, name: &str) -> Option<(bool, bool)> {
    let market = get(page, "/api/v1/symbols?period=1m")?;
    let row = &market[market.find(&format!("[\"{name}\","))?..];
    let row = &row[..row.find(']')?];
    Some((!row.contains("null"), row.ends_with("true")))
}

/// As it stands in a URL.
fn encoded(name: &str) -> String {
    name.bytes().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "%{byte:02X}");
        text
    })
}

/// How many klines of a minute the exchange's own API gives, and when the first opens.
fn minutes(page: &str, name: &str) -> (usize, i64) {
    let path = format!("/fapi/v1/klines?symbol={}&interval=1m&limit=1000", encoded(name));
    let rows = get(page, &path).unwrap();
    let first = rows.trim_start_matches('[').split(',').next().unwrap();
    (rows.matches("\"0\"]").count(), first.parse().unwrap_or(0))
}

#[test]
fn fifty_symbols_listed_at_once_are_on_the_page_within_ten_seconds_and_right_from_the_start() {
    let market = Market::open(21, FACTOR);
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path().to_str().unwrap();
    let (klagg, page, admin) = start(&market, folder, &[]);
    wait_until_confirmed(&admin, minutes_after_start(1));
    let bases = ["币安人生", "4", "1000X_Y", "NEW", "_"];
    let names: Vec<String> =
        (0..50).map(|at| format!("{}{at}USDT", bases[at % bases.len()])).collect();
    let control = market.exchange().control();
    // The last one is announced: it is looked at when it comes on board.
    let listed_at = market.exchange().now();
    for name in &names[1..] {
        control.list_symbol(name, 0.5).unwrap();
    }
    control.list_symbol_at(&names[0], 0.5, listed_at.plus(20_000)).unwrap();
    let began = now();
    wait_until("all are on the page", PATIENCE, || {
        let market = get(&page, "/api/v1/symbols?period=1m").unwrap_or_default();
        let row = |name: &String| market.split(&format!("[\"{name}\",")).nth(1);
        names.iter().all(|name| {
            row(name).is_some_and(|row| !row[..row.find(']').unwrap_or(0)].contains("null"))
        })
    });
    let took = began.elapsed().as_secs_f64();
    assert!(took < SOON_SECONDS, "the last one was on the page after {took} s");
    // Past the ends of 5m, 30m, 1h, 4h, 1d: the first kline of each period is over.
    let confirmed = minutes_after_start(6).max(listed_at.plus(4 * 60_000));
    wait_until_confirmed(&admin, Period::M1.open_time(confirmed));
    assert_eq!(minutes(&page, &names[0]).1, Period::M1.open_time(listed_at).0);
    // Where a symbol was first heard of after the end of a longer one, that one is fetched.
    wait_until("the first klines of all periods are stored", PATIENCE, || {
        let stored = Stored::glimpse(folder);
        names.iter().all(|name| {
            let symbol = stored.symbols.iter().find(|symbol| symbol.name == *name);
            symbol.is_some_and(|symbol| {
                Period::DEFAULT.iter().all(|&period| {
                    let first = period.open_time(listed_at);
                    let mut records = stored.klines[&(symbol.id, period)].iter();
                    records.any(|record| record.kline.open_time == first)
                })
            })
        })
    });
    stop(klagg);
    let counters = control.counters();
    assert_eq!((counters.closed_rules, counters.requests_refused), (0, 0), "{counters:?}");

    let stored = Stored::read(folder);
    assert!(stored.symbols.iter().all(|symbol| !symbol.name.contains("USD_PERP")));
    assert!(stored.compare(&market.oracle(), START) > 50 * 5);
    for name in &names {
        let symbol = stored.symbols.iter().find(|symbol| symbol.name == *name).unwrap();
        for period in Period::DEFAULT {
            let first = period.open_time(listed_at);
            let truth = market.oracle().official(name, period, first, first);
            let records = &stored.klines[&(symbol.id, period)];
            let record = records.iter().find(|record| record.kline.open_time == first);
            let record = record.unwrap_or_else(|| panic!("no first {period} of {name}"));
            // A longer one may have been folded here from its first trade on: confirmed later.
            let is_official = record.kline.same_values(&truth[0]);
            let is_whole = period > Period::M1
                && record.status == KlineStatus::Closed
                && record.kline.open == truth[0].open
                && record.kline.first_id == TradeId(1);
            assert!(is_official || is_whole, "{name} {period} {record:?} {truth:?}");
            assert!(record.status == KlineStatus::Confirmed || period > Period::M1, "{record:?}");
        }
        let oldest = stored.klines[&(symbol.id, Period::M1)].first().unwrap();
        assert!(!oldest.kline.has_ids() || oldest.kline.first_id >= TradeId(1));
    }
}

#[test]
fn a_symbol_that_settles_ends_and_its_name_listed_anew_is_another_one() {
    const NAME: &str = "4牛_来USDT";
    let market = Market::open(22, FACTOR);
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path().to_str().unwrap();
    // Room for it, and for it once more.
    let (klagg, page, admin) = start(&market, folder, &["engine.max_symbols=10"]);
    wait_until_confirmed(&admin, minutes_after_start(1));
    let control = market.exchange().control();
    control.list_symbol(NAME, 2.0).unwrap();
    wait_until("it is on the page", PATIENCE, || on_page(&page, NAME) == Some((true, true)));
    control.delist_symbol(NAME).unwrap();
    let oracle = market.oracle();
    let status = || oracle.symbols().into_iter().rfind(|symbol| symbol.name == NAME);
    wait_until("it settles", PATIENCE, || status().is_some_and(|it| it.status == "SETTLING"));
    let (settled_at, began) = (market.exchange().now(), now());
    wait_until("it is shown as ended", PATIENCE, || on_page(&page, NAME) == Some((true, false)));
    let took = began.elapsed().as_secs_f64();
    assert!(took < SOON_SECONDS, "it was shown as ended after {took} s");
    let left_at = market.exchange().now();

    // No more minutes of it, and none of its price, until it is listed anew.
    wait_until_confirmed(&admin, Period::M1.next_open_time(left_at).plus(60_000));
    assert!(minutes(&page, NAME).0 > 1);
    control.list_symbol(NAME, 2.0).unwrap();
    let relisted_at = market.exchange().now();
    wait_until("it is listed anew", PATIENCE, || on_page(&page, NAME) == Some((true, true)));
    assert!(minutes(&page, NAME).1 >= Period::M1.open_time(relisted_at).0, "the name's newest");
    // One more is refused, which is said, and the rest goes on.
    control.list_symbol("FULLUSDT", 2.0).unwrap();
    wait_until("the refusal is told", PATIENCE, || {
        let status = get(&page, "/api/v1/status").unwrap_or_default();
        status.contains("first FULLUSDT: engine.max_symbols = 10 is reached")
    });
    wait_until_confirmed(&admin, Period::M1.next_open_time(relisted_at).plus(2 * 60_000));
    stop(klagg);

    let stored = Stored::read(folder);
    let both: Vec<_> = stored.symbols.iter().filter(|symbol| symbol.name == NAME).collect();
    let [old, new] = both[..] else { panic!("two symbols of one name: {both:?}") };
    assert!(old.delisted && !new.delisted && old.id < new.id, "{both:?}");
    assert!(old.onboard_time < new.onboard_time, "{both:?}");
    assert!(stored.compare(&market.oracle(), START) > 8);
    let last = |id| stored.klines[&(id, Period::M1)].last().unwrap().kline.open_time;
    assert!(last(old.id) >= Period::M1.open_time(settled_at.plus(-60_000)), "whole to its end");
    assert!(last(old.id) <= Period::M1.next_open_time(left_at), "and not extended after it");
    let first = stored.klines[&(new.id, Period::M1)].first().unwrap();
    assert_eq!(first.kline.open_time, Period::M1.open_time(relisted_at));

    // The numbering is what it was after a restart that computes it again.
    let (mut klagg, ..) = start(&market, folder, &["engine.max_symbols=10"]);
    klagg.wait_for("symbols: ", PATIENCE);
    stop(klagg);
    let again = Stored::read(folder).symbols;
    assert_eq!(again[..stored.symbols.len()], stored.symbols[..]);
    assert_eq!(again.len(), stored.symbols.len(), "nothing got a second number");
}

#[test]
fn raw_fills_make_the_exchanges_own_klines_without_a_correction() {
    // At every edge of a minute that can be straddled, an aggregate does.
    let quirks = Quirks { straddles: 1.0, ..Quirks::REAL };
    let market = Market::open_with(23, FACTOR, quirks);
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path().to_str().unwrap();
    // Meanwhile sockets are replaced again and again.
    let sets = ["feed.stream=trade", "feed.rotate_after_seconds=4", "engine.hold_ms=20000"];
    let (klagg, _, admin) = start(&market, folder, &sets);
    wait_until_confirmed(&admin, minutes_after_start(8));
    let figure = |name: &str| metric(&admin, name).unwrap_or(0.0);
    assert!(figure("klagg_feed_off_market_total") > 0.5, "what is not of the market was dropped");
    assert!(figure("klagg_confirmed_equal_total") > 30.0, "minutes that were folded here");
    assert!(figure("klagg_straddle_corrected_total") < 0.5, "none of them differed");
    assert!(figure("klagg_gaps_total") < 0.5, "ids left out are no holes");
    assert!(figure("klagg_feed_rotations_total") > 1.5, "sockets were replaced");
    assert!(figure("klagg_interruptions_total") < 0.5, "and nothing was missed");
    stop(klagg);
    let stored = Stored::read(folder);
    assert!(stored.compare(&market.oracle(), START) > 8);
    stored.assert_no_hole(minutes_after_start(0), minutes_after_start(8));
}
