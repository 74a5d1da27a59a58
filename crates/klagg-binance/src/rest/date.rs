//! The exchange's time in the `Date` of an answer, cut to the second.

use std::ops::RangeInclusive;

use klagg_kline::UnixMillis;

/// With the days before each in a year that is no leap year.
const MONTHS: [(&str, i64); 12] = [
    ("Jan", 0),
    ("Feb", 31),
    ("Mar", 59),
    ("Apr", 90),
    ("May", 120),
    ("Jun", 151),
    ("Jul", 181),
    ("Aug", 212),
    ("Sep", 243),
    ("Oct", 273),
    ("Nov", 304),
    ("Dec", 334),
];

/// Reads the one form in which dates are sent: `Sun, 06 Nov 1994 08:49:37 GMT`. `None` for any
/// other text.
pub(super) fn http_date(text: &str) -> Option<UnixMillis> {
    let mut parts = text.split_ascii_whitespace().skip(1);
    let day = number(parts.next()?, 1..=31)?;
    let month = parts.next()?;
    let at = MONTHS.iter().position(|(name, _)| *name == month)?;
    let year = number(parts.next()?, 1_970..=9_999)?;
    let mut clock = parts.next()?.split(':');
    let mut unit = |last: i64| number(clock.next()?, 0..=last);
    let (hour, minute, second) = (unit(23)?, unit(59)?, unit(60)?);
    if parts.next() != Some("GMT") || parts.next().is_some() || clock.next().is_some() {
        return None;
    }
    let leap_days = |before: i64| (before - 1) / 4 - (before - 1) / 100 + (before - 1) / 400;
    let is_leap = leap_days(year + 1) > leap_days(year);
    let days = 365 * (year - 1_970) + leap_days(year) - leap_days(1_970);
    let days = days + MONTHS[at].1 + i64::from(is_leap && at > 1) + day - 1;
    Some(UnixMillis((((days * 24 + hour) * 60 + minute) * 60 + second) * 1_000))
}

fn number(text: &str, range: RangeInclusive<i64>) -> Option<i64> {
    let is_plain = text.bytes().all(|byte| byte.is_ascii_digit());
    text.parse().ok().filter(|number| is_plain && range.contains(number))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_date_is_read_to_the_second_and_nothing_else_is() {
        let check = |text: &str, expected: Option<i64>| {
            assert_eq!(
                http_date(text),
                expected.map(|seconds| UnixMillis(seconds * 1_000)),
                "{text}"
            );
        };
        check("Sun, 06 Nov 1994 08:49:37 GMT", Some(784_111_777));
        check("Thu, 01 Jan 1970 00:00:00 GMT", Some(0));
        check("Tue, 29 Feb 2028 23:59:59 GMT", Some(1_835_481_599));
        check("Wed, 01 Mar 2028 00:00:00 GMT", Some(1_835_481_600));
        check("Fri, 31 Dec 2100 00:00:01 GMT", Some(4_133_894_401));
        for text in [
            "",
            "784111777",
            "Sun, 06 Nov 1994 08:49:37",
            "Sun, 06 Nov 1994 08:49:37 CET",
            "Sun, 06 Nov 1994 08:49 GMT",
            "Sun, 06 Nov 1994 08:49:37:00 GMT",
            "Sun, 32 Nov 1994 08:49:37 GMT",
            "Sun, +6 Nov 1994 08:49:37 GMT",
            "Sun, 06 nov 1994 08:49:37 GMT",
            "Sun, 06 Nov 1969 08:49:37 GMT",
            "Sunday, 06-Nov-94 08:49:37 GMT",
            "Sun, 06 Nov 1994 24:00:00 GMT",
            "Sun, 06 Nov 99999999999999999999 08:49:37 GMT",
        ] {
            check(text, None);
        }
    }
}
