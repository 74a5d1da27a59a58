//! `klagg import`: the exchange's dumps of klines into the store, as confirmed klines.
//!
//! Always true here:
//! - A file is read to its end and found good before a row of it is written; a bad one is refused
//!   whole, with its counts and the first bad rows. What is written is committed at once, but for
//!   files of more than [`write::COMMIT_ROWS`] rows, which are committed in pieces, oldest first.
//! - A confirmed kline that is stored is never changed: a file that contradicts one is refused.
//! - The numbering is permanent, so symbols that the store does not know are refused, unless
//!   `--add-symbols` is given. Those are then numbered in the order of their first day in the
//!   files, then by name, after all that have a number: as the exchange's own list would be, if
//!   the files begin with the listing.
//!
//! Deliberately absent: fetching dumps.

mod checksum;
mod judge;
mod numbering;
mod survey;
mod write;

use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use clap::Args;
use indicatif::{ProgressBar, ProgressDrawTarget};
use klagg_kline::UnixMillis;
use klagg_store::{Store, StoreConfig};
use klagg_tape::SourceOptions;

use crate::exit::Exit;
use crate::export::advised;
use crate::import::judge::Rules;
use crate::import::survey::{Refusal, Survey};
use crate::logs::say;
use crate::progress::styled;

/// How often the bar is drawn while a file is read.
const TICK: Duration = Duration::from_secs(1);

/// What `import` is told on the command line.
#[derive(Debug, Args)]
pub(crate) struct ImportArgs {
    /// The exchange's dumps of klines, plain or packed, or what `klagg export --status` wrote. A
    /// FILE.CHECKSUM beside one is checked.
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    /// The data folder, which no running klagg may hold.
    #[arg(long, value_name = "FOLDER")]
    data_dir: PathBuf,
    /// The symbol of files that do not name theirs; of those that do, only this one.
    #[arg(long)]
    symbol: Option<String>,
    /// Number symbols that the store does not know, by their first day in the files.
    #[arg(long)]
    add_symbols: bool,
    /// Leave bad rows out instead of refusing their file.
    #[arg(long)]
    skip_bad: bool,
    /// Only what was refused.
    #[arg(long, short)]
    quiet: bool,
}

/// What became of all files.
#[derive(Debug, Default)]
struct Tally {
    files: u64,
    refused_files: u64,
    written: u64,
    unchanged: u64,
    refused: u64,
}

/// Imports what is good.
///
/// # Errors
/// If the store cannot be held or written. What was committed before stays.
pub(crate) fn run(args: &ImportArgs) -> anyhow::Result<Exit> {
    import_all(args).map_err(advised)
}

fn import_all(args: &ImportArgs) -> anyhow::Result<Exit> {
    let config = StoreConfig::new(&args.data_dir);
    // Held before the files are read: that another klagg runs should not be told after an hour.
    let held = match has_store(&args.data_dir) {
        true => Some(Store::open(&config)?),
        false if args.add_symbols => None,
        false => anyhow::bail!(
            "{} holds no store: let klagg run there first, or give --add-symbols",
            args.data_dir.display()
        ),
    };
    let options = SourceOptions { symbol: args.symbol.clone() };
    let rules = Rules { now: now(), skip_bad: args.skip_bad };
    let files: Vec<&PathBuf> = args.files.iter().filter(|path| !checksum::is_one(path)).collect();
    anyhow::ensure!(!files.is_empty(), "nothing to import but checksums");
    let bar = progress_bar(2 * files.len() as u64, args.quiet);
    let mut tally = Tally { files: files.len() as u64, ..Tally::default() };
    let mut surveys = Vec::new();
    for path in files {
        bar.set_message(path.display().to_string());
        match survey::survey(path, &options, rules) {
            Ok(survey) => surveys.push(survey),
            Err(refusal) => refuse(&bar, &mut tally, path, &refusal),
        }
        bar.inc(1);
    }
    if !surveys.is_empty() {
        let mut store = match held {
            Some(store) => store,
            None => Store::open(&config)?,
        };
        import(args, &mut store, (surveys, rules), (&bar, &mut tally))?;
    }
    bar.finish_and_clear();
    Ok(summary(args, &tally))
}

fn import(
    args: &ImportArgs,
    store: &mut Store,
    (surveys, rules): (Vec<Survey>, Rules),
    (bar, tally): (&ProgressBar, &mut Tally),
) -> anyhow::Result<()> {
    let options = SourceOptions { symbol: args.symbol.clone() };
    let numbering = numbering::prepare(store, &surveys, args.add_symbols)?;
    if !args.quiet {
        numbering.added.iter().for_each(|line| bar.suspend(|| say(line)));
    }
    for survey in surveys {
        bar.set_message(survey.path.display().to_string());
        let file = write::File { survey: &survey, options: &options, rules };
        match write::write(store, &numbering, &file)? {
            Ok(outcome) => {
                tally.written += outcome.written;
                tally.unchanged += outcome.unchanged;
                tally.refused += outcome.refused;
                if !args.quiet || outcome.refused > 0 {
                    bar.suspend(|| say(&format!("{}: {outcome}", survey.path.display())));
                    outcome.reasons.iter().for_each(|line| bar.suspend(|| say(line)));
                }
            }
            Err(refusal) => refuse(bar, tally, &survey.path, &refusal),
        }
        bar.inc(1);
    }
    Ok(())
}

fn refuse(bar: &ProgressBar, tally: &mut Tally, path: &Path, refusal: &Refusal) {
    tally.refused_files += 1;
    tally.refused += refusal.rows;
    bar.suspend(|| {
        let rows =
            if refusal.rows == 0 { String::new() } else { format!("{} rows ", refusal.rows) };
        say(&format!("{}: {rows}refused: {}", path.display(), refusal.reason));
        refusal.samples.iter().for_each(|sample| say(sample));
    });
}

fn summary(args: &ImportArgs, tally: &Tally) -> Exit {
    let Tally { files, refused_files, written, unchanged, refused } = tally;
    if !args.quiet {
        say(&format!(
            "{} of {files} files imported: {written} klines written, {unchanged} unchanged; \
             {refused} rows refused",
            files - refused_files
        ));
    }
    match *refused_files {
        0 => Exit::Success,
        count if count == *files => Exit::Failed,
        _ => Exit::Different,
    }
}

fn has_store(folder: &Path) -> bool {
    folder.join("klagg.db").exists()
}

#[expect(clippy::disallowed_methods, reason = "the rim: a kline whose time is not over is refused")]
fn now() -> UnixMillis {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    UnixMillis(i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
}

/// A bar on a terminal: each file is read twice.
fn progress_bar(steps: u64, quiet: bool) -> ProgressBar {
    let target = if quiet { ProgressDrawTarget::hidden() } else { ProgressDrawTarget::stderr() };
    let style = styled("{bar:30} {percent} %, {elapsed} gone{left}, {wide_msg}");
    let bar = ProgressBar::with_draw_target(Some(steps), target).with_style(style);
    // A file may take minutes: the time that has gone shows that it is being read.
    bar.enable_steady_tick(TICK);
    bar
}
