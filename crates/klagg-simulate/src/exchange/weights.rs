//! The exchange's count of weight, and what it does to those who go beyond.
//!
//! One counter for each UTC minute, shared by everybody at our address. Beyond the limit comes
//! 429; who goes on after that is banned. What was our own fault is noted apart.

use std::collections::VecDeque;

use crate::agenda::Millis;
use crate::market::MINUTE;

/// What the exchange says to a request on account of weight.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    Served { used: u32 },
    TooMany { retry_after_s: i64 },
    Banned { until: Millis },
}

/// The counter of our address.
#[derive(Debug)]
pub(crate) struct Weights {
    limit: u32,
    minute: i64,
    used: u32,
    ours: u32,
    /// Times and weights of what we sent in the last minute, since the process started.
    rolling: VecDeque<(Millis, u32)>,
    banned_until: Millis,
    /// Whether the count of this minute was exceeded.
    refused: bool,
    /// When its refusal was read by our process: what is sent after that is its own fault. Not
    /// when it must have arrived: a process that stood still reads what waits for it one by one,
    /// and may send before it comes to the refusal.
    refusal_read_at: Option<Millis>,
    /// The same for a ban.
    ban_read_at: Option<Millis>,
    pub(crate) broken: Vec<String>,
}

impl Weights {
    pub(crate) const fn new(limit: u32) -> Self {
        Self {
            limit,
            minute: i64::MIN,
            used: 0,
            ours: 0,
            rolling: VecDeque::new(),
            banned_until: 0,
            refused: false,
            refusal_read_at: None,
            ban_read_at: None,
            broken: Vec::new(),
        }
    }

    fn advance(&mut self, now: Millis) {
        let minute = now.div_euclid(MINUTE);
        if minute != self.minute {
            (self.minute, self.used, self.ours) = (minute, 0, 0);
            (self.refused, self.refusal_read_at) = (false, None);
        }
    }

    /// A new process knows nothing of what the old one spent.
    pub(crate) fn forget_rolling(&mut self) {
        self.rolling.clear();
        (self.refusal_read_at, self.ban_read_at) = (None, None);
    }

    /// Our process has read a refusal, or that it is banned.
    pub(crate) fn read(&mut self, now: Millis, is_ban: bool) {
        self.advance(now);
        if is_ban && now < self.banned_until {
            self.ban_read_at.get_or_insert(now);
        } else if !is_ban && self.refused {
            self.refusal_read_at.get_or_insert(now);
        }
    }

    /// Somebody else at our address has spent so much.
    pub(crate) fn foreign(&mut self, now: Millis, weight: u32) {
        self.advance(now);
        self.used += weight;
    }

    pub(crate) fn ban(&mut self, until: Millis) {
        self.banned_until = self.banned_until.max(until);
    }

    /// A request that we sent at `sent` has arrived.
    pub(crate) fn charge(&mut self, now: Millis, sent: Millis, weight: u32) -> Verdict {
        self.advance(now);
        if now < self.banned_until {
            if self.ban_read_at.is_some_and(|at| sent > at) {
                self.broken.push("a request while we knew of our ban".to_owned());
            }
            return Verdict::Banned { until: self.banned_until };
        }
        self.ban_read_at = None;
        self.used += weight;
        self.ours += weight;
        self.rolling.push_back((now, weight));
        while self.rolling.front().is_some_and(|&(at, _)| at + MINUTE <= now) {
            self.rolling.pop_front();
        }
        let rolling: u32 = self.rolling.iter().map(|&(_, weight)| weight).sum();
        let most = self.limit * 80 / 100;
        if rolling > most {
            self.broken.push(format!("{rolling} of weight within a minute, {most} allowed"));
        }
        if self.used <= self.limit {
            return Verdict::Served { used: self.used };
        }
        if self.ours > most {
            self.broken.push("our own weight brought 429".to_owned());
        }
        if self.refusal_read_at.is_some_and(|at| sent > at) {
            self.banned_until = now + 2 * MINUTE;
            self.broken.push("a request after 429: banned".to_owned());
            return Verdict::Banned { until: self.banned_until };
        }
        self.refused = true;
        Verdict::TooMany { retry_after_s: (MINUTE - now.rem_euclid(MINUTE)) / 1_000 + 1 }
    }
}
