//! One client of `/ws/kline/live`.

use std::collections::BTreeSet;
use std::sync::Arc;

use axum::Extension;
use axum::extract::{State, WebSocketUpgrade};
use axum::response::Response;
use tokio::time::{Instant, MissedTickBehavior, interval};

use super::command::{self, Command, Refusal};
use super::encode;
use crate::app::App;
use crate::hub::{Client, Delivery, Dialect, Form, Slot};
use crate::line::{self, BATCH, End, Heard, Line};
use crate::source::Range;
use crate::transport::{Bucket, Peer, stopped};

/// `GET /ws/kline/live`
pub(crate) async fn handle(
    State(app): State<Arc<App>>,
    Extension(peer): Extension<Peer>,
    request: WebSocketUpgrade,
) -> Response {
    let limits = &app.limits;
    let request = line::upgrade(request, limits.message_bytes_max);
    let minute = f64::from(limits.live_messages_per_minute);
    let messages = Bucket::new(minute / 60.0, minute, Instant::now());
    line::start(request, app, peer, messages, |mut line| async move {
        let app = Arc::clone(&line.app);
        let client = app.hub.connect(Dialect::Live, app.limits.closed_waiting_max);
        let end = session(&mut line, &app, &client).await;
        app.hub.disconnect(&client);
        (line, end)
    })
}

async fn session(line: &mut Line, app: &Arc<App>, client: &Arc<Client>) -> End {
    match converse(line, app, client).await {
        Ok(never) => match never {},
        Err(end) => end,
    }
}

async fn converse(
    line: &mut Line,
    app: &Arc<App>,
    client: &Arc<Client>,
) -> Result<std::convert::Infallible, End> {
    let mut shutdown = app.shutdown.clone();
    let mut pings = interval(app.limits.ping_cadence);
    let mut heartbeats = interval(app.limits.heartbeat_cadence);
    for timer in [&mut pings, &mut heartbeats] {
        timer.set_missed_tick_behavior(MissedTickBehavior::Delay);
        timer.reset();
    }
    let mut text = String::new();
    encode::welcome(&mut text, app.source.parts.periods.as_slice(), &encode::COLUMNS);
    line.send(text).await?;
    loop {
        tokio::select! {
            () = stopped(&mut shutdown) => return Err(End::STOPPING),
            heard = line.hear() => match heard? {
                Heard::Text(text) => obey(line, app, client, &text).await?,
                Heard::Binary => {
                    refuse(line, &Refusal::new("bad_command", "send text frames")).await?;
                }
                Heard::Control => {}
            },
            () = client.woken() => deliver(line, app, client).await?,
            _ = heartbeats.tick() => line.send(heartbeat(app, client)).await?,
            _ = pings.tick() => line.ping().await?,
        }
    }
}

async fn obey(line: &mut Line, app: &App, client: &Arc<Client>, text: &str) -> Result<(), End> {
    let parts = &app.source.parts;
    let slots_max = app.limits.subscriptions_max;
    let command = match command::parse(text, &parts.symbols, &parts.periods, slots_max) {
        Ok(command) => command,
        Err(refusal) => return refuse(line, &refusal).await,
    };
    let kind = match command {
        Command::Subscribe { slots, replace, history } => {
            let wanted: BTreeSet<Slot> = slots.iter().copied().collect();
            let held = client.slots();
            let leaving: Vec<Slot> = if replace {
                held.iter().copied().filter(|slot| !wanted.contains(slot)).collect()
            } else {
                Vec::new()
            };
            let added = wanted.iter().filter(|slot| held.binary_search(slot).is_err()).count();
            if held.len() - leaving.len() + added > slots_max {
                return refuse(line, &command::too_many(slots_max)).await;
            }
            app.hub.unsubscribe(client, &leaving);
            app.hub.subscribe(client, &slots, history, app.uptime());
            "subscribed"
        }
        Command::Unsubscribe { slots } => {
            app.hub.unsubscribe(client, &slots);
            "unsubscribed"
        }
    };
    let mut text = String::new();
    encode::counted(&mut text, kind, client.subscriptions());
    line.send(text).await
}

async fn refuse(line: &mut Line, refusal: &Refusal) -> Result<(), End> {
    let mut text = String::new();
    encode::refusal(&mut text, refusal);
    line.send(text).await?;
    line.strike()
}

/// Sends what waits: a batch, so that the client is heard in between.
async fn deliver(line: &mut Line, app: &App, client: &Arc<Client>) -> Result<(), End> {
    for _ in 0..BATCH {
        let Some(delivery) = client.pop(app.uptime()) else { break };
        match delivery {
            Delivery::Kline(update) => line.feed(update.text(Form::Live)).await?,
            Delivery::Snapshot { slot, history } => {
                if let Some(text) = snapshot(app, client, slot, history).await {
                    line.feed(text).await?;
                }
            }
        }
    }
    line.flush().await?;
    if client.is_lost(app.uptime(), app.limits.behind_timeout) {
        return Err(End::BEHIND);
    }
    if client.is_ready() {
        client.wake();
    }
    Ok(())
}

/// History and the open kline of one slot, read now. If it cannot be read it is due again, and
/// the client is told.
async fn snapshot(app: &App, client: &Arc<Client>, slot: Slot, history: usize) -> Option<String> {
    let name = app.source.name(slot)?;
    let range = Range::newest(history + 1); // the open kline is no history
    let mut text = String::with_capacity(256 + 160 * (history + 1).min(1024));
    match app.source.read(slot, range).await {
        Ok(page) => {
            let named = (&*name.symbol, name.period, name.precision);
            encode::snapshot(&mut text, page.sequence, named, &page.records);
        }
        Err(error) => {
            tracing::warn!(%error, symbol = %name.symbol, period = %name.period,
                "a snapshot could not be read from the store");
            let message = "history cannot be read now; subscribe again later";
            encode::refusal(&mut text, &Refusal::new("history_unavailable", message));
            app.hub.unsubscribe(client, &[slot]);
        }
    }
    Some(text)
}

fn heartbeat(app: &App, client: &Client) -> String {
    let standing = app.standing();
    let mut symbols: Vec<_> = client.slots().iter().map(|slot| slot.symbol).collect();
    symbols.dedup();
    let table = app.source.parts.symbols.load();
    let late = |&symbol: &_| Some((symbol, app.source.staleness(symbol)?));
    let stale: Vec<_> = symbols
        .iter()
        .filter_map(late)
        .filter_map(|(symbol, age)| {
            let entry = table.entry(symbol)?;
            Some((&*entry.name, standing.published_at.plus(-age)))
        })
        .collect();
    let mut text = String::with_capacity(160);
    encode::heartbeat(&mut text, &standing, &stale);
    text
}
