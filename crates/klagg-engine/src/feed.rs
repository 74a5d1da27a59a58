//! The way of trades into the engine: routed by symbol, gathered in batches, over bounded lanes.
//!
//! Always true here:
//! - Nothing accepted is lost: a batch is handed to its worker or kept; a full lane makes the
//!   caller wait (`flush`), tells it (`try_flush`), or refuses the trade and returns it (`push`).
//! - The order of one feed's calls is the order in which a worker sees them, so that the cuts
//!   between batches cannot change a kline.
//! - Emptied batches come back over a return lane: no allocation a trade, and none a batch once
//!   as many batches as lanes can hold are about.

use crossbeam_channel::{Receiver, Sender, TrySendError};
use klagg_kline::{SymbolId, Trade, UnixMillis};

use crate::{EngineError, FeedId};

/// Exchange time is handed on in steps of this many milliseconds: thousands of trades a second
/// carry a time each, and nothing closes by the millisecond.
const WATERMARK_STEP_MS: i64 = 10;

/// A trade and whose it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FeedTrade {
    /// The trade.
    pub trade: Trade,
    /// Whose trade.
    pub symbol: SymbolId,
}

/// The feed's buffer and the lane behind it are full. Holds the trade, which was not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the worker of symbol {} does not keep up: its lane is full", .0.symbol)]
pub struct FeedFull(pub FeedTrade);

/// One entry of a batch. The tag lives in a gap of the trade: an item is no larger than a trade
/// with its slot.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Item {
    /// A trade of the symbol in this slot of the worker.
    Trade { slot: u32, trade: Trade },
    /// The feed has seen this exchange time.
    Watermark(UnixMillis),
    /// The feed was interrupted here.
    Interrupted,
    /// So many copies of the feed deliver from here on.
    Copies(u16),
    /// Nothing is on its way over any copy of the feed.
    Quiet,
}

const _: () = assert!(size_of::<Item>() == 48);

/// Items of one feed for one worker.
#[derive(Debug)]
pub(crate) struct Batch {
    pub(crate) feed: FeedId,
    pub(crate) items: Vec<Item>,
}

/// Which worker owns a symbol, and where it stands there.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Route {
    workers: u32,
}

impl Route {
    /// # Panics
    /// If there is no worker.
    pub(crate) fn new(workers: usize) -> Self {
        let workers = u32::try_from(workers).expect("the configuration bounds the workers");
        assert!(workers > 0, "a route needs a worker");
        Self { workers }
    }

    /// Worker and slot of `symbol`.
    #[inline]
    pub(crate) const fn place(self, symbol: SymbolId) -> (usize, u32) {
        // A division costs as much as half a fold.
        if self.workers == 1 {
            return (0, symbol.0);
        }
        ((symbol.0 % self.workers) as usize, symbol.0 / self.workers)
    }

    /// How many slots a worker needs so that all symbols below `symbols_max` have one.
    pub(crate) const fn slots(self, symbols_max: usize) -> usize {
        symbols_max.div_ceil(self.workers as usize)
    }
}

/// What waits to be sent to one worker.
#[derive(Debug, Default)]
struct Outbox {
    items: Vec<Item>,
    /// Said by the feed, but not yet placed among the items, because there was no room.
    watermark: Option<UnixMillis>,
    interrupted: bool,
    copies: Option<u16>,
    quiet: bool,
}

/// The producer's end of the engine, one for each source of trades. Made by
/// [`Engine::feed`](crate::Engine::feed).
///
/// Trades become visible to the workers when a batch is full or on a flush: flush at the end of
/// each read of the source. Dropping it flushes, waiting while lanes are full, unless what is left
/// was [abandoned](EngineFeed::abandon).
#[derive(Debug)]
pub struct EngineFeed {
    feed: FeedId,
    route: Route,
    batch_trades: usize,
    watermark: Option<UnixMillis>,
    outboxes: Box<[Outbox]>,
    lanes: Box<[Sender<Batch>]>,
    emptied: Receiver<Vec<Item>>,
}

impl EngineFeed {
    pub(crate) fn new(
        feed: FeedId,
        batch_trades: usize,
        lanes: Box<[Sender<Batch>]>,
        emptied: Receiver<Vec<Item>>,
    ) -> Self {
        let outbox = || Outbox {
            items: Vec::with_capacity(batch_trades),
            watermark: None,
            interrupted: false,
            copies: None,
            quiet: false,
        };
        Self {
            feed,
            route: Route::new(lanes.len()),
            batch_trades,
            watermark: None,
            outboxes: lanes.iter().map(|_| outbox()).collect(),
            lanes,
            emptied,
        }
    }

    /// The number of the feed.
    pub const fn id(&self) -> FeedId {
        self.feed
    }

    /// Takes a trade. Never blocks.
    ///
    /// # Errors
    /// [`FeedFull`] returns the trade when neither the batch nor the lane has room. Flush, then
    /// push it again.
    #[inline]
    pub fn push(&mut self, symbol: SymbolId, trade: Trade) -> Result<(), FeedFull> {
        let (worker, slot) = self.route.place(symbol);
        let outbox = &mut self.outboxes[worker];
        if (outbox.items.len() >= self.batch_trades || outbox.has_marks())
            && !self.make_room(worker)
        {
            return Err(FeedFull(FeedTrade { trade, symbol }));
        }
        self.outboxes[worker].items.push(Item::Trade { slot, trade });
        Ok(())
    }

    /// Says that the source has reached this exchange time: symbols without newer trades may be
    /// closed up to it. Never blocks; earlier times than already said are ignored.
    pub fn watermark(&mut self, exchange_time: UnixMillis) {
        let step = |time: UnixMillis| time.0.div_euclid(WATERMARK_STEP_MS);
        if self.watermark.is_some_and(|said| step(exchange_time) <= step(said)) {
            return;
        }
        self.watermark = Some(exchange_time);
        for worker in 0..self.outboxes.len() {
            self.outboxes[worker].watermark = Some(exchange_time);
            self.make_room(worker);
        }
    }

    /// Says that the source was cut off: what its symbols' open minutes hold is unproven until
    /// their next trade shows that none is missing. Never blocks.
    pub fn interrupted(&mut self) {
        for worker in 0..self.outboxes.len() {
            self.outboxes[worker].interrupted = true;
            self.make_room(worker);
        }
    }

    /// Says how many copies of the source deliver from now on. While there are several, a hole in
    /// the ids is held open for [`hold_ms`](crate::SequencerConfig::hold_ms), because another copy
    /// may fill it; with one it is given up at once. Never blocks.
    pub fn copies(&mut self, count: u16) {
        for worker in 0..self.outboxes.len() {
            self.outboxes[worker].copies = Some(count);
            self.make_room(worker);
        }
    }

    /// Says that nothing comes over any copy of the source, so that its time stands: what is held
    /// for another copy waits no longer. Never blocks.
    pub fn quiet(&mut self) {
        for worker in 0..self.outboxes.len() {
            self.outboxes[worker].quiet = true;
            self.make_room(worker);
        }
    }

    /// Hands everything to the workers, waiting while their lanes are full.
    ///
    /// # Errors
    /// [`EngineError::WorkerGone`] if a worker has ended.
    pub fn flush(&mut self) -> Result<(), EngineError> {
        for worker in 0..self.outboxes.len() {
            while !self.outboxes[worker].is_empty() {
                self.outboxes[worker].place_marks(self.batch_trades);
                let items = self.take_items(worker);
                self.lanes[worker]
                    .send(Batch { feed: self.feed, items })
                    .map_err(|_| EngineError::WorkerGone { worker })?;
            }
        }
        Ok(())
    }

    /// Hands to the workers what their lanes have room for. `false`: something is left; call
    /// again. Never blocks.
    ///
    /// # Errors
    /// [`EngineError::WorkerGone`] if a worker has ended.
    pub fn try_flush(&mut self) -> Result<bool, EngineError> {
        let mut all = true;
        for worker in 0..self.outboxes.len() {
            while !self.outboxes[worker].is_empty() {
                self.outboxes[worker].place_marks(self.batch_trades);
                if !self.try_send(worker)? {
                    all = false;
                    break;
                }
            }
        }
        Ok(all)
    }

    /// Gives up what the lanes have no room for, so that dropping the feed does not wait for a
    /// worker that stands still. How many trades that were; with 0, nothing is lost.
    pub fn abandon(&mut self) -> usize {
        // Whether all went, or a worker has ended: what is left is counted below.
        let _ = self.try_flush();
        let mut trades = 0;
        for outbox in &mut self.outboxes {
            let is_trade = |item: &&Item| matches!(item, Item::Trade { .. });
            trades += outbox.items.iter().filter(is_trade).count();
            *outbox = Outbox::default();
        }
        trades
    }

    /// Makes room for one more item behind the marks. `false` if there is none.
    fn make_room(&mut self, worker: usize) -> bool {
        self.outboxes[worker].place_marks(self.batch_trades);
        if self.outboxes[worker].items.len() >= self.batch_trades
            && !matches!(self.try_send(worker), Ok(true))
        {
            return false;
        }
        self.outboxes[worker].place_marks(self.batch_trades);
        self.outboxes[worker].items.len() < self.batch_trades && !self.outboxes[worker].has_marks()
    }

    /// Sends the batch of `worker` if its lane has room; puts it back if not.
    fn try_send(&mut self, worker: usize) -> Result<bool, EngineError> {
        if self.lanes[worker].is_full() {
            return Ok(false);
        }
        let items = self.take_items(worker);
        match self.lanes[worker].try_send(Batch { feed: self.feed, items }) {
            Ok(()) => Ok(true),
            Err(TrySendError::Full(batch)) => {
                self.outboxes[worker].items = batch.items;
                Ok(false)
            }
            Err(TrySendError::Disconnected(batch)) => {
                self.outboxes[worker].items = batch.items;
                Err(EngineError::WorkerGone { worker })
            }
        }
    }

    /// Takes the items out, leaving an empty vector of the same capacity.
    fn take_items(&mut self, worker: usize) -> Vec<Item> {
        let empty =
            self.emptied.try_recv().unwrap_or_else(|_| Vec::with_capacity(self.batch_trades));
        debug_assert!(empty.is_empty());
        std::mem::replace(&mut self.outboxes[worker].items, empty)
    }
}

/// Hands over what is left; if a worker has ended there is nobody to take it.
impl Drop for EngineFeed {
    fn drop(&mut self) {
        let _ = self.flush();
    }
}

impl Outbox {
    #[inline]
    const fn has_marks(&self) -> bool {
        self.watermark.is_some() || self.interrupted || self.copies.is_some() || self.quiet
    }

    const fn is_empty(&self) -> bool {
        self.items.is_empty() && !self.has_marks()
    }

    /// Moves pending marks behind the items, as far as there is room. An interruption comes
    /// before a watermark: what was seen after it must not close what it made unproven.
    fn place_marks(&mut self, batch_trades: usize) {
        if self.interrupted && self.items.len() < batch_trades {
            self.items.push(Item::Interrupted);
            self.interrupted = false;
        }
        if !self.interrupted
            && self.items.len() < batch_trades
            && let Some(count) = self.copies.take()
        {
            self.items.push(Item::Copies(count));
        }
        if !self.interrupted
            && self.copies.is_none()
            && self.items.len() < batch_trades
            && let Some(time) = self.watermark.take()
        {
            self.items.push(Item::Watermark(time));
        }
        let waits = self.interrupted || self.copies.is_some() || self.watermark.is_some();
        if self.quiet && !waits && self.items.len() < batch_trades {
            self.items.push(Item::Quiet);
            self.quiet = false;
        }
    }
}
