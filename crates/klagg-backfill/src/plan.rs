//! What to ask for: from what is held and what is wanted, the cheapest requests. Pure.
//!
//! Laws, proved in `plan/tests.rs`:
//! - Nothing costs less: see `cheapest`, and the sizes of pages.
//! - What can be folded from shorter klines that are held is never asked for.
//! - After all pages of a plan have been fetched and folded, the next plan is empty.
//! - A plan that was cut off anywhere goes on where it stopped: nothing is asked for twice.
//! - No page holds a kline that is not closed yet, or that opened before the symbol was listed.

use klagg_kline::{Period, PeriodSet, UnixMillis};

use crate::cheapest::cheapest;
use crate::pages::{
    CHEAP_KLINES, Page, SMALL_KLINES, filled, klines_before, klines_between, pages,
};
use crate::spans::{Span, Spans};

/// The shortest klines that are fetched at once to reach the end of the store: three of the
/// cheapest pages, which is a day of minutes.
const BRIDGE_KLINES_MAX: u64 = 3 * CHEAP_KLINES;

/// What is held of one symbol, by index of the period: only what is confirmed counts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Held {
    periods: PeriodSet,
    spans: Vec<Spans>,
}

impl Held {
    /// Nothing is held.
    pub fn nothing(periods: PeriodSet) -> Self {
        let spans = vec![Spans::new(); periods.len()];
        Self { periods, spans }
    }

    /// What is held of the period at `index`.
    pub fn of(&self, index: usize) -> &Spans {
        &self.spans[index]
    }

    /// Adds `[from, until)` of the period at `index`, and nothing else.
    ///
    /// Both ends must lie on the period's grid.
    pub(crate) fn mark(&mut self, index: usize, span: Span) {
        let period = self.periods.get(index);
        debug_assert!(period.open_time(span.from) == span.from);
        debug_assert!(period.open_time(span.until) == span.until);
        self.spans[index].add(span.from, span.until);
    }

    /// Forgets every kline, of whatever period, that any of `[from, until)` is part of.
    pub(crate) fn forget(&mut self, from: UnixMillis, until: UnixMillis) {
        for (&period, spans) in self.periods.as_slice().iter().zip(&mut self.spans) {
            let end = period.open_time(until.plus(-1));
            spans.remove(period.open_time(from), period.next_open_time(end));
        }
    }

    /// Adds `[from, until)` of the period at `index`, and what can be folded from it upward.
    ///
    /// Both ends must lie on the period's grid.
    pub fn add(&mut self, index: usize, from: UnixMillis, until: UnixMillis) {
        let period = self.periods.get(index);
        debug_assert!(period.open_time(from) == from && period.open_time(until) == until);
        self.spans[index].add(from, until);
        for longer in index + 1..self.periods.len() {
            let Some(source) = self.periods.source(longer) else { continue };
            let period = self.periods.get(longer);
            let foldable: Vec<Span> = self.spans[source]
                .as_slice()
                .iter()
                .filter(|span| span.from < until && from < span.until)
                .map(|span| whole(period, *span))
                .collect();
            for span in foldable {
                self.spans[longer].add(span.from, span.until);
            }
        }
    }
}

/// The whole klines of `period` within `span`.
fn whole(period: Period, span: Span) -> Span {
    let open = period.open_time(span.from);
    let from = if open == span.from { open } else { period.next_open_time(open) };
    Span { from, until: period.open_time(span.until) }
}

/// How far back to go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Depth {
    /// What the open longer klines are made of: enough to be right from now on, for a few
    /// weights a symbol. Where the store ends within a day, all minutes since: they cost no more
    /// at once than in two parts, and all longer klines are folded from them.
    Recent,
    /// All that the history keeps, and all that the store was left without.
    Full,
}

/// What is wanted of one symbol.
#[derive(Debug, Clone, Copy)]
pub struct Wanted<'a> {
    /// The periods.
    pub periods: &'a PeriodSet,
    /// How many closed klines of each period are kept; [`usize::MAX`] for all.
    pub capacity: &'a [usize],
    /// Open time of the symbol's first daily kline: nothing is older.
    pub first_open_time: UnixMillis,
    /// By index of the period: up to where the store was complete, if it was. Holes from there
    /// on are filled.
    pub stored_until: &'a [Option<UnixMillis>],
    /// How many klines of a period are fetched at most to fill such a hole.
    pub gap_klines_max: u64,
    /// The exchange's time, less the margin after which a closed kline is final.
    pub settled: UnixMillis,
    /// What is kept ends here, if live has gone on since `settled`: as much as it has brought is
    /// no longer wanted at the other end.
    pub kept_until: UnixMillis,
    /// How far back to go.
    pub depth: Depth,
}

impl Wanted<'_> {
    /// The stretch wanted of the period at `index`, on its grid; empty if nothing is.
    pub fn span(&self, index: usize) -> Span {
        let period = self.periods.get(index);
        let until = period.open_time(self.settled);
        let listed = period.open_time(self.first_open_time);
        let from = match self.depth {
            // On its first day all its minutes are few, and tell when it was listed.
            Depth::Recent if index == 0 && self.settled < self.first_day_until() => listed,
            Depth::Recent if index == 0 => self.recent_from(0).min(self.bridge_from(until)),
            Depth::Recent => self.open_from(index),
            Depth::Full => {
                let kept_until = period.open_time(self.kept_until.max(self.settled));
                let kept = klines_before(period, kept_until, self.capacity[index] as u64);
                let stored = self.stored_until[index].map_or(until, |at| period.open_time(at));
                let bound = klines_before(period, until, self.gap_klines_max);
                kept.min(stored.max(bound)).min(self.recent_from(index))
            }
        };
        Span { from: from.max(listed).min(until), until }
    }

    /// Where the store ends, if a few pages of minutes lead there from `until`, but no further
    /// than the first of them; else `until`.
    fn bridge_from(&self, until: UnixMillis) -> UnixMillis {
        let first = klines_before(self.periods.get(0), until, CHEAP_KLINES);
        self.bridge_end().map_or(until, |stored| stored.max(first).min(until))
    }

    /// Where the store ends, if a few pages of minutes lead there.
    fn bridge_end(&self) -> Option<UnixMillis> {
        let minutes = self.periods.get(0);
        let until = minutes.open_time(self.settled);
        let furthest = klines_before(minutes, until, BRIDGE_KLINES_MAX);
        self.stored_until.first().copied().flatten().filter(|&stored| stored >= furthest)
    }

    /// The oldest kline that an open longer one is made of, of all that a cheap page reaches, and
    /// of those at any rate that are made of these directly; the end if there is none.
    fn open_from(&self, index: usize) -> UnixMillis {
        let period = self.periods.get(index);
        let until = period.open_time(self.settled);
        if self.bridge_end().is_some() {
            // All of it is folded once the bridge is there.
            return until;
        }
        let reach = if self.is_new(index) { CHEAP_KLINES } else { SMALL_KLINES };
        let opens = (index + 1..self.periods.len()).filter_map(|longer| {
            let open = period.open_time(self.periods.get(longer).open_time(self.settled));
            let is_reached = klines_between(period, open, until) <= reach;
            (is_reached || self.periods.source(longer) == Some(index)).then_some(open)
        });
        opens.fold(until, UnixMillis::min)
    }

    /// Nothing of this period was stored.
    fn is_new(&self, index: usize) -> bool {
        self.stored_until.get(index).copied().flatten().is_none()
    }

    /// Where the oldest page may as well begin, the oldest stretch that is missing being `oldest`.
    ///
    /// - In the end, as far back as its weight buys: what lies beyond what is kept is folded, and
    ///   spares klines of the next period.
    /// - Of a symbol of which nothing was stored, what open klines are made of comes as the
    ///   cheapest page: a small one now would cost one weight more than both together.
    fn stretched_from(&self, held: &Held, index: usize, oldest: Span) -> UnixMillis {
        let period = self.periods.get(index);
        let mut longer = index + 1..self.periods.len();
        let is_folded = longer.any(|longer| self.periods.source(longer) == Some(index));
        let from = match self.depth {
            Depth::Full if is_folded => filled(period, oldest),
            Depth::Recent if index > 0 && self.is_new(index) => {
                let kept = self.capacity[index] as u64;
                klines_before(period, oldest.until, CHEAP_KLINES.min(kept))
            }
            Depth::Full | Depth::Recent => oldest.from,
        };
        let from = from.max(period.open_time(self.first_open_time)).min(oldest.from);
        // Only what is missing next to it.
        let free = held.of(index).missing(from, oldest.from);
        free.last().filter(|of| of.until == oldest.from).map_or(oldest.from, |of| of.from)
    }

    /// End of the day on which the symbol was listed.
    pub(crate) fn first_day_until(&self) -> UnixMillis {
        Period::D1.next_open_time(self.first_open_time)
    }

    /// The oldest kline of which an open or just closed longer kline is made; for minutes, as
    /// many as one weight buys.
    pub fn recent_from(&self, index: usize) -> UnixMillis {
        let period = self.periods.get(index);
        let until = period.open_time(self.settled);
        let parents = (index + 1..self.periods.len())
            .filter(|&longer| self.periods.source(longer) == Some(index))
            .map(|longer| {
                let parent = self.periods.get(longer);
                parent.open_time(parent.open_time(self.settled).plus(-1))
            })
            .min();
        let from = parents.unwrap_or_else(|| klines_before(period, until, 1));
        if index == 0 { from.min(klines_before(period, until, SMALL_KLINES)) } else { from }
    }
}

/// The pages of the period at `index` that are missing, newest first.
///
/// Shorter periods are to be planned, fetched and added to `held` first: what they bring is
/// folded and not asked for.
///
/// # Examples
///
/// ```
/// use klagg_backfill::{Depth, Held, Wanted, plan};
/// use klagg_kline::{Period, PeriodSet, UnixMillis};
///
/// let periods = PeriodSet::new(&[Period::M1, Period::H1])?;
/// let wanted = Wanted {
///     periods: &periods,
///     capacity: &[300, 300],
///     first_open_time: UnixMillis(1_567_900_800_000),
///     stored_until: &[None, None],
///     gap_klines_max: 10_000,
///     settled: UnixMillis(1_791_460_930_000),
///     kept_until: UnixMillis(1_791_460_930_000),
///     depth: Depth::Full,
/// };
/// let mut held = Held::nothing(periods.clone());
/// for page in plan(&held, &wanted, 0) {
///     assert_eq!(page.klines, 499, "300 minutes cost weight 2, and so do 499");
///     held.add(0, page.from, page.until);
/// }
/// let hours: u16 = plan(&held, &wanted, 1).iter().map(|page| page.klines).sum();
/// assert_eq!(hours, 292, "of 300 hours, the last eight are folded from minutes");
/// # Ok::<(), klagg_kline::PeriodSetError>(())
/// ```
pub fn plan(held: &Held, wanted: &Wanted<'_>, index: usize) -> Vec<Page> {
    let period = wanted.periods.get(index);
    let span = wanted.span(index);
    let mut missing = held.of(index).missing(span.from, span.until);
    if let Some(oldest) = missing.first_mut().filter(|oldest| oldest.from == span.from) {
        oldest.from = wanted.stretched_from(held, index, *oldest);
    }
    match wanted.periods.source(index) {
        // What lies between two holes may be asked for again, if that is cheaper ...
        None => cheapest(period, &missing),
        // ... unless it can be folded.
        Some(_) => missing.into_iter().rev().flat_map(|span| pages(period, span)).collect(),
    }
}

#[cfg(test)]
mod tests;
