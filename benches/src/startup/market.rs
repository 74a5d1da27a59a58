//! The market of a start: which symbols there are and how old they are.

use std::sync::Arc;

use klagg_engine::HistoryReader;
use klagg_kline::{Period, PeriodSet, UnixMillis};
use klagg_sim::{Desk, SimConfig};

use super::drive::{SETTLE_MS, drive};
use super::{Kept, StartFigures, first_hole};

/// The exchange, its symbols, and what klagg keeps of them.
#[derive(Debug)]
pub struct Market {
    pub(super) desk: Desk,
    pub(super) names: Vec<Arc<str>>,
    pub(super) listed: Vec<UnixMillis>,
    pub(super) limit: u32,
    pub(super) kept: Kept,
    pub(super) periods: PeriodSet,
}

/// A start that is over: the figures, and what klagg holds when it stops.
#[derive(Debug)]
pub struct Start {
    /// What it was like.
    pub figures: StartFigures,
    pub(super) held: HistoryReader,
    /// When it was stopped.
    pub until: UnixMillis,
}

impl Market {
    /// A market of `config`'s perpetuals that trade at `start`, as old then as the exchange's.
    ///
    /// # Panics
    /// If a number of `config` is out of its range.
    pub fn new(config: &SimConfig, start: UnixMillis, kept: Kept) -> Self {
        let mut desk = Desk::new(config, start).expect("numbers that work");
        let is_wanted = |contract: &str| contract.ends_with("PERPETUAL");
        let (mut names, mut listed): (Vec<Arc<str>>, _) = (Vec::new(), Vec::new());
        let wanted = desk.symbols(start).into_iter();
        for symbol in wanted.filter(|of| of.status == "TRADING" && is_wanted(of.contract_type)) {
            let place = names.len();
            let since = Period::M1.open_time(start.plus(-age_ms(place, config.symbols)));
            desk.list_at(&symbol.name, since);
            names.push(Arc::from(symbol.name));
            listed.push(since);
        }
        let limit = config.weight_limit;
        Self { desk, names, listed, limit, kept, periods: PeriodSet::default() }
    }

    /// How old the symbols are, in days: half of them are older than the first number, a quarter
    /// than the second.
    pub fn ages_days(&self, now: UnixMillis) -> (i64, i64) {
        let mut days: Vec<i64> =
            self.listed.iter().map(|&listed| now.since(listed) / 86_400_000).collect();
        days.sort_unstable();
        (days[days.len() / 2], days[days.len() * 3 / 4])
    }

    /// Starts at `at` with an empty store, or with what `before` had stored, and goes on until
    /// everything has arrived and live and history have met.
    ///
    /// # Panics
    /// If something is missing then, or a part breaks its own rules.
    pub fn start(&mut self, at: UnixMillis, before: Option<&Start>) -> Start {
        let (figures, held, until) = drive(self, at, before);
        let hole = first_hole(&held, self.kept, &self.listed, at.plus(-SETTLE_MS));
        assert_eq!(hole, None, "everything is there");
        Start { figures, held, until }
    }
}

/// How old the symbol at `place` of `count` is. The exchange opened 2,640 days ago, had some 80
/// perpetuals after a year, 150 after two, 300 after four and a half, and has since listed one
/// nearly every day.
fn age_ms(place: usize, count: usize) -> i64 {
    const AGES: [(i64, i64); 7] =
        [(0, 2_640), (80, 2_200), (150, 1_750), (300, 1_000), (400, 640), (600, 280), (740, 1)];
    let of_all = i64::try_from(place * 740 / count.max(1)).unwrap_or(740);
    let after = AGES.iter().position(|&(listed, _)| listed > of_all).unwrap_or(AGES.len() - 1);
    let ((from, older), (to, younger)) = (AGES[after - 1], AGES[after]);
    let days_ms = |days: i64| days * 86_400_000;
    days_ms(older) - days_ms(older - younger) / (to - from) * (of_all - from)
}
