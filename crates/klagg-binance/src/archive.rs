//! The exchange's public archive of klines: whole days and months, packed, with a checksum each.
//!
//! Always true here: a file is handed on only if it is what its `.CHECKSUM` beside it says. It
//! costs no weight. Each call asks once: what to do without a file is the caller's matter.
//! Deliberately absent: what is in the files, and who asks for which.

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use klagg_kline::{Period, UnixMillis};
use reqwest::{Response, StatusCode};
use sha2::{Digest, Sha256};

use crate::address::{Purpose, check_address};
use crate::{BinanceError, PlainText, Tls};

/// A month of minutes of the largest symbol has about 2 MB.
const FILE_BYTES_MAX: usize = 16 << 20;
/// A digest, two blanks and a file name.
const CHECKSUM_BYTES_MAX: usize = 1_024;
const DAY_MS: i64 = 86_400_000;
/// Files of a day appear eight to nine hours after its end.
const DAY_DELAY_MS: i64 = 9 * 3_600_000;
/// Files of a month appear on the first Monday after it.
const MONTH_DELAY_MS: i64 = 8 * DAY_MS;

/// The numbers of the archive's client.
#[derive(Debug, Clone)]
pub struct ArchiveConfig {
    /// For example `https://data.binance.vision`.
    pub base_url: String,
    /// Where `http` is allowed.
    pub plain_text: PlainText,
    /// Sent as `User-Agent`.
    pub user_agent: String,
    /// Longest wait for a connection.
    pub connect_timeout: Duration,
    /// Longest time for one file.
    pub request_timeout: Duration,
}

/// What one file of the archive covers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ArchiveSpan {
    /// The first instant of the day or month.
    pub from: UnixMillis,
    /// The first instant after it.
    pub until: UnixMillis,
    is_month: bool,
}

impl ArchiveSpan {
    /// The file that holds the klines of `time`, if it is there by `now`: the month's once the
    /// month is over and published, else the day's.
    pub fn holding(time: UnixMillis, now: UnixMillis) -> Option<Self> {
        let span = |period: Period, is_month| Self {
            from: period.open_time(time),
            until: period.next_open_time(time),
            is_month,
        };
        let (month, day) = (span(Period::Mo1, true), span(Period::D1, false));
        if now >= month.until.plus(MONTH_DELAY_MS) {
            return Some(month);
        }
        (now >= day.until.plus(DAY_DELAY_MS)).then_some(day)
    }

    /// The file's name, as `BTCUSDT-1m-2026-10-07.zip`.
    pub fn file_name(&self, symbol: &str, period: Period) -> String {
        let (year, month, day) = civil(self.from);
        let period = spelled(period);
        if self.is_month {
            return format!("{symbol}-{period}-{year}-{month:02}.zip");
        }
        format!("{symbol}-{period}-{year}-{month:02}-{day:02}.zip")
    }

    /// The file's path below the archive's address.
    fn path(&self, symbol: &str, period: Period) -> String {
        let kind = if self.is_month { "monthly" } else { "daily" };
        let (name, period) = (self.file_name(symbol, period), spelled(period));
        format!("data/futures/um/{kind}/klines/{symbol}/{period}/{name}")
    }
}

/// As the archive spells periods: a month is `1mo`.
fn spelled(period: Period) -> &'static str {
    if period == Period::Mo1 { "1mo" } else { period.as_str() }
}

/// Year, month and day, by Hinnant's well-known sum.
fn civil(time: UnixMillis) -> (i64, i64, i64) {
    let days = time.0.div_euclid(DAY_MS) + 719_468;
    let (era, day_of_era) = (days.div_euclid(146_097), days.rem_euclid(146_097));
    let year_of_era =
        (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let from_march = (5 * day_of_year + 2) / 153;
    let month = if from_march < 10 { from_march + 3 } else { from_march - 9 };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    (year, month, day_of_year - (153 * from_march + 2) / 5 + 1)
}

/// Why a file cannot be had.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ArchiveError {
    /// The archive has no such file, or none yet.
    #[error("the archive has no file {name}")]
    Missing {
        /// Its name.
        name: String,
    },
    /// The file is not the one that its checksum was made of: cut, or replaced meanwhile.
    #[error("the archive's file {name} does not match its checksum")]
    Checksum {
        /// Its name.
        name: String,
    },
    /// Longer than any honest file.
    #[error("the archive's file {name} is longer than {bytes_max} bytes")]
    TooLong {
        /// Its name.
        name: String,
        /// The cap.
        bytes_max: usize,
    },
    /// An answer that is no file.
    #[error("the archive answers HTTP {status} for {name}")]
    Status {
        /// Its name.
        name: String,
        /// HTTP status.
        status: u16,
    },
    /// No complete answer.
    #[error("the archive does not give {name}")]
    Transport {
        /// The file's name.
        name: String,
        /// What the HTTP client says.
        #[source]
        source: reqwest::Error,
    },
}

/// Fetches files of the archive. Clones share connections.
#[derive(Debug, Clone)]
pub struct ArchiveClient {
    http: reqwest::Client,
    base_url: String,
}

impl ArchiveClient {
    /// A client for one archive; opens nothing yet.
    ///
    /// # Errors
    /// [`BinanceError`] if the address cannot be used.
    pub fn new(config: ArchiveConfig, tls: &Tls) -> Result<Self, BinanceError> {
        let (base_url, scheme) = check_address(&config.base_url, Purpose::Rest, config.plain_text)?;
        let http = tls
            .http(scheme)
            .user_agent(config.user_agent)
            .connect_timeout(config.connect_timeout)
            .timeout(config.request_timeout)
            // What is packed stays packed: the checksum is that of the file as it lies there.
            .no_gzip()
            .build()
            .map_err(BinanceError::Client)?;
        Ok(Self { http, base_url })
    }

    /// The zip with the klines of one day or month.
    ///
    /// # Errors
    /// [`ArchiveError`]; a file without a checksum beside it is not taken.
    pub async fn klines(
        &self,
        symbol: &str,
        period: Period,
        span: ArchiveSpan,
    ) -> Result<Bytes, ArchiveError> {
        let (name, path) = (span.file_name(symbol, period), span.path(symbol, period));
        let sum = self.get(&name, &format!("{path}.CHECKSUM"), CHECKSUM_BYTES_MAX).await?;
        let file = self.get(&name, &path, FILE_BYTES_MAX).await?;
        if is_sum_of(&sum, &name, &file) { Ok(file) } else { Err(ArchiveError::Checksum { name }) }
    }

    async fn get(&self, name: &str, path: &str, bytes_max: usize) -> Result<Bytes, ArchiveError> {
        let name = || name.to_owned();
        let transport = |source: reqwest::Error| ArchiveError::Transport {
            name: name(),
            source: source.without_url(),
        };
        let address = format!("{}/{path}", self.base_url);
        let mut answer: Response = self.http.get(address).send().await.map_err(transport)?;
        match answer.status() {
            StatusCode::OK => {}
            StatusCode::NOT_FOUND => return Err(ArchiveError::Missing { name: name() }),
            status => return Err(ArchiveError::Status { name: name(), status: status.as_u16() }),
        }
        let mut body = BytesMut::new();
        while let Some(chunk) = answer.chunk().await.map_err(transport)? {
            if body.len() + chunk.len() > bytes_max {
                return Err(ArchiveError::TooLong { name: name(), bytes_max });
            }
            body.extend_from_slice(&chunk);
        }
        Ok(body.freeze())
    }
}

/// Whether `sum` is the line that `sha256sum` prints for `file`, called `name`.
fn is_sum_of(sum: &[u8], name: &str, file: &[u8]) -> bool {
    let Some(text) = std::str::from_utf8(sum).ok() else { return false };
    let mut words = text.split_whitespace();
    let (Some(wanted), Some(named), None) = (words.next(), words.next(), words.next()) else {
        return false;
    };
    let digest = Sha256::digest(file);
    let digits = format!("{digest:x}");
    wanted.eq_ignore_ascii_case(&digits) && named.trim_start_matches('*') == name
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 2026-10-08T12:02:13Z.
    const NOW: UnixMillis = UnixMillis(1_791_460_933_250);

    #[test]
    fn a_time_lies_in_the_file_that_is_published_by_now() {
        let check = |days_ago: i64, now: UnixMillis, expected: Option<&str>| {
            let span = ArchiveSpan::holding(NOW.plus(-days_ago * DAY_MS), now);
            let name = span.map(|span| span.path("币安人生USDT", Period::M1));
            let folder = "data/futures/um";
            let expected = expected.map(|rest| format!("{folder}/{rest}"));
            assert_eq!(name, expected, "{days_ago} days ago");
        };
        let daily = "daily/klines/币安人生USDT/1m/币安人生USDT-1m-2026-10";
        check(0, NOW, None);
        check(1, NOW, Some(&format!("{daily}-07.zip")));
        check(1, NOW.plus(-4 * 3_600_000), None);
        check(7, NOW, Some(&format!("{daily}-01.zip")));
        let september = "monthly/klines/币安人生USDT/1m/币安人生USDT-1m-2026-09.zip";
        check(8, NOW.plus(DAY_MS), Some(september));
        check(8, NOW, Some("daily/klines/币安人生USDT/1m/币安人生USDT-1m-2026-09-30.zip"));
        let day = ArchiveSpan::holding(UnixMillis(1_582_934_400_000), NOW).unwrap();
        assert_eq!(day.file_name("BTCUSDT", Period::Mo1), "BTCUSDT-1mo-2020-02.zip");
        assert_eq!(day.until.since(day.from), 29 * DAY_MS);
    }

    #[test]
    fn a_checksum_names_its_file_and_its_digest() {
        let empty = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
        let check = |line: String, expected: bool| {
            assert_eq!(is_sum_of(line.as_bytes(), "A-1m-2026-10.zip", b""), expected, "{line}");
        };
        check(format!("{empty}  A-1m-2026-10.zip\n"), true);
        check(format!("{}  A-1m-2026-10.zip", empty.to_uppercase()), true);
        check(format!("{empty}  B-1m-2026-10.zip\n"), false);
        check(format!("{}  A-1m-2026-10.zip\n", empty.replace('e', "f")), false);
        check(empty.to_owned(), false);
        check(format!("{empty}  A-1m-2026-10.zip\n{empty}  A-1m-2026-10.zip\n"), false);
        check(String::new(), false);
        assert!(!is_sum_of(&[0xff, 0xfe], "A", b""));
    }
}
