//! The laws of the planner, on random holdings.

use klagg_binance::klines_weight;
use proptest::prelude::*;

use super::*;

const NOW: UnixMillis = UnixMillis(1_791_460_933_250);

struct Case {
    periods: PeriodSet,
    capacity: Vec<usize>,
    stored_until: Vec<Option<UnixMillis>>,
    first_open_time: UnixMillis,
    depth: Depth,
}

impl Case {
    fn new(first_open_time: UnixMillis, depth: Depth) -> Self {
        let periods = PeriodSet::default();
        let capacity = vec![1_000, 1_000, 1_000, 1_000, 1_000, usize::MAX];
        let stored_until = vec![None; periods.len()];
        Self { periods, capacity, stored_until, first_open_time, depth }
    }

    fn wanted(&self) -> Wanted<'_> {
        Wanted {
            periods: &self.periods,
            capacity: &self.capacity,
            first_open_time: self.first_open_time,
            stored_until: &self.stored_until,
            gap_klines_max: 10_000,
            settled: NOW.plus(-2_500),
            kept_until: NOW.plus(-2_500),
            depth: self.depth,
        }
    }

    /// Plans and fetches every period, shortest first; gives the pages.
    fn run(&self, held: &mut Held) -> Vec<Page> {
        let mut all = Vec::new();
        for index in 0..self.periods.len() {
            for page in plan(held, &self.wanted(), index) {
                held.add(index, page.from, page.until);
                all.push(page);
            }
        }
        all
    }
}

fn weight(pages: &[Page]) -> u32 {
    pages.iter().map(|page| klines_weight(page.klines)).sum()
}

#[test]
fn a_cold_start_costs_what_was_sketched() {
    let listed = Period::D1.open_time(UnixMillis(1_568_000_000_000));
    let recent = Case::new(listed, Depth::Recent).run(&mut Held::nothing(PeriodSet::default()));
    assert!(weight(&recent) <= 6, "{recent:#?}");
    let full = Case::new(listed, Depth::Full).run(&mut Held::nothing(PeriodSet::default()));
    // 1m 5, 5m 4, 30m 4, 1h 2, 4h 4, 1d of seven years 11.
    assert!(weight(&full) <= 30, "{} {full:#?}", weight(&full));
}

#[test]
fn a_warm_restart_after_an_hour_is_one_request() {
    let case = Case::new(Period::D1.open_time(UnixMillis(1_568_000_000_000)), Depth::Full);
    let mut held = Held::nothing(case.periods.clone());
    let hour_ago = NOW.plus(-3_600_000);
    for index in 0..case.periods.len() {
        let until = case.periods.get(index).open_time(hour_ago);
        held.add(index, case.wanted().span(index).from, until);
    }
    // The klines that have left the history's reach on the one side are held on the other.
    let pages = case.run(&mut held);
    assert_eq!(weight(&pages), 1, "{pages:#?}");
}

#[test]
fn a_restart_within_a_day_costs_its_minutes_and_nothing_more() {
    let check = |minutes_ago: i64, recent_weight: u32, full_weight: u32| {
        let listed = Period::D1.open_time(UnixMillis(1_568_000_000_000));
        let mut case = Case::new(listed, Depth::Full);
        let mut held = Held::nothing(case.periods.clone());
        let stopped = Period::M1.open_time(NOW.plus(-minutes_ago * 60_000));
        for index in 0..case.periods.len() {
            let until = case.periods.get(index).open_time(stopped);
            held.add(index, case.wanted().span(index).from.plus(-86_400_000 * 20), until);
            case.stored_until[index] = Some(until);
        }
        case.depth = Depth::Recent;
        let recent = case.run(&mut held);
        assert_eq!(weight(&recent), recent_weight, "{minutes_ago} minutes: {recent:?}");
        case.depth = Depth::Full;
        let full = case.run(&mut held);
        assert_eq!(weight(&full), full_weight, "{minutes_ago} minutes: {full:?}");
    };
    check(60, 1, 0);
    check(400, 2, 0);
    // Further away the newest come first, as one cheap page ...
    check(1_440, 2, 4);
    // ... and what open klines are made of as the smallest.
    check(2 * 1_440, 2, 12);
}

#[test]
fn what_leaves_memory_while_live_goes_on_is_not_fetched() {
    let case = Case::new(Period::D1.open_time(UnixMillis(1_568_000_000_000)), Depth::Full);
    let mut wanted = case.wanted();
    let before = wanted.span(0);
    wanted.kept_until = wanted.settled.plus(7 * 60_000);
    let later = wanted.span(0);
    assert_eq!((later.until, later.from), (before.until, before.from.plus(7 * 60_000)));
}

#[test]
fn a_young_symbol_is_not_asked_for_before_its_listing() {
    let listed = Period::D1.open_time(NOW.plus(-3 * 86_400_000));
    let case = Case::new(listed, Depth::Full);
    let pages = case.run(&mut Held::nothing(case.periods.clone()));
    assert!(pages.iter().all(|page| page.from >= listed), "{pages:#?}");
}

#[test]
fn a_hole_in_the_store_is_filled_up_to_a_bound() {
    let mut case = Case::new(Period::D1.open_time(UnixMillis(1_568_000_000_000)), Depth::Full);
    let check = |case: &Case, klines: i64| {
        let span = case.wanted().span(0);
        assert_eq!(span.until.since(span.from), klines * 60_000);
    };
    check(&case, 1_000);
    case.stored_until[0] = Some(Period::M1.open_time(NOW.plus(-5_000 * 60_000)));
    check(&case, 5_000);
    case.stored_until[0] = Some(Period::M1.open_time(NOW.plus(-50_000 * 60_000)));
    check(&case, 10_000);
}

fn holdings() -> impl Strategy<Value = Vec<(usize, i64, i64)>> {
    prop::collection::vec((0_usize..6, 0_i64..1_500, 1_i64..700), 0..10)
}

fn hold(case: &Case, holdings: &[(usize, i64, i64)]) -> Held {
    let mut held = Held::nothing(case.periods.clone());
    for &(index, back, count) in holdings {
        let period = case.periods.get(index);
        let until = klines_before(period, period.open_time(NOW), back.unsigned_abs());
        held.add(index, klines_before(period, until, count.unsigned_abs()), until);
    }
    held
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn plans_are_minimal_complete_and_resumable(
        holdings in holdings(),
        age_days in 0_i64..800,
        full in any::<bool>(),
        cut in 0_usize..20,
    ) {
        let listed = Period::D1.open_time(NOW.plus(-age_days * 86_400_000));
        let case = Case::new(listed, if full { Depth::Full } else { Depth::Recent });
        let mut held = hold(&case, &holdings);
        let mut asked = Vec::new();
        for index in 0..case.periods.len() {
            for page in plan(&held, &case.wanted(), index) {
                let period = case.periods.get(index);
                prop_assert!(page.until <= period.open_time(NOW.plus(-2_500)), "not closed yet");
                prop_assert!(page.from >= period.open_time(listed), "before the listing");
                let missing = held.of(index).missing(page.from, page.until);
                // Pages begin and end with what is missing; only minutes may hold more.
                prop_assert_eq!(missing[0].from, page.from);
                prop_assert_eq!(missing[missing.len() - 1].until, page.until);
                prop_assert!(missing.len() == 1 || index == 0, "{:?}", missing);
                if let Some(source) = case.periods.source(index) {
                    let mut at = page.from;
                    while at < page.until {
                        let next = period.next_open_time(at);
                        prop_assert!(!held.of(source).covers(at, next), "{} can be folded", at);
                        at = next;
                    }
                }
                asked.push((index, page));
                if asked.len() == cut {
                    // Killed: all that is left is what is held. Planning starts over.
                    let again = case.run(&mut held.clone());
                    for page in again {
                        let twice = asked[..cut - 1].iter().any(|(_, done)| {
                            done.period == page.period
                                && done.from < page.until
                                && page.from < done.until
                        });
                        prop_assert!(!twice, "asked for twice: {:?}", page);
                    }
                }
                held.add(index, page.from, page.until);
            }
        }
        prop_assert_eq!(case.run(&mut held), [], "a plan that was carried out leaves nothing");
        for index in 0..case.periods.len() {
            let span = case.wanted().span(index);
            prop_assert!(held.of(index).covers(span.from, span.until));
        }
    }
}
