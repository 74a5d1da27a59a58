//! History that people look at comes first, period by period, and costs no weight more.

use std::collections::BTreeMap;
use std::time::Duration;

use klagg_backfill::{Event, Held, Page, What};
use klagg_binance::{Priority, klines_weight};
use klagg_kline::{Period, PeriodSet, SymbolId};
use proptest::prelude::*;

use crate::world::{Granted, World, config};

const PERIODS: [Period; 6] = Period::DEFAULT;

/// So many pages of old history at once.
fn world(symbols: u32, concurrency: usize, watched: &[(u32, usize)]) -> World {
    let mut config = config(&PERIODS, &[700, 600, 300, 500, 200, 260]);
    config.concurrency = concurrency;
    config.watched.clear();
    let mut world = World::new(config, symbols, 6_000);
    let slots = watched.iter().map(|&(symbol, at)| (SymbolId(symbol % symbols), PERIODS[at]));
    world.tell(Event::Watched(slots.collect()));
    world.run_to_confirming();
    world
}

/// The pages of old history, in the order in which they were asked for.
fn old(world: &World) -> Vec<(SymbolId, Page)> {
    let of = |Granted { request, .. }: &Granted| match request.what {
        What::Klines(page) if request.priority == Priority::Bulk => Some((request.symbol, page)),
        _ => None,
    };
    world.granted.iter().filter_map(of).collect()
}

/// Whether somebody looks at the slot, or at a longer one: each of these periods is folded from
/// the one before.
fn is_needed(watched: &[(u32, usize)], symbols: u32, (symbol, page): &(SymbolId, Page)) -> bool {
    let of_page = PERIODS.iter().position(|of| *of == page.period).unwrap();
    watched.iter().any(|&(of, at)| of % symbols == symbol.0 && at >= of_page)
}

#[test]
fn minutes_that_people_look_at_come_before_all_that_nobody_does() {
    let watched: Vec<(u32, usize)> = (0..20).map(|at| (29 - at, usize::from(at == 19))).collect();
    let world = world(30, 8, &watched);
    let order: Vec<(u32, Period)> = old(&world).iter().map(|of| (of.0.0, of.1.period)).collect();
    // Two pages of minutes each; then the next period of 10, whose minutes have come.
    assert!(order[..40].iter().all(|of| of.0 >= 10 && of.1 <= Period::M5), "{order:?}");
    let place = |slot| order.iter().position(|&of| of == slot).unwrap();
    assert!(place((10, Period::M5)) <= 40, "{order:?}");
    assert!((11..30).all(|symbol| place((symbol, Period::M5)) >= 40), "{order:?}");
    // Then what else there is of the same symbols; a few are in hand before.
    assert!(place((29, Period::M5)) < place((8, Period::M1)), "{order:?}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    /// Whoever looks at what: no page is asked for before one that people need, none holds a kline
    /// that can be folded from what has come, and all together cost the same.
    #[test]
    fn no_page_goes_before_one_that_people_need_and_none_costs_more(
        symbols in 1_u32..7,
        watched in prop::collection::vec((0_u32..7, 0_usize..6), 0..6),
    ) {
        let asked = old(&world(symbols, 1, &watched));
        let needed = |of: &(SymbolId, Page)| is_needed(&watched, symbols, of);
        let firsts = asked.iter().take_while(|of| needed(of)).count();
        prop_assert_eq!(firsts, asked.iter().filter(|of| needed(of)).count(), "{:?}", asked);
        let of_watched = |of: &(SymbolId, Page)| watched.iter().any(|at| at.0 % symbols == of.0.0);
        let seconds = asked.iter().take_while(|of| of_watched(of)).count();
        prop_assert_eq!(seconds, asked.iter().filter(|of| of_watched(of)).count(), "{:?}", asked);

        let periods = PeriodSet::new(&PERIODS).unwrap();
        let mut held: BTreeMap<SymbolId, Held> = BTreeMap::new();
        for (symbol, page) in &asked {
            let held = held.entry(*symbol).or_insert_with(|| Held::nothing(periods.clone()));
            let index = periods.index_of(page.period).unwrap();
            let mut at = page.from;
            while at < page.until {
                let next = page.period.next_open_time(at);
                let source = periods.source(index).map(|source| held.of(source));
                prop_assert!(!source.is_some_and(|of| of.covers(at, next)), "{:?}", page);
                at = next;
            }
            held.add(index, page.from, page.until);
        }
        let weight = |pages: &[(SymbolId, Page)]| {
            pages.iter().map(|of| klines_weight(of.1.klines)).sum::<u32>()
        };
        let unwatched = old(&world(symbols, 1, &[]));
        prop_assert_eq!(weight(&asked), weight(&unwatched));
        prop_assert_eq!(asked.len(), unwatched.len());
    }
}

#[test]
fn who_begins_to_look_while_history_comes_is_served_next() {
    let mut config = config(&PERIODS, &[700, 600, 300, 500, 200, 260]);
    config.concurrency = 1;
    config.watched.clear();
    let mut world = World::new(config, 20, 6_000);
    world.tell(Event::Live(world.exchange()));
    world.run_to(Duration::from_mins(5), |world| old(world).len() >= 12);
    let begun = old(&world).len();
    // One whose turn was still to come, and one of which only the minutes are wanted.
    world.tell(Event::Watched(vec![(SymbolId(19), Period::M5), (SymbolId(15), Period::M1)]));
    world.run_to(Duration::from_mins(5), |world| world.core.progress().history_complete);
    let order: Vec<(u32, Period)> = old(&world).iter().map(|of| (of.0.0, of.1.period)).collect();
    let in_hand = order[begun - 1].0;
    let rest: Vec<_> = order[begun..].iter().filter(|of| of.0 != in_hand).collect();
    let wanted: Vec<_> = rest.iter().take_while(|of| [15, 19].contains(&of.0)).collect();
    let all = rest.iter().filter(|of| [15, 19].contains(&of.0)).count();
    assert_eq!(wanted.len(), all, "{order:?}");
    assert_eq!(**wanted[0], (15, Period::M1), "the order of numbers: {order:?}");
    let place = |slot| wanted.iter().position(|of| ***of == slot).unwrap();
    assert!(place((19, Period::M5)) < place((15, Period::M5)), "{order:?}");
}
