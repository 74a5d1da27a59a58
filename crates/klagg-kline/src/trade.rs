//! One trade as the exchange reports it: an aggregate (the default) or a raw fill.

use crate::{Price, Quantity, QuoteVolume, UnixMillis};

/// Largest price × quantity of one trade: 2^94 at 1e-16, about 1.98 trillion quote units.
///
/// With it, 2^32 trades cannot overflow a [`QuoteVolume`] (2^126 < 2^127), and 2^32 trades
/// of the largest [`Quantity`] stay below 2^95 in a volume.
pub const MAX_NOTIONAL: QuoteVolume = QuoteVolume::from_scaled(1 << 94);

/// The exchange's id of a trade: the aggregate id `a`, or the raw id `t`. Per symbol, one up.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TradeId(pub i64);

impl TradeId {
    /// The id that the exchange gives to the next trade. The largest id has no next one and stays:
    /// a frame with a made-up id must not bring anybody down.
    #[must_use]
    #[inline]
    pub const fn next(self) -> Self {
        Self(self.0.saturating_add(1))
    }
}

impl std::fmt::Display for TradeId {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(formatter)
    }
}

/// Who took liquidity.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Side {
    /// The taker bought (`m == false`): counts into the taker-buy volumes.
    Buy,
    /// The taker sold: the buyer was the maker (`m == true`).
    Sell,
}

impl Side {
    /// From the exchange's flag "is the buyer the maker?".
    #[inline]
    pub const fn from_buyer_is_maker(buyer_is_maker: bool) -> Self {
        if buyer_is_maker { Self::Sell } else { Self::Buy }
    }

    /// The exchange's flag "is the buyer the maker?".
    #[inline]
    pub const fn buyer_is_maker(self) -> bool {
        matches!(self, Self::Sell)
    }
}

/// Why a trade cannot be folded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TradeError {
    /// The price is zero or negative.
    #[error("price is not positive")]
    PriceNotPositive,
    /// The quantity is zero or negative.
    #[error("quantity is not positive")]
    QuantityNotPositive,
    /// Price × quantity is above [`MAX_NOTIONAL`].
    #[error("price × quantity is out of range")]
    NotionalOutOfRange,
    /// The id is negative.
    #[error("trade id is negative")]
    NegativeId,
    /// An aggregate that holds no fill: its last raw id lies before its first.
    #[error("the trade holds no fill")]
    NoFill,
}

/// One trade. Valid by construction: positive price and quantity, bounded notional.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Trade {
    /// The exchange's id, one up per trade of a symbol.
    pub id: TradeId,
    /// When it happened; for an aggregate, the time of its first fill.
    pub time: UnixMillis,
    /// Price of all its fills.
    pub price: Price,
    /// Base quantity of all its fills.
    pub quantity: Quantity,
    /// How many raw fills it holds: `l - f + 1`, or 1 for a raw trade.
    pub fill_count: u32,
    /// Who took.
    pub taker: Side,
}

impl Trade {
    /// A valid trade.
    ///
    /// # Errors
    /// [`TradeError`] names the first rule that does not hold.
    #[inline]
    pub const fn new(
        id: TradeId,
        time: UnixMillis,
        price: Price,
        quantity: Quantity,
        fill_count: u32,
        taker: Side,
    ) -> Result<Self, TradeError> {
        if id.0 < 0 {
            return Err(TradeError::NegativeId);
        }
        if price.scaled() <= 0 {
            return Err(TradeError::PriceNotPositive);
        }
        if quantity.scaled() <= 0 {
            return Err(TradeError::QuantityNotPositive);
        }
        if price.times(quantity).scaled() > MAX_NOTIONAL.scaled() {
            return Err(TradeError::NotionalOutOfRange);
        }
        if fill_count == 0 {
            return Err(TradeError::NoFill);
        }
        Ok(Self { id, time, price, quantity, fill_count, taker })
    }

    /// Price × quantity, exact.
    #[inline]
    pub const fn notional(&self) -> QuoteVolume {
        self.price.times(self.quantity)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_trade_that_could_spoil_a_kline_is_refused() {
        let check = |price: i64, quantity: i64, id: i64, fills: u32, expected: TradeError| {
            let trade = Trade::new(
                TradeId(id),
                UnixMillis(0),
                Price::from_scaled(price),
                Quantity::from_scaled(quantity),
                fills,
                Side::Buy,
            );
            assert_eq!(trade, Err(expected));
        };
        check(0, 1, 1, 1, TradeError::PriceNotPositive);
        check(-1, 1, 1, 1, TradeError::PriceNotPositive);
        check(1, 0, 1, 1, TradeError::QuantityNotPositive);
        check(1, -5, 1, 1, TradeError::QuantityNotPositive);
        check(1, 1, -1, 1, TradeError::NegativeId);
        check(1, 1, 1, 0, TradeError::NoFill);
        check(i64::MAX, i64::MAX, 1, 1, TradeError::NotionalOutOfRange);
        check(1 << 47, (1 << 47) + 1, 1, 1, TradeError::NotionalOutOfRange);
    }
}
