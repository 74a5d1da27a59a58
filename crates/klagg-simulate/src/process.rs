//! One life of the process under test: the real machines, joined as the binary joins them.

pub(crate) mod backfill;
pub(crate) mod client;
pub(crate) mod clock;
pub(crate) mod gateway;
pub(crate) mod silence;
pub(crate) mod streams;
pub(crate) mod workers;
pub(crate) mod writer;

use std::collections::BTreeSet;
use std::time::Duration;

use klagg_backfill::{Look, Lookout, LookoutConfig, SymbolFilter};
use klagg_binance::Turnstile;
use klagg_engine::{Continuity, EngineConfig, FeedId, HistoryConfig, SequencerConfig, history};
use klagg_gateway::GatewayConfig;
use klagg_kline::{SymbolId, TradeId};
use klagg_symbols::SymbolIndex;
use klagg_wire::Decoder;

use crate::agenda::{Alarm, Millis};
use crate::disk::Disk;
use crate::process::backfill::Backfill;
use crate::process::client::Client;
use crate::process::clock::Clock;
use crate::process::gateway::Gateway;
use crate::process::silence::Silence;
use crate::process::streams::{Connection, market_streams, stream_of, timing};
use crate::process::workers::{Command, Worker};
use crate::process::writer::Writer;
use crate::scenario::Scenario;

/// Changes that the history's log remembers: few, so that a writer that stands still loses them.
const LOG_CAPACITY: usize = 200;

/// How far the start has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stage {
    /// The exchange's time is asked for.
    Clock,
    /// Its symbols are.
    Symbols,
    Running,
}

/// The process.
#[derive(Debug)]
pub(crate) struct Process {
    pub(crate) stage: Stage,
    pub(crate) clock: Clock,
    pub(crate) index: SymbolIndex,
    pub(crate) engine: EngineConfig,
    pub(crate) workers: Vec<Worker>,
    pub(crate) gateway: Gateway,
    pub(crate) connections: Vec<Connection>,
    /// How many of them carry trades: the first ones.
    pub(crate) carriers: usize,
    is_raw: bool,
    /// Reads the text of fills.
    pub(crate) decoder: Decoder,
    pub(crate) turnstile: Turnstile,
    pub(crate) silence: Silence,
    pub(crate) client: Client,
    pub(crate) backfill: Backfill,
    pub(crate) writer: Writer,
    pub(crate) lookout: Lookout,
    /// A look that waits for first klines, and for how many.
    pub(crate) look: Option<Look>,
    pub(crate) look_waits_for: usize,
    pub(crate) is_looking: bool,
    pub(crate) look_alarm: Alarm,
    pub(crate) weight_alarm: Alarm,
    pub(crate) writer_alarm: Alarm,
    /// Symbols that are folded and subscribed.
    pub(crate) followed: BTreeSet<SymbolId>,
    /// Whether all connections have delivered.
    pub(crate) live_told: bool,
    pub(crate) suspended_until: Millis,
}

impl Process {
    pub(crate) fn start(scenario: &Scenario, disk: &Disk, now: Millis, skew: Millis) -> Self {
        let entries = disk.symbols.iter().map(klagg_backfill::entry).collect();
        let symbols_max = scenario.symbols_max;
        let index = SymbolIndex::from_entries(entries, symbols_max).expect("the store is in order");
        let is_raw = scenario.is_raw;
        let engine = EngineConfig {
            periods: scenario.periods.clone(),
            workers: scenario.workers,
            symbols_max,
            queue_batches: 1,
            batch_trades: 1,
            close_grace_ms: 500,
            sequencer: SequencerConfig {
                continuity: if is_raw { Continuity::Unchecked } else { Continuity::Checked },
                held_max: 64,
                hold_ms: scenario.hold_ms,
            },
            undelivered_max: 4_000,
            first_core: None,
        };
        let history = history(HistoryConfig {
            periods: scenario.periods.clone(),
            symbols_max,
            capacity: scenario.capacity.clone(),
            log_capacity: LOG_CAPACITY,
        })
        .expect("the numbers hold");
        let millis = |millis: Millis| Duration::from_millis(millis.unsigned_abs());
        let gateway = GatewayConfig {
            cadence: millis(scenario.gateway_cadence),
            worker_timeout: millis(scenario.gateway_cadence / 2),
            alarm_threshold: 3,
            symbols_max,
            periods: scenario.periods.clone(),
        };
        Self {
            stage: Stage::Clock,
            clock: Clock::start(now, skew),
            index,
            workers: (0..scenario.workers).map(|number| Worker::new(&engine, number)).collect(),
            engine,
            backfill: Backfill::new(scenario, history.1.clone()),
            writer: Writer::new(history.1.clone(), scenario.periods.clone()),
            gateway: Gateway::new(&gateway, scenario.workers, history),
            connections: connections(scenario),
            carriers: scenario.connections,
            is_raw,
            decoder: Decoder::new(),
            turnstile: Turnstile::new(timing(scenario.names_per_subscribe).rotation_gap),
            silence: Silence::new(),
            client: Client::new(scenario.weight_limit),
            lookout: lookout(),
            look: None,
            look_waits_for: 0,
            is_looking: false,
            look_alarm: Alarm::default(),
            weight_alarm: Alarm::default(),
            writer_alarm: Alarm::default(),
            followed: BTreeSet::new(),
            live_told: false,
            suspended_until: 0,
        }
    }

    /// The worker that owns a symbol.
    pub(crate) fn worker_of(&mut self, symbol: SymbolId) -> &mut Worker {
        let workers = self.workers.len();
        &mut self.workers[symbol.index() % workers]
    }

    /// The connection that carries a symbol.
    pub(crate) fn connection_of(&self, symbol: SymbolId) -> usize {
        symbol.index() % self.carriers
    }

    /// The stream of a symbol.
    pub(crate) fn stream_of(&self, name: &str) -> String {
        stream_of(name, self.is_raw)
    }

    /// Whether it says that a symbol's feed does not deliver.
    pub(crate) fn says_doubtful(&self, symbol: SymbolId) -> bool {
        self.silence.is_mute(symbol) || !self.delivers(symbol)
    }

    /// Whether the connection of a symbol delivers.
    pub(crate) fn delivers(&self, symbol: SymbolId) -> bool {
        self.connections[self.connection_of(symbol)].is_live()
    }

    /// Folds symbols from now on; gives the streams to subscribe, by connection.
    /// The ids of those that are `young` begin at 1.
    pub(crate) fn follow(
        &mut self,
        now: Millis,
        symbols: &[SymbolId],
        young: &[SymbolId],
    ) -> Vec<Vec<String>> {
        let since = Some(self.clock.exchange(now));
        let mut streams = vec![Vec::new(); self.connections.len()];
        let table = self.index.load();
        for &id in symbols {
            let Some(entry) = table.entry(id) else { continue };
            let connection = self.connection_of(id);
            let feed = self.connections[connection].feed;
            let spec = klagg_engine::NewSymbolSpec {
                id,
                feed,
                previous_close: None,
                next_id: young.contains(&id).then_some(TradeId(1)),
                since,
            };
            self.worker_of(id).command(now, Command::Add(spec));
            self.connections[connection].owned.push(id);
            streams[connection].push(self.stream_of(&entry.name));
            self.followed.insert(id);
        }
        streams
    }

    /// Folds symbols no more; gives the streams to end, by connection.
    pub(crate) fn leave(&mut self, now: Millis, symbols: &[SymbolId]) -> Vec<Vec<String>> {
        let mut streams = vec![Vec::new(); self.connections.len()];
        let table = self.index.load();
        for &id in symbols {
            let connection = self.connection_of(id);
            self.connections[connection].owned.retain(|&of| of != id);
            if let Some(entry) = table.entry(id) {
                streams[connection].push(self.stream_of(&entry.name));
            }
            self.worker_of(id).command(now, Command::Retire(id));
            self.followed.remove(&id);
        }
        streams
    }
}

/// The connections that carry trades, and the market's own streams on the first of them; or, where
/// fills come over another path, on one behind them.
fn connections(scenario: &Scenario) -> Vec<Connection> {
    let is_raw = scenario.is_raw;
    let connection = |number: usize| {
        let has_canary = number < scenario.connections;
        let mut streams = Vec::new();
        if has_canary {
            streams.push(stream_of(streams::CANARY, is_raw));
        }
        if number == if is_raw { scenario.connections } else { 0 } {
            streams.extend(market_streams());
        }
        let feed = FeedId(u16::try_from(number).unwrap_or(0));
        Connection::new(feed, scenario, (streams, has_canary))
    };
    (0..scenario.all_connections()).map(connection).collect()
}

/// The product's numbers, those of minutes scaled to a run.
fn lookout() -> Lookout {
    let seconds = Duration::from_secs;
    let config = LookoutConfig {
        cadence: seconds(60),
        pause: seconds(3),
        pause_max: seconds(20),
        retry_pause: seconds(15),
    };
    let quote_assets = vec!["USDT".to_owned()];
    Lookout::new(config, SymbolFilter { quote_assets, names: Vec::new() })
}
