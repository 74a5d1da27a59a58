//! What becomes of workers that break, and, in builds for tests, how one is broken on purpose.

use klagg_engine::{EngineControl, Supervision, WorkerEvent};
use tokio::sync::watch;

use crate::config::Config;
use crate::parts;

/// Restarts as configured, told in the log. The receiver holds a sentence once a worker has ended
/// for good.
pub(super) fn supervision(config: &Config) -> (Supervision, watch::Receiver<Option<String>>) {
    let (ended, gave_up) = watch::channel(None);
    let on_event = Box::new(move |event| match event {
        WorkerEvent::Broke { worker, message, pause, restarts } => {
            tracing::error!(worker, message, ?pause, restarts, "a worker broke; it starts again");
        }
        WorkerEvent::Restarted { worker, restarts } => {
            tracing::warn!(worker, restarts, "a worker has started again");
        }
        WorkerEvent::GaveUp { worker, message, restarts } => {
            let times = restarts + 1;
            tracing::error!(worker, message, times, "a worker broke once too often");
            ended.send_replace(Some(format!(
                "worker {worker} broke {times} times in a row (`{message}`), and \
                 engine.restarts_max = {restarts} allows no more restarts: klagg stops, and the \
                 next start fetches what is missing"
            )));
        }
        _ => {}
    });
    (Supervision { restart: parts::restart(config), on_event }, gave_up)
}

/// Waits until a worker has ended for good; the sentence that says so.
pub(super) async fn given_up(gave_up: &mut watch::Receiver<Option<String>>) -> String {
    match gave_up.wait_for(Option::is_some).await {
        Ok(sentence) => sentence.clone().unwrap_or_default(),
        // The engine is gone, and no worker gave up.
        Err(_) => std::future::pending().await,
    }
}

/// Obeys `panic WORKER` and `stall WORKER MILLISECONDS` in the file that the environment names;
/// each is removed once it is obeyed. For tests of the whole program; not in release builds.
#[cfg(debug_assertions)]
pub(super) async fn obey_faults(control: EngineControl) {
    use klagg_engine::WorkerFault;
    use std::time::Duration;

    let Some(file) = std::env::var_os("KLAGG_TEST_FAULTS") else {
        return std::future::pending().await;
    };
    loop {
        tokio::time::sleep(Duration::from_millis(20)).await;
        let Ok(words) = std::fs::read_to_string(&file) else { continue };
        if std::fs::remove_file(&file).is_err() {
            continue;
        }
        let words: Vec<&str> = words.split_whitespace().collect();
        let number = |at: usize| words.get(at).and_then(|word| word.parse().ok()).unwrap_or(0);
        let worker = usize::try_from(number(1)).unwrap_or(0);
        let fault = match words.first() {
            Some(&"stall") => WorkerFault::Stall(Duration::from_millis(number(2))),
            _ => WorkerFault::Panic,
        };
        if let Err(error) = control.fault(worker, fault) {
            tracing::warn!(%error, "a fault asked for by a test came too late");
        }
    }
}

#[cfg(not(debug_assertions))]
pub(super) async fn obey_faults(_: EngineControl) {
    std::future::pending().await
}
