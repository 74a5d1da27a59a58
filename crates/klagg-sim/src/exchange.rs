//! The running exchange: binds, spawns, joins.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::ws::Utf8Bytes;
use axum::serve::ListenerExt;
use klagg_kline::UnixMillis;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::{MissedTickBehavior, interval, sleep, timeout};

use crate::server::frames::Sender;
use crate::server::hub::Fate;
use crate::server::{Shared, router};
use crate::{Control, Oracle, SimConfig, SimCounters, SimError};

/// How often the market is sent, on the wall.
const SEND_CADENCE: Duration = Duration::from_millis(20);
/// How long connections may take to end.
const STOP_PATIENCE: Duration = Duration::from_millis(800);

/// A simulated exchange that listens on 127.0.0.1.
///
/// # Examples
///
/// ```
/// use klagg_sim::{SimConfig, SimExchange};
///
/// # tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(async {
/// let config = SimConfig { symbols: 4, history_days: 1, ..SimConfig::demo() };
/// let exchange = SimExchange::start(config).await?;
/// assert!(exchange.rest_url().starts_with("http://127.0.0.1:"));
/// assert!(exchange.oracle().symbols().len() >= 4);
/// exchange.stop().await?;
/// # Ok::<(), klagg_sim::SimError>(())
/// # })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct SimExchange {
    address: SocketAddr,
    shared: Arc<Shared>,
    stop: watch::Sender<bool>,
    server: JoinHandle<std::io::Result<()>>,
    sender: JoinHandle<()>,
}

impl SimExchange {
    /// Starts it; it answers when this returns.
    ///
    /// # Errors
    /// [`SimError`] if the configuration is impossible or the port is taken.
    pub async fn start(config: SimConfig) -> Result<Self, SimError> {
        config.validate()?;
        let address = SocketAddr::from(([127, 0, 0, 1], config.port));
        let failed = |source| SimError::Listen { address, source };
        let listener = TcpListener::bind(address).await.map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;
        let shared = Arc::new(Shared::new(config));
        let (stop, stopped) = watch::channel(false);
        let listener = listener.tap_io(|socket| {
            if let Err(error) = socket.set_nodelay(true) {
                tracing::debug!(%error, "a socket keeps its delay");
            }
        });
        let mut until = stopped.clone();
        let server =
            axum::serve(listener, router(Arc::clone(&shared))).with_graceful_shutdown(async move {
                let _ = until.wait_for(|stop| *stop).await;
            });
        let server = tokio::spawn(server.into_future());
        let sender = tokio::spawn(send_market(Arc::clone(&shared), stopped));
        tracing::info!(%address, symbols = shared.config.symbols, "simulated exchange listens");
        Ok(Self { address, shared, stop, server, sender })
    }

    /// Where it listens.
    pub fn local_addr(&self) -> SocketAddr {
        self.address
    }

    /// `http://127.0.0.1:port`: the stand-in for `https://fapi.binance.com`.
    pub fn rest_url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// `ws://127.0.0.1:port`: the stand-in for `wss://fstream.binance.com`.
    pub fn stream_url(&self) -> String {
        format!("ws://{}", self.address)
    }

    /// The stand-in for `https://data.binance.vision`: the archive of klines lies at the same
    /// address.
    pub fn archive_url(&self) -> String {
        self.rest_url()
    }

    /// Simulated time.
    pub fn now(&self) -> UnixMillis {
        self.shared.clock.now()
    }

    /// The truth.
    pub fn oracle(&self) -> Oracle {
        let (market, clock) = (Arc::clone(&self.shared.market), Arc::clone(&self.shared.clock));
        Oracle::new(market, clock, self.shared.config.kline_lag_ms)
    }

    /// The means to break it.
    pub fn control(&self) -> Control {
        Control::new(Arc::clone(&self.shared))
    }

    /// Plays a tape: after each delay, the frame goes as it is to every websocket, whatever it
    /// subscribed to. [`Control::silence_all`] keeps the market's own frames away meanwhile.
    /// Returns how many frames were played.
    pub async fn play(&self, tape: impl IntoIterator<Item = (Duration, String)>) -> u64 {
        let mut played = 0;
        for (delay, frame) in tape {
            sleep(delay).await;
            let mut round = self.shared.hub.round(&self.shared.counts);
            round.send_to_all(&Utf8Bytes::from(frame));
            round.finish();
            played += 1;
        }
        played
    }

    /// Stops within a second; every task is joined. Time stands still from here on, so an
    /// [`Oracle`] still answers, about what was.
    ///
    /// # Errors
    /// [`SimError::Task`] if a task had failed.
    pub async fn stop(self) -> Result<SimCounters, SimError> {
        self.shared.clock.pause();
        self.stop.send_replace(true);
        let failed = |task, reason: String| SimError::Task { task, reason };
        self.sender.await.map_err(|error| failed("market", error.to_string()))?;
        self.shared.hub.end_all(Fate::Stop);
        let mut server = self.server;
        if let Ok(ended) = timeout(STOP_PATIENCE, &mut server).await {
            let ended = ended.map_err(|error| failed("server", error.to_string()))?;
            ended.map_err(|error| failed("server", error.to_string()))?;
        } else {
            // A client keeps an idle connection open, or does not read its answer.
            server.abort();
            let _ = server.await;
        }
        self.shared.hub.emptied(STOP_PATIENCE).await;
        Ok(self.shared.counts.read())
    }
}

async fn send_market(shared: Arc<Shared>, mut stopped: watch::Receiver<bool>) {
    let mut sender = Sender::new(shared.clock.now(), shared.clock.factor());
    let mut cadence = interval(SEND_CADENCE);
    cadence.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            biased;
            _ = stopped.wait_for(|stop| *stop) => return,
            _ = cadence.tick() => sender.send(&shared, shared.clock.now()),
        }
    }
}
