//! Klines on their way into the history.

use klagg_kline::{KlineRecord, Period, SymbolId};

/// Klines of one symbol and period, as they are handed to the history's only writer.
///
/// # Examples
///
/// ```
/// use klagg_engine::HistoryPage;
/// use klagg_kline::{Kline, KlineRecord, KlineStatus, Period, Price, SymbolId, UnixMillis};
///
/// let kline = Kline::flat(UnixMillis(60_000), Price::parse("100")?);
/// let record = KlineRecord { kline, revision: 0, status: KlineStatus::Confirmed };
/// let page = HistoryPage { symbol: SymbolId(7), period: Period::M1, records: vec![record] };
/// # assert_eq!(page.records.len(), 1);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HistoryPage {
    /// Whose klines.
    pub symbol: SymbolId,
    /// Their period.
    pub period: Period,
    /// The klines.
    pub records: Vec<KlineRecord>,
}
