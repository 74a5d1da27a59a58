//! The numbering as it lives: published tables, one appender at a time.
//!
//! Readers take the current table through `arc-swap` and never wait. Changes copy the table
//! (10,000 entries: about a millisecond) under a mutex that only changers take, then publish the
//! copy; listings are rare enough for that to be the cheapest honest way.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use arc_swap::{ArcSwap, Cache};
use klagg_kline::{Precision, SymbolId, UnixMillis};

use crate::table::check_name;
use crate::{NewSymbol, SymbolEntry, SymbolTable, SymbolsError};

/// The numbering of the market, shared. Cloning shares it.
#[derive(Debug, Clone)]
pub struct SymbolIndex {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    published: Arc<ArcSwap<SymbolTable>>,
    /// Held by whoever changes the table, from reading it to publishing the changed copy, so
    /// that two changes cannot overwrite each other. Readers never take it.
    changing: Mutex<()>,
    max: usize,
}

impl SymbolIndex {
    /// A numbering without symbols, to hold at most `max`, tombstones included.
    ///
    /// # Panics
    /// If `max` does not fit a [`SymbolId`].
    pub fn empty(max: usize) -> Self {
        Self::with_table(SymbolTable::default(), max)
    }

    /// The numbering that was persisted, in any order.
    ///
    /// # Errors
    /// [`SymbolsError`] if the numbers are not 0, 1, 2, … each once, if a name is bad or listed
    /// twice, or if there are more than `max`.
    ///
    /// # Panics
    /// If `max` does not fit a [`SymbolId`].
    pub fn from_entries(entries: Vec<SymbolEntry>, max: usize) -> Result<Self, SymbolsError> {
        Ok(Self::with_table(SymbolTable::from_entries(entries, max)?, max))
    }

    fn with_table(table: SymbolTable, max: usize) -> Self {
        assert!(u32::try_from(max).is_ok(), "a limit of {max} does not fit a symbol number");
        let published = Arc::new(ArcSwap::from_pointee(table));
        Self { shared: Arc::new(Shared { published, changing: Mutex::new(()), max }) }
    }

    /// The current table. Lock-free. For a look-up per frame use [`SymbolIndex::reader`].
    pub fn load(&self) -> Arc<SymbolTable> {
        self.shared.published.load_full()
    }

    /// A reader that keeps the table at hand: while nothing changed, looking at it costs one
    /// atomic load and shares no counter with other readers.
    pub fn reader(&self) -> SymbolReader {
        SymbolReader { cache: Cache::new(Arc::clone(&self.shared.published)) }
    }

    /// The limit, tombstones included.
    pub fn max(&self) -> usize {
        self.shared.max
    }

    /// Numbers new symbols and returns them, in the order of their numbers: sorted by first open
    /// time, then by name bytewise. Names that are listed already are skipped, and so is the
    /// second of two equal names. A name whose newest listing is a tombstone gets a new number.
    ///
    /// Several callers are served one after the other.
    ///
    /// # Errors
    /// [`SymbolsError::BadName`], and then nothing is appended; [`SymbolsError::Full`], and then
    /// what fitted is appended and handed out inside the error.
    pub fn append(&self, symbols: Vec<NewSymbol>) -> Result<Vec<SymbolEntry>, SymbolsError> {
        for symbol in &symbols {
            check_name(&symbol.name)?;
        }
        let changing = self.changer();
        let mut table = SymbolTable::clone(&self.shared.published.load());
        let wanted = in_order_of_listing(symbols, &table);
        let room = self.shared.max.saturating_sub(table.len());
        let mut appended = Vec::with_capacity(wanted.len().min(room));
        let mut refused = Vec::new();
        for symbol in wanted {
            if appended.len() == room {
                refused.push(symbol);
                continue;
            }
            let entry = SymbolEntry {
                id: table.next_id(),
                name: Arc::from(symbol.name),
                first_open_time: symbol.first_open_time,
                onboard_time: symbol.onboard_time,
                precision: symbol.precision,
                delisted: false,
            };
            table.push(entry.clone());
            appended.push(entry);
        }
        if !appended.is_empty() {
            self.shared.published.store(Arc::new(table));
        }
        drop(changing);
        if refused.is_empty() {
            Ok(appended)
        } else {
            Err(SymbolsError::Full { max: self.shared.max, appended, refused })
        }
    }

    /// Makes a symbol a tombstone: for delisting, not for a halt. Once more is no error.
    ///
    /// # Errors
    /// [`SymbolsError::Unknown`].
    pub fn retire(&self, id: SymbolId) -> Result<(), SymbolsError> {
        self.change(id, |entry| entry.delisted = true)
    }

    /// Takes a tombstone back: the very listing that was thought to have ended goes on. Once more
    /// is no error.
    ///
    /// # Errors
    /// [`SymbolsError::Unknown`], or [`SymbolsError::ListedTwice`] if its name was listed anew
    /// since.
    pub fn revive(&self, id: SymbolId) -> Result<(), SymbolsError> {
        let changing = self.changer();
        let current = self.shared.published.load();
        let name = &current.entry(id).ok_or(SymbolsError::Unknown { id })?.name;
        if let Some(second) = current.get(name).filter(|&newest| newest != id) {
            return Err(SymbolsError::ListedTwice { name: name.to_string(), first: id, second });
        }
        self.change_while(&changing, id, |entry| entry.delisted = false)
    }

    /// Changes when the exchange says that a symbol came on board.
    ///
    /// # Errors
    /// [`SymbolsError::Unknown`].
    pub fn set_onboard_time(&self, id: SymbolId, time: UnixMillis) -> Result<(), SymbolsError> {
        self.change(id, |entry| entry.onboard_time = Some(time))
    }

    /// Changes how a symbol's numbers are printed.
    ///
    /// # Errors
    /// [`SymbolsError::Unknown`].
    pub fn set_precision(&self, id: SymbolId, precision: Precision) -> Result<(), SymbolsError> {
        self.change(id, |entry| entry.precision = precision)
    }

    fn change(
        &self,
        id: SymbolId,
        change: impl FnOnce(&mut SymbolEntry),
    ) -> Result<(), SymbolsError> {
        self.change_while(&self.changer(), id, change)
    }

    fn change_while(
        &self,
        _changing: &MutexGuard<'_, ()>,
        id: SymbolId,
        change: impl FnOnce(&mut SymbolEntry),
    ) -> Result<(), SymbolsError> {
        let current = self.shared.published.load();
        let mut changed = current.entry(id).ok_or(SymbolsError::Unknown { id })?.clone();
        change(&mut changed);
        if current.entry(id) == Some(&changed) {
            return Ok(());
        }
        let mut table = SymbolTable::clone(&current);
        let entry = table.entry_mut(id).ok_or(SymbolsError::Unknown { id })?;
        *entry = changed;
        self.shared.published.store(Arc::new(table));
        Ok(())
    }

    /// A changer that panicked published nothing, so what it left behind is whole.
    fn changer(&self) -> MutexGuard<'_, ()> {
        self.shared.changing.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Those that are not listed yet, each name once, in the order in which they are numbered.
fn in_order_of_listing(mut symbols: Vec<NewSymbol>, table: &SymbolTable) -> Vec<NewSymbol> {
    // The rest takes part so that, of two equal names at one time, the same one stays whatever
    // order they came in.
    symbols.sort_by(|left, right| {
        let rest = |symbol: &NewSymbol| {
            (symbol.onboard_time, symbol.precision.price(), symbol.precision.quantity())
        };
        (left.first_open_time.cmp(&right.first_open_time))
            .then_with(|| left.name.as_bytes().cmp(right.name.as_bytes()))
            .then_with(|| rest(left).cmp(&rest(right)))
    });
    let mut seen = HashSet::new();
    symbols
        .into_iter()
        .filter(|symbol| table.get_listed(&symbol.name).is_none())
        .filter(|symbol| !mutated!(NameReusesNumber) || table.get(&symbol.name).is_none())
        .filter(|symbol| seen.insert(symbol.name.clone()))
        .collect()
}

/// Keeps the current table at hand for one thread or connection.
#[derive(Debug, Clone)]
pub struct SymbolReader {
    cache: Cache<Arc<ArcSwap<SymbolTable>>, Arc<SymbolTable>>,
}

impl SymbolReader {
    /// The current table: as new as the newest published when called.
    #[inline]
    pub fn table(&mut self) -> &SymbolTable {
        self.cache.load()
    }
}
