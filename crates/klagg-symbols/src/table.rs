//! One immutable state of the numbering.

use std::collections::HashMap;
use std::sync::Arc;

use foldhash::fast::RandomState;
use klagg_kline::{Precision, SymbolId, UnixMillis};

use crate::SymbolsError;

/// Longest name accepted, in bytes. The longest on record has 20 (a name in Chinese characters).
const NAME_BYTES_MAX: usize = 64;

/// A numbered symbol.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SymbolEntry {
    /// Its permanent number.
    pub id: SymbolId,
    /// The exchange's name. Not unique: a name listed again has a later number as well.
    pub name: Arc<str>,
    /// Open time of its first daily kline.
    pub first_open_time: UnixMillis,
    /// When the exchange put it on board; `None` where it has not told. A later one under the same
    /// name is another listing.
    pub onboard_time: Option<UnixMillis>,
    /// How its numbers are printed.
    pub precision: Precision,
    /// Whether it is a tombstone: no longer traded, its number kept.
    pub delisted: bool,
}

/// A symbol that wants a number.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewSymbol {
    /// The exchange's name.
    pub name: String,
    /// Open time of its first daily kline.
    pub first_open_time: UnixMillis,
    /// When the exchange put it on board, if it has told.
    pub onboard_time: Option<UnixMillis>,
    /// How its numbers are printed.
    pub precision: Precision,
}

/// One immutable state of the numbering.
#[derive(Debug, Clone, Default)]
pub struct SymbolTable {
    entries: Vec<SymbolEntry>,
    /// Newest number of each name. The key shares the entry's allocation.
    by_name: HashMap<Arc<[u8]>, SymbolId, RandomState>,
}

impl SymbolTable {
    /// The number of `name`: of its newest listing, which may be a tombstone.
    #[inline]
    pub fn get(&self, name: &str) -> Option<SymbolId> {
        self.get_bytes(name.as_bytes())
    }

    /// As [`SymbolTable::get`], for a name as it stands in a frame.
    #[inline]
    pub fn get_bytes(&self, name: &[u8]) -> Option<SymbolId> {
        self.by_name.get(name).copied()
    }

    /// The number of `name` if it is listed now.
    pub fn get_listed(&self, name: &str) -> Option<SymbolId> {
        self.get(name).filter(|&id| !self.entries[id.index()].delisted)
    }

    /// The symbol with number `id`.
    #[inline]
    pub fn entry(&self, id: SymbolId) -> Option<&SymbolEntry> {
        self.entries.get(id.index())
    }

    /// How many numbers were given, tombstones included.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether no number was given yet.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// All symbols in the order of their numbers, tombstones included.
    pub fn iter(&self) -> std::slice::Iter<'_, SymbolEntry> {
        self.entries.iter()
    }

    /// From entries in any order, which must hold each number once.
    pub(crate) fn from_entries(
        mut entries: Vec<SymbolEntry>,
        max: usize,
    ) -> Result<Self, SymbolsError> {
        if entries.len() > max {
            return Err(SymbolsError::TooMany { count: entries.len(), max });
        }
        entries.sort_by_key(|entry| entry.id);
        let mut table = Self::default();
        for entry in entries {
            check_name(&entry.name)?;
            let missing = table.next_id();
            if entry.id != missing {
                return Err(SymbolsError::NotContiguous { missing });
            }
            // Two listed entries with one name would make the name ambiguous.
            if let Some(first) = table.get_listed(&entry.name) {
                let name = entry.name.to_string();
                return Err(SymbolsError::ListedTwice { name, first, second: entry.id });
            }
            table.push(entry);
        }
        Ok(table)
    }

    pub(crate) fn push(&mut self, entry: SymbolEntry) {
        debug_assert_eq!(entry.id, self.next_id());
        self.by_name.insert(Arc::from(Arc::clone(&entry.name)), entry.id);
        self.entries.push(entry);
    }

    pub(crate) fn entry_mut(&mut self, id: SymbolId) -> Option<&mut SymbolEntry> {
        self.entries.get_mut(id.index())
    }

    pub(crate) fn next_id(&self) -> SymbolId {
        SymbolId(u32::try_from(self.entries.len()).expect("limited far below 2^32"))
    }
}

/// Equal if the entries are; the map by name follows from them.
impl PartialEq for SymbolTable {
    fn eq(&self, other: &Self) -> bool {
        self.entries == other.entries
    }
}

impl Eq for SymbolTable {}

impl<'a> IntoIterator for &'a SymbolTable {
    type Item = &'a SymbolEntry;
    type IntoIter = std::slice::Iter<'a, SymbolEntry>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

pub(crate) fn check_name(name: &str) -> Result<(), SymbolsError> {
    let odd = |character: char| character.is_control() || character.is_whitespace();
    if name.is_empty() || name.len() > NAME_BYTES_MAX || name.contains(odd) {
        let shown = name.chars().take(NAME_BYTES_MAX).collect();
        return Err(SymbolsError::BadName { name: shown });
    }
    Ok(())
}
