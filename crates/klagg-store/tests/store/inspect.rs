//! Looking a store over from outside, while another process may hold it.

use std::time::Duration;

use klagg_kline::{KlineStatus, Period, SymbolId, UnixMillis};
use klagg_store::{Census, CensusSlot, StoreError, StoreReader};
use rusqlite::Connection;

use crate::support::{MINUTE, START, rows, store};

const WAIT: Duration = Duration::from_secs(5);

#[test]
fn a_held_store_can_be_looked_over() {
    let (folder, mut store) = store();
    store.write(&rows((0..40).collect::<Vec<_>>(), KlineStatus::Confirmed)).unwrap();
    let reader = StoreReader::open_folder(folder.path(), WAIT).unwrap();
    assert_eq!(reader.quick_check().unwrap(), Vec::<String>::new());
    let (first, last) = (UnixMillis(START), UnixMillis(START + 39 * MINUTE));
    assert_eq!(reader.stored(SymbolId(0), Period::M1).unwrap(), Some((first, last)));
    let slots = [((SymbolId(0), Period::M1), CensusSlot { rows: 40, first, last })];
    let expected = Census { slots: slots.into(), misplaced: 0, unlisted: 0 };
    assert_eq!(reader.census().unwrap(), expected);
}

#[test]
fn the_census_counts_what_no_read_would_find() {
    let (folder, mut store) = store();
    store.write(&rows((0..40).collect::<Vec<_>>(), KlineStatus::Confirmed)).unwrap();
    let other = Connection::open(folder.path().join("klagg.db")).unwrap();
    other.execute("DELETE FROM chunk WHERE number = (SELECT max(number) FROM chunk)", []).unwrap();
    let reader = StoreReader::open_folder(folder.path(), WAIT).unwrap();
    let census = reader.census().unwrap();
    assert!((1..=16).contains(&census.unlisted), "{census:?}");
    other
        .execute(
            "UPDATE history SET open_time = open_time + 1 \
             WHERE open_time = (SELECT min(open_time) FROM history)",
            [],
        )
        .unwrap();
    let census = reader.census().unwrap();
    assert_eq!(census.misplaced, 1);
    assert_eq!(census.slots[&(SymbolId(0), Period::M1)].rows, 39);
}

#[test]
fn a_folder_without_a_store_is_refused_and_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let open = || StoreReader::open_folder(folder.path(), WAIT);
    assert!(matches!(open(), Err(StoreError::NoStore { .. })));
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
    let database = folder.path().join("klagg.db");
    std::fs::write(&database, "").unwrap();
    assert!(matches!(open(), Err(StoreError::NoStore { .. })));
    let other = Connection::open(&database).unwrap();
    other.execute_batch("CREATE TABLE t (x); PRAGMA application_id = 7").unwrap();
    assert!(matches!(open(), Err(StoreError::NotOurs { .. })));
    other.pragma_update(None, "application_id", 0x6b6c_6167).unwrap();
    other.pragma_update(None, "user_version", 99).unwrap();
    assert!(matches!(open(), Err(StoreError::NewerSchema { found: 99, .. })));
}
