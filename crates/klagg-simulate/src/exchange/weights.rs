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
    /// Until when the newest refusal is to be obeyed: `Retry-After` ends up to a second after the
    /// minute whose count was exceeded.
    refused_until: Millis,
    /// When its refusal was read by our process: what is sent after that is its own fault. Not
    /// when it must have arrived: a process that stood still reads what waits for it one by one,
    /// and may send before it comes to the refusal.
    refusal_read_at: Option<Millis>,
    /// The same for a ban.
    ban_read_at: Option<Millis>,
    /// When the process started, and how often one did in this minute.
    started_at: Millis,
    starts: u32,
    /// The ban that was on then, by its end, and what the process has sent into it.
    ban_at_start: Option<Millis>,
    into_ban: u32,
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
            refused_until: 0,
            refusal_read_at: None,
            ban_read_at: None,
            started_at: Millis::MIN,
            starts: 0,
            ban_at_start: None,
            into_ban: 0,
            broken: Vec::new(),
        }
    }

    fn advance(&mut self, now: Millis) {
        let minute = now.div_euclid(MINUTE);
        if minute != self.minute {
            (self.minute, self.used, self.ours, self.starts) = (minute, 0, 0, 0);
        }
        if now >= self.refused_until {
            self.refusal_read_at = None;
        }
    }

    /// A new process knows nothing of what the old one spent, until an answer tells what has been
    /// used in the minute; nor of a refusal, until it is refused itself.
    pub(crate) fn started(&mut self, now: Millis) {
        self.advance(now);
        self.rolling.clear();
        (self.refusal_read_at, self.ban_read_at) = (None, None);
        (self.started_at, self.into_ban) = (now, 0);
        self.ban_at_start = Some(self.banned_until).filter(|&until| now < until);
        self.starts += 1;
    }

    /// Our process has read a refusal, or that it is banned.
    pub(crate) fn read(&mut self, now: Millis, is_ban: bool) {
        self.advance(now);
        if is_ban && now < self.banned_until {
            self.ban_read_at.get_or_insert(now);
        } else if !is_ban && now < self.refused_until {
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
            self.sent_into_ban(sent);
            return Verdict::Banned { until: self.banned_until };
        }
        self.ban_read_at = None;
        self.used += weight;
        self.count_ours(now, sent, weight);
        let is_known = self.refusal_read_at.is_some_and(|at| sent > at);
        if self.used <= self.limit {
            if is_known {
                self.broken.push("a request after 429, before its time was over".to_owned());
            }
            return Verdict::Served { used: self.used };
        }
        if self.ours > self.most() + self.starts {
            self.broken.push("our own weight brought 429".to_owned());
        }
        if is_known {
            self.banned_until = now + 2 * MINUTE;
            self.broken.push("a request after 429: banned".to_owned());
            return Verdict::Banned { until: self.banned_until };
        }
        let retry_after_s = (MINUTE - now.rem_euclid(MINUTE)) / 1_000 + 1;
        self.refused_until = now + retry_after_s * 1_000;
        Verdict::TooMany { retry_after_s }
    }

    const fn most(&self) -> u32 {
        self.limit * 80 / 100
    }

    /// Who starts within a ban learns of it from the answer to its first request.
    fn sent_into_ban(&mut self, sent: Millis) {
        if self.ban_read_at.is_some_and(|at| sent > at) {
            self.broken.push("a request while we knew of our ban".to_owned());
        }
        if sent >= self.started_at && self.ban_at_start == Some(self.banned_until) {
            self.into_ban += 1;
            if self.into_ban > 1 {
                let what = "a second request into a ban that was on at the start";
                self.broken.push(what.to_owned());
            }
        }
    }

    /// In any minute of ours, and in each of the exchange's across all starts: there one request
    /// of each process comes before it can know what was spent, and what the one before it had
    /// sent may still arrive.
    fn count_ours(&mut self, now: Millis, sent: Millis, weight: u32) {
        let most = self.most();
        self.rolling.push_back((now, weight));
        while self.rolling.front().is_some_and(|&(at, _)| at + MINUTE <= now) {
            self.rolling.pop_front();
        }
        let rolling: u32 = self.rolling.iter().map(|&(_, weight)| weight).sum();
        if rolling > most {
            self.broken.push(format!("{rolling} of weight within a minute, {most} allowed"));
        }
        if sent < self.started_at {
            return;
        }
        self.ours += weight;
        let ours = self.ours;
        if ours > most + self.starts {
            self.broken.push(format!("{ours} of weight in a UTC minute, {most} allowed"));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Half a second before the turn of a minute.
    const NOW: Millis = 10 * MINUTE - 500;

    fn refused() -> Weights {
        let mut weights = Weights::new(100);
        weights.foreign(NOW, 100);
        assert_eq!(weights.charge(NOW, NOW, 1), Verdict::TooMany { retry_after_s: 1 });
        weights.read(NOW, false);
        weights
    }

    #[test]
    fn a_refusal_is_to_be_obeyed_beyond_the_turn_of_its_minute() {
        let mut weights = refused();
        weights.charge(NOW + 900, NOW + 900, 1);
        assert_eq!(weights.broken.len(), 1, "{:?}", weights.broken);
        let mut weights = refused();
        weights.charge(NOW + 1_000, NOW + 1_000, 1);
        assert!(weights.broken.is_empty(), "{:?}", weights.broken);
    }

    #[test]
    fn a_process_that_starts_within_a_ban_may_find_it_once() {
        let mut weights = Weights::new(100);
        weights.ban(NOW + MINUTE);
        weights.started(NOW);
        weights.charge(NOW + 10, NOW, 1);
        assert!(weights.broken.is_empty(), "{:?}", weights.broken);
        weights.charge(NOW + 20, NOW, 1);
        assert_eq!(weights.broken.len(), 1, "{:?}", weights.broken);
    }

    #[test]
    fn a_start_does_not_give_back_what_was_spent_in_the_minute_of_the_exchange() {
        let mut weights = Weights::new(100);
        weights.charge(NOW, NOW, 80);
        weights.started(NOW);
        weights.charge(NOW + 1, NOW, 1);
        assert!(weights.broken.is_empty(), "the first request is sent before anything is known");
        weights.charge(NOW + 2, NOW, 1);
        assert_eq!(weights.broken.len(), 1, "{:?}", weights.broken);
    }
}
