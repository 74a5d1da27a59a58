//! What is true of the market: klines from single fills, and from aggregates.
//!
//! This is the oracle's own arithmetic. It shares no code with the product: 128-bit integers, and
//! one pass over a sorted list for each kline that is asked for.

use crate::agenda::Millis;
use crate::market::Listing;

/// The values of a kline that the exchange publishes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Truth {
    pub(crate) open_time: Millis,
    pub(crate) open: i64,
    pub(crate) high: i64,
    pub(crate) low: i64,
    pub(crate) close: i64,
    pub(crate) volume: i128,
    pub(crate) quote_volume: i128,
    pub(crate) taker_volume: i128,
    pub(crate) taker_quote_volume: i128,
    pub(crate) count: u64,
}

impl Truth {
    const fn flat(open_time: Millis, price: i64) -> Self {
        Self {
            open_time,
            open: price,
            high: price,
            low: price,
            close: price,
            volume: 0,
            quote_volume: 0,
            taker_volume: 0,
            taker_quote_volume: 0,
            count: 0,
        }
    }

    /// Appends a later stretch of time.
    pub(crate) fn append(&mut self, later: &Self) {
        if later.count == 0 && self.count == 0 {
            *self = Self { open_time: self.open_time, ..*later };
        } else if later.count > 0 {
            if self.count == 0 {
                (self.open, self.high, self.low) = (later.open, later.high, later.low);
            }
            self.high = self.high.max(later.high);
            self.low = self.low.min(later.low);
            self.close = later.close;
            self.volume += later.volume;
            self.quote_volume += later.quote_volume;
            self.taker_volume += later.taker_volume;
            self.taker_quote_volume += later.taker_quote_volume;
            self.count += later.count;
        }
    }

    fn add(&mut self, price: i64, quantity: i64, buy: bool, count: u64) {
        if self.count == 0 {
            (self.open, self.high, self.low) = (price, price, price);
        }
        self.high = self.high.max(price);
        self.low = self.low.min(price);
        self.close = price;
        let quote = i128::from(price) * i128::from(quantity);
        self.volume += i128::from(quantity);
        self.quote_volume += quote;
        if buy {
            self.taker_volume += i128::from(quantity);
            self.taker_quote_volume += quote;
        }
        self.count += count;
    }
}

/// The official kline of `[open, until)`, as far as fills before `seen_until` are counted; `None`
/// before the listing.
pub(crate) fn official(
    listing: &Listing,
    open: Millis,
    until: Millis,
    seen_until: Millis,
) -> Option<Truth> {
    let from = listing.fills.partition_point(|fill| fill.time < open.min(seen_until));
    // A fill that is not seen yet is nobody's price: a symbol listed in the last second of a day
    // would have a flat kline of the next day before it has one of its first.
    let before = from.checked_sub(1).map(|at| listing.fills[at].price);
    let later = listing.fills[from..].iter().skip_while(|fill| fill.time < open);
    let in_it = later.take_while(|fill| fill.time < until.min(seen_until));
    fold(open, before, in_it.map(|fill| (fill.price, fill.quantity, fill.buy, 1)))
}

/// The fold of all aggregates stamped in `[open, until)` of which `counts` says so.
pub(crate) fn of_aggregates(
    listing: &Listing,
    open: Millis,
    until: Millis,
    counts: impl Fn(i64) -> bool,
) -> Option<Truth> {
    let from = listing.aggregates.partition_point(|of| of.time < open);
    let before = listing.aggregates[..from].iter().rev().find(|of| counts(of.id));
    let in_it = listing.aggregates[from..].iter().take_while(|of| of.time < until);
    let in_it = in_it.filter(|of| counts(of.id));
    let rows = in_it.map(|of| (of.price, of.quantity, of.buy, of.fill_count()));
    fold(open, before.map(|of| of.price), rows)
}

fn fold(
    open: Millis,
    before: Option<i64>,
    mut rows: impl Iterator<Item = (i64, i64, bool, u64)>,
) -> Option<Truth> {
    let first = rows.next();
    let price = before.or(first.map(|first| first.0))?;
    let mut truth = Truth::flat(open, price);
    for (price, quantity, buy, count) in first.into_iter().chain(rows) {
        truth.add(price, quantity, buy, count);
    }
    Some(truth)
}
