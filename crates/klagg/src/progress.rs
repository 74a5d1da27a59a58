//! What a person sees of the backfill: a bar on a terminal, a line now and then in a log.
//!
//! Always true here: what is told, and when, is a function of the numbers and the time
//! ([`Teller`]); around it is a timer and a pen.

mod text;

use std::fmt;
use std::io::IsTerminal;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressState, ProgressStyle};
use klagg_backfill::BackfillProgress;
use tokio::sync::watch;
use tokio::time::Instant;

/// How often a line is written where there is no terminal.
const LINE_CADENCE: Duration = Duration::from_secs(5);
/// How often is looked for something to tell, and the bar drawn.
const LOOK_CADENCE: Duration = Duration::from_millis(250);

/// Whether progress is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Show {
    /// A bar or lines, as the output is a terminal or not.
    Progress,
    /// Nothing.
    Nothing,
}

/// How it is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Manner {
    Bar,
    Lines,
}

/// Decides what is told when.
#[derive(Debug)]
struct Teller {
    manner: Manner,
    /// When the next line is due.
    line_at: Duration,
    said_ready: bool,
}

/// What is told after a look.
#[derive(Debug, Default, PartialEq, Eq)]
struct Told {
    /// For the log.
    lines: Vec<String>,
    /// For the bar: what is done of how much, and the text beside it.
    bar: Option<(u64, u64, String)>,
    /// There is nothing more to come.
    is_over: bool,
}

impl Teller {
    const fn new(manner: Manner) -> Self {
        Self { manner, line_at: Duration::ZERO, said_ready: false }
    }

    /// What is to be told `now`, by a clock that never steps.
    fn look(&mut self, now: Duration, progress: &BackfillProgress) -> Told {
        let mut told = Told::default();
        let text = text::backfill(progress);
        told.is_over = progress.history_complete && progress.ready;
        if self.manner == Manner::Lines && now >= self.line_at && !told.is_over {
            self.line_at = now + LINE_CADENCE;
            told.lines.push(text.clone());
        }
        if progress.ready && !self.said_ready {
            self.said_ready = true;
            told.lines.push("ready: history and live have met".to_owned());
        }
        if told.is_over {
            told.lines.push(format!("history complete: {text}"));
        } else if self.manner == Manner::Bar {
            told.bar = Some((progress.symbols_done as u64, progress.symbols_total as u64, text));
        }
        told
    }
}

/// Shows the backfill until all history is there or its other end is gone.
pub(crate) async fn show(mut progress: watch::Receiver<BackfillProgress>, show: Show) {
    if show == Show::Nothing {
        return;
    }
    let is_terminal = std::io::stderr().is_terminal();
    let mut teller = Teller::new(if is_terminal { Manner::Bar } else { Manner::Lines });
    let bar = is_terminal.then(|| bar(ProgressDrawTarget::stderr()));
    let started = Instant::now();
    loop {
        let told = teller.look(started.elapsed(), &progress.borrow_and_update());
        if let Some(bar) = &bar {
            match told.bar {
                Some(state) => draw(bar, state),
                None => bar.finish_and_clear(),
            }
        }
        for line in told.lines {
            tracing::info!("{line}");
        }
        if told.is_over {
            return;
        }
        tokio::select! {
            () = tokio::time::sleep(LOOK_CADENCE) => {}
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
    let style = style.with_key("rate", |state: &ProgressState, out: &mut dyn fmt::Write| {
        // A bar that cannot be drawn is no reason to stop.
        let _ = out.write_str(&text::rate(state.per_sec()));
    });
    style.with_key("left", |state: &ProgressState, out: &mut dyn fmt::Write| {
        let _ = out.write_str(&text::left(state.pos(), state.eta()));
    })
}

/// The bar of the backfill. What does not fit beside it is cut off.
fn bar(target: ProgressDrawTarget) -> ProgressBar {
    ProgressBar::with_draw_target(Some(0), target).with_style(styled("{bar:20} {wide_msg}"))
}

fn draw(bar: &ProgressBar, (done, total, text): (u64, u64, String)) {
    // Of nothing, nothing is done: an empty bar and not a full one.
    bar.set_length(total.max(1));
    bar.set_position(done);
    bar.set_message(text);
}

#[cfg(test)]
mod tests;
