//! Which event times of a connection are believed.
//!
//! Always true here: no single frame moves the newest believed time ahead by more than a minute.
//! One that did would close minutes that are not over, and there is no way back.
//!
//! Sans-io, and without a clock: only frames are compared with each other.

use klagg_kline::UnixMillis;

/// The longest step ahead that a single frame is believed. A connection that is silent for so
/// long was replaced before, and begins anew.
const STEP_MS_MAX: i64 = 60_000;

/// The event times of one socket.
#[derive(Debug, Default)]
pub struct EventTimes {
    newest: Option<UnixMillis>,
    /// Too far ahead, unless the next one is as well.
    doubted: Option<UnixMillis>,
}

impl EventTimes {
    /// Takes the event time of a frame; whether it is believed.
    pub fn take(&mut self, time: UnixMillis) -> bool {
        let near = |other: UnixMillis| time.since(other).abs() <= STEP_MS_MAX;
        let is_believed = self.newest.is_none_or(|newest| time.since(newest) <= STEP_MS_MAX)
            || self.doubted.is_some_and(near);
        self.doubted = (!is_believed).then_some(time);
        if is_believed {
            self.newest = self.newest.max(Some(time));
        }
        is_believed
    }

    /// Whether a trade may have this time, going by what is believed.
    pub fn allows(&self, trade_time: UnixMillis) -> bool {
        self.newest.is_none_or(|newest| trade_time.since(newest) <= STEP_MS_MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_frame_from_the_far_future_is_not_believed_two_are() {
        let mut times = EventTimes::default();
        let mut check = |millis: i64, expected: bool| {
            assert_eq!(times.take(UnixMillis(millis)), expected, "{millis}");
        };
        check(1_000_000, true);
        check(1_000_100, true);
        check(4_600_000, false);
        check(1_000_200, true);
        check(4_600_000, false);
        check(9_900_000, false);
        check(1_060_200, true);
        // The exchange stood still, and all frames from now on say so.
        check(4_600_000, false);
        check(4_600_050, true);
        check(4_600_060, true);
        check(1_000_300, true);
        check(4_660_060, true);
        assert!(times.allows(UnixMillis(4_720_060)));
        assert!(!times.allows(UnixMillis(4_720_061)));
    }
}
