//! The oracles: what must be true at every publication, at every commit, and in the end.
//!
//! They know the market and what was delivered to the process; of the product they see what any
//! reader sees. Their arithmetic is their own (`truth`).

mod acknowledged;
mod arrivals;
mod calm;
mod changes;
mod closed;
mod doubt;
mod fills;
mod followed;
mod lacking;
mod listed;
mod numbers;
mod open;
mod seam;
mod shown;
mod silence;
mod slots;
mod sockets;
mod spending;
mod whole;

use std::collections::BTreeMap;

use klagg_engine::ChangedKline;
use klagg_gateway::GlobalKlines;
use klagg_kline::{Kline, KlineRecord, KlineStatus, Period, SymbolId, Trade, UnixMillis};
use klagg_store::Batch;

use crate::agenda::Millis;
use crate::disk::Disk;
use crate::market::Listing;
use crate::oracle::acknowledged::Acknowledged;
use crate::oracle::arrivals::Arrivals;
use crate::oracle::calm::Calm;
use crate::oracle::doubt::Doubts;
use crate::oracle::followed::Followings;
use crate::oracle::seam::Seam;
use crate::oracle::silence::Signs;
use crate::oracle::slots::Slots;
use crate::oracle::sockets::Sockets;
use crate::oracle::spending::Spending;
use crate::outcome::{Rule, Violation, fingerprint};
use crate::plan::Plan;
use crate::process::Process;
use crate::random::mix;
use crate::scenario::Scenario;
use crate::truth::{Truth, official};

/// A kline of a symbol: its number, the period, the open time.
type Place = (SymbolId, Period, Millis);

/// Everything that the oracles remember.
#[derive(Debug)]
pub(crate) struct Oracle {
    violation: Option<Violation>,
    /// By symbol number: which listing it is.
    listings: Vec<u16>,
    connections: usize,
    workers: usize,
    arrivals: Arrivals,
    doubts: Doubts,
    acknowledged: Acknowledged,
    seam: Seam,
    signs: Signs,
    slots: Slots,
    sockets: Sockets,
    calm: Calm,
    /// Where the history's change log was read up to.
    cursor: u64,
    /// Where a reader stands that looks so seldom that it is overtaken.
    slow_cursor: u64,
    /// What this process has said last of each kline.
    said: BTreeMap<Place, KlineRecord>,
    /// Closed klines that lack trades which nobody could know of, as they were shown.
    accepted: BTreeMap<Place, Kline>,
    changes: Vec<ChangedKline>,
    /// By symbol number: since when this process follows it.
    followed_at: BTreeMap<SymbolId, Millis>,
    followings: Followings,
    spending: Spending,
    /// Up to when new listings were looked at.
    listings_seen_at: Millis,
    confirmed: u64,
    closed: u64,
}

impl Oracle {
    pub(crate) fn new(scenario: &Scenario, plan: &Plan) -> Self {
        Self {
            violation: None,
            listings: Vec::new(),
            connections: scenario.connections,
            workers: scenario.workers,
            arrivals: Arrivals::new(scenario),
            doubts: Doubts::new(scenario),
            acknowledged: Acknowledged::default(),
            seam: Seam::default(),
            signs: Signs::new(scenario),
            slots: Slots::default(),
            sockets: Sockets::new(scenario),
            calm: Calm::new(scenario, plan),
            cursor: 0,
            slow_cursor: 0,
            said: BTreeMap::new(),
            accepted: BTreeMap::new(),
            changes: Vec::new(),
            followed_at: BTreeMap::new(),
            followings: Followings::default(),
            spending: Spending::default(),
            listings_seen_at: scenario.start,
            confirmed: 0,
            closed: 0,
        }
    }

    pub(crate) fn take_violation(&mut self) -> Option<Violation> {
        self.violation.take()
    }

    pub(crate) const fn confirmed(&self) -> u64 {
        self.confirmed
    }

    pub(crate) const fn closed(&self) -> u64 {
        self.closed
    }

    /// The first rule that was broken is the one that counts.
    pub(crate) fn violated(&mut self, rule: Rule, what: String) {
        self.violation.get_or_insert(Violation { rule, at: 0, what });
    }

    /// Rules of the exchange that were broken.
    pub(crate) fn broken(&mut self, broken: &mut Vec<String>) {
        for what in broken.drain(..) {
            let is_weight = what.contains("weight") || what.contains("ban") || what.contains("429");
            self.violated(if is_weight { Rule::O4 } else { Rule::O5 }, what);
        }
    }

    /// A new process has started on this disk.
    pub(crate) fn started(&mut self, disk: &Disk, scenario: &Scenario) {
        self.arrivals.forget();
        self.doubts.forget();
        self.acknowledged.restarted();
        self.seam = Seam::default();
        self.signs.forget();
        self.slots = Slots::default();
        self.sockets.forget();
        (self.cursor, self.slow_cursor) = (0, 0);
        self.said.clear();
        self.followed_at.clear();
        self.spending = Spending::default();
        // Numbers that never reached the disk were never anybody's.
        self.listings.truncate(disk.symbols.len());
        self.numbers_must_mean_what_they_meant(disk, scenario);
    }

    /// Symbols are followed from now on.
    pub(crate) fn followed(&mut self, symbols: &[SymbolId], now: Millis) {
        self.acknowledged.followed(symbols);
        self.followed_at.extend(symbols.iter().map(|&symbol| (symbol, now)));
        self.followings.begun(symbols);
    }

    /// An aggregate was sent while no socket that lives was to carry it.
    pub(crate) fn unwanted(&mut self, listing: u16, at: u32) {
        self.arrivals.unwanted(listing, at);
    }

    /// An aggregate was sent while the stream of each socket that was to carry it was dead. A
    /// stream that died while faults came lives again once it is subscribed anew, and of a symbol
    /// that seldom trades nobody can know for minutes that it has to be: until tickers have said
    /// so for long enough, what it leaves out is not lost by us
    /// (`what_a_dead_stream_leaves_out_before_its_tickers_tell_of_it_is_not_lost_by_us`).
    pub(crate) fn withheld(&mut self, listing: u16, at: u32, now: Millis) {
        if !self.signs.is_to_be_renewed(listing, now) {
            self.arrivals.withheld(listing, at);
        }
    }

    /// A trade was handed to the engine as one of `symbol`.
    ///
    /// Until a look has seen that a name was listed anew, its trades go to the old number, where
    /// they are nobody's: the new number, which is followed later, has not been handed them
    /// (`a_number_is_not_asked_for_trades_that_were_handed_to_the_one_before_it`). That the name is
    /// another's is a cause to doubt the old one
    /// (`an_old_number_that_is_handed_the_new_ones_trades_is_doubted`).
    pub(crate) fn delivered(&mut self, symbol: SymbolId, listing: u16, id: i64, now: Millis) {
        match self.listings.get(symbol.index()) {
            Some(&own) if own == listing => self.came(symbol, (listing, id), now),
            Some(&own) if own < listing => {
                self.disturb(now, |number| number == symbol.index());
            }
            _ => {}
        }
    }

    /// Trades that had been missed were handed to the engine.
    pub(crate) fn filled(&mut self, symbol: SymbolId, trades: &[Trade], now: Millis) {
        if let Some(&listing) = self.listings.get(symbol.index()) {
            for trade in trades {
                self.came(symbol, (listing, trade.id.0), now);
            }
        }
    }

    /// A feed was said to be interrupted.
    pub(crate) fn interrupted(&mut self, feed: usize) {
        self.arrivals.cut(feed);
        let connections = self.connections;
        self.disturb(Millis::MIN, |number| number % connections == feed);
    }

    /// A feed is whole: its times may close minutes.
    pub(crate) fn whole(&mut self, feed: usize, now: Millis) {
        self.arrivals.whole(feed, now);
    }

    /// A worker broke, and rests.
    pub(crate) fn broke(&mut self, worker: usize, until: Millis) {
        self.arrivals.broke(worker, until);
        self.stood_still(worker, until);
    }

    /// A feed's time was handed to the engine.
    pub(crate) fn told_time(&mut self, feed: usize, time: UnixMillis) {
        self.arrivals.watermark(feed, time.0);
    }

    /// Looks at a snapshot, and at what the history has taken since the last one.
    pub(crate) fn published(
        &mut self,
        now: Millis,
        klines: &GlobalKlines,
        process: &Process,
        scenario: &Scenario,
        hash: &mut u64,
    ) {
        if let Err(what) = self.slots.look(klines) {
            self.violated(Rule::O3, what);
        }
        let mut changes = std::mem::take(&mut self.changes);
        changes.clear();
        let cursor = process.gateway.history.changes_since(self.cursor, &mut changes, usize::MAX);
        self.must_not_skip(self.cursor, &cursor, changes.len());
        self.cursor = cursor.next;
        if cursor.lost {
            changes::everything_kept(process, &mut changes);
        }
        if klines.sequence.is_multiple_of(changes::SLOW_READER) {
            self.read_slowly(process);
        }
        for change in &changes {
            let index = usize::from(change.period_index);
            let record = process.gateway.history.get(change.symbol, index, change.open_time);
            let Some(record) = record else { continue };
            let period = scenario.periods.get(index);
            *hash = mix(*hash ^ fingerprint(change.symbol, &record));
            self.record(scenario, change.symbol, period, &record);
            self.must_not_fall((change.symbol, period, change.open_time.0), &record);
            if period == Period::M1 {
                self.must_have_a_cause(change.symbol, &record);
            }
        }
        self.changes = changes;
        // What longer klines are made of is known by now.
        self.slots_hold(klines, process, scenario);
        self.lag(now, klines, process, scenario);
        self.must_show_what_was_acknowledged(klines, process, scenario);
        self.calm_minutes(now, process, scenario);
        self.silent_socket(process.clock.elapsed(now), process);
        self.who_trades_is_followed(now, process, scenario);
    }

    /// Looks at what was committed.
    pub(crate) fn committed(&mut self, batch: &Batch, disk: &Disk, scenario: &Scenario) {
        self.acknowledge(batch, disk);
        for row in &batch.closed {
            let key = (row.symbol, row.period);
            if let Some(record) = disk.get(key, row.record.kline.open_time) {
                self.record(scenario, row.symbol, row.period, record);
            }
        }
    }

    /// Checks one kline by what its status promises.
    pub(crate) fn record(
        &mut self,
        scenario: &Scenario,
        symbol: SymbolId,
        period: Period,
        record: &KlineRecord,
    ) {
        let Some(listing) = self.listing(scenario, symbol) else {
            return self.violated(Rule::O8, format!("a kline of {symbol}, which has no number"));
        };
        if let Some(left_at) = self.begins_after_it_was_left(symbol, record) {
            let (open, name) = (record.kline.open_time, &listing.terms.name);
            let what = format!("{period} {open} of {name} ({symbol}), which was left at {left_at}");
            return self.violated(Rule::O3, what);
        }
        match record.status {
            KlineStatus::Confirmed => {
                self.confirmed += 1;
                self.must_be_official(listing, symbol, period, &record.kline);
            }
            KlineStatus::Closed => {
                self.closed += 1;
                self.must_be_the_fold((symbol, listing), scenario, period, &record.kline);
            }
            KlineStatus::Open | KlineStatus::Broken | KlineStatus::Provisional => {}
        }
    }

    fn must_be_official(
        &mut self,
        listing: &Listing,
        symbol: SymbolId,
        period: Period,
        kline: &Kline,
    ) {
        let until = period.next_open_time(kline.open_time).0;
        let truth = official(listing, kline.open_time.0, until, Millis::MAX);
        if truth != Some(truth_of(kline)) {
            let what = format!(
                "{period} of {} ({symbol}) is {:?}, officially {truth:?}",
                listing.terms.name,
                truth_of(kline)
            );
            self.violated(Rule::O1, what);
        }
    }
}

/// What the product says a kline is, in the oracle's words.
pub(crate) fn truth_of(kline: &Kline) -> Truth {
    Truth {
        open_time: kline.open_time.0,
        open: kline.open.scaled(),
        high: kline.high.scaled(),
        low: kline.low.scaled(),
        close: kline.close.scaled(),
        volume: kline.volume.scaled(),
        quote_volume: kline.quote_volume.scaled(),
        taker_volume: kline.taker_buy_volume.scaled(),
        taker_quote_volume: kline.taker_buy_quote_volume.scaled(),
        count: kline.trade_count,
    }
}
