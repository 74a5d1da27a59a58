//! The kline: 128 bytes of plain data, the fold of trades into it, the merge of klines upward.
//!
//! Order does not matter: open and close are decided by the lowest and the highest trade id,
//! everything else commutes. Two halves of one kline merge to the fold of the whole.

use crate::{Price, QuoteVolume, Side, Trade, TradeId, UnixMillis, Volume};

/// Open, high, low, close, volumes and count of one symbol and one period.
///
/// A kline without trades is flat: its four prices are the last traded price, its volumes and its
/// count are zero, and its range of ids is empty (`last_id < first_id`). A kline that came from
/// the exchange's REST has trades but no known ids: its range of ids is empty as well.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Kline {
    /// Base volume.
    pub volume: Volume,
    /// Quote volume: the sum of price × quantity.
    pub quote_volume: QuoteVolume,
    /// Base volume where the taker bought.
    pub taker_buy_volume: Volume,
    /// Quote volume where the taker bought.
    pub taker_buy_quote_volume: QuoteVolume,
    /// Start of the kline's period.
    pub open_time: UnixMillis,
    /// Price of the first trade.
    pub open: Price,
    /// Highest price.
    pub high: Price,
    /// Lowest price.
    pub low: Price,
    /// Price of the last trade.
    pub close: Price,
    /// Raw fills.
    pub trade_count: u64,
    /// Lowest trade id, if any is known: see [`Kline::has_ids`].
    pub first_id: TradeId,
    /// Highest trade id, if any is known.
    pub last_id: TradeId,
}

const _: () = assert!(size_of::<Kline>() == 128, "two cache lines, as the design promises");

/// Which rule a kline from outside breaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum KlineError {
    /// Not `low <= open, close <= high`, or a price is not positive.
    #[error("prices are not ordered low <= open, close <= high, all positive")]
    PricesOutOfOrder,
    /// A volume is negative, or the taker's part exceeds the whole.
    #[error("a volume is negative or its taker part exceeds it")]
    VolumesOutOfOrder,
    /// A volume is too large to be summed safely.
    #[error("a volume is out of range")]
    VolumeOutOfRange,
}

/// Bound on the volumes of a kline from outside: 2^110, so that 2^16 of them can be merged.
const VOLUME_SCALED_MAX: i128 = 1 << 110;

/// The empty range of ids.
const NO_IDS: (TradeId, TradeId) = (TradeId(0), TradeId(-1));

impl Kline {
    /// A kline of one trade.
    #[inline]
    pub fn of_trade(open_time: UnixMillis, trade: &Trade) -> Self {
        debug_assert!(trade.time >= open_time);
        let volume = Volume::from(trade.quantity);
        let quote_volume = trade.notional();
        let bought = matches!(trade.taker, Side::Buy);
        Self {
            volume,
            quote_volume,
            taker_buy_volume: if bought { volume } else { Volume::ZERO },
            taker_buy_quote_volume: if bought { quote_volume } else { QuoteVolume::ZERO },
            open_time,
            open: trade.price,
            high: trade.price,
            low: trade.price,
            close: trade.price,
            trade_count: u64::from(trade.fill_count),
            first_id: trade.id,
            last_id: trade.id,
        }
    }

    /// A kline without trades, at the last traded price.
    #[inline]
    pub const fn flat(open_time: UnixMillis, price: Price) -> Self {
        Self {
            volume: Volume::ZERO,
            quote_volume: QuoteVolume::ZERO,
            taker_buy_volume: Volume::ZERO,
            taker_buy_quote_volume: QuoteVolume::ZERO,
            open_time,
            open: price,
            high: price,
            low: price,
            close: price,
            trade_count: 0,
            first_id: NO_IDS.0,
            last_id: NO_IDS.1,
        }
    }

    /// Whether no trade fell into it.
    ///
    /// Both are asked: should the exchange ever publish a volume with a count of zero, that volume
    /// must not vanish in a merge.
    #[inline]
    pub const fn is_flat(&self) -> bool {
        self.trade_count == 0 && self.volume.scaled() == 0
    }

    /// Whether its lowest and highest trade ids are known.
    #[inline]
    pub const fn has_ids(&self) -> bool {
        self.first_id.0 <= self.last_id.0
    }

    /// Adds a trade whose id is above all folded so far: the hot path, without a branch on data.
    ///
    /// The caller guarantees that the kline has trades and that `trade.id > last_id`.
    #[inline]
    pub fn fold_next(&mut self, trade: &Trade) {
        debug_assert!(!self.is_flat() && trade.id > self.last_id);
        debug_assert!(trade.time >= self.open_time);
        self.add_amounts(trade);
        self.close = trade.price;
        self.last_id = trade.id;
    }

    /// Adds a trade in any order. Each trade is to be added once: the sequencer sees to it.
    #[inline]
    pub fn fold(&mut self, trade: &Trade) {
        if self.is_flat() {
            *self = Self::of_trade(self.open_time, trade);
            return;
        }
        debug_assert!(self.has_ids(), "a kline without ids cannot place a trade");
        self.add_amounts(trade);
        if trade.id < self.first_id {
            self.first_id = trade.id;
            self.open = trade.price;
        }
        if trade.id > self.last_id {
            self.last_id = trade.id;
            self.close = trade.price;
        }
    }

    #[inline]
    fn add_amounts(&mut self, trade: &Trade) {
        let volume = Volume::from(trade.quantity);
        let quote_volume = trade.notional();
        // All ones where the taker bought: a mask costs less than a branch that is right half
        // of the time.
        let taker = -i128::from(matches!(trade.taker, Side::Buy));
        self.volume += volume;
        self.quote_volume += quote_volume;
        self.taker_buy_volume += Volume::from_scaled(volume.scaled() & taker);
        self.taker_buy_quote_volume += QuoteVolume::from_scaled(quote_volume.scaled() & taker);
        self.high = self.high.max(trade.price);
        self.low = self.low.min(trade.price);
        self.trade_count += u64::from(trade.fill_count);
    }

    /// Merges another part of the same span of time into this one.
    ///
    /// Where both have ids, in any order; where one has none, `part` must be the later one, and the
    /// whole has no ids either. A flat part adds nothing to one with trades; of two flat ones the
    /// price of `part` stays. `open_time` stays this one's.
    pub fn merge(&mut self, part: &Self) {
        if part.is_flat() {
            if self.is_flat() {
                self.close = part.close;
                (self.open, self.high, self.low) = (self.close, self.close, self.close);
            }
            return;
        }
        if self.is_flat() {
            *self = Self { open_time: self.open_time, ..*part };
            return;
        }
        self.volume += part.volume;
        self.quote_volume += part.quote_volume;
        self.taker_buy_volume += part.taker_buy_volume;
        self.taker_buy_quote_volume += part.taker_buy_quote_volume;
        self.high = self.high.max(part.high);
        self.low = self.low.min(part.low);
        self.trade_count += part.trade_count;
        if self.has_ids() && part.has_ids() {
            if part.first_id < self.first_id {
                self.first_id = part.first_id;
                self.open = part.open;
            }
            if part.last_id > self.last_id {
                self.last_id = part.last_id;
                self.close = part.close;
            }
        } else {
            self.close = part.close;
            (self.first_id, self.last_id) = NO_IDS;
        }
    }

    /// The kline of a longer period that opens at `open_time`, from parts in order of time.
    /// `None` if there are none.
    pub fn rollup<'a>(
        open_time: UnixMillis,
        parts: impl IntoIterator<Item = &'a Self>,
    ) -> Option<Self> {
        let mut parts = parts.into_iter();
        let mut whole = Self { open_time, ..*parts.next()? };
        for part in parts {
            whole.merge(part);
        }
        Some(whole)
    }

    /// Whether all values that the exchange publishes are equal; ids are not among them.
    pub fn same_values(&self, other: &Self) -> bool {
        let without_ids = |kline: &Self| Self { first_id: NO_IDS.0, last_id: NO_IDS.1, ..*kline };
        without_ids(self) == without_ids(other)
    }

    /// Checks what must hold of a kline from outside.
    ///
    /// # Errors
    /// [`KlineError`] names the rule that does not hold.
    pub fn validate(&self) -> Result<(), KlineError> {
        let prices_in_order = self.low.scaled() > 0
            && self.low <= self.open.min(self.close)
            && self.high >= self.open.max(self.close);
        if !prices_in_order {
            return Err(KlineError::PricesOutOfOrder);
        }
        let volumes_in_order = self.taker_buy_volume >= Volume::ZERO
            && self.taker_buy_quote_volume >= QuoteVolume::ZERO
            && self.taker_buy_volume <= self.volume
            && self.taker_buy_quote_volume <= self.quote_volume;
        if !volumes_in_order {
            return Err(KlineError::VolumesOutOfOrder);
        }
        if self.volume.scaled() > VOLUME_SCALED_MAX
            || self.quote_volume.scaled() > VOLUME_SCALED_MAX
        {
            return Err(KlineError::VolumeOutOfRange);
        }
        Ok(())
    }
}
