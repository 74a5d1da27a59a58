//! `klagg replay`: recorded trades to klines, through the decoder and the fold of the live path.
//!
//! Always true here:
//! - Memory grows with the klines, not with the trades.
//! - Nothing is printed before all inputs were read: a run that fails prints no kline.
//! - A kline is printed when its time is over, that is when a later trade of its symbol was seen;
//!   the last one of each period is open and left out unless asked for. No timer and no other
//!   symbol's trade closes it: a recording does not prove that it was still running.
//!
//! Deliberately absent: comparing (that is [`crate::verify`]), storing.

pub(crate) mod fold;
pub(crate) mod input;
pub(crate) mod print;

use std::path::PathBuf;

use anyhow::Context;
use clap::{Args, ValueEnum};
use klagg_kline::Period;
use klagg_tape::SourceOptions;

use crate::exit::Exit;
use crate::logs::say;
use crate::replay::fold::Fold;
use crate::replay::print::Columns;

/// What `replay` is told on the command line.
#[derive(Debug, Args)]
pub(crate) struct ReplayArgs {
    /// Recorded trades, in the order of time: dumps, REST replies, frames or tapes, plain or
    /// packed. What a file is, its content tells.
    #[arg(required = true, value_name = "INPUT")]
    inputs: Vec<PathBuf>,
    /// Only this period; repeatable. Without it: 1m 5m 30m 1h 4h 1d.
    #[arg(long = "period", value_name = "PERIOD")]
    periods: Vec<Period>,
    /// How klines are printed.
    #[arg(long, value_enum, default_value_t = Format::Csv)]
    format: Format,
    /// Print to this file instead of stdout. It is replaced once all inputs were read.
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// The symbol of inputs that do not name theirs; of those that do, only this one's trades.
    #[arg(long)]
    symbol: Option<String>,
    /// A reply of the exchange's exchangeInfo, for the printed decimals. Without it: as many as
    /// the finest trade of the symbol has.
    #[arg(long, value_name = "FILE")]
    exchange_info: Option<PathBuf>,
    /// Print the unfinished klines as well, and a column that tells the status of each.
    #[arg(long)]
    include_open: bool,
    /// The inputs hold whole UTC days: finish the klines of the last day although no later trade
    /// was seen.
    #[arg(long)]
    whole_days: bool,
    /// No progress bar and no summary; warnings stay.
    #[arg(long, short)]
    quiet: bool,
}

/// How klines are printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// The exchange's dump layout, preceded by symbol and period.
    Csv,
    /// One JSON object a line.
    Jsonl,
}

/// Reads the inputs, folds their trades and prints the klines.
///
/// # Errors
/// If an input cannot be used or the klines cannot be written.
pub(crate) fn run(args: &ReplayArgs) -> anyhow::Result<Exit> {
    let wanted = if args.periods.is_empty() { &Period::DEFAULT[..] } else { &args.periods };
    let mut fold = Fold::new(wanted)?;
    // Read first: a wrong path should not cost a long run.
    let precisions = match &args.exchange_info {
        Some(path) => input::precisions(path)?,
        None => std::collections::HashMap::new(),
    };
    let options = SourceOptions { symbol: args.symbol.clone() };
    let read = input::read(&args.inputs, &options, args.quiet, |row| fold.push(row))?;
    fold.finish(args.whole_days);
    let summary = fold.summary();
    let columns = Columns { format: args.format, with_status: args.include_open };
    let klines = fold.into_klines(wanted, args.include_open, &precisions);
    let written = match &args.out {
        Some(path) => std::fs::File::create(path)
            .and_then(|file| print::write(file, &klines, columns))
            .with_context(|| format!("cannot write {}", path.display()))?,
        None => print::write(std::io::stdout().lock(), &klines, columns)
            .context("cannot write to stdout")?,
    };
    input::warn(&read);
    if !args.quiet {
        say(&input::describe(&read));
        say(&summary.to_string());
        say(&format!("{written} klines printed"));
    }
    Ok(Exit::Success)
}
