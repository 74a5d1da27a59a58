//! The real pipeline without the exchange: trades by hand, then shard, gateway, history, read
//! scheduler and web server as they are composed in the program.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use klagg_engine::{Aggregator, HistoryConfig, HistoryPage, KlineData, WorkerDelta, history};
use klagg_gateway::{GatewayConfig, GatewayCore, GlobalKlines, ReadScheduler, Timing};
use klagg_kline::{
    KlineRecord, Period, PeriodSet, Precision, Price, Quantity, Side, SymbolId, Trade, TradeId,
    UnixMillis,
};
use klagg_store::StoreReaderFactory;
use klagg_symbols::{NewSymbol, SymbolIndex};
use klagg_web::{
    StatusReport, WatchedSlots, WebConfig, WebConsumer, WebError, WebParts, WebServer,
};
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// 2026-11-22T00:00:00Z, where tests begin.
pub(crate) const START: i64 = 1_795_305_600_000;
pub(crate) const MINUTE: i64 = 60_000;
/// Symbols were traded before: ids that begin with 1 would be another listing's.
const FIRST_ID: i64 = 700_001;

/// Symbols of which nothing comes, and since when.
pub(crate) type Silent = Arc<Mutex<BTreeMap<SymbolId, UnixMillis>>>;

/// Trades in, published klines out.
#[allow(dead_code, reason = "the demo looks at more of it than the tests")]
pub(crate) struct Market {
    pub(crate) symbols: SymbolIndex,
    pub(crate) periods: PeriodSet,
    aggregator: Aggregator,
    core: GatewayCore,
    publish: watch::Sender<Arc<GlobalKlines>>,
    next_id: Vec<i64>,
    touched: Vec<SymbolId>,
    sequence: u64,
    now: Arc<AtomicI64>,
}

/// What of the market the web server needs.
pub(crate) struct Seams {
    pub(crate) parts: WebParts,
    pub(crate) report: Arc<Mutex<StatusReport>>,
    #[allow(dead_code, reason = "tests alone silence symbols")]
    pub(crate) silent: Silent,
    pub(crate) exchange_info: watch::Sender<bytes::Bytes>,
}

impl Market {
    /// Symbols with their first kline and precision, in the order in which they are numbered.
    pub(crate) fn new(
        symbols: Vec<NewSymbol>,
        capacity: usize,
        store: Option<StoreReaderFactory>,
    ) -> (Self, Seams) {
        let periods = PeriodSet::default();
        let symbols_max = symbols.len() + 16;
        let index = SymbolIndex::empty(symbols_max);
        let count = index.append(symbols).unwrap().len();
        let (writer, reader) = history(HistoryConfig {
            periods: periods.clone(),
            symbols_max,
            capacity: vec![capacity; periods.len()],
            log_capacity: 1 << 16,
        })
        .unwrap();
        let config = GatewayConfig {
            cadence: Duration::from_millis(100),
            worker_timeout: Duration::from_millis(100),
            alarm_threshold: 5,
            symbols_max,
            periods: periods.clone(),
        };
        let core = GatewayCore::new(&config, 1, writer).unwrap();
        let (publish, klines) = watch::channel(Arc::clone(core.published()));
        let (exchange_info, info) = watch::channel(bytes::Bytes::new());
        let now = Arc::new(AtomicI64::new(START));
        let clock = Arc::clone(&now);
        let report = Arc::new(Mutex::new(StatusReport::default()));
        let told = Arc::clone(&report);
        let silent = Silent::default();
        let mute = Arc::clone(&silent);
        let parts = WebParts {
            symbols: index.clone(),
            periods: periods.clone(),
            history: reader,
            klines,
            store,
            exchange_info: info,
            status: Arc::new(move || told.lock().unwrap().clone()),
            silent_since: Arc::new(move |symbol| mute.lock().unwrap().get(&symbol).copied()),
            clock: Arc::new(move || UnixMillis(clock.load(Ordering::Relaxed))),
        };
        let market = Self {
            symbols: index,
            aggregator: Aggregator::new(periods.clone()),
            periods,
            core,
            publish,
            next_id: vec![FIRST_ID; count],
            touched: Vec::new(),
            sequence: 0,
            now,
        };
        (market, Seams { parts, report, silent, exchange_info })
    }

    /// One trade, not yet published.
    #[allow(dead_code, reason = "the demo trades in numbers")]
    pub(crate) fn trade(&mut self, symbol: u32, time: i64, price: &str, quantity: &str) {
        let price = Price::parse(price).unwrap();
        let quantity = Quantity::parse(quantity).unwrap();
        self.trade_of(symbol, time, price, quantity, Side::Buy);
    }

    pub(crate) fn trade_of(
        &mut self,
        symbol: u32,
        time: i64,
        price: Price,
        quantity: Quantity,
        side: Side,
    ) {
        let id = &mut self.next_id[symbol as usize];
        let trade = Trade::new(TradeId(*id), UnixMillis(time), price, quantity, 1, side).unwrap();
        *id += 1;
        let symbol = SymbolId(symbol);
        self.aggregator.push(symbol, &trade).unwrap();
        if !self.touched.contains(&symbol) {
            self.touched.push(symbol);
        }
    }

    /// Closes what ends at or before `now`, and publishes all that changed.
    pub(crate) fn publish(&mut self, now: i64) {
        self.now.store(now, Ordering::Relaxed);
        self.aggregator.advance_to(UnixMillis(now));
        let closed: Vec<KlineData> = self.aggregator.drain_closed().collect();
        let mut open = Vec::new();
        for symbol in closed.iter().map(|data| data.symbol).chain(self.touched.drain(..)) {
            if open.iter().all(|data: &KlineData| data.symbol != symbol) {
                open.extend(self.aggregator.open_klines(symbol));
            }
        }
        self.sequence += 1;
        let delta = WorkerDelta {
            worker: 0,
            sequence: self.sequence,
            exchange_time: Some(UnixMillis(now)),
            open,
            closed,
            ended: Vec::new(),
            holes: Vec::new(),
            counters: <_>::default(),
            closed_dropped: 0,
            is_last: false,
        };
        let _ = self.core.take(0, delta, Timing::InTime, UnixMillis(now));
        self.publish.send_replace(self.core.publish(UnixMillis(now)));
    }

    /// The worker answers no more.
    #[allow(dead_code, reason = "the demo has no late worker")]
    pub(crate) fn miss(&mut self, now: i64) {
        self.now.store(now, Ordering::Relaxed);
        self.core.missed(0, UnixMillis(now));
        self.publish.send_replace(self.core.publish(UnixMillis(now)));
    }

    /// A page of history, as the backfill hands it over, known to the folds as well.
    pub(crate) fn page(&mut self, symbol: u32, period: Period, records: Vec<KlineRecord>) {
        let symbol = SymbolId(symbol);
        self.aggregator.supply(symbol, period, &records).unwrap();
        self.core.page(&HistoryPage { symbol, period, records });
        if !self.core.has_room_for_page() {
            let now = self.now.load(Ordering::Relaxed);
            self.publish.send_replace(self.core.publish(UnixMillis(now)));
        }
    }
}

/// A symbol to be listed.
pub(crate) fn listed(name: &str, price: u8, quantity: u8) -> NewSymbol {
    NewSymbol {
        name: name.to_owned(),
        first_open_time: UnixMillis(START - 400 * 24 * 60 * MINUTE),
        onboard_time: None,
        precision: Precision::new(price, quantity).unwrap(),
    }
}

/// A server that runs, and how to stop it.
#[allow(dead_code, reason = "the demo looks at more of it than the tests")]
pub(crate) struct Running {
    pub(crate) address: std::net::SocketAddr,
    pub(crate) admin: Option<std::net::SocketAddr>,
    pub(crate) stop: watch::Sender<bool>,
    pub(crate) server: JoinHandle<()>,
    pub(crate) scheduler: JoinHandle<()>,
    /// What clients look at.
    pub(crate) watched: WatchedSlots,
}

/// Binds and serves.
pub(crate) async fn run(config: WebConfig, parts: WebParts) -> Result<Running, WebError> {
    let (history, klines) = (parts.history.clone(), parts.klines.clone());
    let (server, consumer): (WebServer, WebConsumer) = WebServer::bind(config, parts).await?;
    let (address, admin) = (server.local_addr(), server.admin_addr());
    let watched = consumer.watched();
    let (stop, stopping) = watch::channel(false);
    let server = tokio::spawn(server.serve(stopping));
    let limit = Duration::from_millis(100);
    let scheduler = ReadScheduler::new(history, vec![Box::new(consumer)], limit);
    let scheduler = tokio::spawn(async move { drop(scheduler.run(klines).await) });
    Ok(Running { address, admin, stop, server, scheduler, watched })
}
