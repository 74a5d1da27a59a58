//! What the backfill is given: its numbers, and the parts it connects.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use klagg_binance::{ArchiveClient, Backoff, RestClient};
use klagg_engine::{EngineControl, HistoryPage, HistoryReader, Hole};
use klagg_kline::{Kline, Period, PeriodSet, SymbolId, UnixMillis};
use klagg_store::{StoreReaderFactory, WriterHandle};
use klagg_symbols::SymbolIndex;
use tokio::sync::{mpsc, watch};

use crate::{BackfillError, BackfillProgress};

/// Which closed minutes are compared with the exchange's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Confirmation {
    /// All of them: provisional ones at once, the others when the oldest has waited so long.
    Everything {
        /// In milliseconds of exchange time; up to 99 minutes cost one weight.
        wait_ms: i64,
    },
    /// Only provisional ones.
    Doubtful,
}

/// The numbers of the backfill.
#[derive(Debug, Clone)]
pub struct BackfillConfig {
    /// What is folded.
    pub periods: PeriodSet,
    /// How many closed klines of each period the history keeps, in the order of `periods`;
    /// [`usize::MAX`]: all there are.
    pub capacity: Vec<usize>,
    /// How many klines of a period are fetched at most to fill the hole that a stop left in the
    /// store.
    pub gap_klines_max: u64,
    /// Most requests under way at once.
    pub concurrency: usize,
    /// How long after its end a kline is final at the exchange, in milliseconds.
    pub settle_ms: i64,
    /// The shortest time from the end of a listing to another one of the same name, in
    /// milliseconds: for so long after the list was seen, a name stands for the same symbol.
    pub relisting_ms: i64,
    /// Which closed minutes are confirmed.
    pub confirmation: Confirmation,
    /// Names of symbols that people look at: they come first everywhere.
    pub watched: Vec<String>,
    /// How often is looked for something to confirm.
    pub tick: Duration,
    /// How long the feed may be silent at the start before that is told.
    pub live_patience: Duration,
    /// How long confirmation leaves a symbol alone after a request for it failed.
    pub retry_pause: Duration,
    /// How often the history is checked for klines that are still missing, and the exchange's
    /// clock is measured.
    pub audit_cadence: Duration,
    /// How old history is fetched from the exchange's archive; `None`: it is not.
    pub archive: Option<ArchiveRules>,
}

/// How the exchange's archive is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ArchiveRules {
    /// Most files under way at once: each may take 16 MB, and its klines as much again.
    pub concurrency: usize,
    /// Pauses after failures.
    pub backoff: Backoff,
    /// Spreads the pauses of many clients.
    pub seed: u64,
}

impl BackfillConfig {
    pub(crate) fn check(&self) -> Result<(), BackfillError> {
        let refuse =
            |name, value: String, allowed| Err(BackfillError::Setting { name, value, allowed });
        if self.capacity.len() != self.periods.len() {
            let value = self.capacity.len().to_string();
            return refuse("capacity", value, "one number for each period");
        }
        if self.concurrency == 0 {
            return refuse("concurrency", "0".to_owned(), "at least 1");
        }
        if self.archive.is_some_and(|archive| archive.concurrency == 0) {
            return refuse("archive.concurrency", "0".to_owned(), "at least 1");
        }
        if !(0..=60_000).contains(&self.settle_ms) {
            return refuse("settle_ms", self.settle_ms.to_string(), "0 to 60000");
        }
        if self.relisting_ms < 60_000 {
            return refuse("relisting_ms", self.relisting_ms.to_string(), "at least 60000");
        }
        if self.tick.is_zero() || self.audit_cadence.is_zero() {
            return refuse("tick", "0".to_owned(), "above 0, and so for `audit_cadence`");
        }
        Ok(())
    }
}

/// Where stored klines come from and new ones go to.
#[derive(Debug, Clone)]
pub struct StoreParts {
    /// Makes the reader.
    pub reader: StoreReaderFactory,
    /// Takes rows.
    pub writer: WriterHandle,
}

/// Takes the klines out of a file of the archive: the symbol, the period, the file's name and its
/// bytes, which equal their checksum; or says in words why it holds none.
pub type ReadFile =
    Arc<dyn Fn(&str, Period, &str, &Bytes) -> Result<Vec<Kline>, String> + Send + Sync>;

/// Where old history comes from, if not from the exchange's REST.
#[derive(Clone)]
pub struct ArchiveParts {
    /// Fetches files.
    pub client: ArchiveClient,
    /// Reads them, on a thread that may block.
    pub read: ReadFile,
}

impl std::fmt::Debug for ArchiveParts {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("ArchiveParts").field("client", &self.client).finish_non_exhaustive()
    }
}

/// A change while the backfill runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum BackfillCommand {
    /// These symbols are folded from now on; the index holds them.
    Add(Vec<SymbolId>),
    /// These are no longer, as a list shows that is of this time of the exchange.
    Retire(Vec<SymbolId>, UnixMillis),
    /// The exchange's list holds the listings of these, as of this time of its own.
    Listed(Vec<SymbolId>, UnixMillis),
    /// People look at these now, and no longer at others.
    Watch(Vec<(SymbolId, Period)>),
}

/// Tells the exchange's time.
pub type Clock = Arc<dyn Fn() -> UnixMillis + Send + Sync>;

/// The parts that the backfill connects.
pub struct BackfillParts {
    /// Asks the exchange.
    pub rest: RestClient,
    /// The exchange's archive, if old history may come from there.
    pub archive: Option<ArchiveParts>,
    /// Names and listing times.
    pub index: SymbolIndex,
    /// Of the symbols to begin with, those whose own listings the exchange's list holds. Of the
    /// others nothing is asked until [`BackfillCommand::Listed`] tells of them.
    pub listed: Vec<SymbolId>,
    /// Takes what open and just closed klines are made of. Its symbols must have been added.
    pub engine: EngineControl,
    /// Tells what is held.
    pub history: HistoryReader,
    /// The history's only writer is at the other end.
    pub pages: mpsc::Sender<HistoryPage>,
    /// The store, if there is one.
    pub store: Option<StoreParts>,
    /// The exchange's time; [`klagg_binance::ExchangeClock::exchange`] of the client is one.
    pub clock: Clock,
    /// Exchange time at which all feed connections delivered for the first time: minutes after
    /// that one are complete. `None` until then.
    pub live_from: watch::Receiver<Option<UnixMillis>>,
    /// Holes that the engine gave up; nobody has to tell of them.
    pub holes: mpsc::Receiver<Hole>,
    /// Changes of what is folded.
    pub commands: mpsc::Receiver<BackfillCommand>,
    /// Takes how far it is.
    pub progress: watch::Sender<BackfillProgress>,
    /// Whether to stop.
    pub shutdown: watch::Receiver<bool>,
}

impl std::fmt::Debug for BackfillParts {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("BackfillParts")
            .field("store", &self.store.is_some())
            .finish_non_exhaustive()
    }
}
