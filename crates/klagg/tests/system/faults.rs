//! The exchange broken on purpose: whatever it does, what is stored in the end is the truth.

use klagg_kline::{KlineStatus, Period, TradeId};
use klagg_sim::Spoiled;

use crate::market::{Market, PATIENCE, START, wait_for_market};
use crate::process::{figure, wait_until};
use crate::truth::{
    FACTOR, Stored, end_whole, minutes_after_start, start, stop, wait_until_confirmed,
};

#[test]
fn frames_lost_on_the_way_are_noticed_and_repaired() {
    let market = Market::open(11, FACTOR);
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path().to_str().unwrap();
    let (klagg, _, admin) = start(&market, folder, &[]);
    wait_until_confirmed(&admin, minutes_after_start(1));
    market.exchange().control().set_swallow(0.1);
    wait_until("holes are noticed", PATIENCE, || figure(&admin, "klagg_gaps_total") > 20.0);
    wait_until("small holes of watched symbols are filled by trades", PATIENCE, || {
        figure(&admin, "klagg_fills_total") > 2.0
    });
    market.exchange().control().set_swallow(0.0);
    let whole = Period::M1.next_open_time(market.exchange().now());
    wait_until_confirmed(&admin, whole.plus(60_000));
    let repaired = figure(&admin, "klagg_provisional_corrected_total");
    assert!(repaired > 0.0, "minutes with holes were corrected");
    stop(klagg);
    assert!(market.exchange().control().counters().frames_swallowed > 20);
    let stored = Stored::read(folder);
    assert!(stored.compare(&market.oracle(), START) > 8);
    stored.assert_no_hole(minutes_after_start(0), whole.plus(60_000));
}

#[test]
fn frames_that_come_twice_change_nothing() {
    let market = Market::open(12, FACTOR);
    market.exchange().control().set_duplicate(0.5);
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path().to_str().unwrap();
    // Without confirmation, what is stored is what was folded here.
    let (klagg, _, admin) = start(&market, folder, &["backfill.confirm=false"]);
    wait_for_market(&market, minutes_after_start(8));
    let twice = figure(&admin, "klagg_trades_duplicate_total");
    assert!(twice > 50.0, "{twice} trades were dropped as known");
    assert!(figure(&admin, "klagg_gaps_total") < 0.5, "nothing is missing");
    stop(klagg);
    let stored = Stored::read(folder);
    assert!(stored.compare(&market.oracle(), START) > 8);
    let closed = stored.klines.values().flatten();
    let closed = closed.filter(|record| record.status == KlineStatus::Closed).count();
    assert!(closed > 8, "{closed} klines were closed by their ids");
}

#[test]
fn a_symbol_listed_while_running_is_right_from_its_first_trade() {
    let market = Market::open(13, FACTOR);
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path().to_str().unwrap();
    let (klagg, _, admin) = start(&market, folder, &[]);
    wait_until_confirmed(&admin, minutes_after_start(1));
    market.exchange().control().list_symbol("FRESHUSDT", 2.0).unwrap();
    let listed_at = market.exchange().now();
    wait_for_market(&market, listed_at.plus(4 * 60_000));
    let confirmed = Period::M1.next_open_time(market.exchange().now());
    wait_until_confirmed(&admin, confirmed);
    stop(klagg);

    let stored = Stored::read(folder);
    let fresh = stored.symbols.iter().find(|symbol| symbol.name == "FRESHUSDT").unwrap();
    assert!(stored.compare(&market.oracle(), START) > 8);
    let official =
        market.oracle().official("FRESHUSDT", Period::M1, listed_at, confirmed.plus(-60_000));
    let minutes = &stored.klines[&(fresh.id, Period::M1)];
    let first = official.iter().find(|kline| kline.trade_count > 0).unwrap();
    for truth in official.iter().filter(|kline| kline.open_time >= first.open_time) {
        let record = minutes.iter().find(|record| record.kline.open_time == truth.open_time);
        let record = record.unwrap_or_else(|| panic!("no minute {}", truth.open_time));
        assert_eq!(record.status, KlineStatus::Confirmed, "{record:?}");
        assert!(record.kline.same_values(truth), "stored {record:?}\ntruth  {truth:?}");
    }
    let ids = minutes.iter().filter(|record| record.kline.has_ids());
    let oldest = ids.map(|record| record.kline.first_id).min();
    assert!(oldest.is_some_and(|id| id >= TradeId(1)), "its trades were folded: {oldest:?}");
    assert!(minutes.iter().all(|record| record.kline.trade_count < 1_000_000), "no day's numbers");
}

#[test]
fn while_requests_fail_the_feed_goes_on_and_afterwards_all_is_confirmed() {
    let market = Market::open(14, FACTOR);
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path().to_str().unwrap();
    let (klagg, _, admin) = start(&market, folder, &[]);
    wait_until_confirmed(&admin, minutes_after_start(1));
    market.exchange().control().fail_rest(500, u32::MAX);
    let failing_from = market.exchange().now();
    let trades = figure(&admin, "klagg_trades_total");
    wait_for_market(&market, failing_from.plus(7 * 60_000));
    assert!(figure(&admin, "klagg_trades_total") > trades + 50.0, "the feed went on");
    let asked = market.exchange().control().counters().requests_failed;
    assert!((1..=400).contains(&asked), "{asked} requests to an exchange that answers nobody");
    market.exchange().control().fail_rest(500, 0);
    end_whole(klagg, &admin, &market, folder);
}

#[test]
fn answers_that_are_none_are_refused_and_asked_for_again() {
    let market = Market::open(17, FACTOR);
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path().to_str().unwrap();
    let (klagg, _, admin) = start(&market, folder, &[]);
    wait_until_confirmed(&admin, minutes_after_start(1));
    for spoiled in Spoiled::ALL {
        let refused = || {
            let names = ["klagg_pages_refused_total", "klagg_pages_failed_total"];
            names.into_iter().map(|name| figure(&admin, name)).sum::<f64>()
        };
        let before = refused();
        market.exchange().control().spoil_rest(spoiled, u32::MAX);
        wait_until(&format!("{spoiled:?} is refused"), PATIENCE, || refused() > before + 1.5);
    }
    market.exchange().control().spoil_rest(Spoiled::Html, 0);
    end_whole(klagg, &admin, &market, folder);
}

#[test]
fn after_a_429_nothing_is_asked_until_the_minute_is_over() {
    let market = Market::open(15, FACTOR);
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path().to_str().unwrap();
    let (klagg, _, admin) = start(&market, folder, &[]);
    wait_until_confirmed(&admin, minutes_after_start(1));
    market.exchange().control().fail_rest(429, 1);
    wait_until("the refusal is noticed", PATIENCE, || {
        figure(&admin, "klagg_rest_limited_total") > 0.0
    });
    // Requests that were under way may still arrive; then all is still.
    let refused_at = market.exchange().now();
    wait_for_market(&market, refused_at.plus(20_000));
    let asked = market.exchange().control().counters().requests;
    let trades = figure(&admin, "klagg_trades_total");
    wait_for_market(&market, refused_at.plus(60_000));
    assert_eq!(market.exchange().control().counters().requests, asked, "a refusal is obeyed");
    assert!(figure(&admin, "klagg_trades_total") > trades, "the feed went on");
    end_whole(klagg, &admin, &market, folder);
}

#[test]
fn during_a_ban_nothing_is_asked_and_afterwards_the_history_is_completed() {
    // As fast as the wall's clock: the end of the ban is told by the exchange's.
    let market = Market::open(16, 1.0);
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path().to_str().unwrap();
    let (klagg, _, admin) = start(&market, folder, &["backfill.concurrency=1"]);
    let counters = || market.exchange().control().counters();
    wait_until("history is asked for", PATIENCE, || counters().requests > 15);
    market.exchange().control().ban(4_000);
    let banned_until = market.exchange().now().plus(4_000);
    wait_until("the ban is noticed", PATIENCE, || counters().requests_banned > 0);
    // Requests that were under way may still arrive; then all is still.
    wait_for_market(&market, market.exchange().now().plus(500));
    let asked = counters().requests;
    let trades = figure(&admin, "klagg_trades_total");
    wait_for_market(&market, banned_until.plus(-200));
    assert_eq!(counters().requests, asked, "a ban is obeyed");
    assert!(figure(&admin, "klagg_trades_total") > trades, "the feed went on");
    wait_until("the history is complete", PATIENCE, || {
        figure(&admin, "klagg_pages_total") > 30.0 && counters().requests > asked + 10
    });
    assert!(counters().requests_banned <= 3, "{:?}", counters());
    stop(klagg);
    assert!(Stored::read(folder).compare(&market.oracle(), minutes_after_start(-60)) > 60);
}
