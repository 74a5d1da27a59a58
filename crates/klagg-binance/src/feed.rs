//! The feed: all stream connections, which symbol is on which, and their end.
//!
//! Always true here: every task that was spawned is joined by [`Feed::stop`]; a symbol's trades
//! reach exactly one sink.

use std::sync::{Arc, Mutex};

use klagg_kline::SymbolId;
use klagg_symbols::SymbolIndex;
use klagg_wire::stream_name::StreamName;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;

use crate::clock::ExchangeClock;
use crate::connection::{Command, Connection, Parts};
use crate::copies::Copies;
use crate::counters::{FeedCounters, FeedCounts};
use crate::plan::{Assignment, ConnectionId, FeedPlan};
use crate::reading::Reader;
use crate::received::Received;
use crate::stream::{EXTRA_STREAMS, FeedNotice, FeedSink, MarketStreams, StreamConfig};
use crate::turnstile::Turnstile;
use crate::{BinanceError, Tls};

/// Commands that wait for one connection; more make the caller wait.
const COMMANDS_MAX: usize = 64;

/// Makes the sink of a connection.
type Connect<S> = Box<dyn FnMut(ConnectionId) -> S + Send>;

/// All stream connections to one exchange.
pub struct Feed<S> {
    config: Arc<StreamConfig>,
    base_url: String,
    tls: Tls,
    index: SymbolIndex,
    connect: Connect<S>,
    clock: ExchangeClock,
    counters: FeedCounters,
    plan: FeedPlan,
    /// By connection number: its task's inbox.
    commands: Vec<mpsc::Sender<Command>>,
    tasks: JoinSet<()>,
    notices: mpsc::Sender<FeedNotice>,
    /// One for all connections: one socket is replaced at a time.
    turnstile: Arc<Mutex<Turnstile>>,
    received: Received,
    shutdown: watch::Sender<bool>,
}

impl<S> std::fmt::Debug for Feed<S> {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("Feed")
            .field("base_url", &self.base_url)
            .field("connections", &self.commands.len())
            .finish_non_exhaustive()
    }
}

impl<S: FeedSink> Feed<S> {
    /// A feed without connections; they are opened as symbols are subscribed. `connect` makes the
    /// sink of each.
    ///
    /// # Errors
    /// [`BinanceError`] if the address or a number of the configuration cannot be used.
    pub fn start(
        config: StreamConfig,
        tls: Tls,
        index: SymbolIndex,
        connect: impl FnMut(ConnectionId) -> S + Send + 'static,
    ) -> Result<(Self, mpsc::Receiver<FeedNotice>), BinanceError> {
        let base_url = config.check()?;
        let capacity = config.streams_per_connection - EXTRA_STREAMS;
        let (notices, taken) = mpsc::channel(config.notices_max);
        let received = Received::new(index.max());
        let feed = Self {
            plan: FeedPlan::new(capacity, config.connections_max),
            base_url,
            tls,
            index,
            connect: Box::new(connect),
            clock: ExchangeClock::start(),
            counters: FeedCounters::default(),
            commands: Vec::new(),
            tasks: JoinSet::new(),
            notices,
            turnstile: Arc::new(Mutex::new(Turnstile::new(config.timing.rotation_gap))),
            received,
            shutdown: watch::Sender::new(false),
            config: Arc::new(config),
        };
        Ok((feed, taken))
    }

    /// Decides which connection carries each symbol, without opening or subscribing anything: so
    /// that the engine can be told before the first trade. A symbol keeps its connection.
    ///
    /// # Errors
    /// [`BinanceError::NoRoom`]; then nothing was assigned.
    pub fn assign(&mut self, symbols: &[SymbolId]) -> Result<Vec<Assignment>, BinanceError> {
        self.plan.assign(symbols)
    }

    /// Subscribes the symbols, opening connections as needed. Those subscribed already stay so.
    ///
    /// Must be called inside a tokio runtime; waits only while a connection has too many
    /// commands before it.
    ///
    /// # Errors
    /// [`BinanceError::UnknownSymbol`] or [`BinanceError::NoRoom`]; then nothing was subscribed.
    pub async fn subscribe(&mut self, symbols: &[SymbolId]) -> Result<(), BinanceError> {
        let table = self.index.load();
        let mut streams = Vec::with_capacity(symbols.len());
        for &symbol in symbols {
            let entry = table.entry(symbol).ok_or(BinanceError::UnknownSymbol(symbol))?;
            streams.push((symbol, self.config.source.name(&entry.name)));
        }
        let assignments = self.plan.assign(symbols)?;
        while self.commands.len() < self.plan.connections() {
            self.open_next();
        }
        let mut batches = vec![Vec::new(); self.commands.len()];
        for (assignment, stream) in assignments.iter().zip(streams) {
            batches[assignment.connection.index()].push(stream);
        }
        for (commands, batch) in self.commands.iter().zip(batches) {
            if !batch.is_empty() && commands.send(Command::Subscribe(batch)).await.is_err() {
                tracing::warn!("a connection has ended; its symbols are not subscribed");
            }
        }
        Ok(())
    }

    /// Ends the subscription of the symbols and frees their places.
    pub async fn unsubscribe(&mut self, symbols: &[SymbolId]) {
        let table = self.index.load();
        for &symbol in symbols {
            let Some(connection) = self.plan.release(symbol) else { continue };
            let Some(entry) = table.entry(symbol) else { continue };
            let stream = (symbol, self.config.source.name(&entry.name));
            if let Some(commands) = self.commands.get(connection.index()) {
                // An ended connection carries nothing that could be ended.
                drop(commands.send(Command::Unsubscribe(vec![stream])).await);
            }
        }
    }

    /// Subscribes the symbol anew where it stands: nothing comes of it although its connection
    /// delivers.
    pub async fn renew(&mut self, symbol: SymbolId) {
        let connection = self.plan.owner(symbol);
        let commands = connection.and_then(|connection| self.commands.get(connection.index()));
        if let (Some(commands), Some(entry)) = (commands, self.index.load().entry(symbol)) {
            self.counters.renewals.add(1);
            let stream = (symbol, self.config.source.name(&entry.name));
            // An ended connection cannot be asked for anything.
            drop(commands.send(Command::Renew(vec![stream])).await);
        }
    }

    /// How many connections there are, whether open or not.
    pub fn connections(&self) -> usize {
        self.commands.len()
    }

    /// What was counted so far, over all connections.
    pub fn counts(&self) -> FeedCounts {
        self.counters.read()
    }

    /// A handle to the counters that outlives the feed.
    pub fn counts_reader(&self) -> impl Fn() -> FeedCounts + Send + Sync + Clone + 'static {
        let counters = self.counters.clone();
        move || counters.read()
    }

    /// The newest trades that were handed on, and which connection carries each symbol.
    pub fn received(&self) -> Received {
        self.received.clone()
    }

    /// Stops all connections, passes on what they had read, and joins their tasks.
    ///
    /// Whoever holds the sinks' other end must go on taking until this returns.
    pub async fn stop(mut self) -> FeedCounts {
        self.shutdown.send_replace(true);
        while let Some(ended) = self.tasks.join_next().await {
            if let Err(error) = ended {
                tracing::error!(%error, "a connection's task failed");
            }
        }
        self.counters.read()
    }

    /// Spawns the task of the next connection; the first one carries the market's streams as
    /// well, or has a companion for them.
    fn open_next(&mut self) {
        let id = ConnectionId(u16::try_from(self.commands.len()).unwrap_or(u16::MAX));
        let path = self.config.trade_path().to_owned();
        let mut streams = Vec::new();
        streams.extend(self.config.canary.as_deref().map(|name| self.config.source.name(name)));
        let wants_market = id == ConnectionId(0) && self.config.market_streams == MarketStreams::On;
        if wants_market && path == self.config.market_path {
            streams.extend(market_streams());
        } else if wants_market {
            self.open_market();
        }
        let commands = self.open(id, path, self.config.canary.clone(), streams);
        self.commands.push(commands);
    }

    /// The market's streams on a connection of their own, numbered above all others: it carries
    /// no trades, yet its event times move the watermark of its own sink only.
    fn open_market(&mut self) {
        let id = ConnectionId(self.config.connections_max);
        let path = self.config.market_path.clone();
        // Without commands: what it carries never changes.
        drop(self.open(id, path, None, market_streams().to_vec()));
    }

    fn open(
        &mut self,
        id: ConnectionId,
        path: String,
        canary: Option<String>,
        streams: Vec<String>,
    ) -> mpsc::Sender<Command> {
        let (commands, inbox) = mpsc::channel(COMMANDS_MAX);
        let timing = self.config.timing.clone();
        let copies = Copies::new(timing, self.config.copies, canary.is_some(), streams);
        let connection = Connection::new(Parts {
            id,
            url: format!("{}{path}/stream", self.base_url),
            path,
            config: Arc::clone(&self.config),
            tls: self.tls.clone(),
            clock: self.clock.clone(),
            counters: self.counters.clone(),
            copies,
            turnstile: Arc::clone(&self.turnstile),
            received: self.received.clone(),
            reader: Reader::new(&self.index, canary),
            sink: (self.connect)(id),
            commands: inbox,
            notices: self.notices.clone(),
            shutdown: self.shutdown.subscribe(),
        });
        self.tasks.spawn(connection.run());
        commands
    }
}

fn market_streams() -> [String; 2] {
    [StreamName::AllMiniTickers.to_string(), StreamName::ContractInfo.to_string()]
}
