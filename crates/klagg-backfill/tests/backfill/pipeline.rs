//! What stands around the backfill: engine, history, store, and whoever writes the history.

use std::collections::HashMap;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use klagg_backfill::{
    ArchiveParts, BackfillCommand, BackfillConfig, BackfillCounts, BackfillError, BackfillParts,
    BackfillProgress, Clock, Confirmation, StoreParts, backfill_task, entry,
};
use klagg_binance::{Backoff, PlainText, RestClient, RestConfig, Tls};
use klagg_engine::{
    Continuity, Engine, EngineConfig, FeedId, HistoryConfig, HistoryPage, HistoryReader,
    HistoryWriter, NewSymbolSpec, SequencerConfig, WorkerReadHandle, history,
};
use klagg_kline::{Kline, PeriodSet, SymbolId, UnixMillis};
use klagg_store::{Store, StoreConfig, StoreWriter, WriterConfig};
use klagg_symbols::SymbolIndex;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;

/// A bound on every wait of these tests.
pub(crate) const PATIENCE: Duration = Duration::from_mins(1);
/// Klines of each period that the history keeps.
pub(crate) const CAPACITY: [usize; 6] = [300, 300, 300, 300, 300, 2_000];

pub(crate) fn rest(base_url: String) -> RestClient {
    let config = RestConfig {
        base_url,
        plain_text: PlainText::LoopbackOnly,
        user_agent: "klagg-test".to_owned(),
        connect_timeout: Duration::from_secs(5),
        request_timeout: Duration::from_secs(20),
        attempts_max: 3,
        backoff: Backoff { floor: Duration::from_millis(1), ceiling: Duration::from_millis(20) },
        weight_per_minute: 1_000_000,
        weight_share_percent: 80,
    };
    RestClient::new(config, &Tls::new().unwrap()).unwrap()
}

/// Open klines by symbol and index of the period.
pub(crate) type OpenKlines = HashMap<(SymbolId, u8), Kline>;

/// Everything that runs.
pub(crate) struct Pipeline {
    pub(crate) engine: Engine,
    pub(crate) history: HistoryReader,
    pub(crate) pages: mpsc::Sender<HistoryPage>,
    pub(crate) progress: watch::Receiver<BackfillProgress>,
    pub(crate) live_from: watch::Sender<Option<UnixMillis>>,
    pub(crate) commands: mpsc::Sender<BackfillCommand>,
    shutdown: watch::Sender<bool>,
    backfill: JoinHandle<Result<BackfillCounts, BackfillError>>,
    /// What the engine shows as open.
    pub(crate) open: Arc<Mutex<OpenKlines>>,
    writing: std::thread::JoinHandle<()>,
    stop_writing: Arc<AtomicBool>,
    /// Rounds in which the history's writer has taken every page that there was.
    pub(crate) taken: Arc<AtomicU64>,
    pub(crate) store: StoreWriter,
}

/// The numbering that the store holds.
pub(crate) fn stored_index(folder: &Path) -> SymbolIndex {
    let store = Store::open(&StoreConfig::new(folder)).unwrap();
    let entries = store.load_symbols().unwrap().iter().map(entry).collect();
    SymbolIndex::from_entries(entries, 100).unwrap()
}

impl Pipeline {
    /// Starts all of it. The store must hold the symbols already.
    pub(crate) fn start(
        folder: &Path,
        rest: RestClient,
        index: &SymbolIndex,
        symbols: &[SymbolId],
        clock: Clock,
    ) -> Self {
        Self::start_with(folder, rest, index, symbols, clock, |_, _| {})
    }

    /// As [`Pipeline::start`], with a configuration and an archive that `change` changes.
    pub(crate) fn start_with(
        folder: &Path,
        rest: RestClient,
        index: &SymbolIndex,
        symbols: &[SymbolId],
        clock: Clock,
        change: impl FnOnce(&mut BackfillConfig, &mut Option<ArchiveParts>),
    ) -> Self {
        let periods = PeriodSet::default();
        let (mut config, mut archive) = (backfill_config(periods.clone()), None);
        change(&mut config, &mut archive);
        let mut engine = Engine::start(engine_config(periods.clone())).unwrap();
        for &id in symbols {
            let spec = NewSymbolSpec {
                id,
                feed: FeedId(0),
                previous_close: None,
                next_id: None,
                since: None,
            };
            engine.control().add_symbol(spec).unwrap();
        }
        let (writer, history) = history(HistoryConfig {
            periods: periods.clone(),
            symbols_max: 100,
            capacity: config.capacity.clone(),
            log_capacity: 1 << 16,
        })
        .unwrap();
        let (pages, brought) = mpsc::channel(64);
        let stop_writing = Arc::new(AtomicBool::new(false));
        let (readers, stop) = (engine.take_readers(), Arc::clone(&stop_writing));
        let open = Arc::new(Mutex::new(OpenKlines::new()));
        let (shown, taken) = (Arc::clone(&open), Arc::new(AtomicU64::new(0)));
        let rounds = Arc::clone(&taken);
        let writing = std::thread::spawn(move || {
            write_history(writer, &readers, brought, &shown, (&rounds, &stop));
        });
        let store = Store::open(&StoreConfig::new(folder)).unwrap();
        let reader = store.reader_factory();
        let store = StoreWriter::spawn(store, writer_config(), |_| {}).unwrap();
        let progress = watch::Sender::new(BackfillProgress::begin(rest.weight()));
        let told = progress.subscribe();
        let (live_from, live) = watch::channel(None);
        let (commands, obeyed) = mpsc::channel(8);
        let (shutdown, stopped) = watch::channel(false);
        let parts = BackfillParts {
            rest,
            archive,
            index: index.clone(),
            listed: symbols.to_vec(),
            engine: engine.control(),
            history: history.clone(),
            pages: pages.clone(),
            store: Some(StoreParts { reader, writer: store.handle() }),
            clock,
            live_from: live,
            holes: mpsc::channel(1).1,
            commands: obeyed,
            progress,
            shutdown: stopped,
        };
        let task = backfill_task(config, symbols.to_vec(), parts);
        Self {
            backfill: tokio::spawn(task),
            progress: told,
            engine,
            history,
            pages,
            live_from,
            commands,
            shutdown,
            open,
            writing,
            stop_writing,
            taken,
            store,
        }
    }

    /// Waits until the backfill says what `wanted` accepts.
    pub(crate) async fn until(&mut self, wanted: impl FnMut(&BackfillProgress) -> bool) {
        let answer = tokio::time::timeout(PATIENCE, self.progress.wait_for(wanted)).await;
        let reached = answer.is_ok_and(|reached| reached.is_ok());
        assert!(reached, "stuck at {:?}", *self.progress.borrow());
    }

    /// Stops everything, upstream first; what was handed to the store is on disk afterwards.
    pub(crate) async fn stop(self) -> BackfillCounts {
        self.shutdown.send_replace(true);
        let counts = tokio::time::timeout(PATIENCE, self.backfill).await.unwrap().unwrap().unwrap();
        self.stop_writing.store(true, Ordering::SeqCst);
        drop(self.pages);
        self.writing.join().unwrap();
        self.engine.join().unwrap();
        let status = self.store.flush_and_join().unwrap();
        assert_eq!(status.rows_refused, 0);
        counts
    }
}

/// The gateway in small: the only writer of the history.
fn write_history(
    mut writer: HistoryWriter,
    readers: &[WorkerReadHandle],
    mut pages: mpsc::Receiver<HistoryPage>,
    open: &Mutex<OpenKlines>,
    (taken, stop): (&AtomicU64, &AtomicBool),
) {
    let periods = PeriodSet::default();
    while !stop.load(Ordering::SeqCst) {
        while let Ok(page) = pages.try_recv() {
            let index = periods.index_of(page.period).unwrap();
            let outcome = writer.apply(page.symbol, index, &page.records);
            assert_eq!(outcome.refused, 0, "{page:?}");
        }
        taken.fetch_add(1, Ordering::SeqCst);
        for reader in readers {
            // The engine ends before this thread only where a test has failed already.
            let Ok(pending) = reader.request_snapshot() else { return };
            let Ok(delta) = pending.wait(PATIENCE) else { return };
            for data in &delta.closed {
                writer.apply(data.symbol, data.period_index.into(), &[data.record]);
            }
            let shown = delta.open.iter();
            let shown = shown.map(|data| ((data.symbol, data.period_index), data.record.kline));
            open.lock().unwrap().extend(shown);
            reader.acknowledge(delta.sequence);
        }
        std::thread::yield_now();
    }
}

fn backfill_config(periods: PeriodSet) -> BackfillConfig {
    BackfillConfig {
        periods,
        capacity: CAPACITY.to_vec(),
        gap_klines_max: 10_000,
        concurrency: 8,
        settle_ms: 2_500,
        relisting_ms: 60 * 60_000,
        confirmation: Confirmation::Everything { wait_ms: 60_000 },
        watched: Vec::new(),
        tick: Duration::from_millis(5),
        live_patience: PATIENCE,
        retry_pause: Duration::from_millis(10),
        audit_cadence: Duration::from_millis(100),
        archive: None,
    }
}

fn engine_config(periods: PeriodSet) -> EngineConfig {
    EngineConfig {
        periods,
        workers: 2,
        symbols_max: 100,
        queue_batches: 64,
        batch_trades: 256,
        close_grace_ms: 500,
        sequencer: SequencerConfig { continuity: Continuity::Checked, held_max: 1_000, hold_ms: 0 },
        undelivered_max: 100_000,
        first_core: None,
    }
}

fn writer_config() -> WriterConfig {
    WriterConfig {
        commit_rows_max: 10_000,
        queue_rows_max: 20_000,
        cadence: Duration::from_millis(50),
        open_cadence: Duration::from_secs(1),
        retry_min: Duration::from_millis(10),
        retry_max: Duration::from_millis(100),
        drain_deadline: Duration::from_secs(10),
    }
}
