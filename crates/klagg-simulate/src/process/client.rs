//! Questions to the exchange: each waits for its weight at the real budget, is under way, and
//! gets one answer or none in time.

use std::collections::BTreeMap;

use klagg_backfill::RequestId;
use klagg_binance::{Priority, Refusal, WeightBudget, WeightStatus};
use klagg_kline::UnixMillis;

use crate::agenda::Millis;
use crate::exchange::rest::{Ask, Reply};
use crate::process::clock::Clock;

/// How long an answer is waited for.
pub(crate) const TIMEOUT: Millis = 10_000;

/// Who asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Asker {
    /// The clock is measured; for the backfill, or at the start.
    Clock,
    Symbols,
    /// The first daily kline of a new name.
    FirstKline(String),
    Backfill(RequestId),
}

#[derive(Debug)]
struct Waiting {
    number: u64,
    asker: Asker,
    ask: Ask,
    weight: u32,
    priority: Priority,
}

#[derive(Debug)]
struct UnderWay {
    asker: Asker,
    weight: u32,
}

/// A question that is sent now.
#[derive(Debug)]
pub(crate) struct Sent {
    pub(crate) number: u64,
    pub(crate) ask: Ask,
    pub(crate) weight: u32,
}

#[derive(Debug)]
pub(crate) struct Client {
    budget: WeightBudget,
    waiting: Vec<Waiting>,
    under_way: BTreeMap<u64, UnderWay>,
    next_number: u64,
}

impl Client {
    pub(crate) fn new(weight_limit: u32) -> Self {
        Self {
            budget: WeightBudget::new(weight_limit, 80),
            waiting: Vec::new(),
            under_way: BTreeMap::new(),
            next_number: 1,
        }
    }

    /// Puts a question at its place among those that wait: the most urgent first.
    pub(crate) fn ask(&mut self, asker: Asker, ask: Ask, weight: u32, priority: Priority) {
        let number = self.next_number;
        self.next_number += 1;
        let at = self.waiting.partition_point(|of| of.priority >= priority);
        self.waiting.insert(at, Waiting { number, asker, ask, weight, priority });
    }

    /// Sends what may be sent. Gives when to look again, if anything waits.
    pub(crate) fn send(
        &mut self,
        now: Millis,
        clock: &Clock,
        sent: &mut Vec<Sent>,
    ) -> Option<Millis> {
        self.budget.set_offset(clock.offset());
        while let Some(first) = self.waiting.first() {
            match self.budget.try_spend(clock.local(now), first.weight, first.priority) {
                Ok(()) => {
                    let Waiting { number, asker, ask, weight, .. } = self.waiting.remove(0);
                    self.under_way.insert(number, UnderWay { asker, weight });
                    sent.push(Sent { number, ask, weight });
                }
                Err(short) => {
                    let wait = short.retry_at.map(|at| at.since(clock.local(now)) + 1);
                    return wait.map(|wait| now + wait.max(1));
                }
            }
        }
        None
    }

    /// Takes an answer; gives who had asked. `None` for one that was given up before.
    pub(crate) fn answered(
        &mut self,
        now: Millis,
        clock: &Clock,
        number: u64,
        (reply, used): (&Reply, Option<u32>),
    ) -> Option<Asker> {
        let UnderWay { asker, weight } = self.under_way.remove(&number)?;
        let local = clock.local(now);
        match *reply {
            Reply::TooMany { retry_after_s } => {
                let retry_after_s = Some(retry_after_s);
                self.budget.refuse(local, Refusal::TooMany { retry_after_s });
            }
            Reply::Banned { retry_after_s, until, told_at } => {
                let (until, told_at) = (until.map(UnixMillis), Some(UnixMillis(told_at)));
                self.budget.refuse(local, Refusal::Banned { retry_after_s, until, told_at });
            }
            _ => {}
        }
        self.budget.settle(local, weight, used);
        Some(asker)
    }

    pub(crate) fn status(&mut self, now: Millis, clock: &Clock) -> WeightStatus {
        self.budget.status(clock.local(now))
    }
}
