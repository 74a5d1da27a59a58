//! The phases, one after the other: load, recent, seam; then history and confirmation together.

use std::time::Duration;

use klagg_binance::Priority;
use klagg_kline::{Period, SymbolId, UnixMillis};
use tokio::sync::{mpsc, watch};

use crate::config::{BackfillCommand, BackfillConfig, BackfillParts};
use crate::confirm::{Due, is_confirmed, round};
use crate::desk::{Desk, DeskParts};
use crate::load::load;
use crate::plan::Depth;
use crate::{BackfillCounts, BackfillError, Phase};

/// Pause before history that could not be fetched is planned again.
const RETRY_PAUSE: Duration = Duration::from_secs(5);
/// Symbols that are planned together at least: few enough that progress is seen to move.
const SYMBOLS_AT_ONCE: usize = 16;

/// Fetches history, meets live, and confirms, until shutdown.
///
/// Everything runs inside this future: when it is dropped or ends, no request is under way.
///
/// # Errors
/// [`BackfillError`] if the store cannot be read, or if history, store or engine do not take
/// klines any more. What the exchange does not give is asked for again and again, and counted.
pub async fn backfill_task(
    config: BackfillConfig,
    symbols: Vec<SymbolId>,
    parts: BackfillParts,
) -> Result<BackfillCounts, BackfillError> {
    config.check()?;
    let BackfillParts { rest, index, engine, history, pages, store, clock, .. } = parts;
    let BackfillParts { mut live_from, mut commands, progress, mut shutdown, .. } = parts;
    let counts = progress.subscribe();
    let parts = DeskParts { rest, index, engine, history, pages, store, clock, progress };
    let desk = Desk::new(config, parts);
    let outcome = tokio::select! {
        biased;
        () = stopped(&mut shutdown) => Ok(()),
        outcome = run(&desk, symbols, &mut live_from, &mut commands) => outcome,
    };
    let counts = counts.borrow().counts;
    outcome.map(|()| counts)
}

async fn stopped(shutdown: &mut watch::Receiver<bool>) {
    // An error means that the sender is gone, which is a shutdown as well.
    drop(shutdown.wait_for(|&stop| stop).await);
}

async fn run(
    desk: &Desk,
    symbols: Vec<SymbolId>,
    live_from: &mut watch::Receiver<Option<UnixMillis>>,
    commands: &mut mpsc::Receiver<BackfillCommand>,
) -> Result<(), BackfillError> {
    desk.enter(Phase::Loading);
    let symbols = desk.add(&symbols);
    let total = symbols.len();
    desk.tell(|progress| (progress.symbols_total, progress.symbols_done) = (total, 0));
    load_or_fetch(desk, &symbols).await?;
    measure_clock(desk).await;
    desk.enter(Phase::Recent);
    sweep(desk, &symbols, Depth::Recent, Priority::Normal).await?;
    desk.enter(Phase::Seam);
    let patience = desk.config.live_patience;
    let delivers =
        tokio::time::timeout(patience, live_from.wait_for(Option::is_some)).await.is_ok();
    if delivers {
        seam(desk, live_from, Some(commands)).await?;
    } else {
        tracing::warn!("the feed does not deliver; history is fetched meanwhile");
    }
    desk.enter(Phase::History);
    tokio::select! {
        outcome = keep_history(desk) => outcome,
        outcome = keep_confirming(desk, commands) => outcome,
        Err(error) = seam(desk, live_from, None), if !delivers => Err(error),
    }
}

/// The minute in which the feed began is not complete here: its official kline closes the seam.
/// `commands` are obeyed meanwhile, if nobody else does.
async fn seam(
    desk: &Desk,
    live_from: &mut watch::Receiver<Option<UnixMillis>>,
    mut commands: Option<&mut mpsc::Receiver<BackfillCommand>>,
) -> Result<(), BackfillError> {
    // Without anybody to tell when the feed began, nothing live will have to be met.
    let began = match live_from.wait_for(Option::is_some).await {
        Ok(began) => *began,
        Err(_) => None,
    };
    let began = began.unwrap_or_else(|| (desk.clock)());
    let until = Period::M1.next_open_time(began);
    loop {
        if desk.settled() >= until {
            round(desk, Due::All, Priority::Urgent).await?;
        }
        if is_confirmed(desk, until) {
            tracing::info!(%until, "history and live have met");
            desk.tell(|progress| progress.ready = true);
            return Ok(());
        }
        tokio::time::sleep(desk.config.tick).await;
        while let Some(Ok(command)) = commands.as_mut().map(|commands| commands.try_recv()) {
            obey(desk, command).await?;
        }
    }
}

/// Fetches all that the history keeps, then looks now and then for what is missing.
async fn keep_history(desk: &Desk) -> Result<(), BackfillError> {
    loop {
        let symbols: Vec<SymbolId> = desk.states().keys().copied().collect();
        let failed = sweep(desk, &symbols, Depth::Full, Priority::Bulk).await?;
        if failed > 0 {
            tracing::warn!(pages = failed, "history has holes; asking again");
            tokio::time::sleep(RETRY_PAUSE.min(desk.config.audit_cadence)).await;
            continue;
        }
        desk.tell(|progress| progress.history_complete = true);
        desk.enter(Phase::Confirming);
        tokio::time::sleep(desk.config.audit_cadence).await;
        measure_clock(desk).await;
    }
}

/// Plans and fetches what is missing, some symbols at a time, and tells how far it is. Gives how
/// many pages did not come.
async fn sweep(
    desk: &Desk,
    symbols: &[SymbolId],
    depth: Depth,
    priority: Priority,
) -> Result<u64, BackfillError> {
    let total = symbols.len();
    desk.tell(|progress| (progress.symbols_total, progress.symbols_done) = (total, 0));
    let started = desk.rest.clock().elapsed();
    let (mut failed, mut done) = (0, 0);
    for chunk in symbols.chunks(desk.config.concurrency.max(SYMBOLS_AT_ONCE)) {
        failed += desk.pass(chunk, depth, priority).await?;
        done += chunk.len();
        let spent = desk.rest.clock().elapsed().saturating_sub(started);
        let left = u32::try_from(total - done).unwrap_or(u32::MAX);
        let pace = spent / u32::try_from(done.max(1)).unwrap_or(u32::MAX);
        desk.tell(|progress| {
            progress.symbols_done = done;
            progress.remaining = Some(pace.saturating_mul(left));
        });
    }
    desk.tell(|progress| progress.remaining = None);
    Ok(failed)
}

async fn keep_confirming(
    desk: &Desk,
    commands: &mut mpsc::Receiver<BackfillCommand>,
) -> Result<(), BackfillError> {
    let mut open = true;
    loop {
        tokio::select! {
            biased;
            command = commands.recv(), if open => match command {
                Some(command) => obey(desk, command).await?,
                None => open = false,
            },
            () = tokio::time::sleep(desk.config.tick) => {
                round(desk, Due::ByRule, Priority::Normal).await?;
            }
        }
    }
}

async fn obey(desk: &Desk, command: BackfillCommand) -> Result<(), BackfillError> {
    match command {
        BackfillCommand::Add(symbols) => {
            let added = desk.add(&symbols);
            load_or_fetch(desk, &added).await?;
            desk.pass(&added, Depth::Recent, Priority::Urgent).await?;
            // The rest of their history comes with the next audit, or now if they are few.
            desk.pass(&added, Depth::Full, Priority::Normal).await.map(|_| ())
        }
        BackfillCommand::Retire(symbols) => {
            // The minutes up to now are still to be confirmed; then it is left.
            let ends_at = Period::M1.next_open_time((desk.clock)());
            let mut states = desk.states();
            for symbol in symbols {
                if let Some(state) = states.get_mut(&symbol) {
                    state.ends_at = Some(ends_at);
                }
            }
            Ok(())
        }
    }
}

/// Loads what the store has. Where it cannot be read, the exchange is asked instead.
async fn load_or_fetch(desk: &Desk, symbols: &[SymbolId]) -> Result<(), BackfillError> {
    match load(desk, symbols).await {
        Err(error @ (BackfillError::Store { .. } | BackfillError::ReaderLost)) => {
            let error = &error as &dyn std::error::Error;
            tracing::error!(error, "the store cannot be read; its klines are fetched anew");
            Ok(())
        }
        outcome => outcome,
    }
}

/// Measures how far the exchange's clock is from ours; without an answer, the last distance stays.
async fn measure_clock(desk: &Desk) {
    if let Err(error) = desk.rest.server_time(Priority::Urgent).await {
        tracing::warn!(%error, "the exchange does not tell its time");
    }
}
