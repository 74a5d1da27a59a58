//! One replacement at a time: connections that turn together would all be thin at once.
//!
//! Sans-io. Always true here: between the end of one replacement and the beginning of the next
//! lies the gap.

use std::time::Duration;

/// How soon to ask again while another replacement is under way.
const ASK_AGAIN: Duration = Duration::from_millis(500);

/// Lets one replacement through at a time.
#[derive(Debug)]
pub struct Turnstile {
    gap: Duration,
    is_busy: bool,
    free_at: Duration,
}

impl Turnstile {
    /// A turnstile that is free, with `gap` between those that it lets through.
    pub const fn new(gap: Duration) -> Self {
        Self { gap, is_busy: false, free_at: Duration::ZERO }
    }

    /// Lets the caller through, who must [`leave`](Turnstile::leave).
    ///
    /// # Errors
    /// When to ask again.
    pub fn enter(&mut self, now: Duration) -> Result<(), Duration> {
        if self.is_busy {
            return Err(now + ASK_AGAIN);
        }
        if now < self.free_at {
            return Err(self.free_at);
        }
        self.is_busy = true;
        Ok(())
    }

    /// The replacement is over, well or badly.
    pub fn leave(&mut self, now: Duration) {
        self.is_busy = false;
        self.free_at = now + self.gap;
    }
}
