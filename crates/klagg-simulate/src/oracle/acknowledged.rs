//! What a commit has acknowledged outlives the process: the next one shows it from the store,
//! whether the exchange answers or not.

use std::collections::BTreeMap;

use klagg_gateway::GlobalKlines;
use klagg_kline::{KlineRecord, KlineStatus, SymbolId, UnixMillis};
use klagg_store::Batch;

use crate::disk::Disk;
use crate::oracle::{Oracle, Place};
use crate::outcome::Rule;
use crate::process::Process;
use crate::scenario::Scenario;

/// Snapshots after which what the store held of a symbol is shown.
const SHOWN_AFTER: u64 = 24;

/// What was acknowledged, and which symbols of this process are still to be looked at.
#[derive(Debug, Default)]
pub(super) struct Acknowledged {
    rows: BTreeMap<Place, KlineRecord>,
    /// The same when this process started.
    before: BTreeMap<Place, KlineRecord>,
    /// Symbols that are followed, and the snapshot after which each is looked at.
    due: Vec<(SymbolId, Option<u64>)>,
}

impl Acknowledged {
    pub(super) fn restarted(&mut self) {
        self.before.clone_from(&self.rows);
        self.due.clear();
    }

    pub(super) fn followed(&mut self, symbols: &[SymbolId]) {
        self.due.extend(symbols.iter().map(|&symbol| (symbol, None)));
    }

    pub(super) fn left(&mut self, symbols: &[SymbolId]) {
        self.due.retain(|(symbol, _)| !symbols.contains(symbol));
    }
}

/// Whether a record is what was acknowledged, or better.
fn keeps(held: &KlineRecord, acknowledged: &KlineRecord) -> bool {
    let rank = |of: &KlineRecord| (of.status, of.revision);
    let is_same = held.kline.same_values(&acknowledged.kline);
    rank(held) > rank(acknowledged) || (rank(held) == rank(acknowledged) && is_same)
}

impl Oracle {
    /// A commit has returned: nothing of it is lost any more, nor replaced by less.
    pub(super) fn acknowledge(&mut self, batch: &Batch, disk: &Disk) {
        for row in &batch.closed {
            let open_time = row.record.kline.open_time;
            let place = (row.symbol, row.period, open_time.0);
            let held = disk.get((row.symbol, row.period), open_time);
            let before = self.acknowledged.rows.get(&place);
            let is_kept = |of: &KlineRecord| held.is_some_and(|held| keeps(held, of));
            if !is_kept(&row.record) && row.record.status == KlineStatus::Confirmed
                || before.is_some_and(|before| !is_kept(before))
            {
                let (period, symbol) = (row.period, row.symbol);
                self.violated(Rule::O7, format!("{period} {open_time} of {symbol} was replaced"));
                return;
            }
            if let Some(&held) = held {
                self.acknowledged.rows.insert(place, held);
            }
        }
    }

    /// What was acknowledged to the process before is shown by this one.
    pub(super) fn must_show_what_was_acknowledged(
        &mut self,
        klines: &GlobalKlines,
        process: &Process,
        scenario: &Scenario,
    ) {
        let mut due = std::mem::take(&mut self.acknowledged.due);
        due.retain_mut(|(symbol, at)| {
            let at = *at.get_or_insert(klines.sequence + SHOWN_AFTER);
            if klines.sequence >= at {
                self.must_show(*symbol, process, scenario);
            }
            klines.sequence < at
        });
        self.acknowledged.due = due;
    }

    fn must_show(&mut self, symbol: SymbolId, process: &Process, scenario: &Scenario) {
        let history = &process.gateway.history;
        for (index, &period) in scenario.periods.as_slice().iter().enumerate() {
            let first = (symbol, period, i64::MIN);
            let rows = self.acknowledged.before.range(first..=(symbol, period, i64::MAX));
            // As many as are kept in memory.
            let Some(newest) = history.last(symbol, index).map(|of| of.kline.open_time) else {
                let mut rows = rows;
                if let Some((&(_, _, open), _)) = rows.next() {
                    let what = format!("{period} {open} of {symbol} was stored, and none is shown");
                    return self.violated(Rule::O7, what);
                }
                continue;
            };
            let kept = i64::try_from(scenario.capacity[index]).unwrap_or(0);
            let span = period.fixed_millis().unwrap_or(i64::MAX / 64) * kept;
            let lost = rows.filter(|(place, _)| newest.0 - place.2 < span).find(|(place, row)| {
                let shown = history.get(symbol, index, UnixMillis(place.2));
                !shown.is_some_and(|shown| keeps(&shown, row))
            });
            if let Some((&(_, _, open), row)) = lost {
                let shown = history.get(symbol, index, UnixMillis(open)).map(|of| of.status);
                let stored = row.status;
                let what = format!(
                    "{period} {open} of {symbol} was stored {stored:?}, shown is {shown:?}"
                );
                return self.violated(Rule::O7, what);
            }
        }
    }
}
