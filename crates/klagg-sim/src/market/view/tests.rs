//! Closed form against single fills, minute by minute and period by period.

use super::*;
use crate::market::Market;
use crate::{Quirks, SimConfig};

const NOW: UnixMillis = UnixMillis(1_791_331_234_567);

fn market(quirks: Quirks) -> Market {
    let config = SimConfig {
        symbols: 12,
        history_days: 2,
        trades_per_second: 30.0,
        quirks,
        ..SimConfig::demo()
    };
    Market::new(&config, NOW)
}

/// All fills until now show in the klines.
const SIGHT: Sight = Sight { now: NOW, horizon: NOW };

#[test]
fn the_closed_form_is_the_sum_of_the_fills() {
    let market = market(Quirks { straddles: 1.0, ..Quirks::REAL });
    let now = NOW.0 / MINUTE;
    let mut straddles = 0;
    for listed in market.all() {
        let from = listed.symbol.first_minute().max(now - 300);
        scan(&listed.symbol, from, now, |kline| {
            let minute = kline.open_time.0 / MINUTE;
            let of_fills = listed.partial(minute, NOW);
            assert_eq!(*kline, of_fills, "{} minute {minute}", listed.symbol.name);
            assert_eq!(kline.validate(), Ok(()));
            let tape = listed.tape(minute);
            let reaches_over =
                |one: &Aggregate| tape.fills(one).iter().any(|fill| fill.time / MINUTE > minute);
            straddles += i32::from(tape.aggregates.iter().any(reaches_over));
        });
    }
    assert!(straddles > 50, "only {straddles}");
}

#[test]
fn ids_grow_by_one_and_time_never_goes_back() {
    let market = market(Quirks::REAL);
    let mut burnt = 0;
    for listed in market.all() {
        let symbol = &listed.symbol;
        let from = symbol.first_minute().max(NOW.0 / MINUTE - 200);
        let (mut ordinal, mut fill_id, mut time) = (symbol.ordinal_at(from), 0, 0);
        for minute in from..from + 100 {
            let tape = listed.tape(minute);
            for one in &tape.aggregates {
                assert_eq!(one.ordinal, ordinal, "{}", symbol.name);
                ordinal += 1;
                assert_eq!(tape.time(one) / MINUTE, minute);
                for fill in tape.fills(one) {
                    assert!(fill.id > fill_id && fill.time >= time && fill.steps > 0);
                    burnt += i32::from(fill_id > 0 && fill.id > fill_id + 1);
                    (fill_id, time) = (fill.id, fill.time);
                }
                assert!(time - tape.time(one) <= 100);
            }
            assert_eq!(ordinal, symbol.ordinal_at(minute + 1));
        }
    }
    assert!(burnt > 0);
}

#[test]
fn a_contract_opens_with_a_trade_and_its_first_ids() {
    let market = market(Quirks::REAL);
    let listed = market.list("NEWUSDT", 0.5, NOW).unwrap();
    let minute = NOW.0 / MINUTE;
    let tape = listed.tape(minute);
    let first = &tape.aggregates[0];
    assert_eq!(listed.symbol.aggregate_id(first.ordinal), 1);
    assert!(tape.fills(first)[0].id <= 2, "one id may be burnt before it");
    assert!(tape.aggregates.iter().all(|one| tape.time(one) >= NOW.0));
    let all = Range { from: Some(UnixMillis(0)), to: None, limit: 10 };
    assert_eq!(listed.klines(Period::M1, all, SIGHT).len(), 1);
}

#[test]
fn what_is_settled_stays_flat() {
    let market = market(Quirks::REAL);
    let listed = market.get("OMGUSDT").unwrap();
    let newest = Range { from: None, to: None, limit: 5 };
    for period in [Period::M1, Period::H1] {
        let klines = listed.klines(period, newest, SIGHT);
        assert_eq!(klines.len(), 5);
        assert!(klines.iter().all(|kline| kline.is_flat() && kline.close == klines[0].close));
    }
    assert_eq!(listed.symbol.status(NOW), "SETTLING");
}

#[test]
fn a_kline_read_too_early_lacks_the_last_fills() {
    let market = market(Quirks::NONE);
    let listed = market.get("BTCUSDT").unwrap();
    let close = NOW.0 / MINUTE * MINUTE;
    let open = UnixMillis(close - MINUTE);
    let read = |horizon: i64| {
        let sight = Sight { now: UnixMillis(close + 5), horizon: UnixMillis(horizon) };
        let newest = Range { from: Some(open), to: None, limit: 5 };
        let klines = listed.klines(Period::M1, newest, sight);
        assert_eq!(klines.len(), 2);
        assert_eq!(klines[1].open, klines[0].close, "the open kline is flat");
        klines[0]
    };
    assert!(read(close - 20_000).trade_count < read(close).trade_count);
    let opening = read(open.0 - 1);
    assert!(opening.is_flat());
}

#[test]
fn longer_klines_are_sums_of_shorter_ones() {
    let market = market(Quirks::REAL);
    for name in ["BTCUSDT", "1000PEPEUSDT", "币安人生USDT"] {
        let listed = market.get(name).unwrap();
        let from = UnixMillis(NOW.0 - 86_400_000);
        let minutes =
            listed.klines(Period::M1, Range { from: Some(from), to: None, limit: 10_000 }, SIGHT);
        for period in [Period::M3, Period::M5, Period::M30, Period::H1, Period::H4, Period::D1] {
            let range = Range { from: Some(from), to: None, limit: 1_500 };
            for whole in listed.klines(period, range, SIGHT) {
                let end = period.next_open_time(whole.open_time);
                let mut parts = minutes
                    .iter()
                    .filter(|part| whole.open_time <= part.open_time && part.open_time < end);
                let mut sum = Kline { open_time: whole.open_time, ..*parts.next().unwrap() };
                parts.for_each(|part| append(&mut sum, part));
                assert_eq!(whole, sum, "{name} {period}");
            }
        }
    }
}

#[test]
fn klines_are_paged_as_the_exchange_pages_them() {
    let market = market(Quirks::REAL);
    let listed = market.get("ETHUSDT").unwrap();
    let opens = |from: Option<i64>, to: Option<i64>, limit: usize| -> Vec<i64> {
        let range = Range { from: from.map(UnixMillis), to: to.map(UnixMillis), limit };
        let klines = listed.klines(Period::M5, range, SIGHT);
        klines.iter().map(|kline| kline.open_time.0).collect()
    };
    let five = 5 * MINUTE;
    let now = NOW.0 / five * five;
    assert_eq!(opens(None, None, 2), [now - five, now], "the newest, the last one open");
    assert_eq!(opens(Some(now - 3 * five), None, 2), [now - 3 * five, now - 2 * five]);
    assert_eq!(opens(Some(now - five + 1), None, 9), [now], "bounds mean the open time");
    assert_eq!(opens(None, Some(now - five), 2), [now - 2 * five, now - five]);
    assert_eq!(opens(Some(now - five), Some(now - five), 9), [now - five]);
    assert_eq!(opens(Some(now + five), None, 9), [0; 0]);
    assert_eq!(opens(Some(0), None, 1), opens(Some(1), None, 1), "from the listing on");
}

#[test]
fn the_same_seed_makes_the_same_market_and_another_one_does_not() {
    let tapes = |seed: u64| {
        let config = SimConfig { symbols: 5, history_days: 1, seed, ..SimConfig::demo() };
        let market = Market::new(&config, NOW);
        let minute = NOW.0 / MINUTE - 1;
        market.all().iter().map(|listed| listed.tape(minute)).collect::<Vec<_>>()
    };
    assert_eq!(tapes(3), tapes(3));
    assert_ne!(tapes(3), tapes(4));
}

#[test]
fn an_exchange_started_later_has_the_same_past() {
    let config = SimConfig { symbols: 6, history_days: 20, ..SimConfig::demo() };
    let one = Market::new(&config, NOW);
    let other = Market::new(&config, NOW.plus(3 * 86_400_000));
    for (one, other) in one.all().iter().zip(other.all()) {
        assert_eq!(one.symbol.name, other.symbol.name);
        assert_eq!(one.symbol.onboard, other.symbol.onboard);
        assert_eq!(one.tape(NOW.0 / MINUTE), other.tape(NOW.0 / MINUTE));
    }
}

#[test]
fn many_aggregates_can_share_a_millisecond() {
    let quirks = Quirks { same_millisecond_runs: 1.0, ..Quirks::NONE };
    let config = SimConfig {
        symbols: 1,
        history_days: 1,
        trades_per_second: 50.0,
        quirks,
        ..SimConfig::demo()
    };
    let listed = Market::new(&config, NOW).get("BTCUSDT").unwrap();
    let mut longest = 0;
    for minute in NOW.0 / MINUTE - 10..NOW.0 / MINUTE {
        let tape = listed.tape(minute);
        let times: Vec<_> = tape.aggregates.iter().map(|one| tape.time(one)).collect();
        longest = times
            .chunk_by(|one, next| one == next)
            .map(<[i64]>::len)
            .max()
            .max(Some(longest))
            .unwrap();
    }
    assert!(longest > 1_000, "{longest}");
}
