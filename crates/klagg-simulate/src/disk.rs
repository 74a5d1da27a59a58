//! A model of the store: rows in memory that outlive the process, each commit whole or not at all.

use std::collections::BTreeMap;

use klagg_kline::{KlineRecord, KlineStatus, Period, SymbolId, UnixMillis};
use klagg_store::{Batch, StoredKline, StoredSymbol, SymbolChange};

type Key = (SymbolId, Period);

#[derive(Debug, Default)]
struct Series {
    rows: BTreeMap<UnixMillis, KlineRecord>,
    /// The run of confirmed klines that holds the first one ever confirmed.
    run: Option<(UnixMillis, UnixMillis)>,
}

/// What was committed.
#[derive(Debug, Default)]
pub(crate) struct Disk {
    series: BTreeMap<Key, Series>,
    pub(crate) symbols: Vec<StoredSymbol>,
    pub(crate) commits: u64,
}

impl Disk {
    /// Commits a batch.
    pub(crate) fn commit(&mut self, batch: &Batch) {
        self.commits += 1;
        match &batch.symbols {
            Some(SymbolChange::Append(symbols)) => self.append(symbols),
            Some(SymbolChange::Retire(id)) => self.retire(*id),
            Some(SymbolChange::Update(symbol)) => {
                if let Some(held) = self.symbols.get_mut(symbol.id.index()) {
                    held.clone_from(symbol);
                }
            }
            Some(_) | None => {}
        }
        batch.closed.iter().for_each(|row| self.write(row));
    }

    fn append(&mut self, symbols: &[StoredSymbol]) {
        for symbol in symbols {
            if symbol.id.index() == self.symbols.len() {
                self.symbols.push(symbol.clone());
            }
        }
    }

    fn retire(&mut self, id: SymbolId) {
        if let Some(symbol) = self.symbols.get_mut(id.index()) {
            symbol.delisted = true;
        }
    }

    fn write(&mut self, row: &StoredKline) {
        let StoredKline { symbol, period, record } = *row;
        let series = self.series.entry((symbol, period)).or_default();
        let open_time = record.kline.open_time;
        let better = match series.rows.get(&open_time) {
            Some(held) => record.superseding(held),
            None => Some(record),
        };
        let Some(better) = better else { return };
        series.rows.insert(open_time, better);
        if better.status == KlineStatus::Confirmed {
            series.extend_run(period, open_time);
        }
    }

    /// The newest rows of a series, ascending.
    pub(crate) fn newest(&self, key: Key, limit: usize) -> Vec<KlineRecord> {
        let Some(series) = self.series.get(&key) else { return Vec::new() };
        let mut rows: Vec<_> = series.rows.values().rev().take(limit).copied().collect();
        rows.reverse();
        rows
    }

    pub(crate) fn get(&self, key: Key, open_time: UnixMillis) -> Option<&KlineRecord> {
        self.series.get(&key)?.rows.get(&open_time)
    }

    pub(crate) fn complete_until(&self, key: Key) -> Option<UnixMillis> {
        Some(self.series.get(&key)?.run?.1)
    }

    /// All rows, in order.
    pub(crate) fn rows(&self) -> impl Iterator<Item = (Key, &KlineRecord)> {
        self.series
            .iter()
            .flat_map(|(&key, series)| series.rows.values().map(move |row| (key, row)))
    }
}

impl Series {
    fn extend_run(&mut self, period: Period, open_time: UnixMillis) {
        let confirmed = |rows: &BTreeMap<UnixMillis, KlineRecord>, at: &UnixMillis| {
            rows.get(at).is_some_and(|row| row.status == KlineStatus::Confirmed)
        };
        let (mut from, mut until) =
            self.run.unwrap_or((open_time, period.next_open_time(open_time)));
        while confirmed(&self.rows, &until) {
            until = period.next_open_time(until);
        }
        while from.0 > 0 && confirmed(&self.rows, &period.open_time(from.plus(-1))) {
            from = period.open_time(from.plus(-1));
        }
        self.run = Some((from, until));
    }
}
