//! `klagg import` of dumps made by hand: good ones, and every kind of bad one.

use std::fmt::Write;
use std::fs;
use std::path::Path;

use klagg_kline::{KlineStatus, Period, SymbolId};
use klagg_store::{Store, StoreConfig, StoredKline};

use crate::program::{Run, fixture, klagg, recorded};
use crate::store::{DAY, MINUTE, history, minute, store};

/// The exchange's layout.
fn dump(rows: &[StoredKline]) -> String {
    let mut text = String::from(
        "open_time,open,high,low,close,volume,close_time,quote_volume,count,taker_buy_volume,\
         taker_buy_quote_volume,ignore\n",
    );
    for StoredKline { period, record, .. } in rows {
        let kline = &record.kline;
        let (open_time, close_time) = (kline.open_time, period.close_time(kline.open_time));
        let prices = format!("{},{},{},{}", kline.open, kline.high, kline.low, kline.close);
        let taker = format!("{},{}", kline.taker_buy_volume, kline.taker_buy_quote_volume);
        let (volume, quote, count) = (kline.volume, kline.quote_volume, kline.trade_count);
        writeln!(text, "{open_time},{prices},{volume},{close_time},{quote},{count},{taker},0")
            .unwrap();
    }
    text
}

fn write(folder: &Path, name: &str, text: &str) -> String {
    let path = folder.join(name);
    fs::write(&path, text).unwrap();
    path.to_str().unwrap().to_owned()
}

fn import(data: &str, more: &[&str]) -> Run {
    klagg(&[&["import", "--data-dir", data], more].concat())
}

/// How many klines of the first symbol the store holds, and to where it says it is complete.
fn held(data: &str, period: Period) -> (usize, Option<i64>) {
    let run = klagg(&["export", "--data-dir", data, "--quiet", "--period", period.as_str()]);
    let store = Store::open(&StoreConfig::new(data)).unwrap();
    let until = store.complete_until(SymbolId(0), period).unwrap();
    (run.out.lines().count() - 1, until.map(|until| (until.0 - DAY) / MINUTE))
}

#[test]
fn a_dump_becomes_confirmed_klines_and_a_second_time_nothing() {
    let (folder, data, open) = store(&["AUSDT"]);
    drop(open);
    let file = write(folder.path(), "AUSDT-1m-2024-01-02.csv", &dump(&history(0, 1_440, &[])));
    let run = import(&data, &[&file]);
    assert_eq!((run.status, run.out.as_str()), (0, ""), "{}", run.err);
    assert!(run.err.contains("1440 klines written, 0 unchanged, 0 refused"), "{}", run.err);
    assert_eq!(held(&data, Period::M1), (1_440, Some(1_440)));
    let run = import(&data, &[&file]);
    assert!(run.err.contains("0 klines written, 1440 unchanged, 0 refused"), "{}", run.err);
    assert!(run.err.contains("1 of 1 files imported"), "{}", run.err);
    assert_eq!(import(&data, &["--quiet", &file]).err, "");
    assert_eq!(klagg(&["doctor", "--data-dir", &data]).status, 0);
}

#[test]
fn overlapping_files_agree_or_are_refused() {
    let (folder, data, mut open) = store(&["AUSDT"]);
    open.write(&[minute(0, 15, KlineStatus::Provisional)]).unwrap();
    drop(open);
    let rows = history(0, 30, &[]);
    let first = write(folder.path(), "AUSDT-1m-a.csv", &dump(&rows[..20]));
    let second = write(folder.path(), "AUSDT-1m-b.csv", &dump(&rows[10..]));
    let run = import(&data, &[&first, &second]);
    assert_eq!(run.status, 0, "{}", run.err);
    assert!(run.err.contains("10 klines written, 10 unchanged"), "{}", run.err);
    assert_eq!(held(&data, Period::M1), (30, Some(30)));

    let mut other = history(0, 40, &[]);
    other[5].record.kline.trade_count += 1;
    let third = write(folder.path(), "AUSDT-1m-c.csv", &dump(&other));
    let run = import(&data, &[&third]);
    assert_eq!(run.status, 2, "{}", run.err);
    assert!(run.err.contains("40 rows refused: 1 rows contradict"), "{}", run.err);
    assert!(run.err.contains("AUSDT 1m at 2024-01-02T00:05:00Z"), "{}", run.err);
    assert_eq!(held(&data, Period::M1).0, 30, "nothing half imported");
    let run = import(&data, &[&third, "--skip-bad"]);
    assert!(run.err.contains("10 klines written, 29 unchanged, 1 refused"), "{}", run.err);
    assert_eq!((run.status, held(&data, Period::M1).0), (0, 40));
}

#[test]
fn bad_files_are_refused_whole_and_good_ones_beside_them_are_taken() {
    let (folder, data, open) = store(&["AUSDT"]);
    drop(open);
    let folder = folder.path();
    let rows = history(0, 20, &[]);
    let good = dump(&rows);
    let check = |file: &str, wanted: &str| {
        let run = import(&data, &[file]);
        assert_eq!((run.status, run.out.as_str()), (2, ""), "{file}: {}", run.err);
        assert!(run.err.contains(wanted), "{file}, {wanted}: {}", run.err);
        assert_eq!(held(&data, Period::M1).0, 0, "{file}");
    };
    let name = "AUSDT-1m-x.csv";
    check(&write(folder, name, &good.replace(",100.4,", ",x,")), "malformed");
    check(&write(folder, name, &good.replace(",100.4,", ",99,")), "malformed");
    let lines: Vec<&str> = good.lines().collect();
    let swapped = [&lines[..5], &[lines[6], lines[5]], &lines[7..], &[""]].concat().join("\n");
    check(&write(folder, name, &swapped), "1 out of order or double");
    let doubled = [&lines[..], &lines[20..], &[""]].concat().join("\n");
    check(&write(folder, name, &doubled), "line 22, AUSDT 1m at 2024-01-02T00:19:00Z");
    check(&write(folder, name, good.trim_end()), "cut short");
    check(&write(folder, name, &good.replace(",100.4,", ",100.40000000000001,")), "rounded");
    let mut late = rows[0];
    late.record.kline.open_time.0 += 100 * 365 * 86_400_000;
    check(&write(folder, name, &dump(&[late])), "unfinished");
    check(&write(folder, "XUSDT-1m-x.csv", &good), "XUSDT is not in the store");
    check(&write(folder, "rows.csv", &good), "symbol");
    check(&write(folder, "rows.csv", &good), "give it with --symbol");
    check(&write(folder, "AUSDT-5m-x.csv", &good), "its name says 5m, and it holds 1m klines");
    check(&write(folder, name, &format!("{}\n", lines[0])), "holds no row");
    check(&write(folder, name, "%\u{7f}\u{1} no table"), "neither CSV");
    check(&write(folder, "AUSDT-1m-x.zip", "PK\u{3}\u{4} torn"), "download it again");
    check(&write(folder, "empty.csv", ""), "empty");
    check("missing.csv", "missing.csv");
    check(&fixture("AUSDT-aggTrades-2024-01-02.csv"), "not those of klines");
    check(&fixture("frames-aggTrade-kline_1m.jsonl"), "still grow");
    let reply = r#"[[1704153600000,"1","1","1","1","1",1704153659999,"1",1,"1","1","0"]]"#;
    check(&write(folder, "AUSDT-1m-reply.json", reply), "REST");
    let printed = klagg(&["replay", &fixture("AUSDT-trades-2024-01-02.csv")]).out;
    check(&write(folder, "replayed.csv", &printed), "no status");

    let file = write(folder, name, &good);
    let sum = write(folder, "AUSDT-1m-x.csv.CHECKSUM", &format!("{}  {name}\n", "0".repeat(64)));
    check(&file, "download it again");
    fs::write(&sum, "words").unwrap();
    check(&file, "no SHA-256");
    fs::write(&sum, vec![0xff; 100_000]).unwrap();
    check(&file, "no SHA-256");
    fs::remove_file(&sum).unwrap();
    let bad = write(folder, "AUSDT-1m-y.csv", &swapped);
    let run = import(&data, &[&bad, &file]);
    assert_eq!((run.status, held(&data, Period::M1).0), (1, 20), "{}", run.err);
    assert!(run.err.contains("1 of 2 files imported: 20 klines written"), "{}", run.err);
}

#[test]
fn bad_rows_are_left_out_and_counted_where_that_is_wanted() {
    let (folder, data, open) = store(&["AUSDT"]);
    drop(open);
    let text = dump(&history(0, 20, &[])).replacen("1704153600000,", "1704153600001,", 1);
    let file = write(folder.path(), "AUSDT-1m-x.csv", &text);
    let run = import(&data, &[&file, "--skip-bad", "--quiet"]);
    assert_eq!(run.status, 0, "{}", run.err);
    assert!(run.err.contains("19 klines written, 0 unchanged, 1 refused"), "{}", run.err);
    assert!(run.err.contains("AUSDT-1m-x.csv:2: "), "{}", run.err);
}

#[test]
fn a_file_named_after_one_symbol_is_not_taken_for_another_one() {
    let (folder, data, open) = store(&["AUSDT", "BUSDT"]);
    drop(open);
    let text = dump(&history(0, 20, &[]));
    let file = write(folder.path(), "BUSDT-1m-2024-01-02.csv", &text);
    let run = import(&data, &[&file, "--symbol", "AUSDT"]);
    assert_eq!((run.status, held(&data, Period::M1).0), (2, 0), "{}", run.err);
    assert!(run.err.contains("its name says BUSDT, --symbol says AUSDT"), "{}", run.err);
    let file = write(folder.path(), "download (1).csv", &text);
    let run = import(&data, &[&file, "--symbol", "AUSDT"]);
    assert_eq!((run.status, held(&data, Period::M1).0), (0, 20), "{}", run.err);
}

#[test]
fn a_damaged_store_is_not_written_to_and_doctor_is_named() {
    let (folder, data, open) = store(&["AUSDT"]);
    drop(open);
    let file = write(folder.path(), "AUSDT-1m-x.csv", &dump(&history(0, 3, &[])));
    fs::write(folder.path().join("klagg.db"), vec![7; 20_000]).unwrap();
    let run = import(&data, &[&file]);
    assert_eq!((run.status, run.err.lines().count()), (2, 1), "{}", run.err);
    assert!(run.err.contains("is damaged") && run.err.contains("klagg doctor"), "{}", run.err);
    let run = klagg(&["export", "--data-dir", &data]);
    assert_eq!((run.status, run.out.as_str()), (2, ""), "{}", run.err);
    assert!(run.err.contains("is damaged") && run.err.contains("klagg doctor"), "{}", run.err);
}

#[test]
fn new_symbols_are_numbered_by_their_first_day_when_asked_for() {
    let (folder, data) = {
        let folder = tempfile::tempdir().unwrap();
        let data = folder.path().join("data").to_str().unwrap().to_owned();
        (folder, data)
    };
    let mut later = history(0, 3, &[]);
    for row in &mut later {
        row.record.kline.open_time.0 += 86_400_000;
    }
    let a = write(folder.path(), "AUSDT-1m-2024-01-03.csv", &dump(&later));
    let b = write(folder.path(), "BUSDT-1m-2024-01-02.csv", &dump(&history(0, 5, &[])));
    let run = import(&data, &[&a, &b]);
    assert_eq!(run.status, 2);
    assert!(run.err.contains("holds no store") && !Path::new(&data).exists(), "{}", run.err);
    let run = import(&data, &[&a, &b, "--add-symbols"]);
    assert_eq!(run.status, 0, "{}", run.err);
    assert!(run.err.contains("BUSDT is new and has number 0"), "{}", run.err);
    assert!(run.err.contains("AUSDT is new and has number 1"), "{}", run.err);
    let out = klagg(&["export", "--data-dir", &data]).out;
    assert!(
        out.lines().nth(1).unwrap().starts_with("BUSDT,1m,1704153600000,100.0,100.1,"),
        "{out}"
    );
    assert_eq!(out.lines().count(), 1 + 8);
}

#[test]
fn an_export_with_status_can_be_imported() {
    let (folder, data, mut open) = store(&["AUSDT", "BUSDT"]);
    open.write(&history(0, 30, &[Period::M5])).unwrap();
    open.write(&[minute(1, 0, KlineStatus::Closed)]).unwrap();
    drop(open);
    let file = folder.path().join("all.csv").to_str().unwrap().to_owned();
    let base = ["--status", "--quiet"];
    let out = klagg(&[&["export", "--data-dir", &data, "--out", &file], &base[..]].concat());
    assert_eq!(out.status, 0, "{}", out.err);
    let (_other_folder, other, empty) = store(&["AUSDT", "BUSDT"]);
    drop(empty);
    assert_eq!(import(&other, &[&file]).status, 0);
    let again = klagg(&[&["export", "--data-dir", &other], &base[..]].concat());
    assert_eq!(again.out, fs::read_to_string(&file).unwrap());
}

#[test]
fn a_dump_heals_damaged_and_missing_rows() {
    let (folder, data, mut open) = store(&["AUSDT"]);
    let rows = history(0, 60, &[Period::M5]);
    open.write(&rows).unwrap();
    drop(open);
    let database = rusqlite::Connection::open(folder.path().join("klagg.db")).unwrap();
    let damage = "UPDATE history SET close = close + 1 WHERE trade_count = 4;
                  DELETE FROM history WHERE trade_count IN (10, 60);";
    database.execute_batch(damage).unwrap();
    drop(database);
    assert_eq!(klagg(&["doctor", "--data-dir", &data]).status, 1);
    let file = write(folder.path(), "AUSDT-1m-x.csv", &dump(&rows[..60]));
    let run = import(&data, &[&file]);
    assert!(run.err.contains("3 klines written, 57 unchanged"), "{}", run.err);
    let run = klagg(&["doctor", "--data-dir", &data]);
    assert_eq!(run.status, 0, "{}", run.out);
}

#[test]
fn a_folder_that_a_klagg_holds_is_left_alone() {
    let (folder, data, _held) = store(&["AUSDT"]);
    let file = write(folder.path(), "AUSDT-1m-x.csv", &dump(&history(0, 3, &[])));
    let run = import(&data, &[&file]);
    assert_eq!((run.status, run.err.lines().count()), (2, 1), "{}", run.err);
    assert!(run.err.contains("already uses the data folder"), "{}", run.err);
}

#[test]
fn the_exchange_s_own_dumps_are_imported() {
    let Some(file) = recorded("klines/BTCUSDT-1m-2024-10-28.part1.csv") else { return };
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().to_str().unwrap();
    let run = import(data, &[&file, "--add-symbols"]);
    assert_eq!(run.status, 0, "{}", run.err);
    let text = fs::read_to_string(&file).unwrap();
    let exported = klagg(&["export", "--data-dir", data, "--quiet"]).out;
    let last = |text: &str| text.lines().last().unwrap().split(',').count();
    assert_eq!(last(&exported), last(&text) + 2);
    assert_eq!(klagg(&["doctor", "--data-dir", data, "--quiet"]).status, 0);
}
