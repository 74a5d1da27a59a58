//! What may be spent on REST: a share of the exchange's limit, never above it in any minute.
//!
//! Always true here, for one budget:
//! - In any rolling minute, by our clock, the weights sent stay within the share of the limit.
//!   A request counts from when it was granted until a minute after it was answered, since the
//!   exchange may charge it anywhere between.
//! - In a UTC minute of the exchange, what it reports as used (by anybody at our address) plus
//!   what is under way stays within the same share.
//! - While a refusal of the exchange (429, 418, 403) lasts, nothing is granted.
//!
//! Sans-io: the time is an argument and must never step back. Deliberately absent: tasks and
//! clocks; `gate.rs` holds them.

use std::collections::VecDeque;

use klagg_kline::UnixMillis;

const MINUTE_MS: i64 = 60_000;
/// Waited beyond the turn of a minute, for what our idea of the exchange's clock may be off.
const TURN_MARGIN_MS: i64 = 250;
/// A ban without a readable end lasts at least this long by what the exchange documents.
const BAN_MS_MIN: i64 = 120_000;
/// How long the firewall's 403 is obeyed; it tells no time.
const FORBIDDEN_MS: i64 = 60_000;
/// Longest wait that a refusal can impose: bans scale up to three days.
const BLOCK_MS_MAX: i64 = 3 * 24 * 3_600_000;
/// A limit below this, in configuration or answer, is taken for a mistake.
pub(crate) const LIMIT_MIN: u32 = 100;

/// Who goes first when weight is short, and how much of the share each may use up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Priority {
    /// History that can wait: leaves some of the share to the others.
    Bulk,
    /// Confirmation and everything regular.
    Normal,
    /// What somebody waits for: the start seam, new listings.
    Urgent,
}

impl Priority {
    /// All, lowest first.
    pub(crate) const ALL: [Self; 3] = [Self::Bulk, Self::Normal, Self::Urgent];

    const fn percent(self) -> u32 {
        match self {
            Self::Bulk => 94,
            Self::Normal => 97,
            Self::Urgent => 100,
        }
    }
}

/// Why a request is not granted now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WeightShort {
    /// When to ask again; `None`: when a request that is under way has been settled.
    pub retry_at: Option<UnixMillis>,
}

/// A refusal of the exchange that stops all requests for a while.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    /// HTTP 429. Without `Retry-After` we wait for the next UTC minute, when the counter resets.
    TooMany {
        /// Seconds of `Retry-After`, if the answer had it.
        retry_after_s: Option<i64>,
    },
    /// HTTP 418.
    Banned {
        /// Seconds of `Retry-After`, if the answer had it.
        retry_after_s: Option<i64>,
        /// End of the ban by the exchange's clock, if the message told it.
        until: Option<UnixMillis>,
        /// The exchange's time, if the answer had a readable `Date`: then no clock of ours is
        /// needed to say how long the ban lasts.
        told_at: Option<UnixMillis>,
    },
    /// HTTP 403: the firewall before the exchange.
    Forbidden,
}

/// A look at the budget.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct WeightStatus {
    /// The exchange's limit for a minute, for everybody at our address.
    pub limit: u32,
    /// What may be spent in a minute: our share of the limit.
    pub allowance: u32,
    /// Granted within the last minute or under way.
    pub used: u32,
    /// Used in the exchange's minute by everybody at our address, as far as reported.
    pub used_at_exchange: u32,
    /// End of a refusal that lasts, by our clock.
    pub blocked_until: Option<UnixMillis>,
    /// Weight granted since the start.
    pub spent_total: u64,
    /// Refusals (429, 418, 403) since the start.
    pub refusals_total: u64,
}

/// The budget of one address of ours at the exchange.
///
/// # Examples
///
/// ```
/// use klagg_binance::{Priority, WeightBudget};
/// use klagg_kline::UnixMillis;
///
/// let mut budget = WeightBudget::new(2_400, 80);
/// let now = UnixMillis(1_700_000_000_000);
/// assert!(budget.try_spend(now, 1_000, Priority::Urgent).is_ok());
/// assert!(budget.try_spend(now, 1_000, Priority::Urgent).is_err(), "80 % of 2,400 are 1,920");
/// ```
#[derive(Debug)]
pub struct WeightBudget {
    limit: u32,
    share_percent: u32,
    /// Settled requests of the last minute, oldest first; at most `allowance` of them.
    settled: VecDeque<(UnixMillis, u32)>,
    settled_sum: u32,
    under_way: u32,
    offset_ms: i64,
    exchange_minute: i64,
    exchange_used: u32,
    blocked_until: Option<UnixMillis>,
    spent_total: u64,
    refusals_total: u64,
}

impl WeightBudget {
    /// The least limit that is believed.
    pub const LIMIT_MIN: u32 = LIMIT_MIN;

    /// A budget of `share_percent` of `limit` a minute.
    ///
    /// # Panics
    /// If the share is not 1 to 100 percent or the limit is below 100.
    pub fn new(limit: u32, share_percent: u8) -> Self {
        assert!((1..=100).contains(&share_percent), "a share is 1 to 100 percent");
        assert!(limit >= LIMIT_MIN, "no exchange has a limit below {LIMIT_MIN} a minute");
        Self {
            limit,
            share_percent: u32::from(share_percent),
            settled: VecDeque::new(),
            settled_sum: 0,
            under_way: 0,
            offset_ms: 0,
            exchange_minute: i64::MIN,
            exchange_used: 0,
            blocked_until: None,
            spent_total: 0,
            refusals_total: 0,
        }
    }

    /// Takes over the limit that the exchange states; nonsense (below 100) is ignored.
    pub fn set_limit(&mut self, limit: u32) {
        if limit >= LIMIT_MIN {
            self.limit = limit;
        }
    }

    /// Takes over the distance of the exchange's clock from ours; only the exchange's minutes
    /// move with it.
    pub fn set_offset(&mut self, offset_ms: i64) {
        let moved = offset_ms.saturating_sub(self.offset_ms);
        if moved.abs() >= MINUTE_MS {
            // Our clock was wrong: the minute that is counted in has another number. Rounded up,
            // so that what was spent in it is forgotten late rather than early.
            let minutes = -(-moved).div_euclid(MINUTE_MS);
            self.exchange_minute = self.exchange_minute.saturating_add(minutes);
        }
        self.offset_ms = offset_ms;
    }

    /// What may be spent in a minute.
    pub fn allowance(&self) -> u32 {
        u32::try_from(u64::from(self.limit) * u64::from(self.share_percent) / 100)
            .unwrap_or(u32::MAX)
    }

    /// Grants `weight` and counts it as under way until [`WeightBudget::settle`].
    ///
    /// A weight above the whole allowance is granted when nothing else is spent or under way.
    ///
    /// # Errors
    /// [`WeightShort`] tells when to ask again; nothing is counted.
    pub fn try_spend(
        &mut self,
        now: UnixMillis,
        weight: u32,
        priority: Priority,
    ) -> Result<(), WeightShort> {
        self.advance(now);
        if mutated!(NoWeightBudget) {
            self.under_way += weight;
            return Ok(());
        }
        if let Some(until) = self.blocked_until {
            return Err(WeightShort { retry_at: Some(until) });
        }
        let cap = (self.allowance() * priority.percent() / 100).max(1);
        let needed = weight.min(cap);
        let rolling = self.window_room_at(now, cap - needed)?;
        let minute = if self.exchange_used.saturating_add(needed) > cap {
            Some(self.next_minute(now))
        } else {
            None
        };
        if let Some(retry_at) = rolling.max(minute) {
            return Err(WeightShort { retry_at: Some(retry_at) });
        }
        self.under_way += weight;
        self.exchange_used = self.exchange_used.saturating_add(weight);
        self.spent_total += u64::from(weight);
        Ok(())
    }

    /// When the rolling sum is down to `room`: `None` if it is now, an error if only the answer
    /// to a request under way can tell.
    fn window_room_at(
        &self,
        now: UnixMillis,
        room: u32,
    ) -> Result<Option<UnixMillis>, WeightShort> {
        if self.under_way > room {
            return Err(WeightShort { retry_at: None });
        }
        let mut sum = self.settled_sum + self.under_way;
        if sum <= room {
            return Ok(None);
        }
        for &(at, weight) in &self.settled {
            sum -= weight;
            if sum <= room {
                return Ok(Some(at.plus(MINUTE_MS).max(now)));
            }
        }
        debug_assert!(false, "without the settled ones only those under way are left");
        Err(WeightShort { retry_at: None })
    }

    /// A granted request has been answered, or given up. `used` is what the exchange reported as
    /// used in its minute, by everybody at our address.
    pub fn settle(&mut self, now: UnixMillis, weight: u32, used: Option<u32>) {
        debug_assert!(self.under_way >= weight, "settled more than was granted");
        self.advance(now);
        self.under_way = self.under_way.saturating_sub(weight);
        self.settled.push_back((now, weight));
        self.settled_sum += weight;
        if let Some(used) = used {
            // What is still under way may not be in the number yet.
            self.exchange_used = self.exchange_used.max(used.saturating_add(self.under_way));
        }
    }

    /// The exchange refused; gives when the refusal ends, by our clock.
    pub fn refuse(&mut self, now: UnixMillis, refusal: Refusal) -> UnixMillis {
        self.advance(now);
        if mutated!(RefusalIgnored) {
            return now;
        }
        self.refusals_total += 1;
        let after = |seconds: i64| now.plus(seconds.clamp(0, BLOCK_MS_MAX / 1_000) * 1_000);
        let until = match refusal {
            Refusal::TooMany { retry_after_s: None } => self.next_minute(now),
            Refusal::TooMany { retry_after_s: Some(seconds) } => after(seconds),
            Refusal::Banned { retry_after_s, until, told_at } => {
                self.ban_ends(now, retry_after_s.map(after), (until, told_at))
            }
            Refusal::Forbidden => now.plus(FORBIDDEN_MS),
        };
        let until = until.min(now.plus(BLOCK_MS_MAX));
        let until = self.blocked_until.map_or(until, |earlier| earlier.max(until));
        self.blocked_until = Some(until);
        until
    }

    /// When a ban ends, by our clock: the latest of what the exchange said, as far as that can be
    /// told. A duration needs no clock; nor does an end beside the exchange's own time. An end
    /// alone is read by our clock, which is believed less than a duration, and not at all before
    /// it was measured.
    fn ban_ends(
        &self,
        now: UnixMillis,
        after: Option<UnixMillis>,
        (until, told_at): (Option<UnixMillis>, Option<UnixMillis>),
    ) -> UnixMillis {
        let Some(until) = until.map(|until| until.plus(TURN_MARGIN_MS)) else {
            return after.unwrap_or_else(|| now.plus(BAN_MS_MIN));
        };
        // Who bans is not past the ban's end: such a date is not the exchange's own.
        let told_at = told_at.filter(|&told_at| told_at < until);
        let by_our_clock = until.plus(-self.offset_ms);
        let is_measured = self.offset_ms != 0;
        match (after, told_at) {
            (after, Some(told_at)) => {
                after.max(Some(now.plus(until.since(told_at)))).unwrap_or(now)
            }
            (Some(after), None) if is_measured => {
                after.max(by_our_clock.min(after.plus(MINUTE_MS)))
            }
            (Some(after), None) => after,
            (None, None) if is_measured => by_our_clock.max(now),
            (None, None) => by_our_clock.max(now.plus(BAN_MS_MIN)),
        }
    }

    /// The state at `now`.
    pub fn status(&mut self, now: UnixMillis) -> WeightStatus {
        self.advance(now);
        WeightStatus {
            limit: self.limit,
            allowance: self.allowance(),
            used: self.settled_sum + self.under_way,
            used_at_exchange: self.exchange_used,
            blocked_until: self.blocked_until,
            spent_total: self.spent_total,
            refusals_total: self.refusals_total,
        }
    }

    /// Forgets what is over.
    fn advance(&mut self, now: UnixMillis) {
        while let Some(&(at, weight)) = self.settled.front()
            && at.plus(MINUTE_MS) <= now
        {
            self.settled.pop_front();
            self.settled_sum -= weight;
        }
        if self.blocked_until.is_some_and(|until| until <= now) {
            self.blocked_until = None;
        }
        let minute = now.plus(self.offset_ms - TURN_MARGIN_MS).0.div_euclid(MINUTE_MS);
        if minute > self.exchange_minute {
            self.exchange_minute = minute;
            // What is under way may be charged to the new minute.
            self.exchange_used = self.under_way;
        }
    }

    /// By our clock, when the exchange's counter has surely been reset.
    fn next_minute(&self, now: UnixMillis) -> UnixMillis {
        let exchange = now.plus(self.offset_ms - TURN_MARGIN_MS).0;
        let turn = (exchange.div_euclid(MINUTE_MS) + 1) * MINUTE_MS;
        UnixMillis(turn).plus(TURN_MARGIN_MS).plus(-self.offset_ms)
    }
}

/// The end of a ban in the exchange's message: `... IP(1.2.3.4) banned until 1700000000000. ...`.
pub(crate) fn banned_until(message: &str) -> Option<UnixMillis> {
    let (_, rest) = message.split_once("banned until ")?;
    let digits = rest.split(|character: char| !character.is_ascii_digit()).next()?;
    digits.parse().ok().map(UnixMillis)
}

#[cfg(test)]
mod tests;
