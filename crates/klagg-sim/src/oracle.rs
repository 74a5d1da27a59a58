//! What the exchange's klines must be: naive folds of the single fills.
//!
//! Shares nothing with the fold and merge of `klagg-kline`, nor with the closed form by which the
//! simulated REST answers: fills are made, put in order, and added up one by one.

use std::collections::BTreeMap;
use std::sync::Arc;

use klagg_kline::{
    Kline, Period, Precision, Price, Quantity, QuoteVolume, Trade, TradeId, UnixMillis, Volume,
};

use crate::clock::Clock;
use crate::market::Market;
use crate::market::symbol::{MINUTE, Symbol};
use crate::market::tape::{Aggregate, Tape};
use crate::market::view::taker;

/// A symbol as an oracle knows it.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct SimSymbol {
    /// Its name, upper case.
    pub name: String,
    /// Printed decimals.
    pub precision: Precision,
    /// Open of its first minute.
    pub first_minute: UnixMillis,
    /// `TRADING`, `SETTLING`, `PENDING_TRADING`.
    pub status: &'static str,
    /// `PERPETUAL`, `TRADIFI_PERPETUAL`, `CURRENT_QUARTER`, `NEXT_QUARTER`.
    pub contract_type: &'static str,
}

/// One aggregate as it goes over the wire.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct SimAggregate {
    /// Its time is that of its first fill, its `fill_count` is `l - f + 1`.
    pub trade: Trade,
    /// First raw id.
    pub first_fill_id: i64,
    /// Last raw id.
    pub last_fill_id: i64,
}

/// The truth about the market; cheap to clone, usable after the exchange has stopped.
#[derive(Debug, Clone)]
pub struct Oracle {
    market: Arc<Market>,
    clock: Arc<Clock>,
    kline_lag_ms: i64,
    /// Which listing a name means, where it has several.
    listing: usize,
}

impl Oracle {
    pub(crate) fn new(market: Arc<Market>, clock: Arc<Clock>, kline_lag_ms: i64) -> Self {
        Self { market, clock, kline_lag_ms, listing: usize::MAX }
    }

    /// The same truth, told of the listing at this place, the first being 0, of each name that was
    /// listed several times. Of others it tells the only one; by itself an oracle tells the newest.
    #[must_use]
    pub fn of_listing(&self, listing: usize) -> Self {
        Self { listing, ..self.clone() }
    }

    /// All symbols ever listed, perpetuals first, biggest first.
    pub fn symbols(&self) -> Vec<SimSymbol> {
        let now = self.clock.now();
        self.market.all().iter().map(|listed| Self::known(&listed.symbol, now)).collect()
    }

    pub(crate) fn known(symbol: &Symbol, now: UnixMillis) -> SimSymbol {
        SimSymbol {
            name: symbol.name.to_string(),
            precision: symbol.precision,
            first_minute: UnixMillis(symbol.first_minute() * MINUTE),
            status: symbol.status(now),
            contract_type: symbol.contract.as_str(),
        }
    }

    /// Every kline that closes before this instant is final, at REST as well.
    pub fn settled_until(&self) -> UnixMillis {
        self.clock.now().plus(-self.kline_lag_ms)
    }

    /// The official klines that open in `from..=to` and are settled, folded from single fills,
    /// each in the minute of its own time. Their ids are raw ids; a kline without trades is flat.
    /// Empty for an unknown symbol.
    ///
    /// Every minute is made anew, fill by fill: days of a busy symbol take seconds.
    pub fn official(
        &self,
        symbol: &str,
        period: Period,
        from: UnixMillis,
        to: UnixMillis,
    ) -> Vec<Kline> {
        self.naive(symbol, period, (from, to), |symbol, tape, aggregate, add| {
            for fill in tape.fills(aggregate) {
                add(&Piece::new(symbol, aggregate, fill.id, fill.time, fill.steps, 1));
            }
        })
    }

    /// As [`Oracle::official`], but folded from aggregates, each in the minute of its first fill:
    /// what a reader of `@aggTrade` must come to. Their ids are aggregate ids.
    pub fn folded(
        &self,
        symbol: &str,
        period: Period,
        from: UnixMillis,
        to: UnixMillis,
    ) -> Vec<Kline> {
        self.naive(symbol, period, (from, to), |symbol, tape, aggregate, add| {
            let fills = tape.fills(aggregate);
            let (first, last) = (fills[0], fills[fills.len() - 1]);
            let steps = fills.iter().map(|fill| fill.steps).sum();
            let count = (last.id - first.id + 1).unsigned_abs();
            let id = symbol.aggregate_id(aggregate.ordinal);
            add(&Piece::new(symbol, aggregate, id, first.time, steps, count));
        })
    }

    /// The aggregates stamped in `from..=to`, up to now.
    pub fn aggregates(&self, symbol: &str, from: UnixMillis, to: UnixMillis) -> Vec<SimAggregate> {
        let Some(listed) = self.market.listing(symbol, self.listing) else { return Vec::new() };
        let symbol = &listed.symbol;
        let to = to.min(self.clock.now());
        let first = from.0.div_euclid(MINUTE).max(symbol.first_minute());
        let mut found = Vec::new();
        for minute in first..=to.0.div_euclid(MINUTE) {
            let tape = Tape::of(symbol, minute);
            let inside = |time: i64| (from.0..=to.0).contains(&time);
            let of_span = tape.aggregates.iter().filter(|one| inside(tape.time(one)));
            found.extend(of_span.filter_map(|one| aggregate(symbol, &tape, one)));
        }
        found
    }

    fn naive(
        &self,
        symbol: &str,
        period: Period,
        (from, to): (UnixMillis, UnixMillis),
        pieces: impl Fn(&Symbol, &Tape, &Aggregate, &mut dyn FnMut(&Piece)),
    ) -> Vec<Kline> {
        let Some(listed) = self.market.listing(symbol, self.listing) else { return Vec::new() };
        let symbol = &listed.symbol;
        let settled = self.settled_until();
        let first = symbol.first_minute();
        let mut open = period.open_time(from);
        if open < from {
            open = period.next_open_time(open);
        }
        open = open.max(period.open_time(UnixMillis(first * MINUTE)));
        let from_minute = open.0.div_euclid(MINUTE).max(first);
        let end = period.next_open_time(to.min(settled)).0.div_euclid(MINUTE);
        // One minute more at the front, for the aggregate that reaches into the first.
        let mut by_minute: BTreeMap<i64, Kline> = BTreeMap::new();
        for minute in (from_minute - 1).max(first)..end {
            let tape = Tape::of(symbol, minute);
            for aggregate in &tape.aggregates {
                pieces(symbol, &tape, aggregate, &mut |piece| piece.add_to(&mut by_minute));
            }
        }
        let mut close = close_before(symbol, from_minute);
        let mut klines: BTreeMap<UnixMillis, Kline> = BTreeMap::new();
        for minute in from_minute..end {
            let at = UnixMillis(minute * MINUTE);
            let part = by_minute.get(&minute).copied().unwrap_or_else(|| Kline::flat(at, close));
            close = part.close;
            let open_time = period.open_time(at);
            match klines.get_mut(&open_time) {
                Some(whole) => join(whole, &part),
                None => {
                    klines.insert(open_time, Kline { open_time, ..part });
                }
            }
        }
        let is_over = |kline: &Kline| period.next_open_time(kline.open_time) <= settled;
        klines.into_values().filter(|kline| kline.open_time <= to && is_over(kline)).collect()
    }
}

/// An aggregate in the exchange's terms; `None` never happens to what the market makes.
pub(crate) fn aggregate(symbol: &Symbol, tape: &Tape, one: &Aggregate) -> Option<SimAggregate> {
    let fills = tape.fills(one);
    let (first, last) = (fills[0], fills[fills.len() - 1]);
    let trade = Trade::new(
        TradeId(symbol.aggregate_id(one.ordinal)),
        UnixMillis(first.time),
        Price::from_scaled(one.ticks * symbol.tick),
        Quantity::from_scaled(tape.steps(one) * symbol.step),
        u32::try_from(last.id - first.id + 1).ok()?,
        taker(one),
    );
    trade.ok().map(|trade| SimAggregate { trade, first_fill_id: first.id, last_fill_id: last.id })
}

/// The price of the last fill of any earlier minute, found by looking back.
fn close_before(symbol: &Symbol, minute: i64) -> Price {
    let mut before = minute - 1;
    while before >= symbol.first_minute() {
        if let Some(last) = Tape::of(symbol, before).aggregates.last() {
            return Price::from_scaled(last.ticks * symbol.tick);
        }
        before -= 1;
    }
    Price::from_scaled(symbol.ticks_at(minute) * symbol.tick)
}

/// One fill or one aggregate, to be added to the minute of its time.
struct Piece {
    id: i64,
    time: i64,
    price: i64,
    volume: i128,
    quote_volume: i128,
    is_buy: bool,
    count: u64,
}

impl Piece {
    fn new(
        symbol: &Symbol,
        aggregate: &Aggregate,
        id: i64,
        time: i64,
        steps: i64,
        count: u64,
    ) -> Self {
        let price = aggregate.ticks * symbol.tick;
        let volume = i128::from(steps) * i128::from(symbol.step);
        let quote_volume = i128::from(price) * volume;
        Self { id, time, price, volume, quote_volume, is_buy: aggregate.is_buy, count }
    }

    fn add_to(&self, minutes: &mut BTreeMap<i64, Kline>) {
        let minute = self.time.div_euclid(MINUTE);
        let price = Price::from_scaled(self.price);
        let kline = minutes.entry(minute).or_insert_with(|| {
            let flat = Kline::flat(UnixMillis(minute * MINUTE), price);
            Kline { first_id: TradeId(self.id), ..flat }
        });
        let taken = i128::from(self.is_buy);
        *kline = Kline {
            volume: Volume::from_scaled(kline.volume.scaled() + self.volume),
            quote_volume: QuoteVolume::from_scaled(kline.quote_volume.scaled() + self.quote_volume),
            taker_buy_volume: Volume::from_scaled(
                kline.taker_buy_volume.scaled() + taken * self.volume,
            ),
            taker_buy_quote_volume: QuoteVolume::from_scaled(
                kline.taker_buy_quote_volume.scaled() + taken * self.quote_volume,
            ),
            high: if price > kline.high { price } else { kline.high },
            low: if price < kline.low { price } else { kline.low },
            close: price,
            trade_count: kline.trade_count + self.count,
            last_id: TradeId(self.id),
            ..*kline
        };
    }
}

/// Adds a later minute to a longer kline, by the definition of each field.
fn join(whole: &mut Kline, later: &Kline) {
    if later.trade_count == 0 {
        return;
    }
    let was_flat = whole.trade_count == 0;
    let sum = |one: Volume, other: Volume| Volume::from_scaled(one.scaled() + other.scaled());
    let quote = |one: QuoteVolume, other: QuoteVolume| {
        QuoteVolume::from_scaled(one.scaled() + other.scaled())
    };
    *whole = Kline {
        open_time: whole.open_time,
        open: if was_flat { later.open } else { whole.open },
        high: if was_flat { later.high } else { whole.high.max(later.high) },
        low: if was_flat { later.low } else { whole.low.min(later.low) },
        close: later.close,
        volume: sum(whole.volume, later.volume),
        quote_volume: quote(whole.quote_volume, later.quote_volume),
        taker_buy_volume: sum(whole.taker_buy_volume, later.taker_buy_volume),
        taker_buy_quote_volume: quote(whole.taker_buy_quote_volume, later.taker_buy_quote_volume),
        trade_count: whole.trade_count + later.trade_count,
        first_id: if was_flat { later.first_id } else { whole.first_id },
        last_id: later.last_id,
    };
}
