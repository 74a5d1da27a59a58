//! Sockets that are replaced, doubled, cut and muted: where another carries the same, nobody
//! notices.

use std::time::Duration;

use klagg_kline::{KlineStatus, Period, UnixMillis};

use crate::market::{Market, PATIENCE, START, wait_for_market};
use crate::process::{figure, now, wait_until};
use crate::truth::{FACTOR, Stored, end_whole, start, stop};

/// Settings under which what is stored is what was folded here, and nothing repairs it.
const UNREPAIRED: &str = "backfill.confirm=false";
/// At this speed a wall-clock second is many seconds, and a copy is as much later than the other.
const HOLD: &str = "engine.hold_ms=20000";

/// The first minute of which nothing was missed, once trades are folded.
fn first_whole_minute(market: &Market, admin: &str) -> UnixMillis {
    wait_until("trades are folded", PATIENCE, || figure(admin, "klagg_trades_total") > 20.0);
    Period::M1.next_open_time(market.exchange().now())
}

/// Every minute in this span is closed by its ids, and the truth; of a symbol that is quiet, from
/// its first trade on.
fn assert_unbroken(market: &Market, folder: &str, (from, to): (UnixMillis, UnixMillis)) {
    let stored = Stored::read(folder);
    assert!(stored.compare(&market.oracle(), START) > 8);
    let mut closed = 0;
    for symbol in &stored.symbols {
        let records = stored.klines[&(symbol.id, Period::M1)].iter();
        let inside = records.filter(|record| (from..to).contains(&record.kline.open_time));
        let seen = inside.skip_while(|record| record.status != KlineStatus::Closed);
        let mut expected = None;
        for record in seen {
            let open_time = record.kline.open_time;
            let name = &symbol.name;
            assert_eq!(open_time, expected.unwrap_or(open_time), "{name}: a minute is missing");
            assert_eq!(record.status, KlineStatus::Closed, "{name} {record:?}");
            expected = Some(open_time.plus(60_000));
            closed += 1;
        }
        assert_eq!(expected.unwrap_or(to), to, "{}: minutes are missing", symbol.name);
    }
    assert!(closed >= 20, "{closed} minutes were closed");
}

#[test]
fn sockets_are_replaced_every_few_minutes_and_no_minute_is_provisional() {
    let market = Market::open(21, FACTOR);
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path().to_str().unwrap();
    // Forty seconds of the market: two connections, each replaced again and again.
    let sets = [UNREPAIRED, HOLD, "feed.rotate_after_seconds=2", "feed.streams_per_connection=7"];
    let (klagg, _, admin) = start(&market, folder, &sets);
    let from = first_whole_minute(&market, &admin);
    let enough = || figure(&admin, "klagg_feed_rotations_total") >= 5.0;
    wait_until("sockets are replaced", PATIENCE, enough);
    let to = Period::M1.next_open_time(market.exchange().now()).max(from.plus(3 * 60_000));
    wait_for_market(&market, to.plus(60_000));
    assert!(figure(&admin, "klagg_trades_duplicate_total") > 5.0, "both copies were folded");
    for name in ["gaps", "interruptions", "feed_rotations_failed", "feed_disconnects"] {
        let count = figure(&admin, &format!("klagg_{name}_total"));
        assert!(count < 0.5, "{name}: {count}");
    }
    stop(klagg);
    assert_unbroken(&market, folder, (from, to));
}

#[test]
fn of_two_copies_one_may_be_cut_or_fall_silent_and_no_minute_is_provisional() {
    let market = Market::open(22, FACTOR);
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path().to_str().unwrap();
    let sets = [UNREPAIRED, HOLD, "feed.copies=2", "feed.silent_after_ms=2000"];
    let (klagg, _, admin) = start(&market, folder, &sets);
    wait_until("both copies deliver", PATIENCE, || {
        figure(&admin, "klagg_trades_duplicate_total") > 20.0
    });
    let from = first_whole_minute(&market, &admin);
    // Where the machine is so slow that one of them lags by a second, the other one doubts at the
    // start what it had brought.
    let before = figure(&admin, "klagg_interruptions_total");
    market.exchange().control().disconnect_oldest();
    wait_until("the copy is back", PATIENCE, || figure(&admin, "klagg_feed_connects_total") > 2.5);
    market.exchange().control().set_swallow(0.02);
    wait_until("frames are lost", PATIENCE, || {
        market.exchange().control().counters().frames_swallowed > 20
    });
    market.exchange().control().set_swallow(0.0);
    market.exchange().control().silence_oldest();
    wait_until("its silence is noticed", PATIENCE, || {
        figure(&admin, "klagg_feed_silences_total") > 0.5
    });
    let to = Period::M1.next_open_time(market.exchange().now()).max(from.plus(3 * 60_000));
    wait_for_market(&market, to.plus(60_000));
    let interruptions = figure(&admin, "klagg_interruptions_total") - before;
    assert!(interruptions < 0.5, "one copy was always there");
    stop(klagg);
    assert_unbroken(&market, folder, (from, to));
}

#[test]
fn sockets_that_are_half_open_are_replaced_within_fifteen_seconds() {
    let market = Market::open(23, FACTOR);
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path().to_str().unwrap();
    let (mut klagg, _, admin) = start(&market, folder, &[]);
    wait_until("trades are folded", PATIENCE, || figure(&admin, "klagg_trades_total") > 20.0);
    market.exchange().control().freeze_all();
    let frozen_at = now();
    let line = klagg.wait_for("open but silent", PATIENCE);
    assert!(line.contains("/market"), "{line}");
    let trades = figure(&admin, "klagg_trades_total");
    wait_until("trades flow again", PATIENCE, || figure(&admin, "klagg_trades_total") > trades);
    let took = frozen_at.elapsed();
    // The rest is for a machine that is busy.
    assert!(took < Duration::from_secs(15 + 5), "{took:?}");
    assert!(figure(&admin, "klagg_interruptions_total") > 0.5, "what was missed is doubtful");
    end_whole(klagg, &admin, &market, folder);
}
