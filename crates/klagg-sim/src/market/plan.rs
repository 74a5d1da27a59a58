//! What happens in one minute, in closed form: how many aggregates, at which prices, how much.
//!
//! A minute runs through a few price levels, the first near its opening price, the last at its
//! close. Each level says how many steps were bought and sold at it, so the minute's kline is
//! known without its trades; [`super::tape`] later makes trades that add up to exactly that.

use klagg_kline::{Kline, Price, QuoteVolume, TradeId, UnixMillis, Volume};

use super::price::{PriceWalk, scale};
use super::symbol::{MINUTE, OrdinalWalk, Symbol};
use crate::random::{Random, at, is_within, unit};

const LEVELS_MAX: usize = 6;

const TAG_LEVELS: u64 = 0x1e7e;
const TAG_CARRY: u64 = 0xca44;
const TAG_STRADDLE: u64 = 0x57ad;

/// Trades at one price in a part of the minute.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Level {
    pub(crate) ticks: i64,
    /// First ordinal, and the one after the last.
    pub(crate) first: i64,
    pub(crate) end: i64,
    /// Aggregates whose taker bought.
    pub(crate) buys: i64,
    pub(crate) buy_steps: i64,
    pub(crate) sell_steps: i64,
}

/// Fills of a minute's last aggregate that happen in the next minute.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Carry {
    pub(crate) ordinal: i64,
    /// Index of the first of these fills in their aggregate.
    pub(crate) first_fill: i64,
    pub(crate) fills: i64,
    pub(crate) ticks: i64,
    pub(crate) is_buy: bool,
    /// The minute of the aggregate.
    pub(crate) minute: i64,
}

impl Carry {
    /// Steps of one of the fills, counted from 0.
    pub(crate) fn steps(&self, symbol: &Symbol, fill: i64) -> i64 {
        let number = at(symbol.seed, TAG_CARRY, self.minute * 16 + fill);
        1 + ((number >> 8) % (2 * symbol.typical_steps).unsigned_abs()).cast_signed()
    }
}

/// The plan of one minute.
#[derive(Debug, Clone)]
pub(crate) struct Plan {
    pub(crate) minute: i64,
    pub(crate) first: i64,
    pub(crate) end: i64,
    levels: [Level; LEVELS_MAX],
    level_count: usize,
    pub(crate) carry: Option<Carry>,
    /// Fills of its aggregates, those carried on among them, and of all until their end.
    fills: i64,
    fills_until: i64,
}

/// What consecutive minutes share: ordinals at three edges, prices at two.
#[derive(Debug, Clone)]
pub(crate) struct Edges {
    minute: i64,
    ordinals: [i64; 3],
    ticks: [i64; 2],
    ordinal_walk: OrdinalWalk,
    price_walk: PriceWalk,
}

impl Edges {
    fn of(symbol: &Symbol, minute: i64) -> Self {
        let mut ordinal_walk = OrdinalWalk::to(symbol, minute);
        let mut price_walk = symbol.price_walk();
        let ordinals = [(); 3].map(|()| {
            let ordinal = ordinal_walk.ordinal();
            ordinal_walk.advance();
            ordinal
        });
        let ticks = [minute, minute + 1].map(|edge| price_walk.ticks_at(edge));
        Self { minute, ordinals, ticks, ordinal_walk, price_walk }
    }

    fn advance(&mut self) {
        self.minute += 1;
        self.ordinals.rotate_left(1);
        self.ordinals[2] = self.ordinal_walk.ordinal();
        self.ordinal_walk.advance();
        self.ticks = [self.ticks[1], self.price_walk.ticks_at(self.minute + 1)];
    }
}

impl Plan {
    pub(crate) fn of(symbol: &Symbol, minute: i64) -> Self {
        Self::between(symbol, &Edges::of(symbol, minute))
    }

    /// The plan of the minute before, whose last aggregate may reach into this one.
    pub(crate) fn before(symbol: &Symbol, minute: i64) -> Option<Self> {
        (minute > symbol.first_minute()).then(|| Self::of(symbol, minute - 1))
    }

    fn between(symbol: &Symbol, edges: &Edges) -> Self {
        let [first, end, next_end] = edges.ordinals;
        let level_count = usize::try_from(end - first).unwrap_or(0).min(LEVELS_MAX);
        let count = i64::try_from(level_count).unwrap_or(0);
        let fills_before = if count > 0 { symbol.fills_until(first) } else { 0 };
        let mut plan = Self {
            fills: 0,
            fills_until: fills_before,
            minute: edges.minute,
            first,
            end,
            levels: [Level::default(); LEVELS_MAX],
            level_count,
            carry: None,
        };
        let mut random = Random::new(at(symbol.seed, TAG_LEVELS, edges.minute));
        plan.set_prices(symbol, edges.ticks, &mut random);
        for (at, level) in (0..count).zip(&mut plan.levels) {
            level.first = first + (end - first) * at / count;
            level.end = first + (end - first) * (at + 1) / count;
            let fills_until = symbol.fills_until(level.end);
            level.set_volumes(symbol, fills_until - plan.fills_until, random.next());
            plan.fills_until = fills_until;
        }
        plan.fills = plan.fills_until - fills_before;
        if end > first && next_end > end {
            plan.carry = plan.carried(symbol);
        }
        plan
    }

    pub(crate) fn levels(&self) -> &[Level] {
        &self.levels[..self.level_count]
    }

    fn set_prices(&mut self, symbol: &Symbol, [open, close]: [i64; 2], random: &mut Random) {
        let Some(last) = self.level_count.checked_sub(1) else { return };
        let open = (open + random.below(3).cast_signed() - 1).max(1);
        // Wicks are seldom long: the square of a fraction.
        let mut wick = || {
            let fraction = unit(random.next());
            scale(symbol.base_ticks, 0.0008 * symbol.volatility * fraction * fraction)
        };
        let high = open.max(close) + wick();
        let low = (open.min(close) - wick()).max(1);
        for level in &mut self.levels[1.min(last)..last] {
            level.ticks = low + random.below((high - low + 1).unsigned_abs()).cast_signed();
        }
        if last >= 3 {
            let (one, other) = if random.next() & 1 == 0 { (1, last - 1) } else { (last - 1, 1) };
            self.levels[one].ticks = high;
            self.levels[other].ticks = low;
        }
        self.levels[0].ticks = open;
        self.levels[last].ticks = close;
    }

    fn carried(&self, symbol: &Symbol) -> Option<Carry> {
        let ordinal = self.end - 1;
        let fills = symbol.fill_count(ordinal);
        let number = at(symbol.seed, TAG_STRADDLE, self.minute);
        if fills < 2 || !is_within(number, symbol.straddles) {
            return None;
        }
        let level = self.levels().last()?;
        let carried = 1 + ((number & 0xffff) % (fills - 1).unsigned_abs()).cast_signed();
        Some(Carry {
            ordinal,
            first_fill: fills - carried,
            fills: carried,
            ticks: level.ticks,
            // The last aggregate of a level with buys is one: see `Level::is_buy`.
            is_buy: level.buys > 0,
            minute: self.minute,
        })
    }

    /// Price of the last trade of this minute; `None` if there is none.
    fn close_ticks(&self) -> Option<i64> {
        self.levels().last().map(|level| level.ticks)
    }

    /// The official kline of the minute. `carry` is what the minute before left; `close` the
    /// close before if it is known, and the new one afterwards.
    fn kline(&self, symbol: &Symbol, carry: Option<&Carry>, close: &mut Option<i64>) -> Kline {
        let open_time = UnixMillis(self.minute * MINUTE);
        let price = |ticks: i64| Price::from_scaled(ticks * symbol.tick);
        let Some(own_close) = self.close_ticks() else {
            let close = *close.get_or_insert_with(|| close_before(symbol, self.minute));
            return Kline::flat(open_time, price(close));
        };
        *close = Some(own_close);
        let mut sums = Sums::default();
        let mut open = self.levels[0].ticks;
        let mut fills = self.fills;
        let mut first_id = symbol.fill_id(self.first, 0);
        if let Some(carry) = carry {
            open = carry.ticks;
            fills += carry.fills;
            first_id = symbol.fill_id(carry.ordinal, carry.first_fill);
            let steps = (0..carry.fills).map(|fill| carry.steps(symbol, fill)).sum();
            sums.add(carry.ticks, steps, carry.is_buy);
        }
        let (mut high, mut low) = (open, open);
        for level in self.levels() {
            sums.add(level.ticks, level.buy_steps, true);
            sums.add(level.ticks, level.sell_steps, false);
            high = high.max(level.ticks);
            low = low.min(level.ticks);
        }
        let carried = self.carry.map_or(0, |carry| carry.fills);
        let last_fill = symbol.fill_count(self.end - 1) - carried - 1;
        let (tick, step) = (i128::from(symbol.tick), i128::from(symbol.step));
        Kline {
            volume: Volume::from_scaled(sums.steps * step),
            quote_volume: QuoteVolume::from_scaled(sums.quote * tick * step),
            taker_buy_volume: Volume::from_scaled(sums.buy_steps * step),
            taker_buy_quote_volume: QuoteVolume::from_scaled(sums.buy_quote * tick * step),
            open_time,
            open: price(open),
            high: price(high),
            low: price(low),
            close: price(own_close),
            trade_count: (fills - carried).unsigned_abs(),
            first_id: TradeId(first_id),
            last_id: TradeId(symbol.fill_id(self.end - 1, last_fill)),
        }
    }
}

impl Level {
    fn set_volumes(&mut self, symbol: &Symbol, fills: i64, number: u64) {
        let count = self.end - self.first;
        let byte = |shift: u32| (number >> shift & 255).cast_signed();
        self.buys = (count * byte(0) + 128) >> 8;
        // At least a step a fill, whichever side the fills fall on.
        let steps = |sides: i64, busy: i64| {
            if sides == 0 {
                return 0;
            }
            // Squares: a few minutes trade much more than most.
            fills + symbol.typical_steps * sides * busy * busy / 16_384
        };
        self.buy_steps = steps(self.buys, byte(8));
        self.sell_steps = steps(count - self.buys, byte(16));
    }

    /// Whether the taker of an aggregate of this level bought: the buys are spread evenly, the
    /// last aggregate is one if there are any.
    pub(crate) const fn is_buy(&self, ordinal: i64) -> bool {
        let place = ordinal - self.first;
        let count = self.end - self.first;
        (place + 1) * self.buys / count > place * self.buys / count
    }
}

#[derive(Debug, Default)]
struct Sums {
    steps: i128,
    quote: i128,
    buy_steps: i128,
    buy_quote: i128,
}

impl Sums {
    fn add(&mut self, ticks: i64, steps: i64, is_buy: bool) {
        let quote = i128::from(ticks) * i128::from(steps);
        self.steps += i128::from(steps);
        self.quote += quote;
        if is_buy {
            self.buy_steps += i128::from(steps);
            self.buy_quote += quote;
        }
    }
}

/// The last traded price before `minute`, in ticks.
fn close_before(symbol: &Symbol, minute: i64) -> i64 {
    let ordinal = symbol.ordinal_at(minute) - 1;
    if ordinal < 0 {
        return symbol.ticks_at(minute);
    }
    symbol.ticks_at(symbol.minute_of(ordinal, minute) + 1)
}

/// Hands the official kline of every minute in `from..to` to `each`; none before the listing.
pub(crate) fn scan(symbol: &Symbol, from: i64, to: i64, mut each: impl FnMut(&Kline)) {
    let from = from.max(symbol.first_minute());
    if from >= to {
        return;
    }
    let mut close = None;
    let mut carry = Plan::before(symbol, from).and_then(|plan| plan.carry);
    let mut edges = Edges::of(symbol, from);
    loop {
        let plan = Plan::between(symbol, &edges);
        each(&plan.kline(symbol, carry.as_ref(), &mut close));
        carry = plan.carry;
        if edges.minute + 1 >= to {
            return;
        }
        edges.advance();
    }
}
