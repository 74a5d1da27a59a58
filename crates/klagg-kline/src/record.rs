//! A kline with what is known about its truth.

use std::fmt;

use crate::Kline;

/// How much is proven about a kline. Only ever rises, once its time is over.
///
/// # Examples
///
/// ```
/// use klagg_kline::KlineStatus;
///
/// assert!(KlineStatus::Broken.is_open() && !KlineStatus::Provisional.is_open());
/// assert!(KlineStatus::Closed < KlineStatus::Confirmed);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum KlineStatus {
    /// Its time is not over, and no trade of it is known to be missing so far.
    Open,
    /// Its time is not over, and trades of it are missing or may be: there is a hole in the ids, or
    /// nothing is known of its beginning. Open again once they were brought.
    Broken,
    /// Its time is over, but coverage is broken or unproven.
    Provisional,
    /// Every trade stamped in it was folded.
    Closed,
    /// Equals the exchange's own kline.
    Confirmed,
}

impl KlineStatus {
    /// All, from lowest to highest.
    pub const ALL: [Self; 5] =
        [Self::Open, Self::Broken, Self::Provisional, Self::Closed, Self::Confirmed];

    /// Whether the time of the kline is not over.
    #[inline]
    pub const fn is_open(self) -> bool {
        matches!(self, Self::Open | Self::Broken)
    }

    /// The lower-case name, as shown and logged.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Broken => "broken",
            Self::Provisional => "provisional",
            Self::Closed => "closed",
            Self::Confirmed => "confirmed",
        }
    }

    /// The number to be stored. What an open kline lacks is not stored: it is found out anew.
    pub const fn to_u8(self) -> u8 {
        match self {
            Self::Open | Self::Broken => 0,
            Self::Provisional => 1,
            Self::Closed => 2,
            Self::Confirmed => 3,
        }
    }

    /// From the stored number, 0 to 3.
    pub const fn from_u8(number: u8) -> Option<Self> {
        match number {
            0 => Some(Self::Open),
            1 => Some(Self::Provisional),
            2 => Some(Self::Closed),
            3 => Some(Self::Confirmed),
            _ => None,
        }
    }
}

impl fmt::Display for KlineStatus {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(self.as_str())
    }
}

/// A kline, its status, and how often its values were corrected.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KlineRecord {
    /// The values.
    pub kline: Kline,
    /// Times the values were replaced after the kline was first published as no longer open.
    pub revision: u32,
    /// What is proven.
    pub status: KlineStatus,
}

impl KlineRecord {
    /// Whether this may replace `held`, a record of the same slot and open time: its status is
    /// higher, or its status is the same and its revision higher. Between open klines, whether
    /// it holds more.
    ///
    /// A higher status wins whatever the revisions are: the exchange's own kline, fetched anew,
    /// starts at revision 0 and replaces a kline that was corrected twice before.
    /// [`KlineRecord::superseding`] keeps the revision from falling.
    pub fn supersedes(&self, held: &Self) -> bool {
        if self.status.is_open() && held.status.is_open() {
            return self.kline.last_id > held.kline.last_id
                || self.kline.trade_count > held.kline.trade_count;
        }
        (self.status, self.revision) > (held.status, held.revision)
    }

    /// What a slot that holds `held` is to hold once this record arrives; `None` if `held` stays.
    ///
    /// The revision never falls, and it rises where the values of a kline that was published as
    /// no longer open are replaced by other values.
    #[must_use]
    pub fn superseding(mut self, held: &Self) -> Option<Self> {
        if !self.supersedes(held) {
            return None;
        }
        let is_corrected = !held.status.is_open() && !self.kline.same_values(&held.kline);
        let floor = held.revision.saturating_add(u32::from(is_corrected));
        self.revision = self.revision.max(floor);
        Some(self)
    }
}
