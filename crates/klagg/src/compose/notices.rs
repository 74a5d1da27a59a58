//! What the feed tells, kept for the status. What the connections log themselves is not said
//! twice.

use std::collections::BTreeMap;

use klagg_binance::{ConnectionId, FeedNotice};
use klagg_kline::UnixMillis;
use tokio::sync::{mpsc, watch};

use crate::status::{Connection, Status};

/// Names that may wait to be looked at. More are dropped: they come again with the next ticker.
const NAMES: usize = 4096;

/// Whom notices wake: the backfill once everything is live, and the look at listings.
pub(super) struct Wakes {
    connections: usize,
    live: BTreeMap<ConnectionId, UnixMillis>,
    live_from: watch::Sender<Option<UnixMillis>>,
    names: mpsc::Sender<String>,
}

impl Wakes {
    /// `connections` must deliver before the feed counts as live. The receiver gets the names of
    /// symbols of which something was heard.
    pub(super) fn new(
        connections: usize,
        live_from: watch::Sender<Option<UnixMillis>>,
    ) -> (Self, mpsc::Receiver<String>) {
        let (names, heard) = mpsc::channel(NAMES);
        (Self { connections, live: BTreeMap::new(), live_from, names }, heard)
    }

    fn is_live(&mut self, connection: ConnectionId, since: Option<UnixMillis>) {
        let Some(since) = since else { return };
        self.live.entry(connection).or_insert(since);
        if self.live.len() >= self.connections && self.live_from.borrow().is_none() {
            self.live_from.send_replace(self.live.values().copied().max());
        }
    }

    fn heard_of(&self, name: String) {
        // Full: the name comes again.
        let _ = self.names.try_send(name);
    }
}

/// Takes notices until the feed has ended.
pub(super) async fn watch(
    notices: &mut mpsc::Receiver<FeedNotice>,
    status: &Status,
    mut wakes: Wakes,
) {
    while let Some(notice) = notices.recv().await {
        match notice {
            FeedNotice::Connected { connection } => {
                status.connection(connection, Connection::Opening);
            }
            FeedNotice::Live { connection, event_time } => {
                status.connection(connection, Connection::Live);
                wakes.is_live(connection, event_time);
            }
            FeedNotice::Disconnected { connection, why } => {
                status.connection(connection, Connection::Down(why));
            }
            FeedNotice::Silent { connection, path, silence } => {
                let what = silence.as_str();
                tracing::error!(
                    connection = connection.0,
                    path,
                    what,
                    "connection is open but silent; it is replaced. If this repeats, the \
                     exchange may have moved its streams: see feed.path"
                );
                let why = format!("open on {path}, but silent: {what}");
                status.connection(connection, Connection::Down(why));
            }
            FeedNotice::Refused { connection, code, message } => {
                tracing::warn!(connection = connection.0, code, message, "request refused");
            }
            FeedNotice::MiniTickers(tickers) => {
                for ticker in tickers.into_iter().filter(|ticker| !ticker.coin_margined) {
                    wakes.heard_of(ticker.symbol);
                }
            }
            FeedNotice::ContractInfo(info) if !info.coin_margined => wakes.heard_of(info.symbol),
            FeedNotice::SinkClosed { connection } => {
                let why = "its worker has ended".to_owned();
                tracing::error!(connection = connection.0, why, "connection ended for good");
                status.connection(connection, Connection::Down(why));
            }
            _ => {}
        }
    }
}
