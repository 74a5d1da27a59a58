//! The snapshot that is being written: where records are placed, and what it lacks is made up.

use std::ops::Range;

use klagg_kline::{KlineRecord, SymbolId};

use crate::slot::Applied;
use crate::{GlobalKlines, KlineState};

/// A snapshot being written, beside the one before it.
#[derive(Debug)]
pub(crate) struct Draft<'a> {
    pub(crate) klines: &'a mut GlobalKlines,
    /// The snapshot published last, if it has klines that `klines` lacks.
    pub(crate) newer: Option<&'a GlobalKlines>,
}

impl Draft<'_> {
    /// Offers a record to a slot, which is made if it is not there yet. `None` if the periods
    /// have no such place.
    #[inline]
    pub(crate) fn write(
        &mut self,
        (symbol, period_index): (SymbolId, u8),
        record: &KlineRecord,
        worker: Option<u16>,
    ) -> Option<Applied> {
        let offset = self.klines.offset(symbol, usize::from(period_index))?;
        if symbol.index() >= self.klines.symbols() {
            // Whole symbols only, so that a symbol has all of its slots or none.
            self.klines.grow(symbol.index() + 1);
        }
        self.own(symbol, worker);
        let state = KlineState {
            open: self.klines.open.newest(offset, self.newer.map(|newer| &newer.open)),
            last_closed: (self.klines.last_closed)
                .newest(offset, self.newer.map(|newer| &newer.last_closed)),
            changed_in: 0,
        };
        if record.status.is_open() {
            let applied = state.judge_open(record);
            if applied == Applied::Changed {
                self.klines.open.put(offset, Some(record));
                self.klines.changed_in[offset] = self.klines.sequence;
            }
            return Some(applied);
        }
        let taken = match state.judge_closed(record) {
            Ok(taken) => taken,
            Err(why) => return Some(why),
        };
        let over = |open: &KlineRecord| open.kline.open_time <= taken.kline.open_time;
        if state.open.is_some_and(over) {
            self.klines.open.put(offset, None);
        }
        self.klines.last_closed.put(offset, Some(&taken));
        self.klines.changed_in[offset] = self.klines.sequence;
        Some(Applied::Changed)
    }

    /// Nothing more comes of a symbol: what was open of it is shown no more.
    pub(crate) fn end(&mut self, symbol: SymbolId) {
        if symbol.index() >= self.klines.symbols() {
            return;
        }
        for period_index in 0..self.klines.periods.len() {
            let Some(offset) = self.klines.offset(symbol, period_index) else { continue };
            if self.klines.open.newest(offset, self.newer.map(|newer| &newer.open)).is_some() {
                self.klines.open.put(offset, None);
                self.klines.changed_in[offset] = self.klines.sequence;
            }
        }
    }

    /// Notes who has last spoken of a symbol.
    #[inline]
    fn own(&mut self, symbol: SymbolId, worker: Option<u16>) {
        let owner = &mut self.klines.owners[symbol.index()];
        if worker.is_some() && *owner != worker {
            *owner = worker;
            self.klines.owners_changed_in = self.klines.sequence;
        }
    }

    /// Makes up what the draft lacks. Returns how many klines were copied.
    pub(crate) fn catch_up(self) -> usize {
        let Some(newer) = self.newer else { return 0 };
        let GlobalKlines { open, last_closed, changed_in, .. } = self.klines;
        // A slot may lack one of its klines and have had the other one written since.
        let mut mark = |run: Range<usize>| {
            let marks = changed_in[run].iter_mut();
            marks.for_each(|mark| *mark = newer.sequence.max(*mark));
        };
        let opened = open.catch_up(&newer.open, &mut mark);
        if mutated!(BufferStale) {
            return opened;
        }
        opened + last_closed.catch_up(&newer.last_closed, &mut mark)
    }
}

impl GlobalKlines {
    /// From now on the first `symbols` symbols have slots.
    pub(crate) fn grow(&mut self, symbols: usize) {
        let slots = symbols * self.periods.len();
        self.open.grow(slots);
        self.last_closed.grow(slots);
        self.changed_in.resize(slots, 0);
        self.owners.resize(symbols, None);
    }
}

#[cfg(test)]
mod tests;
