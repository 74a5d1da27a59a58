//! Question: does an export take more memory the more klines there are?
//!
//! Fills a store with five million klines of ten symbols, then with twenty, exports each in every
//! format by the real program, and prints the most memory that this took, as the operating system
//! counts it. Needs Linux, about 3 GB in the folder for temporary files, and the program: by
//! default `target/release/klagg`, else what the first argument names.

use std::path::Path;
use std::process::{Command, ExitCode, Stdio};
use std::time::Duration;
use std::{fs, thread};

use klagg_bench::Series;
use klagg_kline::{Period, Precision, SymbolId, UnixMillis};
use klagg_store::{Durability, OpenCheck, Store, StoreConfig, StoredKline, StoredSymbol};

const SYMBOLS: u32 = 10;
/// Minutes of each symbol.
const MINUTES: [usize; 2] = [500_000, 2_000_000];
/// Minutes that are written at once.
const BATCH: usize = 2_000;
const FORMATS: [&[&str]; 4] = [&["csv"], &["jsonl"], &["parquet"], &["parquet", "--decimal"]];

#[expect(clippy::print_stdout, reason = "a table for people")]
fn main() -> ExitCode {
    let program = std::env::args().nth(1).unwrap_or_else(|| "target/release/klagg".to_owned());
    println!("| klines | format | most memory |");
    println!("| --- | --- | --- |");
    for minutes in MINUTES {
        let folder = tempfile::tempdir().expect("a folder");
        fill(folder.path(), minutes);
        let klines = minutes * SYMBOLS as usize;
        for format in FORMATS {
            let Some(kib) = peak_kib(&program, folder.path(), format) else {
                println!("skipped: {program} does not export, or /proc cannot be read here");
                return ExitCode::FAILURE;
            };
            println!("| {klines} | {} | {:.1} MiB |", format.join(" "), kib / 1_024.0);
        }
    }
    ExitCode::SUCCESS
}

/// A store with so many minutes of each symbol.
fn fill(folder: &Path, minutes: usize) {
    let config = StoreConfig {
        durability: Durability::Normal,
        check: OpenCheck::Header,
        ..StoreConfig::new(folder)
    };
    let mut store = Store::open(&config).expect("a store can be made");
    let symbol = |id| StoredSymbol {
        id: SymbolId(id),
        name: format!("S{id}USDT"),
        first_open_time: UnixMillis(0),
        onboard_time: None,
        precision: Precision::new(2, 3).expect("a precision"),
        delisted: false,
    };
    store.append_symbols(&(0..SYMBOLS).map(symbol).collect::<Vec<_>>()).expect("symbols");
    let mut all: Vec<(SymbolId, Series)> =
        (0..SYMBOLS).map(|id| (SymbolId(id), Series::new(id as usize, Period::M1))).collect();
    for _ in 0..minutes / BATCH {
        let rows = all.iter_mut().flat_map(|(symbol, series)| {
            let symbol = *symbol;
            let stored = move |record| StoredKline { symbol, period: Period::M1, record };
            series.take(BATCH).map(stored)
        });
        store.write(&rows.collect::<Vec<_>>()).expect("the disk takes it");
    }
}

/// The most memory, in KiB, that an export took; `None` if it failed.
fn peak_kib(program: &str, folder: &Path, format: &[&str]) -> Option<f64> {
    let mut export = Command::new(program)
        .args(["export", "--quiet", "--data-dir"])
        .arg(folder)
        .arg("--format")
        .args(format)
        .stdout(Stdio::null())
        .spawn()
        .ok()?;
    let status = format!("/proc/{}/status", export.id());
    let mut peak = None;
    loop {
        // What it was at most until now: only what the very end adds could be overlooked.
        let said = fs::read_to_string(&status).unwrap_or_default();
        let line = said.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let kib = line.and_then(|line| line.split_whitespace().next()?.parse::<f64>().ok());
        peak = kib.or(peak);
        if let Some(ended) = export.try_wait().ok()? {
            return peak.filter(|_| ended.success());
        }
        thread::sleep(Duration::from_millis(5));
    }
}
