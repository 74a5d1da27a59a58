//! What a shard makes of trades, times and supplies, told in minutes.

mod another;
mod broken;
mod fills;
mod holding;
mod recover;
mod sequence;
mod supplies;

use klagg_kline::{
    Kline, KlineRecord, KlineStatus, Period, PeriodSet, Price, Quantity, Side, SymbolId, Trade,
    TradeId, UnixMillis,
};

use super::Shard;
use crate::{Continuity, EngineConfig, FeedId, NewSymbolSpec, SequencerConfig, WorkerDelta};

const SYMBOL: SymbolId = SymbolId(0);
const FEED: FeedId = FeedId(1);
const CHECKED: SequencerConfig =
    SequencerConfig { continuity: Continuity::Checked, held_max: 3, hold_ms: 0 };

/// A shard, and what a reader that takes every delta has received.
struct Bench {
    shard: Shard,
    closed: Vec<(Period, KlineRecord)>,
}

impl Bench {
    fn new(sequencer: SequencerConfig) -> Self {
        Self::with_spec(sequencer, None, None)
    }

    /// The same, and the symbol is to be told of since this minute.
    fn since(minute: f64) -> Self {
        Self::new(CHECKED).told_since(minute, None, None)
    }

    /// The same symbol anew, to be told of since this minute.
    fn told_since(
        mut self,
        minute: f64,
        previous_close: Option<i64>,
        next_id: Option<i64>,
    ) -> Self {
        self.shard.retire_symbol(SYMBOL);
        self.shard.add_symbol(&NewSymbolSpec {
            id: SYMBOL,
            feed: FEED,
            previous_close: previous_close.map(Price::from_scaled),
            next_id: next_id.map(TradeId),
            since: Some(at(minute)),
        });
        self
    }

    fn with_spec(
        sequencer: SequencerConfig,
        previous_close: Option<i64>,
        next_id: Option<i64>,
    ) -> Self {
        let config = EngineConfig {
            periods: PeriodSet::new(&[Period::M1, Period::M5, Period::M15]).unwrap(),
            workers: 1,
            symbols_max: 2,
            queue_batches: 1,
            batch_trades: 1,
            close_grace_ms: 500,
            sequencer,
            undelivered_max: 1_000,
            first_core: None,
        };
        let mut shard = Shard::new(&config, 0);
        shard.add_symbol(&NewSymbolSpec {
            id: SYMBOL,
            feed: FEED,
            previous_close: previous_close.map(Price::from_scaled),
            next_id: next_id.map(TradeId),
            since: None,
        });
        Self { shard, closed: Vec::new() }
    }

    /// A trade with this id, in this minute, at this price.
    fn trade(&mut self, id: i64, minute: f64, price: i64) {
        self.shard.on_trade(SYMBOL, &trade(id, minute, price));
    }

    fn time(&mut self, minute: f64) {
        self.shard.on_watermark(FEED, at(minute));
    }

    fn supply(&mut self, period: Period, minute: i64, close: i64, status: KlineStatus) {
        let index = self.shard.plan.periods.index_of(period).unwrap();
        self.shard.supply(SYMBOL, index, &[record(minute, close, status)]);
    }

    /// What closed since the last call, as `5m@0=closed/0 c3` (period, minute, status, revision,
    /// close), one after the other.
    fn closed(&mut self) -> String {
        let mut delta = WorkerDelta::empty(0);
        self.shard.fill_delta(&mut delta);
        self.shard.acknowledge(delta.sequence);
        let from = self.closed.len();
        let periods = self.shard.plan.periods.clone();
        self.closed.extend(
            delta
                .closed
                .iter()
                .map(|data| (periods.get(usize::from(data.period_index)), data.record)),
        );
        let told = self.closed[from..].iter().map(|(period, record)| {
            let minute = record.kline.open_time.0 / 60_000;
            let (status, revision) = (record.status, record.revision);
            format!("{period}@{minute}={status}/{revision} c{}", record.kline.close.scaled())
        });
        told.collect::<Vec<_>>().join(", ")
    }

    /// The open klines, as `1m@3 o1 c2 n4` (period, minute, open, close, count).
    fn open(&self) -> String {
        let periods = &self.shard.plan.periods;
        let told = self.shard.open_klines(SYMBOL).into_iter().map(|data| {
            assert!(data.record.status.is_open());
            let Kline { open_time, open, close, trade_count, .. } = data.record.kline;
            let period = periods.get(usize::from(data.period_index));
            let (minute, open, close) = (open_time.0 / 60_000, open.scaled(), close.scaled());
            format!("{period}@{minute} o{open} c{close} n{trade_count}")
        });
        told.collect::<Vec<_>>().join(", ")
    }

    /// Whether the open klines are whole, from the shortest up, as `broken open broken`.
    fn wholeness(&self) -> String {
        let open = self.shard.open_klines(SYMBOL).into_iter();
        open.map(|data| data.record.status.as_str()).collect::<Vec<_>>().join(" ")
    }
}

#[expect(clippy::cast_possible_truncation, reason = "test minutes are small")]
fn at(minute: f64) -> UnixMillis {
    UnixMillis((minute * 60_000.0).round() as i64)
}

fn trade(id: i64, minute: f64, price: i64) -> Trade {
    let (price, quantity) = (Price::from_scaled(price), Quantity::from_scaled(1));
    Trade::new(TradeId(id), at(minute), price, quantity, 1, Side::Buy).unwrap()
}

/// A flat kline from outside.
fn record(minute: i64, close: i64, status: KlineStatus) -> KlineRecord {
    let kline = Kline::flat(UnixMillis(minute * 60_000), Price::from_scaled(close));
    KlineRecord { kline, revision: 0, status }
}
