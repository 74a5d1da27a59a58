//! Power cuts at any instant.
//!
//! This binary runs itself as a child whose every write and sync is logged by a shim between it
//! and the C library. From the log follow the images that a cut at any instant could leave; each
//! must open, be whole, and hold every batch that was acknowledged before the instant.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use klagg_store::{Durability, Store, StoreConfig};
use rusqlite::Connection;
use tempfile::TempDir;

use crate::images::Disk;
use crate::model::{
    Contents, Dice, SYMBOLS, alone, append_symbols, apply, batch, config, seed, settle,
};
use crate::shim::{Control, EIO, Field, Record, Said, Shim, read_log};
use crate::threaded::write_by_thread;

const ORDER: &str = "KLAGG_STORE_POWER_CHILD";
const BATCHES: u64 = 48;
const READY: u64 = u64::MAX;

/// How a child writes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    /// Batch by batch, with an orderly end and a new start in the middle.
    Plainly,
    /// Through the writer thread, while every few syncs fail.
    WithFailingSyncs,
    /// Batch by batch, while the process dies now and then instead of a sync, and starts again.
    Dying,
    /// Without waiting for the disk: must be caught.
    Carelessly,
}

/// Pages are moved into the database every few commits, so that cuts fall into that too.
fn store_config(folder: &Path, way: Way) -> StoreConfig {
    let durability = if way == Way::Carelessly { Durability::Normal } else { Durability::Full };
    StoreConfig { checkpoint_pages: 70, ..config(folder, durability) }
}

/// Writes batches under the shim.
#[test]
fn child() {
    let Ok(order) = std::env::var(ORDER) else { return };
    let (numbers, folder) = order.split_once('|').unwrap();
    let (way, seed) = numbers.split_once(' ').unwrap();
    let seed: u64 = seed.parse().unwrap();
    let way = match way {
        "Plainly" => Way::Plainly,
        "WithFailingSyncs" => Way::WithFailingSyncs,
        "Dying" => Way::Dying,
        _ => Way::Carelessly,
    };
    let (mut said, log) = Said::open();
    let mut counts = log.iter().rev().filter_map(|record| match record {
        Record::Said(count) if *count != READY => Some(*count),
        _ => None,
    });
    // What was not acknowledged is written again, though it may be stored.
    let first = counts.next().unwrap_or(0);
    let config = store_config(Path::new(folder), way);
    let mut store = Store::open(&config).unwrap();
    append_symbols(&mut store);
    said.say(READY);
    if way == Way::WithFailingSyncs {
        let control = Control::of_this_process().unwrap();
        control.set(Field::SyncError, EIO);
        control.set(Field::SyncPercent, 15 + i32::try_from(seed % 40).unwrap());
        write_by_thread(store, seed, 0..BATCHES, |number| said.say(number));
        return;
    }
    for number in first..BATCHES {
        if number == BATCHES / 2 && way == Way::Plainly {
            drop(store);
            store = Store::open(&config).unwrap();
        }
        store.write(&batch(seed, number)).unwrap();
        said.say(number + 1);
    }
}

/// A folder in memory where there is one: only the order of syncs counts, not their slowness.
fn quick_folder() -> TempDir {
    let shared = Path::new("/dev/shm");
    let in_memory = shared.is_dir().then(|| tempfile::tempdir_in(shared).ok()).flatten();
    in_memory.unwrap_or_else(|| tempfile::tempdir().unwrap())
}

/// What a child did to its disk, and said.
fn log_of_child(shim: &Shim, way: Way, seed: u64) -> Vec<Record> {
    let folder = quick_folder();
    let data = folder.path().join("data");
    fs::create_dir(&data).unwrap();
    let log = folder.path().join("log");
    let mut command = Command::new(std::env::current_exe().unwrap());
    command
        .args(["--exact", "power::child", "--nocapture", "--test-threads=1"])
        .env(ORDER, format!("{way:?} {seed}|{}", data.display()))
        .stdin(Stdio::null());
    shim.watch(&mut command, &data, Some(&log));
    let control = shim.control(&mut command);
    let mut dice = Dice::new(seed);
    let (mut lives, mut is_done) = (0, false);
    while !is_done {
        lives += 1;
        if way == Way::Dying {
            let syncs_left = i32::try_from(dice.within(1..25)).unwrap();
            control.set(Field::DieAtSync, control.get(Field::Syncs) + syncs_left);
        }
        let output = command.output().unwrap();
        is_done = output.status.success();
        let may_die = way == Way::Dying && output.status.code() == Some(137) && lives < 200;
        assert!(is_done || may_die, "{}", String::from_utf8_lossy(&output.stderr));
    }
    if way == Way::Dying {
        assert!(lives > 2, "{lives} lives");
    }
    if way == Way::WithFailingSyncs {
        assert!(control.get(Field::SyncsFailed) > 3, "syncs failed");
        assert_eq!(control.get(Field::SyncsAfterError), 0, "a failed sync is never repeated");
    }
    read_log(&log)
}

/// What an image must hold.
#[derive(Debug, Default)]
struct Promise {
    is_ready: bool,
    acknowledged: u64,
    expected: Contents,
}

/// Opens an image and holds it against what was promised.
fn check(
    folder: &Path,
    files: &BTreeMap<String, Vec<u8>>,
    seed: u64,
    promise: &Promise,
) -> Result<(), String> {
    let database: PathBuf = folder.join("klagg.db");
    for suffix in ["", "-wal", "-shm", "-journal"] {
        drop(fs::remove_file(folder.join(format!("klagg.db{suffix}"))));
    }
    for (name, bytes) in files {
        fs::write(folder.join(name), bytes).unwrap();
    }
    let store = Store::open(&config(folder, Durability::Normal)).map_err(|error| {
        format!("{} batches acknowledged; does not open: {error}", promise.acknowledged)
    })?;
    let symbols = store.load_symbols().map_err(|error| error.to_string())?.len();
    if symbols != SYMBOLS as usize && (promise.is_ready || symbols != 0) {
        return Err(format!("the symbols were acknowledged, and {symbols} are stored"));
    }
    settle(&store, seed, promise.acknowledged, &mut promise.expected.clone())?;
    let found: String = Connection::open(&database)
        .and_then(|connection| connection.query_row("PRAGMA integrity_check", [], |row| row.get(0)))
        .map_err(|error| error.to_string())?;
    if found == "ok" { Ok(()) } else { Err(found) }
}

/// Cuts the power `cuts` times in the course of a log. Returns what the first bad image lacks.
fn cut_power(log: &[Record], seed: u64, cuts: u64) -> Result<(), String> {
    let folder = quick_folder();
    let mut dice = Dice::new(seed ^ 0x00dd);
    let mut instants: Vec<u64> = (0..cuts).map(|_| dice.within(0..log.len() as u64)).collect();
    instants.sort_unstable();
    let mut instants = instants.into_iter().peekable();
    let (mut disk, mut promise) = (Disk::default(), Promise::default());
    for (at, record) in (0_u64..).zip(log) {
        while instants.next_if_eq(&at).is_some() {
            let image = disk.image(&mut dice);
            check(folder.path(), &image, seed, &promise)
                .map_err(|wrong| format!("seed {seed}, cut before record {at}: {wrong}"))?;
        }
        disk.apply(record, &mut dice);
        match *record {
            Record::Said(READY) => promise.is_ready = true,
            Record::Said(count) => {
                for number in promise.acknowledged..count {
                    apply(&mut promise.expected, &batch(seed, number));
                }
                promise.acknowledged = count;
            }
            _ => {}
        }
    }
    assert_eq!(promise.acknowledged, BATCHES, "the child wrote them all");
    Ok(())
}

/// The shim, or a word of why there is none.
fn shim() -> Option<Shim> {
    Shim::build().inspect_err(|reason| println!("skipped: {reason}")).ok()
}

fn survive(way: Way, logs: u64, cuts_each: u64) {
    let _alone = alone();
    let Some(shim) = shim() else { return };
    let seed = seed();
    println!("seed {seed}, {} images", logs * cuts_each);
    for number in 0..logs {
        let seed = seed.wrapping_mul(1_000) + number;
        cut_power(&log_of_child(&shim, way, seed), seed, cuts_each)
            .unwrap_or_else(|wrong| panic!("{way:?}: {wrong}"));
    }
}

#[test]
fn nothing_acknowledged_is_lost_to_a_power_cut() {
    survive(Way::Plainly, 8, 64);
}

#[test]
fn nothing_acknowledged_is_lost_to_a_power_cut_after_failed_syncs() {
    survive(Way::WithFailingSyncs, 8, 32);
}

#[test]
fn nothing_acknowledged_is_lost_to_a_power_cut_after_the_process_died() {
    survive(Way::Dying, 8, 32);
}

#[test]
fn a_store_that_does_not_wait_for_the_disk_is_caught() {
    let _alone = alone();
    let Some(shim) = shim() else { return };
    let seed = seed();
    let log = log_of_child(&shim, Way::Carelessly, seed);
    let wrong = cut_power(&log, seed, 200).expect_err("acknowledged commits are lost");
    assert!(wrong.contains("were acknowledged"), "{wrong}");
}
