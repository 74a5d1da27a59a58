//! From closed minutes to longer klines, for one symbol.
//!
//! Always true here:
//! - A longer kline is the merge of the closed klines of its source period, in order of time: the
//!   closed part is kept as a sum, so that a closing minute costs one merge a level, and only as
//!   many levels as end with it.
//! - The children of the current and the previous kline of every longer period are kept, so that
//!   a replaced child can be followed upward by making its parents again.
//! - A status never falls, and a confirmed kline never changes.

pub(crate) mod plan;
pub(crate) mod ring;

use klagg_kline::{Kline, KlineRecord, KlineStatus, Price, UnixMillis};

pub(crate) use self::plan::Plan;
pub(crate) use self::ring::{Child, Closing, Ring};
use crate::outgoing::Scope;

/// How long minutes are kept where nothing is made of them: for late trades and confirmation.
const LONE_MINUTES_KEPT_MS: i64 = 10 * 60_000;

/// The closed part of the open kline of a longer period.
#[derive(Debug, Clone, Copy)]
#[repr(C)]
struct Part {
    open_time: UnixMillis,
    end: UnixMillis,
    /// Where the kline before it opened.
    previous: UnixMillis,
    /// How many children are in the sum, and the lowest status among them.
    present: i64,
    lowest: KlineStatus,
    sum: Option<Kline>,
}

impl Part {
    const fn empty(open_time: UnixMillis, end: UnixMillis, previous: UnixMillis) -> Self {
        Self { open_time, end, previous, sum: None, present: 0, lowest: KlineStatus::Confirmed }
    }

    #[inline]
    fn add(&mut self, kline: &Kline, status: KlineStatus) {
        match &mut self.sum {
            Some(sum) => sum.merge(kline),
            None => self.sum = Some(Kline { open_time: self.open_time, ..*kline }),
        }
        self.present += 1;
        self.lowest = self.lowest.min(status);
    }

    /// The status of the closed kline, if `expected` children make it whole.
    fn status(&self, expected: i64) -> KlineStatus {
        if self.present < expected {
            KlineStatus::Provisional
        } else {
            self.lowest.max(KlineStatus::Provisional)
        }
    }
}

/// One period of one symbol.
#[derive(Debug)]
#[repr(C, align(64))]
struct Level {
    ring: Ring,
    /// That of `1m` only tells where the open minute stands.
    part: Part,
}

/// Closed klines and closed parts of one symbol, of all periods.
#[derive(Debug)]
pub(crate) struct Levels {
    levels: Box<[Level]>,
    /// The minute of the first trade ever, if it was seen: klines that hold it are whole without
    /// the minutes before.
    listed_at: Option<UnixMillis>,
}

impl Levels {
    /// Levels of a symbol whose open minute begins at `minute`.
    pub(crate) fn new(plan: &Plan, minute: UnixMillis) -> Self {
        let level = |rung: &plan::Rung| {
            let open_time = rung.period.open_time(minute);
            Level {
                part: Part::empty(open_time, rung.end(open_time), rung.previous(open_time)),
                ring: Ring::new(rung.capacity, rung.own_ms, open_time),
            }
        };
        let mut levels = Self { levels: plan.rungs.iter().map(level).collect(), listed_at: None };
        for index in 0..plan.rungs.len() {
            levels.levels[index].ring.floor = levels.floor(plan, index);
        }
        levels
    }

    /// Moves the open minute to `minute` without closing anything: what lies between is unknown.
    pub(crate) fn reseat(&mut self, plan: &Plan, minute: UnixMillis) {
        *self = self.moved(plan, minute, |child| *child);
    }

    /// Levels made anew from the closed klines of these, for a symbol whose open minute begins at
    /// `minute`. None of them will be proven any more.
    pub(crate) fn rebuilt(&self, plan: &Plan, minute: UnixMillis) -> Self {
        let fresh = self.moved(plan, minute, |child| Child::settled(child.record));
        Self { listed_at: self.listed_at, ..fresh }
    }

    fn moved(&self, plan: &Plan, minute: UnixMillis, taken: impl Fn(&Child) -> Child) -> Self {
        let mut fresh = Self::new(plan, minute);
        for (fresh, old) in fresh.levels.iter_mut().zip(&self.levels) {
            // Those that are too old by now find no place.
            for child in old.ring.iter() {
                fresh.ring.insert(taken(child));
            }
        }
        for index in 1..plan.rungs.len() {
            fresh.sum_again(plan, index);
        }
        fresh
    }

    /// The minute that closed last, if it is still kept.
    pub(crate) fn newest_minute(&self) -> Option<&Child> {
        self.levels[0].ring.iter().max_by_key(|child| child.open_time())
    }

    /// Says that the first trade ever fell into the open minute.
    pub(crate) fn set_listed_at(&mut self, minute: UnixMillis) {
        self.listed_at = Some(minute);
    }

    /// The oldest open time that the ring of a period must keep: the children of the current and
    /// the previous kline of each longer period; of minutes those of one more, because they are
    /// confirmed some minutes late.
    fn floor(&self, plan: &Plan, index: usize) -> UnixMillis {
        let oldest_of = |&parent: &usize| {
            let previous = self.levels[parent].part.previous;
            if index == 0 { plan.rungs[parent].previous(previous) } else { previous }
        };
        match plan.rungs[index].consumers.iter().map(oldest_of).min() {
            Some(oldest) => oldest,
            None if index == 0 => self.levels[0].part.open_time.plus(-LONE_MINUTES_KEPT_MS),
            None => self.levels[index].part.previous,
        }
    }

    /// Closes a kline of the period `index` and every longer one that ends with it.
    pub(crate) fn close(&mut self, scope: &mut Scope<'_>, index: usize, closing: &Closing<'_>) {
        let plan = scope.plan;
        let Closing { kline, status, end, .. } = *closing;
        scope.out.counters.closed += 1;
        scope.emit_closing(index, closing);
        self.levels[index].ring.push(closing);
        let mut rolled = plan.rungs[index].consumers.is_empty();
        for &parent in &plan.rungs[index].consumers {
            let part = &mut self.levels[parent].part;
            debug_assert!(part.open_time <= kline.open_time && end <= part.end);
            part.add(kline, status);
            if end == part.end {
                self.close_part(scope, parent);
                rolled = true;
            }
        }
        if index == 0 {
            let part = &mut self.levels[0].part;
            (part.open_time, part.end, part.previous) = (end, end.plus(60_000), part.open_time);
        }
        if rolled {
            self.levels[index].ring.floor = self.floor(plan, index);
        }
    }

    fn close_part(&mut self, scope: &mut Scope<'_>, index: usize) {
        let Part { open_time, end, .. } = self.levels[index].part;
        let expected = self.expected(scope.plan, index, open_time, end);
        let status = self.levels[index].part.status(expected);
        let sum = self.levels[index].part.sum;
        self.levels[index].part = Part::empty(end, scope.plan.rungs[index].end(end), open_time);
        if let Some(kline) = &sum {
            self.close(scope, index, &Closing { kline, revision: 0, status, unproven: false, end });
        }
    }

    /// How many children the kline of period `index` from `open_time` to `end` has.
    fn expected(&self, plan: &Plan, index: usize, open_time: UnixMillis, end: UnixMillis) -> i64 {
        let rung = &plan.rungs[index];
        let listed_later = self.listed_at.is_some_and(|listed_at| listed_at > open_time);
        if rung.children > 0 && !listed_later {
            return rung.children;
        }
        end.since(self.first_child(rung, plan, open_time)) / rung.child_ms
    }

    /// Where the first child opens of a kline that opens at `open_time`: the listing may be later.
    fn first_child(&self, rung: &plan::Rung, plan: &Plan, open_time: UnixMillis) -> UnixMillis {
        match self.listed_at {
            Some(listed_at) if listed_at > open_time => {
                plan.rungs[rung.source].period.open_time(listed_at)
            }
            _ => open_time,
        }
    }

    /// Appends the open kline of every period, given that of `1m`, and whether it is known to be
    /// whole so far: a longer one is, if each of its children is there and is.
    pub(crate) fn compose(
        &self,
        plan: &Plan,
        (minute, is_whole): (&Kline, bool),
        mut put: impl FnMut(usize, &Kline, bool),
    ) {
        // At most fifteen periods exist.
        let mut open = [(*minute, is_whole); 15];
        put(0, minute, is_whole);
        for index in 1..self.levels.len() {
            let part = &self.levels[index].part;
            let (child, is_whole) = open[plan.rungs[index].source];
            let is_whole = is_whole && part.lowest >= KlineStatus::Closed && {
                let first = self.first_child(&plan.rungs[index], plan, part.open_time);
                part.present * plan.rungs[index].child_ms >= child.open_time.since(first)
            };
            let kline = match part.sum {
                None => Kline { open_time: part.open_time, ..child },
                Some(mut sum) => {
                    sum.merge(&child);
                    sum
                }
            };
            open[index] = (kline, is_whole);
            put(index, &kline, is_whole);
        }
    }

    pub(crate) fn ring(&mut self, index: usize) -> &mut Ring {
        &mut self.levels[index].ring
    }

    /// Whether a closed kline of period `index` that opens at `open_time` is kept here.
    pub(crate) fn keeps(&self, index: usize, open_time: UnixMillis) -> bool {
        self.levels[index].ring.floor <= open_time
    }

    /// Makes the parents of changed children again, upward as far as something changes.
    /// `open_times` are those of the changed children of period `index`, ascending.
    pub(crate) fn follow(
        &mut self,
        scope: &mut Scope<'_>,
        index: usize,
        open_times: &[UnixMillis],
    ) {
        let plan = scope.plan;
        for &parent in &plan.rungs[index].consumers {
            let period = plan.rungs[parent].period;
            let mut parents: Vec<_> =
                open_times.iter().map(|&time| period.open_time(time)).collect();
            parents.dedup();
            parents.retain(|&open_time| {
                if open_time >= self.levels[parent].part.open_time {
                    self.sum_again(plan, parent);
                    false
                } else {
                    self.remake(scope, parent, open_time)
                }
            });
            if !parents.is_empty() {
                self.follow(scope, parent, &parents);
            }
        }
    }

    /// Carries a price on to the flat minutes from `from` on: that given, or else the close of that
    /// minute itself. The open times of those that changed go to `changed`; the price to the open
    /// minute, if it stands behind them.
    pub(crate) fn reprice(
        &mut self,
        scope: &mut Scope<'_>,
        (from, mut close): (UnixMillis, Option<Price>),
        changed: &mut Vec<UnixMillis>,
    ) -> Option<Price> {
        let mut expected = from;
        for child in self.levels[0].ring.iter_mut().filter(|child| child.open_time() >= from) {
            if child.open_time() != expected {
                return None;
            }
            if let Some(price) = close {
                let record = &mut child.record;
                if !record.kline.is_flat() {
                    return None;
                }
                if record.kline.close != price {
                    if record.status == KlineStatus::Confirmed {
                        return None;
                    }
                    record.kline = Kline::flat(expected, price);
                    record.revision = record.revision.saturating_add(1);
                    scope.out.counters.corrected += 1;
                    scope.emit(0, &child.record);
                    changed.push(expected);
                }
            }
            close = Some(child.record.kline.close);
            expected = expected.plus(60_000);
        }
        close.filter(|_| expected == self.levels[0].part.open_time)
    }

    /// Sums the closed part of the open kline of a longer period from its children.
    fn sum_again(&mut self, plan: &Plan, index: usize) {
        let Part { open_time, end, previous, .. } = self.levels[index].part;
        self.levels[index].part = self.sum(plan, index, Part::empty(open_time, end, previous));
    }

    fn sum(&self, plan: &Plan, index: usize, mut part: Part) -> Part {
        for child in self.levels[plan.rungs[index].source].ring.range(part.open_time, part.end) {
            part.add(&child.record.kline, child.record.status);
        }
        part
    }

    /// Makes a closed kline of a longer period from its children. Whether it changed.
    fn remake(&mut self, scope: &mut Scope<'_>, index: usize, open_time: UnixMillis) -> bool {
        let rung = &scope.plan.rungs[index];
        if open_time < self.levels[rung.source].ring.floor || !self.keeps(index, open_time) {
            return false;
        }
        let end = rung.end(open_time);
        let part = self.sum(scope.plan, index, Part::empty(open_time, end, open_time));
        let expected = self.expected(scope.plan, index, open_time, end);
        let Some(kline) = part.sum else { return false };
        let mut made = KlineRecord { kline, revision: 0, status: part.status(expected) };
        let whole = part.present >= expected;
        match self.levels[index].ring.find(open_time) {
            // Without all children, there is nothing to say about a kline never closed here.
            None if !whole => return false,
            None => {
                self.levels[index].ring.insert(Child::settled(made));
            }
            Some(held) => {
                let differs = !made.kline.same_values(&held.record.kline);
                let better = made.status > held.record.status
                    || (made.status == held.record.status && differs);
                // Some children may have gone or never come: what holds more is nearer the truth.
                let poorer = !whole && made.kline.trade_count < held.record.kline.trade_count;
                if held.record.status == KlineStatus::Confirmed || !better || poorer {
                    return false;
                }
                made.revision = held.record.revision.saturating_add(u32::from(differs));
                scope.out.counters.corrected += u64::from(differs);
                held.record = made;
            }
        }
        scope.emit(index, &made);
        true
    }
}
