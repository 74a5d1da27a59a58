//! Klines the slow and plain way: a map of sums, nothing shared with the engine's fold.

use std::collections::BTreeMap;

use klagg_engine::{KlineData, WorkerCounters, WorkerDelta};
use klagg_kline::{
    Kline, KlineRecord, KlineStatus, PeriodSet, Price, Quantity, QuoteVolume, Side, SymbolId,
    Trade, TradeId, UnixMillis, Volume,
};
use proptest::prelude::*;

/// Symbol, period index, open time.
pub(crate) type Key = (SymbolId, u8, UnixMillis);

pub(crate) fn key(data: &KlineData) -> Key {
    (data.symbol, data.period_index, data.record.kline.open_time)
}

pub(crate) fn empty_delta() -> WorkerDelta {
    WorkerDelta {
        worker: 0,
        sequence: 0,
        exchange_time: None,
        open: Vec::new(),
        closed: Vec::new(),
        holes: Vec::new(),
        ended: Vec::new(),
        counters: WorkerCounters::default(),
        closed_dropped: 0,
        is_last: false,
    }
}

/// Trades from symbol, step in time, price, quantity, fills, side.
pub(crate) fn trades(drafts: &[(u32, i64, i64, i64, u32, bool)]) -> Vec<(SymbolId, Trade)> {
    let mut time = 1_700_000_000_000;
    let mut ids = BTreeMap::new();
    let trade = |&(symbol, step, price, quantity, fills, bought): &_| {
        time += step;
        let id: &mut i64 = ids.entry(symbol).or_default();
        *id += 1;
        let side = if bought { Side::Buy } else { Side::Sell };
        let (price, quantity) = (Price::from_scaled(price), Quantity::from_scaled(quantity));
        let trade = Trade::new(TradeId(*id), UnixMillis(time), price, quantity, fills, side);
        (SymbolId(symbol), trade.unwrap())
    };
    drafts.iter().map(trade).collect()
}

/// All trades that fell into a kline.
#[derive(Default)]
pub(crate) struct Oracle {
    periods: PeriodSet,
    trades: BTreeMap<Key, Vec<Trade>>,
}

impl Oracle {
    pub(crate) fn new(periods: PeriodSet) -> Self {
        Self { periods, trades: BTreeMap::new() }
    }

    pub(crate) fn add(&mut self, symbol: SymbolId, trade: &Trade) {
        for (index, period) in (0..).zip(self.periods.as_slice()) {
            let open_time = period.open_time(trade.time);
            self.trades.entry((symbol, index, open_time)).or_default().push(*trade);
        }
    }

    /// The kline there, flat at the last price where nothing was traded; `None` before the first
    /// trade.
    fn kline(&self, key: &Key) -> Option<Kline> {
        let (symbol, index, open_time) = *key;
        let Some(trades) = self.trades.get(key) else {
            let start = (symbol, index, UnixMillis(i64::MIN));
            let (_, before) = self.trades.range(start..*key).next_back()?;
            return Some(Kline::flat(open_time, before.iter().max_by_key(|t| t.id)?.price));
        };
        let sum = |of: &dyn Fn(&Trade) -> i128| trades.iter().map(of).sum::<i128>();
        let bought = |trade: &Trade| i128::from(matches!(trade.taker, Side::Buy));
        let base = |trade: &Trade| i128::from(trade.quantity.scaled());
        let quote = |trade: &Trade| base(trade) * i128::from(trade.price.scaled());
        let first = trades.iter().min_by_key(|trade| trade.id)?;
        let last = trades.iter().max_by_key(|trade| trade.id)?;
        Some(Kline {
            volume: Volume::from_scaled(sum(&base)),
            quote_volume: QuoteVolume::from_scaled(sum(&quote)),
            taker_buy_volume: Volume::from_scaled(sum(&|t| base(t) * bought(t))),
            taker_buy_quote_volume: QuoteVolume::from_scaled(sum(&|t| quote(t) * bought(t))),
            open_time,
            open: first.price,
            high: trades.iter().map(|trade| trade.price).max()?,
            low: trades.iter().map(|trade| trade.price).min()?,
            close: last.price,
            trade_count: trades.iter().map(|trade| u64::from(trade.fill_count)).sum(),
            first_id: first.id,
            last_id: last.id,
        })
    }

    /// The kline as the exchange's REST has it: confirmed, without ids.
    pub(crate) fn official(&self, key: &Key) -> Option<KlineRecord> {
        let (first_id, last_id) = (TradeId(0), TradeId(-1));
        let kline = Kline { first_id, last_id, ..self.kline(key)? };
        Some(KlineRecord { kline, revision: 0, status: KlineStatus::Confirmed })
    }

    /// Equal in all that the exchange publishes, and in the ids where both know them.
    pub(crate) fn check_one(&self, key: &Key, found: &Kline) -> Result<(), TestCaseError> {
        let expected = self.kline(key);
        prop_assert!(expected.is_some(), "no kline at {key:?}, but {found:?}");
        let expected = expected.unwrap();
        prop_assert!(found.same_values(&expected), "{key:?}: {found:?}, not {expected:?}");
        if found.has_ids() {
            let ids = (found.first_id, found.last_id);
            prop_assert_eq!(ids, (expected.first_id, expected.last_id));
        }
        Ok(())
    }

    /// Every kline of every symbol that ended by `now`, and no other that later trades did not
    /// close; all `Closed`.
    pub(crate) fn check_closed(
        &self,
        closed: &BTreeMap<Key, KlineRecord>,
        now: UnixMillis,
    ) -> Result<(), TestCaseError> {
        for (key, record) in closed {
            self.check_one(key, &record.kline)?;
            prop_assert_eq!(record.status, KlineStatus::Closed, "{:?}", key);
        }
        let mut expected = 0;
        for (index, &period) in (0_u8..).zip(self.periods.as_slice()) {
            let mut first: BTreeMap<SymbolId, UnixMillis> = BTreeMap::new();
            let mut end: BTreeMap<SymbolId, UnixMillis> = BTreeMap::new();
            for (symbol, _, open_time) in self.trades.keys().filter(|key| key.1 == index) {
                first.entry(*symbol).or_insert(*open_time);
                // A later trade closes what came before it, the clock what ended before it.
                let by_clock = period.open_time(now);
                end.insert(*symbol, by_clock.max(*open_time));
            }
            for (symbol, first) in first {
                let mut open_time = first;
                while open_time < end[&symbol] {
                    let there = closed.contains_key(&(symbol, index, open_time));
                    prop_assert!(there, "{symbol} {period} {open_time} is missing");
                    expected += 1;
                    open_time = period.next_open_time(open_time);
                }
            }
        }
        prop_assert_eq!(closed.len(), expected);
        Ok(())
    }

    /// Every open kline is the oracle's, one for each period of every symbol.
    pub(crate) fn check_open(&self, open: &[KlineData]) -> Result<(), TestCaseError> {
        for data in open {
            self.check_one(&key(data), &data.record.kline)?;
            prop_assert_eq!(data.record.status, KlineStatus::Open);
        }
        let mut symbols: Vec<_> = self.trades.keys().map(|key| key.0).collect();
        symbols.dedup();
        prop_assert_eq!(open.len(), symbols.len() * self.periods.len());
        Ok(())
    }
}
