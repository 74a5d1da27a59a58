//! The weight that all clients together may spend in a minute, and what follows beyond it.

use klagg_kline::UnixMillis;

const MINUTE: i64 = 60_000;
/// The first ban lasts two minutes, each further one twice as long, three days at most.
const BAN_MS: i64 = 2 * MINUTE;
const BAN_MS_MAX: i64 = 3 * 24 * 60 * MINUTE;

/// What a page of klines costs at this limit (measured).
pub(crate) const fn klines_weight(limit: Option<u64>) -> u32 {
    match limit {
        Some(..=100) => 1,
        Some(..=500) => 2,
        None | Some(..=1_000) => 5,
        Some(_) => 10,
    }
}

/// What becomes of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// Served; so much was used in this minute, the request included.
    Served { used: u32 },
    /// 429.
    Refused { used: u32 },
    /// 418.
    Banned { until: UnixMillis },
}

/// Counts weight by the minute of the exchange's clock.
#[derive(Debug)]
pub(crate) struct WeightCounter {
    limit: u32,
    refusals_until_ban: u32,
    minute: i64,
    used: u32,
    refusals: u32,
    bans: u32,
    banned_until: Option<UnixMillis>,
}

impl WeightCounter {
    pub(crate) fn new(limit: u32, refusals_until_ban: u32) -> Self {
        let (minute, used, refusals, bans) = (0, 0, 0, 0);
        Self { limit, refusals_until_ban, minute, used, refusals, bans, banned_until: None }
    }

    pub(crate) fn limit(&self) -> u32 {
        self.limit
    }

    pub(crate) fn set_limit(&mut self, limit: u32) {
        self.limit = limit;
    }

    /// Bans everybody until then.
    pub(crate) fn ban(&mut self, until: UnixMillis) {
        self.banned_until = Some(until);
    }

    /// Charges a request that comes at `now`.
    pub(crate) fn charge(&mut self, now: UnixMillis, weight: u32) -> Verdict {
        if let Some(until) = self.banned_until.filter(|until| now < *until) {
            return Verdict::Banned { until };
        }
        let minute = now.0.div_euclid(MINUTE);
        if minute != self.minute {
            (self.minute, self.used, self.refusals) = (minute, 0, 0);
        }
        self.used = self.used.saturating_add(weight);
        if self.used <= self.limit {
            return Verdict::Served { used: self.used };
        }
        self.refusals += 1;
        if self.refusals < self.refusals_until_ban {
            return Verdict::Refused { used: self.used };
        }
        let length = BAN_MS.saturating_mul(1 << self.bans.min(12)).min(BAN_MS_MAX);
        let until = now.plus(length);
        self.bans += 1;
        self.banned_until = Some(until);
        Verdict::Banned { until }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn beyond_the_limit_comes_429_then_418_then_peace() {
        let mut weight = WeightCounter::new(100, 3);
        let start = UnixMillis(30 * MINUTE);
        let end = start.plus(MINUTE - 1);
        assert_eq!(weight.charge(start, 100), Verdict::Served { used: 100 });
        assert_eq!(weight.charge(end, 1), Verdict::Refused { used: 101 });
        assert_eq!(weight.charge(end.plus(1), 40), Verdict::Served { used: 40 }, "a new minute");
        assert_eq!(weight.charge(end.plus(1), 61), Verdict::Refused { used: 101 });
        assert_eq!(weight.charge(end.plus(1), 1), Verdict::Refused { used: 102 });
        let until = end.plus(1 + BAN_MS);
        assert_eq!(weight.charge(end.plus(1), 1), Verdict::Banned { until });
        assert_eq!(weight.charge(until.plus(-1), 1), Verdict::Banned { until });
        assert_eq!(weight.charge(until, 1), Verdict::Served { used: 1 });
    }
}
