//! The workers as actors: each owns a real shard, and may stand still or die.
//!
//! What the threads' shells do is done here in the same order: questions before commands before
//! trades; what is sent to a worker that stands still waits in its bounded lanes.

use std::collections::VecDeque;
use std::time::Duration;

use klagg_engine::{
    EngineConfig, FeedId, NewSymbolSpec, RestartConfig, RestartDecision, RestartPolicy, Shard,
    WorkerDelta,
};
use klagg_kline::{KlineRecord, SymbolId, Trade, UnixMillis};

use crate::agenda::Millis;

/// Entries that may wait before a worker: the real lanes are counted in batches.
pub(crate) const LANE_MAX: usize = 400;
/// Questions that may wait before a worker, as in the engine.
const QUESTIONS_MAX: usize = 4;

/// One entry of a feed's lane.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Item {
    Trade(SymbolId, Trade),
    Watermark(FeedId, UnixMillis),
    Interrupted(FeedId),
    Copies(FeedId, u16),
    Quiet(FeedId),
}

/// What a worker is told besides.
#[derive(Debug, Clone)]
pub(crate) enum Command {
    Add(NewSymbolSpec),
    Retire(SymbolId),
    Doubt(SymbolId, UnixMillis),
    DoubtName(SymbolId, UnixMillis),
    Supply(SymbolId, usize, Vec<KlineRecord>),
    Fill(SymbolId, Vec<Trade>),
}

/// A question of the gateway.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Question {
    pub(crate) acknowledged: u64,
    /// Whether anybody wants the answer.
    pub(crate) wanted: bool,
}

/// What becomes of a question.
#[derive(Debug)]
pub(crate) enum Asked {
    Answered(Box<WorkerDelta>),
    /// It is answered later, or nobody wants the answer.
    Waits,
    /// It is dropped unanswered.
    Dropped,
}

/// The product's numbers for a worker that breaks.
fn restarts() -> RestartConfig {
    RestartConfig {
        restarts_max: 5,
        pause_min: Duration::from_millis(100),
        pause_max: Duration::from_secs(5),
        forgiven_after: Duration::from_mins(1),
    }
}

/// One worker.
#[derive(Debug)]
pub(crate) struct Worker {
    shard: Shard,
    /// Whether it starts again after it broke, and when.
    policy: RestartPolicy,
    rests_until: Millis,
    /// Trades that it dropped while it rested. The engine's own shell counts them like this.
    trades_lost: u64,
    lane: VecDeque<Item>,
    commands: VecDeque<Command>,
    questions: VecDeque<Question>,
    /// Whether it has dropped a question whose answer is wanted, and the gateway has not seen it.
    has_dropped: bool,
    pub(crate) stalled_until: Millis,
    /// The number of the last delta that the gateway took.
    pub(crate) acknowledged: u64,
}

impl Worker {
    pub(crate) fn new(config: &EngineConfig, number: usize) -> Self {
        Self {
            shard: Shard::new(config, number),
            policy: RestartPolicy::new(restarts()),
            rests_until: 0,
            trades_lost: 0,
            lane: VecDeque::new(),
            commands: VecDeque::new(),
            questions: VecDeque::new(),
            has_dropped: false,
            stalled_until: 0,
            acknowledged: 0,
        }
    }

    /// Whether it works at `now`.
    fn runs(&self, now: Millis) -> bool {
        now >= self.stalled_until
    }

    /// It breaks one of its own rules; gives until when it rests, if it starts again.
    pub(crate) fn break_down(
        &mut self,
        (now, elapsed): (Millis, Duration),
        config: &EngineConfig,
    ) -> Option<Millis> {
        self.shard = self.shard.recover(config);
        self.has_dropped |= self.questions.drain(..).any(|question| question.wanted);
        match self.policy.on_panic(elapsed) {
            RestartDecision::Restart { pause, .. } => {
                self.rests_until = now + i64::try_from(pause.as_millis()).unwrap_or(0);
                Some(self.rests_until)
            }
            _ => None,
        }
    }

    /// Whether a question was dropped since this was asked last.
    pub(crate) fn takes_dropped(&mut self) -> bool {
        std::mem::take(&mut self.has_dropped)
    }

    pub(crate) fn has_room(&self) -> bool {
        self.lane.len() < LANE_MAX
    }

    /// Takes an entry of a lane; whether it is not lost.
    pub(crate) fn push(&mut self, now: Millis, item: Item) -> bool {
        if self.runs(now) && self.lane.is_empty() {
            return self.fold(now, item);
        }
        self.lane.push_back(item);
        true
    }

    pub(crate) fn command(&mut self, now: Millis, command: Command) {
        if self.runs(now) && self.commands.is_empty() {
            self.obey(command);
        } else {
            self.commands.push_back(command);
        }
    }

    /// Asks for a delta.
    pub(crate) fn ask(&mut self, now: Millis, question: Question) -> Asked {
        if now < self.rests_until {
            return Asked::Dropped;
        }
        if self.runs(now) && self.questions.is_empty() {
            return self
                .answer(question)
                .map_or(Asked::Waits, |delta| Asked::Answered(Box::new(delta)));
        }
        if self.questions.len() < QUESTIONS_MAX {
            self.questions.push_back(question);
            return Asked::Waits;
        }
        // Refused: who wants its answer asks again.
        if question.wanted { Asked::Dropped } else { Asked::Waits }
    }

    pub(crate) fn acknowledge(&mut self, now: Millis, sequence: u64) {
        self.acknowledged = self.acknowledged.max(sequence);
        if self.runs(now) {
            self.shard.acknowledge(sequence);
        }
    }

    /// It goes on after a stall; gives the answers to what was asked meanwhile.
    pub(crate) fn resume(&mut self, now: Millis) -> Vec<WorkerDelta> {
        let mut answers = Vec::new();
        if !self.runs(now) {
            return answers;
        }
        while let Some(question) = self.questions.pop_front() {
            answers.extend(self.answer(question));
        }
        while let Some(command) = self.commands.pop_front() {
            self.obey(command);
        }
        while let Some(item) = self.lane.pop_front() {
            self.fold(now, item);
        }
        answers
    }

    fn answer(&mut self, question: Question) -> Option<WorkerDelta> {
        self.shard.acknowledge(question.acknowledged);
        let mut delta = WorkerDelta::empty(self.shard.worker());
        self.shard.fill_delta(&mut delta);
        delta.counters.trades_lost += self.trades_lost;
        question.wanted.then_some(delta)
    }

    fn obey(&mut self, command: Command) {
        let shard = &mut self.shard;
        match command {
            Command::Add(spec) => shard.add_symbol(&spec),
            Command::Retire(symbol) => shard.retire_symbol(symbol),
            Command::Doubt(symbol, heard) => shard.doubt_symbol(symbol, heard),
            Command::DoubtName(symbol, since) => shard.doubt_name(symbol, since),
            Command::Fill(symbol, trades) => shard.fill(symbol, &trades),
            Command::Supply(symbol, index, records) => shard.supply(symbol, index, &records),
        }
    }

    /// Folds an entry. While it rests, trades are dropped and counted, everything else is taken.
    fn fold(&mut self, now: Millis, item: Item) -> bool {
        let shard = &mut self.shard;
        match item {
            Item::Trade(..) if now < self.rests_until => {
                self.trades_lost += 1;
                return false;
            }
            Item::Trade(symbol, trade) => shard.on_trade(symbol, &trade),
            Item::Watermark(feed, time) => shard.on_watermark(feed, time),
            Item::Interrupted(feed) => shard.on_interrupted(feed),
            Item::Copies(feed, count) => shard.on_copies(feed, count),
            Item::Quiet(feed) => shard.on_quiet(feed),
        }
        true
    }
}
