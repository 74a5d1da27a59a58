//! What is acknowledged and silent: one symbol alone, or everything. It is named, it comes back,
//! and what is stored in the end is the truth.

use crate::market::{Market, PATIENCE};
use crate::process::{figure, get, head, wait_until};
use crate::truth::{FACTOR, end_whole, minutes_after_start, start, stop, wait_until_confirmed};

#[test]
fn a_symbol_whose_stream_dies_alone_is_named_and_subscribed_anew() {
    let market = Market::open(31, FACTOR);
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path().to_str().unwrap();
    let (mut klagg, page, admin) = start(&market, folder, &[]);
    let is_stale = |symbol: &str| {
        let path = format!("/fapi/v1/klines?symbol={symbol}&interval=1m&limit=1");
        head(&page, &path).is_some_and(|head| head.contains("x-klagg-stale-ms"))
    };
    wait_until("trades are folded", PATIENCE, || figure(&admin, "klagg_trades_total") > 50.0);
    market.exchange().control().silence("ETHUSDT");
    let line = klagg.wait_for("nothing comes of a symbol although it trades", PATIENCE);
    assert!(line.contains("ETHUSDT"), "{line}");
    wait_until("it is shown", PATIENCE, || {
        get(&admin, "/readyz").is_some_and(|ready| ready.contains("ETHUSDT"))
            && figure(&admin, "klagg_feed_symbols_mute") > 0.5
            && is_stale("ETHUSDT")
    });
    assert!(!is_stale("BTCUSDT"), "the others are heard");
    market.exchange().control().unsilence();
    wait_until("its trades come again", PATIENCE, || {
        figure(&admin, "klagg_feed_symbols_mute") < 0.5
    });
    // Now only a new subscription helps.
    let renewals = figure(&admin, "klagg_feed_renewals_total");
    market.exchange().control().kill_streams("ETHUSDT");
    wait_until("it is subscribed anew", PATIENCE, || {
        figure(&admin, "klagg_feed_renewals_total") > renewals
    });
    wait_until("its trades come again", PATIENCE, || {
        figure(&admin, "klagg_feed_symbols_mute") < 0.5
    });
    assert!(figure(&admin, "klagg_feed_disconnects_total") < 0.5, "no socket was to blame");
    end_whole(klagg, &admin, &market, folder);
}

#[test]
fn a_dead_stream_is_subscribed_anew_while_a_ban_holds_up_the_look_at_the_list() {
    let market = Market::open(33, FACTOR);
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path().to_str().unwrap();
    let (klagg, _, admin) = start(&market, folder, &[]);
    wait_until_confirmed(&admin, minutes_after_start(1));
    let control = market.exchange().control();
    // For klagg, whose clock is slower than the market's, it lasts for minutes.
    control.ban(60_000);
    control.list_symbol("LATEUSDT", 2.0).unwrap();
    wait_until("the ban is noticed", PATIENCE, || control.counters().requests_banned > 0);
    control.kill_streams("ETHUSDT");
    wait_until("it is subscribed anew", PATIENCE, || {
        figure(&admin, "klagg_feed_renewals_total") > 0.5
    });
    wait_until("its trades come again", PATIENCE, || {
        figure(&admin, "klagg_feed_symbols_mute") < 0.5
    });
    assert!(!get(&admin, "/metrics").unwrap().contains("LATEUSDT"), "the look has not ended");
    stop(klagg);
}

#[test]
fn a_feed_that_is_acknowledged_and_silent_is_named_with_its_path_and_opened_anew() {
    let market = Market::open(32, FACTOR);
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path().to_str().unwrap();
    let (mut klagg, _, admin) = start(&market, folder, &["feed.silent_after_ms=1500"]);
    wait_until_confirmed(&admin, minutes_after_start(1));
    market.exchange().control().silence_all();
    let line = klagg.wait_for("open but silent", PATIENCE);
    assert!(line.contains("/market"), "{line}");
    // It is told after it is logged, by another task.
    wait_until("it is shown", PATIENCE, || {
        get(&admin, "/readyz").is_some_and(|of| of.contains("/market") && of.contains("silent"))
    });
    market.exchange().control().unsilence();
    let trades = figure(&admin, "klagg_trades_total");
    wait_until("trades flow again", PATIENCE, || {
        figure(&admin, "klagg_trades_total") > trades + 20.0
    });
    end_whole(klagg, &admin, &market, folder);
}
