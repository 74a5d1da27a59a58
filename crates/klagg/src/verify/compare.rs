//! Finished klines of ours against the exchange's.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use klagg_kline::{Kline, KlineStatus, Period, Trade, UnixMillis};
use klagg_tape::{SourceKline, SourceTrade};
use klagg_wire::TradeKind;

use super::field::{Match, matches};
use super::report::{Pair, Report};
use super::straddle::{self, Case};
use crate::replay::fold::Fold;

/// The exchange's klines, and what is noted of the trades to explain differences.
#[derive(Debug)]
pub(crate) struct Expected {
    klines: BTreeMap<(Arc<str>, Period), BTreeMap<UnixMillis, Kline>>,
    edges: HashMap<Arc<str>, Edges>,
}

/// What is noted of a symbol's trades.
#[derive(Debug)]
struct Edges {
    /// When the recording begins. Even if the first id is 1: recorders number as they please.
    first_time: UnixMillis,
    /// The last aggregate of each minute: the only one that may lie across its end.
    last: BTreeMap<UnixMillis, Trade>,
    /// Whether the recording tells how many fills an aggregate has: some give one to each.
    tells_fills: bool,
}

impl Edges {
    fn note(&mut self, row: &SourceTrade) {
        let trade = &row.trade;
        self.first_time = self.first_time.min(trade.time);
        // Raw fills do not straddle.
        if row.kind != TradeKind::Aggregate {
            return;
        }
        self.tells_fills |= trade.fill_count > 1;
        let minute = Period::M1.open_time(trade.time);
        let last = self.last.entry(minute).or_insert(*trade);
        if trade.id > last.id {
            *last = *trade;
        }
    }

    /// The last aggregate from `from` to before `to`, if it may lie across `to`.
    fn across(&self, from: UnixMillis, to: UnixMillis) -> Option<&Trade> {
        let (_, trade) = self.last.range(from..to).next_back()?;
        (trade.fill_count > 1 || !self.tells_fills).then_some(trade)
    }
}

impl Expected {
    pub(crate) fn new(rows: Vec<SourceKline>) -> Self {
        let mut klines = BTreeMap::new();
        for row in rows {
            let of_symbol: &mut BTreeMap<_, _> =
                klines.entry((row.symbol, row.period)).or_default();
            of_symbol.insert(row.kline.open_time, row.kline);
        }
        Self { klines, edges: HashMap::new() }
    }

    /// Notes a trade before it is folded.
    pub(crate) fn note(&mut self, row: &SourceTrade) {
        if self.klines.is_empty() {
            return;
        }
        if !self.edges.contains_key(&row.symbol) {
            let first_time = row.trade.time;
            let edges = Edges { first_time, last: BTreeMap::new(), tells_fills: false };
            self.edges.insert(Arc::clone(&row.symbol), edges);
        }
        if let Some(edges) = self.edges.get_mut(&row.symbol) {
            edges.note(row);
        }
    }

    /// Compares all klines.
    pub(crate) fn compare(&self, fold: &Fold, report: &mut Report) {
        for ((symbol, period), klines) in &self.klines {
            self.compare_run(symbol, *period, klines, fold, report);
        }
    }

    fn compare_run(
        &self,
        symbol: &Arc<str>,
        period: Period,
        klines: &BTreeMap<UnixMillis, Kline>,
        fold: &Fold,
        report: &mut Report,
    ) {
        let Some(id) = fold.symbol(symbol) else {
            report.not_covered(klines.len());
            return;
        };
        let edges = self.edges.get(symbol);
        let first = edges.map(|edges| period.open_time(edges.first_time));
        let open = fold.open(id, period);
        let mut carried: Option<(UnixMillis, i128)> = None;
        for (&open_time, official) in klines {
            let finished = fold.finished(id, period, open_time);
            let unfinished = open.as_ref().filter(|kline| kline.open_time == open_time);
            let Some(ours) = finished.map(|record| &record.kline).or(unfinished) else {
                report.not_covered(1);
                continue;
            };
            let next = period.next_open_time(open_time);
            let before = period.open_time(open_time.plus(-1));
            let case = Case {
                ours,
                official,
                before: edges.and_then(|edges| edges.across(before, open_time)),
                last: edges.and_then(|edges| edges.across(open_time, next)),
                carried: carried.and_then(|(edge, part)| (edge == open_time).then_some(part)),
            };
            let is_closed = finished.is_some_and(|record| record.status >= KlineStatus::Closed)
                && first != Some(open_time);
            let found = matches(ours, official, None);
            if !is_closed && found.iter().any(|field| *field != Match::Equal) {
                report.incomplete();
                carried = None;
                continue;
            }
            let finding = straddle::explain(&case);
            carried = finding.carry.map(|part| (next, part));
            let found = matches(ours, official, finding.explained.as_ref());
            report.add(&Pair { symbol, period, ours, official }, found);
        }
    }
}
