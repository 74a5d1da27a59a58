//! Snapshots in their order: nothing in them goes back, and nothing changes without a word.

use klagg_engine::HistoryReader;
use klagg_gateway::{GlobalKlines, KlineState};
use klagg_kline::{KlineRecord, SymbolId};

use crate::agenda::Millis;

/// Snapshots between two looks at every slot, whether it is told to have changed or not. Odd,
/// because snapshots are written in two buffers in turn.
const LOOK_AT_ALL: u64 = 15;

/// What the last snapshot showed.
#[derive(Debug, Default)]
pub(crate) struct Slots {
    sequence: u64,
    published_at: Millis,
    /// By slot: the open times of its open and its last closed kline.
    times: Vec<(Millis, Millis)>,
    /// By slot: what it holds.
    held: Vec<Held>,
    /// The slots that the last snapshot changed.
    pub(super) changed: Vec<Changed>,
    /// By worker: the place in the order of all that came behind what it had folded when it last
    /// answered in time.
    pub(super) answered: Vec<u64>,
}

/// A slot's open and last closed kline.
type Held = (Option<KlineRecord>, Option<KlineRecord>);

/// A slot that a snapshot changed.
#[derive(Debug, Clone, Copy)]
pub(super) struct Changed {
    pub(super) symbol: SymbolId,
    pub(super) period_index: usize,
    /// Its open kline, if that changed.
    pub(super) open: Option<KlineRecord>,
    /// Its last closed kline, if that changed.
    pub(super) closed: Option<KlineRecord>,
}

impl Slots {
    pub(crate) fn look(&mut self, klines: &GlobalKlines) -> Result<(), String> {
        if klines.sequence != self.sequence + 1 {
            return Err(format!("snapshot {} after {}", klines.sequence, self.sequence));
        }
        if klines.published_at.0 < self.published_at {
            return Err(format!("snapshot {} is older than the one before", klines.sequence));
        }
        (self.sequence, self.published_at) = (klines.sequence, klines.published_at.0);
        let periods = klines.periods.len();
        self.times.resize(klines.symbols() * periods, (Millis::MIN, Millis::MIN));
        self.held.resize(klines.symbols() * periods, (None, None));
        self.changed.clear();
        for (symbol, period_index) in klines.changed_since(klines.sequence - 1) {
            let at = symbol.index() * periods + usize::from(period_index);
            let Some(slot) = klines.slot(symbol, usize::from(period_index)) else { continue };
            let time = |of: Option<&KlineRecord>| of.map(|record| record.kline.open_time.0);
            // A symbol that has ended shows nothing open any more.
            let before = self.times[at];
            let open = time(slot.open).unwrap_or(before.0);
            let closed = time(slot.last_closed).unwrap_or(Millis::MIN);
            self.times[at] = (open, closed);
            if open < before.0 || closed < before.1 {
                return Err(format!("slot {period_index} of {symbol} went back in time"));
            }
            let held = std::mem::replace(&mut self.held[at], held(&slot));
            let (open, closed) = self.held[at];
            self.changed.push(Changed {
                symbol,
                period_index: usize::from(period_index),
                open: open.filter(|_| open != held.0),
                closed: closed.filter(|_| closed != held.1),
            });
        }
        if klines.sequence.is_multiple_of(LOOK_AT_ALL) { self.look_at_all(klines) } else { Ok(()) }
    }

    /// A slot that is not told to have changed holds what it held.
    fn look_at_all(&self, klines: &GlobalKlines) -> Result<(), String> {
        let periods = klines.periods.len();
        for (at, told) in self.held.iter().enumerate() {
            let symbol = SymbolId(u32::try_from(at / periods).unwrap_or(u32::MAX));
            let shown = klines.slot(symbol, at % periods).as_ref().map(held);
            if shown.as_ref() != Some(told) {
                return Err(format!("slot {} of {symbol} changed untold", at % periods));
            }
        }
        Ok(())
    }

    /// The first closed kline that a snapshot shows otherwise than the history keeps it.
    ///
    /// Ids may differ: a page of the exchange's klines reaches the history without any.
    pub(super) fn differs(&self, history: &HistoryReader) -> Option<String> {
        self.changed.iter().find_map(|changed| {
            let Changed { symbol, period_index, closed, .. } = *changed;
            let shown = closed?;
            let kept = history.get(symbol, period_index, shown.kline.open_time);
            let is_same = |kept: &KlineRecord| {
                (kept.status, kept.revision) == (shown.status, shown.revision)
                    && kept.kline.same_values(&shown.kline)
            };
            (!kept.is_some_and(|kept| is_same(&kept)))
                .then(|| format!("{symbol} shows {shown:?}, kept is {kept:?}"))
        })
    }
}

fn held(slot: &KlineState<'_>) -> Held {
    (slot.open.copied(), slot.last_closed.copied())
}
