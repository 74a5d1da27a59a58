//! The shell: carries out what the core wants, and tells it what happens.
//!
//! Always true here:
//! - Everything runs inside one future: when it is dropped or ends, no request is under way.
//! - Actions are carried out in their order. While store or history have no room, none is, and so
//!   no further page is asked for.

use std::collections::VecDeque;
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::future::BoxFuture;
use futures_util::stream::FuturesUnordered;
use klagg_binance::{KlineQuery, Priority, RestClient};
use klagg_engine::{EngineControl, EngineError, HistoryPage, Hole};
use klagg_kline::{KlineRecord, PeriodSet, SymbolId, UnixMillis};
use klagg_store::{StoredKline, SubmitError};
use klagg_symbols::SymbolIndex;
use tokio::sync::{mpsc, watch};

use crate::action::{Action, Level, Notice, Request, RequestId, What};
use crate::config::{
    ArchiveParts, BackfillCommand, BackfillConfig, BackfillParts, Clock, StoreParts,
};
use crate::error::failure_of;
use crate::event::{Answer, Event, Now, SymbolSpec};
use crate::fetch::{Fetched, fetch};
use crate::load::{Loader, Visit};
use crate::{BackfillCore, BackfillCounts, BackfillError, BackfillProgress};

/// How often a full queue of the store is asked again.
const STORE_RETRY: Duration = Duration::from_millis(5);
/// Longest sleep while nothing is due.
const IDLE: Duration = Duration::from_mins(1);

/// Fetches history, meets live, and confirms, until shutdown.
///
/// Everything runs inside this future: when it is dropped or ends, no request is under way.
///
/// # Errors
/// [`BackfillError`] if a number of the configuration cannot work, or if history, store or engine
/// do not take klines any more. What the exchange does not give is asked for again and again, and
/// counted; what the store cannot tell is fetched anew.
pub async fn backfill_task(
    config: BackfillConfig,
    symbols: Vec<SymbolId>,
    parts: BackfillParts,
) -> Result<BackfillCounts, BackfillError> {
    let BackfillParts { rest, archive, index, engine, history, pages, store, clock, .. } = parts;
    let BackfillParts { progress, live_from, commands, holes, listed, mut shutdown, .. } = parts;
    let mut sources = Sources { live_from, commands, holes };
    let periods = config.periods.clone();
    let (writer, loader) = match store {
        Some(StoreParts { reader, writer }) => {
            let loader = Loader::new(reader, periods.clone(), config.capacity.clone());
            (Some(writer), Some(loader))
        }
        None => (None, None),
    };
    let mut shell = Shell {
        core: BackfillCore::new(config, history)?,
        // The core repeats by its own policy.
        rest: rest.with_attempts(1),
        archive,
        index,
        clock,
        progress,
        loader,
        outlet: Outlet { periods, engine, pages, writer },
        outbox: VecDeque::new(),
        under_way: FuturesUnordered::new(),
    };
    let outcome = tokio::select! {
        biased;
        () = stopped(&mut shutdown) => Ok(()),
        outcome = shell.run((symbols, listed), &mut sources) => outcome,
    };
    outcome.map(|()| shell.core.progress().counts)
}

async fn stopped(shutdown: &mut watch::Receiver<bool>) {
    // An error means that the sender is gone, which is a shutdown as well.
    drop(shutdown.wait_for(|&stop| stop).await);
}

struct Shell {
    core: BackfillCore,
    rest: RestClient,
    archive: Option<ArchiveParts>,
    index: SymbolIndex,
    clock: Clock,
    progress: watch::Sender<BackfillProgress>,
    loader: Option<Loader>,
    outlet: Outlet,
    /// What is still to be done. Bounded by the requests that may be under way, since none is
    /// sent while anything waits here.
    outbox: VecDeque<Action>,
    under_way: FuturesUnordered<BoxFuture<'static, Done>>,
}

/// Who tells what happens, besides the exchange and the store.
struct Sources {
    live_from: watch::Receiver<Option<UnixMillis>>,
    commands: mpsc::Receiver<BackfillCommand>,
    holes: mpsc::Receiver<Hole>,
}

/// What was under way and has ended.
enum Done {
    Answered(RequestId, Answer),
    Fetched(Fetched),
    ClockMeasured,
    Visited(Visit),
}

impl Shell {
    async fn run(
        &mut self,
        (symbols, listed): (Vec<SymbolId>, Vec<SymbolId>),
        sources: &mut Sources,
    ) -> Result<(), BackfillError> {
        let Sources { live_from, commands, holes } = sources;
        let (mut waits_for_live, mut obeys, mut hears) = (true, true, true);
        let added = self.added(&symbols, &listed);
        self.tell(added);
        loop {
            self.carry_out()?;
            let deadline = self.core.next_deadline();
            let sleep = deadline.map_or(IDLE, |at| at.saturating_sub(self.now().local));
            tokio::select! {
                biased;
                outcome = self.outlet.deliver(&mut self.outbox), if !self.outbox.is_empty() => {
                    outcome?;
                }
                Some(done) = self.under_way.next(), if !self.under_way.is_empty() => {
                    self.on_done(done);
                }
                command = commands.recv(), if obeys => match command {
                    Some(command) => self.obey(command),
                    None => obeys = false,
                },
                hole = holes.recv(), if hears => match hole {
                    Some(hole) => self.tell(Event::Hole(hole)),
                    None => hears = false,
                },
                since = live_from.wait_for(Option::is_some), if waits_for_live => {
                    // Without anybody to tell, nothing live will have to be met.
                    let since = since.ok().and_then(|since| *since);
                    waits_for_live = false;
                    self.tell(Event::Live(since.unwrap_or_else(|| (self.clock)())));
                }
                () = tokio::time::sleep(sleep) => self.tell(Event::Timer),
            }
        }
    }

    fn now(&self) -> Now {
        Now { local: self.rest.clock().elapsed(), exchange: (self.clock)() }
    }

    /// Tells the core; what it only wants to be said is said at once.
    fn tell(&mut self, event: Event) {
        let now = self.now();
        let mut actions = Vec::new();
        self.core.on_event(now, Event::Weight(self.rest.weight()), &mut actions);
        self.core.on_event(now, event, &mut actions);
        for action in actions {
            match action {
                Action::Say(notice) => say(&notice),
                action => self.outbox.push_back(action),
            }
        }
    }

    /// Symbols that the index holds, with what it knows of them; the own listings of those in
    /// `listed` were seen.
    fn added(&self, symbols: &[SymbolId], listed: &[SymbolId]) -> Event {
        let table = self.index.load();
        let mut added = Vec::with_capacity(symbols.len());
        for &id in symbols {
            let Some(entry) = table.entry(id) else {
                tracing::error!(symbol = %id, "a symbol that the index does not hold");
                continue;
            };
            let (name, first_open_time) = (entry.name.clone(), entry.first_open_time);
            let is_listed = listed.contains(&id);
            added.push(SymbolSpec { id, name, first_open_time, is_listed });
        }
        Event::Added(added)
    }

    fn obey(&mut self, command: BackfillCommand) {
        let event = match command {
            BackfillCommand::Add(symbols) => self.added(&symbols, &[]),
            BackfillCommand::Retire(symbols, at) => Event::Retired { symbols, at },
            BackfillCommand::Listed(symbols, at) => Event::Listed { symbols, at },
            BackfillCommand::Watch(slots) => Event::Watched(slots),
        };
        self.tell(event);
    }

    fn on_done(&mut self, done: Done) {
        match done {
            Done::Answered(id, answer) => self.tell(Event::Answered { id, answer }),
            Done::Fetched((id, file)) => self.tell(Event::Fetched { id, file }),
            Done::ClockMeasured => self.tell(Event::ClockMeasured),
            Done::Visited(Visit { symbols, read }) => {
                let (reader, stored) = match read {
                    Ok((reader, stored)) => (Some(reader), stored),
                    Err(error) => {
                        let error = &error as &dyn std::error::Error;
                        let what = "the store cannot be read; its klines are fetched anew";
                        tracing::error!(error, "{what}");
                        (None, Vec::new())
                    }
                };
                for stored in stored {
                    self.tell(Event::Stored(stored));
                }
                if let Some(loader) = &mut self.loader {
                    loader.returned(reader);
                }
                self.tell(Event::Loaded(symbols));
            }
        }
    }

    /// Carries out what needs no waiting, up to the first action that does.
    fn carry_out(&mut self) -> Result<(), BackfillError> {
        while let Some(action) = self.outbox.pop_front() {
            match action {
                Action::HandOver { .. } | Action::Show { .. } => {
                    self.outbox.push_front(action);
                    return Ok(());
                }
                Action::Load(symbols) => match &mut self.loader {
                    Some(loader) => loader.add(symbols),
                    None => self.tell(Event::Loaded(symbols)),
                },
                Action::Ask(request) => self.under_way.push(ask(self.rest.clone(), request)),
                Action::Fetch(request) => {
                    let fetched = fetch(self.archive.clone(), request);
                    self.under_way.push(Box::pin(async { Done::Fetched(fetched.await) }));
                }
                Action::MeasureClock => self.under_way.push(measure(self.rest.clone())),
                Action::Supply { symbol, index, records } => {
                    self.outlet.supply(symbol, index, records)?;
                }
                Action::Fill { symbol, trades } => {
                    taken(symbol, self.outlet.engine.fill(symbol, trades))?;
                }
                Action::Say(notice) => say(&notice),
                Action::Progress => self.publish(),
            }
        }
        if let Some(visit) = self.loader.as_mut().and_then(Loader::next_visit) {
            self.under_way.push(Box::pin(async { Done::Visited(visit.await) }));
        }
        Ok(())
    }

    fn publish(&self) {
        let progress = self.core.progress();
        let phase = progress.phase;
        if self.progress.borrow().phase != phase {
            tracing::info!(phase = phase.as_str(), "backfill");
        }
        self.progress.send_replace(progress.clone());
    }
}

fn say(notice: &Notice) {
    match notice.level() {
        Level::Info => tracing::info!("{notice}"),
        Level::Warning => tracing::warn!("{notice}"),
        Level::Error => tracing::error!("{notice}"),
    }
}

/// Asks the exchange once.
fn ask(rest: RestClient, request: Request) -> BoxFuture<'static, Done> {
    Box::pin(async move {
        let Request { name, what, priority, .. } = &request;
        let answer = match *what {
            What::Klines(page) => {
                let (start, end) = (Some(page.from), Some(page.last_open_time()));
                let query = KlineQuery { start, end, limit: page.klines };
                rest.klines(name, page.period, query, *priority).await.map(Answer::Klines)
            }
            What::Trades { from, limit } => {
                let rows = rest.agg_trades(name, Some(from), limit, *priority).await;
                rows.map(|rows| Answer::Trades(rows.iter().map(|row| row.trade).collect()))
            }
        };
        let answer = answer.unwrap_or_else(|source| {
            let failure = failure_of(&source);
            let error = BackfillError::Exchange { what: request.to_string(), source };
            tracing::error!(error = &error as &dyn std::error::Error, "will be asked for again");
            Answer::Failed(failure)
        });
        Done::Answered(request.id, answer)
    })
}

/// Measures how far the exchange's clock is from ours; without an answer, the last distance stays.
fn measure(rest: RestClient) -> BoxFuture<'static, Done> {
    Box::pin(async move {
        if let Err(error) = rest.server_time(Priority::Urgent).await {
            tracing::warn!(%error, "the exchange does not tell its time");
        }
        Done::ClockMeasured
    })
}

/// Where klines go.
struct Outlet {
    periods: PeriodSet,
    engine: EngineControl,
    pages: mpsc::Sender<HistoryPage>,
    writer: Option<klagg_store::WriterHandle>,
}

impl Outlet {
    fn supply(
        &self,
        symbol: SymbolId,
        index: usize,
        records: Vec<KlineRecord>,
    ) -> Result<(), BackfillError> {
        let supplied = self.engine.supply(symbol, self.periods.get(index), records);
        taken(symbol, supplied)
    }

    /// Delivers the first action of the outbox, which is one for store or history. Can be dropped
    /// at any point and begun again.
    async fn deliver(&self, outbox: &mut VecDeque<Action>) -> Result<(), BackfillError> {
        if let Some(Action::HandOver { symbol, index, records }) = outbox.front() {
            let (symbol, index, records) = (*symbol, *index, records.clone());
            self.store_rows(symbol, index, &records).await?;
            outbox[0] = Action::Show { symbol, index, records };
        }
        let room = self.pages.reserve().await.map_err(|_| BackfillError::HistoryClosed)?;
        if let Some(Action::Show { symbol, index, records }) = outbox.pop_front() {
            let period = self.periods.get(index);
            room.send(HistoryPage { symbol, period, records });
        }
        Ok(())
    }

    /// Gives records to the store; waits while it has no room.
    async fn store_rows(
        &self,
        symbol: SymbolId,
        index: usize,
        records: &[KlineRecord],
    ) -> Result<(), BackfillError> {
        let Some(writer) = &self.writer else { return Ok(()) };
        let period = self.periods.get(index);
        let row = |record: &KlineRecord| StoredKline { symbol, period, record: *record };
        let mut rows: Vec<StoredKline> = records.iter().map(row).collect();
        loop {
            match writer.try_submit(rows) {
                Ok(()) => return Ok(()),
                Err(SubmitError::Full(back)) => {
                    rows = back;
                    tokio::time::sleep(STORE_RETRY).await;
                }
                Err(SubmitError::Stopped(_)) => return Err(BackfillError::StoreStopped),
            }
        }
    }
}

/// What became of a command to the engine. One that cannot take commands any more is the end.
fn taken(symbol: SymbolId, outcome: Result<(), EngineError>) -> Result<(), BackfillError> {
    match outcome {
        Err(error @ EngineError::WorkerGone { .. }) => Err(BackfillError::Engine(error)),
        Err(error) => {
            tracing::error!(%symbol, %error, "the engine refused klines");
            Ok(())
        }
        Ok(()) => Ok(()),
    }
}
