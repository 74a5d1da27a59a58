//! Symbols that are listed while it runs.

use std::time::Duration;

use klagg_backfill::{Event, Notice, SymbolSpec, What};
use klagg_kline::{Kline, KlineStatus, Period, SymbolId, UnixMillis};

use crate::world::{MINUTE, World, config, kline};

const OLD: SymbolId = SymbolId(0);
const NEW: SymbolId = SymbolId(1);

#[test]
fn a_listing_costs_a_page_a_minute_until_its_first_minute_tells_everything() {
    let periods = [Period::M1, Period::M5, Period::H1, Period::D1];
    let mut world = World::new(config(&periods, &[99, 99, 99, 9]), 1, 2_400);
    world.run_to_confirming();
    // Thirteen hours of the day are over: its minutes are several pages.
    let listed = Period::M1.open_time(world.exchange()).plus(2 * MINUTE);
    let first_open_time = Period::D1.open_time(listed);
    world.listed.insert(NEW, listed);
    world.close(NEW, listed, KlineStatus::Provisional);
    let name = "NEW".into();
    world.tell(Event::Added(vec![SymbolSpec { id: NEW, name, first_open_time, is_listed: true }]));
    world.run_to(Duration::from_mins(5), |world| world.is_confirmed(NEW, listed));
    assert!(world.exchange() < listed.plus(MINUTE + 5_000), "as soon as it is final");
    let asked = |world: &World| {
        let asked = world.granted.iter().filter(|of| of.request.symbol == NEW);
        let pages = asked.filter_map(|of| match of.request.what {
            What::Klines(page) => Some(page),
            _ => None,
        });
        pages.collect::<Vec<_>>()
    };
    assert_eq!(asked(&world).len(), 4, "{:#?}", asked(&world));
    let five = Period::M5.open_time(listed);
    world.run_to(Duration::from_mins(12), |world| {
        let record = world.history.get(NEW, 1, five);
        record.is_some_and(|record| record.status == KlineStatus::Confirmed)
    });
    let longer = asked(&world).into_iter().find(|page| page.period > Period::M1);
    assert_eq!(longer, None, "nobody is asked for what the first minute tells");
}

#[test]
fn nothing_is_asked_or_taken_for_a_number_whose_name_may_be_that_of_another_by_now() {
    let mut config = config(&[Period::M1, Period::M5], &[99, 99]);
    config.relisting_ms = 30 * MINUTE;
    let mut world = World::new(config, 1, 2_400);
    world.run_to_confirming();
    let doubtful = |world: &mut World| {
        let minute = Period::M1.open_time(world.exchange());
        world.close(OLD, minute, KlineStatus::Provisional);
        (minute, world.granted.len())
    };
    let listed = |world: &World| {
        let at = world.exchange();
        Event::Listed { symbols: vec![OLD], at }
    };
    // The list cannot be had for half an hour: by then its name may stand for another listing.
    world.run_until(world.local + Duration::from_mins(30));
    let (minute, asked) = doubtful(&mut world);
    world.run_until(world.local + Duration::from_mins(5));
    assert_eq!(world.granted.len(), asked, "nothing is asked, not even by a sweep");
    world.tell(listed(&world));
    world.run_to(Duration::from_secs(5), |world| world.is_confirmed(OLD, minute));
    // What is under way when the time is over may be the other one's.
    let (minute, asked) = doubtful(&mut world);
    while world.granted.len() == asked {
        world.run_until(world.local + Duration::from_millis(10));
    }
    let at = world.exchange().plus(-30 * MINUTE);
    world.tell(Event::Listed { symbols: vec![OLD], at });
    world.run_until(world.local + Duration::from_mins(1));
    assert_eq!(world.core.progress().counts.answers_dropped, 1);
    assert!(!world.is_confirmed(OLD, minute));
    world.tell(listed(&world));
    world.run_to(Duration::from_secs(5), |world| world.is_confirmed(OLD, minute));
}

#[test]
fn a_name_listed_anew_while_its_first_page_is_waited_for_ends_what_was_asked_for_the_old_one() {
    let mut world = World::new(config(&[Period::M1, Period::M5], &[99, 99]), 1, 2_400);
    world.run_to_confirming();
    let first_open_time = Period::D1.open_time(world.exchange());
    let spec =
        |id| SymbolSpec { id: SymbolId(id), name: "NEW".into(), first_open_time, is_listed: true };
    world.listed.insert(NEW, Period::M1.open_time(world.exchange()).plus(-5 * MINUTE));
    world.listed.insert(SymbolId(2), Period::M1.open_time(world.exchange()).plus(-2 * MINUTE));
    // Nobody is answered, so that the page is to be asked for again when the name changes hands.
    world.down_until = world.local + Duration::from_secs(3);
    world.tell(Event::Added(vec![spec(1)]));
    world.run_until(world.local + Duration::from_millis(250));
    world.tell(Event::Added(vec![spec(2)]));
    world.run_until(world.local + Duration::from_mins(2));
    let again = world.granted.iter().rev().find(|of| of.request.name.as_ref() == "NEW");
    assert_eq!(again.map(|of| of.request.symbol), Some(SymbolId(2)));
}

#[test]
fn a_number_whose_name_is_unknown_holds_up_nobody_else_and_is_taken_up_when_it_is_seen() {
    let mut config = config(&[Period::M1, Period::M5], &[99, 99]);
    config.relisting_ms = 30 * MINUTE;
    let mut world = World::new(config, 1, 2_400);
    let listed = Period::M1.open_time(world.exchange()).plus(-50 * MINUTE);
    world.listed.insert(NEW, listed);
    let first_open_time = Period::D1.open_time(listed);
    let name = "NEW".into();
    // The exchange did not answer whose name it is.
    let is_listed = false;
    world.tell(Event::Added(vec![SymbolSpec { id: NEW, name, first_open_time, is_listed }]));
    world.run_to_confirming();
    let asked = |world: &World| world.granted.iter().filter(|of| of.request.symbol == NEW).count();
    assert_eq!(asked(&world), 0, "the other one's history is complete all the same");
    let at = world.exchange();
    world.tell(Event::Listed { symbols: vec![NEW], at });
    world.run_to(Duration::from_mins(3), |world| world.is_confirmed(NEW, listed));
}

/// A world in which the symbol has ended, and the last of its minutes; pages break off before it
/// for so long.
fn ended(broken_for: Duration) -> (World, UnixMillis) {
    let mut world = World::new(config(&[Period::M1, Period::M5], &[99, 99]), 2, 2_400);
    world.run_to_confirming();
    let last = Period::M1.open_time(world.exchange());
    world.broken_off.insert(OLD, (last, world.local + broken_for));
    world.close(OLD, last, KlineStatus::Closed);
    let at = world.exchange();
    world.tell(Event::Retired { symbols: vec![OLD], at });
    (world, last)
}

#[test]
fn the_last_minute_of_a_symbol_that_has_ended_is_asked_for_until_a_whole_page_comes() {
    let (mut world, last) = ended(Duration::from_mins(2));
    world.run_to(Duration::from_mins(4), |world| world.is_confirmed(OLD, last));
}

#[test]
fn history_of_a_symbol_that_ended_before_it_came_ends_with_the_symbol() {
    let mut config = config(&[Period::M1, Period::M5], &[99, 99]);
    // The history of the second symbol is planned only when that of the first one has come.
    config.concurrency = 1;
    let mut world = World::new(config, 2, 2_400);
    world.down_until = world.local + Duration::from_mins(5);
    world.run_until(world.local + Duration::from_secs(1));
    let ends_at = Period::M1.next_open_time(world.exchange());
    let at = world.exchange();
    world.tell(Event::Retired { symbols: vec![NEW], at });
    world.run_until(world.local + Duration::from_mins(10));
    let of = world.granted.iter().filter(|of| of.request.symbol == NEW);
    let pages = of.filter_map(|of| match of.request.what {
        What::Klines(page) if page.period == Period::M1 => Some(page.until),
        _ => None,
    });
    assert_eq!(pages.max(), Some(ends_at));
}

#[test]
fn a_symbol_that_ended_earlier_than_heard_of_is_left_where_its_klines_break_off() {
    let (mut world, last) = ended(Duration::from_hours(24));
    world.run_until(world.local + Duration::from_mins(10));
    let asked = |world: &World| world.granted.iter().filter(|of| of.request.symbol == OLD).count();
    let before = asked(&world);
    world.run_until(world.local + Duration::from_mins(10));
    assert_eq!(asked(&world), before, "it is asked for no more");
    assert!(!world.is_confirmed(OLD, last));
    let missing = |notice: &Notice| matches!(notice, Notice::LastMinutesMissing { .. });
    assert!(!world.notices.iter().any(missing), "{:?}", world.notices);
}

#[test]
fn a_symbol_that_ended_while_our_clock_stood_still_is_confirmed_up_to_the_time_of_the_list() {
    let mut world = World::new(config(&[Period::M1, Period::M5], &[99, 99]), 2, 2_400);
    world.run_to_confirming();
    let at = world.exchange().plus(2 * MINUTE);
    world.tell(Event::Retired { symbols: vec![OLD], at });
    let last = Period::M1.open_time(at);
    world.run_to(Duration::from_mins(6), |world| world.is_confirmed(OLD, last));
    world.run_until(world.local + Duration::from_mins(6));
    assert!(!world.is_confirmed(OLD, last.plus(MINUTE)), "and no further");
}

#[test]
fn what_lies_before_the_newest_minutes_of_an_unknown_symbol_is_not_asked_for_before_these_came() {
    let mut config = config(&[Period::M1], &[300]);
    config.tick = Duration::from_secs(5);
    config.audit_cadence = Duration::from_hours(24);
    let mut world = World::new(config, 1, 2_400);
    world.run_to_confirming();
    // A minute after midnight: the day of the listing is over.
    world.run_until(world.local + Duration::from_hours(12));
    let listed = Period::D1.open_time(world.exchange()).plus(-10 * MINUTE);
    world.listed.insert(NEW, listed);
    let odd = Period::M1.open_time(world.exchange()).plus(-MINUTE);
    let other = Kline { open_time: odd.plus(1), ..kline(Period::M1, odd) };
    world.official.insert((NEW, Period::M1, odd), other);
    let (name, first_open_time) = ("NEW".into(), Period::D1.open_time(listed));
    world.tell(Event::Added(vec![SymbolSpec { id: NEW, name, first_open_time, is_listed: true }]));
    world.run_until(world.local + Duration::from_mins(1));
    let asked = world.granted.iter().filter(|of| of.request.symbol == NEW);
    let ends: Vec<_> = asked
        .filter_map(|of| match of.request.what {
            What::Klines(page) => Some(page.until),
            _ => None,
        })
        .collect();
    assert!(!ends.is_empty() && ends.iter().all(|end| *end > listed), "{ends:?}");
    world.official.clear();
    world.run_to(Duration::from_mins(2), |world| world.is_confirmed(NEW, listed));
}
