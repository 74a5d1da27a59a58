//! Which symbols and periods of a sweep are planned first: those that people look at. Pure.
//!
//! A slot is one period of one symbol. One is needed, if somebody looks at it, or at a longer one
//! that is folded from it.
//!
//! Always true here, proved by the tests:
//! - Every slot is handed out once, and never before the one that it is folded from: so the pages
//!   are the same whoever looks at what, and none holds what could have been folded.
//! - While a needed slot waits, none is handed out that nobody needs; of these, those of symbols
//!   that people look at go first.

use std::collections::VecDeque;

use klagg_kline::{PeriodSet, SymbolId};

/// Some of a set's periods, by their index.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Indexes(u16);

impl Indexes {
    pub(crate) const NONE: Self = Self(0);

    /// All of a set.
    pub(crate) fn all(periods: &PeriodSet) -> Self {
        (0..periods.len()).fold(Self::NONE, Self::with)
    }

    /// The period at `index` besides.
    pub(crate) fn with(self, index: usize) -> Self {
        debug_assert!(index < u16::BITS as usize, "the exchange has fifteen periods");
        Self(self.0 | 1 << index)
    }

    /// The period at `index` and all that it is folded from besides.
    pub(crate) fn with_sources(self, periods: &PeriodSet, index: usize) -> Self {
        std::iter::successors(Some(index), |&at| periods.source(at)).fold(self, Self::with)
    }

    pub(crate) const fn contains(self, index: usize) -> bool {
        self.0 >> index & 1 == 1
    }

    pub(crate) const fn is_empty(self) -> bool {
        self.0 == 0
    }

    const fn and(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }

    const fn without(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }

    /// In the order in which they are planned: those that are in `first`, then the others, each
    /// shortest first.
    pub(crate) fn in_order(self, first: Self) -> impl Iterator<Item = usize> {
        let of = |part: Self| (0..u16::BITS as usize).filter(move |&index| part.contains(index));
        of(self.and(first)).chain(of(self.without(first)))
    }
}

/// A symbol, and periods of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Entry {
    symbol: SymbolId,
    left: Indexes,
}

/// What is to be planned next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Turn {
    pub(crate) symbol: SymbolId,
    pub(crate) now: Indexes,
    /// To be given back by [`Waiting::push`] once all that is planned now has come.
    pub(crate) later: Indexes,
}

/// The symbols that wait, and which of their periods: as many as there are symbols, at most.
#[derive(Debug, Default)]
pub(crate) struct Waiting {
    /// Somebody needs one of the periods.
    needed: VecDeque<Entry>,
    /// Somebody looks at the symbol, but not at these.
    watched: VecDeque<Entry>,
    others: VecDeque<Entry>,
}

impl Waiting {
    pub(crate) fn is_empty(&self) -> bool {
        self.needed.is_empty() && self.watched.is_empty() && self.others.is_empty()
    }

    /// Puts periods of a symbol behind those that are wanted as much. `needs` are all periods of
    /// it that people need.
    pub(crate) fn push(&mut self, symbol: SymbolId, left: Indexes, needs: Indexes) {
        let queue = if !left.and(needs).is_empty() {
            &mut self.needed
        } else if !needs.is_empty() {
            &mut self.watched
        } else {
            &mut self.others
        };
        queue.push_back(Entry { symbol, left });
    }

    /// Whose turn it is; of a symbol that people look at, first what they need of it.
    pub(crate) fn pop(&mut self, needs: impl Fn(SymbolId) -> Indexes) -> Option<Turn> {
        if let Some(Entry { symbol, left }) = self.needed.pop_front() {
            let needed = left.and(needs(symbol));
            // Whoever needed it may be gone meanwhile.
            let now = if needed.is_empty() { left } else { needed };
            return Some(Turn { symbol, now, later: left.without(now) });
        }
        let Entry { symbol, left } =
            self.watched.pop_front().or_else(|| self.others.pop_front())?;
        Some(Turn { symbol, now: left, later: Indexes::NONE })
    }

    /// People look at something else now.
    pub(crate) fn rearrange(&mut self, needs: impl Fn(SymbolId) -> Indexes) {
        let Self { needed, watched, others } = std::mem::take(self);
        for Entry { symbol, left } in needed.into_iter().chain(watched).chain(others) {
            self.push(symbol, left, needs(symbol));
        }
    }
}

#[cfg(test)]
mod tests;
