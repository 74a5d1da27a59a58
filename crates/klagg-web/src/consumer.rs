//! The pipeline's side: what the read scheduler calls.

use std::collections::BTreeSet;
use std::sync::Arc;

use klagg_gateway::{Consumer, Update};
use klagg_kline::{KlineRecord, Period, PeriodSet, SymbolId};
use klagg_symbols::SymbolReader;
use tokio::time::Instant;

use crate::hub::{Hub, Slot, SlotUpdate};

/// Hands updates to the clients' outboxes. To be registered last with the read scheduler.
///
/// A call does not wait for anyone and costs what changed times who wants it.
#[derive(Debug)]
pub struct WebConsumer {
    pub(crate) hub: Arc<Hub>,
    pub(crate) symbols: SymbolReader,
    pub(crate) periods: PeriodSet,
    pub(crate) started: Instant,
}

/// Tells which symbols clients look at, and in which period. Clones ask the same front.
#[derive(Debug, Clone)]
pub struct WatchedSlots {
    hub: Arc<Hub>,
    periods: PeriodSet,
    started: Instant,
}

impl WatchedSlots {
    /// What a client has subscribed just now, or has asked for over REST within ten minutes.
    pub fn now(&self) -> BTreeSet<(SymbolId, Period)> {
        let slots = self.hub.wanted(self.started.elapsed()).into_iter();
        let named = |slot: Slot| {
            let period = *self.periods.as_slice().get(usize::from(slot.period_index))?;
            Some((slot.symbol, period))
        };
        slots.filter_map(named).collect()
    }
}

impl WebConsumer {
    /// Who can tell what clients look at.
    pub fn watched(&self) -> WatchedSlots {
        let hub = Arc::clone(&self.hub);
        WatchedSlots { hub, periods: self.periods.clone(), started: self.started }
    }
}

impl Consumer for WebConsumer {
    fn name(&self) -> &'static str {
        "web"
    }

    fn on_update(&mut self, update: &Update<'_>) {
        let now = self.started.elapsed();
        let klines = update.klines;
        if update.resync {
            self.hub.resync(now);
        }
        let place = |symbol, period_index| Slot { symbol, period_index };
        let closed =
            update.closed.iter().map(|data| (place(data.symbol, data.period_index), data.record));
        let slot = |&(symbol, period_index): &(_, u8)| {
            Some((place(symbol, period_index), klines.slot(symbol, period_index.into())?))
        };
        // When the list of closed klines is not whole, the newest of each slot stands in: it
        // keeps exchange-style clients whole unless two closed at once, which they are told.
        let newest = update.changed.iter().filter(|_| update.resync).filter_map(slot);
        let newest = newest.filter_map(|(slot, state)| Some((slot, *state.last_closed?)));
        let open = update.changed.iter().filter_map(slot);
        let open = open.filter_map(|(slot, state)| Some((slot, *state.open?)));
        let at = (klines.sequence, klines.exchange_time.unwrap_or(klines.published_at));
        let (table, periods) = (self.symbols.table(), &self.periods);
        let make = |slot: Slot, record: KlineRecord| {
            let entry = table.entry(slot.symbol)?;
            let period = *periods.as_slice().get(usize::from(slot.period_index))?;
            let name = Arc::clone(&entry.name);
            Some(SlotUpdate::new(slot, record, at, name, (period, entry.precision)))
        };
        self.hub.publish(closed.chain(newest).chain(open), make, now);
    }
}
