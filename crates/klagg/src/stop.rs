//! The signals that end the program: Ctrl-C and, on Unix, SIGTERM.

use anyhow::Context;
use tokio::sync::watch;

/// Turns true once the program is asked to stop. A second request ends it at once.
///
/// # Errors
/// If the system does not let signals be listened to.
pub(crate) fn requested() -> anyhow::Result<watch::Receiver<bool>> {
    let (asked, request) = watch::channel(false);
    let mut signals = Signals::listen().context("cannot listen to signals")?;
    tokio::spawn(async move {
        signals.next().await;
        asked.send_replace(true);
        signals.next().await;
        crate::logs::say("stopped at once; the next start repairs what was not written");
        end_now();
    });
    Ok(request)
}

#[expect(clippy::exit, reason = "a second Ctrl-C means now")]
fn end_now() {
    std::process::exit(2);
}

#[cfg(unix)]
struct Signals {
    interrupt: tokio::signal::unix::Signal,
    terminate: tokio::signal::unix::Signal,
}

#[cfg(unix)]
impl Signals {
    fn listen() -> std::io::Result<Self> {
        use tokio::signal::unix::{SignalKind, signal};
        Ok(Self {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
        })
    }

    async fn next(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
        }
    }
}

#[cfg(not(unix))]
struct Signals;

#[cfg(not(unix))]
impl Signals {
    #[expect(clippy::unnecessary_wraps, reason = "as on Unix")]
    fn listen() -> std::io::Result<Self> {
        Ok(Self)
    }

    async fn next(&mut self) {
        // Without Ctrl-C there is nothing to wait for but the end of the process.
        if tokio::signal::ctrl_c().await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}
