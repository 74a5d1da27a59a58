//! What the exchange answers over REST, rightly or not.
//!
//! Klines are made from single fills and are published with a lag: who asks too early gets one
//! without its last fills. Aggregates older than 48 hours are not given out.

mod wrong;

use klagg_kline::{
    Kline, Period, Precision, Price, Quantity, QuoteVolume, Side, Trade, TradeId, UnixMillis,
    Volume,
};

use klagg_wire::rest::{ExchangeInfo, SymbolInfo};

use crate::agenda::Millis;
use crate::exchange::Troubles;
use crate::exchange::weights::{Verdict, Weights};
use crate::market::{Aggregate, Listing, Terms};
use crate::plan::Kind;
use crate::random::{at as chance_at, index};
use crate::truth::{Truth, official};

/// The longest time until a fill is seen in the official klines: below the margin after which the
/// product takes a kline for final.
const PUBLICATION_LAG_MAX: i64 = 2_200;
/// How far back aggregates are given out.
const TRADES_KEPT: Millis = 48 * 3_600_000;

/// A question.
#[derive(Debug, Clone)]
pub(crate) enum Ask {
    Time,
    /// The list of symbols.
    Info,
    Klines {
        name: String,
        period: Period,
        from: Millis,
        to: Millis,
        limit: usize,
    },
    Trades {
        name: String,
        from_id: i64,
        limit: usize,
    },
}

/// An answer.
#[derive(Debug, Clone)]
pub(crate) enum Reply {
    Time(Millis),
    Info(Box<ExchangeInfo>),
    Klines(Vec<Kline>),
    Trades(Vec<Trade>),
    /// It came, and could not be read.
    Garbage,
    /// Refused, whatever the reason: HTTP 400.
    Refused,
    /// An error of the exchange: HTTP 5xx.
    Broken,
    TooMany {
        retry_after_s: i64,
    },
    /// As bans come: with a duration, or an end by the exchange's clock, or both; beside the time
    /// of the answer, to the second.
    Banned {
        retry_after_s: Option<i64>,
        until: Option<Millis>,
        told_at: Millis,
    },
    /// Nothing comes back.
    Silence,
}

/// The REST side.
#[derive(Debug)]
pub(crate) struct Rest {
    pub(crate) weights: Weights,
    answered: u64,
}

/// Where a question stands in the world.
pub(crate) struct Asked<'a> {
    pub(crate) now: Millis,
    pub(crate) sent: Millis,
    pub(crate) weight: u32,
    pub(crate) seed: u64,
    pub(crate) listings: &'a [Listing],
    /// Whether we fold fills, whose ids are not those of aggregates.
    pub(crate) is_raw: bool,
    pub(crate) troubles: &'a Troubles,
}

impl Rest {
    pub(crate) const fn new(weight_limit: u32) -> Self {
        Self { weights: Weights::new(weight_limit), answered: 0 }
    }

    /// Answers, and tells the weight used in this minute where the answer has it.
    pub(crate) fn answer(&mut self, ask: &Ask, asked: &Asked<'_>) -> (Reply, Option<u32>) {
        let Asked { now, troubles, .. } = *asked;
        self.answered += 1;
        if troubles.is_on(Kind::RestOutage, now) {
            return (Reply::Silence, None);
        }
        let used = match self.weights.charge(now, asked.sent, asked.weight) {
            Verdict::Served { used } => used,
            Verdict::TooMany { retry_after_s } => return (Reply::TooMany { retry_after_s }, None),
            Verdict::Banned { until } => {
                return (banned(now, until, self.answered), None);
            }
        };
        let dice = chance_at(asked.seed, 0x4e57, self.answered);
        if troubles.is_on(Kind::RestTimeouts, now) && dice % 4 < 2 {
            return (Reply::Silence, None);
        }
        if troubles.is_on(Kind::RestErrors, now) && dice % 4 < 2 {
            return (Reply::Broken, None);
        }
        let reply = match ask {
            Ask::Time => Reply::Time(now),
            Ask::Info => Reply::Info(Box::new(info(now, asked.listings))),
            Ask::Klines { name, period, from, to, limit } => {
                let Some(listing) = listed(asked.listings, name, now) else {
                    if nobodys(now).any(|of| of.name == *name) {
                        self.weights.broken.push(format!("asked for {name}, which is not folded"));
                    }
                    return (Reply::Refused, Some(used));
                };
                let klines = klines(asked, listing, *period, (*from, *to), *limit);
                if troubles.is_on(Kind::WrongPages, now) && dice % 4 < 3 {
                    wrong::page(klines, (*period, *from), dice >> 8)
                } else {
                    Reply::Klines(klines)
                }
            }
            Ask::Trades { name, .. } if asked.is_raw => {
                let what = format!("asked for aggregates of {name} where fills are folded");
                self.weights.broken.push(what);
                return (Reply::Refused, Some(used));
            }
            Ask::Trades { name, from_id, limit } => {
                let Some(listing) = listed(asked.listings, name, now) else {
                    return (Reply::Refused, Some(used));
                };
                match trades(now, listing, *from_id, *limit) {
                    Some(trades) if troubles.is_on(Kind::WrongTrades, now) && dice % 4 < 3 => {
                        wrong::trades(trades, dice >> 8)
                    }
                    Some(trades) => Reply::Trades(trades),
                    None => Reply::Refused,
                }
            }
        };
        (reply, Some(used))
    }
}

fn banned(now: Millis, until: Millis, answered: u64) -> Reply {
    let retry_after_s = Some((until - now) / 1_000 + 1).filter(|_| !answered.is_multiple_of(3));
    let until = Some(until).filter(|_| answered % 3 < 2);
    Reply::Banned { retry_after_s, until, told_at: now - now.rem_euclid(1_000) }
}

/// The newest listing of a name.
pub(crate) fn listed<'a>(listings: &'a [Listing], name: &str, now: Millis) -> Option<&'a Listing> {
    let known = |of: &&Listing| of.terms.name == name && of.terms.listed_at <= now;
    listings.iter().rev().find(known)
}

/// How long until what was filled in this minute is in the official kline.
fn publication_lag(seed: u64, minute: Millis) -> Millis {
    (chance_at(seed, 0x1a95, minute.unsigned_abs()) % PUBLICATION_LAG_MAX.unsigned_abs())
        .cast_signed()
}

/// When perpetual contracts are delivered.
pub(crate) const PERPETUAL: Millis = 4_133_404_800_000;

/// Decimals of all prices and quantities.
pub(crate) fn precision() -> Precision {
    Precision::new(2, 3).expect("within bounds")
}

/// What the exchange calls the state of a contract.
pub(crate) const fn status(terms: &Terms, now: Millis) -> &'static str {
    if now < terms.ends_at { "TRADING" } else { "SETTLING" }
}

/// The list of symbols: of each name its newest listing.
fn info(now: Millis, listings: &[Listing]) -> ExchangeInfo {
    let mut symbols: Vec<SymbolInfo> = Vec::new();
    for Listing { terms, .. } in listings.iter().filter(|of| of.terms.listed_at <= now) {
        symbols.retain(|row| row.name != terms.name);
        symbols.push(SymbolInfo {
            name: terms.name.clone(),
            contract_type: "PERPETUAL".to_owned(),
            status: status(terms, now).to_owned(),
            base_asset: "BASE".to_owned(),
            quote_asset: "USDT".to_owned(),
            margin_asset: "USDT".to_owned(),
            onboard_time: UnixMillis(terms.listed_at),
            delivery_time: UnixMillis(PERPETUAL),
            precision: precision(),
            tick_size: None,
            step_size: None,
        });
    }
    symbols.extend(nobodys(now));
    ExchangeInfo { server_time: UnixMillis(now), weight_per_minute: None, symbols, skipped: 0 }
}

/// Rows of the list that are not to be folded: of the other market, of another kind, not trading.
fn nobodys(now: Millis) -> impl Iterator<Item = SymbolInfo> {
    let rows = [
        ("OLD0USD_PERP", "PERPETUAL", "TRADING", "USD"),
        ("OLD0USDT_261225", "CURRENT_QUARTER", "TRADING", "USDT"),
        ("SOONUSDT", "PERPETUAL", "PENDING_TRADING", "USDT"),
    ];
    rows.into_iter().map(move |(name, contract_type, status, quote_asset)| SymbolInfo {
        name: name.to_owned(),
        contract_type: contract_type.to_owned(),
        status: status.to_owned(),
        base_asset: "OLD0".to_owned(),
        quote_asset: quote_asset.to_owned(),
        margin_asset: "OLD0".to_owned(),
        onboard_time: UnixMillis(now - 3_600_000),
        delivery_time: UnixMillis(PERPETUAL),
        precision: precision(),
        tick_size: None,
        step_size: None,
    })
}

fn klines(
    asked: &Asked<'_>,
    listing: &Listing,
    period: Period,
    (from, to): (Millis, Millis),
    limit: usize,
) -> Vec<Kline> {
    let Some(first) = listing.first_time().filter(|&first| first < asked.now) else {
        return Vec::new();
    };
    let first = period.open_time(UnixMillis(first));
    let asked_from = period.open_time(UnixMillis(from));
    let asked_from =
        if asked_from.0 < from { period.next_open_time(asked_from) } else { asked_from };
    let mut open = first.max(asked_from);
    let mut klines = Vec::new();
    while open.0 <= to && open.0 <= asked.now && klines.len() < limit {
        let until = period.next_open_time(open);
        let lag = publication_lag(asked.seed, until.0);
        // Klines are published in their order: none is there before the first one is.
        let Some(truth) = official(listing, open.0, until.0, asked.now - lag) else { break };
        klines.push(kline(&truth));
        open = until;
    }
    klines
}

fn trades(now: Millis, listing: &Listing, from_id: i64, limit: usize) -> Option<Vec<Trade>> {
    let from = index((from_id - 1).max(0).unsigned_abs());
    let until = listing.sent_before(now);
    let rows = listing.aggregates.get(from..until).unwrap_or_default();
    if rows.first().is_some_and(|of| of.time < now - TRADES_KEPT) {
        return None;
    }
    Some(rows.iter().take(limit).map(trade).collect())
}

/// An aggregate as the product knows it.
pub(crate) fn trade(of: &Aggregate) -> Trade {
    Trade::new(
        TradeId(of.id),
        UnixMillis(of.time),
        Price::from_scaled(of.price),
        Quantity::from_scaled(of.quantity),
        u32::try_from(of.fill_count()).expect("few fills"),
        Side::from_buyer_is_maker(!of.buy),
    )
    .expect("the market makes valid trades")
}

/// A kline as the product reads it: without ids.
pub(crate) fn kline(truth: &Truth) -> Kline {
    Kline {
        volume: Volume::from_scaled(truth.volume),
        quote_volume: QuoteVolume::from_scaled(truth.quote_volume),
        taker_buy_volume: Volume::from_scaled(truth.taker_volume),
        taker_buy_quote_volume: QuoteVolume::from_scaled(truth.taker_quote_volume),
        open: Price::from_scaled(truth.open),
        high: Price::from_scaled(truth.high),
        low: Price::from_scaled(truth.low),
        close: Price::from_scaled(truth.close),
        trade_count: truth.count,
        ..Kline::flat(UnixMillis(truth.open_time), Price::from_scaled(truth.open))
    }
}
