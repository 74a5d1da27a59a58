//! The stream is the name's, and the name may be listed anew before a list tells of it: the ids
//! tell first, or whoever hears news of contracts.
//!
//! Within a listing, ids and times ascend together. A trade that is later than the last one and
//! whose id is not belongs to another listing, whose ids begin anew; so does a first trade where
//! one was known before. From its minute on nothing that comes under the name proves anything of
//! this symbol: its minutes are provisional until it is folded no more, or until an official kline
//! shows that the name is its own after all.

use klagg_kline::{KlineRecord, KlineStatus, Trade, TradeId, UnixMillis};

use crate::sequencer::Desk;
use crate::symbol::{Coverage, minute_of};

/// Minutes are broken until further notice.
const FOR_GOOD: UnixMillis = UnixMillis(i64::MAX);

impl Desk<'_> {
    /// Whether a trade cannot be one of this symbol's, although it bears its name.
    pub(crate) fn is_of_another_listing(&self, trade: &Trade) -> bool {
        let begins = trade.id <= TradeId(1);
        let Some(position) = self.position() else {
            return begins && self.cold.previous_close.is_some();
        };
        let next = self.slot.next_id;
        let falls_back = trade.id < next;
        let is_unknown = self.cold.coverage == Coverage::Unknown;
        // Of the minute in which a worker broke, what it held may be gone: it may be flat though
        // trades of it were folded.
        let is_empty = self.slot.open.is_flat() && !(is_unknown && falls_back);
        let minute = minute_of(trade.time);
        let is_later = minute > position || (minute == position && is_empty);
        is_later && (falls_back || (is_unknown && begins))
    }

    /// Nothing is proven from the minute of `since` on, nor by what comes of those before.
    pub(crate) fn doubt_the_name(&mut self, since: UnixMillis) {
        self.cold.another_since.get_or_insert(minute_of(since));
        self.cold.has_unproven = false;
        if let Some(levels) = self.levels {
            levels.ring(0).iter_mut().for_each(|child| child.unproven = false);
        }
        self.break_until(FOR_GOOD);
    }

    /// An official kline of a minute since then is only given to the symbol whose name it is.
    pub(crate) fn believe_the_name(&mut self, official: &KlineRecord) {
        let minute = official.kline.open_time;
        let is_official = official.status == KlineStatus::Confirmed;
        if is_official && self.cold.another_since.is_some_and(|since| since <= minute) {
            self.cold.another_since = None;
            let open = self.position().map_or(minute, |position| position.max(minute));
            self.cold.gaps.break_no_further_than(open);
            self.slot.broken_until = self.cold.gaps.reach();
        }
    }
}
