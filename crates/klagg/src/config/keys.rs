//! Every key once: its default, what it allows, what it means.

use std::net::SocketAddr;

use klagg_kline::{Period, PeriodSet};
use toml::Value;

/// One key of the configuration.
#[derive(Debug, Clone, Copy)]
pub(super) struct Key {
    /// `section.name`.
    pub(super) path: &'static str,
    /// The default, as TOML.
    pub(super) default: &'static str,
    /// What values are allowed.
    pub(super) kind: Kind,
    /// What it means, one sentence.
    pub(super) meaning: &'static str,
}

/// What values a key allows.
#[derive(Debug, Clone, Copy)]
pub(super) enum Kind {
    Bool,
    Integer(i64, i64),
    Float(f64, f64),
    Choice(&'static [&'static str]),
    Text,
    TextList,
    Periods,
    PeriodDays,
    Address,
    Url(&'static [&'static str]),
}

impl Kind {
    /// What is allowed, for messages and comments.
    pub(super) fn allowed(self) -> String {
        match self {
            Self::Bool => "true or false".to_owned(),
            Self::Integer(least, most) => format!("a whole number, {least} to {most}"),
            Self::Float(least, most) => format!("a number, {least} to {most}"),
            Self::Choice(words) => format!("one of {}", words.join(", ")),
            Self::Text => "a text".to_owned(),
            Self::TextList => "a list of texts".to_owned(),
            Self::Periods => {
                let names: Vec<_> = Period::ALL.iter().map(|period| period.as_str()).collect();
                format!("a list with 1m, of {}", names.join(" "))
            }
            Self::PeriodDays => "a list such as [\"1m=90\", \"1h=730\"]".to_owned(),
            Self::Address => "an IP address and port, such as 127.0.0.1:8080".to_owned(),
            Self::Url(schemes) => format!("an address that begins with {}", schemes.join(" or ")),
        }
    }

    /// Whether `value` is allowed; else why not, where `allowed` does not say it.
    pub(super) fn check(self, value: &Value) -> Result<(), Option<String>> {
        let fits = match (self, value) {
            (Self::Bool, Value::Boolean(_)) | (Self::Text, Value::String(_)) => true,
            (Self::Integer(least, most), Value::Integer(number)) => (least..=most).contains(number),
            (Self::Float(least, most), Value::Float(number)) => (least..=most).contains(number),
            (Self::Choice(words), Value::String(text)) => words.contains(&text.as_str()),
            (Self::TextList, Value::Array(list)) => list.iter().all(Value::is_str),
            (Self::Periods, Value::Array(list)) => {
                let names: Option<Vec<_>> =
                    list.iter().map(|name| name.as_str().map(str::to_owned)).collect();
                let names = names.ok_or(None)?;
                return period_set(&names).map(|_| ()).map_err(Some);
            }
            (Self::PeriodDays, Value::Array(list)) => {
                let words: Option<Vec<_>> = list.iter().map(Value::as_str).collect();
                let days: Result<Vec<_>, _> =
                    words.ok_or(None)?.into_iter().map(period_days).collect();
                return days.map(|_| ()).map_err(Some);
            }
            (Self::Address, Value::String(text)) => text.parse::<SocketAddr>().is_ok(),
            (Self::Url(schemes), Value::String(text)) => {
                schemes.iter().any(|scheme| text.len() > scheme.len() && text.starts_with(scheme))
            }
            _ => false,
        };
        if fits { Ok(()) } else { Err(None) }
    }
}

/// The set that `names` name.
pub(super) fn period_set(names: &[String]) -> Result<PeriodSet, String> {
    let periods: Result<Vec<Period>, _> = names.iter().map(|name| name.parse()).collect();
    let periods = periods.map_err(|error: klagg_kline::UnknownPeriod| error.to_string())?;
    PeriodSet::new(&periods).map_err(|error| error.to_string())
}

/// The period and the days of a text such as `1m=90`.
pub(super) fn period_days(text: &str) -> Result<(Period, u32), String> {
    let (period, days) =
        text.split_once('=').ok_or(format!("`{text}` has no `=`, as in `1m=90`"))?;
    let period =
        period.trim().parse().map_err(|error: klagg_kline::UnknownPeriod| error.to_string())?;
    match days.trim().parse() {
        Ok(days) if (1..=36_500).contains(&days) => Ok((period, days)),
        _ => Err(format!("`{text}` has no whole number of days, 1 to 36500")),
    }
}

const fn key(path: &'static str, default: &'static str, kind: Kind, meaning: &'static str) -> Key {
    Key { path, default, kind, meaning }
}

/// Every key, in the order in which `klagg config` prints them.
pub(super) const KEYS: &[Key] = &[
    key(
        "exchange.rest_url",
        "\"https://fapi.binance.com\"",
        Kind::Url(&["https://", "http://127.0.0.1", "http://localhost", "http://[::1]"]),
        "Where REST requests go. Plain http only to this machine.",
    ),
    key(
        "exchange.stream_url",
        "\"wss://fstream.binance.com\"",
        Kind::Url(&["wss://", "ws://127.0.0.1", "ws://localhost", "ws://[::1]"]),
        "Where websockets are opened, without a path. Plain ws only to this machine.",
    ),
    key(
        "exchange.quote_assets",
        "[\"USDT\", \"USDC\"]",
        Kind::TextList,
        "Perpetuals quoted in these assets are followed.",
    ),
    key(
        "exchange.symbols",
        "[]",
        Kind::TextList,
        "Only these symbols are followed; an empty list follows all.",
    ),
    key(
        "exchange.weight_per_minute",
        "2400",
        Kind::Integer(100, 100_000),
        "The exchange's request weight limit per IP; exchangeInfo's own figure wins.",
    ),
    key(
        "exchange.weight_percent",
        "80",
        Kind::Integer(5, 95),
        "Share of the weight limit that klagg may use in any rolling minute.",
    ),
    key(
        "feed.stream",
        "\"aggTrade\"",
        Kind::Choice(&["aggTrade", "trade"]),
        "Aggregates (documented), or raw fills (exact at a minute's edge, undocumented).",
    ),
    key(
        "feed.path",
        "\"/market\"",
        Kind::Text,
        "Path of the stream address below which market data flows.",
    ),
    key(
        "feed.streams_per_connection",
        "200",
        Kind::Integer(2, 1000),
        "Streams on one websocket; the exchange closes above 1024.",
    ),
    key(
        "feed.silent_after_ms",
        "15000",
        Kind::Integer(1000, 600_000),
        "A connection on which nothing arrives for so long is replaced.",
    ),
    key(
        "feed.suspect_after_ms",
        "5000",
        Kind::Integer(1000, 600_000),
        "A symbol whose last price changes for so long while nothing comes is subscribed anew.",
    ),
    key(
        "feed.rotate_after_seconds",
        "82800",
        Kind::Integer(1, 86_000),
        "At this age a socket is replaced by one opened before; the exchange cuts at 24 hours.",
    ),
    key(
        "feed.copies",
        "1",
        Kind::Integer(1, 2),
        "Sockets that carry the same: with 2, what the first one brings counts, and one may fail.",
    ),
    key(
        "engine.periods",
        "[\"1m\", \"5m\", \"30m\", \"1h\", \"4h\", \"1d\"]",
        Kind::Periods,
        "Periods that are folded.",
    ),
    key(
        "engine.workers",
        "2",
        Kind::Integer(1, 64),
        "Threads that fold; a symbol belongs to worker (its number mod workers).",
    ),
    key(
        "engine.restarts_max",
        "5",
        Kind::Integer(0, 1000),
        "How often in a row a worker that breaks starts again; once more ends klagg.",
    ),
    key(
        "engine.first_core",
        "-1",
        Kind::Integer(-1, 1023),
        "Worker n is pinned to core first_core + n; -1 pins none.",
    ),
    key(
        "engine.max_symbols",
        "10000",
        Kind::Integer(1, 100_000),
        "Symbols for which room is made; one more is refused and the rest goes on.",
    ),
    key(
        "engine.close_grace_ms",
        "500",
        Kind::Integer(0, 60_000),
        "A quiet symbol's minute closes when exchange time has passed it by this much.",
    ),
    key(
        "engine.hold_ms",
        "250",
        Kind::Integer(1, 60_000),
        "How long a hole in the ids may be filled by another copy of the feed, if there is one.",
    ),
    key(
        "engine.batch_trades",
        "256",
        Kind::Integer(1, 65_536),
        "Trades handed to a worker in one message at most.",
    ),
    key(
        "engine.queue_batches",
        "256",
        Kind::Integer(2, 65_536),
        "Batches that may wait for a worker; when full, the socket waits.",
    ),
    key(
        "history.klines",
        "1000",
        Kind::Integer(100, 1_000_000),
        "Newest klines kept in memory per symbol and period, but 1d.",
    ),
    key(
        "history.daily_klines",
        "3000",
        Kind::Integer(100, 100_000),
        "Newest 1d klines kept in memory per symbol.",
    ),
    key(
        "gateway.cadence_ms",
        "100",
        Kind::Integer(10, 60_000),
        "How often the workers' changes are pulled and published.",
    ),
    key(
        "gateway.worker_timeout_ms",
        "50",
        Kind::Integer(1, 60_000),
        "How long one worker may take to answer; not longer than the cadence.",
    ),
    key(
        "gateway.alarm_threshold",
        "5",
        Kind::Integer(1, 1000),
        "Consecutive timeouts of one worker that raise the alarm.",
    ),
    key("backfill.enabled", "true", Kind::Bool, "Whether history is fetched from the exchange."),
    key(
        "backfill.confirm",
        "true",
        Kind::Bool,
        "Whether closed klines are compared with the exchange's own and corrected.",
    ),
    key("backfill.concurrency", "8", Kind::Integer(1, 64), "REST requests under way at once."),
    key(
        "backfill.watched",
        "[\"BTCUSDT\", \"ETHUSDT\"]",
        Kind::TextList,
        "Symbols that come first in history, confirmation, repair; besides what clients look at.",
    ),
    key(
        "backfill.archive",
        "false",
        Kind::Bool,
        "Whether whole days and months of old klines come from the exchange's public archive.",
    ),
    key(
        "backfill.archive_url",
        "\"https://data.binance.vision\"",
        Kind::Url(&["https://", "http://127.0.0.1", "http://localhost", "http://[::1]"]),
        "Where that archive lies; asking it costs no weight. Plain http only to this machine.",
    ),
    key("store.enabled", "true", Kind::Bool, "Whether klines are written to SQLite."),
    key(
        "store.directory",
        "\"klagg-data\"",
        Kind::Text,
        "The data folder; made if missing, used by one klagg at a time.",
    ),
    key(
        "store.retention_days",
        "[]",
        Kind::PeriodDays,
        "Periods whose older klines are deleted from the store; all others are kept for ever.",
    ),
    key(
        "store.open_cadence_ms",
        "3000",
        Kind::Integer(500, 600_000),
        "How often klines that are still open are written.",
    ),
    key(
        "web.enabled",
        "true",
        Kind::Bool,
        "Whether the page, the live websocket and the compatible API are served.",
    ),
    key(
        "web.listen",
        "\"127.0.0.1:8080\"",
        Kind::Address,
        "Where the web front listens; port 0 takes a free one.",
    ),
    key(
        "web.admin_listen",
        "\"127.0.0.1:8081\"",
        Kind::Address,
        "Where /healthz, /readyz and /metrics are served.",
    ),
    key(
        "web.allowed_hosts",
        "[]",
        Kind::TextList,
        "Host names, beside this machine's own, under which clients may reach the web front.",
    ),
    key(
        "web.allowed_origins",
        "[]",
        Kind::TextList,
        "Web origins, beside our own page's, whose scripts may connect.",
    ),
    key("log.format", "\"human\"", Kind::Choice(&["human", "json"]), "How log lines look."),
    key(
        "log.filter",
        "\"info\"",
        Kind::Text,
        "Which log lines appear: a level, or levels by crate as in `info,klagg_binance=debug`.",
    ),
    key("sim.seed", "1", Kind::Integer(0, i64::MAX), "demo: seed of the simulated market."),
    key("sim.symbols", "200", Kind::Integer(1, 2000), "demo: symbols that trade."),
    key(
        "sim.history_days",
        "30",
        Kind::Integer(1, 2000),
        "demo: days of history before the start.",
    ),
    key(
        "sim.trades_per_second",
        "300.0",
        Kind::Float(0.1, 100_000.0),
        "demo: trades of the whole market in a second, on average.",
    ),
    key(
        "sim.weight_per_minute",
        "12000",
        Kind::Integer(100, 1_000_000),
        "demo: request weight limit of the simulated exchange (the real one's is 2400).",
    ),
];

/// The key at `path`.
pub(super) fn find(path: &str) -> Option<&'static Key> {
    KEYS.iter().find(|key| key.path == path)
}
