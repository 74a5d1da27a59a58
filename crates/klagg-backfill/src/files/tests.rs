//! What is fetched from the archive and what is left to the exchange.

use klagg_kline::{PeriodSet, Price};
use proptest::prelude::*;

use super::*;
use crate::plan::{Depth, plan};

const MINUTE: i64 = 60_000;
const HOUR: i64 = 60 * MINUTE;
const DAY: i64 = 24 * HOUR;
/// 2026-10-08T12:02:13Z.
const NOW: UnixMillis = UnixMillis(1_791_460_933_250);

fn wanted<'a>(periods: &'a PeriodSet, capacity: &'a [usize]) -> Wanted<'a> {
    Wanted {
        periods,
        capacity,
        first_open_time: UnixMillis(1_567_900_800_000),
        stored_until: &[],
        gap_klines_max: 10_000,
        settled: NOW,
        kept_until: NOW,
        depth: Depth::Full,
    }
}

fn one(period: Period, klines: usize) -> Vec<String> {
    let periods = match period {
        Period::M1 => PeriodSet::new(&[Period::M1]),
        _ => PeriodSet::new(&[Period::M1, period]),
    };
    let periods = periods.unwrap();
    let (capacity, stored) = ([klines; 2], [None; 2]);
    let index = periods.len() - 1;
    let held = Held::nothing(periods.clone());
    let capacity = if index == 0 { &capacity[..1] } else { &capacity[..] };
    let wanted = Wanted { stored_until: &stored[..=index], ..wanted(&periods, capacity) };
    let files = files(&held, &wanted, index, NOW);
    files.iter().map(|file| file.span.file_name("S", period)).collect()
}

#[test]
fn only_what_a_request_or_two_cannot_bring_is_fetched_from_the_archive() {
    let check = |period: Period, klines: usize, expected: &[&str]| {
        assert_eq!(one(period, klines), expected, "{klines} x {period}");
    };
    // Today's is not there, and yesterday's is: 722 minutes are of today, 500 of yesterday.
    check(Period::M1, 722 + 499, &[]);
    check(Period::M1, 722 + 500, &["S-1m-2026-10-07.zip"]);
    check(Period::M1, 3_000, &["S-1m-2026-10-07.zip", "S-1m-2026-10-06.zip"]);
    // September's file appears on the ninth at the latest; until then its days are there.
    let days = one(Period::M1, 722 + 8 * 1_440);
    assert_eq!(days.last().unwrap(), "S-1m-2026-09-30.zip");
    check(Period::M5, 3_000, &[]);
    check(Period::H1, 7 * 24 + 30 * 24 + 31 * 24, &["S-1h-2026-08.zip"]);
    check(Period::H4, 10_000, &[]);
    check(Period::D1, 4_000, &[]);
    check(Period::W1, 4_000, &[]);
}

#[test]
fn nothing_of_the_day_of_the_listing_comes_from_a_file() {
    let today = Period::D1.open_time(NOW);
    let check = |listed: i64, expected: Option<(&str, i64)>| {
        let periods = PeriodSet::new(&[Period::M1]).unwrap();
        let first_open_time = today.plus(-listed * DAY);
        let wanted =
            Wanted { first_open_time, stored_until: &[None], ..wanted(&periods, &[usize::MAX]) };
        let files = files(&Held::nothing(periods.clone()), &wanted, 0, NOW);
        let oldest = files.last().map(|of| (of.span.file_name("S", Period::M1), of.from));
        let expected = expected.map(|(name, days)| (name.to_owned(), today.plus(-days * DAY)));
        assert_eq!(oldest, expected, "listed {listed} days ago");
    };
    check(3, Some(("S-1m-2026-10-06.zip", 2)));
    check(2, Some(("S-1m-2026-10-07.zip", 1)));
    check(1, None);
    check(0, None);
    // The twentieth of August: its month's file begins earlier.
    check(49, Some(("S-1m-2026-08.zip", 48)));
}

fn kline(minute: i64, trades: u64) -> Kline {
    let flat = Kline::flat(UnixMillis(minute * MINUTE), Price::from_scaled(1));
    Kline { trade_count: trades, ..flat }
}

fn file(from: i64, until: i64) -> ArchiveFile {
    let span = ArchiveSpan::holding(UnixMillis(from * MINUTE), NOW).unwrap();
    let (from, until) = (UnixMillis(from * MINUTE), UnixMillis(until * MINUTE));
    ArchiveFile { period: Period::M1, span, from, until, klines: 0 }
}

#[test]
fn rows_in_disorder_or_of_another_month_refuse_the_file() {
    // The first of January 2024, in minutes.
    let first = 28_401_120;
    let file = file(first, first + 44_640);
    let check = |minutes: &[i64], shift: i64, expected: Result<(), FileFault>| {
        let shifted = |&minute: &i64| {
            let kline = kline(first + minute, 1);
            Kline { open_time: kline.open_time.plus(shift), ..kline }
        };
        let klines: Vec<Kline> = minutes.iter().map(shifted).collect();
        assert_eq!(check_file(&file, &klines), expected, "{minutes:?} {shift}");
    };
    check(&[0, 1, 5, 44_639], 0, Ok(()));
    check(&[], 0, Ok(()));
    check(&[0, 2, 1], 0, Err(FileFault::Unsorted));
    check(&[0, 1, 1], 0, Err(FileFault::Unsorted));
    check(&[-1, 0], 0, Err(FileFault::OutOfPlace));
    check(&[0, 44_640], 0, Err(FileFault::OutOfPlace));
    check(&[0, 1], 30_000, Err(FileFault::OutOfPlace));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Whatever is held and whatever is in the files: what comes from both, file and exchange, is
    /// all that is wanted, and nothing comes twice.
    #[test]
    fn files_and_pages_together_bring_everything_and_nothing_twice(
        days in 1_i64..75,
        held_stretches in prop::collection::vec((0_i64..70, 1_i64..2_000), 0..4),
        flat_every in 2_usize..900,
        hole in 0_usize..40_000,
        hole_klines in 0_usize..3_000,
    ) {
        let periods = PeriodSet::new(&[Period::M1]).unwrap();
        let capacity = [usize::try_from(days * 1_440).unwrap()];
        let wanted = Wanted { stored_until: &[None], ..wanted(&periods, &capacity) };
        let mut held = Held::nothing(periods.clone());
        for &(day, minutes) in &held_stretches {
            let from = Period::D1.open_time(NOW).plus(-day * DAY);
            held.add(0, from, from.plus(minutes * MINUTE).min(Period::M1.open_time(NOW)));
        }
        let before = held.clone();
        let mut brought: Vec<UnixMillis> = Vec::new();
        for file in files(&held, &wanted, 0, NOW) {
            prop_assert!(file.span.until.plus(8 * HOUR) <= NOW, "not published: {:?}", file);
            prop_assert!(file.klines > CHEAP_KLINES && file.from < file.until);
            let minutes = (file.span.from.0 / MINUTE)..(file.span.until.0 / MINUTE);
            let rows: Vec<Kline> = minutes.enumerate()
                .filter(|(at, _)| !(hole..hole + hole_klines).contains(at))
                .map(|(at, minute)| kline(minute, u64::from(at % flat_every > 0)))
                .collect();
            prop_assert_eq!(check_file(&file, &rows), Ok(()));
            for part in take(held.of(0), &file, &rows).parts {
                prop_assert!(!part.is_empty() && part.len() <= PART_KLINES_MAX);
                for pair in part.windows(2) {
                    prop_assert_eq!(pair[0].open_time.plus(MINUTE), pair[1].open_time);
                }
                prop_assert!(part.iter().all(|kline| kline.trade_count > 0));
                brought.extend(part.iter().map(|kline| kline.open_time));
                let until = part[part.len() - 1].open_time.plus(MINUTE);
                held.add(0, part[0].open_time, until);
            }
        }
        let count = brought.len();
        brought.sort_unstable();
        brought.dedup();
        prop_assert_eq!(count, brought.len(), "a kline came twice");
        let span = wanted.span(0);
        for &at in &brought {
            prop_assert!(span.from <= at && at < span.until, "not wanted");
            prop_assert!(!before.of(0).covers(at, at.plus(MINUTE)), "held before");
        }
        for page in plan(&held, &wanted, 0) {
            held.add(0, page.from, page.until);
        }
        prop_assert!(held.of(0).covers(span.from, span.until), "something is missing");
    }
}
