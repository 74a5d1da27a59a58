//! The trades of one minute, fill by fill, made so that they add up to its plan.

use super::plan::{Level, Plan};
use super::symbol::{MINUTE, Symbol};
use crate::random::{Random, at, is_within};

const TAG_TAPE: u64 = 0x7a9e;
/// Longest time between the first and the last fill of an aggregate.
const SPREAD_MS: i64 = 70;
/// The next minute's own trades start after the fills that an aggregate carried into it.
const CARRY_MS: i64 = 30;
/// Aggregates of one millisecond that fill more than one page of REST.
const RUN_LONG: u64 = 1_100;

/// One single fill: the truth from which everything else is derived.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Fill {
    pub(crate) id: i64,
    pub(crate) time: i64,
    pub(crate) steps: i64,
}

/// Fills of one taker order at one price.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Aggregate {
    pub(crate) ordinal: i64,
    pub(crate) ticks: i64,
    pub(crate) is_buy: bool,
    /// Where its fills stand in the tape.
    first: u32,
    end: u32,
}

/// All aggregates whose first fill lies in one minute.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Tape {
    pub(crate) minute: i64,
    pub(crate) aggregates: Vec<Aggregate>,
    fills: Vec<Fill>,
}

impl Tape {
    pub(crate) fn fills(&self, aggregate: &Aggregate) -> &[Fill] {
        &self.fills[aggregate.first as usize..aggregate.end as usize]
    }

    /// The time of an aggregate: that of its first fill.
    pub(crate) fn time(&self, aggregate: &Aggregate) -> i64 {
        self.fills(aggregate)[0].time
    }

    pub(crate) fn steps(&self, aggregate: &Aggregate) -> i64 {
        self.fills(aggregate).iter().map(|fill| fill.steps).sum()
    }

    /// Makes the trades of a minute.
    pub(crate) fn of(symbol: &Symbol, minute: i64) -> Self {
        let plan = Plan::of(symbol, minute);
        let before = Plan::before(symbol, minute).and_then(|plan| plan.carry);
        let mut tape = Self { minute, aggregates: Vec::new(), fills: Vec::new() };
        tape.aggregates.reserve_exact(usize::try_from(plan.end - plan.first).unwrap_or(0));
        let mut random = Random::new(at(symbol.seed, TAG_TAPE, minute));
        for level in plan.levels() {
            tape.trade_level(symbol, &plan, level, &mut random);
        }
        let start = minute * MINUTE;
        let mut open = symbol.onboard.0.max(start);
        if before.is_some() {
            open = open.max(start + CARRY_MS + 1);
        }
        tape.set_times(symbol, &plan, open.min(start + MINUTE - 1), &mut random);
        tape
    }

    /// Makes the fills of one level, still without times.
    fn trade_level(&mut self, symbol: &Symbol, plan: &Plan, level: &Level, random: &mut Random) {
        let mut buys = Vec::new();
        let mut sells = Vec::new();
        for ordinal in level.first..level.end {
            let is_buy = level.is_buy(ordinal);
            let carry = plan.carry.as_ref().filter(|carry| carry.ordinal == ordinal);
            let first = self.len();
            for at in 0..symbol.fill_count(ordinal) {
                let id = symbol.fill_id(ordinal, at);
                let carried = carry.filter(|carry| at >= carry.first_fill);
                let steps = carried.map_or(0, |carry| carry.steps(symbol, at - carry.first_fill));
                if carried.is_none() {
                    let side = if is_buy { &mut buys } else { &mut sells };
                    side.push(self.fills.len());
                }
                self.fills.push(Fill { id, time: 0, steps });
            }
            let end = self.len();
            self.aggregates.push(Aggregate { ordinal, ticks: level.ticks, is_buy, first, end });
        }
        self.share_out(&buys, level.buy_steps, random);
        self.share_out(&sells, level.sell_steps, random);
    }

    fn len(&self) -> u32 {
        u32::try_from(self.fills.len()).unwrap_or(u32::MAX)
    }

    /// Shares steps out to fills, unevenly, at least one each, none left over.
    fn share_out(&mut self, places: &[usize], steps: i64, random: &mut Random) {
        let count = i64::try_from(places.len()).unwrap_or(i64::MAX);
        debug_assert!(steps >= count && (count > 0 || steps == 0), "{steps} for {count} fills");
        let mut left = steps - count;
        let mut fills_left = count;
        for &place in places {
            // On average a fair part of what is left; the last one takes the rest.
            let most = if fills_left == 1 { left } else { (2 * left / fills_left).min(left) };
            let extra = if fills_left == 1 {
                left
            } else {
                random.below((most + 1).unsigned_abs()).cast_signed()
            };
            self.fills[place].steps = 1 + extra;
            left -= extra;
            fills_left -= 1;
        }
    }

    /// Spreads the aggregates over the minute and their fills behind them. Neither aggregates
    /// nor fills ever go back in time.
    fn set_times(&mut self, symbol: &Symbol, plan: &Plan, open: i64, random: &mut Random) {
        let end = (plan.minute + 1) * MINUTE;
        let weights = weights(symbol, plan, random);
        let whole: u64 = weights.iter().sum::<u64>() + 1 + random.below(8_000);
        let span = u128::from((end - open).unsigned_abs());
        let mut so_far = 0;
        let mut times = Vec::with_capacity(weights.len());
        for weight in &weights {
            so_far += weight;
            let offset = u128::from(so_far) * span / u128::from(whole);
            times.push(open + i64::try_from(offset).unwrap_or(0));
        }
        // Some trades fall exactly on the edges.
        if random.below(4) == 0
            && let Some(first) = times.first_mut()
        {
            *first = open;
        }
        if let Some(last) = times.last_mut()
            && (plan.carry.is_some() || random.below(4) == 0)
        {
            let early = plan.carry.map_or(1, |_| 1 + random.below(40).cast_signed());
            *last = (*last).max(end - early);
        }
        for at in 0..times.len() {
            let until = times.get(at + 1).copied().unwrap_or(end - 1);
            self.set_fill_times(plan, at, times[at], until.min(times[at] + SPREAD_MS), random);
        }
    }

    fn set_fill_times(
        &mut self,
        plan: &Plan,
        at: usize,
        time: i64,
        until: i64,
        random: &mut Random,
    ) {
        let aggregate = &self.aggregates[at];
        let carry = plan.carry.as_ref().filter(|carry| carry.ordinal == aggregate.ordinal);
        let own = carry.map_or(usize::MAX, |carry| usize::try_from(carry.first_fill).unwrap_or(0));
        let end = (plan.minute + 1) * MINUTE;
        // Most orders fill within their millisecond.
        let is_spread = carry.is_some() || random.below(8) == 0;
        let mut now = time;
        let fills = &mut self.fills[aggregate.first as usize..aggregate.end as usize];
        for (at, fill) in fills.iter_mut().enumerate() {
            if at >= own {
                let latest = (time + SPREAD_MS).min(end + CARRY_MS);
                now = now.max(end);
                now += random.below((latest - now + 1).max(0).unsigned_abs() / 2).cast_signed();
            } else if at > 0 && is_spread {
                now += random.below((until - now + 1).max(0).unsigned_abs()).cast_signed();
            }
            fill.time = now;
        }
    }
}

/// How long to wait before each aggregate of the minute, in parts of a whole yet unknown.
fn weights(symbol: &Symbol, plan: &Plan, random: &mut Random) -> Vec<u64> {
    let count = usize::try_from(plan.end - plan.first).unwrap_or(0);
    let mut weights: Vec<u64> = (0..count)
        .map(|_| {
            let number = random.next();
            // A third follow in the same millisecond or nearly so; few waits are long.
            if number.is_multiple_of(3) { 0 } else { ((number >> 40) & 0xfff) >> (number >> 60) }
        })
        .collect();
    if count > 20 && is_within(random.next(), symbol.same_millisecond_runs) {
        let most = (count as u64 / 2).max(RUN_LONG.min(count as u64 - 10));
        let run = usize::try_from(most.min(RUN_LONG)).unwrap_or(0);
        let start = usize::try_from(random.below((count - run) as u64)).unwrap_or(0);
        weights[start + 1..=start + run].fill(0);
        weights[start] = weights[start].max(1);
    }
    weights
}
