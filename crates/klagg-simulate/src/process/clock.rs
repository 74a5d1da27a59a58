//! The process's clocks: one that counts from its start, and the exchange's as far as measured.
//!
//! The machine's own clock may be hours off, and stands still while the process is suspended. As
//! in the product, it is looked at once, at the start.

use std::time::Duration;

use klagg_kline::UnixMillis;

use crate::agenda::Millis;

#[derive(Debug)]
pub(crate) struct Clock {
    boot: Millis,
    /// Machine's time minus the world's at the start.
    skew: Millis,
    /// How long it stood still since the start.
    stood_still: Millis,
    /// When it went on each time, and for how long it had stood still.
    pauses: Vec<(Millis, Millis)>,
    /// Exchange minus ours.
    offset: Millis,
}

impl Clock {
    pub(crate) const fn start(now: Millis, skew: Millis) -> Self {
        Self { boot: now, skew, stood_still: 0, pauses: Vec::new(), offset: 0 }
    }

    /// When it began to count.
    pub(crate) const fn since(&self) -> Millis {
        self.boot
    }

    /// It stands still from `now` on for so long.
    pub(crate) fn stand_still(&mut self, now: Millis, millis: Millis) {
        self.stood_still += millis;
        self.pauses.push((now + millis, millis));
    }

    /// Whether it ever stood still.
    pub(crate) const fn has_stood_still(&self) -> bool {
        self.stood_still > 0
    }

    /// How long it has stood still since: so late may come what is due by its time.
    pub(crate) fn stood_still_since(&self, since: Millis) -> Millis {
        self.pauses.iter().filter(|&&(until, _)| until > since).map(|&(_, millis)| millis).sum()
    }

    pub(crate) fn elapsed(&self, now: Millis) -> Duration {
        let millis = now - self.boot - self.stood_still;
        Duration::from_millis(u64::try_from(millis).unwrap_or(0))
    }

    /// The world's time at which [`Clock::elapsed`] will be `at`, if nothing stands still.
    pub(crate) fn world(&self, at: Duration) -> Millis {
        let millis = i64::try_from(at.as_millis()).unwrap_or(i64::MAX / 4);
        millis.min(i64::MAX / 4) + self.boot + self.stood_still
    }

    pub(crate) fn local(&self, now: Millis) -> UnixMillis {
        UnixMillis(now - self.stood_still + self.skew)
    }

    pub(crate) fn exchange(&self, now: Millis) -> UnixMillis {
        self.local(now).plus(self.offset)
    }

    pub(crate) fn offset(&self) -> Millis {
        self.offset
    }

    /// As in the product: all of the way is taken for the way back.
    pub(crate) fn measure(&mut self, now: Millis, server: Millis) {
        self.offset = UnixMillis(server).since(self.local(now));
    }
}
