//! Old history from the archive of the loopback exchange: what is stored is the exchange's own,
//! and a user sees where it came from, and what was left out and why.

use klagg_kline::{KlineStatus, Period};
use klagg_sim::ArchiveFault;

use crate::market::{Market, PATIENCE, START};
use crate::process::figure;
use crate::refusals::check;
use crate::truth::{FACTOR, Stored, minutes_after_start, start, stop};

#[test]
fn a_whole_day_comes_from_the_archive_and_what_is_spoiled_from_the_exchange() {
    let market = Market::open(21, FACTOR);
    let names: Vec<String> =
        market.oracle().symbols().into_iter().take(8).map(|symbol| symbol.name).collect();
    let control = market.exchange().control();
    let faults = [ArchiveFault::WrongChecksum, ArchiveFault::Truncated, ArchiveFault::Holes];
    for (name, fault) in names.iter().zip(faults) {
        control.spoil_archive(name, Some(fault));
    }
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path().to_str().unwrap();
    let archive = format!("backfill.archive_url={}", market.exchange().archive_url());
    // Sixteen hours of the day before the start.
    let deep = ["backfill.archive=true", &archive, "history.klines=2400"];
    let (mut klagg, _, admin) = start(&market, folder, &deep);
    let said = klagg.wait_for("history complete", PATIENCE);
    assert!(said.contains("files of the archive"), "{said}");
    // The file whose checksum is wrong, the one that is cut off; the holes are filled.
    let counted = |name: &str| figure(&admin, &format!("klagg_archive_{name}_total"));
    for (name, count) in [("files", 6.0), ("checksum", 1.0), ("unreadable", 1.0), ("failed", 0.0)] {
        assert!((counted(name) - count).abs() < 0.5, "{name}: {}", counted(name));
    }
    assert!(counted("klines") > 6.0 * 800.0);
    stop(klagg);

    let stored = Stored::read(folder);
    stored.assert_no_hole(minutes_after_start(-2_300), minutes_after_start(0));
    // Around noon of that day, where the holes were.
    let noon = Period::D1.open_time(START).plus(-86_400_000 / 2);
    let (from, to) = (noon.plus(-10 * 60_000), noon.plus(10 * 60_000));
    for symbol in &stored.symbols {
        let official = market.oracle().official(&symbol.name, Period::M1, from, to);
        assert_eq!(official.len(), 21);
        let records = &stored.klines[&(symbol.id, Period::M1)];
        for truth in &official {
            let at = records.binary_search_by_key(&truth.open_time, |of| of.kline.open_time);
            let record = &records[at.unwrap()];
            assert!(record.kline.same_values(truth), "{}: {record:?} {truth:?}", symbol.name);
            assert_eq!(record.status, KlineStatus::Confirmed);
        }
    }
}

#[test]
fn an_archive_that_cannot_be_meant_is_refused_with_one_sentence() {
    let run = |setting: &'static str| ["run", "--set", "backfill.archive=true", "--set", setting];
    check(&["run", "--set", "backfill.archive=yes"], &["backfill.archive", "true or false"]);
    let plain = run("backfill.archive_url=http://data.binance.vision");
    check(&plain, &["backfill.archive_url", "begins with https://"]);
    let pretends = run("backfill.archive_url=http://127.0.0.1.example.org");
    check(&pretends, &["backfill.archive_url cannot be used", "to this machine only"]);
}
