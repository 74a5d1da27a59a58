//! The real backfill against the archive of the simulated exchange, whole and spoiled: in the end
//! every kline is the exchange's own, and what the archive gave cost no weight.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use klagg_backfill::{
    ArchiveParts, ArchiveRules, BackfillConfig, BackfillCounts, Clock, SymbolFilter, discover,
    stored,
};
use klagg_binance::{ArchiveClient, ArchiveConfig, Backoff, PlainText, Tls};
use klagg_engine::{HistoryQuery, HistoryReader, Keep};
use klagg_kline::{Kline, KlineStatus, Period, PeriodSet, SymbolId, UnixMillis};
use klagg_sim::{ArchiveFault, SimClock, SimConfig, SimExchange};
use klagg_store::{Store, StoreConfig};
use klagg_symbols::SymbolIndex;
use klagg_tape::archived_klines;

use crate::pipeline::{PATIENCE, Pipeline, rest};

/// 2026-10-12T12:02:13Z: the hours of September are in the archive, and so is yesterday.
const START: UnixMillis = UnixMillis(1_791_806_533_250);
/// A whole day of minutes and more; hours back into August.
const KEPT: [usize; 6] = [2_500, 300, 300, 1_000, 300, 100];

fn archive(sim: &SimExchange) -> ArchiveParts {
    let config = ArchiveConfig {
        base_url: sim.archive_url(),
        plain_text: PlainText::LoopbackOnly,
        user_agent: "klagg-test".to_owned(),
        connect_timeout: Duration::from_secs(5),
        request_timeout: Duration::from_secs(30),
    };
    let client = ArchiveClient::new(config, &Tls::new().unwrap()).unwrap();
    let read = |symbol: &str, period, name: &str, bytes: &bytes::Bytes| {
        archived_klines(symbol, period, name, bytes).map_err(|error| error.to_string())
    };
    ArchiveParts { client, read: Arc::new(read) }
}

fn rules() -> ArchiveRules {
    let backoff = Backoff { floor: Duration::from_millis(5), ceiling: Duration::from_millis(50) };
    ArchiveRules { concurrency: 3, backoff, seed: 11 }
}

/// By symbol and index of the period: everything that is held.
type Held = BTreeMap<(String, usize), BTreeMap<UnixMillis, Kline>>;

struct Filled {
    held: Held,
    counts: BackfillCounts,
    weight: u64,
}

async fn market(symbols: usize) -> Arc<SimExchange> {
    let clock = SimClock::Accelerated { factor: 1.0, start: START };
    let config = SimConfig {
        symbols,
        history_days: 60,
        trades_per_second: 30.0,
        clock,
        weight_limit: 1_000_000,
        ..SimConfig::demo()
    };
    Arc::new(SimExchange::start(config).await.unwrap())
}

/// Fills an empty store from the exchange, and from its archive if it is given.
async fn fill(
    sim: &Arc<SimExchange>,
    parts: Option<ArchiveParts>,
    spoil: impl FnOnce(&[String]),
) -> Filled {
    let folder = tempfile::tempdir().unwrap();
    let client = rest(sim.rest_url());
    let index = SymbolIndex::empty(100);
    let filter = SymbolFilter { quote_assets: Vec::new(), names: Vec::new() };
    let discovery = discover(&client, &filter, &index, 4, |_| None).await.unwrap();
    {
        let mut store = Store::open(&StoreConfig::new(folder.path())).unwrap();
        store.append_symbols(&discovery.appended.iter().map(stored).collect::<Vec<_>>()).unwrap();
    }
    let symbols = discovery.active.clone();
    let name = |id: SymbolId| index.load().entry(id).unwrap().name.to_string();
    spoil(&symbols.iter().map(|&id| name(id)).collect::<Vec<_>>());
    let spent = client.weight().spent_total;
    let now = Arc::clone(sim);
    let clock: Clock = Arc::new(move || now.now());
    let change = |config: &mut BackfillConfig, archive: &mut Option<ArchiveParts>| {
        config.capacity = KEPT.to_vec();
        config.archive = parts.is_some().then(rules);
        *archive = parts;
    };
    let weighed = client.clone();
    let mut pipeline = Pipeline::start_with(folder.path(), client, &index, &symbols, clock, change);
    pipeline.live_from.send_replace(Some(sim.now()));
    pipeline.until(|progress| progress.history_complete).await;
    let history = pipeline.history.clone();
    let weight = weighed.weight().spent_total - spent;
    // What was handed on is still on its way into the history.
    let emptied = async {
        while pipeline.pages.capacity() < pipeline.pages.max_capacity() {
            tokio::task::yield_now().await;
        }
        let taken = pipeline.taken.load(Ordering::SeqCst);
        while pipeline.taken.load(Ordering::SeqCst) == taken {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(PATIENCE, emptied).await.expect("in time");
    let counts = pipeline.stop().await;
    let mut held = Held::new();
    for &id in &symbols {
        for (at, &period) in PeriodSet::default().as_slice().iter().enumerate() {
            held.insert((name(id), at), whole(&history, id, (at, period)));
        }
    }
    Filled { held, counts, weight }
}

/// What is held of one series, which must be without a hole and confirmed but for its end.
fn whole(
    history: &HistoryReader,
    id: SymbolId,
    (index, period): (usize, Period),
) -> BTreeMap<UnixMillis, Kline> {
    let query = HistoryQuery { from: None, to: None, limit: usize::MAX, keep: Keep::Newest };
    let records = history.read(id, index, &query);
    for pair in records.windows(2) {
        let next = period.next_open_time(pair[0].kline.open_time);
        assert_eq!(next, pair[1].kline.open_time, "a hole in the {period} of {id}");
    }
    let confirmed = records.iter().filter(|record| record.status == KlineStatus::Confirmed);
    confirmed.map(|record| (record.kline.open_time, record.kline)).collect()
}

fn assert_same(with: &Filled, without: &Filled) {
    assert_eq!(with.held.len(), without.held.len());
    for (series, klines) in &with.held {
        let other = &without.held[series];
        let both = klines.iter().filter_map(|(at, kline)| Some((kline, other.get(at)?)));
        let mut count = 0;
        for (kline, other) in both {
            assert!(kline.same_values(other), "{series:?}: {kline:?} {other:?}");
            count += 1;
        }
        // A few minutes passed between the two.
        assert!(count + 20 >= other.len().min(klines.len()), "{series:?}: {count}");
        assert!(klines.len() + 20 >= other.len(), "{series:?}: {}", klines.len());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn history_from_the_archive_is_the_exchanges_own_whatever_is_wrong_with_the_files() {
    const FAULTS: [Option<ArchiveFault>; 14] = [
        None,
        None,
        Some(ArchiveFault::Holes),
        Some(ArchiveFault::Flat),
        Some(ArchiveFault::Missing),
        Some(ArchiveFault::NoChecksum),
        Some(ArchiveFault::WrongChecksum),
        Some(ArchiveFault::Truncated),
        Some(ArchiveFault::Alien),
        Some(ArchiveFault::OtherSymbol),
        Some(ArchiveFault::Unsorted),
        Some(ArchiveFault::OtherDay),
        Some(ArchiveFault::Bomb),
        Some(ArchiveFault::Huge),
    ];
    let sim = market(FAULTS.len()).await;
    let control = sim.control();
    let mut names = Vec::new();
    let with = fill(&sim, Some(archive(&sim)), |all| {
        for (name, fault) in all.iter().zip(FAULTS) {
            control.spoil_archive(name, fault);
        }
        names = all.to_vec();
    });
    let with = with.await;
    let without = fill(&sim, None, |_| {}).await;
    assert_same(&with, &without);
    let counts = with.counts;
    // A day of minutes and a month of hours of each.
    assert!((4..=8).contains(&counts.files), "{counts:?}");
    assert!(counts.klines_archived >= 4 * 1_000, "{counts:?}");
    let refused = [
        ("missing", counts.files_missing),
        ("checksum", counts.files_checksum),
        ("too long", counts.files_too_long),
        ("unreadable", counts.files_unreadable),
        ("unsorted", counts.files_unsorted),
        ("out of place", counts.files_out_of_place),
        ("without trades", counts.klines_left),
    ];
    for (name, count) in refused {
        assert!(count > 0, "{name}: {counts:?}");
    }
    assert_eq!((counts.files_failed, counts.pages_refused), (0, 0), "{counts:?}");
    assert_eq!(without.counts.files, 0);
    assert!(with.weight < without.weight, "{} of {}", with.weight, without.weight);
    // And by the truth itself, fill by fill: an hour of yesterday, around what was spoiled.
    let from = Period::D1.open_time(START).plus(-86_400_000 / 2 - 1_800_000);
    for name in &names[..4] {
        let official = sim.oracle().official(name, Period::M1, from, from.plus(3_599_999));
        assert_eq!(official.len(), 60);
        for kline in &official {
            let held = with.held[&(name.clone(), 0)][&kline.open_time];
            assert!(held.same_values(kline), "{name}: {held:?} {kline:?}");
        }
    }
    let sim = Arc::into_inner(sim).expect("nobody else holds it");
    sim.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_archive_that_fails_or_is_cut_off_delays_nothing_for_long() {
    let sim = market(2).await;
    let control = sim.control();
    let with = fill(&sim, Some(archive(&sim)), |names| {
        control.spoil_archive(&names[0], Some(ArchiveFault::Unavailable));
        control.spoil_archive(&names[1], Some(ArchiveFault::Cut));
    });
    let with = with.await;
    let without = fill(&sim, None, |_| {}).await;
    assert_same(&with, &without);
    let counts = with.counts;
    assert_eq!((counts.files, counts.klines_archived), (0, 0), "{counts:?}");
    assert!((3..=20).contains(&counts.files_failed), "{counts:?}");
    let sim = Arc::into_inner(sim).expect("nobody else holds it");
    sim.stop().await.unwrap();
}
