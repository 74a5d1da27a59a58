//! The configuration of each part, from the program's: the only place that knows both.

use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use klagg_backfill::{
    ArchiveParts, ArchiveRules, BackfillConfig, Confirmation, ReadFile, SymbolFilter,
};
use klagg_binance::{
    ArchiveClient, ArchiveConfig, Backoff, CrossCheckRules, MarketStreams, PlainText, RestConfig,
    StreamConfig, StreamTiming, Tls, TradeStream,
};
use klagg_engine::{Continuity, EngineConfig, HistoryConfig, RestartConfig, SequencerConfig};
use klagg_gateway::GatewayConfig;
use klagg_kline::Period;
use klagg_store::{Retention, StoreConfig, WriterConfig};
use klagg_tape::archived_klines;
use klagg_web::{MissingOrigin, WebConfig, WebLimits};

use crate::config::{Config, FeedStream};

/// The symbol that always trades and proves a connection.
const CANARY: &str = "BTCUSDT";
/// Klines a worker keeps for a gateway that does not come: half an hour of the whole market.
const UNDELIVERED_MAX: usize = 400_000;
/// Changes of the history that the database writer may be behind before it starts over.
const CHANGE_LOG: usize = 1 << 20;
/// Klines of one series fetched at most to fill the hole that a long stop left: a month of minutes.
const GAP_KLINES_MAX: u64 = 50_000;
/// Files of the archive under way at once.
const ARCHIVE_FILES: usize = 4;
const USER_AGENT: &str = concat!("klagg/", env!("CARGO_PKG_VERSION"));
/// How long a closed minute may wait to be confirmed with its neighbours in one request.
const CONFIRM_WAIT_MS: i64 = 5 * 60_000;
/// A name is listed anew days after its settlement, if at all; thrice the cadence of the lookout,
/// so that confirmation goes on while a look or two fail.
const RELISTING_MS: i64 = 30 * 60_000;
/// Waits after a failure, drawn evenly from zero up to a doubling bound.
const BACKOFF: Backoff =
    Backoff { floor: Duration::from_millis(100), ceiling: Duration::from_secs(30) };

/// The exchange cuts a socket at 24 hours; a minute before, it is dropped at a time of our choice.
const LIFETIME: Duration = Duration::from_mins(24 * 60 - 1);
/// Between two replacements of sockets; less where they are replaced every few seconds.
const ROTATION_GAP: Duration = Duration::from_secs(10);
/// After so much silence of a whole connection nothing counts as on its way.
const QUIET: Duration = Duration::from_secs(1);

pub(crate) fn engine(config: &Config) -> EngineConfig {
    let continuity = match config.feed.stream {
        FeedStream::AggTrade => Continuity::Checked,
        FeedStream::Trade => Continuity::Unchecked,
    };
    EngineConfig {
        periods: config.engine.periods.clone(),
        workers: config.engine.workers,
        symbols_max: config.engine.max_symbols,
        queue_batches: config.engine.queue_batches,
        batch_trades: config.engine.batch_trades,
        close_grace_ms: config.engine.close_grace_ms,
        // Waits only while several sockets carry the same: the feed says so.
        sequencer: SequencerConfig { continuity, held_max: 10_000, hold_ms: config.engine.hold_ms },
        undelivered_max: UNDELIVERED_MAX,
        first_core: usize::try_from(config.engine.first_core).ok(),
    }
}

pub(crate) fn restart(config: &Config) -> RestartConfig {
    RestartConfig {
        restarts_max: config.engine.restarts_max,
        pause_min: Duration::from_millis(100),
        pause_max: Duration::from_secs(5),
        forgiven_after: Duration::from_mins(10),
    }
}

pub(crate) fn history(config: &Config) -> HistoryConfig {
    let capacity = |period: &Period| match period {
        Period::D1 => config.history.daily_klines,
        _ => config.history.klines,
    };
    HistoryConfig {
        periods: config.engine.periods.clone(),
        symbols_max: config.engine.max_symbols,
        capacity: config.engine.periods.as_slice().iter().map(capacity).collect(),
        log_capacity: CHANGE_LOG,
    }
}

pub(crate) fn gateway(config: &Config) -> GatewayConfig {
    GatewayConfig {
        cadence: Duration::from_millis(config.gateway.cadence_ms),
        worker_timeout: Duration::from_millis(config.gateway.worker_timeout_ms),
        alarm_threshold: config.gateway.alarm_threshold,
        symbols_max: config.engine.max_symbols,
        periods: config.engine.periods.clone(),
    }
}

pub(crate) fn rest(config: &Config) -> RestConfig {
    RestConfig {
        base_url: config.exchange.rest_url.clone(),
        plain_text: PlainText::LoopbackOnly,
        user_agent: USER_AGENT.to_owned(),
        connect_timeout: Duration::from_secs(5),
        request_timeout: Duration::from_secs(15),
        attempts_max: 4,
        backoff: BACKOFF,
        weight_per_minute: config.exchange.weight_per_minute,
        weight_share_percent: config.exchange.weight_percent,
    }
}

pub(crate) fn stream(config: &Config) -> anyhow::Result<StreamConfig> {
    let follows_canary =
        config.exchange.symbols.is_empty() || config.exchange.symbols.iter().any(|s| s == CANARY);
    let symbols_per_connection = config.feed.streams_per_connection.saturating_sub(3).max(1);
    let connections = config.engine.max_symbols.div_ceil(symbols_per_connection);
    let rotation = Duration::from_secs(config.feed.rotate_after_seconds);
    let hold = Duration::from_millis(config.engine.hold_ms.unsigned_abs());
    Ok(StreamConfig {
        base_url: config.exchange.stream_url.clone(),
        plain_text: PlainText::LoopbackOnly,
        market_path: config.feed.path.clone(),
        public_path: "/public".to_owned(),
        source: match config.feed.stream {
            FeedStream::AggTrade => TradeStream::AggTrade,
            FeedStream::Trade => TradeStream::Trade,
        },
        market_streams: MarketStreams::On,
        canary: follows_canary.then(|| CANARY.to_owned()),
        streams_per_connection: config.feed.streams_per_connection,
        connections_max: u16::try_from(connections)
            .context("engine.max_symbols needs more connections than can be numbered")?,
        copies: config.feed.copies,
        message_bytes_max: 1 << 20,
        notices_max: 4096,
        drain_timeout: Duration::from_secs(1),
        timing: StreamTiming {
            connect_timeout: Duration::from_secs(10),
            first_data: Duration::from_secs(10),
            silence: Duration::from_millis(config.feed.silent_after_ms),
            ping_cadence: Duration::from_secs(20),
            pong_timeout: Duration::from_secs(10),
            acknowledge_timeout: Duration::from_secs(10),
            rotation,
            rotation_jitter: rotation / 24,
            lifetime: LIFETIME,
            overlap: Duration::from_secs(1),
            overlap_max: Duration::from_secs(30),
            rotation_gap: ROTATION_GAP.min(rotation / 4),
            quiet: QUIET.max(hold),
            backoff: BACKOFF,
            messages_per_second: 8,
            names_per_subscribe: 200,
        },
    })
}

pub(crate) fn cross_check(config: &Config) -> CrossCheckRules {
    let suspect_after_ms = config.feed.suspect_after_ms;
    CrossCheckRules {
        doubt_after_ms: suspect_after_ms * 2 / 5,
        suspect_after_ms,
        renew_after_ms: suspect_after_ms * 6,
    }
}

pub(crate) fn symbol_filter(config: &Config) -> SymbolFilter {
    SymbolFilter {
        quote_assets: config.exchange.quote_assets.clone(),
        names: config.exchange.symbols.clone(),
    }
}

pub(crate) fn store(config: &Config) -> StoreConfig {
    let retention = config.store.retention_days.iter();
    let retention = retention.map(|&(period, days)| Retention { period, days }).collect();
    StoreConfig { retention, ..StoreConfig::new(&config.store.directory) }
}

pub(crate) fn writer(config: &Config) -> WriterConfig {
    WriterConfig {
        commit_rows_max: 20_000,
        queue_rows_max: 200_000,
        cadence: Duration::from_secs(1),
        open_cadence: Duration::from_millis(config.store.open_cadence_ms),
        retry_min: Duration::from_millis(100),
        retry_max: Duration::from_secs(10),
        drain_deadline: Duration::from_secs(3),
    }
}

pub(crate) fn web(config: &Config) -> WebConfig {
    WebConfig {
        listen: config.web.listen,
        admin_listen: Some(config.web.admin_listen),
        allowed_hosts: config.web.allowed_hosts.clone(),
        allowed_origins: config.web.allowed_origins.clone(),
        missing_origin: MissingOrigin::Allow,
        limits: WebLimits::standard(),
    }
}

pub(crate) fn backfill(config: &Config) -> BackfillConfig {
    BackfillConfig {
        periods: config.engine.periods.clone(),
        capacity: history(config).capacity,
        gap_klines_max: GAP_KLINES_MAX,
        concurrency: config.backfill.concurrency,
        settle_ms: 2_500,
        relisting_ms: RELISTING_MS,
        confirmation: if config.backfill.confirm {
            Confirmation::Everything { wait_ms: CONFIRM_WAIT_MS }
        } else {
            Confirmation::Doubtful
        },
        watched: config.backfill.watched.clone(),
        tick: Duration::from_millis(250),
        live_patience: Duration::from_secs(30),
        retry_pause: Duration::from_secs(5),
        audit_cadence: Duration::from_mins(1),
        archive: config.backfill.archive.then(|| ArchiveRules {
            concurrency: ARCHIVE_FILES,
            backoff: BACKOFF,
            seed: RandomState::new().hash_one(0_u8),
        }),
    }
}

/// The exchange's archive and the reader of its files, if old history may come from there.
///
/// # Errors
/// If its address cannot be used.
pub(crate) fn archive(config: &Config, tls: &Tls) -> anyhow::Result<Option<ArchiveParts>> {
    if !config.backfill.archive {
        return Ok(None);
    }
    let client = ArchiveConfig {
        base_url: config.backfill.archive_url.clone(),
        plain_text: PlainText::LoopbackOnly,
        user_agent: USER_AGENT.to_owned(),
        connect_timeout: Duration::from_secs(5),
        request_timeout: Duration::from_mins(1),
    };
    let client = ArchiveClient::new(client, tls).context("backfill.archive_url cannot be used")?;
    let read: ReadFile = Arc::new(|symbol, period, name, bytes| {
        archived_klines(symbol, period, name, bytes).map_err(|error| {
            // With its causes: only the first says which row.
            format!("{:#}", anyhow::Error::new(error))
        })
    });
    Ok(Some(ArchiveParts { client, read }))
}
