//! `klagg doctor`: whether a store is what it says, and what to do if it is not.
//!
//! Always true here:
//! - The data folder is only read; a klagg may run on it. What it adds meanwhile is no finding.
//! - Memory does not grow with the store, only with the number of its symbols.
//! - A finding names its place. Klines that are missing where the store says that they are is a
//!   finding; history that is still to be fetched is none, and is counted.
//!
//! Deliberately absent: repairing. The exchange has the truth, and `run` and `import` fetch it.

mod findings;
mod rollup;
mod walk;

use std::path::PathBuf;

use anyhow::Context;
use clap::Args;
use indicatif::{ProgressBar, ProgressDrawTarget};
use klagg_kline::Period;
use klagg_store::{Census, StoreError, StoreReader, StoredSymbol};
use klagg_symbols::SymbolIndex;

use crate::doctor::findings::{Findings, Kind};
use crate::exit::Exit;
use crate::export::BUSY_TIMEOUT;
use crate::export::span;
use crate::progress::styled;

/// More than any market lists.
const SYMBOLS_MAX: usize = 1_000_000;

/// What `doctor` is told on the command line.
#[derive(Debug, Args)]
pub(crate) struct DoctorArgs {
    /// The data folder of a klagg, which may be running.
    #[arg(long, value_name = "FOLDER")]
    data_dir: PathBuf,
    /// No progress bar, and no word if all is well.
    #[arg(long, short)]
    quiet: bool,
}

/// What was looked at.
#[derive(Debug, Default)]
struct Seen {
    klines: u64,
    unconfirmed: u64,
    /// Longer klines compared with their minutes.
    compared: u64,
}

/// Checks the store and prints what is found.
///
/// # Errors
/// If there is no store, or one that this program does not know.
pub(crate) fn run(args: &DoctorArgs) -> anyhow::Result<Exit> {
    let mut findings = Findings::default();
    let mut seen = Seen::default();
    let opened = StoreReader::open_folder(&args.data_dir, BUSY_TIMEOUT);
    let checked = opened.and_then(|reader| check(&reader, &mut findings, &mut seen, args.quiet));
    match checked {
        Ok(()) => {}
        // A store so damaged that it cannot be read on was checked: this is what was found.
        Err(StoreError::Corrupt { path, detail }) => {
            findings.add(Kind::File, &path.display().to_string(), || detail);
        }
        Err(error) => return Err(error).context("the store was not checked"),
    }
    let mut report = vec![findings.report()];
    if !args.quiet || !findings.is_empty() {
        let Seen { klines, unconfirmed, compared } = seen;
        report.push(format!(
            "{}: {klines} closed klines read, {unconfirmed} of them not confirmed yet; \
             {compared} longer ones compared with their minutes\n",
            findings.verdict()
        ));
    }
    write_stdout(&report.concat())?;
    Ok(if findings.is_empty() { Exit::Success } else { Exit::Different })
}

fn check(
    reader: &StoreReader,
    findings: &mut Findings,
    seen: &mut Seen,
    quiet: bool,
) -> Result<(), StoreError> {
    let target = if quiet { ProgressDrawTarget::hidden() } else { ProgressDrawTarget::stderr() };
    let bar = ProgressBar::with_draw_target(Some(1), target);
    bar.set_style(styled("{bar:30} {pos}/{len} symbols{left}, {wide_msg}"));
    bar.set_message("the file's pages");
    for finding in reader.quick_check()? {
        findings.add(Kind::File, "SQLite", || finding);
    }
    bar.set_message("counting rows");
    // Before the symbols: one that a running klagg lists meanwhile has its name when it is asked.
    let census = reader.census()?;
    let symbols = reader.symbols()?;
    check_symbols(&symbols, findings);
    check_census(&census, symbols.len(), findings);
    bar.set_length(symbols.len() as u64);
    for symbol in &symbols {
        bar.set_message(symbol.name.clone());
        walk::check(reader, symbol, &census, findings, seen)?;
        bar.inc(1);
    }
    check_open(reader, &symbols, findings)?;
    bar.finish_and_clear();
    Ok(())
}

/// Whether the numbering can be one.
fn check_symbols(symbols: &[StoredSymbol], findings: &mut Findings) {
    let entries = symbols.iter().map(klagg_backfill::entry).collect();
    if let Err(error) = SymbolIndex::from_entries(entries, SYMBOLS_MAX) {
        findings.add(Kind::Symbols, "numbering", || error.to_string());
    }
    for symbol in symbols {
        let first = symbol.first_open_time;
        if Period::D1.open_time(first) != first {
            let detail = || format!("its first day begins at {}", span::shown(first));
            findings.add(Kind::Symbols, &symbol.name, detail);
        }
    }
}

/// Rows that lie where nothing looks for them.
fn check_census(census: &Census, symbols: usize, findings: &mut Findings) {
    if census.misplaced > 0 {
        let detail = || format!("{} rows with an impossible place", census.misplaced);
        findings.add(Kind::Lost, "history", detail);
    }
    if census.unlisted > 0 {
        let detail = || format!("{} rows that the SQL views do not show", census.unlisted);
        findings.add(Kind::Lost, "history", detail);
    }
    for ((symbol, period), slot) in &census.slots {
        if symbol.index() >= symbols {
            let detail = || format!("{} rows of a symbol that has no name", slot.rows);
            findings.add(Kind::Lost, &format!("{symbol} {period}"), detail);
        }
    }
}

/// The table of open klines.
fn check_open(
    reader: &StoreReader,
    symbols: &[StoredSymbol],
    findings: &mut Findings,
) -> Result<(), StoreError> {
    let open = match reader.open_klines() {
        Ok(open) => open,
        Err(StoreError::DamagedRows { symbol, period, .. }) => {
            let detail = || "its open kline does not match its checksum".to_owned();
            findings.add(Kind::Damaged, &format!("{symbol} {period}"), detail);
            return Ok(());
        }
        Err(error) => return Err(error),
    };
    for row in open {
        let kline = &row.record.kline;
        let is_placed = row.period.open_time(kline.open_time) == kline.open_time;
        if !is_placed || kline.validate().is_err() {
            let name = symbols.get(row.symbol.index()).map_or("?", |symbol| symbol.name.as_str());
            let detail = || format!("its open kline at {} is none", span::shown(kline.open_time));
            findings.add(Kind::Impossible, &format!("{name} {}", row.period), detail);
        }
    }
    Ok(())
}

/// Writes to stdout; a reader that has gone away is no error.
fn write_stdout(text: &str) -> anyhow::Result<()> {
    use std::io::Write;
    match std::io::stdout().write_all(text.as_bytes()) {
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => Err(error.into()),
        _ => Ok(()),
    }
}
