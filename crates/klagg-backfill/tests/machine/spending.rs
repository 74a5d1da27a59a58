//! What confirmation spends, and whom it prefers.

use std::collections::BTreeMap;
use std::time::Duration;

use klagg_backfill::{Confirmation, Event, What};
use klagg_binance::Priority;
use klagg_kline::{KlineStatus, Period, SymbolId};
use proptest::prelude::*;

use crate::world::{Granted, MINUTE, World, config};

fn is_settled(granted: &Granted, after: Duration) -> bool {
    granted.at >= after && !granted.is_doubtful
}

#[test]
fn ten_thousand_symbols_are_confirmed_by_a_tenth_of_the_limit_by_waiting_longer() {
    let mut config = config(&[Period::M1], &[99]);
    config.tick = Duration::from_secs(30);
    config.audit_cadence = Duration::from_hours(24);
    let mut world = World::new(config, 10_000, 2_400);
    world.run_to_confirming();
    let after = world.local + Duration::from_mins(1);
    world.run_until(world.local + Duration::from_mins(75));
    assert!(world.spent_within_a_minute(|granted| is_settled(granted, after)) <= 240);
    let mut newest: BTreeMap<SymbolId, Duration> = BTreeMap::new();
    let mut longest = Duration::ZERO;
    for Granted { at, request, .. } in &world.granted {
        let What::Klines(page) = request.what else { continue };
        assert!(page.klines <= 99 || *at < after, "more than one weight: {page:?}");
        let before = newest.insert(request.symbol, *at);
        longest = longest.max(before.map_or(Duration::ZERO, |before| at.saturating_sub(before)));
    }
    assert_eq!(newest.len(), 10_000);
    assert!(longest <= Duration::from_hours(1), "somebody waited {longest:?}");
    let least = newest.values().min().unwrap();
    assert!(*least + Duration::from_hours(1) >= world.local, "somebody is forgotten");
}

#[test]
fn provisional_minutes_go_first_and_watched_symbols_before_others() {
    let mut world = World::new(config(&[Period::M1], &[99]), 400, 2_400);
    world.run_to_confirming();
    world.tell(Event::Watched(vec![(SymbolId(399), Period::M1)]));
    let minute = Period::M1.open_time(world.exchange());
    for symbol in [7, 390, 399] {
        world.close(SymbolId(symbol), minute, KlineStatus::Provisional);
    }
    let from = world.granted.len();
    world.run_until(world.local + Duration::from_mins(2));
    let asked: Vec<&Granted> = world.granted[from..].iter().filter(|of| of.is_doubtful).collect();
    let order: Vec<u32> = asked.iter().map(|granted| granted.request.symbol.0).collect();
    assert_eq!(order, [399, 7, 390]);
    // A watched symbol waits for a minute at most, others for five.
    let from = world.granted.len();
    world.run_until(world.local + Duration::from_mins(10));
    let mut of: BTreeMap<SymbolId, usize> = BTreeMap::new();
    for granted in &world.granted[from..] {
        *of.entry(granted.request.symbol).or_default() += 1;
    }
    // Now and then the budget is spent by those who waited for five minutes together.
    assert!((7..=11).contains(&of[&SymbolId(399)]), "{:?}", of[&SymbolId(399)]);
    assert!((1..=3).contains(&of[&SymbolId(5)]), "{:?}", of[&SymbolId(5)]);
}

#[test]
fn an_hour_and_a_day_of_each_symbol_are_checked_each_day() {
    let mut config = config(&[Period::M1, Period::H1, Period::D1], &[200, 50, 9_999]);
    config.tick = Duration::from_secs(20);
    config.confirmation = Confirmation::Everything { wait_ms: 60 * MINUTE };
    let mut world = World::new(config, 30, 2_400);
    world.run_to_confirming();
    let broken = SymbolId(11);
    world.run_until(world.local + Duration::from_hours(24));
    let counts = world.core.progress().counts;
    assert_eq!((counts.checks_equal, counts.checks_different), (60, 0), "{counts:?}");
    // An hour that the exchange has otherwise, though all its minutes are equal.
    let day = Period::D1.open_time(world.exchange());
    for hour in 0..48 {
        let at = day.plus(hour * 60 * MINUTE);
        let mut other = crate::world::kline(Period::H1, at);
        other.trade_count += 1;
        world.official.insert((broken, Period::H1, at), other);
    }
    let from = world.granted.len();
    world.run_until(world.local + Duration::from_hours(24));
    let counts = world.core.progress().counts;
    assert_eq!((counts.checks_different, counts.checks_skipped), (1, 0), "{counts:?}");
    let said = world.notices.iter().any(|notice| notice.to_string().contains("the 1h of S11 at"));
    assert!(said, "{:?}", world.notices);
    // Its sixty minutes are fetched anew, in one request.
    let again = world.granted[from..].iter().filter(|granted| match granted.request.what {
        What::Klines(page) => {
            granted.request.symbol == broken
                && page.period == Period::M1
                && page.klines == 60
                && page.from == Period::H1.open_time(page.from)
        }
        _ => false,
    });
    assert!(again.count() >= 1);
}

#[test]
fn history_of_what_people_look_at_comes_first_also_once_it_has_begun() {
    let mut world = World::new(config(&[Period::M1, Period::H1], &[900, 400]), 60, 400);
    world.tell(Event::Watched(vec![(SymbolId(30), Period::H1)]));
    world.tell(Event::Live(world.exchange()));
    let bulk = |world: &World| {
        let asked = world.granted.iter().map(|of| &of.request);
        let old = asked.filter(|request| request.priority == Priority::Bulk);
        let mut order: Vec<u32> = old.map(|request| request.symbol.0).collect();
        order.dedup();
        order
    };
    world.run_to(Duration::from_mins(10), |world| bulk(world).len() >= 10);
    // The one that the configuration names, the one that somebody looks at, then the others.
    assert_eq!(bulk(&world)[..3], [0, 30, 1]);
    let begun = bulk(&world).len();
    world.tell(Event::Watched([55, 44].map(|id| (SymbolId(id), Period::H1)).to_vec()));
    world.run_to(Duration::from_mins(10), |world| world.core.progress().history_complete);
    let order = bulk(&world);
    let place = |id: u32| order.iter().position(|&of| of == id).unwrap();
    // The eight symbols in hand are finished first: each has a page of minutes and one of hours.
    let in_hand = begun + 2 * 8;
    assert!(place(44) <= in_hand && place(55) <= in_hand, "{begun} {order:?}");
    assert!(place(54) > begun + 20, "{begun} {order:?}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    /// Whatever becomes provisional, and whoever is watched: settled minutes never cost more than
    /// a tenth of the limit in any minute, all together never more than four fifths, and nobody is
    /// forgotten.
    #[test]
    fn settled_minutes_never_cost_more_than_a_tenth(
        symbols in 1_u32..120,
        limit in 100_u32..1_000,
        wait_minutes in 1_i64..8,
        broken in prop::collection::vec((0_u32..120, 0_u32..20), 0..60),
        watched in prop::collection::vec(0_u32..120, 0..8),
    ) {
        let mut config = config(&[Period::M1], &[99]);
        config.confirmation = Confirmation::Everything { wait_ms: wait_minutes * MINUTE };
        config.tick = Duration::from_secs(1);
        let mut world = World::new(config, symbols, limit);
        world.run_to_confirming();
        let watched = watched.iter().map(|id| (SymbolId(id % symbols), Period::M1));
        world.tell(Event::Watched(watched.collect()));
        let after = world.local + Duration::from_mins(1);
        for minute in 0..20 {
            let closing = Period::M1.open_time(world.exchange());
            let end = closing.plus(MINUTE).since(world.exchange()).unsigned_abs();
            world.run_until(world.local + Duration::from_millis(end));
            for symbol in 0..symbols {
                let is_broken = broken.iter().any(|&of| (of.0 % symbols, of.1) == (symbol, minute));
                let status =
                    if is_broken { KlineStatus::Provisional } else { KlineStatus::Closed };
                world.close(SymbolId(symbol), closing, status);
            }
        }
        let settled = world.spent_within_a_minute(|granted| is_settled(granted, after));
        prop_assert!(settled <= limit / 10, "{} of {}", settled, limit);
        prop_assert!(world.spent_within_a_minute(|_| true) <= limit * 8 / 10);
        let bound = i64::from(symbols) * 10 / i64::from(limit) + wait_minutes + 3;
        let oldest = world.core.progress().confirmed_until.unwrap();
        let waited = world.exchange().since(oldest) / MINUTE;
        prop_assert!(waited <= bound, "somebody waits {} minutes, not {}", waited, bound);
    }
}
