//! Days and quarters, for the names of contracts that are delivered.

use klagg_kline::{Period, UnixMillis};

pub(crate) const DAY: i64 = 86_400_000;
/// 08:00 UTC, when quarterlies are delivered.
const DELIVERY_HOUR: i64 = 8 * 3_600_000;

/// Year, month and day of an instant (Gregorian, UTC).
pub(crate) fn civil(time: UnixMillis) -> (i64, i64, i64) {
    let days = time.0.div_euclid(DAY) + 719_468;
    let era = days.div_euclid(146_097);
    let of_era = days.rem_euclid(146_097);
    let year_of_era = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let from_march = (5 * of_year + 2) / 153;
    let day = of_year - (153 * from_march + 2) / 5 + 1;
    let month = if from_march < 10 { from_march + 3 } else { from_march - 9 };
    (year_of_era + era * 400 + i64::from(month <= 2), month, day)
}

/// The last Fridays of the two quarters that end after `time` by at least a month, 08:00 UTC.
pub(crate) fn quarter_ends(time: UnixMillis) -> [UnixMillis; 2] {
    let mut ends = [UnixMillis(0); 2];
    let mut found = 0;
    let mut month = Period::Mo1.open_time(time);
    while found < ends.len() {
        let next = Period::Mo1.next_open_time(month);
        if civil(month).1 % 3 == 0 {
            // 1970-01-01 was a Thursday: Fridays are the days whose number leaves 1.
            let last_day = next.0.div_euclid(DAY) - 1;
            let friday = last_day - (last_day - 1).rem_euclid(7);
            let end = UnixMillis(friday * DAY + DELIVERY_HOUR);
            if end.since(time) > 30 * DAY {
                ends[found] = end;
                found += 1;
            }
        }
        month = next;
    }
    ends
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quarterlies_are_delivered_on_the_last_friday() {
        // 2026-10-07: the next two are 2026-12-25 and 2027-03-26.
        let ends = quarter_ends(UnixMillis(1_791_331_200_000));
        assert_eq!(ends.map(civil), [(2026, 12, 25), (2027, 3, 26)]);
        assert_eq!(civil(UnixMillis(951_782_400_000)), (2000, 2, 29));
    }
}
