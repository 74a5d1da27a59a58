//! The writer thread: nothing that it took is lost while the disk can be had back.

use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use klagg_kline::{KlineStatus, SymbolId};
use klagg_store::{
    Pull, Store, StoreConfig, StoreError, StoreWriter, StoredKline, SubmitError, SymbolChange,
    WriterConfig, WriterHandle, WriterStatus,
};
use rusqlite::{Connection, TransactionBehavior};
use tempfile::TempDir;

use crate::support::{row, rows, store, stored_minutes, symbol};

fn config() -> WriterConfig {
    WriterConfig {
        commit_rows_max: 100,
        queue_rows_max: 1_000,
        cadence: Duration::from_millis(5),
        open_cadence: Duration::from_millis(1),
        retry_min: Duration::from_millis(1),
        retry_max: Duration::from_millis(10),
        drain_deadline: Duration::from_millis(50),
    }
}

/// A store whose statements give up soon when the database is locked.
fn hasty_store() -> (TempDir, Store) {
    let (folder, store) = store();
    drop(store);
    let config =
        StoreConfig { busy_timeout: Duration::from_millis(1), ..StoreConfig::new(folder.path()) };
    let store = Store::open(&config).unwrap();
    (folder, store)
}

fn reopened_minutes(folder: &TempDir) -> Vec<i64> {
    stored_minutes(&Store::open(&StoreConfig::new(folder.path())).unwrap())
}

/// Waits until the writer's status is as wanted.
#[expect(clippy::disallowed_methods, reason = "a deadline for a test that waits on a condition")]
fn wait_for(handle: &WriterHandle, wanted: impl Fn(&WriterStatus) -> bool) -> WriterStatus {
    let deadline = Instant::now() + Duration::from_secs(20);
    loop {
        let status = handle.status();
        if wanted(&status) {
            return status;
        }
        assert!(Instant::now() < deadline, "not reached: {status:?}");
        std::thread::yield_now();
    }
}

fn no_pull(_: &mut Pull) {}

/// A pull that hands over what is sent to it, keeping back what finds no room.
fn pull_from(source: Receiver<StoredKline>) -> impl FnMut(&mut Pull) + Send + 'static {
    let mut kept: Option<StoredKline> = None;
    move |pull| {
        while let Some(next) = kept.take().or_else(|| source.try_recv().ok()) {
            if next.record.status == KlineStatus::Open {
                pull.push_open(next);
            } else if let Err(back) = pull.push_closed(next) {
                kept = Some(back);
                break;
            }
        }
    }
}

#[test]
fn what_is_pulled_and_what_is_submitted_reaches_the_disk() {
    let (folder, store) = store();
    let (sender, source): (Sender<StoredKline>, _) = channel();
    let writer = StoreWriter::spawn(store, config(), pull_from(source)).unwrap();
    let handle = writer.handle();
    for stored in rows(0..550, KlineStatus::Closed) {
        sender.send(stored).unwrap();
    }
    handle.wake();
    for first in (550..1_000).step_by(50) {
        handle.submit(rows(first..first + 50, KlineStatus::Confirmed)).unwrap();
    }
    // After the end of the feed, what memory still holds.
    for stored in rows(1_000..1_777, KlineStatus::Closed) {
        sender.send(stored).unwrap();
    }
    let status = writer.flush_and_join().unwrap();
    assert_eq!((status.rows_written, status.rows_queued), (1_777, 0));
    assert!(!status.persist_stalled);
    assert_eq!(reopened_minutes(&folder), (0..1_777).collect::<Vec<_>>());
    assert_eq!(handle.try_submit(rows([1], KlineStatus::Closed)), {
        Err(SubmitError::Stopped(rows([1], KlineStatus::Closed)))
    });
}

#[test]
fn a_commit_is_not_larger_than_it_may_be() {
    let (_folder, store) = store();
    let (sender, source) = channel();
    let seen = Arc::new(Mutex::new(Vec::new()));
    let noted = Arc::clone(&seen);
    let mut inner = pull_from(source);
    let pull = move |pull: &mut Pull| {
        let room = pull.room();
        inner(pull);
        noted.lock().unwrap().push((room, room - pull.room()));
    };
    for stored in rows(0..250, KlineStatus::Closed) {
        sender.send(stored).unwrap();
    }
    let writer = StoreWriter::spawn(store, config(), pull).unwrap();
    let status = wait_for(&writer.handle(), |status| status.commits == 3);
    assert_eq!(status.rows_written, 250);
    writer.flush_and_join().unwrap();
    let seen = seen.lock().unwrap();
    assert!(seen.iter().all(|&(room, _)| room == 100), "{seen:?}");
    assert_eq!(seen.iter().map(|&(_, taken)| taken).take(3).collect::<Vec<_>>(), [100, 100, 50]);
}

#[test]
fn open_klines_are_written_and_the_last_state_of_them_at_the_end() {
    let (folder, store) = store();
    let (sender, source) = channel();
    let writer = StoreWriter::spawn(
        store,
        WriterConfig { open_cadence: Duration::from_hours(1), ..config() },
        pull_from(source),
    )
    .unwrap();
    sender.send(row(7, KlineStatus::Open)).unwrap();
    writer.handle().wake();
    let written = |rows| move |status: &WriterStatus| status.rows_written == rows;
    wait_for(&writer.handle(), written(1));
    let mut last = row(7, KlineStatus::Open);
    last.record.kline.trade_count += 1;
    drop(sender);
    let status = writer.flush_and_join().unwrap();
    assert_eq!(status.rows_written, 1);
    let store = Store::open(&StoreConfig::new(folder.path())).unwrap();
    assert_eq!(store.reader().unwrap().open_klines().unwrap(), [row(7, KlineStatus::Open)]);
    // Nobody waits for the cadence at the end.
    let always = move |pull: &mut Pull| pull.push_open(last);
    let slow = WriterConfig { cadence: Duration::from_hours(1), ..config() };
    let writer = StoreWriter::spawn(store, slow, always).unwrap();
    writer.flush_and_join().unwrap();
    let store = Store::open(&StoreConfig::new(folder.path())).unwrap();
    assert_eq!(store.reader().unwrap().open_klines().unwrap(), [last]);
}

#[test]
fn a_full_queue_hands_back_and_a_patient_submitter_waits() {
    let (folder, store) = hasty_store();
    let mut blocker = Connection::open(store.path()).unwrap();
    let writer = StoreWriter::spawn(store, config(), no_pull).unwrap();
    let handle = writer.handle();
    let lock = blocker.transaction_with_behavior(TransactionBehavior::Immediate).unwrap();
    handle.submit(rows(0..600, KlineStatus::Closed)).unwrap();
    let page = rows(600..1_100, KlineStatus::Closed);
    assert_eq!(handle.try_submit(page.clone()), Err(SubmitError::Full(page.clone())));
    let patient = handle.clone();
    let waiting = std::thread::spawn(move || patient.submit(page));
    let status = wait_for(&handle, |status| status.consecutive_failures >= 3);
    assert!(status.persist_stalled);
    assert!(status.last_error.unwrap().contains("locked"));
    drop(lock);
    waiting.join().unwrap().unwrap();
    let status = wait_for(&handle, |status| status.rows_written == 1_100);
    assert!(!status.persist_stalled);
    assert_eq!(status.consecutive_failures, 0);
    writer.flush_and_join().unwrap();
    assert_eq!(reopened_minutes(&folder), (0..1_100).collect::<Vec<_>>());
}

#[test]
fn pulled_rows_survive_a_failing_disk() {
    let (folder, store) = hasty_store();
    let mut blocker = Connection::open(store.path()).unwrap();
    let lock = blocker.transaction_with_behavior(TransactionBehavior::Immediate).unwrap();
    let (sender, source) = channel();
    let writer = StoreWriter::spawn(store, config(), pull_from(source)).unwrap();
    for stored in rows(0..30, KlineStatus::Closed) {
        sender.send(stored).unwrap();
    }
    wait_for(&writer.handle(), |status| status.persist_stalled && status.failures >= 5);
    drop(lock);
    wait_for(&writer.handle(), |status| !status.persist_stalled);
    writer.flush_and_join().unwrap();
    assert_eq!(reopened_minutes(&folder), (0..30).collect::<Vec<_>>());
}

#[test]
fn a_disk_that_never_comes_back_does_not_hold_up_the_end() {
    let (_folder, store) = hasty_store();
    let mut blocker = Connection::open(store.path()).unwrap();
    let _lock = blocker.transaction_with_behavior(TransactionBehavior::Immediate).unwrap();
    let writer = StoreWriter::spawn(store, config(), no_pull).unwrap();
    writer.handle().submit(rows(0..70, KlineStatus::Closed)).unwrap();
    writer.handle().submit(rows(70..150, KlineStatus::Closed)).unwrap();
    let error = writer.flush_and_join().unwrap_err();
    assert!(matches!(error, StoreError::NotDrained { rows: 150, .. }), "{error}");
}

#[test]
fn what_can_never_be_stored_is_counted_and_keeps_nothing_back() {
    let (folder, store) = store();
    let writer = StoreWriter::spawn(store, config(), no_pull).unwrap();
    let handle = writer.handle();
    let mut page = rows(0..10, KlineStatus::Closed);
    page[3].symbol = SymbolId(3);
    page[4].record.kline.open_time.0 += 1;
    page[5].record.status = KlineStatus::Open;
    handle.submit(page.clone()).unwrap();
    handle.change_symbols(SymbolChange::Append(vec![symbol(7, "LATER")])).unwrap();
    handle.change_symbols(SymbolChange::Append(vec![symbol(3, "SOLUSDT")])).unwrap();
    handle.change_symbols(SymbolChange::Retire(SymbolId(1))).unwrap();
    handle.submit(vec![page[3]]).unwrap();
    let status = writer.flush_and_join().unwrap();
    assert_eq!((status.rows_refused, status.rows_written), (4, 8));
    let store = Store::open(&StoreConfig::new(folder.path())).unwrap();
    assert_eq!(stored_minutes(&store), [0, 1, 2, 6, 7, 8, 9]);
    let symbols = store.load_symbols().unwrap();
    assert_eq!(symbols.len(), 4);
    assert!(symbols[1].delisted);
    let reader = store.reader().unwrap();
    let last = reader.last_open_time(SymbolId(3), klagg_kline::Period::M1).unwrap();
    assert_eq!(last, Some(page[3].record.kline.open_time), "known since its symbol was written");
}

#[test]
fn a_pull_that_panics_is_reported_and_nobody_waits_for_it() {
    let (_folder, store) = store();
    let writer = StoreWriter::spawn(store, config(), |_| panic!("on purpose")).unwrap();
    let handle = writer.handle();
    let submitting = handle.clone();
    let submitter =
        std::thread::spawn(
            move || {
                while submitting.submit(rows(0..900, KlineStatus::Closed)).is_ok() {}
            },
        );
    submitter.join().unwrap();
    assert!(matches!(writer.flush_and_join(), Err(StoreError::WriterStopped)));
    let change = SymbolChange::Retire(SymbolId(0));
    assert!(matches!(handle.change_symbols(change), Err(StoreError::WriterStopped)));
}

#[test]
fn a_database_that_is_damaged_while_it_is_written_is_told_from_a_disk_that_fails() {
    let (_folder, store) = hasty_store();
    let vandal = Connection::open(store.path()).unwrap();
    let name = |name: &str| {
        vandal.execute("UPDATE symbol SET name = ?1 WHERE number = 1", [name]).unwrap();
    };
    let writer = StoreWriter::spawn(store, config(), no_pull).unwrap();
    let handle = writer.handle();
    name("FTHUSDT");
    handle.change_symbols(SymbolChange::Append(vec![symbol(3, "NEWUSDT")])).unwrap();
    let status = wait_for(&handle, |status| status.database_damaged);
    assert!(status.persist_stalled && status.last_error.unwrap().contains("is damaged"));
    name("ETHUSDT");
    wait_for(&handle, |status| !status.persist_stalled && !status.database_damaged);
    vandal.execute_batch("BEGIN IMMEDIATE").unwrap();
    handle.change_symbols(SymbolChange::Append(vec![symbol(4, "OTHERUSDT")])).unwrap();
    let status = wait_for(&handle, |status| status.persist_stalled);
    assert!(!status.database_damaged, "locked, which passes");
    vandal.execute_batch("ROLLBACK").unwrap();
    writer.flush_and_join().unwrap();
}
