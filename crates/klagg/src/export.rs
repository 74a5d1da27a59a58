//! `klagg export`: what the store holds, as CSV, JSON lines or Parquet.
//!
//! Always true here:
//! - The data folder is only read, so it works beside a running klagg. Each page of klines is one
//!   state of the database; no page keeps the database's log from being cut.
//! - Memory is bounded: a page of klines, and for Parquet a row group.
//! - Closed klines by symbol number, then period, then time. Open ones are left out.
//! - A file is replaced only by a whole one. What could not be read is said, and ends with
//!   status 1.

mod held;
mod output;
pub(crate) mod pages;
mod parquet;
pub(crate) mod span;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use clap::{Args, ValueEnum};
use indicatif::{ProgressBar, ProgressDrawTarget};
use klagg_kline::{KlineStatus, Period, UnixMillis};
use klagg_store::{StoreError, StoreReader, StoredSymbol};

use crate::exit::Exit;
use crate::export::output::Output;
use crate::export::pages::Pages;
use crate::logs::say;
use crate::progress::styled;
use crate::replay::fold::NamedKline;

/// How long a read waits for a database that is being opened or closed by somebody else.
pub(crate) const BUSY_TIMEOUT: Duration = Duration::from_secs(5);

/// What `export` is told on the command line.
#[derive(Debug, Args)]
pub(crate) struct ExportArgs {
    /// The data folder of a klagg, which may be running.
    #[arg(long, value_name = "FOLDER")]
    data_dir: PathBuf,
    /// Only these symbols; repeatable or separated by commas. A name that was listed several times
    /// means its newest listing. Without it: all, ended ones and earlier listings among them.
    #[arg(long = "symbol", value_name = "SYMBOL", value_delimiter = ',')]
    symbols: Vec<String>,
    /// Only these periods; repeatable or separated by commas. Without it: all.
    #[arg(long = "period", value_name = "PERIOD", value_delimiter = ',')]
    periods: Vec<Period>,
    /// The first open time: a date, a date and time (UTC unless it says otherwise), or Unix
    /// milliseconds.
    #[arg(long, value_name = "TIME", value_parser = span::parse)]
    from: Option<UnixMillis>,
    /// Open times before this one.
    #[arg(long, value_name = "TIME", value_parser = span::parse)]
    to: Option<UnixMillis>,
    /// How klines are written.
    #[arg(long, value_enum, default_value_t = ExportFormat::Csv)]
    format: ExportFormat,
    /// Parquet: exact decimals instead of doubles. The texts are always exact.
    #[arg(long)]
    decimal: bool,
    /// CSV and Parquet: a column that tells the status of each kline. JSON always tells it.
    #[arg(long)]
    status: bool,
    /// Write to this file instead of stdout. It is replaced once all was written.
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// No progress bar and no summary; warnings stay.
    #[arg(long, short)]
    quiet: bool,
}

/// How klines are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum ExportFormat {
    /// The exchange's dump layout, preceded by symbol and period.
    Csv,
    /// One JSON object a line.
    Jsonl,
    /// Apache Parquet, for pandas, polars, `DuckDB` and the like.
    Parquet,
}

/// What was written and what was not.
#[derive(Debug, Default)]
struct Tally {
    klines: u64,
    unconfirmed: u64,
    damaged: u64,
    first_damaged: Option<String>,
}

/// Writes what is asked for.
///
/// # Errors
/// If the store cannot be read, a symbol is not in it, or the klines cannot be written.
pub(crate) fn run(args: &ExportArgs) -> anyhow::Result<Exit> {
    export(args).map_err(advised)
}

/// The error, and of a damaged store who says what to do.
pub(crate) fn advised(error: anyhow::Error) -> anyhow::Error {
    match error.downcast_ref() {
        Some(StoreError::Corrupt { .. }) => anyhow::anyhow!("{error:#}: see `klagg doctor`"),
        _ => error,
    }
}

fn export(args: &ExportArgs) -> anyhow::Result<Exit> {
    if let (Some(from), Some(to)) = (args.from, args.to)
        && from >= to
    {
        anyhow::bail!("--from is not before --to: there is no time between them");
    }
    let reader = StoreReader::open_folder(&args.data_dir, BUSY_TIMEOUT)?;
    let symbols = wanted(&reader.symbols()?, &args.symbols, &args.data_dir)?;
    let periods = if args.periods.is_empty() { Period::ALL.to_vec() } else { periods(args) };
    let output = Output::open(args.out.as_deref(), args.format, args.status, args.decimal)?;
    let (tally, is_whole) = write(args, &reader, (&symbols, &periods), output)?;
    if tally.damaged > 0 {
        say(&format!(
            "warning: {} damaged rows were left out, first {}; `klagg doctor` says more",
            tally.damaged,
            tally.first_damaged.as_deref().unwrap_or_default()
        ));
    }
    if !args.quiet {
        let unsure = match tally.unconfirmed {
            0 => String::new(),
            count => format!(", {count} of them not confirmed (--status tells which)"),
        };
        let cut = if is_whole { "" } else { "; the reader went away" };
        say(&format!("{} klines written{unsure}{cut}", tally.klines));
    }
    let is_nothing = tally.klines == 0 && tally.damaged == 0 && is_whole && !args.quiet;
    let is_missing = |&period: &Period| held::is_missing(&reader, &symbols, period);
    if is_nothing || args.periods.iter().any(is_missing) {
        // All is written: whatever is damaged beside it is no reason to fail.
        let sentence = held::held(&reader, &symbols).map_or_else(
            |error| format!("what the store holds cannot be told: {error}: see `klagg doctor`"),
            |held| held::sentence(&held),
        );
        say(&format!("warning: {sentence}"));
    }
    Ok(if tally.damaged > 0 { Exit::Different } else { Exit::Success })
}

/// Periods in the order asked for, each once.
fn periods(args: &ExportArgs) -> Vec<Period> {
    let mut wanted: Vec<Period> = Vec::new();
    for &period in &args.periods {
        if !wanted.contains(&period) {
            wanted.push(period);
        }
    }
    wanted
}

/// The stored symbols that are asked for, in the order of their numbers.
fn wanted(
    stored: &[StoredSymbol],
    names: &[String],
    folder: &Path,
) -> anyhow::Result<Vec<StoredSymbol>> {
    let missing = names.iter().find(|name| !stored.iter().any(|symbol| symbol.name == **name));
    if let Some(name) = missing {
        anyhow::bail!("{} holds no symbol {name}", folder.display());
    }
    let newest = |name: &String| stored.iter().rfind(|symbol| symbol.name == *name);
    let chosen: Vec<_> = names.iter().filter_map(newest).map(|symbol| symbol.id).collect();
    let is_wanted = |symbol: &&StoredSymbol| names.is_empty() || chosen.contains(&symbol.id);
    Ok(stored.iter().filter(is_wanted).cloned().collect())
}

/// Writes all klines, and tells whether whoever reads them took them all.
fn write(
    args: &ExportArgs,
    reader: &StoreReader,
    (symbols, periods): (&[StoredSymbol], &[Period]),
    mut output: Output,
) -> anyhow::Result<(Tally, bool)> {
    let bar = progress_bar(reader, (symbols, periods), args);
    let mut tally = Tally::default();
    for symbol in symbols {
        bar.set_message(symbol.name.clone());
        let name: Arc<str> = Arc::from(symbol.name.as_str());
        for &period in periods {
            let mut pages = Pages::new(reader, symbol.id, period, (args.from, args.to));
            while let Some(page) = pages.next_page()? {
                if let Some(&open_time) = page.damaged.iter().chain(&page.missing).min() {
                    tally.damaged += (page.damaged.len() + page.missing.len()) as u64;
                    let row = || format!("{name} {period} at {}", span::shown(open_time));
                    tally.first_damaged.get_or_insert_with(row);
                }
                let records = page.records.into_iter();
                let klines: Vec<NamedKline> = records
                    .map(|record| NamedKline {
                        symbol: Arc::clone(&name),
                        period,
                        precision: symbol.precision,
                        record,
                    })
                    .collect();
                bar.inc(klines.len() as u64);
                tally.klines += klines.len() as u64;
                let unconfirmed =
                    |named: &&NamedKline| named.record.status != KlineStatus::Confirmed;
                tally.unconfirmed += klines.iter().filter(unconfirmed).count() as u64;
                if !output.write(klines)? {
                    bar.finish_and_clear();
                    return Ok((tally, false));
                }
            }
        }
    }
    bar.finish_and_clear();
    let is_whole = output.finish()?;
    Ok((tally, is_whole))
}

/// A bar on a terminal. Its length is what there would be without holes.
fn progress_bar(
    reader: &StoreReader,
    (symbols, periods): (&[StoredSymbol], &[Period]),
    args: &ExportArgs,
) -> ProgressBar {
    if args.quiet {
        return ProgressBar::hidden();
    }
    let mut total = 0;
    for symbol in symbols {
        for &period in periods {
            // A coverage that cannot be read is an error where the klines are read.
            let Ok(Some((first, last))) = reader.stored(symbol.id, period) else { continue };
            let from = args.from.map_or(first, |from| from.max(first));
            let to = args.to.map_or(last, |to| to.min(last));
            let millis = period.next_open_time(from).since(period.open_time(from)).max(1);
            total += u64::try_from(to.since(from) / millis + 1).unwrap_or_default();
        }
    }
    let style = styled("{bar:30} {human_pos}/{human_len} klines, {rate}{left}, {wide_msg}");
    ProgressBar::with_draw_target(Some(total), ProgressDrawTarget::stderr()).with_style(style)
}
