//! One slot, and the rules by which it takes a record or does not.
//!
//! Always true here: a slot never goes back, neither in time, nor in trades, nor in what is
//! proven.

use klagg_kline::{KlineRecord, UnixMillis};

/// One slot of a snapshot: what is known of a symbol in a period.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct KlineState<'a> {
    /// The kline whose time is not over, if a trade or a fold of shorter ones made one; none once
    /// the symbol has ended.
    pub open: Option<&'a KlineRecord>,
    /// The newest kline whose time is over. Corrected ones replace it with a higher revision.
    pub last_closed: Option<&'a KlineRecord>,
    /// Sequence number of the snapshot in which it changed last; 0 if it never did.
    pub changed_in: u64,
}

impl<'a> KlineState<'a> {
    /// The newest kline held, open or not.
    pub fn newest(&self) -> Option<&'a KlineRecord> {
        self.open.or(self.last_closed)
    }

    /// The open time of the newest kline held.
    pub fn open_time(&self) -> Option<UnixMillis> {
        self.newest().map(|record| record.kline.open_time)
    }

    /// What becomes of the open kline of a delta that is newer than all before of its worker.
    ///
    /// The order of deltas is the caller's; what is checked here holds even if a worker was
    /// restarted and numbers its deltas anew.
    #[inline]
    pub(crate) fn judge_open(&self, record: &KlineRecord) -> Applied {
        let kline = &record.kline;
        if self.last_closed.is_some_and(|closed| kline.open_time <= closed.kline.open_time) {
            return Applied::Refused;
        }
        let Some(held) = self.open else { return Applied::Changed };
        if kline.open_time < held.kline.open_time {
            return Applied::Refused;
        }
        // Nearly always ids have grown, and nothing else need be looked at. Where they have not,
        // a correction may still lower a count; only ids tell that trades are missing.
        let grown = kline.has_ids() && kline.last_id > held.kline.last_id;
        if !grown && kline.open_time == held.kline.open_time {
            if held == record {
                return Applied::Same;
            }
            if kline.has_ids() && kline.last_id < held.kline.last_id {
                return Applied::Refused;
            }
        }
        Applied::Changed
    }

    /// What a slot is to hold to which a kline is offered whose time is over.
    ///
    /// # Errors
    /// Why it is not to hold it.
    pub(crate) fn judge_closed(&self, record: &KlineRecord) -> Result<KlineRecord, Applied> {
        let Some(held) = self.last_closed else { return Ok(*record) };
        if held == record {
            return Err(Applied::Same);
        }
        if record.kline.open_time < held.kline.open_time {
            return Err(Applied::Older);
        }
        if record.kline.open_time > held.kline.open_time {
            return Ok(*record);
        }
        record.superseding(held).ok_or(Applied::Refused)
    }
}

/// What became of a record that was offered to a slot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Applied {
    /// The slot holds it now.
    Changed,
    /// The slot holds the same already.
    Same,
    /// The slot holds a later kline and has no place for it (the history may).
    Older,
    /// It would have taken the slot back.
    Refused,
}
