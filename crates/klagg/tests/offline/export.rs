//! `klagg export` of stores made by hand, some of them held by a writer.

use std::fs::{self, File};
use std::path::Path;

use klagg_kline::{KlineStatus, Period, QuoteVolume};
use parquet::file::reader::{FileReader, SerializedFileReader};
use parquet::record::Field;

use crate::program::klagg;
use crate::store::{DAY, MINUTE, history, minute, store};

const HEADER: &str = "symbol,period,open_time,open,high,low,close,volume,close_time,quote_volume,\
                      count,taker_buy_volume,taker_buy_quote_volume,ignore";

/// Minute 3 of the test's day.
const ROW: &str = "1704153780000,100.0,100.4,99.9,100.3,0.5,1704153839999,1234.5678901234567894,4,\
                   0.1,0.0000000000000007,0";

#[test]
fn everything_comes_out_in_order_while_the_store_is_held() {
    let (_folder, path, mut held) = store(&["AUSDT", "币安人生USDT"]);
    held.write(&history(1, 10, &[Period::M5])).unwrap();
    held.write(&history(0, 20, &[])).unwrap();
    let run = klagg(&["export", "--data-dir", &path]);
    assert_eq!(run.status, 0, "{}", run.err);
    let lines: Vec<&str> = run.out.lines().collect();
    assert_eq!((lines[0], lines.len()), (HEADER, 1 + 20 + 10 + 2));
    assert_eq!(lines[4], format!("AUSDT,1m,{ROW}"));
    assert!(lines[21].starts_with("币安人生USDT,1m,") && lines[31].contains(",5m,"));
    assert_eq!(run.err, "32 klines written\n");
    let quiet = klagg(&["export", "--data-dir", &path, "--quiet"]);
    assert_eq!((quiet.out, quiet.err.as_str()), (run.out, ""));
}

#[test]
fn what_is_asked_for_is_chosen() {
    let (_folder, path, mut held) = store(&["AUSDT", "BUSDT", "CUSDT"]);
    for symbol in 0..3 {
        held.write(&history(symbol, 60, &[Period::M5, Period::H1])).unwrap();
    }
    let count = |more: &[&str]| {
        let args: Vec<&str> =
            ["export", "--quiet", "--data-dir", &path].into_iter().chain(more.to_vec()).collect();
        let run = klagg(&args);
        assert_eq!(run.status, 0, "{}", run.err);
        run.out.lines().count() - 1
    };
    assert_eq!(count(&[]), 3 * (60 + 12 + 1));
    assert_eq!(count(&["--symbol", "AUSDT,CUSDT", "--period", "5m", "--period", "1h"]), 26);
    assert_eq!(count(&["--symbol", "BUSDT", "--period", "1m,1m", "--from", "2024-01-02"]), 60);
    let span = ["--period", "1m", "--from", "2024-01-02T00:10", "--to", "2024-01-02T00:20Z"];
    assert_eq!(count(&span), 30);
    let to = (DAY + 30 * MINUTE).to_string();
    assert_eq!(count(&["--period", "1m", "--to", &to]), 90);
    assert_eq!(count(&["--to", "2020-01-01"]), 0);
}

#[test]
fn a_name_that_was_listed_twice_means_its_newest_listing() {
    let (_folder, path, mut held) = store(&["牛_4USDT", "BUSDT", "牛_4USDT"]);
    held.write(&history(0, 60, &[])).unwrap();
    held.write(&history(2, 7, &[])).unwrap();
    let named = klagg(&["export", "--quiet", "--data-dir", &path, "--symbol", "牛_4USDT"]);
    assert_eq!(named.out.lines().count(), 1 + 7, "{}", named.err);
    let all = klagg(&["export", "--quiet", "--data-dir", &path]);
    assert_eq!(all.out.lines().count(), 1 + 60 + 7, "{}", all.err);
}

#[test]
fn the_status_is_told_when_asked_for() {
    let (_folder, path, mut held) = store(&["AUSDT"]);
    held.write(&[minute(0, 0, KlineStatus::Confirmed)]).unwrap();
    held.write(&[minute(0, 1, KlineStatus::Provisional)]).unwrap();
    let run = klagg(&["export", "--data-dir", &path, "--status"]);
    assert_eq!(run.out.lines().next().unwrap(), format!("{HEADER},status"));
    assert!(run.out.ends_with(",0,provisional\n"), "{}", run.out);
    assert!(run.err.contains("2 klines written, 1 of them not confirmed"), "{}", run.err);
    let run = klagg(&["export", "--data-dir", &path, "--format", "jsonl"]);
    assert!(run.out.starts_with(r#"{"symbol":"AUSDT","period":"1m","open_time":1704153600000,"#));
    assert!(run.out.lines().next().unwrap().ends_with(r#""status":"confirmed"}"#), "{}", run.out);
}

/// All rows of a file, each value as the library shows it.
fn read_back(path: &Path) -> Vec<Vec<(String, Field)>> {
    let reader = SerializedFileReader::new(File::open(path).unwrap()).unwrap();
    let columns = |row: Result<parquet::record::Row, _>| {
        let row = row.unwrap();
        row.get_column_iter().map(|(name, field)| (name.clone(), field.clone())).collect()
    };
    reader.get_row_iter(None).unwrap().map(columns).collect()
}

#[test]
fn parquet_reads_back_to_what_is_stored() {
    let (folder, path, mut held) = store(&["AUSDT"]);
    held.write(&history(0, 1_440, &[Period::H1])).unwrap();
    let out = folder.path().join("klines.parquet");
    let file = out.to_str().unwrap();
    let base = ["export", "--data-dir", &path, "--format", "parquet", "--out", file];
    let run = klagg(&base);
    assert_eq!((run.status, run.out.as_str()), (0, ""), "{}", run.err);
    let rows = read_back(&out);
    assert_eq!(rows.len(), 1_440 + 24);
    let names: Vec<&str> = rows[3].iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names.join(","), HEADER.strip_suffix(",ignore").unwrap());
    let values: Vec<Field> = rows[3].iter().map(|(_, field)| field.clone()).collect();
    let expected = [
        Field::Str("AUSDT".to_owned()),
        Field::Str("1m".to_owned()),
        Field::TimestampMillis(1_704_153_780_000),
        Field::Double(100.0),
        Field::Double(100.4),
        Field::Double(99.9),
        Field::Double(100.3),
        Field::Double(0.5),
        Field::TimestampMillis(1_704_153_839_999),
        Field::Double(1_234.567_890_123_457),
        Field::Long(4),
        Field::Double(0.1),
        Field::Double(7e-16),
    ];
    assert_eq!(values, expected);

    let run = klagg(&[&base[..], &["--decimal", "--status"]].concat());
    assert_eq!(run.status, 0, "{}", run.err);
    let shown: Vec<String> =
        read_back(&out)[3].iter().map(|(_, field)| field.to_string()).collect();
    assert_eq!(
        shown[3..8].join(" "),
        "100.00000000 100.40000000 99.90000000 100.30000000 0.50000000"
    );
    assert_eq!(shown[9], "1234.5678901234567894");
    assert_eq!(shown[13], "\"confirmed\"");
}

#[test]
fn a_number_too_long_for_a_decimal_is_named_and_no_file_is_made() {
    let (folder, path, mut held) = store(&["AUSDT"]);
    let mut row = minute(0, 0, KlineStatus::Confirmed);
    row.record.kline.quote_volume = QuoteVolume::from_scaled(i128::MAX);
    held.write(&[row]).unwrap();
    let out = folder.path().join("klines.parquet");
    let file = out.to_str().unwrap();
    let base = ["export", "--data-dir", &path, "--format", "parquet", "--out", file];
    let run = klagg(&[&base[..], &["--decimal"]].concat());
    assert_eq!(run.status, 2, "{}", run.err);
    let sentence = "the quote_volume of AUSDT 1m at 2024-01-02T00:00:00Z has more than 38 digits";
    assert!(run.err.contains(sentence), "{}", run.err);
    assert!(!out.exists());
    assert_eq!(klagg(&base).status, 0);
}

#[test]
fn damaged_rows_are_left_out_and_said() {
    let (folder, path, mut held) = store(&["AUSDT"]);
    held.write(&history(0, 20, &[])).unwrap();
    drop(held);
    let database = rusqlite::Connection::open(folder.path().join("klagg.db")).unwrap();
    database.execute("UPDATE history SET close = close + 1 WHERE trade_count = 4", []).unwrap();
    let run = klagg(&["export", "--data-dir", &path]);
    assert_eq!((run.status, run.out.lines().count()), (1, 20), "{}", run.err);
    assert!(
        run.err.contains("1 damaged rows were left out, first AUSDT 1m at 2024-01-02T00:03:00Z")
    );
}

#[test]
fn bad_wishes_end_with_one_sentence_and_leave_what_was_there() {
    let (folder, path, mut held) = store(&["AUSDT"]);
    held.write(&history(0, 2, &[])).unwrap();
    let out = folder.path().join("klines.csv");
    fs::write(&out, "old").unwrap();
    let file = out.to_str().unwrap();
    let check = |more: &[&str], wanted: &str| {
        let run = klagg(&[&["export", "--out", file], more].concat());
        assert_eq!(run.status, 2, "{more:?}: {}", run.err);
        assert!(run.err.contains(wanted), "{more:?}: {}", run.err);
        assert_eq!(fs::read_to_string(&out).unwrap(), "old");
    };
    let at = ["--data-dir", path.as_str()];
    check(&["--data-dir", "/nonexistent/folder"], "/nonexistent/folder");
    check(&[&at[..], &["--symbol", "XUSDT"]].concat(), "holds no symbol XUSDT");
    check(&[&at[..], &["--period", "7m"]].concat(), "unknown period `7m`");
    check(&[&at[..], &["--from", "yesterday"]].concat(), "write a date");
    check(&[&at[..], &["--from", "1704153600"]].concat(), "milliseconds");
    check(&[&at[..], &["--from", "2024-01-03", "--to", "2024-01-02"]].concat(), "not before");
    let empty = tempfile::tempdir().unwrap();
    check(&["--data-dir", empty.path().to_str().unwrap()], "holds no store");
    assert_eq!(fs::read_dir(empty.path()).unwrap().count(), 0, "nothing is made");
    let args = ["export", "--data-dir", &path, "--out", "/nonexistent/klines.csv"];
    assert!(klagg(&args).err.contains("/nonexistent/klines.csv"));
    // A folder may not be replaced by a file.
    let run = klagg(&["export", "--data-dir", &path, "--out", &path]);
    assert_eq!(run.status, 2, "{}", run.err);
}

#[test]
fn whoever_asks_for_what_is_not_held_is_told_what_is() {
    let (_folder, path, mut held) = store(&["AUSDT"]);
    held.write(&history(0, 20, &[])).unwrap();
    let base = ["export", "--data-dir", path.as_str()];
    let holds = "the store holds 1m from 2024-01-02T00:00:00Z to 2024-01-02T00:19:00Z";
    let check = |more: &[&str], rows: usize, is_told: bool| {
        let run = klagg(&[&base[..], more].concat());
        assert_eq!((run.status, run.out.lines().count()), (0, 1 + rows), "{more:?}: {}", run.err);
        assert_eq!(run.err.contains(holds), is_told, "{more:?}: {}", run.err);
    };
    check(&["--period", "5m"], 0, true);
    check(&["--period", "1m,5m"], 20, true);
    check(&["--from", "2030-01-01"], 0, true);
    check(&["--from", "2030-01-01", "--quiet"], 0, false);
    check(&["--period", "1m"], 20, false);
    let (_folder, path, _held) = store(&["AUSDT"]);
    let run = klagg(&["export", "--data-dir", &path]);
    assert!(run.err.contains("no closed kline yet"), "{}", run.err);
}

#[test]
fn damage_of_what_was_not_asked_for_does_not_fail_what_was() {
    let (folder, path, mut held) = store(&["AUSDT"]);
    held.write(&history(0, 20, &[Period::M5])).unwrap();
    drop(held);
    let database = rusqlite::Connection::open(folder.path().join("klagg.db")).unwrap();
    let damage = "UPDATE coverage SET slots = zeroblob(length(slots)) WHERE place >> 32 = ?1";
    assert_eq!(database.execute(damage, [Period::M5 as i64]).unwrap(), 1);
    let base = ["export", "--data-dir", path.as_str()];
    let export = |more: &[&str], rows: usize| {
        let run = klagg(&[&base[..], more].concat());
        assert_eq!((run.status, run.out.lines().count()), (0, 1 + rows), "{more:?}: {}", run.err);
        run.err
    };
    assert_eq!(export(&["--period", "1m"], 20), "20 klines written\n");
    assert_eq!(export(&["--period", "1m", "--quiet"], 20), "");
    for (wish, rows) in
        [(&["--period", "1m,15m"][..], 20), (&["--to", "2020-01-01", "--period", "1m"], 0)]
    {
        let told = export(wish, rows);
        assert!(told.contains("warning: what the store holds cannot be told: "), "{told}");
        assert!(told.ends_with("does not match its checksum: see `klagg doctor`\n"), "{told}");
    }
    // Of what was asked for it is an error.
    let run = klagg(&[&base[..], &["--period", "5m"]].concat());
    assert_eq!(run.status, 2, "{}", run.err);
    assert!(run.err.contains("see `klagg doctor`"), "{}", run.err);
}
