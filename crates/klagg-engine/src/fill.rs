//! Holes in the ids that were given up, and the trades that fill them after all.
//!
//! Always true here:
//! - A hole is filled by exactly the ids that it lacks, once, or not at all.
//! - Its minute is whole again only if nothing else about it is in doubt. A confirmed one is left
//!   as it is.
//!
//! Only a hole between two trades of one minute can be filled, or one before the first trade that
//! was heard of a new listing: of a longer one nobody knows how many minutes it spans, and klines
//! repair those for less weight.

use std::collections::VecDeque;

use klagg_kline::{KlineStatus, SymbolId, Trade, TradeId, UnixMillis};

use crate::sequencer::Desk;
use crate::symbol::{Coverage, minute_of};

/// Holes of a symbol that are remembered; of older ones only what they broke.
const GAPS_MAX: usize = 4;

/// A hole in the ids of a symbol's trades that was given up: its minutes are provisional.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Hole {
    /// Whose trades are missing.
    pub symbol: SymbolId,
    /// The first id that is missing.
    pub first: TradeId,
    /// The last one.
    pub last: TradeId,
    /// The one minute that holds the trades on both sides, if it is one: then the missing trades
    /// can be folded into it. `None`: only klines repair it.
    pub minute: Option<UnixMillis>,
}

impl Hole {
    /// How many trades are missing.
    pub const fn trades(&self) -> u64 {
        self.last.0.abs_diff(self.first.0) + 1
    }

    const fn holds(&self, id: TradeId) -> bool {
        self.first.0 <= id.0 && id.0 <= self.last.0
    }

    /// Whether `trades` are exactly what is missing: every id, in order, of the one minute.
    fn is_filled_by(&self, trades: &[Trade]) -> bool {
        if mutated!(SeamUnjoined) {
            return trades.iter().all(|trade| Some(minute_of(trade.time)) == self.minute);
        }
        let ids = (self.first.0..=self.last.0).map(TradeId);
        self.trades() == trades.len() as u64
            && trades.iter().zip(ids).all(|(trade, id)| trade.id == id)
            && trades.iter().all(|trade| Some(minute_of(trade.time)) == self.minute)
            && trades.windows(2).all(|pair| pair[0].time <= pair[1].time)
    }
}

/// A hole, and the minutes in which its trades may have been.
#[derive(Debug, Clone, Copy)]
struct Gap {
    hole: Hole,
    from: UnixMillis,
    to: UnixMillis,
}

/// The holes of one symbol, oldest first.
#[derive(Debug, Default)]
pub(crate) struct Gaps {
    gaps: VecDeque<Gap>,
    /// Minutes up to this one are broken by what is no longer remembered.
    broken_until: Option<UnixMillis>,
}

impl Gaps {
    pub(crate) fn hold(&self, id: TradeId) -> bool {
        self.gaps.iter().any(|gap| gap.hole.holds(id))
    }

    /// Minutes up to this one are broken for good.
    pub(crate) fn break_until(&mut self, minute: UnixMillis) {
        self.broken_until = self.broken_until.max(Some(minute));
    }

    /// No minute behind this one is broken any more.
    pub(crate) fn break_no_further_than(&mut self, minute: UnixMillis) {
        self.gaps.retain(|gap| gap.to <= minute);
        self.broken_until = self.broken_until.map(|until| until.min(minute));
    }

    /// Adds a hole whose trades may have been in the minutes `from` to `to`.
    pub(crate) fn add(&mut self, hole: Hole, from: UnixMillis, to: UnixMillis) {
        if self.gaps.len() >= GAPS_MAX
            && let Some(Gap { to, .. }) = self.gaps.pop_front()
        {
            self.break_until(to);
        }
        self.gaps.push_back(Gap { hole, from, to });
    }

    /// Up to where minutes are broken by anything.
    pub(crate) fn reach(&self) -> UnixMillis {
        let gaps = self.gaps.iter().map(|gap| gap.to);
        gaps.chain(self.broken_until).max().unwrap_or(UnixMillis(i64::MIN))
    }

    /// Forgets every hole; what they broke stays broken.
    pub(crate) fn give_up(&mut self) {
        let reach = self.reach();
        self.gaps.clear();
        self.break_until(reach);
    }

    /// Takes the hole out that `trades` fill. Its minute, unless that is broken for good.
    fn take(&mut self, trades: &[Trade]) -> Option<UnixMillis> {
        let at = self.gaps.iter().position(|gap| gap.hole.is_filled_by(trades))?;
        let minute = self.gaps[at].hole.minute?;
        let for_good = self.gaps.iter().filter(|gap| gap.hole.minute.is_none());
        let broken = for_good.into_iter().any(|gap| gap.from <= minute && minute <= gap.to);
        if broken || self.broken_until.is_some_and(|until| minute <= until) {
            return None;
        }
        self.gaps.remove(at);
        Some(minute)
    }

    fn breaks(&self, minute: UnixMillis) -> bool {
        self.gaps.iter().any(|gap| gap.from <= minute && minute <= gap.to)
    }
}

impl Desk<'_> {
    /// Folds the trades that a hole lacks into its minute, if they are exactly those.
    pub(crate) fn fill(&mut self, trades: &[Trade]) {
        let minute = match self.fillable(trades) {
            Some(_) => self.cold.gaps.take(trades),
            None => None,
        };
        let Some(minute) = minute else {
            self.scope.out.counters.fills_refused += 1;
            return;
        };
        self.slot.broken_until = self.cold.gaps.reach();
        trades.iter().take(1).for_each(|first| self.note_listing(first));
        let counters = &mut self.scope.out.counters;
        counters.fills += 1;
        counters.trades += trades.len() as u64;
        if minute == self.slot.open.open_time {
            for trade in trades {
                self.slot.open.fold(trade);
            }
            return;
        }
        let whole = !self.cold.gaps.breaks(minute);
        let Some(levels) = &mut *self.levels else { return };
        let Some(child) = levels.ring(0).find(minute) else { return };
        for trade in trades {
            child.record.kline.fold(trade);
        }
        child.record.revision = child.record.revision.saturating_add(1);
        if whole {
            child.record.status = KlineStatus::Closed;
        }
        let record = child.record;
        self.scope.emit(0, &record);
        self.scope.out.counters.corrected += 1;
        self.follow_minutes(vec![minute]);
    }

    /// The minute into which `trades` can be folded: it is open, or closed and provisional, and
    /// holds trades on both sides of them. While the feed is cut off, nothing is proven of it.
    fn fillable(&mut self, trades: &[Trade]) -> Option<UnixMillis> {
        let (first, last) = (trades.first()?, trades.last()?);
        let minute = minute_of(first.time);
        if self.cold.coverage != Coverage::Proven {
            return None;
        }
        let is_listing = first.id <= TradeId(1);
        let surrounds = |kline: &klagg_kline::Kline| {
            (is_listing || kline.first_id < first.id) && last.id < kline.last_id
        };
        if minute == self.slot.open.open_time {
            return surrounds(&self.slot.open).then_some(minute);
        }
        let child = self.levels.as_mut()?.ring(0).find(minute)?;
        let is_provisional = child.record.status == KlineStatus::Provisional;
        (is_provisional && surrounds(&child.record.kline)).then_some(minute)
    }
}
