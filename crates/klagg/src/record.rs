//! `klagg record`: the frames of a live or simulated exchange, onto a tape.
//!
//! Always true here:
//! - Frames are written as they arrived, before anybody decodes them; reconnects, subscriptions
//!   and liveness are those of the live feed.
//! - Nothing is queued: a frame is on the tape before the socket is read on, so a slow disk makes
//!   the exchange's end wait. If the tape cannot be written, recording ends with an error.
//! - Once a second what was written is handed to the system: a killed recorder leaves a tape that
//!   can be replayed up to there.

mod sink;

use std::path::PathBuf;
use std::time::Duration;

use anyhow::Context;
use clap::Args;
use klagg_backfill::SymbolFilter;
use klagg_binance::{Feed, FeedNotice, Priority, RestClient, StreamConfig, Tls};
use klagg_kline::{Precision, SymbolId, UnixMillis};
use klagg_symbols::{NewSymbol, SymbolIndex};
use klagg_tape::TapeHeader;
use tokio::sync::{mpsc, watch};

use crate::cli::Settings;
use crate::config::{Config, Layers};
use crate::exit::Exit;
use crate::logs::{self, say};
use crate::record::sink::{Tape, TapeSink, wall_clock_ns};
use crate::{parts, pipeline, stop};

/// How often the tape is flushed and looked after.
const FLUSH_CADENCE: Duration = Duration::from_secs(1);

/// What `record` is told on the command line.
#[derive(Debug, Args)]
pub(crate) struct RecordArgs {
    /// The tape; a new file.
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    /// Symbols, separated by commas; without it, all that `exchange.symbols` and
    /// `exchange.quote_assets` let through.
    #[arg(long, value_name = "SYMBOL", value_delimiter = ',')]
    symbols: Vec<String>,
    /// Stop after this time: `90s`, `15m`, `2h`. Without it: Ctrl-C.
    #[arg(long, value_name = "TIME", value_parser = duration)]
    duration: Option<Duration>,
    /// Where the streams are; the same as `--set exchange.stream_url=…`.
    #[arg(long, value_name = "URL", conflicts_with = "sim")]
    stream_url: Option<String>,
    /// Record a simulated exchange inside this program.
    #[arg(long)]
    sim: bool,
    #[command(flatten)]
    settings: Settings,
}

/// Records until the time is over or the program is asked to stop.
///
/// # Errors
/// If the exchange cannot be asked, or the tape cannot be written.
pub(crate) fn run(args: &RecordArgs) -> anyhow::Result<Exit> {
    let mut layers = args.settings.layers(Layers::default())?;
    if let Some(url) = &args.stream_url {
        layers.set("exchange.stream_url", url, "--stream-url");
    }
    let mut config = Config::from_layers(&layers)?;
    logs::start(&config.log)?;
    pipeline::runtime()?.block_on(async {
        let stop = stop::requested()?;
        if !args.sim {
            return record(args, &config, stop).await;
        }
        let sim = klagg_sim::SimExchange::start(pipeline::sim_config(&config))
            .await
            .context("the simulated exchange cannot start")?;
        config.exchange.rest_url = sim.rest_url();
        config.exchange.stream_url = sim.stream_url();
        let recorded = record(args, &config, stop).await;
        sim.stop().await.context("the simulated exchange broke")?;
        recorded
    })?;
    Ok(Exit::Success)
}

async fn record(
    args: &RecordArgs,
    config: &Config,
    mut stop: watch::Receiver<bool>,
) -> anyhow::Result<()> {
    let tls = Tls::new().context("cannot set up TLS")?;
    let symbols = symbols(args, config, &tls).await?;
    let index = SymbolIndex::empty(config.engine.max_symbols);
    let entries = index.append(symbols)?;
    let ids: Vec<SymbolId> = entries.iter().map(|entry| entry.id).collect();
    let created = UnixMillis(i64::try_from(wall_clock_ns() / 1_000_000).unwrap_or(i64::MAX));
    let source = config.exchange.stream_url.clone();
    // Created last of what can be refused: a refusal leaves no empty tape behind.
    // On a tape every frame is to stand once.
    let stream = StreamConfig { copies: 1, ..parts::stream(config)? };
    let tape = Tape::create(&args.out, &TapeHeader { created, source })?;
    let for_sinks = tape.clone();
    let (mut feed, notices) =
        Feed::start(stream, tls, index, move |_| TapeSink::new(for_sinks.clone()))?;
    feed.subscribe(&ids).await?;
    say(&format!("recording {} symbols to {}", ids.len(), args.out.display()));
    let telling = tokio::spawn(tell(notices));
    let ended = wait(&tape, args.duration, &mut stop).await;
    let counts = feed.stop().await;
    telling.await.context("the task that tells notices broke")?;
    let frames = tape.finish()?;
    ended?;
    say(&format!("{frames} frames, {} disconnects", counts.disconnects));
    Ok(())
}

/// Flushes on the cadence until the time is over, the program is to stop, or the tape broke.
async fn wait(
    tape: &Tape,
    duration: Option<Duration>,
    stop: &mut watch::Receiver<bool>,
) -> anyhow::Result<()> {
    let over = async {
        match duration {
            Some(duration) => tokio::time::sleep(duration).await,
            None => std::future::pending().await,
        }
    };
    tokio::pin!(over);
    let mut flush = tokio::time::interval(FLUSH_CADENCE);
    loop {
        tokio::select! {
            _ = stop.wait_for(|stop| *stop) => return Ok(()),
            () = &mut over => return Ok(()),
            _ = flush.tick() => tape.flush()?,
        }
    }
}

/// The symbols to record: those named, else those that the exchange lists and the filter wants.
async fn symbols(args: &RecordArgs, config: &Config, tls: &Tls) -> anyhow::Result<Vec<NewSymbol>> {
    // Neither order nor decimals matter to a tape.
    let precision = Precision::new(8, 8)?;
    let first_open_time = UnixMillis(0);
    let new = |name: String| NewSymbol { name, first_open_time, onboard_time: None, precision };
    if !args.symbols.is_empty() {
        return Ok(args.symbols.iter().cloned().map(new).collect());
    }
    let rest =
        RestClient::new(parts::rest(config), tls).context("exchange.rest_url cannot be used")?;
    let (info, _) = rest
        .exchange_info(Priority::Urgent)
        .await
        .context("the exchange does not tell its symbols")?;
    let filter: SymbolFilter = parts::symbol_filter(config);
    let wanted = info.symbols.into_iter().filter(|symbol| filter.wants(symbol));
    let symbols: Vec<NewSymbol> = wanted.map(|symbol| new(symbol.name)).collect();
    anyhow::ensure!(!symbols.is_empty(), "the exchange trades no symbol that is wanted");
    Ok(symbols)
}

/// Says what a person has to know about the connections.
async fn tell(mut notices: mpsc::Receiver<FeedNotice>) {
    while let Some(notice) = notices.recv().await {
        match notice {
            FeedNotice::Disconnected { connection, why, .. } => {
                say(&format!("connection {connection} lost: {why}"));
            }
            FeedNotice::Silent { connection, path, .. } => {
                say(&format!("connection {connection} on {path} is silent; connecting anew"));
            }
            FeedNotice::Refused { code, message, .. } => {
                say(&format!("the exchange refused a request: {message} ({code})"));
            }
            _ => {}
        }
    }
}

/// `90`, `90s`, `15m`, `2h`.
fn duration(text: &str) -> Result<Duration, String> {
    let (number, unit) = match text.find(|letter: char| !letter.is_ascii_digit()) {
        Some(at) => text.split_at(at),
        None => (text, "s"),
    };
    let seconds = match unit {
        "s" => 1,
        "m" => 60,
        "h" => 3_600,
        _ => 0,
    };
    let total = number.parse::<u64>().ok().and_then(|number| number.checked_mul(seconds));
    match total {
        Some(total @ 1..=31_622_400) => Ok(Duration::from_secs(total)),
        _ => Err("write it as 90s, 15m or 2h, up to a year".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_have_a_unit_and_a_bound() {
        let check = |text: &str, seconds: Option<u64>| {
            assert_eq!(duration(text).ok(), seconds.map(Duration::from_secs), "{text}");
        };
        check("90", Some(90));
        check("90s", Some(90));
        check("15m", Some(900));
        check("2h", Some(7_200));
        for text in ["", "0", "s", "-1", "1d", "1.5h", "99999999999999999999", "9000h"] {
            check(text, None);
        }
    }
}
