//! When a symbol was listed: what its first klines tell, and what nobody has to ask any more.
//!
//! Always true here:
//! - That nothing is older is learned only from a page that has klines and begins later than it
//!   was asked to, or from a store that adds up to the first day. An empty page proves nothing.
//! - The first kline of a period tells the first one of every longer period.

use klagg_binance::KLINES_LIMIT_MAX;
use klagg_kline::{Kline, Period, UnixMillis};

use super::SymbolState;
use crate::pages::{Page, klines_between};
use crate::plan::{Wanted, plan};
use crate::spans::Span;

impl SymbolState {
    /// Whether no kline of it is known at all.
    pub(crate) fn is_unknown(&self) -> bool {
        self.oldest.iter().all(Option::is_none)
    }

    /// End of the day on which it was listed.
    pub(crate) fn first_day_until(&self) -> UnixMillis {
        Period::D1.next_open_time(self.first_open_time)
    }

    /// Whether klines at the beginning of a page may never have been: those of the first day, but
    /// not the daily one itself.
    fn may_begin_late(&self, page: &Page) -> bool {
        page.from < self.first_day_until() && page.period < Period::D1
    }

    /// The pages that are to be asked for of the period at `index`, newest first.
    pub(crate) fn plan(&self, wanted: &Wanted<'_>, index: usize) -> Vec<Page> {
        let pages = plan(&self.held, wanted, index).into_iter();
        pages.map(|page| self.with_known(index, page)).collect()
    }

    /// Whether what some of the pages bring tells which of the others there are: see
    /// [`SymbolState::newest_if_new`].
    pub(crate) fn may_be_new(&self, pages: &[Page]) -> bool {
        let first_day = pages.iter().any(|page| self.may_begin_late(page));
        first_day && (self.is_unknown() || self.telling(pages) < pages.len())
    }

    /// Whether nobody could tell why a page came empty: no kline is known, and the newest ones, by
    /// which some will be, are left to somebody else. These come first.
    pub(crate) fn lacks_newest(&self, pages: &[Page], settled: UnixMillis) -> bool {
        let is_older = |page: &Page| page.until < page.period.open_time(settled);
        self.is_unknown() && pages.iter().any(|of| self.may_begin_late(of) && is_older(of))
    }

    /// Of a symbol that may have been listed just now, only the newest page; of others, no page
    /// of the first day but its newest one. Older ones may lie before the listing: were they
    /// answered first, empty as they are, nobody could tell why.
    pub(crate) fn newest_if_new(&self, mut pages: Vec<Page>) -> Vec<Page> {
        if self.may_be_new(&pages) {
            pages.truncate(if self.is_unknown() { 1 } else { self.telling(&pages) });
        }
        pages
    }

    /// How many pages, which come newest first, end with the newest one of the first day.
    fn telling(&self, pages: &[Page]) -> usize {
        let newest = pages.iter().position(|page| self.may_begin_late(page));
        newest.map_or(pages.len(), |at| at + 1)
    }

    /// The page, up to and with the oldest known kline if nothing may be in it: only where that
    /// kline comes alone, none is older. It mostly ends there anyway; but what lies between may
    /// be left to somebody else, as it is when the newest klines did not come at the start.
    pub(crate) fn with_known(&self, index: usize, page: Page) -> Page {
        let known = self.oldest[index].filter(|&oldest| oldest >= page.until);
        let Some(oldest) = known.filter(|_| self.may_begin_late(&page)) else { return page };
        let until = page.period.next_open_time(oldest);
        match u16::try_from(klines_between(page.period, page.from, until)) {
            Ok(klines @ ..=KLINES_LIMIT_MAX) => Page { until, klines, ..page },
            _ => page,
        }
    }

    /// Where the answer for a page begins at the latest: later than asked only on the day of the
    /// listing, and not later than any kline that is known.
    pub(super) fn first_by(&self, index: usize, page: &Page) -> UnixMillis {
        if !self.may_begin_late(page) {
            return page.from;
        }
        let known = self.oldest.iter().zip(self.periods.as_slice()).skip(index);
        let known = known.filter_map(|(oldest, period)| Some(period.next_open_time((*oldest)?)));
        let by = known.map(|end| page.period.open_time(end.plus(-1))).min();
        by.map_or(page.last_open_time(), |by| by.min(page.last_open_time())).max(page.from)
    }

    /// Whether a page lies before the first kline ever.
    pub(super) fn is_before_listing(&self, page: &Page) -> bool {
        let first = self.first_ever.iter().flatten().max();
        first.is_some_and(|&first| page.until <= page.period.open_time(first))
    }

    /// An answer for a page has begun at `first`.
    pub(super) fn note_first(&mut self, index: usize, page: &Page, first: UnixMillis) {
        if let Some(known) = self.first_ever[index].filter(|&known| first < known) {
            // What was taken for the first was not.
            self.held.forget(first, known);
            self.first_ever.fill(None);
        }
        if first > page.from {
            self.begin_at(index, first);
        }
    }

    /// Nothing of the period at `index` opens before `first`, so that no longer kline does before
    /// the one that holds it.
    fn begin_at(&mut self, index: usize, first: UnixMillis) {
        for (index, &period) in self.periods.as_slice().iter().enumerate().skip(index) {
            let (from, first) = (period.open_time(self.first_open_time), period.open_time(first));
            self.held.mark(index, Span { from, until: first });
            self.first_ever[index] = Some(first);
        }
    }

    /// Learns from the store when the symbol was listed: where the klines of a shorter period add
    /// up to the first daily one, nothing came before them. So what is not there is not asked for
    /// at each start anew.
    pub(super) fn note_first_day(&mut self, index: usize, klines: &[Kline]) {
        let period = self.periods.get(index);
        let end = self.first_day_until();
        if period < Period::D1 {
            let day = &klines[..klines.partition_point(|kline| kline.open_time < end)];
            let next = |kline: &Kline| period.next_open_time(kline.open_time);
            let is_whole = day.windows(2).all(|pair| next(&pair[0]) == pair[1].open_time)
                && day.last().is_some_and(|last| next(last) == end);
            let sum = day.first().and_then(|first| Kline::rollup(first.open_time, day));
            self.first_day[index] = sum.filter(|_| is_whole);
            return;
        }
        let listed = Period::D1.open_time(self.first_open_time);
        let Some(whole) = klines.first().filter(|of| of.open_time == listed) else { return };
        if period > Period::D1 {
            return;
        }
        for shorter in 0..index {
            let Some(sum) = self.first_day[shorter] else { continue };
            if (Kline { open_time: listed, ..sum }).same_values(whole) && sum.open_time > listed {
                self.held.mark(shorter, Span { from: listed, until: sum.open_time });
                self.first_ever[shorter] = Some(sum.open_time);
            }
        }
    }
}
