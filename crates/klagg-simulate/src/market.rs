//! The market of a seed: single fills first, aggregates made of them.
//!
//! A taker's order makes one to four fills at one price within 70 ms; they are one aggregate,
//! stamped with its first fill, so that one in the last milliseconds of a minute straddles it.
//! Raw ids are burnt now and then. Each listing draws from its own numbers, so that a fault plan
//! that lists one symbol less leaves the others as they were.

mod fills;

use crate::agenda::Millis;
use crate::random::Random;

pub(crate) const MINUTE: Millis = 60_000;
/// An aggregate is sent at most so long after its last fill, unless a fault makes it late.
const SEND_LAG_MAX: i64 = 120;
const FILL_SPREAD_MAX: i64 = 70;
/// The longest pause of a symbol that is steady.
const STEADY_PAUSE_MAX: i64 = 4_000;

/// One fill.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Fill {
    pub(crate) time: Millis,
    pub(crate) price: i64,
    pub(crate) quantity: i64,
    pub(crate) buy: bool,
}

/// What the exchange sends of a trade: the fills of one order at one price, or a single fill.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Aggregate {
    pub(crate) id: i64,
    /// Time of its first fill.
    pub(crate) time: Millis,
    /// When the exchange sends it.
    pub(crate) sent: Millis,
    pub(crate) price: i64,
    pub(crate) quantity: i64,
    pub(crate) first_raw: i64,
    pub(crate) last_raw: i64,
    pub(crate) buy: bool,
}

impl Aggregate {
    /// What the exchange's `l - f + 1` says: burnt ids are counted as well.
    pub(crate) const fn fill_count(&self) -> u64 {
        (self.last_raw - self.first_raw + 1).unsigned_abs()
    }
}

/// How a symbol trades.
#[derive(Debug, Clone)]
pub(crate) struct Terms {
    pub(crate) name: String,
    /// First fill not before.
    pub(crate) listed_at: Millis,
    /// No fill from here on.
    pub(crate) ends_at: Millis,
    /// Since when it trades at the pace below; sparsely before.
    pub(crate) brisk_from: Millis,
    /// Mean milliseconds between two orders.
    pub(crate) pace: Millis,
    /// Whether it never pauses for longer than a moment.
    pub(crate) is_steady: bool,
}

/// A symbol from its listing to its end. A name may be listed again.
#[derive(Debug)]
pub(crate) struct Listing {
    pub(crate) terms: Terms,
    pub(crate) fills: Vec<Fill>,
    /// What its stream carries, ascending by id and time: aggregates, or its fills one by one.
    pub(crate) aggregates: Vec<Aggregate>,
    /// Prints of no order book between its fills: none among aggregates.
    pub(crate) off_market: Vec<Aggregate>,
}

impl Listing {
    /// The fills of a listing that is number `number` of its seed.
    pub(crate) fn new(seed: u64, number: u64, terms: Terms) -> Self {
        let mut making = Making {
            random: Random::new(seed, 0x0011_5717 + number),
            price: 0,
            raw: 1_000,
            fills: Vec::new(),
            aggregates: Vec::new(),
            pace: terms.pace,
            is_steady: terms.is_steady,
        };
        making.price = making.random.between(1_000, 900_000) * 1_000_000;
        making.raw += making.random.between(0, 1_000);
        let mut at = terms.listed_at;
        while at < terms.ends_at {
            let last = making.order(at, terms.ends_at);
            at = making.next_time(last, terms.brisk_from);
        }
        let Making { fills, aggregates, .. } = making;
        Self { terms, fills, aggregates, off_market: Vec::new() }
    }

    /// Time of the first fill.
    pub(crate) fn first_time(&self) -> Option<Millis> {
        self.fills.first().map(|fill| fill.time)
    }

    /// The aggregate with this id.
    pub(crate) fn aggregate(&self, id: i64) -> Option<&Aggregate> {
        self.aggregates.get(self.place(id)?)
    }

    /// Where the aggregate with this id stands among all.
    pub(crate) fn place(&self, id: i64) -> Option<usize> {
        self.aggregates.binary_search_by_key(&id, |of| of.id).ok()
    }

    /// How many aggregates the exchange has sent before `now`.
    pub(crate) fn sent_before(&self, now: Millis) -> usize {
        self.aggregates.partition_point(|of| of.sent <= now)
    }
}

struct Making {
    random: Random,
    price: i64,
    raw: i64,
    fills: Vec<Fill>,
    aggregates: Vec<Aggregate>,
    pace: Millis,
    is_steady: bool,
}

impl Making {
    /// One taker's order, of one or two prices; gives the time of its last fill.
    fn order(&mut self, at: Millis, ends_at: Millis) -> Millis {
        let buy = self.random.per_mille(520);
        let mut last = at;
        for _ in 0..=self.random.below(8) / 6 {
            last = self.aggregate(last, ends_at, buy);
        }
        last
    }

    fn aggregate(&mut self, at: Millis, ends_at: Millis, buy: bool) -> Millis {
        self.price = (self.price + self.random.between(-9, 9) * 1_000_000).max(1_000_000);
        let fills = 1 + self.random.below(8).saturating_sub(4);
        let first_raw = self.raw;
        let (mut time, mut quantity) = (at, 0);
        for fill in 0..fills {
            if fill > 0 {
                time = (time + self.random.between(0, FILL_SPREAD_MAX / 4)).min(ends_at - 1);
                // A fill that self-trade prevention took back has burnt its number.
                self.raw += i64::from(self.random.per_mille(40));
            }
            let part = self.random.between(1, 5_000) * 100_000;
            quantity += part;
            self.fills.push(Fill { time, price: self.price, quantity: part, buy });
            self.raw += 1;
        }
        let sent = time + self.random.between(1, SEND_LAG_MAX);
        let sent = self.aggregates.last().map_or(sent, |before| sent.max(before.sent));
        self.aggregates.push(Aggregate {
            id: self.aggregates.last().map_or(1, |before| before.id + 1),
            time: at,
            sent,
            price: self.price,
            quantity,
            first_raw,
            last_raw: self.raw - 1,
            buy,
        });
        time
    }

    /// When the next order comes: most at the pace, some at once, some around the turn of a
    /// minute, a few after a halt.
    fn next_time(&mut self, last: Millis, brisk_from: Millis) -> Millis {
        if last < brisk_from {
            let wait = self.random.between(1, 6 * MINUTE);
            return (last + wait).min(brisk_from.max(last + 1));
        }
        let next = match self.random.below(100) {
            0..=7 => last,
            8..=11 => {
                let turn = (last.div_euclid(MINUTE) + 1) * MINUTE;
                (turn + self.random.between(-30, 1)).max(last)
            }
            12 => last + self.random.between(1, 40) * self.pace.max(2_000),
            _ => last + self.random.between(1, 2 * self.pace),
        };
        if self.is_steady { next.min(last + STEADY_PAUSE_MAX) } else { next }
    }
}
