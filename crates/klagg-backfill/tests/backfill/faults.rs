//! What goes wrong between feed and exchange, against an exchange whose clock the test turns.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use klagg_backfill::{BackfillCommand, Clock, SymbolFilter, discover, stored};
use klagg_engine::FeedId;
use klagg_kline::{
    Kline, KlineStatus, Period, Price, Quantity, Side, SymbolId, Trade, TradeId, UnixMillis,
};
use klagg_store::{Store, StoreConfig};
use klagg_symbols::SymbolIndex;

use crate::market::{Listed, Market};
use crate::pipeline::{PATIENCE, Pipeline, rest};

/// Thirteen seconds into the second minute of five: what the tests do ends before they do.
const NOW: UnixMillis = UnixMillis(1_791_460_873_250);
const DAY: i64 = 86_400_000;
const MINUTE: i64 = 60_000;

fn listed(name: &'static str, before: i64) -> Listed {
    let since = Period::M1.open_time(NOW.plus(-before));
    Listed { name, since, contract_type: "PERPETUAL", status: "TRADING" }
}

/// A backfill of a market's symbols; with no patience for a feed that does not deliver.
async fn started(folder: &Path, market: &Market, url: String) -> (Pipeline, SymbolIndex) {
    let index = SymbolIndex::empty(100);
    let filter = SymbolFilter { quote_assets: Vec::new(), names: Vec::new() };
    let client = rest(url);
    let found = discover(&client, &filter, &index, 4, |_| None).await.unwrap();
    let mut store = Store::open(&StoreConfig::new(folder)).unwrap();
    store.append_symbols(&found.appended.iter().map(stored).collect::<Vec<_>>()).unwrap();
    drop(store);
    let clock: Clock = {
        let market = market.clone();
        Arc::new(move || market.now())
    };
    let active = &found.active;
    let pipeline = Pipeline::start_with(folder, client, &index, active, clock, |config, _| {
        config.live_patience = Duration::from_millis(20);
    });
    (pipeline, index)
}

/// A backfill that has met live and has all history.
async fn running(folder: &Path, market: &Market, url: String) -> (Pipeline, SymbolIndex) {
    let (mut pipeline, index) = started(folder, market, url).await;
    pipeline.live_from.send_replace(Some(market.now()));
    market.advance(65_000);
    pipeline.until(|progress| progress.ready && progress.history_complete).await;
    (pipeline, index)
}

async fn wait_for(what: &str, mut reached: impl FnMut() -> bool) {
    let there = async {
        while !reached() {
            tokio::task::yield_now().await;
        }
    };
    assert!(tokio::time::timeout(PATIENCE, there).await.is_ok(), "not in time: {what}");
}

fn settled_minute(market: &Market) -> UnixMillis {
    Period::M1.open_time(market.now().plus(-2_500))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_minute_confirmed_while_the_feed_still_holds_it_open_is_right_in_longer_klines() {
    let folder = tempfile::tempdir().unwrap();
    let (market, url) = Market::start(NOW, vec![listed("BTCUSDT", 20 * DAY)]).await;
    let (mut pipeline, _) = running(folder.path(), &market, url).await;
    let settled = settled_minute(&market);
    pipeline.until(|progress| progress.confirmed_until == Some(settled)).await;

    // One of the trades of the open minute arrives; then the stream is down, while REST is not.
    let symbol = SymbolId(0);
    let minute = Period::M1.open_time(market.now());
    let (price, quantity) = (Price::from_scaled(1_000_000), Quantity::from_scaled(1));
    let trade = Trade::new(TradeId(70), minute.plus(1_000), price, quantity, 1, Side::Buy).unwrap();
    let mut feed = pipeline.engine.feed(FeedId(0));
    feed.push(symbol, trade).unwrap();
    feed.flush().unwrap();
    let open = Arc::clone(&pipeline.open);
    let shown = |index: u8| open.lock().unwrap().get(&(symbol, index)).copied();
    wait_for("the trade is shown", || {
        shown(0).is_some_and(|kline| kline.open_time == minute && kline.trade_count > 0)
    })
    .await;
    feed.interrupted();
    feed.flush().unwrap();

    // That very minute is the newest one confirmed; the next ones follow on their own.
    for _ in 0..2 {
        market.advance(MINUTE);
        let settled = settled_minute(&market);
        pipeline.until(|progress| progress.confirmed_until == Some(settled)).await;
    }
    let until = settled_minute(&market);
    assert_eq!(until, minute.plus(2 * MINUTE));
    let day = Period::D1.open_time(until);
    let since = listed("BTCUSDT", 20 * DAY).since;
    let minutes: Vec<Kline> = (day.0..until.0)
        .step_by(60_000)
        .filter_map(|at| Market::official(since, Period::M1, UnixMillis(at)))
        .collect();
    let expected = Kline::rollup(day, &minutes).unwrap();
    wait_for("the open day holds what is confirmed", || {
        shown(5).is_some_and(|kline| kline.same_values(&expected))
    })
    .await;
    drop(feed);
    pipeline.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn while_the_feed_does_not_deliver_history_and_confirmation_go_on() {
    let folder = tempfile::tempdir().unwrap();
    let (market, url) = Market::start(NOW, vec![listed("BTCUSDT", 20 * DAY)]).await;
    let (mut pipeline, _) = started(folder.path(), &market, url).await;
    pipeline.until(|progress| progress.history_complete).await;
    market.advance(2 * MINUTE);
    let settled = settled_minute(&market);
    pipeline.until(|progress| progress.confirmed_until == Some(settled)).await;
    assert!(!pipeline.progress.borrow().ready, "nothing live was met");
    pipeline.live_from.send_replace(Some(market.now()));
    market.advance(65_000);
    pipeline.until(|progress| progress.ready).await;
    pipeline.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_last_minutes_of_a_symbol_that_ends_are_confirmed() {
    let folder = tempfile::tempdir().unwrap();
    let symbols = vec![listed("BTCUSDT", 20 * DAY), listed("OMGUSDT", 10 * DAY)];
    let (market, url) = Market::start(NOW, symbols).await;
    let (pipeline, index) = running(folder.path(), &market, url).await;
    let symbol = index.load().get("OMGUSDT").unwrap();
    market.advance(40_000);
    let last = Period::M1.open_time(market.now());
    pipeline.commands.send(BackfillCommand::Retire(vec![symbol], market.now())).await.unwrap();
    wait_for("the command is taken", || pipeline.commands.capacity() == 8).await;
    market.advance(MINUTE);
    wait_for("the last minute is confirmed", || {
        let record = pipeline.history.get(symbol, 0, last);
        record.is_some_and(|record| record.status == KlineStatus::Confirmed)
    })
    .await;
    pipeline.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_list_that_lacks_half_of_the_market_retires_nobody() {
    let symbols = ["AUSDT", "BUSDT", "CUSDT", "DUSDT"].map(|name| listed(name, 3 * DAY));
    let (market, url) = Market::start(NOW, symbols.to_vec()).await;
    let index = SymbolIndex::empty(100);
    let filter = SymbolFilter { quote_assets: Vec::new(), names: Vec::new() };
    let client = rest(url);
    assert_eq!(discover(&client, &filter, &index, 4, |_| None).await.unwrap().active.len(), 4);
    market.change(|symbols| symbols.truncate(1));
    let found = discover(&client, &filter, &index, 4, |_| None).await.unwrap();
    assert_eq!((found.active.len(), found.retired.len()), (1, 0));
    market.change(|of| *of = symbols[..3].to_vec());
    let found = discover(&client, &filter, &index, 4, |_| None).await.unwrap();
    assert_eq!(found.retired, [index.load().get("DUSDT").unwrap()]);
}
