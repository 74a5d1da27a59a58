//! When to look at the exchange's list of symbols, and what a look changes for those who follow
//! them. Pure: time is an argument.
//!
//! Always true here:
//! - News of a listing or a settlement makes a look due at once, and so does the time at which one
//!   was announced for; yet looks are never closer together than the pause.
//! - What a look cannot settle is looked at again, ever more seldom; nothing else is.
//! - A list is as old as the exchange says, not as the request that brought it: that may wait for
//!   its weight as long as a ban lasts.
//! - A symbol is followed from when its follower says so until it says otherwise: what was not
//!   carried out is asked for again.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::time::Duration;

use klagg_kline::{SymbolId, TradeId, UnixMillis};
use klagg_symbols::SymbolTable;
use klagg_wire::ContractInfo;

use crate::Now;
use crate::look::{Discovery, PENDING, TRADING};
use crate::symbols::{SymbolFilter, is_of_a_kind_that_is_folded};

/// What should have happened so long ago and has not is looked for no more.
const LATE_MS: i64 = 10 * 60_000;
/// A symbol that came on board so lately has traded so little that what was missed can be told.
const YOUNG_MS: i64 = 5 * 60_000;
/// Times that are waited for; the earliest are kept.
const AWAITED_MAX: usize = 1_024;
/// While a time is waited for, the exchange's clock is looked at so often: it is not ours.
const GLANCE: Duration = Duration::from_secs(1);

/// Numbers of a [`Lookout`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LookoutConfig {
    /// The list is looked at so often even if nothing points to a change.
    pub cadence: Duration,
    /// Looks are at least so far apart.
    pub pause: Duration,
    /// While a look settles nothing, the pause doubles up to this.
    pub pause_max: Duration,
    /// A look that failed is repeated after this.
    pub retry_pause: Duration,
}

/// Decides when to look.
#[derive(Debug)]
pub struct Lookout {
    config: LookoutConfig,
    filter: SymbolFilter,
    followed: BTreeSet<SymbolId>,
    /// Numbered by a look and not followed yet: when each came on board.
    young: BTreeMap<SymbolId, UnixMillis>,
    /// Names that trade, and are not wanted or have no room.
    passed_over: HashSet<String>,
    /// Something was heard that a look may settle.
    has_news: bool,
    not_before: Duration,
    poll_at: Duration,
    /// When contracts come on board or are delivered.
    awaited: BTreeSet<UnixMillis>,
    /// The exchange's time at which the look under way began.
    begun_at: UnixMillis,
    /// The exchange's time of the last list: while the machine is suspended our clock stands.
    looked_at: Option<UnixMillis>,
    /// Looks in a row that left something open and changed nothing.
    in_vain: u32,
    /// When each symbol was last seen to trade.
    traded: BTreeMap<SymbolId, UnixMillis>,
}

/// What is to be done after a look, in this order: a name listed anew has the stream of the old.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Moves {
    /// Symbols to be folded no more.
    pub leave: Vec<SymbolId>,
    /// Symbols to be folded from now on.
    pub follow: Vec<SymbolId>,
}

impl Lookout {
    /// A lookout for what `filter` wants that has seen nothing: the first look is due.
    pub fn new(config: LookoutConfig, filter: SymbolFilter) -> Self {
        Self {
            config,
            filter,
            followed: BTreeSet::new(),
            young: BTreeMap::new(),
            passed_over: HashSet::new(),
            has_news: true,
            not_before: Duration::ZERO,
            poll_at: Duration::ZERO,
            awaited: BTreeSet::new(),
            begun_at: UnixMillis(0),
            looked_at: None,
            in_vain: 0,
            traded: BTreeMap::new(),
        }
    }

    /// Which symbols are wanted.
    pub const fn filter(&self) -> &SymbolFilter {
        &self.filter
    }

    /// A name trades: it stood in a ticker of this market.
    pub fn heard(&mut self, name: &str, table: &SymbolTable) {
        let is_followed = table.get_listed(name).is_some_and(|id| self.followed.contains(&id));
        let is_news = !is_followed && !self.passed_over.contains(name);
        self.has_news |= is_news && !mutated!(NewsUnheard);
    }

    /// `!contractInfo` told of a contract. Those of the other market are passed over. Gives the
    /// symbol whose name another listing has, and since when: it may be long until a list shows it.
    pub fn told(
        &mut self,
        contract: &ContractInfo,
        table: &SymbolTable,
    ) -> Option<(SymbolId, UnixMillis)> {
        if contract.coin_margined || !is_of_a_kind_that_is_folded(&contract.contract_type) {
            return None;
        }
        let followed = table.get_listed(&contract.symbol).filter(|id| self.followed.contains(id));
        match followed.and_then(|id| table.entry(id)) {
            Some(entry) => {
                let known = entry.onboard_time.unwrap_or(contract.onboard_time);
                let is_another = contract.onboard_time > known;
                self.has_news |= is_another || contract.status != TRADING;
                self.wait_for(contract.delivery_time);
                return is_another.then_some((entry.id, contract.onboard_time));
            }
            None if contract.status == PENDING => self.wait_for(contract.onboard_time),
            None => self.heard(&contract.symbol, table),
        }
        None
    }

    fn wait_for(&mut self, time: UnixMillis) {
        self.awaited.insert(time);
        if self.awaited.len() > AWAITED_MAX {
            self.awaited.pop_last();
        }
    }

    /// Whether to look now.
    pub fn is_due(&self, now: Now) -> bool {
        let has_come = self.awaited.first().is_some_and(|&time| time <= now.exchange);
        let is_polled = now.local >= self.polled_at(now);
        now.local >= self.not_before && (self.has_news || has_come || is_polled)
    }

    /// When the last list is too old, by our clock or the exchange's.
    fn polled_at(&self, now: Now) -> Duration {
        let Some(looked_at) = self.looked_at else { return self.poll_at };
        let age = Duration::from_millis(now.exchange.since(looked_at).max(0).unsigned_abs());
        self.poll_at.min(now.local + self.config.cadence.saturating_sub(age))
    }

    /// When, by the local clock, to ask [`Lookout::is_due`] again if nothing is heard before.
    pub fn next_deadline(&self, now: Now) -> Duration {
        let ahead = |time: &UnixMillis| {
            let ahead = time.since(now.exchange).max(0).unsigned_abs();
            now.local + Duration::from_millis(ahead).min(GLANCE)
        };
        let polled = self.polled_at(now);
        let awaited = self.awaited.first().map_or(polled, ahead);
        let wanted = if self.has_news { now.local } else { awaited.min(polled) };
        wanted.max(self.not_before)
    }

    /// A look begins: what is heard from now on is news to it.
    pub fn begun(&mut self, now: Now) {
        self.has_news = false;
        self.begun_at = now.exchange;
    }

    /// The exchange's time of which the list of the look under way tells: its own, as far as that
    /// is possible.
    pub fn seen_at(&self, now: Now, found: &Discovery) -> UnixMillis {
        let latest = now.exchange.max(self.begun_at);
        found.info.server_time.clamp(self.begun_at, latest)
    }

    /// The look failed, or what it asked for was not carried out.
    pub fn failed(&mut self, now: Now) {
        self.has_news = true;
        self.not_before = now.local + self.config.retry_pause;
    }

    /// The look came to an end.
    pub fn concluded(&mut self, now: Now, found: &Discovery) {
        let rows = found.info.symbols.iter();
        let unwanted = rows.filter(|row| row.status == TRADING && !self.filter.wants(row));
        let unwanted = unwanted.map(|row| &row.name);
        self.passed_over = unwanted.chain(&found.refused).cloned().collect();
        let oldest = now.exchange.plus(-LATE_MS);
        self.awaited.retain(|&time| time > now.exchange);
        self.young.retain(|_, &mut time| time > now.exchange.plus(-YOUNG_MS));
        let awaited = found.awaited.iter().copied().filter(|&time| time > oldest);
        awaited.for_each(|time| self.wait_for(time));
        let is_late = self.awaited.first().is_some_and(|&time| time <= now.exchange);
        let is_settled = found.postponed.is_empty() && !is_late;
        let is_in_vain = !is_settled && found.changes.is_empty();
        self.in_vain = if is_in_vain { self.in_vain.saturating_add(1) } else { 0 };
        self.has_news |= !found.postponed.is_empty();
        let longer = self.config.pause.saturating_mul(1 << self.in_vain.min(16));
        let pause = longer.min(self.config.pause_max.max(self.config.pause));
        self.not_before = now.local + pause;
        self.poll_at = now.local + self.config.cadence;
        let seen_at = self.seen_at(now, found);
        self.looked_at = Some(seen_at);
        // Of a name about which the exchange did not answer, nobody knows whose trades they are.
        let own = found.active.iter().filter(|id| found.listed.contains(id));
        self.traded.extend(own.map(|&id| (id, seen_at)));
    }

    /// What a look asks of those who follow symbols.
    pub fn moves(&mut self, found: &Discovery, table: &SymbolTable) -> Moves {
        let dated = found.appended.iter().filter_map(|entry| Some((entry.id, entry.onboard_time?)));
        self.young.extend(dated);
        // Not only what was numbered just now: a symbol that was halted at our start has its
        // number, and trades again.
        let new = found.active.iter().copied().filter(|id| !self.followed.contains(id));
        let new = new.filter(|_| !mutated!(ListingNotFollowed) || self.followed.is_empty());
        let has_ended = |id: &SymbolId| table.entry(*id).is_none_or(|entry| entry.delisted);
        Moves {
            leave: self.followed.iter().copied().filter(has_ended).collect(),
            follow: new.collect(),
        }
    }

    /// The id with which a symbol that is to be followed at `now` (exchange time) begins, where
    /// that is known: the ids of what has just come on board begin at 1.
    pub fn next_id(&self, symbol: SymbolId, now: UnixMillis) -> Option<TradeId> {
        let onboard_time = *self.young.get(&symbol)?;
        (onboard_time > now.plus(-YOUNG_MS)).then_some(TradeId(1))
    }

    /// These are folded and subscribed from now on.
    pub fn has_followed(&mut self, symbols: &[SymbolId]) {
        self.followed.extend(symbols);
        self.young.retain(|id, _| !self.followed.contains(id));
    }

    /// These are folded no more.
    pub fn has_left(&mut self, symbols: &[SymbolId]) {
        self.followed.retain(|id| !symbols.contains(id));
    }

    /// When a look last saw each symbol trade.
    pub const fn traded(&self) -> &BTreeMap<SymbolId, UnixMillis> {
        &self.traded
    }
}

#[cfg(test)]
mod tests;
