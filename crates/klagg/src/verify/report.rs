//! What was compared, counted and printed.

use std::cmp::Reverse;
use std::fmt::Write as _;
use std::io::Write as _;
use std::sync::Arc;

use anyhow::Context;
use klagg_kline::{Kline, Period, UnixMillis};

use super::field::{Field, Match, Matches};

/// Klines with a difference that are kept to be listed.
const KEPT_MAX: usize = 10_000;

/// A kline of ours and the exchange's of the same slot.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Pair<'a> {
    pub(crate) symbol: &'a Arc<str>,
    pub(crate) period: Period,
    pub(crate) ours: &'a Kline,
    pub(crate) official: &'a Kline,
}

/// A kline that is not equal.
#[derive(Debug, Clone)]
struct Row {
    symbol: Arc<str>,
    period: Period,
    ours: Kline,
    official: Kline,
    found: Matches,
}

/// Counts by field.
#[derive(Debug, Clone, Copy, Default)]
struct Tally {
    equal: u64,
    explained: u64,
    different: u64,
}

/// Everything that `verify` prints.
#[derive(Debug)]
pub(crate) struct Report {
    tallies: [Tally; 9],
    judged: [bool; 9],
    compared: u64,
    /// Klines whose judged fields are all equal.
    all_equal: u64,
    all_explained: u64,
    incomplete: u64,
    not_covered: u64,
    rows: Vec<Row>,
}

impl Report {
    /// An empty report; `ignored` fields are counted and not judged.
    pub(crate) fn new(ignored: &[Field]) -> Self {
        Self {
            tallies: [Tally::default(); 9],
            judged: Field::ALL.map(|field| !ignored.contains(&field)),
            compared: 0,
            all_equal: 0,
            all_explained: 0,
            incomplete: 0,
            not_covered: 0,
            rows: Vec::new(),
        }
    }

    /// Klines that the trades do not touch, or that no trade places.
    pub(crate) fn not_covered(&mut self, count: usize) {
        self.not_covered += count as u64;
    }

    /// A kline of which the recording has a part.
    pub(crate) fn incomplete(&mut self) {
        self.incomplete += 1;
    }

    /// A compared kline and the fate of its fields.
    pub(crate) fn add(&mut self, pair: &Pair<'_>, found: Matches) {
        self.compared += 1;
        for (tally, field) in self.tallies.iter_mut().zip(found) {
            match field {
                Match::Equal => tally.equal += 1,
                Match::Explained => tally.explained += 1,
                Match::Different => tally.different += 1,
            }
        }
        let judged = found.iter().zip(self.judged).filter(|(_, judged)| *judged);
        let mut judged = judged.map(|(field, _)| *field);
        if judged.clone().all(|field| field == Match::Equal) {
            self.all_equal += 1;
            return;
        }
        if judged.all(|field| field != Match::Different) {
            self.all_explained += 1;
        } else if self.rows.len() < KEPT_MAX {
            self.rows.push(Row {
                symbol: Arc::clone(pair.symbol),
                period: pair.period,
                ours: *pair.ours,
                official: *pair.official,
                found,
            });
        }
    }

    /// Klines that were compared.
    pub(crate) fn compared(&self) -> u64 {
        self.compared
    }

    /// Whether a judged value differs; explained ones only count if `strict`.
    pub(crate) fn is_different(&self, strict: bool) -> bool {
        let clean = self.all_equal + if strict { 0 } else { self.all_explained };
        clean < self.compared
    }

    /// The rows that differ most: by the share of the volume, then by the number of fields.
    fn worst(&self) -> Vec<&Row> {
        let mut rows: Vec<&Row> = self.rows.iter().collect();
        rows.sort_by_key(|row| {
            let volume = row.official.volume.scaled().max(1);
            let apart = (row.official.volume - row.ours.volume).scaled().abs();
            let share = apart.saturating_mul(1_000_000) / volume;
            let fields = self.differing(row).count();
            Reverse((share, fields))
        });
        rows
    }

    fn differing<'a>(&'a self, row: &'a Row) -> impl Iterator<Item = Field> + 'a {
        let fields = Field::ALL.into_iter().zip(row.found).zip(self.judged);
        fields
            .filter(|((_, found), judged)| *judged && *found == Match::Different)
            .map(|((field, _), _)| field)
    }

    fn text(&self, worst: usize) -> String {
        let mut text = String::new();
        let different = self.compared - self.all_equal - self.all_explained;
        // Writing to a `String` cannot fail.
        let _ = writeln!(
            text,
            "{} klines compared: {} equal, {} explained, {different} different; \
             {} incomplete, {} not covered",
            self.compared, self.all_equal, self.all_explained, self.incomplete, self.not_covered
        );
        let _ =
            writeln!(text, "{:24}{:>10}{:>11}{:>11}", "field", "equal", "explained", "different");
        for ((field, tally), judged) in Field::ALL.into_iter().zip(self.tallies).zip(self.judged) {
            let Tally { equal, explained, different } = tally;
            let note = if judged { "" } else { "  ignored" };
            let name = field.name();
            let _ = writeln!(text, "{name:24}{equal:>10}{explained:>11}{different:>11}{note}");
        }
        let rows = self.worst();
        if !rows.is_empty() && worst > 0 {
            let shown = worst.min(rows.len());
            let _ = writeln!(text, "worst {shown} of {different} different klines:");
        }
        for row in rows.into_iter().take(worst) {
            let open_time = readable(row.official.open_time);
            let _ = writeln!(text, "{} {} {open_time}", row.symbol, row.period);
            for field in self.differing(row) {
                let (ours, official) = (field.scaled(&row.ours), field.scaled(&row.official));
                let _ = writeln!(
                    text,
                    "  {:24}ours {:>20}  official {:>20}  apart {:>18}",
                    field.name(),
                    field.text(ours),
                    field.text(official),
                    field.text(ours - official),
                );
            }
        }
        text
    }
}

/// Prints the report to stdout. A reader that has gone away is no error.
///
/// # Errors
/// Any other error of stdout.
pub(crate) fn print(report: &Report, worst: usize) -> anyhow::Result<()> {
    match std::io::stdout().write_all(report.text(worst).as_bytes()) {
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => {
            Err(error).context("cannot write to stdout")
        }
        _ => Ok(()),
    }
}

/// `2024-10-28 16:00:00Z`.
fn readable(time: UnixMillis) -> String {
    let (days, millis) = (time.0.div_euclid(86_400_000), time.0.rem_euclid(86_400_000));
    // The civil calendar from a day number, years counted from March so that the leap day is last.
    let shifted = days + 719_468;
    let (era, day_of_era) = (shifted.div_euclid(146_097), shifted.rem_euclid(146_097));
    let year_of_era =
        (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    let seconds = millis / 1_000;
    let (hour, minute, second) = (seconds / 3_600, seconds / 60 % 60, seconds % 60);
    format!("{year:04}-{month:02}-{day:02} {hour:02}:{minute:02}:{second:02}Z")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn open_times_are_readable() {
        assert_eq!(readable(UnixMillis(1_730_131_200_000)), "2024-10-28 16:00:00Z");
        assert_eq!(readable(UnixMillis(1_709_210_096_789)), "2024-02-29 12:34:56Z");
        assert_eq!(readable(UnixMillis(0)), "1970-01-01 00:00:00Z");
    }
}
