//! The database writer: the real decisions, around a model of the disk.

use std::collections::VecDeque;
use std::time::Duration;

use klagg_engine::HistoryReader;
use klagg_gateway::{GlobalKlines, Unwritten};
use klagg_kline::PeriodSet;
use klagg_store::{Batch, StoredKline, SymbolChange, WriterConfig, WriterCore, WriterStep};

/// Rows that may wait to be taken.
const QUEUE_ROWS_MAX: usize = 400;

#[derive(Debug)]
enum Queued {
    Rows(Vec<StoredKline>),
    Symbols(SymbolChange),
}

/// What the writer waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Waits {
    /// For a wake-up, or this time of the process.
    Until(Duration),
    /// For the commit that it has begun.
    Commit,
    /// For nothing any more.
    Ended,
}

#[derive(Debug)]
pub(crate) struct Writer {
    core: WriterCore,
    unwritten: Unwritten,
    queue: VecDeque<Queued>,
    queued_rows: usize,
    committing: bool,
    woken: bool,
}

impl Writer {
    pub(crate) fn new(history: HistoryReader, periods: PeriodSet) -> Self {
        let config = WriterConfig {
            commit_rows_max: 100,
            queue_rows_max: QUEUE_ROWS_MAX,
            cadence: Duration::from_secs(1),
            open_cadence: Duration::from_secs(5),
            retry_min: Duration::from_millis(100),
            retry_max: Duration::from_secs(10),
            drain_deadline: Duration::from_secs(5),
        };
        Self {
            core: WriterCore::new(config),
            unwritten: Unwritten::new(history, periods),
            queue: VecDeque::new(),
            queued_rows: 0,
            committing: false,
            woken: false,
        }
    }

    /// Whether so many rows may be submitted now. As in the product, a page larger than the queue
    /// is taken when the queue is empty.
    pub(crate) fn has_room(&self, rows: usize) -> bool {
        self.queued_rows == 0 || self.queued_rows + rows <= QUEUE_ROWS_MAX
    }

    pub(crate) fn submit(&mut self, rows: Vec<StoredKline>) {
        self.queued_rows += rows.len();
        self.queue.push_back(Queued::Rows(rows));
    }

    pub(crate) fn change_symbols(&mut self, change: SymbolChange) {
        self.queue.push_back(Queued::Symbols(change));
    }

    pub(crate) fn wake(&mut self) {
        self.woken = true;
    }

    pub(crate) fn batch(&self) -> &Batch {
        self.core.batch()
    }

    pub(crate) fn is_committing(&self) -> bool {
        self.committing
    }

    /// The commit under way has ended.
    pub(crate) fn ended(&mut self, now: Duration, is_written: bool) {
        self.committing = false;
        if is_written {
            self.core.committed(now);
        } else {
            self.core.failed(now);
        }
    }

    /// Goes on until there is something to wait for.
    pub(crate) fn run(&mut self, now: Duration, klines: &GlobalKlines) -> Waits {
        if self.committing {
            return Waits::Commit;
        }
        loop {
            match self.core.next(now) {
                WriterStep::Wait(until) => {
                    if !self.woken && self.queue.is_empty() && now < until {
                        return Waits::Until(until);
                    }
                    self.woken = false;
                    self.core.woken();
                }
                WriterStep::Take(rows_max) => {
                    let batch = self.take(rows_max);
                    self.core.taken(batch);
                }
                WriterStep::Pull { rows_max, wants_open } => {
                    let mut batch = Batch::default();
                    self.unwritten.closed(klines.symbols(), rows_max, |symbol, period, record| {
                        batch.closed.push(StoredKline { symbol, period, record });
                    });
                    if wants_open {
                        self.unwritten.open(klines, |symbol, period, record| {
                            batch.open.push(StoredKline { symbol, period, record });
                        });
                    }
                    self.core.pulled(now, batch);
                }
                WriterStep::Commit { .. } => {
                    self.committing = true;
                    return Waits::Commit;
                }
                WriterStep::Pause(until) => {
                    if now < until {
                        return Waits::Until(until);
                    }
                    self.core.rested();
                }
                WriterStep::Done | WriterStep::GiveUp => return Waits::Ended,
            }
        }
    }

    /// Pages joined as far as they fit into a commit, or one change of symbols.
    fn take(&mut self, rows_max: usize) -> Option<Batch> {
        let mut batch = Batch::default();
        while let Some(first) = self.queue.front() {
            match first {
                Queued::Symbols(_) if batch.closed.is_empty() => {
                    if let Some(Queued::Symbols(change)) = self.queue.pop_front() {
                        batch.symbols = Some(change);
                    }
                    return Some(batch);
                }
                Queued::Rows(rows)
                    if batch.closed.is_empty() || batch.closed.len() + rows.len() <= rows_max =>
                {
                    if let Some(Queued::Rows(rows)) = self.queue.pop_front() {
                        self.queued_rows -= rows.len();
                        batch.closed.extend(rows);
                    }
                }
                _ => break,
            }
        }
        (!batch.closed.is_empty()).then_some(batch)
    }
}
