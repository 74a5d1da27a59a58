//! What a database writer has not been handed yet: everything that changed in the history past
//! its place in the change log, and the klines that are open.
//!
//! Always true here: a closed kline that the history holds and that nobody has confirmed yet is
//! handed over sooner or later, however many wake-ups were lost. Confirmed ones are not: whoever
//! confirms a kline gives it to the store before the history has it, and waits until there is
//! room, so that nothing of it can be lost and nothing is written twice. If the writer was so slow
//! that the history's change log ran over, all that the history holds is handed over once more;
//! the store keeps what is better.

use klagg_engine::{ChangedKline, HistoryQuery, HistoryReader, Keep};
use klagg_kline::{KlineRecord, KlineStatus, Period, PeriodSet, SymbolId};

use crate::GlobalKlines;

/// Changes looked at in one go.
const CHANGES_MAX: usize = 4096;

/// A database writer's place in the history.
#[derive(Debug)]
pub struct Unwritten {
    history: HistoryReader,
    periods: PeriodSet,
    cursor: u64,
    changed: Vec<ChangedKline>,
    /// Read from the log, not handed over yet: the next one's place in `changed`.
    at: usize,
    /// Slots still to be handed over whole, after the log ran over.
    again: Vec<(SymbolId, u8)>,
    /// Times that the log ran over.
    lost: u64,
    /// The open klines of the snapshot with this number were handed over.
    opens_seen: u64,
}

impl Unwritten {
    /// Begins with the first change of the history.
    pub fn new(history: HistoryReader, periods: PeriodSet) -> Self {
        Self {
            history,
            periods,
            cursor: 0,
            changed: Vec::new(),
            at: 0,
            again: Vec::new(),
            lost: 0,
            opens_seen: 0,
        }
    }

    /// Hands over at most `room` klines that are neither open nor confirmed. Whoever takes them
    /// keeps them: they are not handed over again. `symbols` is how many there are.
    pub fn closed(
        &mut self,
        symbols: usize,
        room: usize,
        mut each: impl FnMut(SymbolId, Period, KlineRecord),
    ) {
        let mut left = room;
        while left > 0 {
            if let Some(&change) = self.changed.get(self.at) {
                self.at += 1;
                let index = usize::from(change.period_index);
                let record = self.history.get(change.symbol, index, change.open_time);
                if let Some(record) = record.filter(|held| held.status < KlineStatus::Confirmed) {
                    each(change.symbol, self.periods.get(index), record);
                    left -= 1;
                }
            } else if !self.read_log(symbols) && !self.take_slot() {
                break;
            }
        }
    }

    /// Hands over the open klines of a snapshot that changed since the last one.
    pub fn open(
        &mut self,
        klines: &GlobalKlines,
        mut each: impl FnMut(SymbolId, Period, KlineRecord),
    ) {
        for (symbol, period_index) in klines.changed_since(self.opens_seen) {
            let index = usize::from(period_index);
            if let Some(record) = klines.slot(symbol, index).and_then(|state| state.open) {
                each(symbol, self.periods.get(index), *record);
            }
        }
        self.opens_seen = klines.sequence;
    }

    /// How often the writer was so slow that it had to start over.
    pub fn times_lost(&self) -> u64 {
        self.lost
    }

    /// Reads on in the change log; whether there was anything.
    fn read_log(&mut self, symbols: usize) -> bool {
        self.changed.clear();
        self.at = 0;
        let cursor = self.history.changes_since(self.cursor, &mut self.changed, CHANGES_MAX);
        if cursor.lost {
            self.lost += 1;
            self.again.clear();
            for symbol in 0..u32::try_from(symbols).unwrap_or(u32::MAX) {
                let indices = 0..u8::try_from(self.periods.len()).unwrap_or(u8::MAX);
                self.again.extend(indices.map(|index| (SymbolId(symbol), index)));
            }
        }
        self.cursor = cursor.next;
        !self.changed.is_empty()
    }

    /// Takes one slot's klines, all of them; whether there was a slot.
    fn take_slot(&mut self) -> bool {
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
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use klagg_engine::{HistoryConfig, HistoryWriter, history};
    use klagg_kline::{Kline, Price, UnixMillis};
    use proptest::prelude::*;

    use super::*;

    const SYMBOLS: u32 = 3;

    fn new_history(log_capacity: usize) -> (HistoryWriter, Unwritten) {
        let periods = PeriodSet::new(&[Period::M1, Period::M5]).unwrap();
        let config = HistoryConfig {
            periods: periods.clone(),
            symbols_max: SYMBOLS as usize,
            capacity: vec![1_000, 1_000],
            log_capacity,
        };
        let (writer, reader) = history(config).unwrap();
        (writer, Unwritten::new(reader, periods))
    }

    fn record(period: Period, at: i64, status: KlineStatus, revision: u32) -> KlineRecord {
        let step = period.fixed_millis().unwrap();
        let kline = Kline::flat(UnixMillis(at * step), Price::from_scaled(1 + i64::from(revision)));
        KlineRecord { kline, revision, status }
    }

    /// One change of the history, and how much room the pull after it has; 0 is no pull.
    fn change() -> impl Strategy<Value = (u32, usize, i64, u8, u32, usize)> {
        (
            0..SYMBOLS,
            0..2_usize,
            1..40_i64,
            1..4_u8,
            0..4_u32,
            prop_oneof![Just(0_usize), 0..7_usize],
        )
    }

    proptest! {
        /// Whatever the rooms, whatever was lost of the log: what the history holds unconfirmed
        /// in the end was handed over as it is.
        #[test]
        fn what_is_not_confirmed_is_handed_over_in_its_last_state(
            changes in prop::collection::vec(change(), 1..200),
            log_capacity in prop_oneof![Just(4_usize), Just(16), Just(4_096)],
        ) {
            let (mut writer, mut unwritten) = new_history(log_capacity);
            let mut held: BTreeMap<(SymbolId, Period, UnixMillis), KlineRecord> = BTreeMap::new();
            let mut handed = BTreeMap::new();
            let mut pull = |unwritten: &mut Unwritten, room: usize| {
                let mut count = 0;
                unwritten.closed(SYMBOLS as usize, room, |symbol, period, record| {
                    count += 1;
                    handed.insert((symbol, period, record.kline.open_time), record);
                });
                assert!(count <= room, "{count} handed over, {room} asked for");
                count
            };
            for (symbol, index, at, status, revision, room) in changes {
                let period = [Period::M1, Period::M5][index];
                let status = KlineStatus::from_u8(status).unwrap();
                let new = record(period, at, status, revision);
                let symbol = SymbolId(symbol);
                writer.apply(symbol, index, &[new]);
                let key = (symbol, period, new.kline.open_time);
                let record = held.get(&key).map_or(Some(new), |old| new.superseding(old));
                held.extend(record.map(|record| (key, record)));
                pull(&mut unwritten, room);
            }
            while pull(&mut unwritten, 5) > 0 {}
            held.retain(|_, record| record.status < KlineStatus::Confirmed);
            // What was confirmed meanwhile was handed over by whoever confirmed it.
            handed.retain(|key, _| held.contains_key(key));
            prop_assert_eq!(handed, held);
        }
    }

    #[test]
    fn nothing_is_handed_over_twice_unless_the_log_ran_over() {
        let (mut writer, mut unwritten) = new_history(8);
        let take = |unwritten: &mut Unwritten| {
            let mut count = 0;
            unwritten.closed(SYMBOLS as usize, 100, |_, _, _| count += 1);
            count
        };
        let closed = |at| record(Period::M1, at, KlineStatus::Closed, 0);
        writer.apply(SymbolId(0), 0, &(1..6).map(closed).collect::<Vec<_>>());
        assert_eq!((take(&mut unwritten), take(&mut unwritten)), (5, 0));
        writer.apply(SymbolId(1), 0, &(1..12).map(closed).collect::<Vec<_>>());
        assert!(take(&mut unwritten) >= 16, "both symbols, from the start");
        assert_eq!((unwritten.times_lost(), take(&mut unwritten)), (1, 0));
    }
}
