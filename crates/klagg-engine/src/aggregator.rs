//! The embedding API: trades in, klines out, on the caller's own thread.

use klagg_kline::{KlineRecord, Period, PeriodSet, SymbolId, Trade, UnixMillis};

use crate::{
    Continuity, EngineConfig, EngineError, FeedId, KlineData, NewSymbolSpec, SequencerConfig,
    Shard, WorkerCounters,
};

/// Symbol numbers below this are accepted.
const SYMBOLS_MAX: usize = 65_536;
/// Closed klines kept for a caller that does not drain them.
const CLOSED_MAX: usize = 1 << 20;
/// The only feed: that of the caller.
const FEED: FeedId = FeedId(0);

/// Folds trades of any number of symbols into klines of all periods, synchronously.
///
/// Symbols are known from their first trade on. Trades of one symbol are to come in the order of
/// their ids; repetitions are dropped, and a hole makes the minutes that it spans provisional.
/// Closed klines wait for [`drain_closed`](Aggregator::drain_closed); at a million of them the
/// oldest is dropped and counted.
///
/// # Examples
///
/// ```
/// use klagg_engine::Aggregator;
/// use klagg_kline::{PeriodSet, Price, Quantity, Side, SymbolId, Trade, TradeId, UnixMillis};
///
/// let mut aggregator = Aggregator::new(PeriodSet::default());
/// for (id, time, price) in [(1, 1_000, "100.5"), (2, 59_999, "101"), (3, 300_000, "99")] {
///     let (price, quantity) = (Price::parse(price)?, Quantity::parse("0.25")?);
///     let trade = Trade::new(TradeId(id), UnixMillis(time), price, quantity, 1, Side::Buy)?;
///     aggregator.push(SymbolId(0), &trade)?;
/// }
/// let closed: Vec<_> = aggregator.drain_closed().collect();
/// assert_eq!(closed.len(), 6, "five minutes, four of them flat, and one of 5m");
/// assert_eq!(closed[5].record.kline.high.to_string(), "101");
/// assert_eq!(aggregator.open_klines(SymbolId(0)).len(), 6, "one for each period");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct Aggregator {
    periods: PeriodSet,
    shard: Shard,
}

impl Aggregator {
    /// An aggregator that expects trade ids without holes.
    pub fn new(periods: PeriodSet) -> Self {
        Self::build(
            periods,
            SequencerConfig { continuity: Continuity::Checked, held_max: 1, hold_ms: 0 },
        )
    }

    /// An aggregator with its own rules about trade ids.
    ///
    /// # Errors
    /// [`EngineError::InvalidConfig`] if a number cannot work.
    pub fn with_sequencer(
        periods: PeriodSet,
        sequencer: SequencerConfig,
    ) -> Result<Self, EngineError> {
        sequencer.validate()?;
        Ok(Self::build(periods, sequencer))
    }

    fn build(periods: PeriodSet, sequencer: SequencerConfig) -> Self {
        let config = EngineConfig {
            periods: periods.clone(),
            workers: 1,
            symbols_max: 1,
            queue_batches: 1,
            batch_trades: 1,
            close_grace_ms: 0,
            sequencer,
            undelivered_max: CLOSED_MAX,
            first_core: None,
        };
        Self { periods, shard: Shard::new(&config, 0) }
    }

    /// Folds a trade.
    ///
    /// # Errors
    /// [`EngineError::SymbolLimit`] if the symbol's number is beyond 65,535.
    #[inline]
    pub fn push(&mut self, symbol: SymbolId, trade: &Trade) -> Result<(), EngineError> {
        if !self.shard.has_symbol(symbol) {
            self.add(symbol)?;
        }
        self.shard.fold(symbol.0, trade);
        Ok(())
    }

    #[cold]
    fn add(&mut self, symbol: SymbolId) -> Result<(), EngineError> {
        if symbol.index() >= SYMBOLS_MAX {
            return Err(EngineError::SymbolLimit { symbol, max: SYMBOLS_MAX });
        }
        let spec = NewSymbolSpec {
            id: symbol,
            feed: FEED,
            previous_close: None,
            next_id: None,
            since: None,
        };
        self.shard.grow_for(&spec);
        Ok(())
    }

    /// Closes every kline that ends at or before `time`, without waiting for a later trade.
    pub fn advance_to(&mut self, time: UnixMillis) {
        self.shard.on_watermark(FEED, time);
    }

    /// Takes over closed klines from outside, as
    /// [`EngineControl::supply`](crate::EngineControl::supply) does.
    ///
    /// # Errors
    /// [`EngineError::PeriodNotConfigured`] for a period that is not folded,
    /// [`EngineError::SymbolLimit`] as in [`Aggregator::push`].
    pub fn supply(
        &mut self,
        symbol: SymbolId,
        period: Period,
        records: &[KlineRecord],
    ) -> Result<(), EngineError> {
        let period_index =
            self.periods.index_of(period).ok_or(EngineError::PeriodNotConfigured(period))?;
        if !self.shard.has_symbol(symbol) {
            self.add(symbol)?;
        }
        self.shard.supply(symbol, period_index, records);
        Ok(())
    }

    /// Folds what is still held back behind a hole in the ids. For the end of the trades.
    pub fn finish(&mut self) {
        self.shard.finish();
    }

    /// The klines closed or corrected since the last call, in the order in which it happened.
    pub fn drain_closed(&mut self) -> impl Iterator<Item = KlineData> + '_ {
        self.shard.drain_closed()
    }

    /// The open klines of a symbol, one for each period; empty for an unknown symbol.
    pub fn open_klines(&self, symbol: SymbolId) -> Vec<KlineData> {
        self.shard.open_klines(symbol)
    }

    /// The periods.
    pub const fn periods(&self) -> &PeriodSet {
        &self.periods
    }

    /// What was done so far.
    pub const fn counters(&self) -> &WorkerCounters {
        self.shard.counters()
    }
}
