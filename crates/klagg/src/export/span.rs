//! Times as people write them.

use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use klagg_kline::UnixMillis;

/// A date, a date and time (UTC unless it says otherwise), or Unix milliseconds.
pub(crate) fn parse(text: &str) -> Result<UnixMillis, String> {
    if let Ok(millis) = text.parse::<i64>() {
        // Ten digits are seconds, which would silently mean a day in 1970.
        if (1..=99_999_999_999).contains(&millis.abs()) {
            return Err("Unix times are milliseconds, with 13 digits".to_owned());
        }
        return Ok(UnixMillis(millis));
    }
    if let Ok(instant) = text.parse::<jiff::Timestamp>() {
        return Ok(UnixMillis(instant.as_millisecond()));
    }
    let civil = text.parse::<DateTime>().map_err(|_| {
        "write a date (2024-10-28), a date and time (2024-10-28T16:00), or Unix milliseconds"
            .to_owned()
    })?;
    let instant = civil.to_zoned(TimeZone::UTC).map_err(|error| error.to_string())?;
    Ok(UnixMillis(instant.timestamp().as_millisecond()))
}

/// A time for people: `2024-10-28T16:00:00Z`, or its milliseconds where no calendar reaches.
pub(crate) fn shown(time: UnixMillis) -> String {
    jiff::Timestamp::from_millisecond(time.0)
        .map_or_else(|_| time.to_string(), |instant| instant.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_utc_unless_they_say_otherwise() {
        let check = |text: &str, expected: i64| assert_eq!(parse(text).unwrap().0, expected);
        check("2024-10-28", 1_730_073_600_000);
        check("2024-10-28T16:00", 1_730_131_200_000);
        check("2024-10-28 16:00:00", 1_730_131_200_000);
        check("2024-10-28T16:00:00Z", 1_730_131_200_000);
        check("2024-10-28T18:00:00+02:00", 1_730_131_200_000);
        check("1730131200000", 1_730_131_200_000);
        check("0", 0);
        assert_eq!(shown(UnixMillis(1_730_131_200_000)), "2024-10-28T16:00:00Z");
        assert_eq!(shown(UnixMillis(i64::MAX)), i64::MAX.to_string());
        for text in ["1730131200", "yesterday", "2024-13-01", "2024-02-30", "", "16:00"] {
            assert!(parse(text).is_err(), "{text}");
        }
    }
}
