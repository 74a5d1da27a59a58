//! Stores made by hand, for the commands that read and fill them.

use klagg_kline::{
    Kline, KlineRecord, KlineStatus, Period, Precision, Price, QuoteVolume, SymbolId, UnixMillis,
    Volume,
};
use klagg_store::{Store, StoreConfig, StoredKline, StoredSymbol};
use tempfile::TempDir;

/// 2024-01-02T00:00:00Z, the day of the shipped trades.
pub(crate) const DAY: i64 = 1_704_153_600_000;
pub(crate) const MINUTE: i64 = 60_000;

/// A data folder, its path, and the store in it.
pub(crate) fn store(names: &[&str]) -> (TempDir, String, Store) {
    let folder = tempfile::tempdir().unwrap();
    let mut store = Store::open(&StoreConfig::new(folder.path())).unwrap();
    let symbols: Vec<StoredSymbol> = (0..)
        .zip(names)
        .map(|(id, name)| StoredSymbol {
            id: SymbolId(id),
            name: (*name).to_owned(),
            first_open_time: UnixMillis(DAY),
            onboard_time: None,
            precision: Precision::new(1, 1).unwrap(),
            delisted: false,
        })
        .collect();
    store.append_symbols(&symbols).unwrap();
    let path = folder.path().to_str().unwrap().to_owned();
    (folder, path, store)
}

/// A minute of the day whose values tell which one it is.
pub(crate) fn minute(symbol: u32, at: i64, status: KlineStatus) -> StoredKline {
    let tenth = 10_000_000;
    let price = |steps: i64| Price::from_scaled((1_000 + steps) * tenth);
    let kline = Kline {
        volume: Volume::from_scaled(i128::from((at + 2) * tenth)),
        quote_volume: QuoteVolume::from_scaled(12_345_678_901_234_567_891 + i128::from(at)),
        taker_buy_volume: Volume::from_scaled(i128::from(tenth)),
        taker_buy_quote_volume: QuoteVolume::from_scaled(7),
        high: price((at % 3).max(at % 5) + 1),
        low: price(-1),
        close: price(at % 5),
        trade_count: at.unsigned_abs() + 1,
        ..Kline::flat(UnixMillis(DAY + at * MINUTE), price(at % 3))
    };
    let record = KlineRecord { kline, revision: 0, status };
    StoredKline { symbol: SymbolId(symbol), period: Period::M1, record }
}

/// The confirmed minutes of a span and the klines of `periods` that are made of them.
pub(crate) fn history(symbol: u32, minutes: i64, periods: &[Period]) -> Vec<StoredKline> {
    let rows: Vec<StoredKline> =
        (0..minutes).map(|at| minute(symbol, at, KlineStatus::Confirmed)).collect();
    let mut all = rows.clone();
    for &period in periods {
        let open = |row: &StoredKline| period.open_time(row.record.kline.open_time);
        for parts in rows.chunk_by(|left, right| open(left) == open(right)) {
            let whole = parts.iter().map(|row| &row.record.kline);
            let kline = Kline::rollup(open(&parts[0]), whole).unwrap();
            let record = KlineRecord { kline, ..parts[0].record };
            all.push(StoredKline { symbol: SymbolId(symbol), period, record });
        }
    }
    all
}
