//! How long a symbol is left alone after a request for it failed. Pure.
//!
//! Always true here: while nothing comes that was asked for, the pause doubles, up to a bound that
//! leaves room within the time in which a minute is to be repaired once all is well again.

use std::time::Duration;

use super::SymbolState;

/// The longest pause is the shortest one, doubled so often: 40 s of 5 s.
const DOUBLINGS_MAX: u32 = 3;

/// The `times`-th pause in a row; the first one is `shortest`.
pub(crate) fn pause(shortest: Duration, times: u32) -> Duration {
    shortest * (1 << times.saturating_sub(1).min(DOUBLINGS_MAX))
}

impl SymbolState {
    /// It is left alone from `now` on.
    pub(crate) fn rest(&mut self, now: Duration, shortest: Duration) {
        self.retry_at = now + pause(shortest, self.odd_pages);
    }

    /// Something came that was not asked for, or it was refused. Gives whether that is news: what
    /// was under way together tells only once.
    pub(crate) fn rest_from_odd(&mut self, now: Duration, shortest: Duration) -> bool {
        let is_news = now >= self.retry_at;
        if is_news {
            self.odd_pages = self.odd_pages.saturating_add(1);
            self.rest(now, shortest);
        }
        is_news
    }

    /// What was asked for has come: nothing is waited for any longer.
    pub(crate) fn wake(&mut self) {
        if std::mem::take(&mut self.odd_pages) > 0 {
            self.retry_at = Duration::ZERO;
        }
    }
}
