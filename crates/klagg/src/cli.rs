//! The command line.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

use crate::config::{self, Layers};
use crate::doctor::{self, DoctorArgs};
use crate::exit::Exit;
use crate::export::{self, ExportArgs};
use crate::import::{self, ImportArgs};
use crate::pipeline;
use crate::progress::Show;
use crate::record::{self, RecordArgs};
use crate::replay::{self, ReplayArgs};
use crate::verify::{self, VerifyArgs};

/// Folds every trade of Binance USD-M futures into exact klines of all periods, as they happen.
#[derive(Debug, Parser)]
#[command(name = "klagg", version, about, max_term_width = 100)]
pub(crate) struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Follow the exchange live: klines to the page, the database and any client of the
    /// exchange's API.
    Run(Settings),
    /// The same against a simulated exchange inside this program; needs no network.
    Demo(Settings),
    /// Recorded trades to klines, on stdout.
    Replay(ReplayArgs),
    /// Compare the fold of recorded trades with the exchange's own klines.
    ///
    /// Exit status: 0 all equal, 1 something differs, 2 not compared.
    Verify(VerifyArgs),
    /// The frames of the exchange onto a tape that replays to the same klines.
    Record(RecordArgs),
    /// What the store holds, as CSV, JSON lines or Parquet; beside a running klagg as well.
    Export(ExportArgs),
    /// The exchange's dumps of klines into the store.
    ///
    /// Exit status: 0 all files imported, 1 some refused, 2 none imported.
    Import(ImportArgs),
    /// Check a store, and say what to do.
    ///
    /// Exit status: 0 all well, 1 something found, 2 not checked.
    Doctor(DoctorArgs),
    /// Print the effective configuration, with comments, as a file for `--config`.
    Config(Settings),
}

/// Where settings come from, for the commands that run the pipeline.
#[derive(Debug, Args)]
pub(crate) struct Settings {
    /// A TOML file with settings; `klagg config` prints one.
    #[arg(long, short, value_name = "FILE", env = "KLAGG_CONFIG")]
    config: Option<PathBuf>,
    /// One setting, over the file and the environment; repeatable.
    #[arg(long = "set", short, value_name = "SECTION.KEY=VALUE")]
    sets: Vec<String>,
    /// The data folder; the same as `--set store.directory=…`.
    #[arg(long, value_name = "FOLDER")]
    data_dir: Option<PathBuf>,
    /// Where the page is served; the same as `--set web.listen=…`.
    #[arg(long, value_name = "ADDRESS:PORT")]
    listen: Option<String>,
    /// No progress bars and no words but warnings and errors.
    #[arg(long, short)]
    quiet: bool,
}

impl Settings {
    /// Whether progress is shown.
    pub(crate) fn show(&self) -> Show {
        if self.quiet { Show::Nothing } else { Show::Progress }
    }

    /// The layers: `base`, file, environment, flags.
    ///
    /// # Errors
    /// If the file cannot be read or a `--set` has no `=`.
    pub(crate) fn layers(&self, mut base: Layers) -> anyhow::Result<Layers> {
        if let Some(file) = &self.config {
            base.add_file(file)?;
        }
        base.add_environment(std::env::vars_os().filter_map(|(name, value)| {
            Some((name.into_string().ok()?, value.into_string().ok()?))
        }));
        for set in &self.sets {
            let Some((path, value)) = set.split_once('=') else {
                anyhow::bail!("--set {set}: write it as SECTION.KEY=VALUE");
            };
            base.set(path.trim(), value.trim(), &format!("--set {set}"));
        }
        if let Some(folder) = &self.data_dir {
            base.set("store.directory", &folder.to_string_lossy(), "--data-dir");
        }
        if let Some(listen) = &self.listen {
            base.set("web.listen", listen, "--listen");
        }
        if self.quiet {
            base.set("log.filter", "warn", "--quiet");
        }
        Ok(base)
    }
}

/// Does what the command line asks.
///
/// # Errors
/// What went wrong, as a chain of sentences.
pub(crate) fn run(cli: Cli) -> anyhow::Result<Exit> {
    match cli.command {
        Command::Run(settings) => pipeline::run(&settings),
        Command::Demo(settings) => pipeline::demo(&settings),
        Command::Replay(args) => replay::run(&args),
        Command::Verify(args) => verify::run(&args),
        Command::Record(args) => record::run(&args),
        Command::Export(args) => export::run(&args),
        Command::Import(args) => import::run(&args),
        Command::Doctor(args) => doctor::run(&args),
        Command::Config(settings) => {
            let printed = config::print(&settings.layers(Layers::default())?)?;
            write_stdout(&printed)?;
            Ok(Exit::Success)
        }
    }
}

/// Writes to stdout; a reader that has gone away is no error.
fn write_stdout(text: &str) -> anyhow::Result<()> {
    use std::io::Write;
    match std::io::stdout().write_all(text.as_bytes()) {
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => Err(error.into()),
        _ => Ok(()),
    }
}
