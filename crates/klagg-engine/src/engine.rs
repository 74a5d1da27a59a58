//! The threaded engine: workers, the lanes to them, and their orderly end.

use std::sync::Arc;
use std::thread::JoinHandle;

use crossbeam_channel::{Receiver, Sender, bounded};
use klagg_kline::{KlineRecord, Period, PeriodSet, SymbolId, Trade, UnixMillis};

use crate::command::Command;
#[cfg(debug_assertions)]
use crate::command::WorkerFault;
use crate::feed::{Batch, Item, Route};
use crate::reader::REQUESTS_MAX;
use crate::worker::{self, Lanes};
use crate::{
    EngineConfig, EngineError, EngineFeed, FeedId, NewSymbolSpec, Supervision, WorkerCounters,
    WorkerReadHandle,
};

/// Commands that may wait before a worker; the sender of one more waits.
const COMMANDS_MAX: usize = 1_024;
/// Spent deltas that wait to be filled again: the one being filled and the one being read.
const SPENT_MAX: usize = 2;

/// N worker threads, each the only owner of its symbols. The crate's first page has an example.
///
/// Shutdown follows the data: drop the feeds and controls, take the last deltas, then
/// [`join`](Engine::join).
#[derive(Debug)]
pub struct Engine {
    config: EngineConfig,
    control: EngineControl,
    lanes: Box<[Sender<Batch>]>,
    emptied: Receiver<Vec<Item>>,
    readers: Vec<WorkerReadHandle>,
    threads: Vec<JoinHandle<WorkerCounters>>,
}

/// What an engine did in its life.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct EngineReport {
    /// The counters of each worker.
    pub workers: Vec<WorkerCounters>,
}

impl Engine {
    /// Starts the workers. One that panics has ended: see [`Engine::start_supervised`].
    ///
    /// # Errors
    /// [`EngineError::InvalidConfig`] if a number cannot work, [`EngineError::Spawn`] if the
    /// operating system refuses a thread.
    pub fn start(config: EngineConfig) -> Result<Self, EngineError> {
        Self::start_supervised(config, Supervision::none())
    }

    /// Starts the workers, each of which starts again where it panics, as far as `supervision`
    /// allows.
    ///
    /// All handles stay good over a restart, and what was closed is handed out all the same. The
    /// minutes that were open, and those up to each symbol's next trade, are provisional: supply
    /// the exchange's own. While a worker rests its trades are dropped and counted, and requests
    /// to it are dropped, so that nobody else waits for it.
    ///
    /// # Errors
    /// As [`Engine::start`].
    pub fn start_supervised(
        config: EngineConfig,
        supervision: Supervision,
    ) -> Result<Self, EngineError> {
        config.validate()?;
        supervision.restart.validate()?;
        let supervision = Arc::new(supervision);
        let workers = config.workers;
        // Room for every batch that can be under way: the lanes', and one in each hand.
        let (emptied_tx, emptied) = bounded(workers * (config.queue_batches + 1));
        let (mut lanes, mut commands, mut readers, mut threads) = (vec![], vec![], vec![], vec![]);
        for worker in 0..workers {
            let (batch_tx, batch_rx) = bounded(config.queue_batches);
            let (command_tx, command_rx) = bounded(COMMANDS_MAX);
            let (request_tx, request_rx) = bounded(REQUESTS_MAX);
            let (spent_tx, spent_rx) = bounded(SPENT_MAX);
            lanes.push(batch_tx);
            commands.push(command_tx);
            readers.push(WorkerReadHandle::new(worker, request_tx, spent_tx));
            let worker_lanes = Lanes {
                requests: request_rx,
                commands: command_rx,
                batches: batch_rx,
                emptied: emptied_tx.clone(),
                spent: spent_rx,
            };
            let core = config.first_core.map(|first| first + worker);
            let (config, supervision) = (config.clone(), Arc::clone(&supervision));
            let thread = std::thread::Builder::new()
                .name(format!("klagg-worker-{worker}"))
                .spawn(move || {
                    pin(core);
                    worker::run(&config, worker, worker_lanes, &supervision)
                })
                .map_err(|source| EngineError::Spawn { worker, source })?;
            threads.push(thread);
        }
        let control = EngineControl {
            route: Route::new(workers),
            symbols_max: config.symbols_max,
            periods: config.periods.clone(),
            commands: commands.into(),
        };
        Ok(Self { config, control, lanes: lanes.into(), emptied, readers, threads })
    }

    /// A new producer's end. Several may carry the same number.
    pub fn feed(&self, feed: FeedId) -> EngineFeed {
        EngineFeed::new(feed, self.config.batch_trades, self.lanes.clone(), self.emptied.clone())
    }

    /// A handle for commands.
    pub fn control(&self) -> EngineControl {
        self.control.clone()
    }

    /// The readers, one for each worker, in their order. Empty when called again.
    pub fn take_readers(&mut self) -> Vec<WorkerReadHandle> {
        std::mem::take(&mut self.readers)
    }

    /// Waits for the workers to end. Each ends when all feeds and controls are dropped and its
    /// reader is dropped, or has acknowledged a delta made after that (`is_last`).
    ///
    /// # Errors
    /// [`EngineError::Panicked`] if a worker broke one of its own rules.
    pub fn join(self) -> Result<EngineReport, EngineError> {
        let Self { control, lanes, emptied, readers, threads, .. } = self;
        drop((control, lanes, emptied, readers));
        let mut workers = Vec::with_capacity(threads.len());
        for (worker, thread) in threads.into_iter().enumerate() {
            workers.push(thread.join().map_err(|panic| EngineError::Panicked {
                worker,
                message: worker::panic_message(panic.as_ref()),
            })?);
        }
        Ok(EngineReport { workers })
    }
}

/// Ties the current thread to a core. A core that does not exist leaves the thread free.
#[cfg(feature = "pinning")]
fn pin(core: Option<usize>) {
    if let Some(id) = core {
        core_affinity::set_for_current(core_affinity::CoreId { id });
    }
}

#[cfg(not(feature = "pinning"))]
fn pin(core: Option<usize>) {
    debug_assert!(core.is_none(), "the configuration refuses cores without the feature");
}

/// Tells workers what to do besides folding.
///
/// A command is served before the trades that wait, and before every trade that was flushed after
/// the call returned. Calls wait while a worker has more than a thousand commands before it.
#[derive(Debug, Clone)]
pub struct EngineControl {
    route: Route,
    symbols_max: usize,
    periods: PeriodSet,
    commands: Box<[Sender<Command>]>,
}

impl EngineControl {
    /// Folds a symbol from now on. One that is folded already is only moved to the feed named.
    ///
    /// # Errors
    /// [`EngineError::SymbolLimit`] if its number is beyond `symbols_max`; all others go on.
    /// [`EngineError::WorkerGone`] if its worker has ended.
    pub fn add_symbol(&self, spec: NewSymbolSpec) -> Result<(), EngineError> {
        self.send(spec.id, Command::Add(spec))
    }

    /// Folds a symbol no more. What it changed is still handed out.
    ///
    /// # Errors
    /// As [`EngineControl::add_symbol`].
    pub fn retire_symbol(&self, symbol: SymbolId) -> Result<(), EngineError> {
        self.send(symbol, Command::Retire(symbol))
    }

    /// Says that trades of a symbol may be missing although its feed delivers: what its open
    /// minute holds, and every minute that closes from now on, is unproven until the symbol's next
    /// trade shows that none is missing. A trade that is no later than `heard`, the time at which
    /// the newest one that came was sent, shows nothing: it may have waited before the worker, and
    /// been overtaken by this.
    ///
    /// # Errors
    /// As [`EngineControl::add_symbol`].
    pub fn doubt_symbol(&self, symbol: SymbolId, heard: UnixMillis) -> Result<(), EngineError> {
        self.send(symbol, Command::Doubt(symbol, heard))
    }

    /// Says that another listing has had the name of a symbol since then, so that trades under it
    /// may be that one's: no minute that closes from now on is proven, until the symbol is folded
    /// no more, or an official kline of a minute since then shows that the name is its own.
    ///
    /// # Errors
    /// As [`EngineControl::add_symbol`].
    pub fn doubt_name(&self, symbol: SymbolId, since: UnixMillis) -> Result<(), EngineError> {
        self.send(symbol, Command::DoubtName(symbol, since))
    }

    /// Hands over closed klines from outside: the exchange's own, or stored ones. They seed what
    /// a symbol needs to fold its longer periods, and repair or confirm what it closed. Longer
    /// klines made of them are made again.
    ///
    /// # Errors
    /// [`EngineError::PeriodNotConfigured`] for a period that is not folded, and as
    /// [`EngineControl::add_symbol`].
    pub fn supply(
        &self,
        symbol: SymbolId,
        period: Period,
        records: Vec<KlineRecord>,
    ) -> Result<(), EngineError> {
        let period_index =
            self.periods.index_of(period).ok_or(EngineError::PeriodNotConfigured(period))?;
        self.send(symbol, Command::Supply { symbol, period_index, records })
    }

    /// Hands over the trades that a [`Hole`](crate::Hole) lacks: exactly those, in order. They
    /// make its minute whole again; anything else is refused and counted.
    ///
    /// # Errors
    /// As [`EngineControl::add_symbol`].
    pub fn fill(&self, symbol: SymbolId, trades: Vec<Trade>) -> Result<(), EngineError> {
        self.send(symbol, Command::Fill { symbol, trades })
    }

    /// Breaks or stalls a worker. For tests of whoever embeds an engine; not in release builds.
    ///
    /// # Errors
    /// [`EngineError::WorkerGone`] if the worker has ended, or there is none of this number.
    #[doc(hidden)]
    #[cfg(debug_assertions)]
    pub fn fault(&self, worker: usize, fault: WorkerFault) -> Result<(), EngineError> {
        let gone = EngineError::WorkerGone { worker };
        let Some(lane) = self.commands.get(worker) else { return Err(gone) };
        lane.send(Command::Fault(fault)).map_err(|_| gone)
    }

    fn send(&self, symbol: SymbolId, command: Command) -> Result<(), EngineError> {
        if symbol.index() >= self.symbols_max {
            return Err(EngineError::SymbolLimit { symbol, max: self.symbols_max });
        }
        let (worker, _) = self.route.place(symbol);
        self.commands[worker].send(command).map_err(|_| EngineError::WorkerGone { worker })
    }
}
