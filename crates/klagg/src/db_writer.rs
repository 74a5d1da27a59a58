//! What the database writer pulls: between the history's side and the store's.

use std::sync::Arc;

use klagg_gateway::{GlobalKlines, Unwritten};
use klagg_store::{Pull, StoredKline};
use tokio::sync::watch;

/// The writer's place in the history, and where it finds open klines.
#[derive(Debug)]
pub(crate) struct HistoryPull {
    unwritten: Unwritten,
    klines: watch::Receiver<Arc<GlobalKlines>>,
}

impl HistoryPull {
    pub(crate) fn new(unwritten: Unwritten, klines: watch::Receiver<Arc<GlobalKlines>>) -> Self {
        Self { unwritten, klines }
    }

    /// Hands over what there is, as far as there is room.
    pub(crate) fn pull(&mut self, pull: &mut Pull) {
        let klines = Arc::clone(&self.klines.borrow());
        let lost = self.unwritten.times_lost();
        self.unwritten.closed(klines.symbols(), pull.room(), |symbol, period, record| {
            // There is room: no more was asked for.
            let _ = pull.push_closed(StoredKline { symbol, period, record });
        });
        if self.unwritten.times_lost() > lost {
            tracing::warn!("the database writer fell behind the history; it starts over");
        }
        if pull.wants_open() {
            self.unwritten.open(&klines, |symbol, period, record| {
                pull.push_open(StoredKline { symbol, period, record });
            });
        }
    }
}
