//! Seeded closed klines, one after the other, with numbers as wide as the exchange's.

use klagg_kline::{
    Kline, KlineRecord, KlineStatus, Period, Price, QuoteVolume, TradeId, UnixMillis, Volume,
};

use crate::market::{Random, SHAPES, step};

/// 2024-10-28T00:00:00Z: all six periods open here.
const START: UnixMillis = UnixMillis(1_730_073_600_000);

/// The endless klines of one symbol and one period: without holes, each opening where the last one
/// closed, every tenth one without a trade.
///
/// # Examples
///
/// ```
/// use klagg_bench::Series;
/// use klagg_kline::Period;
///
/// let klines: Vec<_> = Series::new(7, Period::M5).take(100).collect();
/// assert!(klines.windows(2).all(|pair| pair[1].kline.open == pair[0].kline.close));
/// assert!(klines.iter().eq(Series::new(7, Period::M5).take(100).collect::<Vec<_>>().iter()));
/// ```
#[derive(Debug, Clone)]
pub struct Series {
    random: Random,
    period: Period,
    open_time: UnixMillis,
    /// Scaled units of a step of the price and of the quantity.
    tick: i64,
    lot: i64,
    close: i64,
    next_id: i64,
}

impl Series {
    /// The klines of the `place`-th symbol of a market.
    pub fn new(place: usize, period: Period) -> Self {
        let (price_decimals, quantity_decimals, price) = SHAPES[place % SHAPES.len()];
        Self {
            random: Random::new(place as u64),
            period,
            open_time: START,
            tick: step(price_decimals),
            lot: step(quantity_decimals),
            close: price,
            // Old symbols have had billions of trades.
            next_id: 3_481_200_417 / (1 + i64::try_from(place).unwrap_or(0)),
        }
    }
}

impl Iterator for Series {
    type Item = KlineRecord;

    fn next(&mut self) -> Option<KlineRecord> {
        let (open_time, open) = (self.open_time, self.close);
        self.open_time = self.period.next_open_time(open_time);
        let mut kline = Kline::flat(open_time, Price::from_scaled(open));
        let trades = if self.random.below(10) == 0 { 0 } else { 1 + self.random.below(3_000) };
        if let Some(trades) = i64::try_from(trades).ok().filter(|&trades| trades > 0) {
            let mut ticks = |bound: u32| self.tick * self.random.below_signed(bound);
            let (above, below) = (ticks(50), ticks(50));
            let close = (open + ticks(41) - 20 * self.tick).max(self.tick);
            let lots = i128::from(trades) * (1 + i128::from(self.random.below(5_000)));
            let taken = lots * i128::from(self.random.below(1_000)) / 1_000;
            let (lot, mean) = (i128::from(self.lot), i128::midpoint(open.into(), close.into()));
            let mean = mean / i128::from(self.tick) * i128::from(self.tick);
            let price = Price::from_scaled;
            kline = Kline {
                high: price(open.max(close) + above),
                low: price((open.min(close) - below).max(self.tick)),
                close: price(close),
                volume: Volume::from_scaled(lots * lot),
                quote_volume: QuoteVolume::from_scaled(lots * lot * mean),
                taker_buy_volume: Volume::from_scaled(taken * lot),
                taker_buy_quote_volume: QuoteVolume::from_scaled(taken * lot * mean),
                trade_count: trades.unsigned_abs(),
                first_id: TradeId(self.next_id),
                last_id: TradeId(self.next_id + trades - 1),
                ..kline
            };
            self.close = close;
            self.next_id += trades;
        }
        Some(KlineRecord { kline, revision: 0, status: KlineStatus::Confirmed })
    }
}
