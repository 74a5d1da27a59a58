//! Damage to the files: detected or harmless, wherever it strikes.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use klagg_kline::{KlineRecord, Period, Precision, SymbolId, UnixMillis};
use klagg_store::{Store, StoreConfig, StoreError, StoreReader, StoredKline, StoredSymbol};
use proptest::prelude::*;

use crate::{ALL, Key, SYMBOLS, config, contents, new_store, quick_folder, stored};

/// What is done to a copy of a file.
#[derive(Debug, Clone, Copy)]
enum Damage {
    Bit(u64),
    Sector(u64, u8),
}

impl Damage {
    fn apply(self, bytes: &mut [u8]) {
        let at = |place: u64, unit: usize| {
            usize::try_from(place % (bytes.len() / unit) as u64).unwrap() * unit
        };
        match self {
            Self::Bit(bit) => bytes[at(bit / 8, 1)] ^= 1 << (bit % 8),
            Self::Sector(place, fill) => {
                let from = at(place, 512);
                bytes[from..from + 512].fill(fill);
            }
        }
    }
}

fn damage() -> impl Strategy<Value = Damage> {
    prop_oneof![
        3 => any::<u64>().prop_map(Damage::Bit),
        1 => (any::<u64>(), any::<u8>()).prop_map(|(place, fill)| Damage::Sector(place, fill)),
        // The header and the schema, which a stroke at random seldom hits.
        1 => (0..8 * 8_192_u64).prop_map(Damage::Bit),
    ]
}

/// Every row is as it was, or the page says that something is damaged.
fn check_pages(reader: &StoreReader, truth: &BTreeMap<Key, StoredKline>) -> Result<(), String> {
    for symbol in 0..SYMBOLS {
        let Ok(page) = reader.read_page(SymbolId(symbol), Period::M1, &ALL) else { continue };
        let expected = truth.range((symbol, 1, 0)..=(symbol, 1, i64::MAX));
        let expected: Vec<KlineRecord> = expected.map(|(_, row)| row.record).collect();
        let is_true = page.records.iter().all(|record| expected.contains(record));
        if !is_true
            || (page.damaged.is_empty() && page.missing.is_empty() && page.records != expected)
        {
            return Err(format!("symbol {symbol}: {} rows read", page.records.len()));
        }
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(8))]

    /// Damage anywhere in the file: the store refuses to open, or a read says that something is
    /// damaged, or everything is as it was. Never a wrong value, never one that is silently gone.
    /// And what refuses to open is set aside, and a new store takes its place.
    #[test]
    fn damage_is_detected_or_harmless(damages in prop::collection::vec(damage(), 16)) {
        let folder = quick_folder();
        let mut store = new_store(folder.path());
        let rows: Vec<StoredKline> = (0..300)
            .map(|at| stored((u32::try_from(at % 3).unwrap(), 1, 5_000 + at / 3), (3, 0, 777 + at)))
            .collect();
        store.write(&rows).unwrap();
        let (truth, names) = (contents(&store), store.load_symbols().unwrap());
        let epoch = store.epoch().unwrap();
        let path = store.path().to_owned();
        drop(store);
        let whole = fs::read(&path).unwrap();
        for damage in damages {
            let mut damaged = whole.clone();
            damage.apply(&mut damaged);
            fs::write(&path, &damaged).unwrap();
            match Store::open_or_quarantine(&config(folder.path()), "now") {
                Ok((store, None)) => {
                    let checked = check_pages(&store.reader().unwrap(), &truth);
                    prop_assert_eq!(checked, Ok(()), "{:?}", damage);
                    prop_assert_eq!(store.load_symbols().unwrap(), names.clone(), "{:?}", damage);
                    prop_assert_eq!(store.epoch().unwrap(), epoch, "{:?}", damage);
                }
                Ok((store, Some(quarantine))) => {
                    let aside = fs::read(&quarantine.path).unwrap();
                    prop_assert_eq!(aside, damaged, "set aside whole");
                    let kept = store.load_symbols().unwrap();
                    let is_same = quarantine.symbols_kept.is_some();
                    prop_assert_eq!(&kept, if is_same { &names } else { &Vec::new() });
                    prop_assert_eq!(store.epoch().unwrap() == epoch, is_same);
                }
                // It claims to be somebody else's or newer: left alone.
                Err(StoreError::NotOurs { .. } | StoreError::NewerSchema { .. }) => {}
                Err(error) => prop_assert!(false, "{damage:?}: {error}"),
            }
            for left in fs::read_dir(folder.path()).unwrap() {
                fs::remove_file(left.unwrap().path()).unwrap();
            }
        }
    }
}

/// What is committed at a time.
#[derive(Debug)]
struct State {
    klines: BTreeMap<Key, StoredKline>,
    symbols: Vec<StoredSymbol>,
    complete: Vec<Option<UnixMillis>>,
}

impl State {
    fn of(store: &Store) -> Self {
        Self {
            klines: contents(store),
            symbols: store.load_symbols().unwrap(),
            complete: complete(store),
        }
    }
}

fn complete(store: &Store) -> Vec<Option<UnixMillis>> {
    let of = |symbol| store.complete_until(SymbolId(symbol), Period::M1).unwrap();
    (0..SYMBOLS).map(of).collect()
}

const FILES: [&str; 3] = ["klagg.db", "klagg.db-wal", "klagg.db-shm"];

/// The files that a killed klagg leaves: a database, its log with several commits, and the shared
/// memory; the state after each commit that is in the log, and the one before.
fn killed() -> (Vec<Vec<u8>>, Vec<State>) {
    let folder = quick_folder();
    drop(new_store(folder.path()));
    let mut store = open(folder.path()).unwrap();
    let mut states = Vec::new();
    for commit in 0..7_u32 {
        if commit == 3 {
            store.set_precision(SymbolId(1), Precision::new(4, 1).unwrap()).unwrap();
        } else {
            let rows: Vec<StoredKline> = (0..45)
                .map(|at| {
                    let minute = 5_000 + i64::from(commit) * 15 + at / 3;
                    stored((u32::try_from(at % 3).unwrap(), 1, minute), (3, 0, 777 + at))
                })
                .collect();
            store.write(&rows).unwrap();
        }
        if commit == 1 {
            // The others alone are in the log.
            drop(store);
            store = open(folder.path()).unwrap();
        }
        if commit > 0 {
            states.push(State::of(&store));
        }
    }
    let files = FILES.map(|name| fs::read(folder.path().join(name)).unwrap());
    (files.into(), states)
}

/// Opens a store whose log is never moved into the database before it is closed.
fn open(folder: &Path) -> Result<Store, StoreError> {
    Store::open(&StoreConfig { checkpoint_pages: u32::MAX, ..config(folder) })
}

fn put(folder: &Path, files: &[Vec<u8>]) {
    for left in fs::read_dir(folder).unwrap() {
        fs::remove_file(left.unwrap().path()).unwrap();
    }
    for (name, bytes) in FILES.iter().zip(files) {
        fs::write(folder.join(name), bytes).unwrap();
    }
}

/// Which of the states a store is in, all of it.
fn state_of(store: &Store, states: &[State]) -> Result<usize, String> {
    let reader = store.reader().unwrap();
    let symbols = store.load_symbols().map_err(|error| error.to_string())?;
    let is_it = |state: &State| {
        (&symbols, complete(store)) == (&state.symbols, state.complete.clone())
            && check_pages(&reader, &state.klines).is_ok()
    };
    states.iter().position(is_it).ok_or_else(|| format!("no state: {:?}", complete(store)))
}

#[test]
fn a_log_without_damage_holds_every_commit() {
    let (files, states) = killed();
    let folder = quick_folder();
    put(folder.path(), &files);
    assert_eq!(state_of(&open(folder.path()).unwrap(), &states), Ok(states.len() - 1));
    // Without it there is what was before: the test below would not notice a log that is ignored.
    put(folder.path(), &files[..1]);
    assert_eq!(state_of(&open(folder.path()).unwrap(), &states), Ok(0));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(8))]

    /// Damage to the log or to the shared memory that a killed klagg left: the store is in the
    /// state after one of the commits, all of it, and says so; what came later is fetched anew.
    /// Never a part of a commit, never one without those before it. Damage to the database beside
    /// its log is as damage to a database alone.
    #[test]
    fn damage_to_the_log_gives_the_state_after_a_commit(
        damages in prop::collection::vec((0..6_usize, damage()), 24),
    ) {
        let (files, states) = killed();
        let folder = quick_folder();
        for (which, damage) in damages {
            let which = [0, 0, 1, 1, 1, 2][which];
            let mut damaged = files.clone();
            damage.apply(&mut damaged[which]);
            put(folder.path(), &damaged);
            match Store::open_or_quarantine(&config(folder.path()), "now") {
                Ok((store, None)) if which == 0 => {
                    let last = states.last().unwrap();
                    let checked = check_pages(&store.reader().unwrap(), &last.klines);
                    prop_assert_eq!(checked, Ok(()), "{:?}", damage);
                    prop_assert_eq!(&store.load_symbols().unwrap(), &last.symbols);
                }
                Ok((store, None)) => {
                    let state = state_of(&store, &states);
                    prop_assert!(state.is_ok(), "file {which}, {damage:?}: {state:?}");
                }
                Ok((_, Some(quarantine))) => {
                    prop_assert_eq!(which, 0, "{:?}: a log alone is no reason", damage);
                    for (suffix, bytes) in ["", "-wal"].iter().zip(&damaged) {
                        let mut aside = quarantine.path.clone().into_os_string();
                        aside.push(suffix);
                        let aside = fs::read(PathBuf::from(aside)).unwrap();
                        prop_assert!(aside == *bytes, "{damage:?}: set aside whole, {suffix}");
                    }
                }
                Err(StoreError::NotOurs { .. } | StoreError::NewerSchema { .. }) if which == 0 => {}
                Err(error) => prop_assert!(false, "file {which}, {damage:?}: {error}"),
            }
        }
    }
}
