//! Several stretches of klines fetched for the least weight: together where that is cheaper. Pure.
//!
//! Two holes of a few klines cost two requests; one request from the first to the last of them may
//! cost as much as one alone, though it asks for what lies between again.

use std::collections::BTreeMap;

use klagg_binance::klines_weight;
use klagg_kline::{Period, UnixMillis};

use crate::pages::{Page, klines_before, klines_between, pages};
use crate::spans::Span;

/// The largest page of each weight.
const SIZES: [u16; 4] = [99, 499, 1_000, 1_500];
/// Klines between two holes from which on fetching them together can save nothing: they cost two
/// by themselves, and no more can be saved at their ends.
const APART: u64 = 499;
/// Holes that span more klines than this together are fetched one by one.
const KLINES_MAX: u64 = 5_000;

/// What a way costs: weight first, then klines asked for, then requests.
type Cost = (u32, u64, u32);

/// The cheapest pages that hold every kline of `missing`, which is ascending and lies on the grid
/// of `period`; newest first.
pub(crate) fn cheapest(period: Period, missing: &[Span]) -> Vec<Page> {
    let mut all = Vec::new();
    let mut end = missing.len();
    while end > 0 {
        let mut first = end - 1;
        while first > 0
            && klines_between(period, missing[first - 1].until, missing[first].from) < APART
        {
            first -= 1;
        }
        let together = &missing[first..end];
        let (from, until) = (missing[first].from, missing[end - 1].until);
        if first + 1 == end || klines_between(period, from, until) > KLINES_MAX {
            all.extend(together.iter().rev().flat_map(|span| pages(period, *span)));
        } else {
            all.extend(least(period, together));
        }
        end = first;
    }
    all
}

/// The cheapest pages for stretches that are near each other, by trying every largest page of
/// each weight from the newest missing kline backwards.
fn least(period: Period, missing: &[Span]) -> Vec<Page> {
    let Some(newest) = missing.last() else { return Vec::new() };
    // By the end of what is still to be fetched: the cheapest way there, and its last page.
    let mut ways: BTreeMap<UnixMillis, (Cost, Option<Page>)> = BTreeMap::new();
    let mut open: BTreeMap<UnixMillis, (Cost, Option<Page>)> = BTreeMap::new();
    open.insert(newest.until, ((0, 0, 0), None));
    while let Some((until, way)) = open.pop_last() {
        ways.insert(until, way);
        if until == missing[0].from {
            break;
        }
        let ((weight, klines, requests), _) = way;
        let reach = klines_before(period, until, SIZES[SIZES.len() - 1].into());
        let largest = SIZES.map(|size| {
            let lower = klines_before(period, until, size.into());
            missing[missing.partition_point(|span| span.until <= lower)].from.max(lower)
        });
        // Besides, a page may end with any hole: what lies before it is not asked for then.
        let holes = missing.iter().map(|span| span.from);
        let holes = holes.filter(|&from| reach <= from && from < until);
        for from in largest.into_iter().chain(holes) {
            let at = missing.partition_point(|span| span.until <= from);
            let count = klines_between(period, from, until);
            let limit = u16::try_from(count).unwrap_or(u16::MAX);
            let next = match at {
                _ if from > missing[at].from => from,
                0 => from,
                at => missing[at - 1].until,
            };
            let cost = (weight + klines_weight(limit), klines + count, requests + 1);
            let page = Page { period, from, until, klines: limit };
            let known = open.entry(next).or_insert((cost, Some(page)));
            if cost < known.0 {
                *known = (cost, Some(page));
            }
        }
    }
    let mut cheapest = Vec::new();
    let mut at = missing[0].from;
    while let Some(&(_, Some(page))) = ways.get(&at) {
        cheapest.push(page);
        at = page.until;
    }
    cheapest.reverse();
    cheapest
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const MINUTE: i64 = 60_000;

    fn span((from, until): (i64, i64)) -> Span {
        Span { from: UnixMillis(from * MINUTE), until: UnixMillis(until * MINUTE) }
    }

    fn weight(pages: &[Page]) -> u32 {
        pages.iter().map(|page| klines_weight(page.klines)).sum()
    }

    #[test]
    fn small_holes_near_each_other_are_one_request() {
        let check = |missing: &[(i64, i64)], expected: &[(i64, i64)]| {
            let spans: Vec<Span> = missing.iter().copied().map(span).collect();
            let pages = cheapest(Period::M1, &spans);
            let seen: Vec<(i64, i64)> =
                pages.iter().map(|of| (of.from.0 / MINUTE, of.until.0 / MINUTE)).collect();
            assert_eq!(seen, expected, "{missing:?}");
        };
        check(&[(0, 10), (20, 30), (80, 90)], &[(0, 90)]);
        check(&[(0, 50), (60, 110)], &[(60, 110), (0, 50)]);
        check(&[(0, 10), (600, 610)], &[(600, 610), (0, 10)]);
        check(&[(0, 500)], &[(1, 500), (0, 1)]);
        check(&[], &[]);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(256))]

        #[test]
        fn no_way_to_fetch_every_hole_costs_less(
            stretches in prop::collection::vec((1_i64..700, 1_i64..300), 1..8),
        ) {
            let mut at = 0;
            let mut missing = Vec::new();
            for &(gap, length) in &stretches {
                missing.push(span((at + gap, at + gap + length)));
                at += gap + length;
            }
            let pages = cheapest(Period::M1, &missing);
            // The oracle goes minute by minute from the oldest one, and knows no pages.
            let holds = |minute: usize| {
                let time = UnixMillis(i64::try_from(minute).unwrap() * MINUTE);
                missing.iter().any(|span| span.from <= time && time < span.until)
            };
            let end = usize::try_from(at).unwrap();
            let mut least = vec![0_u32; end + 1_501];
            for minute in (0..end).rev() {
                least[minute] = if holds(minute) {
                    let after = |size: u16| {
                        least[minute + usize::from(size)] + klines_weight(size)
                    };
                    SIZES.map(after).into_iter().min().unwrap()
                } else {
                    least[minute + 1]
                };
            }
            prop_assert_eq!(weight(&pages), least[0], "{:?}", pages);
            for pair in pages.windows(2) {
                prop_assert!(pair[1].until <= pair[0].from, "newest first, none twice");
            }
            for minute in (0..end).filter(|&minute| holds(minute)) {
                let time = UnixMillis(i64::try_from(minute).unwrap() * MINUTE);
                prop_assert!(pages.iter().any(|of| of.from <= time && time < of.until));
            }
        }
    }
}
