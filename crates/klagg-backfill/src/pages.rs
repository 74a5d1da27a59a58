//! A stretch of klines cut into pages that cost the least weight. Pure.

use klagg_kline::{Period, UnixMillis};

use crate::spans::Span;

/// The cheapest kline of all comes from the largest page of weight 2.
pub(crate) const CHEAP_KLINES: u64 = 499;
/// The largest page of weight 1.
pub(crate) const SMALL_KLINES: u64 = 99;
/// The largest page of weight 5.
const LARGE_KLINES: u64 = 1_000;

/// One request for klines.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Page {
    /// Their period.
    pub period: Period,
    /// First open time.
    pub from: UnixMillis,
    /// The first instant after the last kline.
    pub until: UnixMillis,
    /// How many there are, if none is missing at the exchange.
    pub klines: u16,
}

impl Page {
    /// Open time of the last kline.
    pub fn last_open_time(&self) -> UnixMillis {
        self.period.open_time(self.until.plus(-1))
    }
}

/// How many klines of `period` open in `[from, until)`, both on its grid.
pub(crate) fn klines_between(period: Period, from: UnixMillis, until: UnixMillis) -> u64 {
    debug_assert!(period.open_time(from) == from && period.open_time(until) == until);
    if from >= until {
        return 0;
    }
    if let Some(millis) = period.fixed_millis() {
        return u64::try_from(until.since(from) / millis).unwrap_or(0);
    }
    let next = |at: &UnixMillis| Some(period.next_open_time(*at));
    std::iter::successors(Some(from), next).take_while(|&at| at < until).count() as u64
}

/// The open time `klines` before `until`, which is on the grid.
pub(crate) fn klines_before(period: Period, until: UnixMillis, klines: u64) -> UnixMillis {
    match period.fixed_millis() {
        Some(millis) => {
            let klines = i64::try_from(klines).unwrap_or(i64::MAX);
            UnixMillis(until.0.saturating_sub(klines.saturating_mul(millis)))
        }
        None => (0..klines.min(SMALL_KLINES * 100))
            .fold(until, |at, _| if at.0 < 0 { at } else { period.open_time(at.plus(-1)) }),
    }
}

/// Sizes of the pages for `klines` klines: least weight first, then fewest requests.
///
/// Weight 2 buys 499 and nothing buys more for less, so that is the size of all pages but the
/// last; only where 2 × 499 leave one or two over, 1,000 for 5 save two requests at the same cost.
fn sizes(klines: u64) -> Vec<u64> {
    let rest = klines % CHEAP_KLINES;
    let full = klines / CHEAP_KLINES;
    let mut sizes = Vec::new();
    if full >= 2 && rest > 0 && rest + 2 * CHEAP_KLINES <= LARGE_KLINES {
        sizes.push(rest + 2 * CHEAP_KLINES);
        sizes.extend((2..full).map(|_| CHEAP_KLINES));
    } else {
        sizes.extend((rest > 0).then_some(rest));
        sizes.extend((0..full).map(|_| CHEAP_KLINES));
    }
    sizes
}

/// Where `span` may begin for the same weight.
pub(crate) fn filled(period: Period, span: Span) -> UnixMillis {
    let klines = klines_between(period, span.from, span.until);
    let rest = klines % CHEAP_KLINES;
    let free = match rest {
        0 => 0,
        1..=SMALL_KLINES => SMALL_KLINES - rest,
        _ => CHEAP_KLINES - rest,
    };
    klines_before(period, span.from, free)
}

/// Pages that fetch all klines of `span`, which lies on the grid of `period`, newest first: so
/// that what people look at comes first, and what is held grows backwards without a hole.
pub(crate) fn pages(period: Period, span: Span) -> Vec<Page> {
    let mut until = span.until;
    let mut pages = Vec::new();
    for size in sizes(klines_between(period, span.from, span.until)).into_iter().rev() {
        let from = klines_before(period, until, size);
        let klines = u16::try_from(size).unwrap_or(u16::MAX);
        pages.push(Page { period, from, until, klines });
        until = from;
    }
    debug_assert!(until == span.from, "pages end where the span begins");
    pages
}

#[cfg(test)]
mod tests {
    use klagg_binance::klines_weight;

    use super::*;

    #[test]
    fn no_other_cut_costs_less_weight() {
        // The least weight for n klines, by trying every largest page of each weight class.
        let mut least = vec![0_u64; 3_001];
        for klines in 1..least.len() {
            least[klines] = [99, 499, 1_000, 1_500]
                .into_iter()
                .map(|limit: u16| {
                    let rest = klines.saturating_sub(usize::from(limit));
                    least[rest] + u64::from(klines_weight(limit))
                })
                .min()
                .unwrap();
            let sizes = sizes(klines as u64);
            let weight = |&size: &u64| u64::from(klines_weight(u16::try_from(size).unwrap()));
            assert_eq!(sizes.iter().map(weight).sum::<u64>(), least[klines], "{klines} klines");
            assert_eq!(sizes.iter().sum::<u64>(), klines as u64);
        }
        assert_eq!(sizes(1_000), [1_000], "at equal weight, fewer requests");
        assert_eq!(sizes(198), [198]);
        assert_eq!(sizes(0), [0_u64; 0]);
    }

    #[test]
    fn a_filled_span_costs_no_more_and_one_kline_beyond_it_does() {
        let weight = |klines: u64| {
            let of = |size: u64| u64::from(klines_weight(u16::try_from(size).unwrap()));
            sizes(klines).into_iter().map(of).sum::<u64>()
        };
        let until = UnixMillis(1_700_000_040_000);
        for klines in 1..2_000 {
            let from = klines_before(Period::M1, until, klines);
            let filled = filled(Period::M1, Span { from, until });
            let all = klines_between(Period::M1, filled, until);
            assert_eq!(weight(all), weight(klines), "{klines} klines, {all} for the same");
            assert!(weight(all + 1) > weight(klines), "{klines} klines, more than {all}");
        }
    }

    #[test]
    fn pages_cover_the_span_without_overlap_newest_first() {
        for period in Period::ALL {
            let until = period.open_time(UnixMillis(1_700_000_000_000));
            let from = klines_before(period, until, 600);
            let pages = pages(period, Span { from, until });
            assert_eq!(pages[0].until, until, "{period}");
            assert_eq!(pages.last().unwrap().from, from, "{period}");
            for pair in pages.windows(2) {
                assert_eq!(pair[0].from, pair[1].until, "{period}");
            }
            for page in &pages {
                let klines = klines_between(period, page.from, page.until);
                assert_eq!(klines, u64::from(page.klines), "{period}");
                assert_eq!(period.next_open_time(page.last_open_time()), page.until);
            }
        }
    }
}
