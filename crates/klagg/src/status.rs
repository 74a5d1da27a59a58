//! How the program is, for the page, the probes and the scraper.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use klagg_backfill::BackfillProgress;
use klagg_binance::{ConnectionId, CopyId, FeedCounts, Received, RestClient};
use klagg_gateway::{GlobalKlines, SchedulerStatus};
use klagg_kline::{SymbolId, UnixMillis};
use klagg_store::{WriterHandle, WriterStatus};
use klagg_web::{BackfillStatus, FeedStatus, StatusReport};
use tokio::sync::watch;

use crate::supervision::{Pulses, READ_SCHEDULER};

mod metrics;
#[cfg(test)]
mod tests;

/// A shared view of the parts that run. Clones share it.
#[derive(Clone)]
pub(crate) struct Status {
    shared: Arc<Shared>,
}

struct Shared {
    source: &'static str,
    rest: RestClient,
    klines: watch::Receiver<Arc<GlobalKlines>>,
    pulses: Pulses,
    seen: Mutex<Seen>,
}

/// What was learned since the start. Locked for moments only, never on the path of a trade.
#[derive(Default)]
struct Seen {
    phase: &'static str,
    sockets: BTreeMap<(ConnectionId, CopyId), Socket>,
    /// Connections of which no socket delivers, and since when.
    down: BTreeMap<ConnectionId, UnixMillis>,
    feed: Option<Box<dyn Fn() -> FeedCounts + Send>>,
    received: Option<Received>,
    writer: Option<WriterHandle>,
    backfill: Option<watch::Receiver<BackfillProgress>>,
    consumers: Option<SchedulerStatus>,
    fallen: Option<String>,
    /// Symbols for which there is no room, in a sentence.
    refused: Option<String>,
    quarantined: Option<String>,
    /// Symbols of which nothing comes although they trade, and how often that was found.
    mute: BTreeMap<SymbolId, Mute>,
    mute_found: u64,
}

/// A symbol of which nothing comes although it trades.
struct Mute {
    name: String,
    since: UnixMillis,
}

/// One socket of a connection as its notices tell.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Socket {
    /// It is being opened, or is open and has proved nothing.
    Opening,
    /// It delivers.
    Live,
    /// It is down, for this reason.
    Down(String),
}

impl Seen {
    fn is_live(&self, connection: ConnectionId) -> bool {
        let mut sockets = self.sockets.iter().filter(|((of, _), _)| *of == connection);
        sockets.any(|(_, state)| *state == Socket::Live)
    }

    /// Notes since when no socket of a connection delivers, or that one does.
    fn note_down(&mut self, connection: ConnectionId, now: UnixMillis) {
        if self.is_live(connection) {
            self.down.remove(&connection);
        } else {
            self.down.entry(connection).or_insert(now);
        }
    }
}

impl Status {
    pub(crate) fn new(
        source: &'static str,
        rest: &RestClient,
        klines: &watch::Sender<Arc<GlobalKlines>>,
        pulses: Pulses,
    ) -> Self {
        let shared = Shared {
            source,
            rest: rest.clone(),
            klines: klines.subscribe(),
            pulses,
            seen: Mutex::new(Seen { phase: "starting", ..Seen::default() }),
        };
        Self { shared: Arc::new(shared) }
    }

    /// What is being done, where the backfill does not say it.
    pub(crate) fn phase(&self, phase: &'static str) {
        self.seen().phase = phase;
    }

    /// From now on the feed's counters are these, and its trades.
    pub(crate) fn feed(
        &self,
        counts: impl Fn() -> FeedCounts + Send + 'static,
        received: Received,
    ) {
        let mut seen = self.seen();
        seen.feed = Some(Box::new(counts));
        seen.received = Some(received);
    }

    /// From now on klines are written by this writer.
    pub(crate) fn writer(&self, writer: Option<WriterHandle>) {
        self.seen().writer = writer;
    }

    /// From now on the backfill tells how far it is.
    pub(crate) fn backfill(&self, progress: watch::Receiver<BackfillProgress>) {
        self.seen().backfill = Some(progress);
    }

    /// From now on these consumers are called.
    pub(crate) fn consumers(&self, consumers: SchedulerStatus) {
        self.seen().consumers = Some(consumers);
    }

    /// What a socket's notice told.
    pub(crate) fn socket(&self, connection: ConnectionId, copy: CopyId, state: Socket) {
        // Whatever it tells, its task lives.
        self.shared.pulses.beat(&connection_name(connection));
        let mut seen = self.seen();
        let known = seen.sockets.entry((connection, copy)).or_insert(Socket::Opening);
        // An open socket proves nothing: why the one before it was lost stays true until data come.
        if state != Socket::Opening {
            *known = state;
        }
        seen.note_down(connection, self.now());
    }

    /// Nothing comes of a symbol although it trades.
    pub(crate) fn symbol_mute(&self, symbol: SymbolId, name: &str) {
        let mut seen = self.seen();
        let last = seen.received.as_ref().and_then(|received| received.last(symbol));
        let since = last.map_or(self.now(), |last| last.event_time);
        seen.mute.insert(symbol, Mute { name: name.to_owned(), since });
        seen.mute_found += 1;
    }

    /// Trades of a symbol come again.
    pub(crate) fn symbol_heard(&self, symbol: SymbolId) {
        self.seen().mute.remove(&symbol);
    }

    /// Since when nothing comes of a symbol that ought to; `None` while it comes.
    pub(crate) fn silent_since(&self, symbol: SymbolId) -> Option<UnixMillis> {
        let seen = self.seen();
        let connection = seen.received.as_ref().and_then(|received| received.connection(symbol));
        let down = connection.and_then(|connection| seen.down.get(&connection).copied());
        let mute = seen.mute.get(&symbol).map(|mute| mute.since);
        down.into_iter().chain(mute).min()
    }

    /// The exchange's time as far as it was measured.
    fn now(&self) -> UnixMillis {
        self.shared.rest.clock().exchange()
    }

    /// Whether a connection has a socket that delivers.
    pub(crate) fn is_live(&self, connection: ConnectionId) -> bool {
        self.seen().is_live(connection)
    }

    /// A socket is gone, and none is to be in its place.
    pub(crate) fn socket_closed(&self, connection: ConnectionId, copy: CopyId) {
        let mut seen = self.seen();
        seen.sockets.remove(&(connection, copy));
        seen.note_down(connection, self.now());
    }

    /// A connection has ended with all its sockets.
    pub(crate) fn connection_ended(&self, connection: ConnectionId, why: String) {
        let mut seen = self.seen();
        seen.sockets.retain(|&(of, _), _| of != connection);
        seen.sockets.insert((connection, CopyId(0)), Socket::Down(why));
        seen.note_down(connection, self.now());
    }

    /// A part has failed for good; the rest goes on.
    pub(crate) fn fallen(&self, what: String) {
        self.seen().fallen = Some(what);
    }

    /// The numbering has no room for these names.
    pub(crate) fn refused(&self, names: &[String], max: usize) {
        self.seen().refused = names.first().map(|first| {
            let count = names.len();
            format!(
                "{count} symbols are not followed, first {first}: engine.max_symbols = {max} is \
                 reached; raise it and start klagg again"
            )
        });
    }

    /// The database was damaged when it was opened, in a sentence.
    pub(crate) fn quarantined(&self, alarm: Option<String>) {
        self.seen().quarantined = alarm;
    }

    fn seen(&self) -> std::sync::MutexGuard<'_, Seen> {
        self.shared.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A look at everything.
    pub(crate) fn report(&self) -> StatusReport {
        let seen = self.seen();
        let backfill = seen.backfill.as_ref().map(|progress| progress.borrow().clone());
        let klines = Arc::clone(&self.shared.klines.borrow());
        let live = connections(&seen, |state| *state == Socket::Live);
        let is_ready = match &backfill {
            Some(progress) => progress.ready,
            None => live > 0,
        };
        let phase = match &backfill {
            Some(progress) if seen.phase != "stopping" => progress.phase.as_str(),
            _ => seen.phase,
        };
        StatusReport {
            ready: is_ready && seen.phase != "stopping",
            phase: phase.to_owned(),
            source: self.shared.source.to_owned(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            backfill: backfill
                .as_ref()
                .filter(|progress| !progress.history_complete)
                .map(backfill_status),
            feed: FeedStatus {
                connections_up: live as u64,
                connections_total: connections(&seen, |_| true) as u64,
            },
            silent: self.shared.pulses.silent().iter().map(|one| silence(one, &seen)).collect(),
            problems: problems(&seen, &klines, self.shared.rest.clock().machine_ahead_ms()),
            metrics: metrics::samples(&seen, &self.shared, &klines, backfill.as_ref()),
            histograms: metrics::histograms(&seen),
        }
    }
}

fn backfill_status(progress: &BackfillProgress) -> BackfillStatus {
    let counts = &progress.counts;
    BackfillStatus {
        symbols_done: progress.symbols_done as u64,
        symbols_total: progress.symbols_total as u64,
        klines: counts.klines(),
        requests: counts.pages + counts.pages_refused + counts.pages_failed,
        weight_used: u64::from(progress.weight.used),
        weight_limit: u64::from(progress.weight.allowance),
        eta_seconds: progress.remaining.map(|remaining| remaining.as_secs()),
    }
}

/// What a connection is called.
pub(crate) fn connection_name(id: ConnectionId) -> String {
    format!("connection {}", id.0)
}

/// Who gives no sign of life, as a sentence; of the read scheduler also who keeps it.
fn silence((name, silence): &(String, Duration), seen: &Seen) -> String {
    let keeper = seen.consumers.as_ref().filter(|_| name == READ_SCHEDULER);
    let keeper = keeper.and_then(SchedulerStatus::calling);
    let keeper = keeper.map(|consumer| format!(": consumer `{consumer}` does not return"));
    let seconds = silence.as_secs();
    format!("{name} has given no sign of life for {seconds} s{}", keeper.unwrap_or_default())
}

/// How many connections have a socket of which `is` holds.
fn connections(seen: &Seen, is: impl Fn(&Socket) -> bool) -> usize {
    let mut ids: Vec<ConnectionId> =
        seen.sockets.iter().filter(|(_, state)| is(state)).map(|(&(id, _), _)| id).collect();
    ids.dedup();
    ids.len()
}

/// Symbols of which nothing comes, as a sentence.
fn mute(symbols: &BTreeMap<SymbolId, Mute>) -> Option<String> {
    const NAMED: usize = 5;
    let names: Vec<&str> = symbols.values().take(NAMED).map(|mute| mute.name.as_str()).collect();
    let more = symbols.len().saturating_sub(NAMED);
    let others = if more > 0 { format!(" and {more} more") } else { String::new() };
    (!names.is_empty()).then(|| {
        let names = names.join(", ");
        format!("nothing comes of {names}{others} although they trade; subscribed anew")
    })
}

/// Why klines are not written just now, and what to do about it.
fn stalled(status: &WriterStatus) -> Option<String> {
    let why = status.last_error.as_deref().unwrap_or("nothing is known of it");
    status.persist_stalled.then(|| {
        if status.database_damaged {
            format!(
                "the database is damaged and takes no more klines: restart klagg, which sets it \
                 aside and fills a new one ({why})"
            )
        } else {
            format!("klines cannot be written; they are kept and retried: {why}")
        }
    })
}

/// The machine's clock, if it is off by more than this many milliseconds, as a sentence.
const SKEW_MAX: u64 = 1_000;

fn skew(ahead_ms: i64) -> Option<String> {
    let direction = if ahead_ms > 0 { "ahead of" } else { "behind" };
    (ahead_ms.unsigned_abs() > SKEW_MAX).then(|| {
        let seconds = ahead_ms.unsigned_abs() / 1_000;
        format!(
            "this machine's clock is {seconds} s {direction} the exchange's; klines do not depend \
             on it, but times in logs do: set it"
        )
    })
}

/// What is wrong now, in sentences for people.
fn problems(seen: &Seen, klines: &GlobalKlines, machine_ahead_ms: i64) -> Vec<String> {
    let told = seen.fallen.iter().chain(&seen.refused).chain(&seen.quarantined);
    let mut problems: Vec<String> = told.cloned().collect();
    for ((connection, copy), state) in &seen.sockets {
        let Socket::Down(why) = state else { continue };
        let other = seen.sockets.iter().any(|(&(of, other), state)| {
            of == *connection && other != *copy && *state == Socket::Live
        });
        let what = if other { "has lost one of its two sockets" } else { "is down" };
        problems.push(format!("{} {what}: {why}", connection_name(*connection)));
    }
    problems.extend(mute(&seen.mute));
    problems.extend(skew(machine_ahead_ms));
    problems.extend(seen.writer.as_ref().and_then(|writer| stalled(&writer.status())));
    for (number, worker) in klines.workers.iter().enumerate() {
        if worker.dead {
            problems.push(format!("worker {number} has ended; its klines are stale for good"));
        } else if worker.alarmed {
            problems.push(format!("worker {number} does not answer; its klines are stale"));
        }
    }
    let consumers = seen.consumers.as_ref().map(SchedulerStatus::reports).unwrap_or_default();
    for consumer in consumers.iter().filter(|consumer| consumer.panicked) {
        problems.push(format!("consumer `{}` broke and is called no more", consumer.name));
    }
    problems
}
