//! Against an exchange whose clock the test turns.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use klagg_backfill::{BackfillCommand, Clock, Phase, SymbolFilter, discover, stored};
use klagg_engine::{FeedId, HistoryPage, HistoryQuery, HistoryReader, Keep, NewSymbolSpec};
use klagg_kline::{
    Kline, KlineRecord, KlineStatus, Period, PeriodSet, Price, SymbolId, UnixMillis,
};
use klagg_store::{Store, StoreConfig, SymbolChange};
use klagg_symbols::SymbolIndex;

use crate::market::{Listed, Market};
use crate::pipeline::{CAPACITY, Pipeline, rest, stored_index};

const NOW: UnixMillis = UnixMillis(1_791_460_933_250);
const DAY: i64 = 86_400_000;
const MINUTE: i64 = 60_000;

fn listed(name: &'static str, before: i64) -> Listed {
    let since = Period::M1.open_time(NOW.plus(-before));
    Listed { name, since, contract_type: "PERPETUAL", status: "TRADING" }
}

fn filter() -> SymbolFilter {
    SymbolFilter { quote_assets: vec!["USDT".to_owned()], names: Vec::new() }
}

/// Names and listing times, by number.
type Symbols = Vec<(SymbolId, UnixMillis)>;

/// Every kline that the history keeps is there, confirmed and official.
fn assert_whole(history: &HistoryReader, symbols: &Symbols, settled: UnixMillis) {
    let periods = PeriodSet::default();
    for &(symbol, since) in symbols {
        for (index, &period) in periods.as_slice().iter().enumerate() {
            let until = period.open_time(settled);
            let to = Some(until.plus(-1));
            let query = HistoryQuery { from: None, to, limit: CAPACITY[index], keep: Keep::Newest };
            let records = history.read(symbol, index, &query);
            let mut at = period.open_time(since);
            let mut expected = Vec::new();
            while at < until {
                expected.extend(Market::official(since, period, at));
                at = period.next_open_time(at);
            }
            // A history that holds newer klines than the ones asked for holds as many fewer old.
            let kept = records.len();
            assert!(kept + 10 >= expected.len().min(CAPACITY[index]), "{symbol} {period}: {kept}");
            let expected = &expected[expected.len() - kept..];
            for (record, expected) in records.iter().zip(expected) {
                assert!(record.kline.same_values(expected), "{symbol} {period}: {record:?}");
                assert_eq!(record.status, KlineStatus::Confirmed, "{symbol} {period}: {record:?}");
            }
        }
    }
}

fn clock(market: &Market) -> Clock {
    let market = market.clone();
    Arc::new(move || market.now())
}

async fn discovered(
    market_url: &str,
    folder: &Path,
    index: &SymbolIndex,
) -> (klagg_binance::RestClient, Vec<SymbolId>) {
    let rest = rest(market_url.to_owned());
    let discovery = discover(&rest, &filter(), index, 4, |_| None).await.unwrap();
    let mut store = Store::open(&StoreConfig::new(folder)).unwrap();
    let rows: Vec<_> = discovery.appended.iter().map(stored).collect();
    store.append_symbols(&rows).unwrap();
    (rest, discovery.active)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_empty_store_and_a_warm_one_both_end_with_full_history() {
    let folder = tempfile::tempdir().unwrap();
    let old = listed("OLDUSDT", 400 * DAY);
    let young = listed("币安人生USDT", 37 * MINUTE);
    let other = listed("OTHERUSDT", 90 * DAY + 5 * MINUTE);
    let since = [old.since, other.since, young.since];
    let (market, url) = Market::start(NOW, vec![young, other, old]).await;
    market.spoil_every.store(5, Ordering::SeqCst);
    let index = SymbolIndex::empty(100);
    let (client, active) = discovered(&url, folder.path(), &index).await;
    assert_eq!(active, [SymbolId(0), SymbolId(1), SymbolId(2)]);
    let symbols: Symbols = active.iter().copied().zip(since).collect();
    let mut pipeline = Pipeline::start(folder.path(), client, &index, &active, clock(&market));
    pipeline.until(|progress| progress.phase == Phase::Seam).await;
    assert!(!pipeline.progress.borrow().ready);

    // The feed begins amid a minute; the engine would call that minute provisional.
    pipeline.live_from.send_replace(Some(market.now()));
    let broken = Kline::flat(Period::M1.open_time(market.now()), Price::from_scaled(7));
    let record = KlineRecord { kline: broken, revision: 4, status: KlineStatus::Provisional };
    let page = HistoryPage { symbol: SymbolId(0), period: Period::M1, records: vec![record] };
    pipeline.pages.send(page).await.unwrap();
    while pipeline.history.last(SymbolId(0), 0).map(|record| record.revision) != Some(4) {
        tokio::task::yield_now().await;
    }
    market.advance(50_000);
    pipeline.until(|progress| progress.ready).await;
    pipeline.until(|progress| progress.history_complete).await;
    market.spoil_every.store(0, Ordering::SeqCst);
    market.take_requests();
    market.advance(7 * MINUTE);
    let settled = Period::M1.open_time(market.now().plus(-2_500));
    pipeline.until(|progress| progress.confirmed_until == Some(settled)).await;
    let requests = market.take_requests();
    assert_eq!(requests.len(), 3, "many minutes are confirmed by one request: {requests:#?}");
    wait_for_pages(&pipeline.history, settled).await;
    assert_whole(&pipeline.history, &symbols, settled);
    let repaired = pipeline.history.get(SymbolId(0), 0, broken.open_time).unwrap();
    assert_eq!((repaired.status, repaired.revision), (KlineStatus::Confirmed, 5));
    let counts = pipeline.stop().await;
    assert_eq!(counts.corrected_provisional, 1);
    assert!(counts.pages_refused > 0, "spoiled pages were refused, and asked for again");

    // Down for an hour, then again.
    market.advance(60 * MINUTE);
    market.take_requests();
    let index = stored_index(folder.path());
    let (client, active) = discovered(&url, folder.path(), &index).await;
    assert_eq!(market.take_requests(), Vec::<String>::new(), "no stored symbol is asked about");
    let mut pipeline = Pipeline::start(folder.path(), client, &index, &active, clock(&market));
    pipeline.until(|progress| progress.phase == Phase::Seam).await;
    let requests = market.take_requests();
    let of = |name: &str| requests.iter().filter(|request| request.starts_with(name)).count();
    assert_eq!((of("OLDUSDT"), of("OTHERUSDT")), (1, 1), "one request a symbol: {requests:#?}");
    // That nothing came before a listing is not stored, so that its first day is asked again.
    assert!(of("币安人生USDT") <= 6, "{requests:#?}");
    pipeline.live_from.send_replace(Some(market.now()));
    market.advance(65_000);
    pipeline.until(|progress| progress.history_complete).await;
    let settled = market.now().plus(-2_500);
    let minute = Period::M1.open_time(settled);
    pipeline.until(|progress| progress.confirmed_until == Some(minute)).await;
    wait_for_pages(&pipeline.history, minute).await;
    assert_whole(&pipeline.history, &symbols, settled);
    let counts = pipeline.stop().await;
    assert!(counts.klines_loaded > 3_000, "{counts:?}");
    assert_eq!((counts.pages_refused, counts.pages_failed), (0, 0));

    let store = Store::open(&StoreConfig::new(folder.path())).unwrap();
    for &(symbol, since) in &symbols {
        for &period in PeriodSet::default().as_slice() {
            let until = store.complete_until(symbol, period).unwrap();
            // The day of a listing is not over yet.
            let expected = Some(period.open_time(settled)).filter(|&until| since < until);
            assert_eq!(until, expected, "{symbol} {period}");
        }
    }
}

/// Pages are written by another thread; waits until the newest minutes are there.
async fn wait_for_pages(history: &HistoryReader, settled: UnixMillis) {
    let newest = settled.plus(-MINUTE);
    let there = async {
        for symbol in 0..3 {
            while history.get(SymbolId(symbol), 0, newest).is_none() {
                tokio::task::yield_now().await;
            }
        }
    };
    tokio::time::timeout(crate::pipeline::PATIENCE, there).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_listing_is_numbered_and_filled_while_running_and_a_settled_symbol_retired() {
    let folder = tempfile::tempdir().unwrap();
    let mut quarterly = listed("BTCUSDT_261225", 10 * DAY);
    quarterly.contract_type = "CURRENT_QUARTER";
    let (market, url) = Market::start(
        NOW,
        vec![listed("BTCUSDT", 20 * DAY), listed("OMGUSDT", 30 * DAY), quarterly],
    )
    .await;
    let index = SymbolIndex::empty(100);
    let (client, active) = discovered(&url, folder.path(), &index).await;
    assert_eq!(active.len(), 2, "a quarterly is not folded");
    let mut pipeline =
        Pipeline::start(folder.path(), client.clone(), &index, &active, clock(&market));
    pipeline.live_from.send_replace(Some(market.now()));
    market.advance(65_000);
    pipeline.until(|progress| progress.history_complete).await;

    market.change(|symbols| {
        symbols.push(listed("NEWUSDT", 3 * MINUTE));
        symbols.push(Listed { status: "PENDING_TRADING", ..listed("SOONUSDT", -MINUTE) });
        symbols[1].status = "SETTLING";
    });
    let discovery = discover(&client, &filter(), &index, 4, |_| None).await.unwrap();
    assert_eq!(discovery.appended.len(), 1);
    let new = discovery.appended[0].id;
    assert_eq!(&*discovery.appended[0].name, "NEWUSDT");
    assert_eq!(discovery.retired, [index.load().get("OMGUSDT").unwrap()]);
    assert!(index.load().entry(discovery.retired[0]).unwrap().delisted);
    assert_eq!(discovery.active, [index.load().get("BTCUSDT").unwrap(), new]);
    let rows = discovery.appended.iter().map(stored).collect();
    pipeline.store.handle().change_symbols(SymbolChange::Append(rows)).unwrap();
    let spec = NewSymbolSpec {
        id: new,
        feed: FeedId(0),
        previous_close: None,
        next_id: None,
        since: None,
    };
    pipeline.engine.control().add_symbol(spec).unwrap();
    pipeline.commands.send(BackfillCommand::Retire(discovery.retired, market.now())).await.unwrap();
    pipeline.commands.send(BackfillCommand::Add(vec![new])).await.unwrap();
    let listed = BackfillCommand::Listed(vec![new], market.now());
    pipeline.commands.send(listed).await.unwrap();
    let minute = Period::M1.open_time(market.now().plus(-2_500 - MINUTE));
    let filled = async {
        while pipeline.history.get(new, 0, minute).is_none() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(crate::pipeline::PATIENCE, filled).await.unwrap();
    pipeline.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_symbol_that_the_exchange_refuses_does_not_hold_up_the_others() {
    let folder = tempfile::tempdir().unwrap();
    let symbols = vec![listed("BTCUSDT", 3 * DAY), listed("GONEUSDT", 2 * DAY)];
    let (market, url) = Market::start(NOW, symbols).await;
    let index = SymbolIndex::empty(100);
    let (client, active) = discovered(&url, folder.path(), &index).await;
    market.change(|symbols| symbols.truncate(1));
    let mut pipeline = Pipeline::start(folder.path(), client, &index, &active, clock(&market));
    pipeline.live_from.send_replace(Some(market.now()));
    market.advance(65_000);
    pipeline.until(|progress| progress.ready).await;
    let counts = pipeline.stop().await;
    assert!(counts.pages_failed > 0);
}
