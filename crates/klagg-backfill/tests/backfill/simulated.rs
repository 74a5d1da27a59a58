//! Against the simulated exchange, its streams included: everything ends confirmed and official.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use klagg_backfill::{Clock, Phase, SymbolFilter, discover, stored};
use klagg_binance::{
    Backoff, ConnectionId, Feed, FeedNotice, FeedSink, MarketStreams, PlainText, SinkRefusal,
    StreamConfig, StreamTiming, Tls, TradeStream,
};
use klagg_engine::{EngineFeed, FeedId, HistoryQuery, HistoryReader, Keep, NewSymbolSpec};
use klagg_kline::{KlineStatus, Period, PeriodSet, SymbolId, Trade, UnixMillis};
use klagg_sim::{Oracle, SimClock, SimConfig, SimExchange};
use klagg_store::{Store, StoreConfig};
use klagg_symbols::SymbolIndex;

use crate::pipeline::{PATIENCE, Pipeline, rest};

/// The engine's end of a connection.
struct EngineSink(EngineFeed);

impl FeedSink for EngineSink {
    fn on_trade(&mut self, symbol: SymbolId, trade: Trade) -> Result<(), SinkRefusal> {
        self.0.push(symbol, trade).map_err(|_| SinkRefusal::Full)
    }

    fn on_event_time(&mut self, time: UnixMillis) {
        self.0.watermark(time);
    }

    fn on_interrupted(&mut self) {
        self.0.interrupted();
    }

    fn flush(&mut self) -> Result<(), SinkRefusal> {
        match self.0.try_flush() {
            Ok(true) => Ok(()),
            Ok(false) => Err(SinkRefusal::Full),
            Err(_) => Err(SinkRefusal::Closed),
        }
    }
}

fn stream_config(base_url: String) -> StreamConfig {
    StreamConfig {
        base_url,
        plain_text: PlainText::LoopbackOnly,
        market_path: "/market".to_owned(),
        public_path: "/public".to_owned(),
        source: TradeStream::AggTrade,
        market_streams: MarketStreams::On,
        canary: Some("BTCUSDT".to_owned()),
        streams_per_connection: 6,
        connections_max: 8,
        copies: 1,
        message_bytes_max: 1 << 20,
        notices_max: 4_096,
        drain_timeout: Duration::from_secs(2),
        timing: StreamTiming {
            connect_timeout: Duration::from_secs(5),
            first_data: Duration::from_secs(10),
            silence: Duration::from_secs(15),
            ping_cadence: Duration::from_secs(20),
            acknowledge_timeout: Duration::from_secs(10),
            pong_timeout: Duration::from_secs(10),
            rotation: Duration::from_hours(1),
            rotation_jitter: Duration::ZERO,
            lifetime: Duration::from_hours(24),
            overlap: Duration::from_secs(1),
            overlap_max: Duration::from_secs(30),
            rotation_gap: Duration::from_secs(10),
            quiet: Duration::from_secs(1),
            backoff: Backoff {
                floor: Duration::from_millis(5),
                ceiling: Duration::from_millis(50),
            },
            messages_per_second: 8,
            names_per_subscribe: 200,
        },
    }
}

/// A feed into the pipeline's engine, and how many of its connections have delivered.
async fn feed(
    pipeline: &Pipeline,
    sim: &SimExchange,
    index: &SymbolIndex,
    symbols: &[SymbolId],
) -> (Feed<EngineSink>, Arc<AtomicUsize>, tokio::task::JoinHandle<()>) {
    // The factory makes sinks as connections are opened; the engine itself stays where it is.
    let (made, asked) = std::sync::mpsc::channel::<EngineFeed>();
    for number in 0..9 {
        made.send(pipeline.engine.feed(FeedId(number))).unwrap();
    }
    let mut feeds: Vec<Option<EngineFeed>> = asked.try_iter().map(Some).collect();
    let connect = move |connection: ConnectionId| {
        EngineSink(feeds[connection.index()].take().expect("each connection is opened once"))
    };
    let config = stream_config(sim.stream_url());
    let (mut feed, mut notices) =
        Feed::start(config, Tls::new().unwrap(), index.clone(), connect).unwrap();
    for assignment in feed.assign(symbols).unwrap() {
        let feed = FeedId(assignment.connection.0);
        let spec = NewSymbolSpec {
            id: assignment.symbol,
            feed,
            previous_close: None,
            next_id: None,
            since: None,
        };
        pipeline.engine.control().add_symbol(spec).unwrap();
    }
    feed.subscribe(symbols).await.unwrap();
    let live = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&live);
    let taking = tokio::spawn(async move {
        while let Some(notice) = notices.recv().await {
            if matches!(notice, FeedNotice::Live { .. }) {
                counted.fetch_add(1, Ordering::SeqCst);
            }
        }
    });
    (feed, live, taking)
}

async fn until(wanted: impl Fn() -> bool) {
    let search = async {
        while !wanted() {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    };
    tokio::time::timeout(PATIENCE, search).await.expect("in time");
}

fn assert_official(
    history: &HistoryReader,
    oracle: &Oracle,
    name: &str,
    symbol: SymbolId,
    settled: UnixMillis,
) {
    for (index, &period) in PeriodSet::default().as_slice().iter().enumerate() {
        let to = Some(period.open_time(settled).plus(-1));
        // The oracle makes every minute anew, fill by fill: a day is enough.
        let limit = [30, 12, 4, 4, 2, 1][index];
        let query = HistoryQuery { from: None, to, limit, keep: Keep::Newest };
        let records = history.read(symbol, index, &query);
        let (Some(first), Some(last)) = (records.first(), records.last()) else {
            panic!("{name} has no {period}");
        };
        let (from, to) = (first.kline.open_time, last.kline.open_time);
        let expected = oracle.official(name, period, from, to);
        assert_eq!(records.len(), expected.len(), "{name} {period}");
        for (record, expected) in records.iter().zip(&expected) {
            assert!(record.kline.same_values(expected), "{name} {period}: {record:?}");
            assert_eq!(record.status, KlineStatus::Confirmed, "{name} {period}: {record:?}");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn history_and_live_end_equal_to_the_oracle_over_a_disconnect() {
    let start = UnixMillis(1_791_460_933_250);
    let clock = SimClock::Accelerated { factor: 60.0, start };
    let config = SimConfig {
        symbols: 5,
        history_days: 3,
        trades_per_second: 6.0,
        clock,
        weight_limit: 1_000_000,
        ..SimConfig::demo()
    };
    let sim = Arc::new(SimExchange::start(config).await.unwrap());
    let folder = tempfile::tempdir().unwrap();
    let client = rest(sim.rest_url());
    let index = SymbolIndex::empty(100);
    let filter = SymbolFilter { quote_assets: Vec::new(), names: Vec::new() };
    let discovery = discover(&client, &filter, &index, 4, |_| None).await.unwrap();
    assert_eq!(discovery.active.len(), 5, "{:?}", discovery.postponed);
    {
        let mut store = Store::open(&StoreConfig::new(folder.path())).unwrap();
        store.append_symbols(&discovery.appended.iter().map(stored).collect::<Vec<_>>()).unwrap();
    }
    let symbols = discovery.active.clone();
    let now = Arc::clone(&sim);
    let clock: Clock = Arc::new(move || now.now());
    let mut pipeline = Pipeline::start(folder.path(), client, &index, &symbols, clock);
    let (feed, live, taking) = feed(&pipeline, &sim, &index, &symbols).await;
    let connections = feed.connections();
    until(|| live.load(Ordering::SeqCst) == connections).await;
    pipeline.live_from.send_replace(Some(sim.now()));
    pipeline.until(|progress| progress.ready).await;
    pipeline.until(|progress| progress.phase == Phase::Confirming).await;

    sim.control().disconnect_all();
    until(|| live.load(Ordering::SeqCst) == 2 * connections).await;
    let settled = Period::M1.open_time(sim.now()).plus(3 * 60_000);
    pipeline.until(|progress| progress.confirmed_until >= Some(settled)).await;
    let newest = settled.plus(-60_000);
    let history = pipeline.history.clone();
    let confirmed = |&symbol: &SymbolId| {
        let record = history.get(symbol, 0, newest);
        record.is_some_and(|record| record.status == KlineStatus::Confirmed)
    };
    until(|| symbols.iter().all(confirmed)).await;
    let oracle = sim.oracle();
    for &symbol in &symbols {
        let name = index.load().entry(symbol).unwrap().name.clone();
        assert_official(&history, &oracle, &name, symbol, settled);
    }
    let total = feed.stop().await;
    taking.await.unwrap();
    assert!(total.trades > 0 && total.disconnects >= connections as u64, "{total:?}");
    assert_eq!((total.malformed, total.unknown_symbols, total.dropped_at_shutdown), (0, 0, 0));
    let counts = pipeline.stop().await;
    assert_eq!(counts.corrected_confirmed, 0, "{counts:?}");
    assert!(counts.confirmed_equal > 0, "{counts:?}");
}
