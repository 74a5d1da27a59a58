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
use super::report::{Pair, Report};
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
                settle(&frame, seen, Some(row), fold, report);
            }
        }
        let first_fill_id = row.first_fill_id;
        let seen = self.seen.entry(Arc::clone(&row.symbol));
        let seen = seen.or_insert(Seen { first_fill_id, last_fill_id: 0 });
        seen.last_fill_id = row.last_fill_id;
    }

    /// Compares what is left when all trades were folded.
    pub(crate) fn finish(&mut self, fold: &Fold, report: &mut Report) {
        report.not_covered(self.without_ids);
        for (symbol, waiting) in std::mem::take(&mut self.waiting) {
            for frame in waiting.into_values() {
                match self.seen.get(&symbol) {
                    Some(seen) if seen.last_fill_id >= frame.kline.last_id.0 => {
                        settle(&frame, *seen, None, fold, report);
                    }
                    _ => report.not_covered(1),
                }
            }
        }
    }
}

/// Compares a frame with the fold as it stands before `next`.
fn settle(
    frame: &SourceKline,
    seen: Seen,
    next: Option<&SourceTrade>,
    fold: &Fold,
    report: &mut Report,
) {
    let official = &frame.kline;
    let cut = next.filter(|next| {
        next.kind == TradeKind::Aggregate && next.first_fill_id <= official.last_id.0
    });
    let open = fold.symbol(&frame.symbol).and_then(|id| fold.open(id, frame.period));
    let ours = match (open.filter(|kline| kline.open_time == official.open_time), cut) {
        _ if official.first_id.0 < seen.first_fill_id => None,
        (Some(ours), _) => Some(ours),
        // The frame's kline begins within the aggregate that is not folded yet.
        (None, Some(next)) if next.first_fill_id == official.first_id.0 => {
            Some(Kline::flat(official.open_time, next.trade.price))
        }
        (None, _) => None,
    };
    let Some(ours) = ours else { return report.not_covered(1) };
    let explained = cut.and_then(|next| with_part(&ours, official, &next.trade));
    let found = matches(&ours, official, explained.as_ref());
    let pair = Pair { symbol: &frame.symbol, period: frame.period, ours: &ours, official };
    report.add(&pair, found);
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
