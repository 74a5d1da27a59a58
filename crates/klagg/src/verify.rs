//! `klagg verify`: our klines of recorded trades against the exchange's own.
//!
//! Compared are the nine values of every kline that the trades cover:
//! - A kline that the engine calls closed is compared.
//! - One at the edge of the recording (the first, the unfinished last, or one around a gap) is
//!   compared if all nine values are equal, which an incomplete kline cannot be by chance; else
//!   it is *incomplete* and says nothing.
//! - Klines that the exchange has and the trades do not touch are *not covered*.
//! - Kline frames are states of a kline that is still growing: each is compared with our fold up
//!   to its last raw id, see [`frames`].
//!
//! A difference that a straddling aggregate makes is *explained*, see [`straddle`]. The status is
//! 0 if every value is equal or explained, 1 if one is different (with `--strict`: or explained),
//! 2 if nothing could be compared.

mod compare;
mod field;
mod frames;
mod report;
mod straddle;

use std::path::PathBuf;

use clap::Args;
use klagg_kline::Period;
use klagg_tape::{KlineSource, SourceKline, SourceOptions};

use crate::exit::Exit;
use crate::logs::say;
use crate::replay::fold::Fold;
use crate::replay::input;
use crate::verify::compare::Expected;
use crate::verify::field::Field;
use crate::verify::frames::FrameCheck;
use crate::verify::report::Report;

/// Klines of one file that are kept for comparing: 20 years of minutes.
const KLINES_MAX: usize = 10_500_000;

/// What `verify` is told on the command line.
#[derive(Debug, Args)]
pub(crate) struct VerifyArgs {
    /// Recorded trades, in the order of time, as `replay` takes them.
    #[arg(required = true, value_name = "TRADES")]
    trades: Vec<PathBuf>,
    /// The exchange's klines: a dump, a REST reply, or recorded kline frames; may be the same
    /// file as the trades.
    #[arg(long, value_name = "FILE", required = true)]
    klines: PathBuf,
    /// The symbol of files that do not name theirs; of those that do, only this one.
    #[arg(long)]
    symbol: Option<String>,
    /// Leave a value out of the verdict; repeatable.
    #[arg(long, value_enum, value_name = "FIELD")]
    ignore: Vec<Field>,
    /// Call explained differences different.
    #[arg(long)]
    strict: bool,
    /// How many of the worst klines are listed.
    #[arg(long, default_value_t = 10, value_name = "COUNT")]
    worst: usize,
    /// No progress bar and no summary of what was read; warnings stay.
    #[arg(long, short)]
    quiet: bool,
}

/// Compares and prints.
///
/// # Errors
/// If a file cannot be used, or nothing could be compared.
pub(crate) fn run(args: &VerifyArgs) -> anyhow::Result<Exit> {
    let options = SourceOptions { symbol: args.symbol.clone() };
    let (rows, kline_rows) = klines(args, &options)?;
    let mut periods: Vec<Period> = rows.iter().map(|row| row.period).collect();
    periods.sort_unstable();
    periods.dedup();
    let mut fold = Fold::new(&periods)?;
    let mut report = Report::new(&args.ignore);
    let (states, finals): (Vec<_>, Vec<_>) = rows.into_iter().partition(|row| row.is_frame);
    let mut check = FrameCheck::new(states);
    let mut expected = Expected::new(finals);
    let read = input::read(&args.trades, &options, args.quiet, |row| {
        check.before(row, &fold, &mut report);
        expected.note(row);
        fold.push(row)
    })?;
    check.finish(&fold, &mut report);
    fold.finish(false);
    expected.compare(&fold, &mut report);
    input::warn(&read);
    if !args.quiet {
        say(&input::describe(&read));
        say(&kline_rows);
        say(&fold.summary().to_string());
    }
    report::print(&report, args.worst)?;
    if report.compared() == 0 {
        anyhow::bail!(
            "nothing to compare: no kline of {} is covered by the trades",
            args.klines.display()
        );
    }
    Ok(if report.is_different(args.strict) { Exit::Different } else { Exit::Success })
}

/// Reads the klines to compare with, and says in a line what they are.
fn klines(
    args: &VerifyArgs,
    options: &SourceOptions,
) -> anyhow::Result<(Vec<SourceKline>, String)> {
    let path = args.klines.display();
    let mut source = KlineSource::open(&args.klines, options)?;
    let mut rows = Vec::new();
    let (mut open, mut from_doubles) = (0, 0);
    while let Some(row) = source.next_kline()? {
        // An open row that is no frame does not tell up to which trade it goes.
        if !row.is_frame && !row.is_closed {
            open += 1;
            continue;
        }
        if rows.len() == KLINES_MAX {
            anyhow::bail!("{path} holds more than {KLINES_MAX} klines");
        }
        from_doubles += u64::from(row.from_doubles);
        rows.push(row);
    }
    let malformed = source.counters().malformed;
    if malformed > 0 {
        say(&format!("warning: {malformed} malformed rows of {path} were skipped"));
        source.counters().samples.iter().for_each(|sample| say(&format!("  {sample}")));
    }
    let mut text = format!("{} klines to compare with", rows.len());
    for (count, what) in
        [(open, "open ones left out"), (from_doubles, "printed from doubles, noise removed")]
    {
        if count > 0 {
            text.extend([", ", &count.to_string(), " ", what]);
        }
    }
    Ok((rows, text))
}
