//! A worker thread: the thin shell around a [`Shard`]. It owns its symbols; nobody else touches
//! them.
//!
//! Reads and commands are served before trades. The thread never waits for anything but its
//! lanes: not for a reader, not for a lock.
//!
//! A panic ends neither the thread nor its lanes, so that no sender is cut off: the shard is
//! [recovered](Shard::recover), rests for as long as the [`RestartPolicy`] says, and goes on. While
//! it rests, commands and marks are taken as ever; trades are dropped and counted, so that the
//! feeds, which carry the other workers' trades too, never wait for it; readers get no answer.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::Arc;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, Sender, after, never, select_biased};

use crate::command::Command;
use crate::feed::{Batch, Item};
use crate::reader::ReadMessage;
use crate::{
    EngineConfig, RestartDecision, RestartPolicy, Shard, Supervision, WorkerCounters, WorkerDelta,
    WorkerEvent,
};

/// The worker's ends of its lanes.
#[derive(Debug)]
pub(crate) struct Lanes {
    pub(crate) requests: Receiver<ReadMessage>,
    pub(crate) commands: Receiver<Command>,
    pub(crate) batches: Receiver<Batch>,
    pub(crate) emptied: Sender<Vec<Item>>,
    pub(crate) spent: Receiver<WorkerDelta>,
}

/// However the worker ends: who still waits for an answer is told, because a message left in a
/// lane would live as long as its sender. (One sent at this very moment runs into its time-out.)
impl Drop for Lanes {
    fn drop(&mut self) {
        while self.requests.try_recv().is_ok() {}
    }
}

/// Folds until all feeds and controls are gone, then answers until the reader has everything.
/// Starts again where it breaks, as `supervision` says; panics where it may not.
pub(crate) fn run(
    config: &EngineConfig,
    worker: usize,
    lanes: Lanes,
    supervision: &Arc<Supervision>,
) -> WorkerCounters {
    let mut policy = RestartPolicy::new(supervision.restart);
    let mut worker = Worker::new(Shard::new(config, worker), lanes);
    let start = now();
    let mut rest = None;
    loop {
        // What a panic may have left half done is the shard, and only `recover` looks at it then.
        let outcome = catch_unwind(AssertUnwindSafe(|| {
            if let Some((pause, restarts)) = rest.take() {
                worker.recover(config);
                worker.rest(pause);
                let worker = worker.shard.worker();
                (supervision.on_event)(WorkerEvent::Restarted { worker, restarts });
            }
            worker.work();
        }));
        let Err(panic) = outcome else { return *worker.shard.counters() };
        let (worker, message) = (worker.shard.worker(), panic_message(panic.as_ref()));
        let event = match policy.on_panic(start.elapsed()) {
            RestartDecision::Restart { pause, restarts } => {
                rest = Some((pause, restarts));
                WorkerEvent::Broke { worker, message, pause, restarts }
            }
            RestartDecision::GiveUp { restarts } => {
                (supervision.on_event)(WorkerEvent::GaveUp { worker, message, restarts });
                resume_unwind(panic)
            }
        };
        (supervision.on_event)(event);
    }
}

#[expect(clippy::disallowed_methods, reason = "the pause of a worker that broke ends in real time")]
fn now() -> Instant {
    Instant::now()
}

pub(crate) fn panic_message(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().copied();
    let text = text.or_else(|| panic.downcast_ref::<String>().map(String::as_str));
    text.unwrap_or("no message").to_owned()
}

/// The state of the thread, which outlives what breaks in it.
struct Worker {
    shard: Shard,
    lanes: Lanes,
    commands_open: bool,
    batches_open: bool,
    reader_open: bool,
    /// The batch being folded, and the trades counted before it.
    under_way: Option<(Batch, u64)>,
}

impl Worker {
    const fn new(shard: Shard, lanes: Lanes) -> Self {
        let (commands_open, batches_open, reader_open) = (true, true, true);
        Self { shard, lanes, commands_open, batches_open, reader_open, under_way: None }
    }

    fn work(&mut self) {
        while self.commands_open || self.batches_open {
            select_biased! {
                recv(self.lanes.requests) -> message => match message {
                    Ok(message) => self.serve(message, Drained::No),
                    Err(_) => self.close_requests(),
                },
                recv(self.lanes.commands) -> command => match command {
                    Ok(command) => self.obey(command),
                    Err(_) => self.close_commands(),
                },
                recv(self.lanes.batches) -> batch => match batch {
                    Ok(batch) => self.fold(batch),
                    Err(_) => self.close_batches(),
                },
            }
        }
        self.shard.finish();
        if self.reader_open {
            self.answer_until_taken();
        }
    }

    fn close_requests(&mut self) {
        self.lanes.requests = never();
        self.reader_open = false;
    }

    fn close_commands(&mut self) {
        self.lanes.commands = never();
        self.commands_open = false;
    }

    fn close_batches(&mut self) {
        self.lanes.batches = never();
        self.batches_open = false;
    }

    fn obey(&mut self, command: Command) {
        #[cfg(debug_assertions)]
        if let Command::Fault(fault) = command {
            return suffer(fault);
        }
        self.shard.on_command(command);
    }

    fn fold(&mut self, batch: Batch) {
        // A command sent before this batch was sent is in its lane by now, though perhaps not when
        // the lane was looked at: a new symbol must be known before its first trade is folded.
        while let Ok(command) = self.lanes.commands.try_recv() {
            self.obey(command);
        }
        let (Batch { feed, items }, _) =
            self.under_way.insert((batch, self.shard.counters().trades));
        self.shard.on_items(*feed, items);
        if let Some((batch, _)) = self.under_way.take() {
            self.give_back(batch.items);
        }
    }

    fn give_back(&self, mut items: Vec<Item>) {
        items.clear();
        // A full return lane means that enough empty batches are about.
        let _ = self.lanes.emptied.try_send(items);
    }

    /// Nothing more will come: stays until the reader has acknowledged a delta made after that, or
    /// is gone.
    fn answer_until_taken(&mut self) {
        let drained_at = self.shard.sequence();
        while let Ok(message) = self.lanes.requests.recv() {
            self.serve(message, Drained::Yes);
            if self.shard.acknowledged() > drained_at {
                return;
            }
        }
    }

    fn serve(&mut self, message: ReadMessage, drained: Drained) {
        let shard = &mut self.shard;
        match message {
            ReadMessage::Acknowledge(sequence) => shard.acknowledge(sequence),
            ReadMessage::Request { acknowledged, answer } => {
                shard.acknowledge(acknowledged);
                let spent = self.lanes.spent.try_recv();
                let mut delta = spent.unwrap_or_else(|_| WorkerDelta::empty(shard.worker()));
                shard.fill_delta(&mut delta);
                delta.is_last = drained == Drained::Yes;
                answer(delta);
            }
        }
    }

    /// A shard that broke makes way for its successor.
    fn recover(&mut self, config: &EngineConfig) {
        self.shard = self.shard.recover(config);
        if let Some((batch, trades_before)) = self.under_way.take() {
            let folded = self.shard.counters().trades - trades_before;
            self.lose(batch, folded);
        }
    }

    /// Takes from a batch what is not a trade, and counts the trades of it that were not folded.
    fn lose(&mut self, batch: Batch, folded: u64) {
        let is_trade = |item: &&Item| matches!(item, Item::Trade { .. });
        let trades = batch.items.iter().filter(is_trade).count() as u64;
        self.shard.lose_trades(trades.saturating_sub(folded));
        self.shard.on_marks(batch.feed, &batch.items);
        self.give_back(batch.items);
    }

    /// Takes what comes, without folding or answering, until the pause is over or nothing can
    /// come any more.
    fn rest(&mut self, pause: Duration) {
        let over = after(pause);
        while self.commands_open || self.batches_open {
            select_biased! {
                recv(over) -> _ => return,
                recv(self.lanes.requests) -> message => match message {
                    Ok(ReadMessage::Acknowledge(sequence)) => self.shard.acknowledge(sequence),
                    Ok(ReadMessage::Request { acknowledged, .. }) => {
                        self.shard.acknowledge(acknowledged);
                    }
                    Err(_) => self.close_requests(),
                },
                recv(self.lanes.commands) -> command => match command {
                    Ok(command) => self.obey(command),
                    Err(_) => self.close_commands(),
                },
                recv(self.lanes.batches) -> batch => match batch {
                    Ok(batch) => self.lose(batch, 0),
                    Err(_) => self.close_batches(),
                },
            }
        }
    }
}

/// Whether everything that will ever come has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Drained {
    No,
    Yes,
}

#[cfg(debug_assertions)]
fn suffer(fault: crate::command::WorkerFault) {
    match fault {
        crate::command::WorkerFault::Panic => panic!("broken by a test"),
        crate::command::WorkerFault::Stall(time) => std::thread::sleep(time),
    }
}

#[cfg(test)]
mod tests {
    use klagg_kline::{PeriodSet, Price, Quantity, Side, SymbolId, Trade, TradeId, UnixMillis};

    use crossbeam_channel::bounded;

    use super::*;
    use crate::{Continuity, EngineConfig, FeedId, NewSymbolSpec, SequencerConfig};

    #[test]
    fn a_batch_is_folded_after_the_commands_sent_before_it() {
        let config = EngineConfig {
            periods: PeriodSet::default(),
            workers: 1,
            symbols_max: 1,
            queue_batches: 1,
            batch_trades: 1,
            close_grace_ms: 0,
            sequencer: SequencerConfig { continuity: Continuity::Checked, held_max: 1, hold_ms: 0 },
            undelivered_max: 1,
            first_core: None,
        };
        let (command_tx, commands) = bounded(1);
        let (emptied, emptied_rx) = bounded(1);
        let lanes =
            Lanes { requests: never(), commands, batches: never(), emptied, spent: never() };
        let mut worker = Worker::new(Shard::new(&config, 0), lanes);
        let feed = FeedId(0);
        let spec = NewSymbolSpec {
            id: SymbolId(0),
            feed,
            previous_close: None,
            next_id: None,
            since: None,
        };
        command_tx.send(Command::Add(spec)).unwrap();
        let (price, quantity) = (Price::from_scaled(1), Quantity::from_scaled(1));
        let trade = Trade::new(TradeId(1), UnixMillis(1), price, quantity, 1, Side::Buy).unwrap();
        worker.fold(Batch { feed, items: vec![Item::Trade { slot: 0, trade }] });
        let counters = worker.shard.counters();
        assert_eq!((counters.trades, counters.unknown_symbol), (1, 0));
        assert!(emptied_rx.try_recv().unwrap().is_empty(), "the empty batch goes back");
    }
}
