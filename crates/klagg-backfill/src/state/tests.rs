//! Pages in, longer klines out.

use klagg_kline::{Period, Price, Volume};

use super::*;
use crate::plan::{Depth, plan};

const NOW: UnixMillis = UnixMillis(1_791_460_933_250);
const CAPACITY: [usize; 6] = [1_000, 1_000, 1_000, 1_000, 1_000, usize::MAX];

/// A market that is a function of time: any kline of it can be made naively.
fn minute(open_time: i64) -> Kline {
    let step = (open_time / 60_000) % 97;
    let price = |offset: i64| Price::from_scaled(1_000_000 + (step * 31 + offset) % 89);
    let (open, close) = (price(0), price(7));
    let volume = Volume::from_scaled(i128::from(step + 1));
    Kline {
        open,
        close,
        high: open.max(close),
        low: open.min(close),
        volume,
        trade_count: step.unsigned_abs() + 1,
        ..Kline::flat(UnixMillis(open_time), open)
    }
}

/// The kline by definition: over all its minutes since the listing.
fn official(period: Period, open: UnixMillis, listed: UnixMillis) -> Option<Kline> {
    let until = period.next_open_time(open);
    let mut at = open.max(listed);
    let mut whole: Option<Kline> = None;
    while at < until {
        let part = minute(at.0);
        whole = Some(match whole {
            None => Kline { open_time: open, ..part },
            Some(sum) => Kline {
                high: sum.high.max(part.high),
                low: sum.low.min(part.low),
                close: part.close,
                volume: sum.volume + part.volume,
                trade_count: sum.trade_count + part.trade_count,
                ..sum
            },
        });
        at = at.plus(60_000);
    }
    whole
}

fn reply(page: &Page, listed: UnixMillis) -> Vec<Kline> {
    let mut klines = Vec::new();
    let mut at = page.from;
    while at < page.until {
        if page.period.next_open_time(at) > listed {
            klines.extend(official(page.period, at, listed));
        }
        at = page.period.next_open_time(at);
    }
    klines
}

fn wanted<'a>(
    periods: &'a PeriodSet,
    stored_until: &'a [Option<UnixMillis>],
    first_open_time: UnixMillis,
    depth: Depth,
) -> Wanted<'a> {
    let gap_klines_max = 10_000;
    let settled = NOW.plus(-2_500);
    Wanted {
        periods,
        capacity: &CAPACITY,
        first_open_time,
        stored_until,
        gap_klines_max,
        settled,
        kept_until: settled,
        depth,
    }
}

/// Fetches everything; every kline that comes out must be the official one, and all must come.
fn check_all(listed: UnixMillis) {
    let periods = PeriodSet::default();
    let first_day = Period::D1.open_time(listed);
    let stored = vec![None; periods.len()];
    let mut state = SymbolState::new(SymbolId(0), "X".into(), first_day, &periods);
    let mut got: Vec<BTreeMap<UnixMillis, Kline>> = vec![BTreeMap::new(); periods.len()];
    for depth in [Depth::Recent, Depth::Full] {
        let wanted = wanted(&periods, &stored, first_day, depth);
        for index in 0..periods.len() {
            for page in plan(&state.held, &wanted, index) {
                let klines = reply(&page, listed);
                let confirmed = state.take_page(index, &page, klines, &wanted).unwrap();
                for Confirmed { index, klines } in confirmed {
                    for kline in klines {
                        let expected = official(periods.get(index), kline.open_time, listed);
                        assert_eq!(Some(kline), expected, "{}", periods.get(index));
                        let before = got[index].insert(kline.open_time, kline);
                        assert_eq!(before, None, "made twice");
                    }
                }
            }
        }
    }
    let wanted = wanted(&periods, &stored, first_day, Depth::Full);
    for (index, got) in got.iter().enumerate() {
        let period = periods.get(index);
        let span = wanted.span(index);
        let mut at = span.from;
        while at < span.until {
            let due = period.next_open_time(at) > listed;
            assert_eq!(got.contains_key(&at), due, "{period} at {at}");
            at = period.next_open_time(at);
        }
    }
    assert!(state.cached() < 400, "{} klines kept for folding", state.cached());
}

#[test]
fn an_old_symbol_ends_with_all_its_history_each_kline_once() {
    check_all(Period::D1.open_time(UnixMillis(1_760_000_000_000)));
}

#[test]
fn a_symbol_listed_amid_a_day_begins_with_its_first_minute() {
    check_all(UnixMillis(1_791_300_000_000));
    check_all(Period::M1.open_time(NOW.plus(-37 * 60_000)));
    // Young enough that no 4h kline has closed yet, and no hour.
    check_all(Period::M1.open_time(NOW.plus(-180 * 60_000)));
    check_all(Period::H4.open_time(NOW).plus(60_000));
}

#[test]
fn a_bad_page_changes_nothing_and_can_be_asked_for_again() {
    let periods = PeriodSet::default();
    let stored = vec![None; periods.len()];
    let first_day = UnixMillis(0);
    let mut state = SymbolState::new(SymbolId(0), "X".into(), first_day, &periods);
    let wanted = wanted(&periods, &stored, first_day, Depth::Recent);
    let page = plan(&state.held, &wanted, 0)[0];
    let mut klines = reply(&page, first_day);
    klines.remove(3);
    let error = state.take_page(0, &page, klines, &wanted).unwrap_err();
    assert_eq!(error, "a hole between klines");
    let late = reply(&page, page.from.plus(120_000));
    let error = state.take_page(0, &page, late, &wanted).unwrap_err();
    assert_eq!(error, "the oldest klines are missing", "it was listed long ago");
    assert_eq!(plan(&state.held, &wanted, 0), [page]);
    assert!(state.take_page(0, &page, reply(&page, first_day), &wanted).is_ok());
    assert_eq!(plan(&state.held, &wanted, 0), []);
}

#[test]
fn stored_klines_are_not_asked_for_and_complete_longer_ones() {
    let periods = PeriodSet::default();
    let stored = vec![None; periods.len()];
    let mut state = SymbolState::new(SymbolId(0), "X".into(), UnixMillis(0), &periods);
    let wanted = wanted(&periods, &stored, UnixMillis(0), Depth::Full);
    let span = wanted.span(0);
    let all = Page { period: Period::M1, from: span.from, until: span.until, klines: 0 };
    let mut klines = reply(&all, UnixMillis(0));
    klines.remove(500);
    let confirmed = state.take_stored(0, &klines, &wanted);
    assert_eq!(confirmed[0].index, 1, "the minutes themselves are in the store");
    assert!(confirmed.iter().any(|folded| folded.index == 3), "hours are folded");
    let missing = plan(&state.held, &wanted, 0);
    assert_eq!(missing.len(), 1);
    assert_eq!(missing[0].klines, 1, "only the hole");
    let hole = reply(&missing[0], UnixMillis(0));
    let confirmed = state.take_page(0, &missing[0], hole, &wanted).unwrap();
    assert_eq!(confirmed[1].index, 1, "and with it the five minutes around it");
}

#[test]
fn the_store_tells_when_a_symbol_was_listed() {
    let periods = PeriodSet::default();
    let listed = UnixMillis(1_791_300_000_000);
    let first_day = Period::D1.open_time(listed);
    let stored = vec![None; periods.len()];
    let wanted = wanted(&periods, &stored, first_day, Depth::Full);
    // All that the store can hold, and the same without the first hour: that is a hole.
    for (from, is_whole) in [(listed, true), (listed.plus(3_600_000), false)] {
        let mut state = SymbolState::new(SymbolId(0), "X".into(), first_day, &periods);
        for index in 0..periods.len() {
            let (period, until) = (periods.get(index), wanted.span(index).until);
            let all = Page { period, from: first_day, until, klines: 0 };
            let mut klines = reply(&all, listed);
            klines.retain(|kline| period.next_open_time(kline.open_time) > from);
            state.take_stored(index, &klines, &wanted);
        }
        let hours = plan(&state.held, &wanted, 3);
        assert_eq!(hours.is_empty(), is_whole, "{hours:?}");
        assert_eq!(plan(&state.held, &wanted, 2).is_empty(), is_whole);
    }
}

/// A symbol that was listed 37 minutes ago, and the page of all its day's minutes.
fn listed_today(periods: &PeriodSet) -> (SymbolState, UnixMillis, Page) {
    let listed = Period::M1.open_time(NOW.plus(-37 * 60_000));
    let from = Period::D1.open_time(listed);
    let until = Period::M1.open_time(NOW.plus(-2_500));
    let page = Page { period: Period::M1, from, until, klines: 1_000 };
    (SymbolState::new(SymbolId(0), "X".into(), from, periods), listed, page)
}

#[test]
fn the_first_minute_of_a_symbol_tells_the_first_kline_of_every_longer_period() {
    let periods = PeriodSet::default();
    let stored = vec![None; periods.len()];
    let (mut state, listed, page) = listed_today(&periods);
    let wanted = wanted(&periods, &stored, page.from, Depth::Full);
    let confirmed = state.take_page(0, &page, reply(&page, listed), &wanted).unwrap();
    let folded: Vec<usize> = confirmed.iter().map(|part| part.index).collect();
    assert_eq!(folded, [0, 1, 2, 3, 4], "its five minutes, and of these the longer ones");
    for index in 1..periods.len() {
        assert_eq!(state.plan(&wanted, index), [], "{}: nothing is older", periods.get(index));
    }
}

#[test]
fn an_empty_page_is_believed_only_before_the_first_kline_that_a_page_has_shown() {
    let periods = PeriodSet::default();
    let stored = vec![None; periods.len()];
    let (mut state, listed, whole) = listed_today(&periods);
    let wanted = wanted(&periods, &stored, whole.from, Depth::Full);
    assert_eq!(state.take_page(0, &whole, Vec::new(), &wanted), Err("no kline"));
    // Some of its minutes are known, yet nobody knows that they are the first ones.
    let newest = Page { from: listed.plus(5 * 60_000), klines: 32, ..whole };
    state.take_page(0, &newest, reply(&newest, listed), &wanted).unwrap();
    let older = Page { until: newest.from, klines: 1_000, ..whole };
    assert_eq!(state.take_page(0, &older, Vec::new(), &wanted), Err("no kline"));
    let asked = state.plan(&wanted, 0)[0];
    assert_eq!(asked.until, newest.from.plus(60_000), "the oldest known one is asked for as well");
    let confirmed = state.take_page(0, &asked, reply(&asked, listed), &wanted).unwrap();
    assert_eq!(confirmed[0].klines[0].open_time, listed);
    let before = Page { until: listed, klines: 1_000, ..whole };
    assert_eq!(
        state.take_page(0, &before, Vec::new(), &wanted),
        Ok(vec![Confirmed { index: 0, klines: Vec::new() }])
    );
}

#[test]
fn a_page_that_begins_after_a_kline_that_is_known_is_refused() {
    let periods = PeriodSet::default();
    let stored = vec![None; periods.len()];
    let late = Err("the oldest klines are missing");
    for shown in [0, 1] {
        let (mut state, listed, whole) = listed_today(&periods);
        let wanted = wanted(&periods, &stored, whole.from, Depth::Full);
        let period = periods.get(shown);
        let (from, until) = (period.open_time(listed), period.open_time(listed.plus(600_000)));
        let first = Page { period, from, until, klines: 2 };
        state.take_page(shown, &first, reply(&first, listed), &wanted).unwrap();
        let later = reply(&whole, period.next_open_time(listed));
        assert_eq!(state.take_page(0, &whole, later, &wanted), late, "{period}");
        assert!(state.take_page(0, &whole, reply(&whole, listed), &wanted).is_ok(), "{period}");
    }
}

#[test]
fn what_was_taken_for_the_first_kline_is_given_up_when_an_earlier_one_is_shown() {
    let periods = PeriodSet::default();
    let stored = vec![None; periods.len()];
    let (mut state, listed, whole) = listed_today(&periods);
    let wanted = wanted(&periods, &stored, whole.from, Depth::Full);
    let wrong = reply(&whole, listed.plus(12 * 60_000));
    state.take_page(0, &whole, wrong, &wanted).unwrap();
    assert_eq!(state.plan(&wanted, 1), []);
    let confirmed = state.take_page(0, &whole, reply(&whole, listed), &wanted).unwrap();
    let five = &confirmed[1].klines[0];
    let open = Period::M5.open_time(listed);
    assert_eq!(Some(*five), official(Period::M5, open, listed), "it is folded anew");
}

#[test]
fn of_the_first_day_only_the_newest_page_is_asked_for_until_it_tells_where_the_day_began() {
    let periods = PeriodSet::default();
    let stored = vec![None; periods.len()];
    let (mut state, listed, whole) = listed_today(&periods);
    let wanted = wanted(&periods, &stored, whole.from, Depth::Full);
    let newest = Page { from: listed.plus(20 * 60_000), klines: 17, ..whole };
    state.take_page(0, &newest, reply(&newest, listed), &wanted).unwrap();
    let pages = state.plan(&wanted, 0);
    assert!(pages.len() > 1 && state.may_be_new(&pages), "{pages:?}");
    let asked = state.newest_if_new(pages);
    assert_eq!((asked.len(), asked[0].until), (1, newest.from.plus(60_000)));
    state.take_page(0, &asked[0], reply(&asked[0], listed), &wanted).unwrap();
    assert_eq!(state.plan(&wanted, 0), [], "the others lie before the listing");
}

#[test]
fn a_page_of_the_first_day_reaches_to_the_oldest_kline_known_if_what_lies_between_is_left_out() {
    let periods = PeriodSet::default();
    let stored = vec![None; periods.len()];
    let (mut state, listed, whole) = listed_today(&periods);
    let wanted = wanted(&periods, &stored, whole.from, Depth::Full);
    let newest = Page { from: listed.plus(20 * 60_000), klines: 17, ..whole };
    state.take_page(0, &newest, reply(&newest, listed), &wanted).unwrap();
    // The twenty minutes of it before that, and some before the listing, are another's to fetch.
    let wanted = Wanted { settled: listed.plus(-30 * 60_000), ..wanted };
    let asked = state.newest_if_new(state.plan(&wanted, 0));
    assert_eq!((asked.len(), asked[0].until), (1, newest.from.plus(60_000)));
    state.take_page(0, &asked[0], reply(&asked[0], listed), &wanted).unwrap();
    assert_eq!(state.plan(&wanted, 0), [], "what it brought tells that nothing is older");
}

#[test]
fn the_first_week_and_month_of_a_symbol_are_folded_from_its_days() {
    let periods = PeriodSet::new(&[Period::M1, Period::D1, Period::W1, Period::Mo1]).unwrap();
    let stored = vec![None; periods.len()];
    // The last half hour of a month that ended with a week: the first of June 2026 is a Monday.
    let until = UnixMillis(1_780_272_000_000);
    let listed = until.plus(-30 * 60_000);
    let first_day = Period::D1.open_time(listed);
    let mut state = SymbolState::new(SymbolId(0), "X".into(), first_day, &periods);
    let wanted = wanted(&periods, &stored, first_day, Depth::Full);
    let page = Page { period: Period::M1, from: listed.plus(-60_000), until, klines: 31 };
    let confirmed = state.take_page(0, &page, reply(&page, listed), &wanted).unwrap();
    for (index, period) in [(1, Period::D1), (2, Period::W1), (3, Period::Mo1)] {
        let part = confirmed.iter().find(|part| part.index == index).expect("it is folded");
        let official = official(period, period.open_time(listed), listed);
        assert_eq!(part.klines, Vec::from_iter(official), "{period}");
    }
}
