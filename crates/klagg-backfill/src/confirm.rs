//! Closed minutes against the exchange's own, for ever; and the seam, which is its first round.

use klagg_binance::Priority;
use klagg_engine::{HistoryQuery, Keep};
use klagg_kline::{KlineStatus, Period, SymbolId, UnixMillis};

use crate::BackfillError;
use crate::config::Confirmation;
use crate::desk::{Desk, Task};
use crate::pages::pages;
use crate::plan::Depth;

/// After so many pages in a row that were not what was asked for, a symbol holds nobody up.
const ODD_PAGES_MAX: u32 = 3;
/// How long the last minutes of a symbol that has ended are waited for, in milliseconds.
const LAST_MINUTES_MS: i64 = 15 * 60_000;
/// Minutes of a symbol that are looked at for doubtful ones.
const DOUBTFUL_MAX: usize = 128;

/// Which symbols are due.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Due {
    /// All with an unconfirmed closed minute.
    All,
    /// Those that the configuration calls due.
    ByRule,
}

/// How urgent a symbol is: provisional minutes first, then the longest wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Urgency {
    is_settled: bool,
    waits_since: UnixMillis,
}

/// Confirms what is due; gives how many symbols have minutes that remain unconfirmed, and up to
/// where all are.
pub(crate) async fn round(desk: &Desk, due: Due, priority: Priority) -> Result<(), BackfillError> {
    let until = Period::M1.open_time(desk.settled());
    let tasks = due_tasks(desk, due, until);
    if !tasks.is_empty() {
        desk.fetch_all(tasks, priority).await?;
    }
    let mut states = desk.states();
    let (mut unconfirmed, mut confirmed_until) = (0, None);
    states.retain(|_, state| {
        let Some(ends_at) = state.ends_at else { return true };
        let all = state.refused || state.anchor.is_some_and(|anchor| anchor >= ends_at);
        let late = !all && until.since(ends_at) > LAST_MINUTES_MS;
        if late {
            tracing::error!(symbol = %state.name, "the last minutes could not be confirmed");
        }
        !all && !late
    });
    for state in states.values_mut() {
        let Some(anchor) = state.anchor else { continue };
        let run = state.held.of(0).run_until(anchor);
        state.anchor = Some(run);
        unconfirmed += usize::from(run < until);
        confirmed_until = Some(confirmed_until.map_or(run, |least: UnixMillis| least.min(run)));
    }
    drop(states);
    desk.tell(|progress| {
        progress.unconfirmed_symbols = unconfirmed;
        progress.confirmed_until = confirmed_until;
    });
    Ok(())
}

fn due_tasks(desk: &Desk, due: Due, until: UnixMillis) -> Vec<Task> {
    if desk.is_exchange_unwell() {
        return Vec::new();
    }
    let now = desk.rest.clock().elapsed();
    let mut tasks: Vec<(Urgency, Task)> = Vec::new();
    let mut states = desk.states();
    let mut begin = Vec::new();
    for (&id, state) in states.iter() {
        if state.anchor.is_none() {
            let from = desk.wanted(state, Depth::Recent).span(0).from;
            begin.push((id, from.min(until)));
        }
    }
    for (id, from) in begin {
        if let Some(state) = states.get_mut(&id) {
            state.anchor = Some(state.held.of(0).run_until(from));
        }
    }
    for state in states.values() {
        let Some(anchor) = state.anchor else { continue };
        let until = state.ends_at.map_or(until, |ends_at| until.min(ends_at));
        if state.retry_at > now || anchor >= until {
            continue;
        }
        let is_doubtful = is_doubtful(desk, state.id, anchor, until);
        let waits = match (due, desk.config.confirmation) {
            (Due::All, _) => true,
            (Due::ByRule, Confirmation::Everything { wait_ms }) => {
                state.ends_at == Some(until) || until.since(anchor) >= wait_ms
            }
            (Due::ByRule, Confirmation::Doubtful) => false,
        };
        if !is_doubtful && !waits {
            continue;
        }
        let urgency = Urgency { is_settled: !is_doubtful, waits_since: anchor };
        for span in state.held.of(0).missing(anchor, until) {
            let task = |page| (urgency, Task { symbol: state.id, index: 0, page });
            tasks.extend(pages(Period::M1, span).into_iter().map(task));
        }
    }
    tasks.sort_by_key(|&(urgency, _)| urgency);
    tasks.into_iter().map(|(_, task)| task).collect()
}

/// Whether a minute of the stretch is provisional.
fn is_doubtful(desk: &Desk, symbol: SymbolId, from: UnixMillis, until: UnixMillis) -> bool {
    let to = Some(until.plus(-1));
    let query = HistoryQuery { from: Some(from), to, limit: DOUBTFUL_MAX, keep: Keep::Newest };
    let records = desk.history.read(symbol, 0, &query);
    records.iter().any(|record| record.status == KlineStatus::Provisional)
}

/// Whether every symbol that the exchange answers for, and rightly, is confirmed up to `until`.
pub(crate) fn is_confirmed(desk: &Desk, until: UnixMillis) -> bool {
    let states = desk.states();
    states.values().all(|state| {
        state.refused
            || state.odd_pages >= ODD_PAGES_MAX
            || state.ends_at.is_some()
            || state.anchor.is_some_and(|at| at >= until)
    })
}
