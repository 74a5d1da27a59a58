//! History and live have met: said once the minute in which the feed began is the exchange's own,
//! of every symbol, and not before.

use std::collections::BTreeSet;

use klagg_kline::{KlineRecord, KlineStatus, SymbolId, UnixMillis};

use crate::agenda::Millis;
use crate::market::MINUTE;
use crate::oracle::Oracle;
use crate::outcome::Rule;
use crate::plan::{Kind, Plan};
use crate::scenario::Scenario;

/// Where one of these comes, a symbol may rightly not be waited for: it cannot be asked about, or
/// its pages are never right, or it has ended.
const MAY_BE_LEFT: [Kind; 10] = [
    Kind::WrongPages,
    Kind::RestErrors,
    Kind::RestTimeouts,
    Kind::RestOutage,
    Kind::ForeignWeight,
    Kind::Banned,
    Kind::Suspend,
    Kind::Skew,
    Kind::Delisting,
    Kind::Relisting,
];

/// Minutes that were handed on as the exchange's own.
#[derive(Debug, Default)]
pub(super) struct Seam {
    official: BTreeSet<(SymbolId, Millis)>,
}

impl Oracle {
    /// Minutes of a symbol were handed on.
    pub(crate) fn handed_on(&mut self, symbol: SymbolId, records: &[KlineRecord]) {
        let official = records.iter().filter(|of| of.status == KlineStatus::Confirmed);
        self.seam.official.extend(official.map(|of| (symbol, of.kline.open_time.0)));
    }

    /// History and live are said to have met at `until`.
    pub(crate) fn met(
        &mut self,
        until: UnixMillis,
        followed: &BTreeSet<SymbolId>,
        (scenario, plan): (&Scenario, &Plan),
    ) {
        if MAY_BE_LEFT.into_iter().any(|kind| plan.has(kind)) {
            return;
        }
        let last = until.0 - MINUTE;
        let lacks = |symbol: &&SymbolId| {
            let first =
                self.listing(scenario, **symbol).and_then(crate::market::Listing::first_time);
            first.is_some_and(|first| first < last)
                && !self.seam.official.contains(&(**symbol, last))
        };
        if let Some(symbol) = followed.iter().find(lacks) {
            let what = format!("history and live have met at {until}, and {symbol} lacks it");
            self.violated(Rule::O6, what);
        }
    }
}
