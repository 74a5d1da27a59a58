//! Data folders that cannot be used as they are: refused with one sentence, brought up to date,
//! or set aside and filled anew.

use std::fs;
use std::path::Path;

use klagg_store::{Store, StoreConfig};
use rusqlite::Connection;

use crate::market::{Market, PATIENCE, START};
use crate::process::{Klagg, get, metric};
use crate::refusals::{SMALL, check};
use crate::truth::{FACTOR, Stored, minutes_after_start, start, stop, wait_until_confirmed};

/// The arguments of a small demo on `folder`.
fn demo(folder: &Path) -> Vec<&str> {
    [&["demo", "--data-dir", folder.to_str().unwrap()], SMALL.as_slice()].concat()
}

/// A folder with an empty store, in which `change` is made.
fn store_with(change: &str) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let path = Store::open(&StoreConfig::new(folder.path())).unwrap().path().to_owned();
    Connection::open(path).unwrap().execute_batch(change).unwrap();
    folder
}

#[test]
fn what_is_not_ours_to_use_is_refused_with_one_sentence() {
    let newer = store_with("PRAGMA user_version = 7");
    check(&demo(newer.path()), &["klagg.db", "schema version 7", "a newer klagg"]);
    let alien = store_with("PRAGMA application_id = 77");
    check(&demo(alien.path()), &["klagg.db", "another program"]);
    let linked = tempfile::tempdir().unwrap();
    let target = linked.path().join("elsewhere");
    std::os::unix::fs::symlink(&target, linked.path().join("klagg.db")).unwrap();
    check(&demo(linked.path()), &["klagg.db", "symbolic link"]);
    assert!(!target.exists());
}

#[test]
fn a_folder_that_cannot_be_written_to_is_refused_with_one_sentence() {
    use std::os::unix::fs::PermissionsExt;
    use std::os::unix::process::CommandExt;
    let folder = tempfile::tempdir().unwrap();
    fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o555)).unwrap();
    let is_root = fs::write(folder.path().join("probe"), "").is_ok();
    let nobody_may_run = |path: &Path| {
        path.ancestors().all(|path| {
            fs::metadata(path).is_ok_and(|found| found.permissions().mode() & 0o005 == 0o005)
        })
    };
    if is_root && !nobody_may_run(Path::new(env!("CARGO_BIN_EXE_klagg"))) {
        println!("skipped: root may write anywhere, and nobody else may run this binary");
        return;
    }
    let klagg = Klagg::start_with(&demo(folder.path()), |command| {
        if is_root {
            command.uid(65_534);
        }
    });
    let (status, said) = klagg.end(PATIENCE);
    let said = said.join("\n");
    assert_eq!(status.code(), Some(2), "{said}");
    assert!(said.contains("cannot be written to"), "{said}");
}

#[test]
fn an_older_store_is_brought_up_to_date() {
    let older = store_with(
        "ALTER TABLE symbol DROP COLUMN onboard_time; DROP TABLE coverage;
         CREATE TABLE coverage (symbol INTEGER NOT NULL, period INTEGER NOT NULL,
             complete_from INTEGER, complete_until INTEGER, confirmed_first INTEGER,
             confirmed_last INTEGER, first INTEGER NOT NULL, last INTEGER NOT NULL,
             checksum INTEGER NOT NULL, PRIMARY KEY (symbol, period)) STRICT, WITHOUT ROWID;
         PRAGMA user_version = 1;",
    );
    let mut klagg = Klagg::start(&demo(older.path()));
    klagg.wait_for("symbols: ", PATIENCE);
    let (status, _, words) = klagg.interrupt();
    assert!(status.success(), "{}", words.join("\n"));
    assert_eq!(
        Store::open(&StoreConfig::new(older.path())).unwrap().load_symbols().unwrap().len(),
        4
    );
}

#[test]
fn a_damaged_store_is_set_aside_and_filled_anew_with_the_same_numbers() {
    let market = Market::open(24, FACTOR);
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().to_str().unwrap();
    let (klagg, _, admin) = start(&market, path, &[]);
    wait_until_confirmed(&admin, minutes_after_start(1));
    stop(klagg);
    let before = Stored::read(path);
    let database = folder.path().join("klagg.db");
    let mut bytes = fs::read(&database).unwrap();
    let middle = bytes.len() / 2 / 8_192 * 8_192;
    bytes[middle..middle + 8_192].fill(0x5a);
    fs::write(&database, &bytes).unwrap();

    let (klagg, page, admin) = start(&market, path, &[]);
    assert!(get(&page, "/api/v1/status").unwrap().contains("set aside as"));
    let whole = minutes_after_start(4);
    wait_until_confirmed(&admin, whole);
    assert!(metric(&admin, "klagg_store_quarantined").is_some_and(|figure| figure > 0.5));
    stop(klagg);
    let aside = fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().file_name());
    let aside: Vec<_> = aside.filter(|name| name.to_string_lossy().contains("damaged")).collect();
    assert!(aside.iter().any(|name| name.to_string_lossy().ends_with('Z')), "{aside:?}");
    let after = Stored::read(path);
    assert_eq!(after.symbols, before.symbols, "every symbol has its number");
    assert!(after.compare(&market.oracle(), START) > 8);
    after.assert_no_hole(minutes_after_start(0), whole);
}
