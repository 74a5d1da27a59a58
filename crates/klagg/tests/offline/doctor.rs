//! `klagg doctor` of stores that are well, and of stores damaged in every way that it knows.

use klagg_kline::{KlineStatus, Period, Volume};
use rusqlite::Connection;

use crate::program::{Run, klagg};
use crate::store::{history, minute, store};

fn doctor(data: &str) -> Run {
    klagg(&["doctor", "--data-dir", data])
}

#[test]
fn a_store_that_is_well_says_so_while_it_is_held() {
    let (_folder, data, mut held) = store(&["AUSDT", "BUSDT"]);
    held.write(&history(0, 1_500, &[Period::M5, Period::H1, Period::D1])).unwrap();
    held.write(&[minute(1, 7, KlineStatus::Provisional)]).unwrap();
    let run = doctor(&data);
    assert_eq!((run.status, run.err.as_str()), (0, ""), "{}", run.out);
    // The day after is unfinished, and so is not compared; all of its hours and 5m are.
    let expected = "all well: 1828 closed klines read, 1 of them not confirmed yet; \
                    326 longer ones compared with their minutes\n";
    assert_eq!(run.out, expected);
    assert_eq!(klagg(&["doctor", "--data-dir", &data, "--quiet"]).out, "");
}

/// Runs doctor on an hour of a symbol after `sql` was done to it.
fn damaged(sql: &str) -> Run {
    let (folder, data, mut held) = store(&["AUSDT"]);
    held.write(&history(0, 60, &[Period::M5])).unwrap();
    drop(held);
    let database = Connection::open(folder.path().join("klagg.db")).unwrap();
    database.execute_batch(sql).unwrap();
    doctor(&data)
}

#[test]
fn every_kind_of_damage_is_found_and_comes_with_what_to_do() {
    let check = |sql: &str, wanted: &[&str]| {
        let run = damaged(sql);
        assert_eq!(run.status, 1, "{sql}: {}{}", run.out, run.err);
        assert!(run.out.contains("  next: "), "{sql}: {}", run.out);
        for wanted in wanted {
            assert!(run.out.contains(wanted), "{sql}, {wanted}: {}", run.out);
        }
    };
    // 4 trades: the minute 3. 1m rows alone have a count so small.
    check(
        "UPDATE history SET close = close + 1 WHERE trade_count = 4",
        &["checksum (1)", "AUSDT 1m: at 2024-01-02T00:03:00Z", "1 finding:", "klagg import"],
    );
    check(
        "DELETE FROM history WHERE trade_count IN (4, 5, 9)",
        &["missing where", "2 klines from 2024-01-02T00:03:00Z on", "1 klines from"],
    );
    check("DELETE FROM history WHERE trade_count = 60", &["1 klines from 2024-01-02T00:59:00Z"]);
    check("DELETE FROM history", &["nothing between 2024-01-02T00:00:00Z and"]);
    check("DELETE FROM chunk", &["72 rows that the SQL views do not show", "move klagg.db"]);
    check("UPDATE history SET symbol = 7 WHERE trade_count = 4", &["has no name", "#7 1m"]);
    check(
        "UPDATE history SET open_time = open_time + 1 WHERE trade_count = 4",
        &["1 rows with an impossible place", "checksum (1)"],
    );
    check("UPDATE coverage SET slots = zeroblob(length(slots))", &["account of a history"]);
    check("UPDATE symbol SET name = 'B'", &["row 0 of the table symbol is damaged"]);
    check(
        "DELETE FROM coverage WHERE place >> 32 = 2",
        &["12 rows outside of what the store says"],
    );
}

#[test]
fn a_longer_kline_that_is_not_the_sum_of_its_minutes_is_found() {
    let (_folder, data, mut held) = store(&["AUSDT"]);
    let mut rows = history(0, 60, &[Period::M5, Period::H1]);
    let wrong = rows.iter_mut().find(|row| row.period == Period::H1).unwrap();
    wrong.record.kline.volume = Volume::parse("99999").unwrap();
    held.write(&rows).unwrap();
    let run = doctor(&data);
    assert_eq!(run.status, 1, "{}", run.out);
    assert!(run.out.contains("AUSDT 1h: at 2024-01-02T00:00:00Z: volume is 99999, its minutes"));
    // A minute that is not confirmed proves nothing.
    let (_folder, data, mut held) = store(&["AUSDT"]);
    rows[3].record.status = KlineStatus::Closed;
    held.write(&rows).unwrap();
    let run = doctor(&data);
    assert_eq!(run.status, 0, "{}", run.out);
    assert!(run.out.contains("11 longer ones compared"), "{}", run.out);
}

#[test]
fn what_is_no_sound_file_is_found_or_refused() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().to_str().unwrap();
    let run = doctor(data);
    assert_eq!((run.status, run.err.lines().count()), (2, 1), "{}", run.err);
    assert!(run.err.contains("holds no store"), "{}", run.err);
    std::fs::write(folder.path().join("klagg.db"), vec![7; 20_000]).unwrap();
    let run = doctor(data);
    assert_eq!(run.status, 1, "{}{}", run.out, run.err);
    assert!(run.out.contains("the file is damaged (1)"), "{}", run.out);

    let (folder, data, mut held) = store(&["AUSDT"]);
    held.write(&history(0, 1_440, &[])).unwrap();
    drop(held);
    let path = folder.path().join("klagg.db");
    let mut bytes = std::fs::read(&path).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle..middle + 8_192].fill(0xff);
    std::fs::write(&path, bytes).unwrap();
    let run = doctor(&data);
    assert_eq!(run.status, 1, "{}{}", run.out, run.err);
    assert!(run.out.contains("the file is damaged"), "{}", run.out);
}
