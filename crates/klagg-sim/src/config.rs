//! What a simulated exchange is to be. Plain values; no operational number is hidden in a default.

use std::time::Duration;

use klagg_kline::UnixMillis;

use crate::SimError;

/// How simulated time runs.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum SimClock {
    /// As on the wall.
    Wall,
    /// From `start`, `factor` times as fast as on the wall.
    Accelerated {
        /// Simulated seconds a second; 1 to 10,000.
        factor: f64,
        /// The instant at which the exchange opens.
        start: UnixMillis,
    },
}

/// How much of what makes the real exchange hard to read is simulated. Shares are 0 to 1.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Quirks {
    /// Share of frames whose keys come in another order.
    pub shuffled_frames: f64,
    /// Share of frames with keys that nobody knows yet.
    pub unknown_keys: f64,
    /// Share of minute edges at which an aggregate of several fills straddles, if it can.
    pub straddles: f64,
    /// Whether raw ids are burnt now and then: `l - f + 1` then counts too many.
    pub burnt_ids: bool,
    /// Share of minutes in which many aggregates, at best above 1,000, carry one millisecond.
    pub same_millisecond_runs: f64,
}

impl Quirks {
    /// As observed on the exchange, a little more frequent where a test would wait too long.
    pub const REAL: Self = Self {
        shuffled_frames: 0.1,
        unknown_keys: 0.05,
        straddles: 0.1,
        burnt_ids: true,
        same_millisecond_runs: 0.03,
    };
    /// None: a fold of aggregates is the official kline in every field.
    pub const NONE: Self = Self {
        shuffled_frames: 0.0,
        unknown_keys: 0.0,
        straddles: 0.0,
        burnt_ids: false,
        same_millisecond_runs: 0.0,
    };
}

/// What a websocket may do, and what becomes of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SocketRules {
    /// Streams a connection; the next one closes it with 1008.
    pub streams_max: usize,
    /// Messages (pings and pongs count) that may come at once; the next one closes with 1008.
    pub messages_burst: u32,
    /// Messages a second that refill the burst.
    pub messages_per_second: u32,
    /// How often the server pings, on the wall.
    pub ping_cadence: Duration,
    /// How long it waits for a pong before it drops the connection, on the wall.
    pub pong_timeout: Duration,
    /// How long a connection may live, on the wall.
    pub lifetime: Duration,
    /// Frames waiting for one client; beyond it the client is too slow and is closed with 1008.
    pub queued_frames_max: usize,
    /// Connections at once; beyond it the handshake is refused with 503.
    pub connections_max: usize,
}

impl SocketRules {
    /// The rules of the exchange.
    pub const REAL: Self = Self {
        streams_max: 1024,
        messages_burst: 15,
        messages_per_second: 10,
        ping_cadence: Duration::from_mins(3),
        pong_timeout: Duration::from_mins(10),
        lifetime: Duration::from_hours(24),
        queued_frames_max: 200_000,
        connections_max: 1_000,
    };
}

/// A simulated exchange.
///
/// # Examples
///
/// ```
/// use klagg_sim::{SimClock, SimConfig};
/// use klagg_kline::UnixMillis;
///
/// let start = UnixMillis(1_790_000_000_000);
/// let clock = SimClock::Accelerated { factor: 60.0, start };
/// let config = SimConfig { symbols: 8, history_days: 2, clock, ..SimConfig::demo() };
/// assert!(config.validate().is_ok());
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct SimConfig {
    /// Decides the whole market: same seed, same trades at the same simulated time.
    pub seed: u64,
    /// Perpetuals (TradFi ones among them) in status TRADING; a few quarterlies, settled and
    /// COIN-M symbols come on top. 1 to [`SimConfig::SYMBOLS_MAX`].
    pub symbols: usize,
    /// Whole days of history before the start. 1 to 3,650.
    pub history_days: u32,
    /// Aggregates a second of the whole market, on average, in simulated time.
    pub trades_per_second: f64,
    /// How time runs.
    pub clock: SimClock,
    /// Port on 127.0.0.1; 0 for any free one.
    pub port: u16,
    /// REST weight a minute of simulated time.
    pub weight_limit: u32,
    /// Refused requests in a minute after which 429 turns into a ban, 418.
    pub refusals_until_ban: u32,
    /// How long after a fill REST's klines know it, in simulated time.
    pub kline_lag_ms: i64,
    /// What makes the exchange hard to read.
    pub quirks: Quirks,
    /// What a websocket may do.
    pub sockets: SocketRules,
}

impl SimConfig {
    /// Symbols beyond which none is listed.
    pub const SYMBOLS_MAX: usize = 20_000;

    /// The market of the demo: 200 symbols, 30 days of history, the wall's clock.
    pub fn demo() -> Self {
        Self {
            seed: 20_260_101,
            symbols: 200,
            history_days: 30,
            trades_per_second: 300.0,
            clock: SimClock::Wall,
            port: 0,
            weight_limit: 2_400,
            refusals_until_ban: 10,
            kline_lag_ms: 400,
            quirks: Quirks::REAL,
            sockets: SocketRules::REAL,
        }
    }

    /// Checks every number.
    ///
    /// # Errors
    /// [`SimError::Config`] names the first field that is out of its range.
    pub fn validate(&self) -> Result<(), SimError> {
        let check = |key, value: f64, range: std::ops::RangeInclusive<f64>, allowed| {
            if range.contains(&value) {
                return Ok(());
            }
            Err(SimError::Config { key, value: value.to_string(), allowed })
        };
        let symbols = u32::try_from(self.symbols).unwrap_or(u32::MAX);
        check("symbols", f64::from(symbols), 1.0..=20_000.0, "1 to 20000")?;
        check("history_days", f64::from(self.history_days), 1.0..=3_650.0, "1 to 3650")?;
        let allowed = "0.01 to 200000";
        check("trades_per_second", self.trades_per_second, 0.01..=200_000.0, allowed)?;
        if let SimClock::Accelerated { factor, start } = self.clock {
            check("clock.factor", factor, 1.0..=10_000.0, "1 to 10000")?;
            if !(1_000_000_000_000..4_000_000_000_000).contains(&start.0) {
                let allowed = "milliseconds of the years 2001 to 2096";
                return Err(SimError::Config {
                    key: "clock.start",
                    value: start.to_string(),
                    allowed,
                });
            }
        }
        if !(0..=60_000).contains(&self.kline_lag_ms) {
            let value = self.kline_lag_ms.to_string();
            return Err(SimError::Config { key: "kline_lag_ms", value, allowed: "0 to 60000" });
        }
        let shares = [
            ("quirks.shuffled_frames", self.quirks.shuffled_frames),
            ("quirks.unknown_keys", self.quirks.unknown_keys),
            ("quirks.straddles", self.quirks.straddles),
            ("quirks.same_millisecond_runs", self.quirks.same_millisecond_runs),
        ];
        for (key, share) in shares {
            check(key, share, 0.0..=1.0, "0 to 1")?;
        }
        Ok(())
    }
}
