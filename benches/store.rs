//! Questions, each answered beside bare SQLite with the same settings (`klagg_bench::Bare`):
//! what do checksums, watermarks and monotonic upserts cost when a batch is written; what does a
//! minute's commit cost in a database that holds a year; how fast is the store loaded at a start?
//!
//! Thread time is compared, round by round in turn, so that neither the disk's waits nor what else
//! the machine does counts.
//!
//! The year is scaled down. 740 symbols have 389 million minutes in it, in a tree of five levels:
//! a page holds about 70 rows, and inner pages hold rows too. 27 million rows already need five
//! levels, and a commit touches the pages along its path to the newest span of time, whatever
//! lies before it. So the full run fills 36,480 minutes of 740 symbols, 3 GB.

#![expect(clippy::print_stdout, reason = "what a bench is for")]

use std::path::Path;

use klagg_bench::{Bare, Layout, Rounds, is_quick, size};
use klagg_kline::{
    Kline, KlineRecord, KlineStatus, Period, Precision, Price, QuoteVolume, SymbolId, TradeId,
    UnixMillis, Volume,
};
use klagg_store::{
    Durability, OpenCheck, ReadEnd, ReadQuery, Store, StoreConfig, StoreReader, StoredKline,
    StoredSymbol,
};

/// A midnight on which all periods begin.
const START: i64 = 1_700_006_400_000;
const SPAN: usize = 16;

fn period_millis(period: Period) -> i64 {
    period.fixed_millis().expect("no month among the default periods")
}

/// The `at`-th kline of a symbol and period after the start, its values of usual size.
fn kline(symbol: usize, period: Period, at: usize, status: KlineStatus) -> StoredKline {
    let (number, id) = (i64::try_from(at).expect("small"), i64::try_from(symbol).expect("small"));
    let price = 6_500_000_000 + id * 1_000_003 + number % 977 * 10_007;
    let volume = i128::from(price) * 1_117;
    let kline = Kline {
        open_time: UnixMillis(START + number * period_millis(period)),
        open: Price::from_scaled(price),
        high: Price::from_scaled(price + 90_000),
        low: Price::from_scaled(price - 80_000),
        close: Price::from_scaled(price + 1_000),
        volume: Volume::from_scaled(volume),
        quote_volume: QuoteVolume::from_scaled(volume * 6_400_000_017),
        taker_buy_volume: Volume::from_scaled(volume / 2),
        taker_buy_quote_volume: QuoteVolume::from_scaled(volume * 3_100_000_013),
        trade_count: 1_234,
        first_id: TradeId(900_000_000 + number * 1_234),
        last_id: TradeId(900_000_000 + number * 1_234 + 1_233),
    };
    let record = KlineRecord { kline, revision: 0, status };
    StoredKline { symbol: SymbolId(u32::try_from(symbol).expect("small")), period, record }
}

/// What becomes due at once for all symbols when all periods end.
fn batch(symbols: usize, at: usize, status: KlineStatus) -> Vec<StoredKline> {
    let slots = (0..symbols).flat_map(|symbol| Period::DEFAULT.map(|period| (symbol, period)));
    slots.map(|(symbol, period)| kline(symbol, period, at, status)).collect()
}

fn open(folder: &Path, durability: Durability) -> Store {
    let config = StoreConfig { durability, check: OpenCheck::Header, ..StoreConfig::new(folder) };
    Store::open(&config).expect("a store can be opened")
}

fn new_store(folder: &Path, symbols: usize, durability: Durability) -> Store {
    let mut store = open(folder, durability);
    let symbol = |id: usize| StoredSymbol {
        id: SymbolId(u32::try_from(id).expect("small")),
        name: format!("S{id}USDT"),
        first_open_time: UnixMillis(0),
        onboard_time: None,
        precision: Precision::new(2, 3).expect("a precision"),
        delisted: false,
    };
    store.append_symbols(&(0..symbols).map(symbol).collect::<Vec<_>>()).expect("symbols");
    store
}

fn write(store: &mut Store, rows: &[StoredKline]) {
    store.write(rows).expect("the disk takes it");
}

/// Says whether a promise is kept. Of a quick run nothing is expected.
fn promise(ratio: f64, most: f64) {
    if !is_quick() {
        let verdict = if ratio <= most { "kept" } else { "NOT KEPT" };
        println!("    promised: at most {most:.2} times as long: {verdict}");
    }
}

/// Batches of every kind, in the store and in bare SQLite.
fn upserts() {
    let symbols = size(600, 20);
    let folder = tempfile::tempdir().expect("a folder");
    let mut store = new_store(folder.path(), symbols, Durability::Full);
    let mut bare = Bare::create(folder.path(), Layout::SpansOfTime).expect("a bare database");
    let mut side_by_side = |label: &str, batches: &mut dyn Iterator<Item = Vec<StoredKline>>| {
        let mut rounds = Rounds::default();
        for rows in batches {
            rounds.first(|| write(&mut store, &rows));
            rounds.second(|| bare.write(&rows).expect("written"));
        }
        let ratio = rounds.report(&format!("store/{label}: ours to bare"), 1);
        promise(ratio, 1.0 / 0.8);
    };
    let rounds = size(41, 2);
    let confirmed = KlineStatus::Confirmed;
    let mut new = (0..rounds).map(|at| batch(symbols, at, KlineStatus::Closed));
    side_by_side("new_3600_rows_of_600_symbols", &mut new);
    let mut better = (0..rounds).map(|at| batch(symbols, at, confirmed));
    side_by_side("confirm_3600_rows", &mut better);
    let first = 10_000 / SPAN * SPAN;
    let mut pages = (0..rounds.min(symbols)).map(|symbol| {
        (first..first + size(3_000, 60))
            .map(|at| kline(symbol, Period::M1, at, confirmed))
            .collect()
    });
    side_by_side("page_of_3000_klines_of_one_symbol", &mut pages);
}

/// A minute in which all periods end, into a database that holds a year and into an empty one.
fn full_minute() {
    let (symbols, minutes) = (size(740, 20), size(36_480, 64));
    let (full_folder, empty_folder) =
        (tempfile::tempdir().expect("a folder"), tempfile::tempdir().expect("a folder"));
    let mut filling = new_store(full_folder.path(), symbols, Durability::Normal);
    for span in 0..minutes / SPAN {
        let rows: Vec<_> = (0..symbols)
            .flat_map(|symbol| {
                let minutes = span * SPAN..(span + 1) * SPAN;
                minutes.map(move |at| kline(symbol, Period::M1, at, KlineStatus::Confirmed))
            })
            .collect();
        filling.write(&rows).expect("written");
    }
    drop(filling);
    let mut full = open(full_folder.path(), Durability::Full);
    let mut empty = new_store(empty_folder.path(), symbols, Durability::Full);
    let kinds: [(&str, &[Period]); 2] =
        [("1m_only", &[Period::M1]), ("all_six_periods", &Period::DEFAULT)];
    let mut at = minutes;
    for (label, periods) in kinds {
        let mut rounds = Rounds::default();
        for _ in 0..size(48, 2) {
            let due = |symbol| {
                let kline = move |&period| kline(symbol, period, at, KlineStatus::Closed);
                periods.iter().map(kline)
            };
            let rows: Vec<_> = (0..symbols).flat_map(due).collect();
            rounds.first(|| write(&mut full, &rows));
            rounds.second(|| write(&mut empty, &rows));
            at += 1;
        }
        let label = format!("store/minute_of_740_symbols/{label}: with a year to empty");
        promise(rounds.report(&label, 1), 3.0);
    }
}

/// Everything that a start reads, as it reads it; and slot by slot, as everybody else does.
fn load() {
    let (symbols, klines) = (size(600, 6), size(1_000, 100));
    let folder = tempfile::tempdir().expect("a folder");
    let mut store = new_store(folder.path(), symbols, Durability::Normal);
    let mut bare = Bare::create(folder.path(), Layout::Symbols).expect("a bare database");
    for symbol in 0..symbols {
        let rows: Vec<_> = Period::DEFAULT
            .into_iter()
            .flat_map(|period| {
                (0..klines).map(move |at| kline(symbol, period, at, KlineStatus::Confirmed))
            })
            .collect();
        store.write(&rows).expect("written");
        bare.write(&rows).expect("written");
    }
    let reader = store.reader().expect("a reader");
    let symbols: Vec<_> =
        (0..symbols).map(|symbol| SymbolId(u32::try_from(symbol).expect("small"))).collect();
    let side_by_side = |label: &str, ours: &dyn Fn(&[SymbolId], Period) -> usize| {
        let mut rounds = Rounds::default();
        // As many symbols as a start reads at once, and all their periods.
        for symbols in symbols.chunks(size(16, 6)) {
            let all = symbols.len() * Period::DEFAULT.len() * klines;
            rounds.first(|| {
                let read = Period::DEFAULT.map(|period| ours(symbols, period));
                assert_eq!(read.iter().sum::<usize>(), all);
            });
            rounds.second(|| {
                let of = |symbol, period| bare.read(symbol, period).expect("read").len();
                let all_of = |symbol| Period::DEFAULT.map(|period| of(symbol, period));
                let read = symbols.iter().flat_map(|&symbol| all_of(symbol));
                assert_eq!(read.sum::<usize>(), all);
            });
        }
        rounds.report(&format!("store/load_{label}: ours to bare"), 1)
    };
    let together = side_by_side("96000_klines_as_a_start", &|symbols, period| {
        let newest = reader.read_newest(symbols, period, klines).expect("read");
        newest.iter().map(|of| of.page.records.len()).sum()
    });
    promise(together, 1.0 / 0.7);
    side_by_side("96000_klines_slot_by_slot", &|symbols, period| {
        symbols.iter().map(|&symbol| read(&reader, (symbol, period), klines)).sum()
    });
}

fn read(reader: &StoreReader, (symbol, period): (SymbolId, Period), limit: usize) -> usize {
    let query = ReadQuery { from: None, to: None, limit, keep: ReadEnd::Newest };
    reader.read(symbol, period, &query).expect("read").len()
}

fn main() {
    let parts: [(&str, fn()); 3] =
        [("upserts", upserts), ("load", load), ("full_minute", full_minute)];
    // Those that the command line names, or all.
    let is_named = |name: &str| std::env::args().any(|argument| argument == name);
    let all = !parts.iter().any(|(name, _)| is_named(name));
    for (_, part) in parts.into_iter().filter(|(name, _)| all || is_named(name)) {
        part();
    }
}
