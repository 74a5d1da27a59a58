//! What the history's log of changes tells: every change, or that some were overtaken; and what a
//! kline may become.

use klagg_engine::{ChangeCursor, ChangedKline, HistoryQuery, Keep};
use klagg_kline::KlineRecord;

use crate::oracle::{Oracle, Place, truth_of};
use crate::outcome::Rule;
use crate::process::Process;

/// Snapshots between two looks of a reader that is slow: minutes.
pub(super) const SLOW_READER: u64 = 400;

impl Oracle {
    /// Who reads the changes gets every one, or is told that some were overtaken.
    pub(super) fn must_not_skip(&mut self, before: u64, cursor: &ChangeCursor, taken: usize) {
        let passed = cursor.next - before;
        if !cursor.lost && passed != taken as u64 {
            self.violated(Rule::O3, format!("{taken} of {passed} changes were told, and no loss"));
        }
    }

    pub(super) fn read_slowly(&mut self, process: &Process) {
        let mut changes = Vec::new();
        let before = self.slow_cursor;
        let cursor = process.gateway.history.changes_since(before, &mut changes, usize::MAX);
        self.must_not_skip(before, &cursor, changes.len());
        self.slow_cursor = cursor.next;
    }

    /// A kline never falls in its status or its revision, and never has other values than it was
    /// said to have, unless its revision rises.
    pub(super) fn must_not_fall(&mut self, place: Place, record: &KlineRecord) {
        let Some(said) = self.said.insert(place, *record) else { return };
        let (symbol, period, open_time) = place;
        let rank = |of: &KlineRecord| (of.status, of.revision);
        if rank(record) < rank(&said) || record.revision < said.revision {
            let (before, now) = (rank(&said), rank(record));
            let what = format!("{period} {open_time} of {symbol} fell from {before:?} to {now:?}");
            self.violated(Rule::O3, what);
        } else if record.revision == said.revision && !record.kline.same_values(&said.kline) {
            let (before, now) = (truth_of(&said.kline), truth_of(&record.kline));
            let what = format!("{period} {open_time} of {symbol} was {before:?}, is now {now:?}");
            self.violated(Rule::O3, what + ", and its revision is the same");
        }
    }
}

/// Where changes were overtaken, every kline that is kept may have changed.
pub(super) fn everything_kept(process: &Process, changes: &mut Vec<ChangedKline>) {
    let all = HistoryQuery { from: None, to: None, limit: usize::MAX, keep: Keep::Newest };
    changes.clear();
    for symbol in process.index.load().iter().map(|of| of.id) {
        for period_index in 0..u8::try_from(process.engine.periods.len()).unwrap_or(u8::MAX) {
            let records = process.gateway.history.read(symbol, usize::from(period_index), &all);
            changes.extend(records.iter().map(|record| ChangedKline {
                symbol,
                period_index,
                open_time: record.kline.open_time,
            }));
        }
    }
}
