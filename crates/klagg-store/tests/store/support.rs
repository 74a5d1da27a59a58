//! Short ways to folders, stores and klines.

use klagg_kline::{
    Kline, KlineRecord, KlineStatus, Period, Precision, Price, QuoteVolume, SymbolId, TradeId,
    UnixMillis, Volume,
};
use klagg_store::{ReadEnd, ReadQuery, Store, StoreConfig, StoredKline, StoredSymbol};
use tempfile::TempDir;

pub(crate) const MINUTE: i64 = 60_000;

/// A minute on which chunks begin, so that tests can reason about their edges.
pub(crate) const START: i64 = 1_700_000_640_000;

pub(crate) const ALL: ReadQuery =
    ReadQuery { from: None, to: None, limit: usize::MAX, keep: ReadEnd::Oldest };

pub(crate) fn symbol(id: u32, name: &str) -> StoredSymbol {
    StoredSymbol {
        id: SymbolId(id),
        name: name.to_owned(),
        first_open_time: UnixMillis(1_568_000_000_000 + i64::from(id)),
        onboard_time: None,
        precision: Precision::new(2, 3).unwrap(),
        delisted: false,
    }
}

/// A store with the symbols 0 to 2 in a new folder.
pub(crate) fn store() -> (TempDir, Store) {
    let folder = tempfile::tempdir().unwrap();
    let mut store = Store::open(&StoreConfig::new(folder.path())).unwrap();
    let symbols = [symbol(0, "BTCUSDT"), symbol(1, "ETHUSDT"), symbol(2, "币安人生USDT")];
    store.append_symbols(&symbols).unwrap();
    (folder, store)
}

pub(crate) fn kline(open_time: i64, close: i64) -> Kline {
    Kline {
        volume: Volume::from_scaled(1_234_500_000_000),
        quote_volume: QuoteVolume::from_scaled(98_765_432_100_000_000_000_001),
        taker_buy_volume: Volume::from_scaled(1_000_000_001),
        taker_buy_quote_volume: QuoteVolume::from_scaled(7),
        open_time: UnixMillis(open_time),
        open: Price::from_scaled(100_0000_0000),
        high: Price::from_scaled(200_0000_0000),
        low: Price::from_scaled(1),
        close: Price::from_scaled(close),
        trade_count: 42,
        first_id: TradeId(1_000),
        last_id: TradeId(1_041),
    }
}

/// A 1m kline of symbol 0, `minute` minutes after the start.
pub(crate) fn row(minute: i64, status: KlineStatus) -> StoredKline {
    let record =
        KlineRecord { kline: kline(START + minute * MINUTE, 150_0000_0000), revision: 0, status };
    StoredKline { symbol: SymbolId(0), period: Period::M1, record }
}

pub(crate) fn rows(
    minutes: impl IntoIterator<Item = i64>,
    status: KlineStatus,
) -> Vec<StoredKline> {
    minutes.into_iter().map(|minute| row(minute, status)).collect()
}

/// The minutes after the start at which the stored klines of symbol 0 open.
pub(crate) fn stored_minutes(store: &Store) -> Vec<i64> {
    let records = store.reader().unwrap().read(SymbolId(0), Period::M1, &ALL).unwrap();
    records.iter().map(|record| (record.kline.open_time.0 - START) / MINUTE).collect()
}
