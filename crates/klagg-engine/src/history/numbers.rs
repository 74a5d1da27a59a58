//! Klines are numbered: one up from each kline of a period to the next, counted from 1970.

use klagg_kline::{Period, UnixMillis};

const DAY: i64 = 86_400_000;
/// Weeks open on Mondays, 1970 on a Thursday.
const FIRST_MONDAY: i64 = 4 * DAY;
/// The mean length of a month in millionths of a day.
const MONTH: i64 = 30_436_875;

/// The number of the kline that holds `time`.
pub(super) fn number_of(period: Period, time: UnixMillis) -> i64 {
    if let Some(millis) = period.fixed_millis() {
        return (time.0 - origin(period)).div_euclid(millis);
    }
    // The first of a month is never more than three days off the line of mean months: the nearest
    // whole number is the month's.
    let first = period.open_time(time);
    (first.0.div_euclid(DAY) * 1_000_000 + MONTH / 2).div_euclid(MONTH)
}

/// When the kline with this number opens.
pub(super) fn open_time_of(period: Period, number: i64) -> UnixMillis {
    if let Some(millis) = period.fixed_millis() {
        return UnixMillis(number.saturating_mul(millis).saturating_add(origin(period)));
    }
    // The middle of the mean month lies within the month, whichever way its first is off.
    let days = number.saturating_mul(MONTH).saturating_add(MONTH / 2) / 1_000_000;
    period.open_time(UnixMillis(days.saturating_mul(DAY)))
}

const fn origin(period: Period) -> i64 {
    if matches!(period, Period::W1) { FIRST_MONDAY } else { 0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn klines_of_every_period_are_numbered_one_by_one() {
        for period in Period::ALL {
            let mut open_time = period.open_time(UnixMillis(0));
            let mut number = number_of(period, open_time);
            for _ in 0..3_000 {
                open_time = period.next_open_time(open_time);
                number += 1;
                assert_eq!(number_of(period, open_time), number, "{period} at {open_time}");
                assert_eq!(number_of(period, period.close_time(open_time)), number);
                assert_eq!(open_time_of(period, number), open_time, "{period}, {number}");
            }
        }
    }
}
