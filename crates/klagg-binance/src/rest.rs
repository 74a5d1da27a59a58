//! The REST client: every request weighed, bounded in size and time, retried by one policy.
//!
//! Always true here:
//! - No request is sent before its weight is granted, and none while a refusal lasts.
//! - No redirect is followed, no proxy of the environment is used, no body above its cap is kept.
//! - What a method returns was validated: rows ascending, on the grid, within what was asked.

mod answer;
mod date;

use std::time::Duration;

use bytes::Bytes;
use klagg_kline::{Kline, Period, TradeId, UnixMillis};
use klagg_wire::rest::{AggTradeRow, ExchangeInfo};
use reqwest::{Response, StatusCode};

use self::answer::{
    beginning_of, check_agg_trades, check_klines, header_number, note_used_weight, read_body,
    transport,
};
use self::date::http_date;
use crate::address::{PlainText, Purpose, check_address};
use crate::backoff::Backoff;
use crate::clock::{ExchangeClock, random};
use crate::counters::{RestCounters, RestCounts};
use crate::gate::WeightGate;
use crate::weight::{LIMIT_MIN, Priority, Refusal, WeightBudget, WeightStatus, banned_until};
use crate::{BinanceError, Tls};

const EXCHANGE_INFO: &str = "/fapi/v1/exchangeInfo";
const KLINES: &str = "/fapi/v1/klines";
const AGG_TRADES: &str = "/fapi/v1/aggTrades";
const TIME: &str = "/fapi/v1/time";

/// Cap on exchangeInfo, unpacked: the honest one has about 1.2 MB.
const EXCHANGE_INFO_BYTES_MAX: usize = 16 << 20;
/// Cap on a page of klines or trades: 1,500 rows have about 250 kB.
const PAGE_BYTES_MAX: usize = 2 << 20;
/// Cap on the body of an error.
const ERROR_BYTES_MAX: usize = 64 << 10;

/// The most klines in a page.
pub const KLINES_LIMIT_MAX: u16 = 1_500;
/// The most trades in a page.
pub const AGG_TRADES_LIMIT_MAX: u16 = 1_000;
/// Weight of a page of trades, whatever its size.
pub const AGG_TRADES_WEIGHT: u32 = 20;

/// Weight of a page of at most `limit` klines.
///
/// The documented bands; measured ones are wider by one row, which is not worth the risk.
pub const fn klines_weight(limit: u16) -> u32 {
    match limit {
        0..=99 => 1,
        100..=499 => 2,
        500..=1_000 => 5,
        _ => 10,
    }
}

/// The numbers of the REST client.
#[derive(Debug, Clone)]
pub struct RestConfig {
    /// For example `https://fapi.binance.com`.
    pub base_url: String,
    /// Where `http` is allowed.
    pub plain_text: PlainText,
    /// Sent as `User-Agent`.
    pub user_agent: String,
    /// Longest wait for a connection.
    pub connect_timeout: Duration,
    /// Longest time for one attempt, from connecting to the last byte of the body.
    pub request_timeout: Duration,
    /// Attempts for one request, the first included.
    pub attempts_max: u32,
    /// Waits between attempts.
    pub backoff: Backoff,
    /// The exchange's limit until exchangeInfo tells it.
    pub weight_per_minute: u32,
    /// The part of it that we use, 1 to 100.
    pub weight_share_percent: u8,
}

/// Which klines to ask for. Both ends are inclusive and mean open times.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KlineQuery {
    /// From this open time; without it the newest `limit` up to `end`.
    pub start: Option<UnixMillis>,
    /// To this open time.
    pub end: Option<UnixMillis>,
    /// At most so many, 1 to [`KLINES_LIMIT_MAX`].
    pub limit: u16,
}

/// The client. Clones share connections, budget, clock and counters.
#[derive(Debug, Clone)]
pub struct RestClient {
    http: reqwest::Client,
    base_url: String,
    attempts_max: u32,
    backoff: Backoff,
    gate: WeightGate,
    clock: ExchangeClock,
    counters: RestCounters,
}

impl RestClient {
    /// A client for one exchange; opens nothing yet.
    ///
    /// # Errors
    /// [`BinanceError`] if the address or a number of the configuration cannot be used.
    pub fn new(config: RestConfig, tls: &Tls) -> Result<Self, BinanceError> {
        check_numbers(&config)?;
        let (base_url, scheme) = check_address(&config.base_url, Purpose::Rest, config.plain_text)?;
        let http = tls
            .http(scheme)
            .user_agent(config.user_agent)
            .connect_timeout(config.connect_timeout)
            .timeout(config.request_timeout)
            .build()
            .map_err(BinanceError::Client)?;
        let clock = ExchangeClock::start();
        let budget = WeightBudget::new(config.weight_per_minute, config.weight_share_percent);
        Ok(Self {
            http,
            base_url,
            attempts_max: config.attempts_max,
            backoff: config.backoff,
            gate: WeightGate::new(budget, clock.clone()),
            clock,
            counters: RestCounters::default(),
        })
    }

    /// The same client with another number of attempts for a request, the first included: 1 for
    /// callers that repeat by a policy of their own.
    #[must_use]
    pub fn with_attempts(mut self, attempts_max: u32) -> Self {
        self.attempts_max = attempts_max.max(1);
        self
    }

    /// Everything that is traded, and the bytes it came in. Takes over the weight limit it states.
    ///
    /// # Errors
    /// [`BinanceError`] of the last attempt.
    pub async fn exchange_info(
        &self,
        priority: Priority,
    ) -> Result<(ExchangeInfo, Bytes), BinanceError> {
        let request = Request::new(EXCHANGE_INFO, 1, priority, EXCHANGE_INFO_BYTES_MAX);
        let parse = |bytes: &Bytes| {
            let info = klagg_wire::rest::exchange_info(bytes)?;
            Ok(Ok((info, bytes.clone())))
        };
        let (info, bytes) = self.get(&request, parse).await?;
        if let Some(limit) = info.weight_per_minute {
            self.gate.set_limit(limit);
        }
        Ok((info, bytes))
    }

    /// A page of klines, ascending. The newest one may still be open: see its open time.
    ///
    /// # Errors
    /// [`BinanceError`] of the last attempt.
    pub async fn klines(
        &self,
        symbol: &str,
        period: Period,
        query: KlineQuery,
        priority: Priority,
    ) -> Result<Vec<Kline>, BinanceError> {
        if !(1..=KLINES_LIMIT_MAX).contains(&query.limit) {
            return Err(BinanceError::Setting {
                name: "limit",
                value: query.limit.to_string(),
                allowed: "a page has 1 to 1,500 klines",
            });
        }
        let weight = klines_weight(query.limit);
        let mut request = Request::new(KLINES, weight, priority, PAGE_BYTES_MAX);
        request.add("symbol", symbol.to_owned());
        request.add("interval", period.as_str().to_owned());
        request.add_time("startTime", query.start);
        request.add_time("endTime", query.end);
        request.add("limit", query.limit.to_string());
        let parse = |bytes: &Bytes| {
            let klines = klagg_wire::rest::klines(bytes, period)?;
            Ok(check_klines(&klines, query).map(|()| klines))
        };
        self.get(&request, parse).await
    }

    /// A page of aggregate trades, ascending by id; from `from_id` on, or the newest.
    ///
    /// # Errors
    /// [`BinanceError`] of the last attempt.
    pub async fn agg_trades(
        &self,
        symbol: &str,
        from_id: Option<TradeId>,
        limit: u16,
        priority: Priority,
    ) -> Result<Vec<AggTradeRow>, BinanceError> {
        let mut request = Request::new(AGG_TRADES, AGG_TRADES_WEIGHT, priority, PAGE_BYTES_MAX);
        request.add("symbol", symbol.to_owned());
        if let Some(from_id) = from_id {
            request.add("fromId", from_id.to_string());
        }
        request.add("limit", limit.clamp(1, AGG_TRADES_LIMIT_MAX).to_string());
        let parse = |bytes: &Bytes| {
            let rows = klagg_wire::rest::agg_trades(bytes)?;
            Ok(check_agg_trades(&rows, from_id, limit).map(|()| rows))
        };
        self.get(&request, parse).await
    }

    /// The exchange's time; also sets the distance that [`RestClient::clock`] keeps.
    ///
    /// # Errors
    /// [`BinanceError`] of the last attempt.
    pub async fn server_time(&self, priority: Priority) -> Result<UnixMillis, BinanceError> {
        let request = Request::new(TIME, 1, priority, ERROR_BYTES_MAX);
        let sent = self.clock.local();
        let server =
            self.get(&request, |bytes| Ok(Ok(klagg_wire::rest::server_time(bytes)?))).await?;
        self.clock.measure(sent, server);
        Ok(server)
    }

    /// The clock that this client keeps.
    pub fn clock(&self) -> &ExchangeClock {
        &self.clock
    }

    /// The weight budget now.
    pub fn weight(&self) -> WeightStatus {
        self.gate.status()
    }

    /// What was counted so far.
    pub fn counts(&self) -> RestCounts {
        self.counters.read()
    }

    /// Asks until there is a valid answer, an error that a repetition cannot mend, or no attempt
    /// left.
    async fn get<T>(
        &self,
        request: &Request,
        parse: impl Fn(&Bytes) -> Parsed<T>,
    ) -> Result<T, BinanceError> {
        let mut attempt = 0;
        loop {
            attempt += 1;
            let error = match self.attempt(request, &parse).await {
                Ok(answer) => return Ok(answer),
                Err(error) => error,
            };
            self.counters.count_error(&error);
            if attempt >= self.attempts_max || !error.is_retryable() {
                return Err(error);
            }
            tracing::debug!(route = request.route, attempt, %error, "asking again");
            if !matches!(error, BinanceError::Limited { .. }) {
                // A refusal needs no sleep here: the gate opens when it is over.
                tokio::time::sleep(self.backoff.wait(attempt, random())).await;
            }
        }
    }

    async fn attempt<T>(
        &self,
        request: &Request,
        parse: impl Fn(&Bytes) -> Parsed<T>,
    ) -> Result<T, BinanceError> {
        let route = request.route;
        let mut permit = self.gate.acquire(request.weight, request.priority).await;
        self.counters.requests.add(1);
        let answer = self
            .http
            .get(format!("{}{route}", self.base_url))
            .query(&request.query)
            .send()
            .await
            .map_err(|source| transport(route, source))?;
        note_used_weight(&answer, &mut permit);
        let status = answer.status();
        if status != StatusCode::OK {
            return Err(self.refused(route, answer).await);
        }
        let bytes = read_body(route, answer, request.bytes_max).await?;
        drop(permit);
        self.counters.bytes.add(bytes.len() as u64);
        match parse(&bytes) {
            Ok(Ok(value)) => Ok(value),
            Ok(Err(reason)) => Err(BinanceError::Page { route, reason }),
            Err(source) => Err(BinanceError::Decode { route, source }),
        }
    }

    /// The error that an answer other than 200 means.
    async fn refused(&self, route: &'static str, answer: Response) -> BinanceError {
        let status = answer.status().as_u16();
        let retry_after_s = header_number(&answer, "retry-after");
        let told_at = answer.headers().get("date").and_then(|date| http_date(date.to_str().ok()?));
        let body = read_body(route, answer, ERROR_BYTES_MAX).await.unwrap_or_default();
        let (code, message) = match klagg_wire::rest::api_error(&body) {
            Some(error) => (error.code, error.message),
            None => (0, beginning_of(&body)),
        };
        let refusal = match status {
            429 => Refusal::TooMany { retry_after_s },
            418 => Refusal::Banned { retry_after_s, until: banned_until(&message), told_at },
            403 => Refusal::Forbidden,
            408 | 500..=599 => return BinanceError::Unavailable { route, status, message },
            _ => return BinanceError::Refused { route, status, code, message },
        };
        let until = self.gate.refuse(refusal);
        tracing::warn!(status, %until, message, "the exchange refuses requests");
        BinanceError::Limited { status, until }
    }
}

/// Bytes that cannot be read, or an answer that breaks the rule named, or the answer.
type Parsed<T> = Result<Result<T, &'static str>, klagg_wire::WireError>;

struct Request {
    route: &'static str,
    weight: u32,
    priority: Priority,
    bytes_max: usize,
    query: Vec<(&'static str, String)>,
}

impl Request {
    fn new(route: &'static str, weight: u32, priority: Priority, bytes_max: usize) -> Self {
        Self { route, weight, priority, bytes_max, query: Vec::new() }
    }

    fn add(&mut self, name: &'static str, value: String) {
        self.query.push((name, value));
    }

    fn add_time(&mut self, name: &'static str, time: Option<UnixMillis>) {
        if let Some(time) = time {
            self.add(name, time.to_string());
        }
    }
}

fn check_numbers(config: &RestConfig) -> Result<(), BinanceError> {
    let refuse = |name, value: String, allowed| Err(BinanceError::Setting { name, value, allowed });
    if config.attempts_max == 0 {
        return refuse("attempts_max", "0".to_owned(), "at least one attempt is needed");
    }
    if !(1..=100).contains(&config.weight_share_percent) {
        let value = config.weight_share_percent.to_string();
        return refuse("weight_share_percent", value, "a share is 1 to 100 percent");
    }
    if config.weight_per_minute < LIMIT_MIN {
        let value = config.weight_per_minute.to_string();
        return refuse("weight_per_minute", value, "a limit is at least 100");
    }
    Ok(())
}
