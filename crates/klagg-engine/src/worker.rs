//! A worker thread: the thin shell around a [`Shard`]. It owns its symbols; nobody else touches
//! them.
//!
//! Reads and commands are served before trades. The thread never waits for anything but its
//! lanes: not for a reader, not for a lock.

use crossbeam_channel::{Receiver, Sender, never, select_biased};

use crate::command::Command;
use crate::feed::{Batch, Item};
use crate::reader::ReadMessage;
use crate::{Shard, WorkerCounters, WorkerDelta};

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
pub(crate) fn run(mut shard: Shard, mut lanes: Lanes) -> WorkerCounters {
    let (mut commands_open, mut batches_open, mut reader_open) = (true, true, true);
    while commands_open || batches_open {
        select_biased! {
            recv(lanes.requests) -> message => if let Ok(message) = message {
                serve(&mut shard, &lanes, message, Drained::No);
            } else {
                lanes.requests = never();
                reader_open = false;
            },
            recv(lanes.commands) -> command => if let Ok(command) = command {
                shard.on_command(command);
            } else {
                lanes.commands = never();
                commands_open = false;
            },
            recv(lanes.batches) -> batch => if let Ok(batch) = batch {
                fold(&mut shard, &lanes, batch);
            } else {
                lanes.batches = never();
                batches_open = false;
            },
        }
    }
    shard.finish();
    if reader_open {
        answer_until_taken(&mut shard, &lanes);
    }
    *shard.counters()
}

fn fold(shard: &mut Shard, lanes: &Lanes, Batch { feed, mut items }: Batch) {
    // A command sent before this batch was sent is in its lane by now, though perhaps not when
    // the lane was looked at: a new symbol must be known before its first trade is folded.
    while let Ok(command) = lanes.commands.try_recv() {
        shard.on_command(command);
    }
    shard.on_items(feed, &items);
    items.clear();
    // A full return lane means that enough empty batches are about.
    let _ = lanes.emptied.try_send(items);
}

/// Whether everything that will ever come has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Drained {
    No,
    Yes,
}

/// Nothing more will come: stays until the reader has acknowledged a delta made after that, or is
/// gone.
fn answer_until_taken(shard: &mut Shard, lanes: &Lanes) {
    let drained_at = shard.sequence();
    while let Ok(message) = lanes.requests.recv() {
        serve(shard, lanes, message, Drained::Yes);
        if shard.acknowledged() > drained_at {
            return;
        }
    }
}

fn serve(shard: &mut Shard, lanes: &Lanes, message: ReadMessage, drained: Drained) {
    match message {
        ReadMessage::Acknowledge(sequence) => shard.acknowledge(sequence),
        ReadMessage::Request { acknowledged, answer } => {
            shard.acknowledge(acknowledged);
            let mut delta =
                lanes.spent.try_recv().unwrap_or_else(|_| WorkerDelta::empty(shard.worker()));
            shard.fill_delta(&mut delta);
            delta.is_last = drained == Drained::Yes;
            answer(delta);
        }
    }
}

#[cfg(test)]
mod tests {
    use crossbeam_channel::bounded;
    use klagg_kline::{PeriodSet, Price, Quantity, Side, SymbolId, Trade, TradeId, UnixMillis};

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
        let mut shard = Shard::new(&config, 0);
        let (command_tx, commands) = bounded(1);
        let (emptied, emptied_rx) = bounded(1);
        let lanes =
            Lanes { requests: never(), commands, batches: never(), emptied, spent: never() };
        let feed = FeedId(0);
        let spec = NewSymbolSpec { id: SymbolId(0), feed, previous_close: None, next_id: None };
        command_tx.send(Command::Add(spec)).unwrap();
        let (price, quantity) = (Price::from_scaled(1), Quantity::from_scaled(1));
        let trade = Trade::new(TradeId(1), UnixMillis(1), price, quantity, 1, Side::Buy).unwrap();
        fold(&mut shard, &lanes, Batch { feed, items: vec![Item::Trade { slot: 0, trade }] });
        assert_eq!((shard.counters().trades, shard.counters().unknown_symbol), (1, 0));
        assert!(emptied_rx.try_recv().unwrap().is_empty(), "the empty batch goes back");
    }
}
