//! How far it is: for progress bars, readiness and metrics.

use std::time::Duration;

use klagg_binance::WeightStatus;
use klagg_kline::UnixMillis;

/// What is being done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Phase {
    /// The store's klines are read.
    Loading,
    /// What the open klines are made of is fetched.
    Recent,
    /// Older history is fetched; meanwhile live and history meet.
    History,
    /// All history is there; the minute in which the feed began is waited for.
    Seam,
    /// All history is there; closed klines are confirmed as they come.
    Confirming,
}

impl Phase {
    /// The lower-case name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Loading => "loading",
            Self::Recent => "recent",
            Self::Seam => "seam",
            Self::History => "history",
            Self::Confirming => "confirming",
        }
    }
}

/// What was counted since the start.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct BackfillCounts {
    /// Klines read from the store.
    pub klines_loaded: u64,
    /// Rows of the store that were damaged and left out.
    pub rows_damaged: u64,
    /// Pages fetched and taken over.
    pub pages: u64,
    /// Pages that came but were refused, and are asked for again.
    pub pages_refused: u64,
    /// Pages that did not come, and are asked for again.
    pub pages_failed: u64,
    /// Answers to nobody: of symbols that have ended meanwhile or whose names may stand for others
    /// by now, or to no request that was made.
    pub answers_dropped: u64,
    /// Klines fetched.
    pub klines_fetched: u64,
    /// Klines taken from files of the archive.
    pub klines_archived: u64,
    /// Klines without trades in files of the archive, left to the exchange.
    pub klines_left: u64,
    /// Files of the archive that were read.
    pub files: u64,
    /// Files that the archive does not have.
    pub files_missing: u64,
    /// Files that did not come.
    pub files_failed: u64,
    /// Files that did not equal their checksum.
    pub files_checksum: u64,
    /// Files longer than any honest one.
    pub files_too_long: u64,
    /// Files that could not be read.
    pub files_unreadable: u64,
    /// Files whose klines did not ascend.
    pub files_unsorted: u64,
    /// Files with klines that did not belong into them.
    pub files_out_of_place: u64,
    /// Longer klines folded from confirmed shorter ones.
    pub klines_folded: u64,
    /// Klines that were closed here and found equal to the exchange's.
    pub confirmed_equal: u64,
    /// Klines that were closed here and differed, but not together with their neighbours: an
    /// aggregate straddles the end of the minute.
    pub corrected_straddle: u64,
    /// Klines that were closed here, took late trades, and differed.
    pub corrected_late: u64,
    /// Klines that were closed here, complete by their ids, and differed for no known reason.
    pub corrected_unexplained: u64,
    /// Klines that were provisional here and differed: trades had been missed.
    pub corrected_provisional: u64,
    /// Klines that were confirmed, and for which the exchange now answers differently.
    pub corrected_confirmed: u64,
    /// Holes in the ids that the engine told of.
    pub holes: u64,
    /// Holes left to the klines: too large, not watched, no weight to spare, or the trades were
    /// not had.
    pub holes_left: u64,
    /// Holes filled trade by trade.
    pub holes_filled: u64,
    /// Trades fetched for them.
    pub trades_fetched: u64,
    /// Folded hours and days that equal the exchange's own.
    pub checks_equal: u64,
    /// Folded hours and days that differ: their minutes are fetched anew.
    pub checks_different: u64,
    /// Hours and days that could not be checked: not confirmed here, or no answer.
    pub checks_skipped: u64,
}

impl BackfillCounts {
    /// Klines that have arrived, from wherever.
    pub const fn klines(&self) -> u64 {
        self.klines_loaded + self.klines_fetched + self.klines_archived + self.klines_folded
    }
}

/// A look at the backfill.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BackfillProgress {
    /// What is being done.
    pub phase: Phase,
    /// Whether live and history have met for every symbol: from here on no minute is missing.
    pub ready: bool,
    /// Whether all history that is kept has arrived.
    pub history_complete: bool,
    /// Symbols with which the phase is through.
    pub symbols_done: usize,
    /// All symbols.
    pub symbols_total: usize,
    /// Symbols whose newest closed minutes wait for confirmation.
    pub unconfirmed_symbols: usize,
    /// Up to where the minutes of every symbol are confirmed.
    pub confirmed_until: Option<UnixMillis>,
    /// What was counted.
    pub counts: BackfillCounts,
    /// The weight budget, shared with everybody who asks the exchange.
    pub weight: WeightStatus,
    /// How long the phase will still take at the present pace, if it can be told.
    pub remaining: Option<Duration>,
}

impl BackfillProgress {
    /// Nothing done yet: what a `watch` channel begins with.
    pub fn begin(weight: WeightStatus) -> Self {
        Self {
            phase: Phase::Loading,
            ready: false,
            history_complete: false,
            symbols_done: 0,
            symbols_total: 0,
            unconfirmed_symbols: 0,
            confirmed_until: None,
            counts: BackfillCounts::default(),
            weight,
            remaining: None,
        }
    }
}
