//! A listing whose stream carries its fills one by one.
//!
//! Their ids leave some out: burnt by self-trade prevention, or used up by prints of no order book,
//! of which the exchange sends a part, at prices far from the market's.

use crate::agenda::Millis;
use crate::market::{Aggregate, Fill, Listing, SEND_LAG_MAX};
use crate::random::Random;

/// Ids that are left out in a row, at most.
const LEFT_OUT_MAX: i64 = 12;

impl Listing {
    /// From here on its stream carries fills. They draw from numbers of their own, so that the
    /// market is the same as that of the aggregates.
    pub(crate) fn send_fills(&mut self, seed: u64, number: u64) {
        let mut random = Random::new(seed, 0x00f1_1150 + number);
        // Whether raw ids begin at 1, as those of aggregates do, nobody says.
        let mut id = if random.per_mille(500) { 1 } else { random.between(2, 9_000) };
        let mut sent = Millis::MIN;
        self.aggregates.clear();
        for fill in &self.fills {
            if random.per_mille(40) {
                for _ in 0..random.between(1, LEFT_OUT_MAX) {
                    if random.per_mille(300) {
                        sent = sent.max(fill.time + random.between(1, SEND_LAG_MAX));
                        let away = fill.price / 1_000_000 / 10 * 1_000_000;
                        let print = Fill { price: fill.price + away, ..*fill };
                        self.off_market.push(single(id, sent, &print));
                    }
                    id += 1;
                }
            }
            sent = sent.max(fill.time + random.between(1, SEND_LAG_MAX));
            self.aggregates.push(single(id, sent, fill));
            id += 1;
        }
    }
}

const fn single(id: i64, sent: Millis, fill: &Fill) -> Aggregate {
    let Fill { time, price, quantity, buy } = *fill;
    Aggregate { id, time, sent, price, quantity, first_raw: id, last_raw: id, buy }
}
