//! One client of the exchange's stream paths.
//!
//! What changes is gathered and sent at most every `exchange_cadence`, the newest state of each
//! kline, closed ones all. Every well-formed request is acknowledged, as by the exchange, whether
//! the streams exist or not.

use std::sync::Arc;

use axum::Extension;
use axum::extract::{Path, RawQuery, State, WebSocketUpgrade};
use axum::response::Response;
use klagg_wire::request::{self, ClientRequest, Refusal};
use tokio::time::{Instant, MissedTickBehavior, interval};

use super::streams::Streams;
use crate::app::App;
use crate::hub::{Client, Delivery, Dialect, Slot};
use crate::line::{self, BATCH, End, Heard, Line};
use crate::transport::{Bucket, Peer, stopped};

/// Seconds of messages that may come at once.
const BURST_SECONDS: f64 = 3.0;

/// `GET /ws`, `/market/ws`, `/public/ws`, `/private/ws`: frames unwrapped.
pub(crate) async fn raw(
    State(app): State<Arc<App>>,
    Extension(peer): Extension<Peer>,
    request: WebSocketUpgrade,
) -> Response {
    open(app, peer, request, Vec::new(), false)
}

/// `GET /ws/<stream>/<stream>…` or `/ws/<label>`.
pub(crate) async fn raw_named(
    State(app): State<Arc<App>>,
    Extension(peer): Extension<Peer>,
    Path(names): Path<String>,
    request: WebSocketUpgrade,
) -> Response {
    open(app, peer, request, names.split('/').map(str::to_owned).collect(), false)
}

/// `GET /stream` or `/stream?streams=<stream>/<stream>…`: frames wrapped with their names.
pub(crate) async fn combined(
    State(app): State<Arc<App>>,
    Extension(peer): Extension<Peer>,
    RawQuery(query): RawQuery,
    request: WebSocketUpgrade,
) -> Response {
    let query = query.unwrap_or_default();
    let names = crate::query::pairs(&query)
        .filter(|(key, _)| key == "streams")
        .flat_map(|(_, value)| value.split('/').map(str::to_owned).collect::<Vec<_>>())
        .collect();
    open(app, peer, request, names, true)
}

fn open(
    app: Arc<App>,
    peer: Peer,
    request: WebSocketUpgrade,
    names: Vec<String>,
    combined: bool,
) -> Response {
    let limits = &app.limits;
    let request = line::upgrade(request, limits.exchange_message_bytes_max);
    let second = f64::from(limits.exchange_messages_per_second);
    let messages = Bucket::new(second, second * BURST_SECONDS, Instant::now());
    line::start(request, app, peer, messages, move |mut line| async move {
        let app = Arc::clone(&line.app);
        let client = app.hub.connect(Dialect::Exchange, app.limits.closed_waiting_max);
        let mut session =
            Session { app: &app, client: &client, streams: Streams::default(), combined };
        let end = match session.converse(&mut line, &names).await {
            Ok(never) => match never {},
            Err(end) => end,
        };
        app.hub.disconnect(&client);
        (line, end)
    })
}

struct Session<'a> {
    app: &'a App,
    client: &'a Arc<Client>,
    streams: Streams,
    combined: bool,
}

impl Session<'_> {
    async fn converse(
        &mut self,
        line: &mut Line,
        names: &[String],
    ) -> Result<std::convert::Infallible, End> {
        if let Err(refusal) = self.subscribe(names) {
            return self.refuse(line, &refusal).await.and(Err(End::INVALID));
        }
        let mut shutdown = self.app.shutdown.clone();
        let mut pings = interval(self.app.limits.ping_cadence);
        let mut cadence = interval(self.app.limits.exchange_cadence);
        for timer in [&mut pings, &mut cadence] {
            timer.set_missed_tick_behavior(MissedTickBehavior::Delay);
            timer.reset();
        }
        loop {
            tokio::select! {
                () = stopped(&mut shutdown) => return Err(End::STOPPING),
                heard = line.hear() => match heard? {
                    Heard::Text(text) => self.obey(line, text.as_bytes()).await?,
                    Heard::Binary => return Err(End::INVALID),
                    Heard::Control => {}
                },
                _ = cadence.tick() => self.deliver(line).await?,
                _ = pings.tick() => line.ping().await?,
            }
        }
    }

    async fn obey(&mut self, line: &mut Line, frame: &[u8]) -> Result<(), End> {
        let request = match request::parse(frame) {
            Ok(request) => request,
            Err(refusal) => {
                self.refuse(line, &refusal).await?;
                return line.strike();
            }
        };
        let mut answer = String::with_capacity(64);
        match request {
            ClientRequest::Subscribe { streams, id } => match self.subscribe(&streams) {
                Ok(()) => request::encode_ack(&mut answer, &id),
                Err(refusal) => {
                    return self.refuse(line, &refusal).await.and(Err(End::INVALID));
                }
            },
            ClientRequest::Unsubscribe { streams, id } => {
                self.unsubscribe(&streams);
                request::encode_ack(&mut answer, &id);
            }
            ClientRequest::ListSubscriptions { id } => {
                request::encode_subscriptions(&mut answer, self.streams.names(), &id);
            }
            ClientRequest::SetProperty { combined, id } => {
                self.combined = combined;
                request::encode_ack(&mut answer, &id);
            }
            ClientRequest::GetProperty { id } => {
                request::encode_property(&mut answer, self.combined, &id);
            }
            _ => return Err(End::INVALID),
        }
        line.send(answer).await
    }

    fn subscribe(&mut self, names: &[String]) -> Result<(), Refusal> {
        let parts = &self.app.source.parts;
        let table = parts.symbols.load();
        let names_max = self.app.limits.subscriptions_max;
        let added = self.streams.add(names, &table, &parts.periods, names_max);
        for slot in added.map_err(|_| Refusal::too_many_subscriptions())? {
            self.app.hub.follow(self.client, slot, self.from(slot));
        }
        Ok(())
    }

    /// The open time of the kline that is open now: earlier ones are history, which the protocol
    /// does not have.
    fn from(&self, slot: Slot) -> klagg_kline::UnixMillis {
        let open = self.app.source.open(slot).map(|record| record.kline.open_time);
        let period = self.app.source.parts.periods.get(slot.period_index.into());
        open.unwrap_or_else(|| period.open_time(self.app.now()))
    }

    fn unsubscribe(&mut self, names: &[String]) {
        let parts = &self.app.source.parts;
        let removed = self.streams.remove(names, &parts.symbols.load(), &parts.periods);
        self.app.hub.unsubscribe(self.client, &removed);
    }

    async fn refuse(&self, line: &mut Line, refusal: &Refusal) -> Result<(), End> {
        let mut text = String::new();
        request::encode_refusal(&mut text, refusal);
        line.send(text).await
    }

    /// Sends what waits; a batch between two looks at the clock, all of it before the cadence
    /// comes again unless the client reads slowly.
    async fn deliver(&self, line: &mut Line) -> Result<(), End> {
        while self.client.is_ready() {
            if self.client.is_lost(self.app.uptime(), self.app.limits.behind_timeout) {
                return Err(End::BEHIND);
            }
            for _ in 0..BATCH {
                let Some(delivery) = self.client.pop(self.app.uptime()) else { break };
                let Delivery::Kline(update) = delivery else { continue };
                for form in self.streams.forms(update.slot, self.combined) {
                    line.feed(update.text(form)).await?;
                }
            }
            line.flush().await?;
        }
        Ok(())
    }
}
