//! What the database writer pulls: everything that changed in the history past its cursor, and
//! now and then the klines that are still open.
//!
//! Always true here: a closed kline that the history holds and that nobody has confirmed yet is
//! handed over sooner or later, however many wake-ups were lost. Confirmed ones are not: whoever
//! confirms a kline gives it to the store before the history has it, and waits until there is
//! room, so that nothing of it can be lost and nothing is written twice. If the writer was so slow
//! that the history's change log ran over, all that the history holds is handed over once more;
//! the store keeps what is better.

use std::sync::Arc;

use klagg_engine::{ChangedKline, HistoryQuery, HistoryReader, Keep};
use klagg_gateway::GlobalKlines;
use klagg_kline::{KlineStatus, PeriodSet, SymbolId};
use klagg_store::{Pull, StoredKline};
use tokio::sync::watch;

/// Changes looked at in one go.
const CHANGES_MAX: usize = 4096;

/// The writer's place in the history.
#[derive(Debug)]
pub(crate) struct HistoryPull {
    history: HistoryReader,
    klines: watch::Receiver<Arc<GlobalKlines>>,
    periods: PeriodSet,
    cursor: u64,
    changed: Vec<ChangedKline>,
    /// Read from the log, not handed over yet: the next one's place in `changed`.
    at: usize,
    /// Slots still to be handed over whole, after the log ran over.
    again: Vec<(SymbolId, u8)>,
    /// The open klines of the snapshot with this number were handed over.
    opens_seen: u64,
}

impl HistoryPull {
    /// A pull that starts with the first change of the history.
    pub(crate) fn new(
        history: HistoryReader,
        klines: watch::Receiver<Arc<GlobalKlines>>,
        periods: PeriodSet,
    ) -> Self {
        Self {
            history,
            klines,
            periods,
            cursor: 0,
            changed: Vec::new(),
            at: 0,
            again: Vec::new(),
            opens_seen: 0,
        }
    }

    /// Hands over what there is, as far as there is room.
    pub(crate) fn pull(&mut self, pull: &mut Pull) {
        while pull.room() > 0 {
            if self.at < self.changed.len() {
                let change = self.changed[self.at];
                self.at += 1;
                self.hand_over(change, pull);
            } else if !self.read_log() && !self.hand_over_slot(pull) {
                break;
            }
        }
        if pull.wants_open() {
            self.hand_over_opens(pull);
        }
    }

    /// Reads on in the change log; whether there was anything.
    fn read_log(&mut self) -> bool {
        self.changed.clear();
        self.at = 0;
        let cursor = self.history.changes_since(self.cursor, &mut self.changed, CHANGES_MAX);
        if cursor.lost {
            tracing::warn!("the database writer fell behind the history; it starts over");
            self.again.clear();
            let symbols = self.klines.borrow().symbols();
            for symbol in 0..u32::try_from(symbols).unwrap_or(u32::MAX) {
                let indices = 0..u8::try_from(self.periods.len()).unwrap_or(u8::MAX);
                self.again.extend(indices.map(|index| (SymbolId(symbol), index)));
            }
        }
        self.cursor = cursor.next;
        !self.changed.is_empty()
    }

    fn hand_over(&self, change: ChangedKline, pull: &mut Pull) {
        let index = usize::from(change.period_index);
        let record = self.history.get(change.symbol, index, change.open_time);
        if let Some(record) = record.filter(|record| record.status < KlineStatus::Confirmed) {
            let row =
                StoredKline { symbol: change.symbol, period: self.periods.get(index), record };
            // There is room: the caller looked.
            let _ = pull.push_closed(row);
        }
    }

    /// Queues one slot's klines, all of them; whether there was one.
    fn hand_over_slot(&mut self, pull: &Pull) -> bool {
        debug_assert!(pull.room() > 0);
        let Some((symbol, period_index)) = self.again.pop() else { return false };
        let all = HistoryQuery { from: None, to: None, limit: usize::MAX, keep: Keep::Newest };
        self.changed.clear();
        self.at = 0;
        let records = self.history.read(symbol, usize::from(period_index), &all);
        self.changed.extend(records.iter().map(|record| ChangedKline {
            symbol,
            period_index,
            open_time: record.kline.open_time,
        }));
        true
    }

    /// The open klines that changed since they were last handed over.
    fn hand_over_opens(&mut self, pull: &mut Pull) {
        let klines = Arc::clone(&self.klines.borrow());
        for (symbol, period_index) in klines.changed_since(self.opens_seen) {
            let index = usize::from(period_index);
            if let Some(record) = klines.slot(symbol, index).and_then(|state| state.open) {
                pull.push_open(StoredKline { symbol, period: self.periods.get(index), record });
            }
        }
        self.opens_seen = klines.sequence;
    }
}
