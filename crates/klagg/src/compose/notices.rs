//! What the feed tells, said to people and kept for the status.

use klagg_binance::FeedNotice;
use tokio::sync::mpsc;

use crate::status::{Connection, Status};

/// Takes notices until the feed has ended. A symbol that is not numbered yet is sent to
/// `listings`, at most as many as it has room for: the next notice of it will do as well.
pub(super) async fn watch(
    mut notices: mpsc::Receiver<FeedNotice>,
    status: &Status,
    mut on_listing: impl FnMut(&str),
) {
    while let Some(notice) = notices.recv().await {
        match notice {
            FeedNotice::Connected { connection } => {
                tracing::debug!(connection = connection.0, "connected");
                status.connection(connection, Connection::Opening);
            }
            FeedNotice::Live { connection, event_time } => {
                tracing::info!(connection = connection.0, ?event_time, "connection delivers");
                status.connection(connection, Connection::Live);
            }
            FeedNotice::Disconnected { connection, why } => {
                tracing::warn!(connection = connection.0, why, "connection lost; it is renewed");
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
                for ticker in tickers.iter().filter(|ticker| !ticker.coin_margined) {
                    on_listing(&ticker.symbol);
                }
            }
            FeedNotice::ContractInfo(info) => {
                if !info.coin_margined {
                    on_listing(&info.symbol);
                }
            }
            FeedNotice::SinkClosed { connection } => {
                let why = "its worker has ended".to_owned();
                tracing::error!(connection = connection.0, why, "connection ended for good");
                status.connection(connection, Connection::Down(why));
            }
            _ => {}
        }
    }
}
