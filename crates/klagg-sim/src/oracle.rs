//! What the exchange's klines must be: naive folds of the single fills.

use klagg_kline::{Kline, Period, Precision, Trade, UnixMillis};

/// A symbol as an oracle knows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SimSymbol {
    /// Its name, upper case.
    pub name: String,
    /// Printed decimals.
    pub precision: Precision,
    /// Open of its first minute.
    pub first_minute: UnixMillis,
    /// `TRADING`, `SETTLING`, …
    pub status: &'static str,
    /// `PERPETUAL`, `TRADIFI_PERPETUAL`, `CURRENT_QUARTER`, …
    pub contract_type: &'static str,
}

/// One aggregate as it goes over the wire.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SimAggregate {
    /// Its time is that of its first fill, `fill_count` is `l - f + 1`.
    pub trade: Trade,
    /// First raw id.
    pub first_fill_id: i64,
    /// Last raw id.
    pub last_fill_id: i64,
}

/// The truth about the market; cheap to clone, usable after the exchange has stopped.
#[derive(Debug, Clone)]
pub struct Oracle;

impl Oracle {
    /// All symbols ever listed.
    pub fn symbols(&self) -> Vec<SimSymbol> {
        Vec::new()
    }
    /// The official klines that open in `from..=to` and are over, folded from single fills, each
    /// in the minute of its own time. Their ids are raw ids. Empty for an unknown symbol.
    pub fn official(
        &self,
        _symbol: &str,
        _period: Period,
        _from: UnixMillis,
        _to: UnixMillis,
    ) -> Vec<Kline> {
        Vec::new()
    }
    /// As [`Oracle::official`], but folded from aggregates, each in the minute of its first fill,
    /// as a reader of the stream must do it. Their ids are aggregate ids.
    pub fn folded(
        &self,
        _symbol: &str,
        _period: Period,
        _from: UnixMillis,
        _to: UnixMillis,
    ) -> Vec<Kline> {
        Vec::new()
    }
    /// The aggregates stamped in `from..=to`.
    pub fn aggregates(
        &self,
        _symbol: &str,
        _from: UnixMillis,
        _to: UnixMillis,
    ) -> Vec<SimAggregate> {
        Vec::new()
    }
    /// Every kline that closes before this instant is final at REST as well.
    pub fn settled_until(&self) -> UnixMillis {
        UnixMillis(0)
    }
}
