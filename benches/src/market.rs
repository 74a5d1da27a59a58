//! A seeded market: few heavy symbols and a long tail, prices that walk, ids without holes.

use klagg_kline::{
    Precision, Price, Quantity, Side, SymbolId, Trade, TradeError, TradeId, UnixMillis,
};
use klagg_wire::{TradeEvent, TradeKind, encode};

/// 2024-10-28T00:00:00Z: all six periods open here.
const START: i64 = 1_730_073_600_000;
/// Mean time between trades of the whole market: ten million a day.
const STEP_MICROS: u64 = 8_640;
/// How long after its trade time an aggregate arrives (measured on the exchange).
const DELAY_MS: i64 = 155;
/// What symbols look like: decimals of price and quantity, and the first price at 1e-8.
pub(crate) const SHAPES: [(u8, u8, i64); 4] =
    [(2, 3, 6_000_000_000_000), (4, 1, 1_500_000_000), (5, 0, 60_000_000), (6, 0, 2_000_000)];

/// A small, fast generator (`SplitMix64`): all that a bench needs, and it never changes under us.
#[derive(Debug, Clone)]
pub(crate) struct Random(u64);

impl Random {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed)
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// Below `bound`; the bias of the remainder is far below anything measured here.
    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound
    }

    pub(crate) fn below_signed(&mut self, bound: u32) -> i64 {
        i64::try_from(self.below(u64::from(bound))).unwrap_or(0)
    }
}

/// One symbol of the market.
#[derive(Debug, Clone)]
struct Lane {
    name: String,
    stream: String,
    precision: Precision,
    tick: i64,
    lot: i64,
    price: i64,
    next_id: i64,
    next_fill_id: i64,
}

/// A trade with all that its frame tells.
#[derive(Debug, Clone, Copy)]
pub struct MarketTrade {
    /// Whose trade: its place in the market.
    pub symbol: SymbolId,
    /// The trade.
    pub trade: Trade,
    /// Its first raw fill.
    pub first_fill_id: i64,
}

/// An endless, seeded stream of trades: symbols by Zipf's law (the k-th trades 1/k as often as
/// the first), about ten million trades a day in all, ids from 1 up without holes.
///
/// # Examples
///
/// ```
/// use klagg_bench::Market;
///
/// let trades: Vec<_> = Market::new(7, 600).take(1_000).collect();
/// let again: Vec<_> = Market::new(7, 600).take(1_000).collect();
/// assert!(trades.iter().zip(&again).all(|(one, other)| one.trade == other.trade));
/// assert!(trades.is_sorted_by_key(|one| one.trade.time));
/// ```
#[derive(Debug, Clone)]
pub struct Market {
    random: Random,
    /// Sums of the symbols' weights, ascending.
    weights: Vec<u64>,
    lanes: Vec<Lane>,
    micros: u64,
}

impl Market {
    /// A market of `symbols` symbols.
    ///
    /// # Panics
    /// If there are none, or more than a `u32` counts.
    pub fn new(seed: u64, symbols: usize) -> Self {
        assert!(symbols > 0 && u32::try_from(symbols).is_ok(), "1 to 2^32 symbols");
        let mut sum = 0;
        let weights = (1..=symbols as u64).map(|rank| {
            sum += 1_000_000_000 / rank;
            sum
        });
        let lanes = (0..symbols).map(Lane::new);
        Self {
            random: Random::new(seed),
            weights: weights.collect(),
            lanes: lanes.collect(),
            micros: 0,
        }
    }

    /// The symbols' names, in their order.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.lanes.iter().map(|lane| lane.name.as_str())
    }

    /// The precision of a symbol.
    ///
    /// # Panics
    /// If the market has no such symbol.
    pub fn precision(&self, symbol: SymbolId) -> Precision {
        self.lanes[symbol.index()].precision
    }

    fn draw(&mut self) -> Result<MarketTrade, TradeError> {
        self.micros += self.random.below(2 * STEP_MICROS);
        let all = *self.weights.last().expect("a market has symbols");
        let drawn = self.random.below(all);
        let place = self.weights.partition_point(|&sum| sum <= drawn);
        let lane = &mut self.lanes[place];
        let walked = lane.price + lane.tick * (self.random.below_signed(11) - 5);
        lane.price = walked.max(lane.tick);
        let fills = if self.random.below(4) == 0 { 1 + self.random.below_signed(8) } else { 1 };
        let (id, first_fill_id) = (lane.next_id, lane.next_fill_id);
        lane.next_id += 1;
        lane.next_fill_id += fills;
        let quantity = lane.lot * (1 + self.random.below_signed(5_000));
        let trade = Trade::new(
            TradeId(id),
            UnixMillis(START + i64::try_from(self.micros / 1_000).unwrap_or(0)),
            Price::from_scaled(lane.price),
            Quantity::from_scaled(quantity),
            u32::try_from(fills).unwrap_or(1),
            if self.random.below(2) == 0 { Side::Buy } else { Side::Sell },
        )?;
        let symbol = SymbolId(u32::try_from(place).unwrap_or(0));
        Ok(MarketTrade { symbol, trade, first_fill_id })
    }
}

impl Iterator for Market {
    type Item = MarketTrade;

    fn next(&mut self) -> Option<MarketTrade> {
        Some(self.draw().expect("prices and quantities are positive and small"))
    }
}

impl Lane {
    fn new(place: usize) -> Self {
        let (price_decimals, quantity_decimals, price) = SHAPES[place % SHAPES.len()];
        let name = match place {
            0 => "BTCUSDT".to_owned(),
            _ => format!("SIM{place:03}USDT"),
        };
        Self {
            stream: format!("{}@aggTrade", name.to_ascii_lowercase()),
            name,
            precision: Precision::new(price_decimals, quantity_decimals).expect("at most 8"),
            tick: step(price_decimals),
            lot: step(quantity_decimals),
            price,
            next_id: 1,
            next_fill_id: 1,
        }
    }
}

/// Scaled units of the last of so many decimals.
pub(crate) fn step(decimals: u8) -> i64 {
    10_i64.pow(8 - u32::from(decimals))
}

/// The trade as the exchange sends it on a combined stream.
pub fn combined_frame(market: &Market, one: &MarketTrade) -> String {
    let lane = &market.lanes[one.symbol.index()];
    let event = TradeEvent {
        symbol: &lane.name,
        kind: TradeKind::Aggregate,
        event_time: one.trade.time.plus(DELAY_MS),
        trade: one.trade,
        first_fill_id: one.first_fill_id,
        last_fill_id: one.first_fill_id + i64::from(one.trade.fill_count) - 1,
        coin_margined: false,
        precision: lane.precision,
    };
    let mut frame = String::new();
    encode::combined(&mut frame, &lane.stream, |out| encode::agg_trade(out, &event));
    frame
}
