//! What the confirmation of settled minutes spends: a tenth of the exchange's limit at most, in any
//! minute.
//!
//! The first such page of a symbol is not counted, nor where it is asked for again: what was added
//! while the process runs has a pass over its history, and that may be of it
//! (`the_history_of_many_listings_is_no_confirmation`).

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use klagg_backfill::{Request, What};
use klagg_binance::Priority;
use klagg_kline::{KlineStatus, Period, SymbolId, UnixMillis};

use crate::market::MINUTE;
use crate::oracle::Oracle;
use crate::outcome::Rule;
use crate::process::Process;
use crate::scenario::Scenario;

/// The part of the limit, in percent.
const SETTLED_PERCENT: u32 = 10;

/// What was asked for within the last minute by the time of the process.
#[derive(Debug, Default)]
pub(super) struct Spending {
    settled: VecDeque<(Duration, u32)>,
    /// By symbol: where the first page began.
    first: BTreeMap<SymbolId, UnixMillis>,
}

impl Oracle {
    /// The process asks for something. A page of minutes that are all closed, none of them
    /// confirmed or in doubt, is confirmation; unless a longer kline that ended with one of them
    /// is in doubt, which they mend.
    pub(crate) fn asked_for(
        &mut self,
        now: Duration,
        request: &Request,
        (process, scenario): (&Process, &Scenario),
    ) {
        // What a start waits for is urgent, and history that can wait is neither.
        let (Priority::Normal, What::Klines(page)) = (request.priority, &request.what) else {
            return;
        };
        let history = &process.gateway.history;
        let is_closed = |open: &UnixMillis| {
            let record = history.get(request.symbol, 0, *open);
            let mut longer = scenario.periods.as_slice().iter().enumerate().skip(1);
            let in_doubt = longer.any(|(index, period)| {
                let end = period.next_open_time(*open);
                let record = history.get(request.symbol, index, period.open_time(*open));
                let is_provisional = record.is_some_and(|of| of.status == KlineStatus::Provisional);
                end == open.plus(MINUTE) && is_provisional
            });
            record.is_some_and(|record| record.status == KlineStatus::Closed) && !in_doubt
        };
        let next = |open: &UnixMillis| Some(open.plus(MINUTE)).filter(|&next| next < page.until);
        let mut minutes = std::iter::successors(Some(page.from), next);
        if page.period != Period::M1 || !minutes.all(|open| is_closed(&open)) {
            return;
        }
        let Spending { settled: spent, first } = &mut self.spending;
        if *first.entry(request.symbol).or_insert(page.from) == page.from {
            return;
        }
        spent.retain(|&(at, _)| now.saturating_sub(at) < Duration::from_mins(1));
        spent.push_back((now, request.weight()));
        let sum: u32 = spent.iter().map(|&(_, weight)| weight).sum();
        let most = scenario.weight_limit * SETTLED_PERCENT / 100;
        if sum > most {
            let what = format!("{sum} of weight for settled minutes within one, {most} allowed");
            self.violated(Rule::O4, what);
        }
    }
}
