//! Whether anything may still be on its way over any of the sockets.
//!
//! Always true here: it is said once behind what came last, not before the time given has passed
//! without anything, and never for a time in which we did not read.

use std::time::Duration;

/// Waits for a feed to fall quiet.
#[derive(Debug)]
pub(super) struct Quiet {
    after: Duration,
    due_at: Option<Duration>,
}

impl Quiet {
    pub(super) const fn new(after: Duration) -> Self {
        Self { after, due_at: None }
    }

    /// Something came, or may have come while nobody read.
    pub(super) fn heard(&mut self, now: Duration) {
        self.due_at = Some(now + self.after);
    }

    pub(super) const fn due_at(&self) -> Option<Duration> {
        self.due_at
    }

    /// Whether nothing has come for so long, said once.
    pub(super) fn has_come(&mut self, now: Duration) -> bool {
        self.due_at.take_if(|due_at| *due_at <= now).is_some()
    }
}
