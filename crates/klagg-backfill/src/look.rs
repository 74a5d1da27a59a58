//! One look at the exchange's list of symbols: what it leaves open, and what follows from it. Pure.
//!
//! Always true here:
//! - A number is one listing of a name. A name whose first daily kline, or whose coming on board,
//!   is later than that of its number is another listing: it gets a number of its own, and the old
//!   one stays behind as a tombstone. A contract that was halted and trades again as it was keeps
//!   its number.
//! - A later date alone proves nothing, for dates are corrected. Where nothing is known of what its
//!   number traded, its first minute decides: another listing has none before its own date, also
//!   where it came on board on the day on which the one before it began.
//! - The conclusion depends neither on the order of the list nor on that of the answers.
//! - A list that lacks half of the market, or has rows that cannot be read, proves no absence.
//!
//! Deliberately absent: time, requests, and when to look (that is [`Lookout`](crate::Lookout)).

use std::collections::{BTreeMap, BTreeSet, HashMap};

use bytes::Bytes;
use klagg_kline::{Period, SymbolId, UnixMillis};
use klagg_store::SymbolChange;
use klagg_symbols::{NewSymbol, SymbolEntry, SymbolIndex, SymbolTable, SymbolsError};
use klagg_wire::rest::{ExchangeInfo, SymbolInfo};

use crate::symbols::{SymbolFilter, stored};

/// The status of a symbol that trades, and of one that will.
pub(crate) const TRADING: &str = "TRADING";
pub(crate) const PENDING: &str = "PENDING_TRADING";
/// Statuses from which a contract does not come back; a numbered one has traded, so that it is over
/// if its name is about to be listed. A halt is none of them.
const ENDED: [&str; 7] =
    ["PRE_DELIVERING", "DELIVERING", "DELIVERED", "PRE_SETTLE", "SETTLING", "CLOSE", PENDING];

/// To be asked before a look is concluded: when does the first kline open?
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FirstKline {
    /// Whose.
    pub name: String,
    /// Of which period: of days, where they tell enough.
    pub period: Period,
    /// Klines that open earlier are of another listing.
    pub from: UnixMillis,
}

/// A look under way.
#[derive(Debug)]
pub struct Look {
    info: ExchangeInfo,
    filter: SymbolFilter,
    /// By name, so that the order of the list decides nothing.
    open: BTreeMap<String, Open>,
}

/// A name about which more must be known.
#[derive(Debug)]
struct Open {
    from: UnixMillis,
    case: Case,
    answer: Option<UnixMillis>,
}

#[derive(Debug, Clone, Copy)]
enum Case {
    /// It never had a number.
    Unknown,
    /// It is surely another listing than that of this number.
    Another(SymbolId),
    /// It is another one if its first kline opens later than this.
    Perhaps(SymbolId, UnixMillis),
    /// It is another one if its first minute does not open before this, its date.
    Dated(SymbolId, UnixMillis),
}

impl Case {
    /// The period whose first kline decides.
    const fn period(self) -> Period {
        match self {
            Self::Dated(..) => Period::M1,
            Self::Unknown | Self::Another(_) | Self::Perhaps(..) => Period::D1,
        }
    }
}

/// What becomes of a wanted name.
enum Verdict {
    /// It has this number.
    Keep(SymbolId),
    /// It gets a number; the listing before it, if there was one, is over.
    Number { old: Option<SymbolId>, first_open_time: UnixMillis },
    /// It has no kline yet.
    Wait { old: Option<SymbolId> },
}

/// What a look found, and what it changed in the index.
#[derive(Debug)]
pub struct Discovery {
    /// The exchange's list.
    pub info: ExchangeInfo,
    /// The bytes it came in, to be served to others; empty if the look was not carried out by
    /// [`discover`](crate::discover).
    pub raw: Bytes,
    /// Symbols to be folded, in the order of their numbers.
    pub active: Vec<SymbolId>,
    /// Symbols whose own listings the list holds, whether they trade or have ended.
    pub listed: Vec<SymbolId>,
    /// Symbols that were numbered just now. They must be in the store before anything of them is.
    pub appended: Vec<SymbolEntry>,
    /// Symbols that were made tombstones just now: settled, no longer listed, or their names
    /// listed anew.
    pub retired: Vec<SymbolId>,
    /// Tombstones that are listed again just now: halted for so long that they looked ended.
    pub revived: Vec<SymbolId>,
    /// Wanted names that have no daily kline yet; to be looked at again soon.
    pub postponed: Vec<String>,
    /// Wanted names for which the numbering has no room.
    pub refused: Vec<String>,
    /// What the store is to be told, in this order.
    pub changes: Vec<SymbolChange>,
    /// When selected contracts come on board or are delivered, as far as that lies ahead.
    pub awaited: BTreeSet<UnixMillis>,
}

impl Look {
    /// A look at a list. `traded_until` tells up to when a number is known to have traded.
    pub fn new(
        info: ExchangeInfo,
        filter: &SymbolFilter,
        table: &SymbolTable,
        traded_until: impl Fn(SymbolId) -> Option<UnixMillis>,
    ) -> Self {
        let wanted = info.symbols.iter().filter(|row| filter.wants(row));
        let open = wanted.filter_map(|row| {
            let entry = table.get(&row.name).and_then(|id| table.entry(id));
            let case = match entry {
                None => Case::Unknown,
                Some(entry) => doubt(row, entry, traded_until(entry.id))?,
            };
            let from = match (case, entry) {
                (Case::Another(_), _) => Period::D1.open_time(row.onboard_time),
                (Case::Dated(..), Some(entry)) => entry.first_open_time,
                (Case::Unknown | Case::Perhaps(..) | Case::Dated(..), _) => UnixMillis(0),
            };
            Some((row.name.clone(), Open { from, case, answer: None }))
        });
        let open = open.collect();
        Self { info, filter: filter.clone(), open }
    }

    /// What is to be asked, each name once.
    pub fn questions(&self) -> impl Iterator<Item = FirstKline> {
        let question = |(name, open): (&String, &Open)| {
            let (name, period, from) = (name.clone(), open.case.period(), open.from);
            FirstKline { name, period, from }
        };
        self.open.iter().map(question)
    }

    /// An answer: when the first kline opens; `None` if there is none yet, or the exchange does not
    /// tell. What was not asked is passed over.
    pub fn answer(&mut self, name: &str, first_open_time: Option<UnixMillis>) {
        if let Some(open) = self.open.get_mut(name) {
            open.answer = first_open_time.filter(|&first| first >= open.from);
        }
    }

    /// Numbers what is new, makes tombstones of what has ended.
    ///
    /// # Errors
    /// [`SymbolsError`] for a name that is none; then nothing was numbered. A full numbering is no
    /// error: what does not fit is [refused](Discovery::refused).
    pub fn conclude(self, index: &SymbolIndex) -> Result<Discovery, SymbolsError> {
        let before = index.load();
        let Sorted { kept, new, mut postponed, retired } = self.sort(&before);
        // Ended ones first: neither index nor store may hold two living symbols of one name.
        for &id in &retired {
            index.retire(id)?;
        }
        let mut changes: Vec<_> = retired.iter().copied().map(SymbolChange::Retire).collect();
        let (appended, refused) = append(index, new)?;
        let rows: Vec<_> = appended.iter().map(stored).collect();
        changes.extend((!rows.is_empty()).then_some(SymbolChange::Append(rows)));
        let (mut active, mut revived) = (Vec::with_capacity(self.info.symbols.len()), Vec::new());
        for (id, row) in kept {
            let Some(was) = before.entry(id) else { continue };
            if was.delisted {
                index.revive(id)?;
                revived.push(id);
            }
            index.set_precision(id, row.precision)?;
            // What is still doubted is not taken for known.
            if self.open.get(&row.name).is_none_or(|open| open.answer.is_some()) {
                index.set_onboard_time(id, row.onboard_time)?;
            }
            let is = index.load().entry(id).filter(|&is| is != was).map(stored);
            changes.extend(is.map(SymbolChange::Update));
            active.push(id);
        }
        active.extend(appended.iter().map(|entry| entry.id));
        active.sort_unstable();
        postponed.sort_unstable();
        let (awaited, info) = (self.awaited(), self.info);
        let retired = retired.into_iter().collect();
        Ok(Discovery {
            listed: listed(&info, &index.load()),
            info,
            raw: Bytes::new(),
            active,
            appended,
            retired,
            revived,
            postponed,
            refused,
            changes,
            awaited,
        })
    }

    /// What becomes of each wanted name, and which numbers are over.
    fn sort(&self, table: &SymbolTable) -> Sorted<'_> {
        let (mut kept, mut new, mut postponed) = (BTreeMap::new(), Vec::new(), Vec::new());
        let mut retired = ended(&self.info, table);
        for row in self.info.symbols.iter().filter(|row| self.filter.wants(row)) {
            let old = match self.judge(row, table) {
                Verdict::Keep(id) => {
                    kept.insert(id, row);
                    None
                }
                Verdict::Wait { old } => {
                    postponed.push(row.name.clone());
                    old
                }
                Verdict::Number { old, first_open_time } => {
                    new.push(NewSymbol {
                        name: row.name.clone(),
                        first_open_time,
                        onboard_time: Some(row.onboard_time),
                        precision: row.precision,
                    });
                    old
                }
            };
            retired.extend(old.filter(|&id| is_listed(table, id)));
        }
        Sorted { kept, new, postponed, retired }
    }

    fn judge(&self, row: &SymbolInfo, table: &SymbolTable) -> Verdict {
        let Some(open) = self.open.get(&row.name) else {
            return table.get(&row.name).map_or(Verdict::Wait { old: None }, Verdict::Keep);
        };
        match (open.case, open.answer) {
            (Case::Unknown, Some(first_open_time)) => {
                Verdict::Number { old: None, first_open_time }
            }
            (Case::Another(old), Some(first_open_time)) => {
                Verdict::Number { old: Some(old), first_open_time }
            }
            (Case::Perhaps(old, known), Some(first_open_time)) if first_open_time > known => {
                Verdict::Number { old: Some(old), first_open_time }
            }
            (Case::Dated(old, date), Some(first)) if first >= Period::M1.open_time(date) => {
                Verdict::Number { old: Some(old), first_open_time: Period::D1.open_time(first) }
            }
            (Case::Perhaps(old, _) | Case::Dated(old, _), answer)
                if answer.is_some() || is_listed(table, old) =>
            {
                Verdict::Keep(old)
            }
            (Case::Another(old), None) => Verdict::Wait { old: Some(old) },
            (Case::Unknown | Case::Perhaps(..) | Case::Dated(..), _) => Verdict::Wait { old: None },
        }
    }

    /// When selected contracts come on board or are delivered.
    fn awaited(&self) -> BTreeSet<UnixMillis> {
        let selected = self.info.symbols.iter().filter(|row| self.filter.selects(row));
        let time = |row: &SymbolInfo| match row.status.as_str() {
            PENDING => Some(row.onboard_time),
            TRADING => Some(row.delivery_time),
            _ => None,
        };
        selected.filter_map(time).collect()
    }
}

/// What becomes of a list's names.
struct Sorted<'a> {
    kept: BTreeMap<SymbolId, &'a SymbolInfo>,
    new: Vec<NewSymbol>,
    postponed: Vec<String>,
    retired: BTreeSet<SymbolId>,
}

fn is_listed(table: &SymbolTable, id: SymbolId) -> bool {
    table.entry(id).is_some_and(|entry| !entry.delisted)
}

/// Whether a row of the list may be another listing than its name's number.
fn doubt(row: &SymbolInfo, entry: &SymbolEntry, traded_until: Option<UnixMillis>) -> Option<Case> {
    let perhaps = Case::Perhaps(entry.id, entry.first_open_time);
    let another = Case::Another(entry.id);
    match entry.onboard_time {
        // A date may be corrected at any time, but not to one after trades were seen.
        Some(known) if row.onboard_time > known => Some(match traded_until {
            _ if entry.delisted => another,
            Some(until) if row.onboard_time > until => another,
            Some(_) => perhaps,
            None => Case::Dated(entry.id, row.onboard_time),
        }),
        None if entry.delisted
            && Period::D1.open_time(row.onboard_time) > entry.first_open_time =>
        {
            Some(another)
        }
        Some(_) | None => entry.delisted.then_some(perhaps),
    }
}

/// Numbers whose own listings a list holds: those that came on board later are others.
fn listed(info: &ExchangeInfo, table: &SymbolTable) -> Vec<SymbolId> {
    let own = info.symbols.iter().filter_map(|row| {
        let entry = table.get(&row.name).and_then(|id| table.entry(id))?;
        let is_own = entry.onboard_time.is_some_and(|known| row.onboard_time <= known);
        is_own.then_some(entry.id)
    });
    own.collect()
}

/// Numbers what fits; gives it, and the names that do not fit.
fn append(
    index: &SymbolIndex,
    new: Vec<NewSymbol>,
) -> Result<(Vec<SymbolEntry>, Vec<String>), SymbolsError> {
    match index.append(new) {
        Ok(appended) => Ok((appended, Vec::new())),
        Err(SymbolsError::Full { appended, refused, .. }) => {
            Ok((appended, refused.into_iter().map(|symbol| symbol.name).collect()))
        }
        Err(error) => Err(error),
    }
}

/// Numbers of contracts that have ended at the exchange. What is merely not wanted has not.
fn ended(info: &ExchangeInfo, table: &SymbolTable) -> BTreeSet<SymbolId> {
    let listed = || table.iter().filter(|entry| !entry.delisted);
    let statuses: HashMap<&str, &str> =
        info.symbols.iter().map(|row| (row.name.as_str(), row.status.as_str())).collect();
    let absent = listed().filter(|entry| !statuses.contains_key(&*entry.name)).count();
    // A list with unreadable rows proves no absence, nor does one that lacks half of the market:
    // a number given up comes back only if the contract is found unchanged.
    let absent_is_ended = info.skipped == 0 && absent * 2 <= listed().count();
    if absent > 0 && !absent_is_ended {
        tracing::error!(absent, "the exchange's list lacks symbols; they are not taken for ended");
    }
    let has_ended = |entry: &&SymbolEntry| match statuses.get(&*entry.name) {
        Some(status) => ENDED.contains(status),
        None => absent_is_ended,
    };
    listed().filter(has_ended).map(|entry| entry.id).collect()
}

#[cfg(test)]
mod tests;
