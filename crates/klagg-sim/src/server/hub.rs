//! Who gets which frame. One writer sends; sockets come and go and change what they want.

mod faults;

use std::collections::{HashMap, HashSet};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use axum::extract::ws::Utf8Bytes;
use klagg_wire::encode;
use klagg_wire::stream_name::StreamName;
use tokio::sync::{mpsc, watch};
use tokio::time::timeout;

use super::Counts;
use super::streams::Route;
use crate::SocketRules;
use crate::random::Random;

/// Batches waiting for one client, beside the bound on their frames.
const BATCHES_MAX: usize = 4_096;

/// What becomes of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fate {
    Live,
    /// Too slow a reader: closed with 1008.
    Slow,
    /// Half-open: neither read nor written any more, and not closed either, as if the network had
    /// forgotten it.
    Frozen,
    /// Cut without a word.
    Cut,
    /// The exchange stops.
    Stop,
}

/// Frames for one client, and the count of those it has not taken yet.
#[derive(Debug)]
pub(crate) struct Inbox {
    pub(crate) batches: mpsc::Receiver<Vec<Utf8Bytes>>,
    pub(crate) queued: Arc<AtomicUsize>,
    pub(crate) fate: watch::Receiver<Fate>,
}

/// All connections and their subscriptions.
#[derive(Debug)]
pub(crate) struct Hub {
    state: Mutex<State>,
    /// How many connections there are; each counts until its task is done with it.
    open: watch::Sender<usize>,
}

#[derive(Debug)]
struct State {
    rules: SocketRules,
    random: Random,
    next_id: u64,
    stopped: bool,
    clients: HashMap<u64, Client>,
    /// By route: a name means nothing without one.
    streams: [HashMap<String, Stream>; Route::COUNT],
    swallow: f64,
    duplicate: f64,
    silent: Silence,
}

#[derive(Debug, Default)]
struct Silence {
    all: bool,
    symbols: HashSet<String>,
}

#[derive(Debug)]
struct Client {
    route: Route,
    combined: bool,
    /// Nothing of the market is sent any more.
    is_silent: bool,
    /// In the order of subscription, as the exchange lists them.
    streams: Vec<String>,
    sender: mpsc::Sender<Vec<Utf8Bytes>>,
    queued: Arc<AtomicUsize>,
    fate: watch::Sender<Fate>,
    batch: Vec<Utf8Bytes>,
}

#[derive(Debug)]
struct Stream {
    /// `None` where the name is none, or not served here: acknowledged, silent for ever.
    name: Option<StreamName>,
    clients: Vec<u64>,
}

/// What is to be made because somebody reads it.
#[derive(Debug, Default)]
pub(crate) struct Wanted {
    /// Single fills of at least one symbol.
    pub(crate) fills: bool,
    /// All others but aggregates, which are always made.
    pub(crate) streams: Vec<StreamName>,
}

/// A subscription went beyond what a connection may hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct TooManyStreams;

impl Hub {
    pub(crate) fn new(seed: u64, rules: SocketRules) -> Self {
        let state = State {
            rules,
            random: Random::new(seed),
            next_id: 0,
            stopped: false,
            clients: HashMap::new(),
            streams: Default::default(),
            swallow: 0.0,
            duplicate: 0.0,
            silent: Silence::default(),
        };
        Self { state: Mutex::new(state), open: watch::Sender::new(0) }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Admits a connection, if there is room.
    pub(crate) fn join(&self, route: Route, combined: bool) -> Option<(u64, Inbox)> {
        let mut state = self.state();
        if state.stopped || state.clients.len() >= state.rules.connections_max {
            return None;
        }
        let id = state.next_id;
        state.next_id += 1;
        let (sender, batches) = mpsc::channel(BATCHES_MAX);
        let (fate_sender, fate) = watch::channel(Fate::Live);
        let queued = Arc::new(AtomicUsize::new(0));
        state.clients.insert(
            id,
            Client {
                route,
                combined,
                is_silent: false,
                streams: Vec::new(),
                sender,
                queued: Arc::clone(&queued),
                fate: fate_sender,
                batch: Vec::new(),
            },
        );
        self.open.send_modify(|open| *open += 1);
        Some((id, Inbox { batches, queued, fate }))
    }

    pub(crate) fn leave(&self, id: u64) {
        let mut state = self.state();
        if let Some(client) = state.clients.remove(&id) {
            self.open.send_modify(|open| *open -= 1);
            for name in client.streams {
                state.forget(client.route, &name, id);
            }
        }
    }

    pub(crate) fn subscribe(&self, id: u64, names: Vec<String>) -> Result<(), TooManyStreams> {
        let mut state = self.state();
        let streams_max = state.rules.streams_max;
        for name in names {
            let Some(client) = state.clients.get_mut(&id) else { return Ok(()) };
            if client.streams.contains(&name) {
                continue;
            }
            if client.streams.len() >= streams_max {
                return Err(TooManyStreams);
            }
            client.streams.push(name.clone());
            let route = client.route;
            let parsed = name.parse().ok().filter(|stream| route.serves(stream));
            let stream = state.streams[route.index()]
                .entry(name)
                .or_insert_with(|| Stream { name: parsed, clients: Vec::new() });
            stream.clients.push(id);
        }
        Ok(())
    }

    pub(crate) fn unsubscribe(&self, id: u64, names: &[String]) {
        let mut state = self.state();
        for name in names {
            let Some(client) = state.clients.get_mut(&id) else { return };
            let route = client.route;
            if let Some(place) = client.streams.iter().position(|held| held == name) {
                client.streams.remove(place);
                state.forget(route, name, id);
            }
        }
    }

    pub(crate) fn subscriptions(&self, id: u64) -> Vec<String> {
        self.state().clients.get(&id).map(|client| client.streams.clone()).unwrap_or_default()
    }

    pub(crate) fn set_combined(&self, id: u64, combined: bool) {
        if let Some(client) = self.state().clients.get_mut(&id) {
            client.combined = combined;
        }
    }

    pub(crate) fn is_combined(&self, id: u64) -> bool {
        self.state().clients.get(&id).is_some_and(|client| client.combined)
    }

    /// What somebody wants beside aggregates.
    pub(crate) fn wanted(&self) -> Wanted {
        let mut wanted = Wanted::default();
        let state = self.state();
        for name in state.streams.iter().flat_map(HashMap::values).filter_map(|it| it.name.as_ref())
        {
            match name {
                StreamName::AggTrade(_) => {}
                StreamName::Trade(_) => wanted.fills = true,
                other => wanted.streams.push(other.clone()),
            }
        }
        wanted
    }

    pub(crate) fn connections(&self) -> usize {
        self.state().clients.len()
    }

    /// Ends all connections; after [`Fate::Stop`] none is admitted any more.
    pub(crate) fn end_all(&self, fate: Fate) {
        let mut state = self.state();
        state.stopped |= fate == Fate::Stop;
        for client in state.clients.values() {
            client.fate.send_replace(fate);
        }
    }

    /// Waits until no connection is left, but not for ever.
    pub(crate) async fn emptied(&self, patience: Duration) {
        let mut open = self.open.subscribe();
        let _ = timeout(patience, open.wait_for(|open| *open == 0)).await;
    }

    /// Opens a round of sending. Frames of a round reach each client as one batch.
    pub(crate) fn round<'a>(&'a self, counts: &'a Counts) -> Round<'a> {
        Round { state: self.state(), counts }
    }
}

impl State {
    fn forget(&mut self, route: Route, name: &str, id: u64) {
        let streams = &mut self.streams[route.index()];
        if let Some(stream) = streams.get_mut(name) {
            stream.clients.retain(|client| *client != id);
            if stream.clients.is_empty() {
                streams.remove(name);
            }
        }
    }
}

/// One round of sending; holds the hub until it ends.
#[derive(Debug)]
pub(crate) struct Round<'a> {
    state: MutexGuard<'a, State>,
    counts: &'a Counts,
}

impl Round<'_> {
    /// Gives the frame that `write` prints to everybody who subscribed to `name`. Nothing is
    /// printed if nobody did. `symbol` decides about silence.
    pub(crate) fn send(
        &mut self,
        route: Route,
        name: &str,
        symbol: Option<&str>,
        write: impl FnOnce(&mut String),
    ) {
        let state = &mut *self.state;
        let Some(stream) = state.streams[route.index()].get(name) else { return };
        if stream.name.is_none() {
            return;
        }
        let is_silent =
            state.silent.all || symbol.is_some_and(|symbol| state.silent.symbols.contains(symbol));
        if is_silent {
            Counts::add(&self.counts.frames_silenced, stream.clients.len() as u64);
            return;
        }
        let mut raw = String::with_capacity(256);
        write(&mut raw);
        let mut combined: Option<Utf8Bytes> = None;
        let raw = Utf8Bytes::from(raw);
        for id in &stream.clients {
            let Some(client) = state.clients.get_mut(id) else { continue };
            if client.is_silent {
                Counts::add(&self.counts.frames_silenced, 1);
                continue;
            }
            if state.random.chance(state.swallow) {
                Counts::add(&self.counts.frames_swallowed, 1);
                continue;
            }
            let frame = if client.combined {
                combined.get_or_insert_with(|| {
                    let mut text = String::with_capacity(raw.len() + name.len() + 32);
                    encode::combined(&mut text, name, |out| out.push_str(&raw));
                    Utf8Bytes::from(text)
                })
            } else {
                &raw
            };
            client.batch.push(frame.clone());
            if state.random.chance(state.duplicate) {
                Counts::add(&self.counts.frames_duplicated, 1);
                client.batch.push(frame.clone());
            }
        }
    }

    /// Gives a frame as it is to every connection: for tapes.
    pub(crate) fn send_to_all(&mut self, frame: &Utf8Bytes) {
        for client in self.state.clients.values_mut() {
            client.batch.push(frame.clone());
        }
    }

    /// Hands the batches over. Who has too many frames waiting is ended.
    pub(crate) fn finish(mut self) {
        let frames_max = self.state.rules.queued_frames_max;
        let mut sent = 0;
        for client in self.state.clients.values_mut() {
            if client.batch.is_empty() {
                continue;
            }
            let batch = std::mem::take(&mut client.batch);
            let count = batch.len();
            if *client.fate.borrow() == Fate::Frozen {
                Counts::add(&self.counts.frames_silenced, count as u64);
                continue;
            }
            // Relaxed: a bound on memory, not a hand-over.
            let queued = client.queued.fetch_add(count, Ordering::Relaxed) + count;
            if queued > frames_max || client.sender.try_send(batch).is_err() {
                let was = client.fate.send_replace(Fate::Slow);
                if was == Fate::Live {
                    Counts::add(&self.counts.closed_slow, 1);
                } else {
                    client.fate.send_replace(was);
                }
                continue;
            }
            sent += count as u64;
        }
        Counts::add(&self.counts.frames_sent, sent);
    }
}
