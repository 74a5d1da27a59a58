//! The fifteen lengths of a kline that the exchange knows.
//!
//! All are UTC. `3d` counts from 1970-01-01, `1w` opens on Monday, `1M` on the first of the month.

use std::fmt;
use std::str::FromStr;

use crate::UnixMillis;

const MINUTE: i64 = 60_000;
const HOUR: i64 = 60 * MINUTE;
const DAY: i64 = 24 * HOUR;
const WEEK: i64 = 7 * DAY;
/// 1970-01-05, the first Monday.
const FIRST_MONDAY: i64 = 4 * DAY;

/// A kline's length.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Period {
    /// `1m`
    M1,
    /// `3m`
    M3,
    /// `5m`
    M5,
    /// `15m`
    M15,
    /// `30m`
    M30,
    /// `1h`
    H1,
    /// `2h`
    H2,
    /// `4h`
    H4,
    /// `6h`
    H6,
    /// `8h`
    H8,
    /// `12h`
    H12,
    /// `1d`
    D1,
    /// `3d`
    D3,
    /// `1w`, from Monday
    W1,
    /// `1M`, from the first of the month
    Mo1,
}

impl Period {
    /// All fifteen, shortest first.
    pub const ALL: [Self; 15] = [
        Self::M1,
        Self::M3,
        Self::M5,
        Self::M15,
        Self::M30,
        Self::H1,
        Self::H2,
        Self::H4,
        Self::H6,
        Self::H8,
        Self::H12,
        Self::D1,
        Self::D3,
        Self::W1,
        Self::Mo1,
    ];

    /// The six that klagg folds unless told otherwise.
    pub const DEFAULT: [Self; 6] = [Self::M1, Self::M5, Self::M30, Self::H1, Self::H4, Self::D1];

    /// The exchange's name: `1m` … `1M`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::M1 => "1m",
            Self::M3 => "3m",
            Self::M5 => "5m",
            Self::M15 => "15m",
            Self::M30 => "30m",
            Self::H1 => "1h",
            Self::H2 => "2h",
            Self::H4 => "4h",
            Self::H6 => "6h",
            Self::H8 => "8h",
            Self::H12 => "12h",
            Self::D1 => "1d",
            Self::D3 => "3d",
            Self::W1 => "1w",
            Self::Mo1 => "1M",
        }
    }

    /// Its length in milliseconds; `None` for `1M`, whose length varies.
    pub const fn fixed_millis(self) -> Option<i64> {
        Some(match self {
            Self::M1 => MINUTE,
            Self::M3 => 3 * MINUTE,
            Self::M5 => 5 * MINUTE,
            Self::M15 => 15 * MINUTE,
            Self::M30 => 30 * MINUTE,
            Self::H1 => HOUR,
            Self::H2 => 2 * HOUR,
            Self::H4 => 4 * HOUR,
            Self::H6 => 6 * HOUR,
            Self::H8 => 8 * HOUR,
            Self::H12 => 12 * HOUR,
            Self::D1 => DAY,
            Self::D3 => 3 * DAY,
            Self::W1 => WEEK,
            Self::Mo1 => return None,
        })
    }

    /// The open time of the kline that holds `time`.
    pub const fn open_time(self, time: UnixMillis) -> UnixMillis {
        match (self, self.fixed_millis()) {
            (Self::W1, _) => UnixMillis(time.0 - (time.0 - FIRST_MONDAY).rem_euclid(WEEK)),
            (_, Some(millis)) => UnixMillis(time.0 - time.0.rem_euclid(millis)),
            (_, None) => {
                let (year, month) = civil_month(time.0.div_euclid(DAY));
                UnixMillis(days_from_civil(year, month) * DAY)
            }
        }
    }

    /// The open time of the kline after the one that holds `time`.
    pub const fn next_open_time(self, time: UnixMillis) -> UnixMillis {
        let open = self.open_time(time);
        if let Some(millis) = self.fixed_millis() {
            return UnixMillis(open.0 + millis);
        }
        let (year, month) = civil_month(open.0.div_euclid(DAY));
        let (year, month) = if month == 12 { (year + 1, 1) } else { (year, month + 1) };
        UnixMillis(days_from_civil(year, month) * DAY)
    }

    /// The last millisecond of the kline that holds `time`: the exchange's `closeTime`.
    pub const fn close_time(self, time: UnixMillis) -> UnixMillis {
        UnixMillis(self.next_open_time(time).0 - 1)
    }

    /// Whether every kline of `longer` is made of whole klines of this period.
    pub const fn nests_in(self, longer: Self) -> bool {
        match (self.fixed_millis(), longer.fixed_millis()) {
            // A week starts on a Monday and a month on any day, so only what divides a day
            // divides them.
            (Some(short), _) if matches!(longer, Self::W1 | Self::Mo1) => short <= DAY,
            (Some(short), Some(long)) => {
                short < long && long % short == 0 && !matches!(self, Self::W1)
            }
            (Some(_), None) | (None, _) => false,
        }
    }
}

/// Year and month (1 to 12) of a day counted from 1970-01-01, proleptic Gregorian.
/// The algorithm counts years from March, so that the leap day comes last.
const fn civil_month(day: i64) -> (i64, i64) {
    let day = day + 719_468;
    let era = day.div_euclid(146_097);
    let day_of_era = day.rem_euclid(146_097);
    let year_of_era =
        (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
    let year = year_of_era + era * 400 + if month <= 2 { 1 } else { 0 };
    (year, month)
}

/// The day, counted from 1970-01-01, on which a month starts.
const fn days_from_civil(year: i64, month: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let month_from_march = if month > 2 { month - 3 } else { month + 9 };
    let day_of_year = (153 * month_from_march + 2) / 5;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    era * 146_097 + day_of_era - 719_468
}

/// A text that names no period.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("unknown period `{0}`; periods are 1m 3m 5m 15m 30m 1h 2h 4h 6h 8h 12h 1d 3d 1w 1M")]
pub struct UnknownPeriod(pub String);

impl FromStr for Period {
    type Err = UnknownPeriod;

    fn from_str(text: &str) -> Result<Self, UnknownPeriod> {
        Self::ALL
            .into_iter()
            .find(|period| period.as_str() == text)
            .ok_or_else(|| UnknownPeriod(text.to_owned()))
    }
}

impl fmt::Display for Period {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(period: Period, time: i64, open: i64, next: i64) {
        let time = UnixMillis(time);
        assert_eq!(period.open_time(time).0, open, "{period} open of {time}");
        assert_eq!(period.next_open_time(time).0, next, "{period} next of {time}");
    }

    #[test]
    fn klines_open_where_the_exchange_opens_them() {
        // 2024-02-29T12:34:56.789Z, a Thursday in a leap year.
        let time = 1_709_210_096_789;
        check(Period::M1, time, 1_709_210_040_000, 1_709_210_100_000);
        check(Period::H4, time, 1_709_208_000_000, 1_709_222_400_000);
        check(Period::D1, time, 1_709_164_800_000, 1_709_251_200_000);
        check(Period::W1, time, 1_708_905_600_000, 1_709_510_400_000);
        check(Period::Mo1, time, 1_706_745_600_000, 1_709_251_200_000);
        // One millisecond before, at, and after the turn of a year.
        let year = 1_704_067_200_000;
        check(Period::Mo1, year - 1, 1_701_388_800_000, year);
        check(Period::Mo1, year, year, 1_706_745_600_000);
        check(Period::M1, -1, -60_000, 0);
    }

    #[test]
    fn every_name_parses_back_and_case_matters() {
        for period in Period::ALL {
            assert_eq!(period.as_str().parse(), Ok(period));
        }
        assert!("1s".parse::<Period>().is_err());
        assert!("1D".parse::<Period>().is_err());
        assert_ne!("1m".parse::<Period>(), "1M".parse::<Period>());
    }

    #[test]
    fn weeks_and_months_are_made_of_days() {
        assert!(Period::D1.nests_in(Period::W1) && Period::D1.nests_in(Period::Mo1));
        assert!(!Period::W1.nests_in(Period::Mo1) && !Period::D3.nests_in(Period::Mo1));
        assert!(!Period::D3.nests_in(Period::W1) && !Period::M3.nests_in(Period::M5));
        assert!(Period::M1.nests_in(Period::M3) && Period::M5.nests_in(Period::M30));
        for period in Period::ALL {
            assert!(!period.nests_in(period));
        }
    }
}
