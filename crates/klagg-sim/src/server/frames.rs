//! The frames of every stream, made round by round from the market.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError};

use klagg_kline::{Kline, Period, Price, Trade, TradeId, UnixMillis};
use klagg_wire::stream_name::StreamName;
use klagg_wire::{KlineEvent, MiniTicker, TradeEvent, TradeKind, encode};

use super::Shared;
use super::hub::Round;
use super::streams::Route;
use crate::feed::{AGGREGATE_DELAY_MS, Feed, Sending, Sent};
use crate::market::symbol::Symbol;
use crate::market::ticker::{Rolling, ticker};
use crate::market::view::{Listed, Sight, taker};
use crate::oracle::aggregate;
use crate::random::{at, is_within, mix};

const KLINE_CADENCE_MS: i64 = 250;
/// A kline stream calls a kline closed so long after its end.
const KLINE_CLOSE_MS: i64 = 200;
const TICKER_CADENCE_MS: f64 = 1_000.0;
/// Tickers come at most every so many milliseconds of the wall, however fast time runs.
const TICKER_WALL_MS: f64 = 100.0;
const TAG_QUIRK: u64 = 0x9412;

/// What was sent so far.
#[derive(Debug)]
pub(crate) struct Sender {
    feed: Feed,
    due: Vec<Sending>,
    names: Vec<Names>,
    rolling: Vec<Rolling>,
    /// Whether a symbol traded since the last tickers.
    traded: Vec<bool>,
    tickers_at: UnixMillis,
    ticker_cadence_ms: i64,
    klines: HashMap<StreamName, Told>,
}

#[derive(Debug)]
struct Names {
    aggregates: String,
    fills: String,
    ticker: String,
}

/// What a kline stream said last.
#[derive(Debug, Clone, Copy)]
struct Told {
    open: UnixMillis,
    at: UnixMillis,
    trades: Option<u64>,
}

impl Sender {
    pub(crate) fn new(start: UnixMillis, factor: f64) -> Self {
        let cadence = TICKER_CADENCE_MS.max(TICKER_WALL_MS * factor);
        Self {
            feed: Feed::new(start),
            due: Vec::new(),
            names: Vec::new(),
            rolling: Vec::new(),
            traded: Vec::new(),
            tickers_at: start,
            ticker_cadence_ms: crate::market::price::scale(1, cadence),
            klines: HashMap::new(),
        }
    }

    /// Sends what is due until `now`.
    pub(crate) fn send(&mut self, shared: &Shared, now: UnixMillis) {
        let contracts = shared.market.all();
        for listed in &contracts[self.names.len()..] {
            let lower = &listed.symbol.stream_name;
            self.names.push(Names {
                aggregates: format!("{lower}@aggTrade"),
                fills: format!("{lower}@trade"),
                ticker: format!("{lower}@miniTicker"),
            });
            self.rolling.push(Rolling::default());
            self.traded.push(false);
        }
        let wanted = shared.hub.wanted();
        self.due.clear();
        self.feed.advance(now, &contracts, wanted.fills, &mut self.due);
        let mut round = shared.hub.round(&shared.counts);
        announce(shared, now, &mut round);
        for sending in &self.due {
            let symbol = &contracts[sending.place].symbol;
            let names = &self.names[sending.place];
            match sending.what {
                Sent::Aggregate => {
                    self.traded[sending.place] = true;
                    send_aggregate(&mut round, shared, symbol, &names.aggregates, sending);
                }
                Sent::Fill(fill) => send_fill(&mut round, symbol, &names.fills, sending, fill),
            }
        }
        self.klines.retain(|name, _| wanted.streams.contains(name));
        for stream in &wanted.streams {
            self.send_klines(&mut round, shared, stream, now);
        }
        if now.since(self.tickers_at) >= self.ticker_cadence_ms {
            self.tickers_at = now;
            self.send_tickers(&mut round, &contracts, &wanted.streams, now);
        }
        round.finish();
    }

    fn send_klines(
        &mut self,
        round: &mut Round<'_>,
        shared: &Shared,
        stream: &StreamName,
        now: UnixMillis,
    ) {
        let (listed, period) = match stream {
            StreamName::Kline(symbol, period) => (shared.market.get(symbol), *period),
            StreamName::ContinuousKline { pair, contract_type, period } => {
                (shared.market.continuous(pair, contract_type), *period)
            }
            _ => return,
        };
        let Some(listed) = listed.filter(|listed| listed.symbol.onboard <= now) else { return };
        let sight = Sight { now, horizon: now.plus(-AGGREGATE_DELAY_MS) };
        let current = period.open_time(now.plus(-KLINE_CLOSE_MS));
        let told = self.klines.entry(stream.clone()).or_insert(Told {
            open: current,
            at: UnixMillis(0),
            trades: None,
        });
        while told.open < current {
            if let Some(kline) = listed.kline(period, told.open, sight) {
                send_kline(round, &listed.symbol, stream, period, (now, true), kline);
            }
            *told = Told { open: period.next_open_time(told.open), at: now, trades: None };
        }
        if now.since(told.at) < KLINE_CADENCE_MS {
            return;
        }
        if let Some(kline) = listed.kline(period, told.open, sight)
            && told.trades != Some(kline.trade_count)
        {
            send_kline(round, &listed.symbol, stream, period, (now, false), kline);
            (told.at, told.trades) = (now, Some(kline.trade_count));
        }
    }

    fn send_tickers(
        &mut self,
        round: &mut Round<'_>,
        contracts: &[Arc<Listed>],
        wanted: &[StreamName],
        now: UnixMillis,
    ) {
        let all = wanted.contains(&StreamName::AllMiniTickers);
        let single = |name: &str| {
            wanted.iter().any(|stream| matches!(stream, StreamName::MiniTicker(it) if it == name))
        };
        let mut tickers = Vec::new();
        for (place, listed) in contracts.iter().enumerate() {
            let traded = std::mem::take(&mut self.traded[place]);
            let name = &*listed.symbol.name;
            if !traded || !(all || single(name)) {
                continue;
            }
            let Some(day) = self.rolling[place].day(listed, now) else { continue };
            let row = ticker(listed, now, &day);
            let stream = &self.names[place].ticker;
            round.send(Route::Market, stream, Some(name), |out| encode::mini_ticker(out, &row));
            tickers.push(row);
        }
        if all && !tickers.is_empty() {
            add_coin_margined(&mut tickers);
            round.send(Route::Market, "!miniTicker@arr", None, |out| {
                encode::mini_ticker_array(out, &tickers);
            });
        }
    }
}

/// COIN-M rows, as the integrated exchange mixes them in: they must not be taken for ours.
fn add_coin_margined(tickers: &mut Vec<MiniTicker>) {
    for (symbol, like) in [("BTCUSD_PERP", "BTCUSDT"), ("ETHUSD_PERP", "ETHUSDT")] {
        if let Some(row) = tickers.iter().find(|row| row.symbol == like) {
            let row = MiniTicker { symbol: symbol.to_owned(), coin_margined: true, ..row.clone() };
            tickers.insert(tickers.len() / 2, row);
        }
    }
}

fn announce(shared: &Shared, now: UnixMillis, round: &mut Round<'_>) {
    let mut waiting = shared.announcements.lock().unwrap_or_else(PoisonError::into_inner);
    for (_, mut info) in waiting.extract_if(.., |(from, _)| *from <= now) {
        info.event_time = now;
        round.send(Route::Market, "!contractInfo", None, |out| {
            encode::contract_info(out, &info);
        });
    }
}

fn send_aggregate(
    round: &mut Round<'_>,
    shared: &Shared,
    symbol: &Symbol,
    stream: &str,
    sending: &Sending,
) {
    let one = &sending.tape.aggregates[sending.aggregate];
    let Some(made) = aggregate(symbol, &sending.tape, one) else { return };
    let event = TradeEvent {
        symbol: &symbol.name,
        kind: TradeKind::Aggregate,
        event_time: sending.event_time,
        trade: made.trade,
        first_fill_id: made.first_fill_id,
        last_fill_id: made.last_fill_id,
        coin_margined: false,
        precision: symbol.precision,
    };
    let quirks = &shared.config.quirks;
    let number = at(symbol.seed, TAG_QUIRK, one.ordinal);
    round.send(Route::Market, stream, Some(&symbol.name), |out| {
        if is_within(number, quirks.shuffled_frames) {
            encode::agg_trade_shuffled(out, &event, number);
        } else {
            encode::agg_trade(out, &event);
        }
        if is_within(mix(number), quirks.unknown_keys) {
            out.pop();
            out.push_str(r#","zy":null,"zx":[{"a":"1","T":0}]}"#);
        }
    });
}

fn send_fill(
    round: &mut Round<'_>,
    symbol: &Symbol,
    stream: &str,
    sending: &Sending,
    place: usize,
) {
    let one = &sending.tape.aggregates[sending.aggregate];
    let fills = sending.tape.fills(one);
    let fill = fills[place];
    let event = |id: i64, ticks: i64| {
        let price = Price::from_scaled(ticks * symbol.tick);
        let quantity = klagg_kline::Quantity::from_scaled(fill.steps * symbol.step);
        let time = UnixMillis(fill.time);
        let trade = Trade::new(TradeId(id), time, price, quantity, 1, taker(one)).ok()?;
        Some(TradeEvent {
            symbol: &symbol.name,
            kind: TradeKind::Raw,
            event_time: sending.event_time,
            trade,
            first_fill_id: id,
            last_fill_id: id,
            coin_margined: false,
            precision: symbol.precision,
        })
    };
    // Every other burnt id was a fill that is not of the market, far off its price.
    let burnt = fill.id - 1;
    let before = match place {
        0 if one.ordinal == 0 => burnt,
        0 => symbol.fill_id(one.ordinal - 1, symbol.fill_count(one.ordinal - 1) - 1),
        _ => fills[place - 1].id,
    };
    if before < burnt && burnt % 2 == 0 {
        let off_price = one.ticks - one.ticks / 10;
        let origin = match burnt / 2 % 3 {
            0 => "INSURANCE_FUND",
            1 => "ADL",
            _ => "NA",
        };
        if let Some(event) = event(burnt, off_price) {
            round.send(Route::Public, stream, Some(&symbol.name), |out| {
                encode::off_market_trade(out, &event, origin);
            });
        }
    }
    if let Some(event) = event(fill.id, one.ticks) {
        round.send(Route::Public, stream, Some(&symbol.name), |out| {
            encode::raw_trade(out, &event);
        });
    }
}

fn send_kline(
    round: &mut Round<'_>,
    symbol: &Symbol,
    stream: &StreamName,
    period: Period,
    (event_time, is_closed): (UnixMillis, bool),
    kline: Kline,
) {
    let name = stream.to_string();
    let event = KlineEvent { symbol: &symbol.name, period, event_time, is_closed, kline };
    round.send(Route::Market, &name, Some(&symbol.name), |out| match stream {
        StreamName::ContinuousKline { .. } => {
            let event = KlineEvent { symbol: &symbol.pair, ..event };
            let contract = symbol.contract.as_str();
            encode::continuous_kline_event(out, &event, contract, symbol.precision);
        }
        _ => encode::kline_event(out, &event, symbol.precision),
    });
}
