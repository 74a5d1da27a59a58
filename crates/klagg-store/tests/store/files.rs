//! The data folder: rights, the lock, and everything that is refused with one sentence.

use std::fs;
use std::io::{Seek, SeekFrom, Write};
use std::path::Path;
use std::time::Duration;

use klagg_kline::{KlineStatus, Period, SymbolId, UnixMillis};
use klagg_store::{Store, StoreConfig, StoreError, StoreReader, StoredSymbol, SymbolChange};
use rusqlite::Connection;

use crate::support::{row, rows, store, stored_minutes};

fn refusal(directory: &Path) -> StoreError {
    Store::open(&StoreConfig::new(directory)).expect_err("the store must refuse")
}

#[cfg(unix)]
#[test]
fn folder_and_files_are_for_their_owner_alone() {
    use std::os::unix::fs::PermissionsExt;
    let parent = tempfile::tempdir().unwrap();
    let folder = parent.path().join("data");
    let mut store = Store::open(&StoreConfig::new(&folder)).unwrap();
    store.append_symbols(&[crate::support::symbol(0, "BTCUSDT")]).unwrap();
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&folder), 0o700);
    for name in ["klagg.db", "klagg.db-wal", "klagg.db-shm", "klagg.lock"] {
        assert_eq!(mode(&folder.join(name)), 0o600, "{name}");
    }
    drop(store);
    fs::set_permissions(folder.join("klagg.db"), fs::Permissions::from_mode(0o644)).unwrap();
    let _store = Store::open(&StoreConfig::new(&folder)).unwrap();
    assert_eq!(mode(&folder.join("klagg.db")), 0o600, "widened rights are narrowed again");
}

#[test]
fn a_second_instance_is_told_who_holds_the_folder() {
    let (folder, store) = store();
    let error = refusal(folder.path());
    assert!(matches!(&error, StoreError::InUse { process: Some(id), .. }
        if *id == std::process::id()));
    let text = error.to_string();
    assert!(text.starts_with("another klagg (process "), "{text}");
    drop(store);
    Store::open(&StoreConfig::new(folder.path())).expect("free again");
}

#[cfg(unix)]
#[test]
fn a_symbolic_link_is_refused_wherever_it_stands() {
    for name in ["klagg.db", "klagg.db-wal", "klagg.db-shm", "klagg.lock"] {
        let folder = tempfile::tempdir().unwrap();
        let target = folder.path().join("elsewhere");
        std::os::unix::fs::symlink(&target, folder.path().join(name)).unwrap();
        let error = refusal(folder.path());
        assert!(matches!(&error, StoreError::SymbolicLink { path } if path.ends_with(name)));
        assert!(!target.exists(), "{name} was followed");
    }
}

#[test]
fn a_newer_schema_is_refused_and_left_alone() {
    let (folder, store) = store();
    let path = store.path().to_owned();
    drop(store);
    Connection::open(&path).unwrap().pragma_update(None, "user_version", 4).unwrap();
    let error = refusal(folder.path());
    assert!(matches!(error, StoreError::NewerSchema { found: 4, known: 3, .. }), "{error}");
    assert!(error.to_string().contains("written by a newer klagg"));
    let version: i64 = Connection::open(&path)
        .unwrap()
        .pragma_query_value(None, "user_version", |row| row.get(0))
        .unwrap();
    assert_eq!(version, 4);
}

#[test]
fn a_database_of_the_first_version_is_read_as_it_is_and_brought_up_to_date_by_a_writer() {
    let (folder, mut store) = store();
    let path = store.path().to_owned();
    let known = store.load_symbols().unwrap();
    assert!(known.iter().all(|symbol| symbol.onboard_time.is_none()), "as the first version's");
    store.write(&[row(0, KlineStatus::Confirmed)]).unwrap();
    let complete_until = store.complete_until(SymbolId(0), Period::M1).unwrap();
    assert!(complete_until.is_some());
    drop(store);
    let old = Connection::open(&path).unwrap();
    old.execute_batch("ALTER TABLE symbol DROP COLUMN onboard_time; PRAGMA user_version = 1;")
        .unwrap();
    drop(old);
    let reader = StoreReader::open_folder(folder.path(), Duration::from_secs(5)).unwrap();
    assert_eq!(reader.symbols().unwrap(), known);
    drop(reader);
    let config = StoreConfig::new(folder.path());
    let mut store = Store::open(&config).unwrap();
    assert_eq!(store.load_symbols().unwrap(), known);
    let told = StoredSymbol { onboard_time: Some(UnixMillis(5)), ..known[1].clone() };
    store.change_symbols(&SymbolChange::Update(told.clone())).unwrap();
    let renamed = StoredSymbol { name: "OTHER".to_owned(), ..told.clone() };
    let error = store.change_symbols(&SymbolChange::Update(renamed)).unwrap_err();
    assert!(matches!(error, StoreError::NumberingBroken { symbol: SymbolId(1), .. }), "{error}");
    drop(store);
    let store = Store::open(&config).unwrap();
    assert_eq!(store.load_symbols().unwrap()[1], told);
    assert_eq!(store.complete_until(SymbolId(0), Period::M1).unwrap(), complete_until);
}

#[test]
fn somebody_elses_database_is_refused_and_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("klagg.db");
    Connection::open(&path).unwrap().execute_batch("CREATE TABLE theirs (x)").unwrap();
    let before = fs::read(&path).unwrap();
    assert!(matches!(refusal(folder.path()), StoreError::NotOurs { .. }));
    assert_eq!(fs::read(&path).unwrap(), before);
}

#[test]
fn what_is_no_database_is_reported_as_damaged() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("klagg.db"), "not a database, but long enough ".repeat(64))
        .unwrap();
    let error = refusal(folder.path());
    assert!(matches!(error, StoreError::Corrupt { .. }), "{error}");
}

#[test]
fn a_page_of_garbage_is_found_when_opening() {
    let (folder, mut store) = store();
    store.write(&rows(0..2_000, KlineStatus::Closed)).unwrap();
    let path = store.path().to_owned();
    drop(store);
    let mut file = fs::OpenOptions::new().write(true).open(&path).unwrap();
    let pages = fs::metadata(&path).unwrap().len() / 8192;
    file.seek(SeekFrom::Start((pages - 2) * 8192)).unwrap();
    file.write_all(&[0xa5; 8192]).unwrap();
    let error = refusal(folder.path());
    assert!(matches!(error, StoreError::Corrupt { .. }), "{error}");
    assert!(error.to_string().contains("is damaged"));
}

#[test]
fn a_folder_that_cannot_be_made_is_named() {
    let parent = tempfile::tempdir().unwrap();
    let file = parent.path().join("file");
    fs::write(&file, "in the way").unwrap();
    for path in [file.clone(), file.join("below")] {
        let text = refusal(&path).to_string();
        assert!(text.contains(&path.display().to_string()), "{text}");
    }
}

#[cfg(unix)]
#[test]
fn a_read_only_folder_is_refused_with_one_sentence() {
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::tempdir().unwrap();
    fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o500)).unwrap();
    if fs::write(folder.path().join("probe"), "").is_ok() {
        eprintln!("skipped: this user may write where nobody may (root)");
        return;
    }
    let error = refusal(folder.path());
    assert!(matches!(error, StoreError::ReadOnly { .. }), "{error}");
    assert!(error.to_string().contains("cannot be written to"));
}

#[test]
fn the_epoch_stays_and_tells_another_database() {
    let (folder, first) = store();
    let epoch = first.epoch().unwrap();
    assert_eq!(first.reader().unwrap().epoch().unwrap(), epoch);
    drop(first);
    let again = Store::open(&StoreConfig::new(folder.path())).unwrap();
    assert_eq!(again.epoch().unwrap(), epoch);
    let (_other_folder, other) = store();
    assert_ne!(other.epoch().unwrap(), epoch);
}

#[test]
fn what_was_written_is_there_after_reopening() {
    let (folder, mut first) = store();
    first.write(&rows(0..100, KlineStatus::Confirmed)).unwrap();
    let symbols = first.load_symbols().unwrap();
    drop(first);
    let again = Store::open(&StoreConfig::new(folder.path())).unwrap();
    assert_eq!(again.load_symbols().unwrap(), symbols);
    assert_eq!(stored_minutes(&again), (0..100).collect::<Vec<_>>());
}

#[test]
fn a_reader_sees_commits_but_cannot_write() {
    let (_folder, mut store) = store();
    let reader = store.reader().unwrap();
    store.write(&rows(0..3, KlineStatus::Closed)).unwrap();
    let query = crate::support::ALL;
    let read = reader.read(klagg_kline::SymbolId(0), klagg_kline::Period::M1, &query).unwrap();
    assert_eq!(read.len(), 3);
}
