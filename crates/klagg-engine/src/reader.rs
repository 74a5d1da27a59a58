//! The reader's end of a worker: ask for a delta, say that it arrived.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, TrySendError};

use crate::{EngineError, WorkerDelta};

/// What a reader sends to its worker.
pub(crate) enum ReadMessage {
    /// Answer with everything that changed since the delta with the acknowledged number.
    Request { acknowledged: u64, answer: Box<dyn FnOnce(WorkerDelta) + Send> },
    /// The delta with this number arrived.
    Acknowledge(u64),
}

/// Requests that may wait before a worker. A reader with a cadence has one under way; more are
/// waiting only while the worker does not answer, and then one more tells it nothing new.
pub(crate) const REQUESTS_MAX: usize = 4;

/// The only reader of one worker. Taken from [`Engine::take_readers`](crate::Engine::take_readers).
///
/// A worker never waits for its reader. What was handed out is kept until it is acknowledged, so
/// an answer that came too late is not lost: the next one holds it too.
#[derive(Debug)]
pub struct WorkerReadHandle {
    worker: usize,
    acknowledged: AtomicU64,
    requests: Sender<ReadMessage>,
    spent: Sender<WorkerDelta>,
}

impl WorkerReadHandle {
    pub(crate) fn new(
        worker: usize,
        requests: Sender<ReadMessage>,
        spent: Sender<WorkerDelta>,
    ) -> Self {
        Self { worker, acknowledged: AtomicU64::new(0), requests, spent }
    }

    /// The number of the worker.
    pub const fn worker(&self) -> usize {
        self.worker
    }

    /// Asks for a delta. The worker answers before it folds more trades. Never blocks.
    ///
    /// # Errors
    /// [`EngineError::RequestsPending`] if earlier requests are still unanswered,
    /// [`EngineError::WorkerGone`] if the worker has ended.
    pub fn request_snapshot(&self) -> Result<PendingDelta, EngineError> {
        let (sender, receiver) = crossbeam_channel::bounded(1);
        // A reader that no longer waits has dropped its end; the changes are handed out again.
        self.request_snapshot_with(move |delta| drop(sender.try_send(delta)))?;
        Ok(PendingDelta { worker: self.worker, receiver })
    }

    /// Asks for a delta, to be handed to `answer` on the worker's thread, which must neither
    /// block nor panic: it is for passing the delta on, to an async channel for example.
    ///
    /// # Errors
    /// As [`WorkerReadHandle::request_snapshot`].
    pub fn request_snapshot_with(
        &self,
        answer: impl FnOnce(WorkerDelta) + Send + 'static,
    ) -> Result<(), EngineError> {
        // Relaxed: the number is only compared with numbers; what it stands for was received
        // through a channel.
        let acknowledged = self.acknowledged.load(Ordering::Relaxed);
        self.requests
            .try_send(ReadMessage::Request { acknowledged, answer: Box::new(answer) })
            .map_err(|error| match error {
                TrySendError::Full(_) => EngineError::RequestsPending { worker: self.worker },
                TrySendError::Disconnected(_) => EngineError::WorkerGone { worker: self.worker },
            })
    }

    /// Says that the delta with this number was taken: the worker may forget what it held.
    /// Never blocks; if the worker is too busy to hear it now, the next request says it.
    pub fn acknowledge(&self, sequence: u64) {
        self.acknowledged.fetch_max(sequence, Ordering::Relaxed);
        let _ = self.requests.try_send(ReadMessage::Acknowledge(sequence));
    }

    /// Gives back a delta whose lists are no longer needed, so that the worker need not allocate
    /// new ones. Optional.
    pub fn recycle(&self, delta: WorkerDelta) {
        let _ = self.spent.try_send(delta);
    }
}

/// A delta on its way.
#[derive(Debug)]
pub struct PendingDelta {
    worker: usize,
    receiver: Receiver<WorkerDelta>,
}

impl PendingDelta {
    /// Waits for the delta. After a time-out it may be waited for again.
    ///
    /// # Errors
    /// [`EngineError::TimedOut`] if it did not come in time, [`EngineError::WorkerGone`] if it
    /// never will.
    pub fn wait(&self, timeout: Duration) -> Result<WorkerDelta, EngineError> {
        self.receiver.recv_timeout(timeout).map_err(|error| match error {
            RecvTimeoutError::Timeout => EngineError::TimedOut { worker: self.worker },
            RecvTimeoutError::Disconnected => EngineError::WorkerGone { worker: self.worker },
        })
    }
}
