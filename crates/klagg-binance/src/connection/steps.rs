//! Doing what the policy wants: sockets are opened, written to, dropped, and everybody is told.

use std::borrow::Cow;
use std::time::Duration;

use futures_util::SinkExt;
use tokio_tungstenite::tungstenite::Message;

use super::line::{Line, OpenLine, Socket};
use super::{CLOSE_TIMEOUT, Connection, End};
use crate::copies::{CopyId, Step};
use crate::event_times::EventTimes;
use crate::policy::{Action, Event, Silence};
use crate::stream::{FeedNotice, FeedSink};

/// Longest wait for a message of ours to be taken by the kernel.
const SEND_TIMEOUT: Duration = Duration::from_secs(5);

impl<S: FeedSink> Connection<S> {
    pub(super) async fn take(&mut self, step: Step) -> Result<(), End> {
        match step {
            Step::Act(copy, action) => self.act(copy, action).await,
            // Said when it was decided; it is not to wait for the next message.
            Step::Copies(_) | Step::Interrupted | Step::Quiet => {
                self.pass_on(FeedSink::flush).await
            }
            Step::CloseReplaced(copy) => {
                self.parts.counters.rotations.add(1);
                tracing::info!(connection = %self.parts.id, %copy, "a socket is replaced");
                self.close(copy).await;
                Ok(())
            }
            Step::GiveUp(copy) => {
                self.parts.counters.rotations_failed.add(1);
                tracing::warn!(connection = %self.parts.id, %copy,
                    "a socket that was to replace an older one failed; the older one stays");
                self.close(copy).await;
                Ok(())
            }
        }
    }

    async fn act(&mut self, copy: CopyId, action: Action) -> Result<(), End> {
        match action {
            Action::Connect => {
                let config = &self.parts.config;
                let (bytes_max, limit) = (config.message_bytes_max, config.timing.connect_timeout);
                self.lines[copy.index()] =
                    Line::open(self.parts.url.clone(), &self.parts.tls, bytes_max, limit);
                Ok(())
            }
            Action::Subscribe { id, names } => {
                let mut text = String::new();
                klagg_wire::encode::subscribe(&mut text, &names, id);
                self.send(copy, Message::text(text)).await
            }
            Action::Unsubscribe { id, names } => {
                let mut text = String::new();
                klagg_wire::encode::unsubscribe(&mut text, &names, id);
                self.send(copy, Message::text(text)).await
            }
            Action::Ping => self.send(copy, Message::Ping(bytes::Bytes::new())).await,
            Action::Live => {
                let connection = self.parts.id;
                let event_time = match &self.lines[copy.index()] {
                    Line::Open(line) => line.event_time,
                    Line::Down | Line::Opening(_) => None,
                };
                self.notice(FeedNotice::Live { connection, copy, event_time });
                tracing::info!(%connection, %copy, "a socket delivers");
                Ok(())
            }
            Action::DropSilent(silence) => self.drop_silent(copy, silence).await,
            Action::DropOld => self.lost(copy, "it reached its age").await,
            // The machine of all sockets deals with it.
            Action::Old => Ok(()),
        }
    }

    pub(super) fn opened(&mut self, copy: CopyId, opened: Result<Box<Socket>, Cow<'static, str>>) {
        match opened {
            Ok(socket) => {
                let times = EventTimes::default();
                let line = OpenLine { socket, times, event_time: None };
                self.lines[copy.index()] = Line::Open(line);
                self.parts.counters.connects.add(1);
                self.event(copy, Event::Connected);
                self.notice(FeedNotice::Connected { connection: self.parts.id, copy });
            }
            Err(why) => {
                self.lines[copy.index()] = Line::Down;
                self.parts.counters.connect_failures.add(1);
                self.event(copy, Event::Closed);
                self.disconnected(copy, &why);
            }
        }
    }

    async fn send(&mut self, copy: CopyId, message: Message) -> Result<(), End> {
        // Actions that were decided for a socket which has gone since are void.
        let Some(socket) = self.lines[copy.index()].socket() else { return Ok(()) };
        let why = match tokio::time::timeout(SEND_TIMEOUT, socket.send(message)).await {
            Ok(Ok(())) => return Ok(()),
            Ok(Err(error)) => Cow::from(format!("cannot send: {error}")),
            Err(_) => Cow::from("cannot send in time"),
        };
        self.event(copy, Event::Closed);
        self.lost(copy, &why).await
    }

    async fn drop_silent(&mut self, copy: CopyId, silence: Silence) -> Result<(), End> {
        let (connection, path) = (self.parts.id, self.parts.path.clone());
        self.parts.counters.silences.add(1);
        tracing::warn!(%connection, %copy, path, "no {} in time, connecting anew",
            silence.as_str());
        let why = format!("open on {path}, but silent: no {} in time", silence.as_str());
        self.notice(FeedNotice::Silent { connection, copy, path, silence });
        self.lost(copy, &why).await
    }

    /// Drops the socket and tells everybody but the engine, for which the policy decides.
    pub(super) async fn lost(&mut self, copy: CopyId, why: &str) -> Result<(), End> {
        self.lines[copy.index()] = Line::Down;
        self.parts.counters.disconnects.add(1);
        self.disconnected(copy, why);
        self.pass_on(FeedSink::flush).await
    }

    fn disconnected(&mut self, copy: CopyId, why: &str) {
        let (connection, failures) = (self.parts.id, self.parts.copies.failures(copy));
        tracing::warn!(%connection, %copy, failures, why, "a socket is lost");
        self.notice(FeedNotice::Disconnected { connection, copy, why: why.to_owned() });
    }

    /// Closes a socket that is no longer wanted.
    async fn close(&mut self, copy: CopyId) {
        if let Some(socket) = self.lines[copy.index()].socket() {
            // Only the frame: whoever waits for the answer reads no other socket meanwhile.
            drop(tokio::time::timeout(CLOSE_TIMEOUT, socket.close(None)).await);
        }
        self.lines[copy.index()] = Line::Down;
        self.notice(FeedNotice::Closed { connection: self.parts.id, copy });
    }
}
