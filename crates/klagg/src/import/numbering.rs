//! Which number a name has, and numbers for new names.

use std::collections::BTreeMap;
use std::sync::Arc;

use klagg_kline::{Period, SymbolId, UnixMillis};
use klagg_store::{Store, StoredSymbol};
use klagg_symbols::{NewSymbol, SymbolIndex};

use crate::export::span;
use crate::import::survey::{Survey, SymbolFacts};

/// More than any market lists.
const SYMBOLS_MAX: usize = 1_000_000;

/// The symbols of the store after the files were surveyed.
#[derive(Debug)]
pub(super) struct Numbering {
    stored: Vec<StoredSymbol>,
    /// One line for each symbol that is new.
    pub(super) added: Vec<String>,
}

impl Numbering {
    /// The name under a number.
    pub(super) fn name(&self, id: SymbolId) -> &str {
        self.stored.get(id.index()).map_or("?", |symbol| &symbol.name)
    }

    /// The number of a name for klines from `first` on: of several listings under one name, the
    /// newest that had begun.
    pub(super) fn find(&self, name: &str, first: UnixMillis) -> Option<SymbolId> {
        let listings = || self.stored.iter().filter(|symbol| symbol.name == name);
        let begun = listings().rfind(|symbol| symbol.first_open_time <= first);
        begun.or_else(|| listings().next()).map(|symbol| symbol.id)
    }
}

/// Reads the numbering, and gives new names numbers where that is wanted.
///
/// # Errors
/// If the store cannot be read or written, or a name is none.
pub(super) fn prepare(
    store: &mut Store,
    surveys: &[Survey],
    add: bool,
) -> anyhow::Result<Numbering> {
    let mut numbering = Numbering { stored: store.load_symbols()?, added: Vec::new() };
    if !add {
        return Ok(numbering);
    }
    let mut new: BTreeMap<Arc<str>, SymbolFacts> = BTreeMap::new();
    for (name, facts) in surveys.iter().flat_map(|survey| &survey.symbols) {
        if numbering.find(name, facts.first).is_none() {
            let held = new.entry(Arc::clone(name)).or_insert(*facts);
            held.first = held.first.min(facts.first);
            held.precision = held.precision.finest(facts.precision);
        }
    }
    let entries = numbering.stored.iter().map(klagg_backfill::entry).collect();
    let index = SymbolIndex::from_entries(entries, SYMBOLS_MAX)?;
    let new = new.into_iter().map(|(name, facts)| NewSymbol {
        name: name.to_string(),
        first_open_time: Period::D1.open_time(facts.first),
        onboard_time: None,
        precision: facts.precision,
    });
    let appended: Vec<StoredSymbol> =
        index.append(new.collect())?.iter().map(klagg_backfill::stored).collect();
    store.append_symbols(&appended)?;
    for StoredSymbol { id, name, first_open_time, .. } in &appended {
        numbering.added.push(format!(
            "{name} is new and has number {} for ever; its first day here is {}",
            id.0,
            span::shown(*first_open_time)
        ));
    }
    numbering.stored.extend(appended);
    Ok(numbering)
}
