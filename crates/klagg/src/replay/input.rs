//! Reading inputs one after another, with a progress bar and a summary.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::Context;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use klagg_kline::Precision;
use klagg_tape::{SourceCounters, SourceOptions, SourceTrade, TradeSource};
use klagg_wire::rest;

use crate::logs::say;

/// Rows between two looks at the progress.
const PROGRESS_ROWS: u64 = 8_192;

/// Longest exchangeInfo: today's has 1.2 MB.
const EXCHANGE_INFO_BYTES_MAX: u64 = 32 * 1024 * 1024;

/// What was read.
#[derive(Debug)]
pub(crate) struct Read {
    pub(crate) files: usize,
    pub(crate) counters: SourceCounters,
    pub(crate) elapsed: Duration,
}

/// Reads all inputs in order and hands every trade on.
///
/// # Errors
/// If an input cannot be used, or `on_trade` refuses.
pub(crate) fn read(
    inputs: &[PathBuf],
    options: &SourceOptions,
    quiet: bool,
    mut on_trade: impl FnMut(&SourceTrade) -> anyhow::Result<()>,
) -> anyhow::Result<Read> {
    let started = now();
    let progress = progress_bar(inputs, quiet);
    let mut counters = SourceCounters::default();
    let mut bytes_before = 0;
    for path in inputs {
        progress.set_message(path.display().to_string());
        let mut source = TradeSource::open(path, options)?;
        let mut rows = 0_u64;
        while let Some(row) = source.next_trade()? {
            on_trade(&row).with_context(|| format!("{}:{}", path.display(), row.line))?;
            rows += 1;
            if rows.is_multiple_of(PROGRESS_ROWS) {
                progress.set_position(bytes_before + source.bytes_read());
            }
        }
        bytes_before += source.bytes_total();
        counters.add(source.counters());
    }
    progress.finish_and_clear();
    Ok(Read { files: inputs.len(), counters, elapsed: started.elapsed() })
}

#[expect(clippy::disallowed_methods, reason = "the rim: how long a run took, for people")]
fn now() -> Instant {
    Instant::now()
}

/// A bar on a terminal; elsewhere it draws nothing by itself.
fn progress_bar(inputs: &[PathBuf], quiet: bool) -> ProgressBar {
    let bytes = inputs.iter().filter_map(|path| path.metadata().ok()).map(|file| file.len()).sum();
    let target = if quiet { ProgressDrawTarget::hidden() } else { ProgressDrawTarget::stderr() };
    let template = "{bar:30} {bytes}/{total_bytes} {eta} {wide_msg}";
    let style = ProgressStyle::with_template(template);
    let style = style.unwrap_or_else(|_| ProgressStyle::default_bar());
    ProgressBar::with_draw_target(Some(bytes), target).with_style(style)
}

/// Says what a reader of the klines has to know, even if all else is to be quiet.
pub(crate) fn warn(read: &Read) {
    let counters = &read.counters;
    if counters.malformed > 0 {
        say(&format!("warning: {} malformed rows were skipped", counters.malformed));
        for sample in &counters.samples {
            say(&format!("  {sample}"));
        }
    }
    if counters.truncated > 0 {
        say(&format!(
            "warning: {} inputs end in the middle; what they held up to there was read",
            counters.truncated
        ));
    }
}

/// One line on what was read.
pub(crate) fn describe(read: &Read) -> String {
    let SourceCounters { rows, given, .. } = read.counters;
    let seconds = read.elapsed.as_secs_f64();
    #[expect(clippy::cast_precision_loss, reason = "for people")]
    let rate = rows as f64 / seconds.max(1e-9);
    let mut text = format!("{} files, {rows} rows, {given} trades", read.files);
    for (count, what) in [
        (read.counters.off_market, "outside the order book"),
        (read.counters.zero_quantity, "of quantity zero"),
        (read.counters.other_streams, "of other streams"),
        (read.counters.other_symbols, "of other symbols"),
        (read.counters.coin_margined, "of COIN-M contracts"),
        (read.counters.malformed, "malformed"),
    ] {
        if count > 0 {
            text.extend([", ", &count.to_string(), " ", what]);
        }
    }
    text + &format!("; {seconds:.2} s, {rate:.0} rows/s")
}

/// The printed decimals of each symbol, from a file with the exchange's exchangeInfo.
///
/// # Errors
/// If the file cannot be read or is something else.
pub(crate) fn precisions(path: &Path) -> anyhow::Result<HashMap<String, Precision>> {
    let bytes = klagg_tape::read_plain(path, EXCHANGE_INFO_BYTES_MAX)?;
    let info = rest::exchange_info(&bytes)
        .with_context(|| format!("{} is no exchangeInfo", path.display()))?;
    if info.symbols.is_empty() {
        anyhow::bail!("{} lists no symbol that can be read", path.display());
    }
    Ok(info.symbols.into_iter().map(|symbol| (symbol.name, symbol.precision)).collect())
}
