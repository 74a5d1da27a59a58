//! Asking all workers at once, and waiting for each no longer than the timeout.
//!
//! Always true here:
//! - A worker has at most one question open whose answer is wanted. A late answer is therefore
//!   not lost and not overtaken: it is taken at the start of a later tick, and only then is the
//!   worker asked again.
//! - A tick waits only for those asked in it. One that is late already costs the others nothing,
//!   not even a timeout.
//! - The answers' channel has room for one from each worker, so sending one never fails for want
//!   of room and never blocks a worker.
//! - A question that a worker drops unanswered counts as not answered; that the worker is dead is
//!   concluded only from the engine's word. One that lies unread in the lane of a worker that died
//!   is never dropped, so a late worker is probed: with questions whose answers nobody wants. The
//!   lane bounds how many can pile up, and a delta thrown away is handed out again.

use std::time::Duration;

use klagg_engine::{EngineError, WorkerDelta, WorkerReadHandle};
use klagg_kline::UnixMillis;
use tokio::sync::mpsc;
use tokio::time::{Instant, timeout_at};

use crate::{GatewayCore, Timing, WorkerNotice};

/// What comes back for a question: the delta, or nothing if the worker dropped it.
#[derive(Debug)]
struct Answer {
    worker: usize,
    delta: Option<WorkerDelta>,
}

/// Goes to the worker with the question. Dropped unused (its thread ended), it says so.
struct Reply {
    worker: usize,
    answers: mpsc::Sender<Answer>,
    used: bool,
}

impl Reply {
    fn send(mut self, delta: WorkerDelta) {
        self.used = true;
        self.put(Some(delta));
    }

    fn put(&self, delta: Option<WorkerDelta>) {
        // Room is certain; a closed channel means that the gateway is gone and nobody cares.
        let _ = self.answers.try_send(Answer { worker: self.worker, delta });
    }
}

impl Drop for Reply {
    fn drop(&mut self) {
        if !self.used {
            self.put(None);
        }
    }
}

/// Where the question to a worker stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Question {
    /// None is open.
    None,
    /// Asked in this tick.
    Asked,
    /// Asked in an earlier tick and not answered in time.
    Late,
    /// Dropped unanswered in this tick.
    Dropped,
}

#[derive(Debug)]
pub(crate) struct Puller {
    readers: Vec<WorkerReadHandle>,
    questions: Vec<Question>,
    answers: mpsc::Receiver<Answer>,
    sender: mpsc::Sender<Answer>,
    timeout: Duration,
}

impl Puller {
    pub(crate) fn new(readers: Vec<WorkerReadHandle>, timeout: Duration) -> Self {
        let (sender, answers) = mpsc::channel(readers.len().max(1));
        let questions = vec![Question::None; readers.len()];
        Self { readers, questions, answers, sender, timeout }
    }

    pub(crate) fn workers(&self) -> usize {
        self.readers.len()
    }

    /// One tick: takes what came late, asks, waits, and degrades those that did not answer.
    pub(crate) async fn pull(
        &mut self,
        core: &mut GatewayCore,
        now: &(impl Fn() -> UnixMillis + Sync),
        mut tell: impl FnMut(WorkerNotice),
    ) {
        while let Ok(answer) = self.answers.try_recv() {
            self.take(core, answer, now(), &mut tell);
        }
        let deadline = Instant::now() + self.timeout;
        self.ask(core, now(), &mut tell);
        while self.questions.contains(&Question::Asked) {
            match timeout_at(deadline, self.answers.recv()).await {
                Ok(Some(answer)) => self.take(core, answer, now(), &mut tell),
                // The channel cannot close, for `self.sender` holds it open.
                Ok(None) | Err(_) => break,
            }
        }
        for (worker, question) in self.questions.iter_mut().enumerate() {
            *question = match *question {
                Question::None => continue,
                Question::Asked | Question::Late => Question::Late,
                Question::Dropped => Question::None,
            };
            if !core.worker(worker).has_ended() {
                tell(core.missed(worker, now()));
            }
        }
    }

    fn ask(
        &mut self,
        core: &mut GatewayCore,
        now: UnixMillis,
        tell: &mut impl FnMut(WorkerNotice),
    ) {
        for (worker, question) in self.questions.iter_mut().enumerate() {
            if core.worker(worker).has_ended() {
                continue;
            }
            let asked = if *question == Question::Late {
                self.readers[worker].request_snapshot_with(drop)
            } else {
                *question = Question::Asked;
                let answers = self.sender.clone();
                let reply = Reply { worker, answers, used: false };
                // Refused, the reply is dropped, and says so.
                self.readers[worker].request_snapshot_with(move |delta| reply.send(delta))
            };
            if let Err(EngineError::WorkerGone { .. }) = asked {
                core.died(worker, now).into_iter().for_each(&mut *tell);
            }
        }
    }

    fn take(
        &mut self,
        core: &mut GatewayCore,
        answer: Answer,
        now: UnixMillis,
        tell: &mut impl FnMut(WorkerNotice),
    ) {
        let Answer { worker, delta } = answer;
        let Some(delta) = delta else {
            self.questions[worker] = Question::Dropped;
            return;
        };
        let timing = match std::mem::replace(&mut self.questions[worker], Question::None) {
            Question::Asked => Timing::InTime,
            _ => Timing::Late,
        };
        let sequence = delta.sequence;
        let taken = core.take(worker, delta, timing, now);
        self.readers[worker].acknowledge(sequence);
        taken.spent.into_iter().for_each(|spent| self.readers[worker].recycle(spent));
        taken.notice.into_iter().for_each(tell);
    }
}
