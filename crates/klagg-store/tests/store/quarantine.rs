//! Databases that are damaged: what becomes of them and of the symbols' numbers.

use std::fs;
use std::path::Path;

use klagg_kline::{KlineStatus, Period, SymbolId};
use klagg_store::{Quarantine, Store, StoreConfig, StoreError};
use rusqlite::Connection;
use tempfile::TempDir;

use crate::support::{ALL, rows, store, stored_minutes};

fn open(folder: &Path) -> (Store, Option<Quarantine>) {
    Store::open_or_quarantine(&StoreConfig::new(folder), "20260331T235720Z").unwrap()
}

/// A store with klines, closed; and the bytes of its database.
fn filled() -> (TempDir, u64, Vec<u8>) {
    let (folder, mut store) = store();
    store.write(&rows(0..2_000, KlineStatus::Confirmed)).unwrap();
    let epoch = store.epoch().unwrap();
    let path = store.path().to_owned();
    drop(store);
    let bytes = fs::read(path).unwrap();
    (folder, epoch, bytes)
}

#[test]
fn a_damaged_database_is_set_aside_with_its_log_and_the_numbers_are_kept() {
    let (folder, epoch, mut bytes) = filled();
    let last = bytes.len() - 2 * 8_192;
    bytes[last..last + 8_192].fill(0xa5);
    let file = |name: &str| folder.path().join(name);
    fs::write(file("klagg.db"), &bytes).unwrap();
    fs::write(file("klagg.db-wal"), "a log that was left").unwrap();
    let (store, quarantine) = open(folder.path());
    let quarantine = quarantine.unwrap();
    assert_eq!(quarantine.path.file_name().unwrap(), "klagg.db.damaged-20260331T235720Z");
    assert_eq!(quarantine.symbols_kept, Some(3));
    assert_eq!(fs::read(&quarantine.path).unwrap(), bytes);
    assert!(file("klagg.db.damaged-20260331T235720Z-wal").exists());
    assert_eq!(store.epoch().unwrap(), epoch, "the numbering is the same");
    assert_eq!(store.load_symbols().unwrap()[2].name, "币安人生USDT");
    assert_eq!(store.complete_until(SymbolId(0), Period::M1).unwrap(), None, "to be refilled");
    drop(store);
    let (mut store, quarantine) = open(folder.path());
    assert_eq!(quarantine, None);
    store.write(&rows(0..9, KlineStatus::Confirmed)).unwrap();
    assert_eq!(stored_minutes(&store), (0..9).collect::<Vec<_>>());
}

#[test]
fn a_second_damaged_database_does_not_take_the_place_of_the_first() {
    let folder = tempfile::tempdir().unwrap();
    let names = ["klagg.db.damaged-20260331T235720Z", "klagg.db.damaged-20260331T235720Z-1"];
    for (at, name) in names.into_iter().enumerate() {
        let text = format!("no database, number {at} ").repeat(40);
        fs::write(folder.path().join("klagg.db"), &text).unwrap();
        let (_store, quarantine) = open(folder.path());
        assert_eq!(quarantine.unwrap().path.file_name().unwrap(), name);
        assert_eq!(fs::read(folder.path().join(name)).unwrap(), text.as_bytes());
    }
}

#[test]
fn a_lost_numbering_is_told_by_another_epoch() {
    let (folder, epoch, _) = filled();
    let path = folder.path().join("klagg.db");
    let change = "UPDATE symbol SET name = 'SOLUSDT' WHERE number = 1";
    Connection::open(&path).unwrap().execute(change, []).unwrap();
    let (store, quarantine) = open(folder.path());
    assert_eq!(quarantine.unwrap().symbols_kept, None);
    assert_ne!(store.epoch().unwrap(), epoch);
    assert!(store.load_symbols().unwrap().is_empty());
}

#[test]
fn what_belongs_to_others_or_to_the_future_is_never_set_aside() {
    let (folder, _, _) = filled();
    let path = folder.path().join("klagg.db");
    Connection::open(&path).unwrap().pragma_update(None, "user_version", 9).unwrap();
    let opened = Store::open_or_quarantine(&StoreConfig::new(folder.path()), "now");
    assert!(matches!(opened, Err(StoreError::NewerSchema { found: 9, .. })));
    assert!(path.exists());
}

#[test]
fn a_changed_table_or_epoch_is_damage() {
    for change in [
        "DROP VIEW klines",
        "DROP INDEX symbol_by_name",
        "UPDATE store SET value = value + 1 WHERE key = 'epoch'",
    ] {
        let (folder, _, _) = filled();
        Connection::open(folder.path().join("klagg.db")).unwrap().execute(change, []).unwrap();
        let error = Store::open(&StoreConfig::new(folder.path())).unwrap_err();
        assert!(matches!(error, StoreError::Corrupt { .. }), "{change}: {error}");
    }
}

#[test]
fn a_kline_that_has_lost_its_place_is_missed() {
    let (folder, _, _) = filled();
    let path = folder.path().join("klagg.db");
    let last = "UPDATE history SET chunk = chunk + 1 \
                WHERE open_time = (SELECT max(open_time) FROM history)";
    Connection::open(&path).unwrap().execute(last, []).unwrap();
    let store = Store::open(&StoreConfig::new(folder.path())).unwrap();
    let reader = store.reader().unwrap();
    let page = reader.read_page(SymbolId(0), Period::M1, &ALL).unwrap();
    assert_eq!((page.records.len(), page.damaged.len(), page.missing.len()), (1_999, 0, 1));
}
