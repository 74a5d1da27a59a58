//! The data folder: rights, the lock, and everything that is refused with one sentence.

use std::fs;
use std::io::{Seek, SeekFrom, Write};
use std::path::Path;

use klagg_kline::KlineStatus;
use klagg_store::{Store, StoreConfig, StoreError};
use rusqlite::Connection;

use crate::support::{rows, store, stored_minutes};

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
    for name in ["klagg.db", "klagg.db-wal", "klagg.db-shm", "klagg.db-journal", "klagg.lock"] {
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
    Connection::open(&path).unwrap().pragma_update(None, "user_version", 5).unwrap();
    let error = refusal(folder.path());
    assert!(matches!(error, StoreError::NewerSchema { found: 5, known: 4, .. }), "{error}");
    assert!(error.to_string().contains("written by a newer klagg"));
    let version: i64 = Connection::open(&path)
        .unwrap()
        .pragma_query_value(None, "user_version", |row| row.get(0))
        .unwrap();
    assert_eq!(version, 5);
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
fn a_database_whose_making_the_power_cut_short_is_made_anew() {
    let (folder, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let made = Connection::open(other.path().join("klagg.db")).unwrap();
    // More than fits the cache: the first pages go to the file before the end.
    made.execute_batch(
        "PRAGMA cache_size = 2; BEGIN; CREATE TABLE made (x);
         INSERT INTO made WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n LIMIT 50)
             SELECT randomblob(5000) FROM n;",
    )
    .unwrap();
    for name in ["klagg.db", "klagg.db-journal"] {
        let mut bytes = fs::read(other.path().join(name)).unwrap();
        assert!(bytes.len() > 512, "{name}");
        if name == "klagg.db" {
            bytes[..512].fill(0);
        }
        fs::write(folder.path().join(name), bytes).unwrap();
    }
    let mut store = Store::open(&StoreConfig::new(folder.path())).unwrap();
    store.append_symbols(&[crate::support::symbol(0, "BTCUSDT")]).unwrap();
    store.write(&rows(0..9, KlineStatus::Closed)).unwrap();
    assert_eq!(stored_minutes(&store).len(), 9);
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

#[test]
fn a_full_disk_is_said_in_words() {
    let full = || -> rusqlite::Result<()> {
        let other = Connection::open_in_memory()?;
        other.execute_batch("CREATE TABLE t (x); PRAGMA max_page_count = 2;")?;
        other.execute_batch("INSERT INTO t VALUES (zeroblob(100000))")
    };
    let error = StoreError::Database(full().unwrap_err());
    assert!(error.to_string().ends_with("is full: make room"), "{error}");
    assert!(error.is_retryable());
}
