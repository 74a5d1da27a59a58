//! Where answers arrive and are handed on: to the history, the store and the engine.
//!
//! Always true here: what is handed on was checked against what was asked for; a page that does
//! not come or is refused is counted and stays missing, so that it is planned again.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use klagg_binance::{KlineQuery, Priority, RestClient};
use klagg_engine::{EngineControl, EngineError, HistoryPage, HistoryQuery, HistoryReader, Keep};
use klagg_kline::{Kline, KlineRecord, SymbolId, UnixMillis};
use klagg_store::{StoredKline, SubmitError};
use klagg_symbols::SymbolIndex;
use tokio::sync::{mpsc, watch};

use crate::config::{BackfillConfig, Clock, StoreParts};
use crate::load::Known;
use crate::pages::Page;
use crate::plan::{Depth, Wanted, plan};
use crate::record::settle;
use crate::state::{Confirmed, SymbolState};
use crate::{BackfillCounts, BackfillError, BackfillProgress, Phase};

/// How often a full queue of the store is asked again.
const STORE_RETRY: Duration = Duration::from_millis(5);

/// Everything that the phases share.
pub(crate) struct Desk {
    pub(crate) config: BackfillConfig,
    pub(crate) rest: RestClient,
    pub(crate) index: SymbolIndex,
    pub(crate) history: HistoryReader,
    pub(crate) store: Option<StoreParts>,
    pub(crate) clock: Clock,
    engine: EngineControl,
    pages: mpsc::Sender<HistoryPage>,
    progress: watch::Sender<BackfillProgress>,
    /// Locked for the time of a plan or a fold, never across a wait.
    states: Mutex<BTreeMap<SymbolId, SymbolState>>,
    /// The exchange answers nobody: nothing is asked before, in milliseconds of the client's clock.
    unwell_until: AtomicU64,
}

/// A page to be fetched for a symbol.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Task {
    pub(crate) symbol: SymbolId,
    pub(crate) index: usize,
    pub(crate) page: Page,
}

/// The parts of a desk that are not shared with the task's own loop.
pub(crate) struct DeskParts {
    pub(crate) rest: RestClient,
    pub(crate) index: SymbolIndex,
    pub(crate) engine: EngineControl,
    pub(crate) history: HistoryReader,
    pub(crate) pages: mpsc::Sender<HistoryPage>,
    pub(crate) store: Option<StoreParts>,
    pub(crate) clock: Clock,
    pub(crate) progress: watch::Sender<BackfillProgress>,
}

impl Desk {
    pub(crate) fn new(config: BackfillConfig, parts: DeskParts) -> Self {
        let DeskParts { rest, index, engine, history, pages, store, clock, progress } = parts;
        let states = Mutex::new(BTreeMap::new());
        let unwell_until = AtomicU64::new(0);
        Self {
            config,
            rest,
            index,
            history,
            store,
            clock,
            engine,
            pages,
            progress,
            states,
            unwell_until,
        }
    }

    pub(crate) fn states(&self) -> MutexGuard<'_, BTreeMap<SymbolId, SymbolState>> {
        // A state is whole between any two statements that could panic.
        self.states.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Begins to look after symbols; gives those that are new here and in the index.
    pub(crate) fn add(&self, symbols: &[SymbolId]) -> Vec<SymbolId> {
        let table = self.index.load();
        let mut states = self.states();
        let mut added = Vec::new();
        for &id in symbols {
            let Some(entry) = table.entry(id) else {
                tracing::error!(symbol = %id, "a symbol that the index does not hold");
                continue;
            };
            states.entry(id).or_insert_with(|| {
                added.push(id);
                let name = entry.name.clone();
                SymbolState::new(id, name, entry.first_open_time, &self.config.periods)
            });
        }
        added
    }

    /// What is wanted of a symbol now. What closed since the newest confirmed minute is left to
    /// confirmation, which gathers several minutes into one request.
    pub(crate) fn wanted<'a>(&'a self, state: &'a SymbolState, depth: Depth) -> Wanted<'a> {
        let settled = match (depth, state.anchor) {
            (Depth::Full, Some(anchor)) => self.settled().min(anchor),
            _ => self.settled(),
        };
        Wanted {
            periods: &self.config.periods,
            capacity: &self.config.capacity,
            first_open_time: state.first_open_time,
            stored_until: &state.stored_until,
            gap_klines_max: self.config.gap_klines_max,
            settled,
            depth,
        }
    }

    /// The exchange's time, less the margin after which a closed kline is final.
    pub(crate) fn settled(&self) -> UnixMillis {
        (self.clock)().plus(-self.config.settle_ms)
    }

    /// Plans and fetches what is missing of `symbols`, period by period, so that what was fetched
    /// of a shorter one is folded and not asked for. Gives how many pages are still missing.
    pub(crate) async fn pass(
        &self,
        symbols: &[SymbolId],
        depth: Depth,
        priority: Priority,
    ) -> Result<u64, BackfillError> {
        let mut missing = 0;
        for index in 0..self.config.periods.len() {
            let tasks = self.plan(symbols, depth, index);
            missing += self.fetch_all(tasks, priority).await?;
        }
        Ok(missing)
    }

    fn plan(&self, symbols: &[SymbolId], depth: Depth, index: usize) -> Vec<Task> {
        let states = self.states();
        let mut tasks: Vec<Vec<Task>> = Vec::with_capacity(symbols.len());
        for &symbol in symbols {
            let Some(state) = states.get(&symbol) else { continue };
            let pages = plan(&state.held, &self.wanted(state, depth), index);
            tasks.push(pages.into_iter().map(|page| Task { symbol, index, page }).collect());
        }
        // The cheapest symbols first: most of them are complete soonest.
        tasks.sort_by_key(Vec::len);
        tasks.into_iter().flatten().collect()
    }

    /// Whether the exchange has just failed, and not on account of what was asked.
    pub(crate) fn is_exchange_unwell(&self) -> bool {
        // Relaxed: a number that publishes nothing else.
        self.rest.clock().elapsed().as_millis()
            < u128::from(self.unwell_until.load(Ordering::Relaxed))
    }

    /// Fetches pages, some at a time; gives how many did not come. Once the exchange answers
    /// nobody, the rest is not asked for.
    pub(crate) async fn fetch_all(
        &self,
        tasks: Vec<Task>,
        priority: Priority,
    ) -> Result<u64, BackfillError> {
        let mut failed = 0;
        let mut waiting = tasks.into_iter();
        let mut under_way = FuturesUnordered::new();
        loop {
            if self.is_exchange_unwell() {
                failed += waiting.by_ref().count() as u64;
            }
            while under_way.len() < self.config.concurrency
                && let Some(task) = waiting.next()
            {
                under_way.push(self.fetch(task, priority));
            }
            match under_way.next().await {
                None => return Ok(failed),
                Some(Ok(())) => {}
                Some(Err(error)) if error.is_fatal() => return Err(error),
                Some(Err(_)) => failed += 1,
            }
        }
    }

    /// Fetches one page and hands it on.
    pub(crate) async fn fetch(&self, task: Task, priority: Priority) -> Result<(), BackfillError> {
        let Task { symbol, index, page } = task;
        let Some(name) = self.states().get(&symbol).map(|state| state.name.clone()) else {
            return Ok(());
        };
        let query = KlineQuery {
            start: Some(page.from),
            end: Some(page.last_open_time()),
            limit: page.klines,
        };
        let answer = self.rest.klines(&name, page.period, query, priority).await;
        let klines = answer.map_err(|source| {
            let what = format!("klines {} of {name}", page.period);
            self.failed(symbol, BackfillError::Exchange { what, source })
        })?;
        let fetched = klines.len() as u64;
        let taken = self.take(symbol, index, &page, klines);
        let confirmed = taken.map_err(|reason| {
            let error =
                BackfillError::Page { symbol: name.to_string(), period: page.period, reason };
            self.failed(symbol, error)
        })?;
        self.count(|counts| {
            counts.pages += 1;
            counts.klines_fetched += fetched;
            let folded = confirmed.iter().filter(|part| part.index != index);
            counts.klines_folded += folded.map(|part| part.klines.len() as u64).sum::<u64>();
        });
        for part in confirmed {
            self.hand_on(symbol, part).await?;
        }
        Ok(())
    }

    fn take(
        &self,
        symbol: SymbolId,
        index: usize,
        page: &Page,
        klines: Vec<Kline>,
    ) -> Result<Vec<Confirmed>, &'static str> {
        let mut states = self.states();
        let Some(state) = states.get_mut(&symbol) else { return Ok(Vec::new()) };
        let known = Known::of(self, state);
        state.refused = false;
        let taken = state.take_page(index, page, klines, &known.wanted(self))?;
        state.odd_pages = 0;
        Ok(taken)
    }

    /// Counts and tells a failure, and leaves the symbol alone for a while.
    fn failed(&self, symbol: SymbolId, error: BackfillError) -> BackfillError {
        let final_refusal = !error.is_retryable();
        let is_page = matches!(error, BackfillError::Page { .. });
        let retry_at = self.rest.clock().elapsed() + self.config.retry_pause;
        if let Some(state) = self.states().get_mut(&symbol) {
            state.retry_at = retry_at;
            state.refused = final_refusal;
            state.odd_pages += u32::from(!error.is_of_exchange());
            // Perhaps it ended a little earlier, and has no klines from there on.
            state.ends_at = state.ends_at.map(|at| at.plus(if is_page { -60_000 } else { 0 }));
        }
        if error.is_of_exchange() {
            let until = u64::try_from(retry_at.as_millis()).unwrap_or(u64::MAX);
            self.unwell_until.store(until, Ordering::Relaxed);
        }
        self.count(|counts| {
            if is_page {
                counts.pages_refused += 1;
            } else {
                counts.pages_failed += 1;
            }
        });
        tracing::error!(error = &error as &dyn std::error::Error, "will be asked for again");
        error
    }

    /// Hands confirmed klines to the history, the store and the engine.
    pub(crate) async fn hand_on(
        &self,
        symbol: SymbolId,
        part: Confirmed,
    ) -> Result<(), BackfillError> {
        let Confirmed { index, klines } = part;
        let (Some(first), Some(last)) = (klines.first(), klines.last()) else { return Ok(()) };
        let (from, to) = (first.open_time, last.open_time);
        let (limit, keep) = (klines.len(), Keep::Oldest);
        let query = HistoryQuery { from: Some(from), to: Some(to), limit, keep };
        let held = self.history.read(symbol, index, &query);
        let (records, tally) = settle(&held, &klines);
        if tally.corrected_confirmed > 0 {
            let count = tally.corrected_confirmed;
            tracing::error!(%symbol, count, "the exchange changed klines that were confirmed");
        }
        if index == 0 {
            self.count(|counts| {
                counts.confirmed_equal += tally.equal;
                counts.corrected_closed += tally.corrected_closed;
                counts.corrected_provisional += tally.corrected_provisional;
                counts.corrected_confirmed += tally.corrected_confirmed;
            });
        }
        // The engine compares for itself, also what the history had. It refuses a minute that is
        // open to it and holds trades, as where the feed is behind: the newest of the last time.
        // It has moved on since, so it is told of that one again.
        let before = match index {
            0 => self.states().get(&symbol).and_then(|state| state.before(0, from)),
            _ => None,
        };
        let status = klagg_kline::KlineStatus::Confirmed;
        let all = before.iter().chain(&klines);
        let all = all.map(|kline| KlineRecord { kline: *kline, revision: 0, status });
        self.supply(symbol, index, all)?;
        self.store_rows(symbol, index, &records).await?;
        self.page(symbol, index, records).await
    }

    /// Gives the engine those records that its open and just closed klines are made of.
    pub(crate) fn supply(
        &self,
        symbol: SymbolId,
        index: usize,
        records: impl Iterator<Item = KlineRecord>,
    ) -> Result<(), BackfillError> {
        let from = {
            let states = self.states();
            let Some(state) = states.get(&symbol) else { return Ok(()) };
            self.wanted(state, Depth::Recent).recent_from(index)
        };
        let records: Vec<KlineRecord> =
            records.filter(|record| record.kline.open_time >= from).collect();
        if records.is_empty() {
            return Ok(());
        }
        match self.engine.supply(symbol, self.config.periods.get(index), records) {
            Err(error @ EngineError::WorkerGone { .. }) => Err(BackfillError::Engine(error)),
            Err(error) => {
                tracing::error!(%symbol, %error, "the engine refused klines");
                Ok(())
            }
            Ok(()) => Ok(()),
        }
    }

    /// Gives records to the history's writer.
    pub(crate) async fn page(
        &self,
        symbol: SymbolId,
        index: usize,
        records: Vec<KlineRecord>,
    ) -> Result<(), BackfillError> {
        if records.is_empty() {
            return Ok(());
        }
        let page = HistoryPage { symbol, period: self.config.periods.get(index), records };
        self.pages.send(page).await.map_err(|_| BackfillError::HistoryClosed)
    }

    /// Gives records to the store; waits while it has no room.
    async fn store_rows(
        &self,
        symbol: SymbolId,
        index: usize,
        records: &[KlineRecord],
    ) -> Result<(), BackfillError> {
        let Some(store) = &self.store else { return Ok(()) };
        let period = self.config.periods.get(index);
        let row = |record: &KlineRecord| StoredKline { symbol, period, record: *record };
        let mut rows: Vec<StoredKline> = records.iter().map(row).collect();
        while !rows.is_empty() {
            match store.writer.try_submit(rows) {
                Ok(()) => break,
                Err(SubmitError::Full(back)) => {
                    rows = back;
                    tokio::time::sleep(STORE_RETRY).await;
                }
                Err(SubmitError::Stopped(_)) => return Err(BackfillError::StoreStopped),
            }
        }
        Ok(())
    }

    pub(crate) fn count(&self, count: impl FnOnce(&mut BackfillCounts)) {
        self.progress.send_modify(|progress| {
            count(&mut progress.counts);
            progress.weight = self.rest.weight();
        });
    }

    pub(crate) fn tell(&self, change: impl FnOnce(&mut BackfillProgress)) {
        self.progress.send_modify(change);
    }

    pub(crate) fn enter(&self, phase: Phase) {
        tracing::info!(phase = phase.as_str(), "backfill");
        self.tell(|progress| progress.phase = phase);
    }
}
