//! What the feed tells, kept for the status. What the connections log themselves is not said
//! twice.

use std::collections::BTreeMap;

use klagg_binance::{ConnectionId, FeedNotice};
use klagg_kline::{SymbolId, UnixMillis};
use klagg_wire::ContractInfo;
use tokio::sync::{mpsc, watch};

use super::liveness::Liveness;
use crate::status::{Socket, Status};

/// News that may wait to be looked at. More are dropped: names come again with the next ticker, and
/// the list is looked at now and then anyway.
const NEWS: usize = 4096;

/// What was heard of the market's contracts.
pub(super) enum News {
    /// A symbol of this name trades.
    Trades(String),
    /// The exchange tells of a contract.
    Contract(ContractInfo),
    /// Nothing comes of a symbol although it trades.
    Mute(SymbolId),
}

/// Whom notices wake: the backfill once everything is live, and the look at listings.
pub(super) struct Wakes {
    connections: usize,
    live: BTreeMap<ConnectionId, UnixMillis>,
    live_from: watch::Sender<Option<UnixMillis>>,
    news: mpsc::Sender<News>,
}

impl Wakes {
    /// The first `connections` must deliver before the feed counts as live. The receiver gets what
    /// was heard of contracts.
    pub(super) fn new(
        connections: usize,
        live_from: watch::Sender<Option<UnixMillis>>,
    ) -> (Self, mpsc::Receiver<News>) {
        let (news, heard) = mpsc::channel(NEWS);
        (Self { connections, live: BTreeMap::new(), live_from, news }, heard)
    }

    fn is_live(&mut self, connection: ConnectionId, since: Option<UnixMillis>) {
        // Where trades come over another path, the market's own streams have a connection beyond
        // these: that it delivers says nothing of the trades.
        let is_awaited = connection.index() < self.connections;
        let Some(since) = since.filter(|_| is_awaited) else { return };
        self.live.entry(connection).or_insert(since);
        if self.live.len() >= self.connections && self.live_from.borrow().is_none() {
            self.live_from.send_replace(self.live.values().copied().max());
        }
    }

    fn heard(&self, news: News) {
        // Full: it comes again.
        let _ = self.news.try_send(news);
    }
}

/// Takes notices until the feed has ended.
pub(super) async fn watch(
    notices: &mut mpsc::Receiver<FeedNotice>,
    status: &Status,
    mut wakes: Wakes,
    mut liveness: Liveness,
) {
    while let Some(notice) = notices.recv().await {
        match notice {
            FeedNotice::Connected { connection, copy } => {
                status.socket(connection, copy, Socket::Opening);
            }
            FeedNotice::Live { connection, copy, event_time } => {
                status.socket(connection, copy, Socket::Live);
                wakes.is_live(connection, event_time);
            }
            FeedNotice::Disconnected { connection, copy, why } => {
                status.socket(connection, copy, Socket::Down(why));
            }
            FeedNotice::Closed { connection, copy } => status.socket_closed(connection, copy),
            FeedNotice::Silent { connection, path, silence, .. } => {
                let what = silence.as_str();
                tracing::error!(
                    connection = connection.0,
                    path,
                    what,
                    "connection is open but silent; it is replaced. If this repeats, the \
                     exchange may have moved its streams: see feed.path"
                );
            }
            FeedNotice::Refused { connection, code, message } => {
                tracing::warn!(connection = connection.0, code, message, "request refused");
            }
            FeedNotice::MiniTickers(tickers) => {
                for symbol in liveness.on_tickers(&tickers, |id| status.is_live(id)) {
                    wakes.heard(News::Mute(symbol));
                }
                for ticker in tickers.into_iter().filter(|ticker| !ticker.coin_margined) {
                    wakes.heard(News::Trades(ticker.symbol));
                }
            }
            FeedNotice::ContractInfo(contract) => wakes.heard(News::Contract(contract)),
            FeedNotice::SinkClosed { connection } => {
                let why = "its worker has ended".to_owned();
                tracing::error!(connection = connection.0, why, "connection ended for good");
                status.connection_ended(connection, why);
            }
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_feed_is_live_once_each_connection_that_carries_trades_is() {
        let (live_from, seen) = watch::channel(None);
        let (mut wakes, _heard) = Wakes::new(2, live_from);
        let mut live = |connection, since| {
            wakes.is_live(ConnectionId(connection), since);
            *seen.borrow()
        };
        assert_eq!(live(0, Some(UnixMillis(5))), None);
        assert_eq!(live(700, Some(UnixMillis(9))), None, "the market's own streams");
        assert_eq!(live(1, None), None, "nothing told its time");
        assert_eq!(live(1, Some(UnixMillis(8))), Some(UnixMillis(8)));
    }
}
