//! Question: how much memory does the history of 600 symbols of six periods take when it is full?
//!
//! Prints the growth of the resident memory, as the operating system counts it, and what that is
//! for each kline. Needs Linux: elsewhere it says so.

use std::fs;
use std::process::ExitCode;

use klagg_bench::Series;
use klagg_engine::{HistoryConfig, HistoryWriter, history};
use klagg_kline::{PeriodSet, SymbolId};

const SYMBOLS: usize = 600;
const KLINES: usize = 1_000;
/// Days since the exchange opened, in late 2026: no symbol has more.
const DAYS: usize = 2_640;
const MIB: f64 = (1 << 20) as f64;

#[expect(clippy::print_stdout, clippy::cast_precision_loss, reason = "a table for people")]
fn main() -> ExitCode {
    println!("| {SYMBOLS} symbols × six periods, full | klines | RSS growth | a kline |");
    println!("| --- | --- | --- | --- |");
    let cases = [
        (format!("{KLINES} of each period"), KLINES),
        (format!("{KLINES} of each, {DAYS} days for every symbol"), DAYS),
    ];
    // Kept: what one gives back, the next would take without growth.
    let mut held = Vec::new();
    for (name, days) in cases {
        let Some(before) = resident_bytes() else {
            println!("skipped: /proc/self/status cannot be read here");
            return ExitCode::FAILURE;
        };
        let (writer, klines) = full(days);
        held.push(writer);
        let grown = resident_bytes().unwrap_or(before).saturating_sub(before) as f64;
        let each = grown / klines as f64;
        println!("| {name} | {klines} | {:.0} MiB | {each:.1} bytes |", grown / MIB);
    }
    ExitCode::SUCCESS
}

/// A full history, and how many klines it holds.
fn full(days: usize) -> (HistoryWriter, usize) {
    let capacity = vec![KLINES, KLINES, KLINES, KLINES, KLINES, days];
    let periods = PeriodSet::default();
    let config = HistoryConfig {
        periods,
        symbols_max: SYMBOLS,
        capacity: capacity.clone(),
        log_capacity: 1,
    };
    let (mut writer, reader) = history(config).expect("numbers that work");
    let mut klines = 0;
    for at in 0..SYMBOLS {
        let id = SymbolId(u32::try_from(at).unwrap_or(0));
        for (index, &period) in reader.periods().as_slice().iter().enumerate() {
            // One by one: the klines on their way in are not what is measured.
            for record in Series::new(at, period).take(capacity[index]) {
                klines += writer.apply(id, index, &[record]).applied;
            }
        }
    }
    (writer, klines)
}

/// What the operating system says this process holds.
fn resident_bytes() -> Option<u64> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kibibytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kibibytes * 1024)
}
