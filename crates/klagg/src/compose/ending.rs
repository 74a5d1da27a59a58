//! The end within five seconds, whoever is stuck.
//!
//! Each stage is waited for in the order of the data, until its share of the time is over. Who
//! does not end then is named; the stages behind it are ended all the same, so that what they
//! were given is written.

use std::any::Any;
use std::time::Duration;

use tokio::time::{Instant, sleep, timeout_at};

/// How often a thread is asked whether it has ended.
const LOOK_CADENCE: Duration = Duration::from_millis(2);
/// By when the program must have ended.
const ALL: Duration = Duration::from_millis(4_500);

/// What a thread left behind: its value, or its panic.
type Left<T> = Result<T, Box<dyn Any + Send>>;

/// The time that is left, and who did not use it.
#[derive(Debug)]
pub(super) struct Ending {
    deadline: Instant,
    stuck: Vec<&'static str>,
}

impl Ending {
    /// The end begins now.
    pub(super) fn begin() -> Self {
        Self { deadline: Instant::now() + ALL, stuck: Vec::new() }
    }

    /// Waits for a task, for `share` at most. `None`: it is stuck.
    pub(super) async fn wait<T>(
        &mut self,
        part: &'static str,
        share: Duration,
        task: impl Future<Output = T>,
    ) -> Option<T> {
        let until = self.deadline.min(Instant::now() + share);
        let ended = timeout_at(until, task).await.ok();
        if ended.is_none() {
            self.note(part);
        }
        ended
    }

    /// Waits for a thread, for `share` at most. `None`: it is stuck, and left to itself.
    pub(super) async fn join<T>(
        &mut self,
        part: &'static str,
        share: Duration,
        thread: std::thread::JoinHandle<T>,
    ) -> Option<Left<T>> {
        let ended = async {
            while !thread.is_finished() {
                sleep(LOOK_CADENCE).await;
            }
        };
        self.wait(part, share, ended).await?;
        Some(thread.join())
    }

    /// What blocks until a part has ended, on a thread of its own.
    pub(super) async fn block<T: Send + 'static>(
        &mut self,
        part: &'static str,
        share: Duration,
        end: impl FnOnce() -> T + Send + 'static,
    ) -> Option<Left<T>> {
        let thread = std::thread::Builder::new().name("klagg-ending".to_owned()).spawn(end);
        if let Ok(thread) = thread {
            return self.join(part, share, thread).await;
        }
        self.note(part);
        None
    }

    /// A part that cannot be ended.
    pub(super) fn note(&mut self, part: &'static str) {
        tracing::error!(part, "{part} does not end; it is left behind");
        self.stuck.push(part);
    }

    /// Says who was stuck, in a sentence.
    ///
    /// # Errors
    /// If anybody was.
    pub(super) fn verdict(&self) -> anyhow::Result<()> {
        anyhow::ensure!(
            self.stuck.is_empty(),
            "{} did not end in time and was left behind; what it held is fetched by the next start",
            self.stuck.join(", ")
        );
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn who_is_stuck_is_named_and_the_others_are_waited_for() {
        let mut ending = Ending::begin();
        let (release, released) = std::sync::mpsc::channel::<()>();
        let stuck = std::thread::spawn(move || released.recv().is_ok());
        assert!(ending.join("the first", Duration::from_millis(20), stuck).await.is_none());
        let value = ending.block("the second", ALL, || 7).await.expect("it ends");
        assert_eq!(value.ok(), Some(7));
        assert_eq!(ending.wait("the third", ALL, async { 8 }).await, Some(8));
        let sentence = ending.verdict().unwrap_err().to_string();
        assert!(sentence.starts_with("the first did not end in time"), "{sentence}");
        drop(release);
    }

    #[tokio::test(start_paused = true)]
    async fn all_shares_together_are_never_longer_than_the_end_may_take() {
        let mut ending = Ending::begin();
        let start = Instant::now();
        for _ in 0..9 {
            ending.wait("a part", Duration::from_secs(1), std::future::pending::<()>()).await;
        }
        assert_eq!(start.elapsed(), ALL);
        assert!(ending.verdict().is_err());
    }
}
