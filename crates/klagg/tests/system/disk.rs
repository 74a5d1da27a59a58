//! The disk broken on purpose, and the process killed: the feed and the page go on, and what is
//! stored in the end is whole and true.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use klagg_kline::{KlineRecord, Period, SymbolId, UnixMillis};
use klagg_store::{ReadEnd, ReadQuery, StoreReader};

use crate::market::{Market, PATIENCE, START};
use crate::process::{Klagg, get, metric, now, wait_until};
use crate::shim::{Control, EIO, ENOSPC, Field, Shim};
use crate::truth::{
    FACTOR, Stored, end_whole, minutes_after_start, start, start_with, stop, wait_until_confirmed,
};

/// A figure of the probes; 0 before it is there.
fn figure(admin: &str, name: &str) -> f64 {
    metric(admin, name).unwrap_or(0.0)
}

/// A klagg whose disk obeys us; `None` where the machine cannot have that.
fn start_on_a_doubtful_disk(
    market: &Market,
    folder: &Path,
) -> Option<(Klagg, String, String, Control, Shim)> {
    let shim = Shim::build().inspect_err(|reason| println!("skipped: {reason}")).ok()?;
    let mut control = None;
    let (klagg, page, admin) = start_with(market, folder.to_str().unwrap(), &[], |command| {
        shim.watch(command, folder, None);
        control = Some(shim.control(command));
    });
    wait_until_confirmed(&admin, minutes_after_start(1));
    Some((klagg, page, admin, control.unwrap(), shim))
}

/// Waits until the minute that is going on now is confirmed.
fn wait_for_another_minute(market: &Market, admin: &str) -> UnixMillis {
    let whole = Period::M1.next_open_time(market.exchange().now());
    wait_until_confirmed(admin, whole);
    whole
}

/// While klines cannot be written, everybody is told, and everything but the disk goes on.
fn check_stalled(market: &Market, page: &str, admin: &str) {
    wait_until("the stall is shown", PATIENCE, || figure(admin, "klagg_persist_stalled") > 0.5);
    let status = get(page, "/api/v1/status").unwrap();
    assert!(status.contains("klines cannot be written"), "{status}");
    let ready = get(admin, "/readyz").unwrap();
    assert!(ready.contains("problem: klines cannot be written"), "{ready}");
    let trades = figure(admin, "klagg_trades_total");
    let failures = figure(admin, "klagg_store_failures_total");
    let from = market.exchange().now();
    wait_until("two minutes pass", PATIENCE, || market.exchange().now() >= from.plus(120_000));
    assert!(figure(admin, "klagg_trades_total") > trades + 20.0, "the feed goes on");
    assert!(figure(admin, "klagg_store_failures_total") > failures, "the disk is tried again");
    assert!(get(page, "/").unwrap().contains("<title>"), "the page goes on");
    assert!(get(admin, "/healthz").unwrap().starts_with("ok"));
}

/// Waits until the disk has everything again.
fn wait_for_recovery(admin: &str) {
    wait_until("all is written", PATIENCE, || {
        figure(admin, "klagg_persist_stalled") < 0.5
            && figure(admin, "klagg_store_rows_queued") < 0.5
    });
}

#[test]
fn a_full_disk_and_failing_syncs_stop_nothing_and_lose_nothing() {
    let market = Market::open(21, FACTOR);
    let folder = tempfile::tempdir().unwrap();
    let Some((klagg, page, admin, control, _shim)) =
        start_on_a_doubtful_disk(&market, folder.path())
    else {
        return;
    };
    control.set(Field::WriteError, ENOSPC);
    check_stalled(&market, &page, &admin);
    assert!(control.get(Field::WritesFailed) > 0);
    control.set(Field::WriteError, 0);
    wait_for_recovery(&admin);
    wait_for_another_minute(&market, &admin);

    control.set(Field::SyncError, EIO);
    control.set(Field::SyncPercent, 100);
    check_stalled(&market, &page, &admin);
    assert!(control.get(Field::SyncsFailed) > 0);
    control.set(Field::SyncPercent, 0);
    wait_for_recovery(&admin);
    assert_eq!(control.get(Field::SyncsAfterError), 0, "a failed sync is never repeated");

    end_whole(klagg, &admin, &market, folder.path().to_str().unwrap());
}

/// Snapshots published in a second, at best of a few looks: the machine may be busy, but a path
/// that waits for the disk never comes near its rate without it. Ten is what the cadence allows:
/// more is one counted at both ends of a short look.
fn snapshots_a_second(admin: &str, enough: f64) -> f64 {
    let mut best: f64 = 0.0;
    for _ in 0..10 {
        let (from, began) = (figure(admin, "klagg_snapshots_total"), now());
        wait_until("a while passes", PATIENCE, || began.elapsed() >= Duration::from_millis(800));
        let rate = (figure(admin, "klagg_snapshots_total") - from) / began.elapsed().as_secs_f64();
        best = best.max(rate.min(10.0));
        if best >= enough {
            break;
        }
    }
    best
}

#[test]
fn a_slow_disk_does_not_slow_the_real_time_path() {
    let market = Market::open(22, FACTOR);
    let folder = tempfile::tempdir().unwrap();
    let Some((klagg, _, admin, control, _shim)) = start_on_a_doubtful_disk(&market, folder.path())
    else {
        return;
    };
    let quick = snapshots_a_second(&admin, 9.5);
    control.set(Field::SyncDelayMs, 400);
    let syncs = control.get(Field::Syncs);
    wait_until("slow syncs are under way", PATIENCE, || control.get(Field::Syncs) > syncs + 1);
    let slow = snapshots_a_second(&admin, quick * 0.95);
    assert!(control.get(Field::Syncs) > syncs + 2, "the disk was in use meanwhile");
    assert!(
        slow >= quick * 0.9,
        "{slow} snapshots a second while the disk is slow, {quick} before"
    );
    let whole = wait_for_another_minute(&market, &admin);
    control.set(Field::SyncDelayMs, 0);
    stop(klagg);
    let stored = Stored::read(folder.path().to_str().unwrap());
    assert!(stored.compare(&market.oracle(), START) > 8);
    stored.assert_no_hole(minutes_after_start(0), whole);
}

type Contents = BTreeMap<(SymbolId, Period, UnixMillis), KlineRecord>;

/// What is committed, whether or not a klagg is running on it.
fn committed(folder: &Path) -> Contents {
    let reader = StoreReader::open_folder(folder, Duration::from_secs(5)).unwrap();
    let all = ReadQuery { from: None, to: None, limit: usize::MAX, keep: ReadEnd::Oldest };
    let mut found = Contents::new();
    for symbol in reader.symbols().unwrap() {
        for period in Period::DEFAULT {
            for record in reader.read(symbol.id, period, &all).unwrap() {
                found.insert((symbol.id, period, record.kline.open_time), record);
            }
        }
    }
    found
}

#[test]
fn a_klagg_killed_again_and_again_has_no_hole_and_misses_nothing_that_was_committed() {
    let market = Market::open(23, FACTOR);
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().to_str().unwrap();
    let mut before = Contents::new();
    for life in 0..4_i64 {
        let (klagg, _, admin) = start(&market, path, &[]);
        let commits = [1.0, 6.0, 15.0, 3.0][usize::try_from(life).unwrap()];
        wait_until("it commits", PATIENCE, || {
            figure(&admin, "klagg_store_commits_total") > commits
        });
        before.extend(committed(folder.path()));
        // Dropping it is `kill -9`.
        drop(klagg);
        let after = committed(folder.path());
        for (key, record) in &before {
            let found = after.get(key).unwrap_or_else(|| panic!("{key:?} is missing"));
            assert!(found == record || found.supersedes(record), "{key:?}: {record:?}, {found:?}");
        }
    }
    let (klagg, _, admin) = start(&market, path, &[]);
    wait_until_confirmed(&admin, minutes_after_start(1));
    end_whole(klagg, &admin, &market, path);
}

/// The open day of a symbol as the page's API tells it: when it opened, and trades in it.
fn open_day(page: &str, name: &str) -> Option<(i64, u64)> {
    let body = get(page, &format!("/fapi/v1/klines?symbol={name}&interval=1d&limit=1"))?;
    let mut numbers = body.trim_start_matches('[').split(',');
    Some((numbers.next()?.parse().ok()?, numbers.nth(7)?.parse().ok()?))
}

#[test]
fn a_viewer_of_the_file_is_never_more_than_seconds_behind_the_open_day() {
    let market = Market::open(25, FACTOR);
    let folder = tempfile::tempdir().unwrap();
    let (klagg, page, admin) = start(&market, folder.path().to_str().unwrap(), &[]);
    wait_until_confirmed(&admin, minutes_after_start(1));
    let reader = StoreReader::open_folder(folder.path(), Duration::from_secs(5)).unwrap();
    let symbol = reader.symbols().unwrap().swap_remove(0);
    let mut seen = std::collections::BTreeSet::new();
    for _ in 0..3 {
        let mut shown = (0, 0);
        wait_until("the page shows the day", PATIENCE, || {
            open_day(&page, &symbol.name).inspect(|day| shown = *day).is_some()
        });
        // Three seconds are the cadence; the rest is for a machine that is busy.
        wait_until("the file has it too", Duration::from_secs(12), || {
            reader.open_klines().unwrap().iter().any(|row| {
                let kline = &row.record.kline;
                (row.symbol, row.period) == (symbol.id, Period::D1)
                    && (kline.open_time.0, kline.trade_count) >= shown
            })
        });
        seen.insert(shown);
        let from = market.exchange().now();
        wait_until("a minute passes", PATIENCE, || market.exchange().now() >= from.plus(60_000));
    }
    assert!(seen.len() > 1, "the day moves: {seen:?}");
    stop(klagg);
}
