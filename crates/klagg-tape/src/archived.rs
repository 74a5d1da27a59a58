//! One file of klines of the exchange's public archive, held in memory.
//!
//! Always true here:
//! - All of it or nothing: one row that cannot be trusted, and the file is refused.
//! - What it unpacks to is bounded, whatever the zip says of itself.
//!
//! Deliberately absent: whether the rows are those of the day or month that was asked for, and
//! what is done where one is missing.

use std::sync::Arc;

use klagg_kline::{Kline, Period};

use crate::{KlineOrigin, KlineSource, TapeError};

/// Klines beyond which no file is honest: the minutes of a month.
const KLINES_MAX: usize = 31 * 24 * 60;
/// Plain bytes beyond which none is: those minutes, at three times the length of a long row.
const PLAIN_BYTES_MAX: u64 = 24 << 20;

/// Why a file is refused.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ArchivedError {
    /// It is cut off, no archive, or holds no klines.
    #[error("it cannot be read")]
    Unreadable(#[source] TapeError),
    /// A row that is not what the file should hold.
    #[error("row {line} {reason}")]
    Row {
        /// Which, from 1.
        line: u64,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// Rows that cannot be read.
    #[error("{0}")]
    Malformed(String),
}

/// The klines of `symbol` in a file called `name`, in the order in which they stand there.
///
/// # Errors
/// [`ArchivedError`] says why none of it is used.
///
/// # Examples
///
/// ```
/// use klagg_kline::Period;
/// use klagg_tape::archived_klines;
///
/// let row = "1704153600000,1,2,1,2,9,1704153659999,18,3,4,8,0\n";
/// let name = "BTCUSDT-1m-2024-01-02.csv";
/// let klines = archived_klines("BTCUSDT", Period::M1, name, row.as_bytes())?;
/// assert_eq!(klines[0].trade_count, 3);
/// # Ok::<(), klagg_tape::ArchivedError>(())
/// ```
pub fn archived_klines(
    symbol: &str,
    period: Period,
    name: &str,
    bytes: &[u8],
) -> Result<Vec<Kline>, ArchivedError> {
    let source = KlineSource::of_bytes(name, Arc::from(bytes), PLAIN_BYTES_MAX);
    let mut source = source.map_err(ArchivedError::Unreadable)?;
    let mut klines = Vec::new();
    while let Some(row) = source.next_kline().map_err(ArchivedError::Unreadable)? {
        let refuse = |reason| Err(ArchivedError::Row { line: row.line, reason });
        if row.origin != KlineOrigin::Dump {
            return refuse("is not in the layout of the archive");
        }
        if *row.symbol != *symbol {
            return refuse("is of another symbol");
        }
        if row.period != period {
            return refuse("is of another period");
        }
        if row.from_doubles {
            return refuse("has a value that was rounded");
        }
        if klines.len() >= KLINES_MAX {
            return refuse("is more than a month holds");
        }
        klines.push(row.kline);
        first_malformed(&source)?;
    }
    first_malformed(&source)?;
    Ok(klines)
}

/// Refuses at once what has a row that cannot be read, or ends in the middle of one.
fn first_malformed(source: &KlineSource) -> Result<(), ArchivedError> {
    let counters = source.counters();
    let sample = counters.samples.first().map(ToString::to_string);
    match sample {
        Some(sample) => Err(ArchivedError::Malformed(sample)),
        None if counters.malformed > 0 || counters.truncated > 0 => {
            Err(ArchivedError::Malformed("it ends in the middle".to_owned()))
        }
        // Of other symbols, other streams: nothing of the kind belongs here.
        None if counters.given < counters.rows => {
            Err(ArchivedError::Malformed("a row is no kline of it".to_owned()))
        }
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    const NAME: &str = "AUSDT-1m-2024-01-02.zip";

    fn row(minute: i64) -> String {
        let open = 1_704_153_600_000 + minute * 60_000;
        format!("{open},1.0,1.0,1.0,1.0,2.0,{},2.0,1,1.0,1.0,0\n", open + 59_999)
    }

    fn zip(members: &[(&str, &str)]) -> Vec<u8> {
        let mut writer = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
        for (name, text) in members {
            let options = zip::write::SimpleFileOptions::default();
            writer.start_file(*name, options).unwrap();
            writer.write_all(text.as_bytes()).unwrap();
        }
        writer.finish().unwrap().into_inner()
    }

    fn check(bytes: &[u8], expected: Result<usize, &str>) {
        match (archived_klines("AUSDT", Period::M1, NAME, bytes), expected) {
            (Ok(klines), Ok(count)) => assert_eq!(klines.len(), count),
            (Err(error), Err(words)) => {
                let mut text = error.to_string();
                let mut cause: Option<&dyn std::error::Error> = Some(&error);
                while let Some(of) = cause.and_then(std::error::Error::source) {
                    text = format!("{text}: {of}");
                    cause = Some(of);
                }
                assert!(text.contains(words), "{text}, not {words}");
            }
            (read, expected) => panic!("{read:?}, not {expected:?}"),
        }
    }

    #[test]
    fn a_file_is_taken_whole_or_not_at_all() {
        let header = "open_time,open,high,low,close,volume,close_time,quote_volume,count,\
                      taker_buy_volume,taker_buy_quote_volume,ignore\n";
        let rows = |minutes: &[i64]| minutes.iter().copied().map(row).collect::<String>();
        let member = "AUSDT-1m-2024-01-02.csv";
        let good = zip(&[(member, &format!("{header}{}", rows(&[0, 1, 2])))]);
        check(&good, Ok(3));
        check(&zip(&[(member, &rows(&[0, 1]))]), Ok(2));
        // Order and holes are for whoever knows what was asked for.
        check(&zip(&[(member, &rows(&[0, 2, 1]))]), Ok(3));
        for length in [0, 3, 40, good.len() / 2, good.len() - 1] {
            check(&good[..length], Err("it cannot be read"));
        }
        let bad = format!("{}nonsense,1,1,1,1,1,1,1,1,1,1,1\n", rows(&[0, 1]));
        check(&zip(&[(member, &bad)]), Err(":3: "));
        check(&zip(&[(member, header)]), Err("nothing usable"));
        check(&zip(&[("BUSDT-1m-2024-01-02.csv", &rows(&[0]))]), Err("of another symbol"));
        let hour = row(0).replace("1704153659999", "1704157199999");
        check(&zip(&[(member, &hour)]), Err("of another period"));
        let rounded = row(0).replace(",2.0,1704", ",218271.54200000002,1704");
        check(&zip(&[(member, &rounded)]), Err("rounded"));
        check(&zip(&[("readme.md", "no rows")]), Err("no member"));
        check(b"agg_trade_id,price\n1,2\n", Err("it cannot be read"));
    }

    #[test]
    fn a_zip_that_unpacks_without_end_is_given_up() {
        let member = "AUSDT-1m-2024-01-02.csv";
        let bomb = zip(&[(member, &format!("{}{}", row(0), "0".repeat(64 << 20)))]);
        assert!(bomb.len() < 1 << 20);
        check(&bomb, Err("more bytes than it may"));
        let rows: String = (0..=44_640).map(row).collect();
        check(&zip(&[(member, &rows)]), Err("more than a month holds"));
    }

    #[test]
    fn whatever_byte_is_flipped_no_kline_changes() {
        let rows: String = (0..20).map(row).collect();
        let good = zip(&[("AUSDT-1m-2024-01-02.csv", &rows)]);
        let klines = archived_klines("AUSDT", Period::M1, NAME, &good).unwrap();
        for at in 0..good.len() {
            let mut bytes = good.clone();
            bytes[at] ^= 0x41;
            if let Ok(read) = archived_klines("AUSDT", Period::M1, NAME, &bytes) {
                assert_eq!(read, klines, "byte {at}");
            }
        }
    }
}
