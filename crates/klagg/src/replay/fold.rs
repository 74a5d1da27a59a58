//! Trades of recordings, folded by the engine.

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::sync::Arc;

use klagg_engine::{Aggregator, Continuity, SequencerConfig};
use klagg_kline::{
    Kline, KlineRecord, KlineStatus, Period, PeriodSet, Precision, SymbolId, UnixMillis,
};
use klagg_tape::SourceTrade;
use klagg_wire::TradeKind;

/// Trades of one symbol that wait for a missing id. Some dumps are not sorted.
const HELD_MAX: usize = 4_096;
/// How long they wait, in the exchange's time.
const HOLD_MS: i64 = 10_000;

/// What is known of a symbol.
#[derive(Debug)]
struct Known {
    name: Arc<str>,
    kind: TradeKind,
    precision: Precision,
    last_time: UnixMillis,
}

/// Folds the trades of any number of symbols.
#[derive(Debug)]
pub(crate) struct Fold {
    /// Aggregates: ids grow by one. Raw fills: ids have holes that mean nothing.
    aggregates: Aggregator,
    fills: Aggregator,
    ids: HashMap<Arc<str>, SymbolId>,
    symbols: Vec<Known>,
    /// The symbol of the last trade: most recordings have runs.
    last: Option<SymbolId>,
    /// Finished klines by symbol, period and open time, the last correction of each.
    finished: BTreeMap<(SymbolId, u8, UnixMillis), KlineRecord>,
    trades: u64,
    other_kind: u64,
}

/// A kline on its way out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct NamedKline {
    pub(crate) symbol: Arc<str>,
    pub(crate) period: Period,
    pub(crate) precision: Precision,
    pub(crate) record: KlineRecord,
}

impl Fold {
    /// A fold of `periods`, and of `1m`, from which they are made.
    ///
    /// # Errors
    /// If a period stands twice.
    pub(crate) fn new(periods: &[Period]) -> anyhow::Result<Self> {
        let mut all = periods.to_vec();
        if !all.contains(&Period::M1) {
            all.push(Period::M1);
        }
        let periods = PeriodSet::new(&all)?;
        let aggregator = |continuity| {
            let rules = SequencerConfig { continuity, held_max: HELD_MAX, hold_ms: HOLD_MS };
            Aggregator::with_sequencer(periods.clone(), rules)
        };
        Ok(Self {
            aggregates: aggregator(Continuity::Checked)?,
            fills: aggregator(Continuity::Unchecked)?,
            ids: HashMap::new(),
            symbols: Vec::new(),
            last: None,
            finished: BTreeMap::new(),
            trades: 0,
            other_kind: 0,
        })
    }

    /// Folds a trade. A symbol is folded from trades of the kind that it came with first: both
    /// kinds tell the same fills, and would count them twice.
    ///
    /// # Errors
    /// If there are more symbols than the engine takes.
    pub(crate) fn push(&mut self, row: &SourceTrade) -> anyhow::Result<()> {
        let id = self.id_of(row);
        let known = &mut self.symbols[id.index()];
        if known.kind != row.kind {
            self.other_kind += 1;
            return Ok(());
        }
        known.precision = known.precision.finest(row.precision);
        known.last_time = known.last_time.max(row.trade.time);
        let aggregator = match row.kind {
            TradeKind::Aggregate => &mut self.aggregates,
            TradeKind::Raw => &mut self.fills,
        };
        aggregator.push(id, &row.trade)?;
        self.trades += 1;
        take(&mut self.finished, aggregator);
        Ok(())
    }

    fn id_of(&mut self, row: &SourceTrade) -> SymbolId {
        if let Some(last) = self.last
            && Arc::ptr_eq(&self.symbols[last.index()].name, &row.symbol)
        {
            return last;
        }
        let id = self.ids.get(&row.symbol).copied().unwrap_or_else(|| {
            let id = SymbolId(u32::try_from(self.symbols.len()).unwrap_or(u32::MAX));
            self.ids.insert(Arc::clone(&row.symbol), id);
            self.symbols.push(Known {
                name: Arc::clone(&row.symbol),
                kind: row.kind,
                precision: row.precision,
                last_time: row.trade.time,
            });
            id
        });
        self.last = Some(id);
        id
    }

    /// The end of all trades. With `whole_days`, klines up to the end of each kind's last day are
    /// finished.
    pub(crate) fn finish(&mut self, whole_days: bool) {
        for (kind, aggregator) in
            [(TradeKind::Aggregate, &mut self.aggregates), (TradeKind::Raw, &mut self.fills)]
        {
            aggregator.finish();
            let times = self.symbols.iter().filter(|known| known.kind == kind);
            let last = times.map(|known| known.last_time).max();
            if let (Some(last), true) = (last, whole_days) {
                aggregator.advance_to(Period::D1.next_open_time(last));
            }
            take(&mut self.finished, aggregator);
        }
    }

    /// The number of a symbol.
    pub(crate) fn symbol(&self, name: &str) -> Option<SymbolId> {
        self.ids.get(name).copied()
    }

    /// Whether a symbol's trades are aggregates.
    pub(crate) fn kind(&self, symbol: SymbolId) -> TradeKind {
        self.symbols[symbol.index()].kind
    }

    /// The finished kline of a slot.
    pub(crate) fn finished(
        &self,
        symbol: SymbolId,
        period: Period,
        open_time: UnixMillis,
    ) -> Option<&KlineRecord> {
        let index = u8::try_from(self.periods().index_of(period)?).ok()?;
        self.finished.get(&(symbol, index, open_time))
    }

    /// The open kline of a symbol and period.
    pub(crate) fn open(&self, symbol: SymbolId, period: Period) -> Option<Kline> {
        let index = self.periods().index_of(period)?;
        let open = self.aggregator(symbol).open_klines(symbol).into_iter();
        let mut open = open.filter(|data| usize::from(data.period_index) == index);
        open.next().map(|data| data.record.kline)
    }

    fn aggregator(&self, symbol: SymbolId) -> &Aggregator {
        match self.kind(symbol) {
            TradeKind::Aggregate => &self.aggregates,
            TradeKind::Raw => &self.fills,
        }
    }

    fn periods(&self) -> &PeriodSet {
        self.aggregates.periods()
    }

    /// What was done.
    pub(crate) fn summary(&self) -> Summary {
        let (left, right) = (self.aggregates.counters(), self.fills.counters());
        let provisional =
            self.finished.values().filter(|record| record.status == KlineStatus::Provisional);
        Summary {
            trades: self.trades,
            symbols: self.symbols.len(),
            duplicates: left.duplicates + right.duplicates,
            late: left.late_dropped + right.late_dropped + left.stragglers + right.stragglers,
            time_refused: left.time_refused + right.time_refused,
            gaps: left.gaps,
            gap_trades: left.gap_trades,
            other_kind: self.other_kind,
            finished: self.finished.len(),
            provisional: provisional.count(),
        }
    }

    /// The klines of `wanted` periods, sorted by symbol, period and open time. Printed decimals
    /// are those of `precisions`, else the finest seen.
    pub(crate) fn into_klines(
        self,
        wanted: &[Period],
        include_open: bool,
        precisions: &HashMap<String, Precision>,
    ) -> Vec<NamedKline> {
        let open = self.symbols.iter().zip(0..).flat_map(|(_, number)| {
            let symbol = SymbolId(number);
            let open = self.aggregator(symbol).open_klines(symbol);
            open.into_iter().map(move |data| ((symbol, data.period_index), data.record))
        });
        let finished = self.finished.iter().map(|(key, record)| ((key.0, key.1), *record));
        let mut klines: Vec<NamedKline> = finished
            .chain(open.filter(|_| include_open))
            .map(|((symbol, period_index), record)| {
                let known = &self.symbols[symbol.index()];
                let precision = precisions.get(known.name.as_ref()).copied();
                NamedKline {
                    symbol: Arc::clone(&known.name),
                    period: self.periods().get(usize::from(period_index)),
                    precision: precision.unwrap_or(known.precision),
                    record,
                }
            })
            .filter(|named| wanted.contains(&named.period))
            .collect();
        klines.sort_by(|left, right| {
            let key = |named: &NamedKline| (named.period, named.record.kline.open_time);
            left.symbol.cmp(&right.symbol).then_with(|| key(left).cmp(&key(right)))
        });
        klines
    }
}

/// Moves finished klines out of the engine; a correction replaces what was there.
fn take(
    finished: &mut BTreeMap<(SymbolId, u8, UnixMillis), KlineRecord>,
    aggregator: &mut Aggregator,
) {
    for data in aggregator.drain_closed() {
        finished.insert((data.symbol, data.period_index, data.record.kline.open_time), data.record);
    }
}

/// What a fold did, for people.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Summary {
    trades: u64,
    symbols: usize,
    duplicates: u64,
    late: u64,
    time_refused: u64,
    gaps: u64,
    gap_trades: u64,
    other_kind: u64,
    finished: usize,
    provisional: usize,
}

impl fmt::Display for Summary {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { trades, symbols, finished, provisional, .. } = self;
        write!(formatter, "{trades} trades of {symbols} symbols: ")?;
        write!(formatter, "{} duplicates, ", self.duplicates)?;
        write!(formatter, "{} gaps of {} trades", self.gaps, self.gap_trades)?;
        for (count, what) in [
            (self.late, "came too late and were dropped"),
            (self.time_refused, "had a time out of all proportion and were dropped"),
            (self.other_kind, "were of a symbol that has the other kind of trades as well"),
        ] {
            if count > 0 {
                write!(formatter, ", {count} {what}")?;
            }
        }
        write!(formatter, "\n{finished} klines finished, {provisional} of them provisional ")?;
        write!(formatter, "(the first of each symbol, or around a gap)")
    }
}
