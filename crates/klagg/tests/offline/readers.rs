//! Exports read back by the programs they are for: pandas, polars and duckdb.
//!
//! `cargo xtask test` brings these into the target folder; without them the test says that it is
//! skipped. Where `KLAGG_PYTHON` names a Python, a missing reader is a failure.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use klagg_kline::{
    Kline, KlineRecord, KlineStatus, Period, Precision, Price, QuoteVolume, SymbolId, UnixMillis,
    Volume,
};
use klagg_store::{Store, StoreConfig, StoredKline, StoredSymbol};
use serde_json::json;

use crate::program::klagg;
use crate::store::DAY;

const SCRIPT: &str = include_str!("readers.py");

/// Rows whose numbers are awkward: open, high, low, close; then volume and taker's, then quote
/// volume and taker's, as their exact decimals with all digits.
const ROWS: [([&str; 4], [&str; 2], [&str; 2]); 5] = [
    // The smallest.
    (
        ["0.00000001", "0.00000002", "0.00000001", "0.00000001"],
        ["0.00000001", "0.00000000"],
        ["0.0000000000000001", "0.0000000000000000"],
    ),
    // The largest price, and volumes that no 64 bits hold at these decimals.
    (
        ["92233720368.54775807", "92233720368.54775807", "0.00000001", "1.00000000"],
        ["123456789012345678901234.12345678", "98765432109876543210.98765432"],
        ["9999999999999999999999.9999999999999999", "1234567890123456789012.1234567890123456"],
    ),
    // No trade.
    (
        ["1.10000000", "1.10000000", "1.10000000", "1.10000000"],
        ["0.00000000", "0.00000000"],
        ["0.0000000000000000", "0.0000000000000000"],
    ),
    // Integers beyond 2^53, halves that doubles round to even, a third as far as it goes.
    (
        ["90071992.54740993", "90071992.54740995", "0.33333333", "0.10000000"],
        ["9007199254740993.00000000", "9007199254740992.50000000"],
        ["0.3333333333333333", "0.1000000000000000"],
    ),
    // What a day looks like.
    (
        ["68094.60000000", "68999.90000000", "67500.00000000", "68100.10000000"],
        ["351923.63800000", "171923.10200000"],
        ["23963581237.4350800000000000", "11706999861.0000100000000000"],
    ),
];

fn kline(open_time: UnixMillis, at: usize) -> Kline {
    let (prices, bases, quotes) = ROWS[at % ROWS.len()];
    let [open, high, low, close] = prices.map(|text| Price::parse(text).unwrap());
    let [volume, taker_buy_volume] = bases.map(|text| Volume::parse(text).unwrap());
    let [quote_volume, taker_buy_quote_volume] =
        quotes.map(|text| QuoteVolume::parse(text).unwrap());
    Kline {
        volume,
        quote_volume,
        taker_buy_volume,
        taker_buy_quote_volume,
        open,
        high,
        low,
        close,
        trade_count: [1, u64::from(u32::MAX) + 7, 0, 3, 1_234_567][at % ROWS.len()],
        ..Kline::flat(open_time, open)
    }
}

/// What the readers are to find of a row.
fn expected(symbol: &str, period: Period, record: &KlineRecord, at: usize) -> String {
    let (prices, bases, quotes) = ROWS[at % ROWS.len()];
    let row = json!({
        "symbol": symbol, "period": period.as_str(), "status": record.status.as_str(),
        "open_time": record.kline.open_time.0,
        "close_time": period.close_time(record.kline.open_time).0,
        "open": prices[0], "high": prices[1], "low": prices[2], "close": prices[3],
        "volume": bases[0], "taker_buy_volume": bases[1],
        "quote_volume": quotes[0], "taker_buy_quote_volume": quotes[1],
        "count": record.kline.trade_count,
    });
    format!("{row}\n")
}

/// Fills a data folder with all fifteen periods of three symbols, and tells what is in it.
fn fill(folder: &Path) -> String {
    let mut store = Store::open(&StoreConfig::new(folder)).unwrap();
    let names = ["1000SATSUSDT", "币安人生USDT", "BTCUSDT"];
    let symbols: Vec<StoredSymbol> = (0..)
        .zip(names)
        .map(|(id, name)| StoredSymbol {
            id: SymbolId(id),
            name: name.to_owned(),
            first_open_time: UnixMillis(0),
            onboard_time: None,
            precision: Precision::new(8, 8).unwrap(),
            delisted: false,
        })
        .collect();
    store.append_symbols(&symbols).unwrap();
    let (mut rows, mut wanted) = (Vec::new(), String::new());
    for (symbol, name) in (0..).map(SymbolId).zip(names) {
        for period in Period::ALL {
            let mut open_time = period.open_time(UnixMillis(DAY));
            for at in 0..2 * ROWS.len() {
                let status = KlineStatus::ALL[2 + at % 3];
                let record = KlineRecord { kline: kline(open_time, at), revision: 0, status };
                wanted += &expected(name, period, &record, at);
                rows.push(StoredKline { symbol, period, record });
                open_time = period.next_open_time(open_time);
            }
        }
    }
    store.write(&rows).unwrap();
    wanted
}

/// The Python to use, or why there is none.
fn python() -> Result<PathBuf, String> {
    if let Some(named) = std::env::var_os("KLAGG_PYTHON") {
        return Ok(named.into());
    }
    let brought = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/tools/readers");
    let python = brought.join("bin/python");
    if python.is_file() && brought.join("complete").is_file() {
        return Ok(python);
    }
    Err("no pandas, polars and duckdb: `cargo xtask readers` brings them".to_owned())
}

fn read(python: &Path, args: &[&str]) -> Output {
    Command::new(python).args(["-c", SCRIPT]).args(args).output().unwrap()
}

#[test]
fn pandas_polars_and_duckdb_read_what_was_stored_without_a_hint() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().to_str().unwrap();
    let file = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let wanted = fill(folder.path());
    fs::write(file("expected"), &wanted).unwrap();
    let python = match python() {
        Ok(python) => python,
        Err(reason) => return println!("skipped: {reason}"),
    };
    let export = ["export", "--data-dir", path, "--format", "parquet", "--status", "--out"];
    for (kind, more) in [("doubles", &[][..]), ("decimals", &["--decimal"])] {
        let out = file(&format!("{kind}.parquet"));
        let run = klagg(&[&export[..], &[out.as_str()], more].concat());
        assert_eq!(run.status, 0, "{}", run.err);
        let output = read(&python, &[kind, &out, &file("expected")]);
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        // The comparison itself can fail: one digit of one row is enough.
        fs::write(file("wrong"), wanted.replacen("0.33333333", "0.33333334", 1)).unwrap();
        let output = read(&python, &[kind, &out, &file("wrong")]);
        let words = String::from_utf8_lossy(&output.stderr);
        assert!(words.contains("row 3, low: ") && words.contains("0.33333334"), "{words}");
    }
}
