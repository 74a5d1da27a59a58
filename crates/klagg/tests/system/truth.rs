//! What is stored is the truth: compared kline by kline with the oracle of the market, which
//! shares no code with the fold.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use klagg_kline::{KlineRecord, KlineStatus, Period, SymbolId, UnixMillis};
use klagg_sim::Oracle;
use klagg_store::{ReadEnd, ReadQuery, Store, StoreConfig, StoreReader, StoredSymbol};

use crate::market::{Market, PATIENCE, START};
use crate::process::{Klagg, address, get, metric, wait_until};

/// How much faster than the wall's clock the market runs.
pub(crate) const FACTOR: f64 = 20.0;

/// Starts `klagg run` on the market; the process and the addresses of its page and its probes.
pub(crate) fn start(market: &Market, folder: &str, more: &[&str]) -> (Klagg, String, String) {
    start_with(market, folder, more, |_| {})
}

/// As [`start`], with the process prepared further.
pub(crate) fn start_with(
    market: &Market,
    folder: &str,
    more: &[&str],
    prepare: impl FnOnce(&mut Command),
) -> (Klagg, String, String) {
    let settings = market.settings(folder);
    let mut arguments = vec!["run"];
    for setting in settings.iter().map(String::as_str).chain(more.iter().copied()) {
        arguments.extend(["--set", setting]);
    }
    opened(Klagg::start_with(&arguments, prepare))
}

/// The same, of a klagg that obeys faults in the file `faults` of its folder.
pub(crate) fn start_with_faults(
    market: &Market,
    folder: &str,
    more: &[&str],
) -> (Klagg, String, String) {
    start_with(market, folder, more, |command| {
        command.env("KLAGG_TEST_FAULTS", format!("{folder}/faults"));
    })
}

/// The addresses that it says.
fn opened(mut klagg: Klagg) -> (Klagg, String, String) {
    let page = address(&klagg.wait_for("page: ", PATIENCE));
    let admin = address(&klagg.wait_for("health: ", PATIENCE));
    (klagg, page, admin)
}

pub(crate) fn minutes_after_start(minutes: i64) -> UnixMillis {
    Period::M1.open_time(START).plus(minutes * 60_000)
}

#[expect(clippy::cast_possible_truncation, reason = "milliseconds fit a double exactly")]
pub(crate) fn wait_until_confirmed(admin: &str, until: UnixMillis) {
    wait_until(&format!("all minutes confirmed until {until}"), PATIENCE, || {
        metric(admin, "klagg_confirmed_until_ms").is_some_and(|reached| reached as i64 >= until.0)
    });
}

pub(crate) fn stop(klagg: Klagg) {
    let (status, took, words) = klagg.interrupt();
    assert!(status.success(), "{status}: {}", words.join("\n"));
    assert!(took.as_secs_f64() < 5.0, "stopping took {took:?}");
    assert!(words.iter().any(|line| line.starts_with("stopped: ")), "{}", words.join("\n"));
}

/// Waits until the minute that is going on now is confirmed, stops klagg, and holds all that it
/// stored since the start of the market against the truth: every kline is there, and right.
pub(crate) fn end_whole(klagg: Klagg, admin: &str, market: &Market, folder: &str) {
    let whole = Period::M1.next_open_time(market.exchange().now());
    wait_until_confirmed(admin, whole);
    stop(klagg);
    let stored = Stored::read(folder);
    assert!(stored.compare(&market.oracle(), START) > 8);
    stored.assert_no_hole(minutes_after_start(0), whole);
}

/// What the folder holds: symbols, and closed klines by symbol and period.
pub(crate) struct Stored {
    pub(crate) symbols: Vec<StoredSymbol>,
    pub(crate) klines: BTreeMap<(SymbolId, Period), Vec<KlineRecord>>,
}

impl Stored {
    pub(crate) fn read(folder: &str) -> Self {
        let store = Store::open(&StoreConfig::new(folder)).unwrap();
        Self::of(&store.reader().unwrap())
    }

    /// What is there while klagg runs.
    pub(crate) fn glimpse(folder: &str) -> Self {
        Self::of(&StoreReader::open_folder(Path::new(folder), Duration::from_secs(5)).unwrap())
    }

    fn of(reader: &StoreReader) -> Self {
        let symbols = reader.symbols().unwrap();
        let all = ReadQuery { from: None, to: None, limit: usize::MAX, keep: ReadEnd::Oldest };
        let klines = symbols.iter().flat_map(|symbol| {
            Period::DEFAULT
                .map(|period| ((symbol.id, period), reader.read(symbol.id, period, &all).unwrap()))
        });
        let klines = klines.collect();
        Self { symbols, klines }
    }

    /// Holds every kline from `from` on against the truth; gives how many were compared.
    pub(crate) fn compare(&self, oracle: &Oracle, from: UnixMillis) -> usize {
        let mut compared = 0;
        for symbol in &self.symbols {
            // A name that was listed several times has a number for each.
            let before = &self.symbols[..symbol.id.index()];
            let listing = before.iter().filter(|other| other.name == symbol.name).count();
            let oracle = oracle.of_listing(listing);
            for period in Period::DEFAULT {
                let records = &self.klines[&(symbol.id, period)];
                let from = period.open_time(from);
                let Some(last) = records.last() else { continue };
                let to = last.kline.open_time;
                let official = oracle.official(&symbol.name, period, from, to);
                let folded = oracle.folded(&symbol.name, period, from, to);
                for record in records.iter().filter(|record| record.kline.open_time >= from) {
                    let truth = match record.status {
                        KlineStatus::Confirmed => &official,
                        KlineStatus::Closed if period == Period::M1 => &folded,
                        // Some of its minutes may be official already, others folded here.
                        KlineStatus::Closed
                        | KlineStatus::Provisional
                        | KlineStatus::Broken
                        | KlineStatus::Open => continue,
                    };
                    let open_time = record.kline.open_time;
                    let truth = truth.iter().find(|kline| kline.open_time == open_time);
                    let name = &symbol.name;
                    let truth =
                        truth.unwrap_or_else(|| panic!("no {period} {open_time} of {name}"));
                    assert!(
                        record.kline.same_values(truth),
                        "{name} {period} {open_time} {}\nstored {:?}\ntruth  {truth:?}",
                        record.status,
                        record.kline,
                    );
                    compared += 1;
                }
            }
        }
        compared
    }

    /// Every kline of every period that lies within `from..to` is there, and confirmed.
    pub(crate) fn assert_no_hole(&self, from: UnixMillis, to: UnixMillis) {
        for symbol in &self.symbols {
            for period in Period::DEFAULT {
                let name = &symbol.name;
                let mut expected = period.next_open_time(from.plus(-1));
                for record in &self.klines[&(symbol.id, period)] {
                    let open_time = record.kline.open_time;
                    if open_time < expected || period.next_open_time(open_time) > to {
                        continue;
                    }
                    assert_eq!(open_time, expected, "{name} {period}: a kline is missing");
                    assert_eq!(
                        record.status,
                        KlineStatus::Confirmed,
                        "{name} {period} {open_time}"
                    );
                    expected = period.next_open_time(open_time);
                }
                let is_over = period.next_open_time(expected) > to;
                assert!(is_over, "{name} {period}: from {expected} on klines are missing");
            }
        }
    }
}

#[test]
fn every_stored_kline_equals_the_exchanges_also_after_a_restart() {
    let market = Market::open(7, FACTOR);
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path().to_str().unwrap();
    let hour_before = minutes_after_start(-60);

    let (klagg, page, admin) = start(&market, folder, &[]);
    // Past the ends of 5m, 30m, 1h, 4h, 1d, and a whole 5m after them.
    wait_until_confirmed(&admin, minutes_after_start(9));
    let rows = get(&page, "/fapi/v1/klines?symbol=BTCUSDT&interval=1d&limit=3").unwrap();
    assert!(rows.starts_with("[[") && rows.matches("],[").count() == 2, "{rows}");
    let refused = get(&page, "/fapi/v1/klines?symbol=NOSUCH&interval=1m").unwrap();
    assert!(refused.contains("-1121"), "{refused}");
    stop(klagg);
    let first = Stored::read(folder);
    assert!(first.compare(&market.oracle(), hour_before) > 8 * 60);
    first.assert_no_hole(hour_before, minutes_after_start(9));

    // The market goes on while klagg is down; the second start fills what it missed.
    let (klagg, _, admin) = start(&market, folder, &[]);
    wait_until_confirmed(&admin, minutes_after_start(16));
    stop(klagg);
    let second = Stored::read(folder);
    assert_eq!(second.symbols, first.symbols, "numbers are permanent");
    assert!(second.compare(&market.oracle(), hour_before) > first.klines.len());
    second.assert_no_hole(hour_before, minutes_after_start(16));
}

#[test]
fn a_socket_cut_in_the_middle_of_a_minute_leaves_no_hole() {
    let market = Market::open(8, FACTOR);
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path().to_str().unwrap();
    let (klagg, _, admin) = start(&market, folder, &[]);
    wait_until_confirmed(&admin, minutes_after_start(2));
    let trades = metric(&admin, "klagg_trades_total").unwrap();
    market.exchange().control().disconnect_all();
    wait_until("trades flow again", PATIENCE, || {
        metric(&admin, "klagg_trades_total").is_some_and(|now| now > trades + 50.0)
    });
    let cut_at = Period::M1.next_open_time(market.exchange().now());
    wait_until_confirmed(&admin, cut_at.plus(2 * 60_000));
    stop(klagg);
    let stored = Stored::read(folder);
    assert!(stored.compare(&market.oracle(), START) > 8);
    stored.assert_no_hole(minutes_after_start(0), cut_at.plus(2 * 60_000));
}
