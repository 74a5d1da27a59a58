//! Batches that follow from a seed, and what must be in a store after some of them.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};

use klagg_kline::{
    Kline, KlineRecord, KlineStatus, Period, Precision, Price, QuoteVolume, SymbolId, TradeId,
    UnixMillis, Volume,
};
use klagg_store::{Durability, ReadEnd, ReadQuery, Store, StoreConfig, StoredKline, StoredSymbol};

const MINUTE: i64 = 60_000;
const START: i64 = 1_700_000_640_000;
pub(crate) const SYMBOLS: u32 = 6;
pub(crate) const PERIODS: [Period; 2] = [Period::M1, Period::M5];

/// Batches that may be on their way to the disk when nothing of them is acknowledged yet.
pub(crate) const IN_FLIGHT_MAX: u64 = 8;

/// Random numbers that follow from their seed (splitmix64).
#[derive(Debug, Clone)]
pub(crate) struct Dice(u64);

impl Dice {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// One of `range`.
    pub(crate) fn within(&mut self, range: std::ops::Range<u64>) -> u64 {
        range.start + self.next() % (range.end - range.start)
    }
}

/// Symbol, period, open time.
type Key = (u32, Period, i64);

/// What a store holds after whole batches: records by their key.
pub(crate) type Contents = BTreeMap<Key, KlineRecord>;

/// A seed other than the usual one, to look for more or to repeat a failure.
pub(crate) fn seed() -> u64 {
    let named = std::env::var("KLAGG_STORE_SEED").ok().and_then(|text| text.parse().ok());
    named.unwrap_or(20_261_122)
}

/// Tests that start children run one after the other: a child that is being forked holds a copy
/// of every lock of ours until it becomes another program, so two at once would find each other's
/// folder in use.
pub(crate) fn alone() -> MutexGuard<'static, ()> {
    static ALONE: Mutex<()> = Mutex::new(());
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// How a test opens a store; Normal suffices where only the process dies.
pub(crate) fn config(folder: &Path, durability: Durability) -> StoreConfig {
    StoreConfig { durability, ..StoreConfig::new(folder) }
}

pub(crate) fn append_symbols(store: &mut Store) {
    let symbol = |id| StoredSymbol {
        id: SymbolId(id),
        name: format!("S{id}USDT"),
        first_open_time: UnixMillis(i64::from(id)),
        onboard_time: None,
        precision: Precision::new(2, 3).unwrap(),
        delisted: false,
    };
    store.append_symbols(&(0..SYMBOLS).map(symbol).collect::<Vec<_>>()).unwrap();
}

/// The values follow from the key and the revision, so that any mix-up is seen.
fn stored((symbol, period, open_time): Key, revision: u32, status: KlineStatus) -> StoredKline {
    let mut dice = Dice::new(
        u64::from(symbol) << 48
            ^ open_time.cast_unsigned()
            ^ u64::from(revision) << 56
            ^ period as u64,
    );
    let mut number = || i64::try_from(dice.next() >> 20).unwrap();
    let kline = Kline {
        open_time: UnixMillis(open_time),
        open: Price::from_scaled(number()),
        high: Price::from_scaled(number()),
        low: Price::from_scaled(number()),
        close: Price::from_scaled(number()),
        volume: Volume::from_scaled(i128::from(number()) << 40),
        quote_volume: QuoteVolume::from_scaled(i128::from(number()) << 50),
        taker_buy_volume: Volume::from_scaled(i128::from(number())),
        taker_buy_quote_volume: QuoteVolume::from_scaled(i128::from(number()) << 30),
        trade_count: number().cast_unsigned(),
        first_id: TradeId(number()),
        last_id: TradeId(number()),
    };
    let record = KlineRecord { kline, revision, status };
    StoredKline { symbol: SymbolId(symbol), period, record }
}

/// Batch `number` of a seed. New minutes come closed, are confirmed by later batches, sometimes
/// with a correction; now and then a page of older history joins on. So runs grow at both ends,
/// holes open and close, and rows are replaced.
pub(crate) fn batch(seed: u64, number: u64) -> Vec<StoredKline> {
    let mut dice = Dice::new(seed.wrapping_mul(31).wrapping_add(number));
    let period = PERIODS[usize::try_from(dice.within(0..4) / 3).unwrap()];
    let step = period.fixed_millis().unwrap();
    let base = START / (5 * MINUTE) * 5 * MINUTE;
    let at = i64::try_from(number).unwrap();
    let mut rows = Vec::new();
    let mut span = |symbol: u64, first: i64, length: i64, status, revision| {
        let symbol = u32::try_from(symbol).unwrap();
        rows.extend(
            (first..first + length)
                .map(|slot| stored((symbol, period, base + slot * step), revision, status)),
        );
    };
    for symbol in 0..u64::from(SYMBOLS) {
        span(symbol, at, 1, KlineStatus::Closed, 0);
        let revision = u32::from(dice.within(0..8) == 0);
        let behind = i64::try_from(dice.within(4..12)).unwrap();
        span(symbol, at - behind, 6, KlineStatus::Confirmed, revision);
    }
    if dice.within(0..4) == 0 {
        let symbol = dice.within(0..u64::from(SYMBOLS));
        let length = i64::try_from(dice.within(1..120)).unwrap();
        span(symbol, -at * 20 - length, length, KlineStatus::Confirmed, 0);
    }
    rows
}

/// Applies a batch as the store must.
pub(crate) fn apply(contents: &mut Contents, rows: &[StoredKline]) {
    for row in rows {
        let key = (row.symbol.0, row.period, row.record.kline.open_time.0);
        let held = contents.get(&key);
        if let Some(record) = held.map_or(Some(row.record), |held| row.record.superseding(held)) {
            contents.insert(key, record);
        }
    }
}

/// Everything that a store holds. Fails on any row that does not prove itself.
pub(crate) fn contents(store: &Store) -> Contents {
    let reader = store.reader().unwrap();
    let all = ReadQuery { from: None, to: None, limit: usize::MAX, keep: ReadEnd::Oldest };
    let mut found = Contents::new();
    for symbol in 0..u32::try_from(store.load_symbols().unwrap().len()).unwrap() {
        for period in PERIODS {
            for record in reader.read(SymbolId(symbol), period, &all).unwrap() {
                found.insert((symbol, period, record.kline.open_time.0), record);
            }
        }
    }
    found
}

/// Coverage as told by memory and by the table: confirmed from end to end, and not short.
fn check_coverage(store: &Store, held: &Contents) -> Result<(), String> {
    let reader = store.reader().unwrap();
    for symbol in 0..u32::try_from(store.load_symbols().unwrap().len()).unwrap() {
        for period in PERIODS {
            let place = format!("the run of S{symbol} {period}");
            let ensure = |holds: bool, what: &str| {
                if holds { Ok(()) } else { Err(format!("{place} {what}")) }
            };
            let run = store.coverage(SymbolId(symbol), period).unwrap();
            let told = reader.coverage(SymbolId(symbol), period).unwrap();
            ensure(run == told, "is not what the table says")?;
            let is_confirmed = |time: i64| {
                let record = held.get(&(symbol, period, time));
                record.is_some_and(|record| record.status == KlineStatus::Confirmed)
            };
            let step = period.fixed_millis().unwrap();
            let Some(run) = run else {
                let is_none = held.iter().all(|(key, record)| {
                    (key.0, key.1) != (symbol, period) || record.status != KlineStatus::Confirmed
                });
                ensure(is_none, "is missing")?;
                continue;
            };
            let mut times = (run.from.0..run.until.0).step_by(usize::try_from(step).unwrap());
            ensure(times.all(is_confirmed), "has a hole")?;
            ensure(!is_confirmed(run.until.0), "ends early")?;
            ensure(!is_confirmed(run.from.0 - step), "begins late")?;
        }
    }
    Ok(())
}

/// Moves `expected` on from `acknowledged` batches to what the store holds, which must be what
/// that many whole batches leave, or a few more that were on their way. Returns how many.
///
/// # Errors
/// What the store holds instead.
pub(crate) fn settle(
    store: &Store,
    seed: u64,
    acknowledged: u64,
    expected: &mut Contents,
) -> Result<u64, String> {
    let found = contents(store);
    check_coverage(store, &found)?;
    let mut count = acknowledged;
    while found != *expected {
        if count >= acknowledged + IN_FLIGHT_MAX {
            return Err(format!(
                "{acknowledged} batches were acknowledged, and what is stored is not what these, \
                 or any few more, leave: {} rows",
                found.len()
            ));
        }
        apply(expected, &batch(seed, count));
        count += 1;
    }
    Ok(count)
}
