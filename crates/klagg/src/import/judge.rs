//! Row by row: which klines of a file may be stored, and under which status.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use klagg_kline::{KlineRecord, KlineStatus, Period, UnixMillis};
use klagg_tape::{KlineOrigin, SourceKline};

use crate::export::span;

/// Bad rows of a file that are shown.
const SAMPLES_MAX: usize = 5;

/// What holds for all files of a run.
#[derive(Debug, Clone, Copy)]
pub(super) struct Rules {
    /// Klines that end later are not over.
    pub(super) now: UnixMillis,
    /// Whether bad rows are left out instead of making their file bad.
    pub(super) skip_bad: bool,
}

/// What a row is good for.
#[derive(Debug)]
pub(super) enum Verdict {
    /// To be stored.
    Good(KlineRecord),
    /// An open kline of an export, which is not history.
    LeftOut,
    /// Not to be stored; counted.
    Bad,
    /// The file is of a kind that cannot be imported at all.
    Alien(&'static str),
}

/// Judges the rows of one file in their order.
#[derive(Debug)]
pub(super) struct Judge {
    rules: Rules,
    /// The last open time of each symbol and period.
    last: HashMap<(Arc<str>, Period), UnixMillis>,
    /// Rows that are out of order or double, unfinished, or rounded.
    pub(super) disordered: u64,
    pub(super) unfinished: u64,
    pub(super) rounded: u64,
    pub(super) left_out: u64,
    pub(super) samples: Vec<String>,
}

impl Judge {
    pub(super) fn new(rules: Rules) -> Self {
        Self {
            rules,
            last: HashMap::new(),
            disordered: 0,
            unfinished: 0,
            rounded: 0,
            left_out: 0,
            samples: Vec::new(),
        }
    }

    /// Judges the next row.
    pub(super) fn judge(&mut self, row: &SourceKline) -> Verdict {
        let status = match (row.origin, row.status) {
            (KlineOrigin::Dump, None) => KlineStatus::Confirmed,
            (_, Some(status)) if status.is_open() => {
                self.left_out += 1;
                return Verdict::LeftOut;
            }
            (KlineOrigin::Dump | KlineOrigin::Printed, Some(status)) => status,
            (KlineOrigin::Printed, None) => {
                return Verdict::Alien(
                    "its rows name their symbol but no status, so which of them equal the \
                     exchange's own cannot be told; `klagg export --status` writes it",
                );
            }
            (KlineOrigin::Reply, _) => {
                return Verdict::Alien(
                    "a reply of the REST interface, whose last kline may be unfinished",
                );
            }
            (KlineOrigin::Frames, _) => {
                return Verdict::Alien("frames of a stream, which are klines that still grow");
            }
        };
        let open_time = row.kline.open_time;
        if row.from_doubles {
            self.rounded += 1;
            return self.bad(row, "a value was rounded to a double on its way");
        }
        if row.period.close_time(open_time) >= self.rules.now {
            self.unfinished += 1;
            return self.bad(row, "its time is not over");
        }
        let key = (Arc::clone(&row.symbol), row.period);
        if self.last.get(&key).is_some_and(|&last| open_time <= last) {
            self.disordered += 1;
            return self.bad(row, "it does not open later than the row before it");
        }
        self.last.insert(key, open_time);
        Verdict::Good(KlineRecord { kline: row.kline, revision: 0, status })
    }

    /// Rows that may not be stored.
    pub(super) fn bad_rows(&self) -> u64 {
        self.disordered + self.unfinished + self.rounded
    }

    fn bad(&mut self, row: &SourceKline, reason: &str) -> Verdict {
        if self.samples.len() < SAMPLES_MAX {
            let SourceKline { symbol, period, line, .. } = row;
            let at = span::shown(row.kline.open_time);
            let sample = format!("  line {line}, {symbol} {period} at {at}: {reason}");
            self.samples.push(sample);
        }
        Verdict::Bad
    }
}

/// The counts of bad rows by kind, as words.
impl fmt::Display for Judge {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kinds = [
            (self.disordered, "out of order or double"),
            (self.unfinished, "unfinished"),
            (self.rounded, "rounded"),
        ];
        let words: Vec<String> = kinds
            .iter()
            .filter(|(count, _)| *count > 0)
            .map(|(count, what)| format!("{count} {what}"))
            .collect();
        formatter.write_str(&words.join(", "))
    }
}
