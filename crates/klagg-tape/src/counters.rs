//! What a source read, gave and left out. Nothing is left out without being counted.

/// How many malformed rows are kept as samples.
const SAMPLES_MAX: usize = 5;

/// Malformed rows that are always forgiven, however short the file is.
const BAD_FORGIVEN: u64 = 20;

/// Above [`BAD_FORGIVEN`], one malformed row in this many makes the file unusable.
const BAD_SHARE: u64 = 20;

/// A malformed row, for people.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BadRow {
    /// The file, and the member if it is an archive.
    pub part: String,
    /// Line in a text, element in an array, record in a tape; from 1.
    pub line: u64,
    /// What is wrong with it.
    pub reason: String,
}

impl std::fmt::Display for BadRow {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "{}:{}: {}", self.part, self.line, self.reason)
    }
}

/// Counts of one source since it was opened.
///
/// `rows` is the sum of all the others but `truncated`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SourceCounters {
    /// Rows, array elements or frames read; blank lines and headers are none.
    pub rows: u64,
    /// Rows given to the caller.
    pub given: u64,
    /// Raw trades outside the order book (`X` other than `MARKET`), left out.
    pub off_market: u64,
    /// Rows whose quantity is zero, left out: the exchange's dumps have had some.
    pub zero_quantity: u64,
    /// Frames of other streams, acknowledgements and the like, left out.
    pub other_streams: u64,
    /// Frames of symbols other than the one asked for, left out.
    pub other_symbols: u64,
    /// Trades of COIN-M contracts, left out.
    pub coin_margined: u64,
    /// Rows that could not be read, left out.
    pub malformed: u64,
    /// Parts that ended in the middle: a killed recorder, an unfinished download.
    pub truncated: u64,
    /// The first few malformed rows.
    pub samples: Vec<BadRow>,
}

impl SourceCounters {
    pub(crate) fn count_malformed(&mut self, part: &str, line: u64, reason: String) {
        self.malformed += 1;
        if self.samples.len() < SAMPLES_MAX {
            self.samples.push(BadRow { part: part.to_owned(), line, reason });
        }
    }

    /// Whether so many rows are malformed that the rest is not to be trusted: more than 20, and
    /// more than one in 20.
    pub fn too_many_bad(&self) -> bool {
        self.malformed > BAD_FORGIVEN && self.malformed > self.rows / BAD_SHARE
    }

    /// Adds the counts of another source; samples are kept up to the limit.
    pub fn add(&mut self, other: &Self) {
        self.rows += other.rows;
        self.given += other.given;
        self.off_market += other.off_market;
        self.zero_quantity += other.zero_quantity;
        self.other_streams += other.other_streams;
        self.other_symbols += other.other_symbols;
        self.coin_margined += other.coin_margined;
        self.malformed += other.malformed;
        self.truncated += other.truncated;
        let room = SAMPLES_MAX.saturating_sub(self.samples.len());
        self.samples.extend(other.samples.iter().take(room).cloned());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_few_bad_rows_are_forgiven_and_a_share_of_them_is_not() {
        let check = |rows: u64, malformed: u64, expected: bool| {
            let counters = SourceCounters { rows, malformed, ..SourceCounters::default() };
            assert_eq!(counters.too_many_bad(), expected, "{malformed} of {rows}");
        };
        check(20, 20, false);
        check(21, 21, true);
        check(420, 21, false);
        check(419, 21, true);
        check(1_000_000, 50_000, false);
        check(1_000_000, 50_001, true);
    }

    #[test]
    fn only_the_first_samples_are_kept() {
        let mut counters = SourceCounters::default();
        for line in 1..100 {
            counters.count_malformed("a.csv", line, "bad".to_owned());
        }
        assert_eq!((counters.malformed, counters.samples.len()), (99, SAMPLES_MAX));
        assert_eq!(counters.samples[4].to_string(), "a.csv:5: bad");
    }
}
