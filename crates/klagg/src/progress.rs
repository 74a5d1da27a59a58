//! What a person sees of the backfill: a bar on a terminal, a line now and then in a log.

use std::fmt;
use std::io::IsTerminal;
use std::time::Duration;

use indicatif::{HumanDuration, ProgressBar, ProgressState, ProgressStyle};
use klagg_backfill::{BackfillProgress, Phase};
use tokio::sync::watch;

/// How often a line is written where there is no terminal.
const LINE_CADENCE: Duration = Duration::from_secs(5);
/// How often the bar is drawn.
const BAR_CADENCE: Duration = Duration::from_millis(250);

/// Whether progress is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Show {
    /// A bar or lines, as the output is a terminal or not.
    Progress,
    /// Nothing.
    Nothing,
}

/// Shows the backfill until all history is there or its other end is gone.
pub(crate) async fn show(mut progress: watch::Receiver<BackfillProgress>, show: Show) {
    if show == Show::Nothing {
        return;
    }
    let bar = std::io::stderr().is_terminal().then(bar);
    let cadence = if bar.is_some() { BAR_CADENCE } else { LINE_CADENCE };
    let mut said_ready = false;
    loop {
        let now = progress.borrow_and_update().clone();
        if let Some(bar) = &bar {
            bar.set_length(now.symbols_total as u64);
            bar.set_position(now.symbols_done as u64);
            bar.set_message(message(&now));
        } else {
            tracing::info!("{}", message(&now));
        }
        if now.ready && !said_ready {
            said_ready = true;
            tracing::info!("ready: history and live have met");
        }
        if now.history_complete && now.ready {
            if let Some(bar) = &bar {
                bar.finish_and_clear();
            }
            tracing::info!("history complete: {}", message(&now));
            return;
        }
        tokio::select! {
            () = tokio::time::sleep(cadence) => {}
            () = gone(&mut progress) => return,
        }
    }
}

/// Waits until nobody tells any more.
async fn gone(progress: &mut watch::Receiver<BackfillProgress>) {
    while progress.changed().await.is_ok() {}
}

/// The style of a bar. Its `{rate}` is what is done in a second, its `{left}` the time that is
/// left, or nothing before there is anything done to tell it by.
pub(crate) fn styled(template: &str) -> ProgressStyle {
    let style = ProgressStyle::with_template(template);
    let style = style.unwrap_or_else(|_| ProgressStyle::default_bar());
    let style = style.with_key("rate", |state: &ProgressState, text: &mut dyn fmt::Write| {
        // A bar that cannot be drawn is no reason to stop.
        let _ = write!(text, "{:.0} a second", state.per_sec());
    });
    style.with_key("left", |state: &ProgressState, text: &mut dyn fmt::Write| {
        if state.pos() > 0 {
            let _ = write!(text, ", {:#} left", HumanDuration(state.eta()));
        }
    })
}

fn bar() -> ProgressBar {
    let style = ProgressStyle::with_template("{bar:30} {pos}/{len} symbols  {msg}");
    let bar = ProgressBar::new(0);
    style.map_or_else(|_| bar.clone(), |style| bar.clone().with_style(style))
}

/// Phase, klines, weight, and the time that is left.
fn message(progress: &BackfillProgress) -> String {
    let counts = &progress.counts;
    let klines = counts.klines();
    let archived = match counts.klines_archived {
        0 => String::new(),
        archived => format!(" ({archived} of them from {} files of the archive)", counts.files),
    };
    let phase = match progress.phase {
        Phase::Seam => "waiting for the minute in which the feed began to be final",
        phase => phase.as_str(),
    };
    let eta = match progress.remaining {
        Some(left) => format!(", {} s left", left.as_secs()),
        None => String::new(),
    };
    format!(
        "{phase}: {}/{} symbols, {klines} klines{archived}, weight {} of {} a minute{eta}",
        progress.symbols_done,
        progress.symbols_total,
        progress.weight.used,
        progress.weight.allowance,
    )
}
