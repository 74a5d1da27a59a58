//! Kline frames: states of a growing kline, each against our fold at the same trade.
//!
//! A frame tells the first and the last raw id in it. It is compared when the aggregate that ends
//! with that last id was folded. Where the frame was made in the middle of an aggregate, the part
//! that it lacks must be found in the next one, at its price: then it is *explained*.
//!
//! Not covered are frames whose first id lies before the recording, or whose last lies behind it,
//! and frames without trades, which no id places.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use klagg_kline::{Kline, Trade};
use klagg_tape::{SourceKline, SourceTrade};
use klagg_wire::TradeKind;

use super::field::matches;
use super::report::{Fate, Report};
use super::straddle;
use crate::replay::fold::Fold;

/// Frames that wait for their last trade.
#[derive(Debug)]
pub(crate) struct FrameCheck {
    /// By symbol, then by last raw id and place.
    waiting: HashMap<Arc<str>, BTreeMap<(i64, usize), SourceKline>>,
    without_ids: usize,
    seen: HashMap<Arc<str>, Seen>,
}

/// Raw ids of the aggregates folded so far.
#[derive(Debug, Clone, Copy)]
struct Seen {
    first_fill_id: i64,
    last_fill_id: i64,
}

impl FrameCheck {
    pub(crate) fn new(rows: Vec<SourceKline>) -> Self {
        let mut waiting: HashMap<_, BTreeMap<_, _>> = HashMap::new();
        let mut without_ids = 0;
        for (place, row) in rows.into_iter().enumerate() {
            if !row.kline.has_ids() {
                without_ids += 1;
                continue;
            }
            let key = (row.kline.last_id.0, place);
            waiting.entry(Arc::clone(&row.symbol)).or_default().insert(key, row);
        }
        Self { waiting, without_ids, seen: HashMap::new() }
    }

    /// Compares the frames that end before `row`, which is folded next.
    pub(crate) fn before(&mut self, row: &SourceTrade, fold: &Fold, report: &mut Report) {
        let Some(waiting) = self.waiting.get_mut(&row.symbol) else { return };
        if let Some(seen) = self.seen.get(&row.symbol).copied() {
            // A repeated aggregate changes nothing.
            if row.last_fill_id <= seen.last_fill_id {
                return;
            }
            let later = waiting.split_off(&(row.last_fill_id, 0));
            for frame in std::mem::replace(waiting, later).into_values() {
                report.add(settle(&frame, seen, Some(row), fold).fate(&frame));
            }
        }
        let first_fill_id = row.first_fill_id;
        let seen = self.seen.entry(Arc::clone(&row.symbol));
        let seen = seen.or_insert(Seen { first_fill_id, last_fill_id: 0 });
        seen.last_fill_id = row.last_fill_id;
    }

    /// Compares what is left when all trades were folded.
    pub(crate) fn finish(&mut self, fold: &Fold, report: &mut Report) {
        (0..self.without_ids).for_each(|_| report.add(Fate::NotCovered));
        for (symbol, waiting) in std::mem::take(&mut self.waiting) {
            for frame in waiting.into_values() {
                let settled = match self.seen.get(&symbol) {
                    Some(seen) if seen.last_fill_id >= frame.kline.last_id.0 => {
                        settle(&frame, *seen, None, fold)
                    }
                    _ => Settled::NotCovered,
                };
                report.add(settled.fate(&frame));
            }
        }
    }
}

enum Settled {
    NotCovered,
    Compared { ours: Kline, explained: Option<Kline> },
}

impl Settled {
    fn fate(self, frame: &SourceKline) -> Fate<'_> {
        let Self::Compared { ours, explained } = self else { return Fate::NotCovered };
        let official = frame.kline;
        let found = matches(&ours, &official, explained.as_ref());
        Fate::Compared { symbol: &frame.symbol, period: frame.period, ours, official, found }
    }
}

/// A frame against the fold as it stands before `next`.
fn settle(frame: &SourceKline, seen: Seen, next: Option<&SourceTrade>, fold: &Fold) -> Settled {
    let id = fold.symbol(&frame.symbol);
    if frame.kline.first_id.0 < seen.first_fill_id {
        return Settled::NotCovered;
    }
    let cut = next.filter(|next| {
        next.kind == TradeKind::Aggregate && next.first_fill_id <= frame.kline.last_id.0
    });
    let open = id.and_then(|id| fold.open(id, frame.period));
    let open_time = frame.kline.open_time;
    let ours = match (open.filter(|kline| kline.open_time == open_time), cut) {
        (Some(ours), _) => ours,
        // The frame's kline begins within the aggregate that is not folded yet.
        (None, Some(next)) if next.first_fill_id == frame.kline.first_id.0 => {
            Kline::flat(open_time, next.trade.price)
        }
        (None, _) => return Settled::NotCovered,
    };
    let explained = cut.and_then(|next| with_part(&ours, &frame.kline, &next.trade));
    Settled::Compared { ours, explained }
}

/// Ours with the first part of the next aggregate.
fn with_part(ours: &Kline, official: &Kline, next: &Trade) -> Option<Kline> {
    let part = (official.volume - ours.volume).scaled();
    if part <= 0 || part >= next.quantity.scaled().into() {
        return None;
    }
    let mut kline = *ours;
    straddle::add(&mut kline, next, part);
    kline.high = kline.high.max(next.price);
    kline.low = kline.low.min(next.price);
    kline.close = next.price;
    let fills = official.trade_count.checked_sub(ours.trade_count)?;
    if (1..u64::from(next.fill_count)).contains(&fills) {
        kline.trade_count = official.trade_count;
    }
    Some(kline)
}
