//! What was found, by kind, with what to do next.

use std::collections::BTreeMap;
use std::fmt::Write;

/// Places of one kind that are listed; the others are counted.
const LISTED_MAX: usize = 10;

const ANEW: &str = "stop klagg, move klagg.db, klagg.db-wal and klagg.db-shm away, and start it: \
                    it fetches its history anew. `klagg export` saves what can still be read";
const IMPORT: &str = "stop klagg and `klagg import` the exchange's dumps of that time, which \
                      replace what is damaged and fill what is missing";

/// Kinds of findings, the gravest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Kind {
    File,
    Symbols,
    Lost,
    Coverage,
    Impossible,
    Damaged,
    Hole,
    Rollup,
}

impl Kind {
    fn title(self) -> &'static str {
        match self {
            Self::File => "the file is damaged",
            Self::Symbols => "the symbols are not in order",
            Self::Lost => "rows that no read finds",
            Self::Coverage => "the store's account of a history is wrong",
            Self::Impossible => "rows that are no klines",
            Self::Damaged => "rows that do not match their checksum",
            Self::Hole => "klines missing where the store says it is complete",
            Self::Rollup => "longer klines that are not the sum of their confirmed minutes",
        }
    }

    fn advice(self) -> &'static str {
        match self {
            Self::File | Self::Symbols | Self::Lost | Self::Coverage | Self::Impossible => ANEW,
            Self::Damaged | Self::Hole => IMPORT,
            Self::Rollup => {
                "one of the two is not the exchange's own: run doctor again in a minute if klagg \
                 is running; if it stays, stop klagg, move klagg.db, klagg.db-wal and klagg.db-shm \
                 away, and start it"
            }
        }
    }
}

/// All findings.
#[derive(Debug, Default)]
pub(super) struct Findings {
    kinds: BTreeMap<Kind, Found>,
    count: u64,
}

#[derive(Debug, Default)]
struct Found {
    count: u64,
    listed: Vec<String>,
}

impl Findings {
    /// Notes one; its words are made only if they are shown.
    pub(super) fn add(&mut self, kind: Kind, place: &str, detail: impl FnOnce() -> String) {
        self.count += 1;
        let found = self.kinds.entry(kind).or_default();
        found.count += 1;
        if found.listed.len() < LISTED_MAX {
            found.listed.push(format!("{place}: {}", detail()));
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// One word for all.
    pub(super) fn verdict(&self) -> String {
        match self.count {
            0 => "all well".to_owned(),
            1 => "1 finding".to_owned(),
            count => format!("{count} findings"),
        }
    }

    /// The findings, and below each kind what to do next.
    pub(super) fn report(&self) -> String {
        let mut text = String::new();
        for (kind, found) in &self.kinds {
            // Writing to a String cannot fail.
            let _ = writeln!(text, "{} ({}):", kind.title(), found.count);
            for line in &found.listed {
                let _ = writeln!(text, "  {line}");
            }
            let more = found.count - found.listed.len() as u64;
            if more > 0 {
                let _ = writeln!(text, "  … and {more} more");
            }
            let _ = writeln!(text, "  next: {}", kind.advice());
        }
        text
    }
}
