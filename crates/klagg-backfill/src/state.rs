//! What is known of one symbol: what is held, and the klines that longer ones wait for. Pure.
//!
//! Always true here: a longer kline is folded only when every one of its children is at hand and
//! confirmed, and each is folded once.

mod ending;
mod listing;
mod pause;

pub(crate) use self::pause::pause;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use klagg_binance::ArchiveSpan;
use klagg_kline::{Kline, PeriodSet, SymbolId, TradeId, UnixMillis};

use self::ending::BreakOff;
use crate::difference::Differences;
use crate::pages::Page;
use crate::plan::{Held, Wanted};
use crate::reply::check;
use crate::spans::Span;

/// Confirmed klines of one period, ascending.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Confirmed {
    /// Index of the period.
    pub(crate) index: usize,
    pub(crate) klines: Vec<Kline>,
}

/// One symbol.
#[derive(Debug)]
pub(crate) struct SymbolState {
    pub(crate) id: SymbolId,
    pub(crate) name: Arc<str>,
    pub(crate) first_open_time: UnixMillis,
    pub(crate) held: Held,
    /// By index of the period: up to where the store was complete at the start.
    pub(crate) stored_until: Vec<Option<UnixMillis>>,
    /// Minutes before this one are confirmed, back to where the symbol's watch began.
    pub(crate) anchor: Option<UnixMillis>,
    /// After a failure: not to be asked for again before, by the client's clock.
    pub(crate) retry_at: Duration,
    /// The exchange refuses requests for this symbol, whatever is asked.
    pub(crate) is_refused: bool,
    /// Whether one of the minutes since the anchor may be provisional.
    pub(crate) is_doubtful: bool,
    /// When an hour and a day of it are next compared with the exchange's own.
    pub(crate) check_at: Option<UnixMillis>,
    /// Holes up to this id have been asked for, or were not worth it.
    pub(crate) repaired_until: Option<TradeId>,
    /// Differences of its closed minutes that are not counted yet.
    pub(crate) differences: Differences,
    /// How often in a row what came was not what was asked for.
    pub(crate) odd_pages: u32,
    /// The exchange had nothing of it up to this minute, and nothing is known of it: it is asked
    /// again when another minute is over.
    pub(crate) nothing_until: Option<UnixMillis>,
    /// When the exchange's list was last seen to hold this very listing.
    pub(crate) listed_at: UnixMillis,
    /// The symbol has ended, and is left once its minutes before this one are confirmed.
    pub(crate) ends_at: Option<UnixMillis>,
    break_off: BreakOff,
    /// Files of the archive that are not fetched again, by index of the period.
    pub(crate) files_tried: BTreeSet<(usize, ArchiveSpan)>,
    periods: PeriodSet,
    /// By index of the period: klines that a longer one still needs.
    cache: Vec<BTreeMap<UnixMillis, Kline>>,
    /// By index of the period: the oldest kline known.
    oldest: Vec<Option<UnixMillis>>,
    /// By index of the period: the first kline ever, once a page or the store has shown it.
    first_ever: Vec<Option<UnixMillis>>,
    /// By index of the period: what the store's klines of the day of the listing add up to, each
    /// from its first one to the end of that day.
    first_day: Vec<Option<Kline>>,
}

impl SymbolState {
    pub(crate) fn new(
        id: SymbolId,
        name: Arc<str>,
        first_open_time: UnixMillis,
        periods: &PeriodSet,
    ) -> Self {
        let count = periods.len();
        Self {
            id,
            name,
            first_open_time,
            held: Held::nothing(periods.clone()),
            stored_until: vec![None; count],
            anchor: None,
            retry_at: Duration::ZERO,
            is_refused: false,
            is_doubtful: false,
            check_at: None,
            repaired_until: None,
            differences: Differences::default(),
            odd_pages: 0,
            nothing_until: None,
            listed_at: UnixMillis(0),
            ends_at: None,
            break_off: BreakOff::default(),
            files_tried: BTreeSet::new(),
            periods: periods.clone(),
            cache: vec![BTreeMap::new(); count],
            oldest: vec![None; count],
            first_ever: vec![None; count],
            first_day: vec![None; count],
        }
    }

    /// Takes the exchange's answer for `page`; gives its klines and the longer ones that they
    /// complete, shortest period first.
    ///
    /// # Errors
    /// The rule that the answer breaks; then nothing is changed.
    pub(crate) fn take_page(
        &mut self,
        index: usize,
        page: &Page,
        klines: Vec<Kline>,
        wanted: &Wanted<'_>,
    ) -> Result<Vec<Confirmed>, &'static str> {
        if klines.is_empty() && self.is_before_listing(page) {
            self.held.mark(index, Span { from: page.from, until: page.until });
            return Ok(self.fold_and_prune(index, page, Vec::new(), wanted));
        }
        if let Err(reason) = check(page, &klines, self.first_by(index, page)) {
            self.note_break_off(page, &klines);
            return Err(reason);
        }
        self.note_first(index, page, klines[0].open_time);
        let next = page.period.next_open_time(page.until);
        let until = if mutated!(CoverageAhead) { next } else { page.until };
        self.held.mark(index, Span { from: page.from, until });
        Ok(self.fold_and_prune(index, page, klines, wanted))
    }

    /// Takes confirmed klines of the store, ascending, perhaps with holes; gives only the longer
    /// ones that they complete.
    pub(crate) fn take_stored(
        &mut self,
        index: usize,
        klines: &[Kline],
        wanted: &Wanted<'_>,
    ) -> Vec<Confirmed> {
        let period = self.periods.get(index);
        for kline in klines {
            let until = period.next_open_time(kline.open_time);
            self.held.mark(index, Span { from: kline.open_time, until });
        }
        let (Some(first), Some(last)) = (klines.first(), klines.last()) else {
            return Vec::new();
        };
        let (from, until) = (first.open_time, period.next_open_time(last.open_time));
        self.note_first_day(index, klines);
        let page = Page { period, from, until, klines: 0 };
        let mut confirmed = self.fold_and_prune(index, &page, klines.to_vec(), wanted);
        confirmed.remove(0);
        confirmed
    }

    /// Fetches no file of the archive that is there by `now` and holds `time`.
    pub(crate) fn leave_files(&mut self, time: UnixMillis, now: UnixMillis) {
        let spans = ArchiveSpan::holding(time, now).into_iter();
        let files = spans.flat_map(|span| (0..self.periods.len()).map(move |index| (index, span)));
        self.files_tried.extend(files);
    }

    /// The confirmed kline right before `open_time`, if it is still kept for folding.
    pub(crate) fn before(&self, index: usize, open_time: UnixMillis) -> Option<Kline> {
        let (_, kline) = self.cache[index].range(..open_time).next_back()?;
        let end = self.periods.get(index).next_open_time(kline.open_time);
        (end == open_time).then_some(*kline)
    }

    fn fold_and_prune(
        &mut self,
        index: usize,
        page: &Page,
        klines: Vec<Kline>,
        wanted: &Wanted<'_>,
    ) -> Vec<Confirmed> {
        self.remember(index, &klines);
        let mut confirmed = vec![Confirmed { index, klines }];
        self.fold(index, Span { from: page.from, until: page.until }, &mut confirmed);
        for index in index..self.periods.len() {
            self.prune(index, wanted.recent_from(index));
        }
        confirmed
    }

    fn remember(&mut self, index: usize, klines: &[Kline]) {
        if let Some(first) = klines.first() {
            let oldest = self.oldest[index].get_or_insert(first.open_time);
            *oldest = first.open_time.min(*oldest);
        }
        self.cache[index].extend(klines.iter().map(|kline| (kline.open_time, *kline)));
    }

    /// Folds every longer kline that `span` of the period at `source` completes, upward.
    fn fold(&mut self, source: usize, span: Span, confirmed: &mut Vec<Confirmed>) {
        for longer in source + 1..self.periods.len() {
            if self.periods.source(longer) != Some(source) {
                continue;
            }
            let period = self.periods.get(longer);
            let mut klines = Vec::new();
            let mut open = period.open_time(span.from);
            while open < span.until {
                let until = period.next_open_time(open);
                if !self.held.of(longer).covers(open, until)
                    && let Some(kline) = self.whole(source, open, until)
                {
                    self.held.mark(longer, Span { from: open, until });
                    klines.push(kline);
                }
                open = until;
            }
            let (Some(first), Some(last)) = (klines.first(), klines.last()) else { continue };
            let until = period.next_open_time(last.open_time);
            let folded = Span { from: first.open_time, until };
            self.remember(longer, &klines);
            confirmed.push(Confirmed { index: longer, klines });
            self.fold(longer, folded, confirmed);
        }
    }

    /// The kline `[open, until)` folded from the period at `source`, if all of it is at hand.
    fn whole(&self, source: usize, open: UnixMillis, until: UnixMillis) -> Option<Kline> {
        if mutated!(FoldedFromParts) {
            let children: Vec<&Kline> =
                self.cache[source].range(open..until).map(|of| of.1).collect();
            return Kline::rollup(open, children);
        }
        // What opens before the first one ever is nothing to wait for.
        let from = self.first_ever[source].map_or(open, |first| open.max(first));
        if !self.held.of(source).covers(from, until) {
            return None;
        }
        let period = self.periods.get(source);
        let children: Vec<&Kline> =
            self.cache[source].range(open..until).map(|(_, kline)| kline).collect();
        let first = children.first()?.open_time;
        if first != open && self.first_ever[source] != Some(first) {
            return None;
        }
        let mut next = first;
        for child in &children {
            if child.open_time != next {
                return None;
            }
            next = period.next_open_time(next);
        }
        if next == until { Kline::rollup(open, children) } else { None }
    }

    /// Forgets klines that no longer kline waits for.
    fn prune(&mut self, index: usize, keep_from: UnixMillis) {
        let Self { cache, periods, held, .. } = self;
        let parents: Vec<usize> = (index + 1..periods.len())
            .filter(|&longer| periods.source(longer) == Some(index))
            .collect();
        cache[index].retain(|&open_time, _| {
            open_time >= keep_from
                || parents.iter().any(|&parent| {
                    let period = periods.get(parent);
                    let open = period.open_time(open_time);
                    !held.of(parent).covers(open, period.next_open_time(open))
                })
        });
    }

    /// Klines kept for folding; for bounds in tests and status.
    #[cfg(test)]
    fn cached(&self) -> usize {
        self.cache.iter().map(BTreeMap::len).sum()
    }
}

#[cfg(test)]
mod tests;
