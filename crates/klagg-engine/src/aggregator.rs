//! The embedding API: trades in, klines out, on the caller's own thread.

use klagg_kline::{KlineRecord, Period, PeriodSet, SymbolId, Trade, UnixMillis};

use crate::{EngineError, KlineData, SequencerConfig, WorkerCounters};

/// Folds trades of any number of symbols into klines of all periods, synchronously.
#[derive(Debug)]
pub struct Aggregator {
    periods: PeriodSet,
}

impl Aggregator {
    /// An aggregator that expects trade ids without holes.
    pub fn new(periods: PeriodSet) -> Self {
        Self { periods }
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
        Ok(Self { periods })
    }

    /// Folds a trade.
    ///
    /// # Errors
    /// [`EngineError::SymbolLimit`] if the symbol's number is beyond 65,536.
    pub fn push(&mut self, symbol: SymbolId, trade: &Trade) -> Result<(), EngineError> {
        let _ = (symbol, trade);
        Ok(())
    }

    /// Closes every kline that ends at or before `time`.
    pub fn advance_to(&mut self, time: UnixMillis) {
        let _ = time;
    }

    /// Takes over closed klines from outside, as [`EngineControl::supply`](crate::EngineControl::supply).
    ///
    /// # Errors
    /// [`EngineError::PeriodNotConfigured`] and [`EngineError::SymbolLimit`].
    pub fn supply(
        &mut self,
        symbol: SymbolId,
        period: Period,
        records: &[KlineRecord],
    ) -> Result<(), EngineError> {
        let _ = (symbol, period, records);
        Ok(())
    }

    /// The klines closed or corrected since the last call, in the order in which it happened.
    pub fn drain_closed(&mut self) -> impl Iterator<Item = KlineData> + '_ {
        std::iter::empty()
    }

    /// The open klines of a symbol, one for each period; empty for an unknown symbol.
    pub fn open_klines(&self, symbol: SymbolId) -> Vec<KlineData> {
        let _ = symbol;
        Vec::new()
    }

    /// The periods.
    pub fn periods(&self) -> &PeriodSet {
        &self.periods
    }

    /// What was done so far.
    pub fn counters(&self) -> WorkerCounters {
        WorkerCounters::default()
    }
}
