//! Sockets over which nothing comes: none is kept for longer than the promise.
//!
//! It is the canary that has to come, on every socket that carries it: who hears only other symbols
//! does not know whether those that are quiet have stopped. What matters is the time of the
//! process, which stands still with it, and what it has read: while a worker has no room, nothing
//! is.

use std::time::Duration;

use crate::agenda::Millis;
use crate::oracle::Oracle;
use crate::outcome::Rule;
use crate::process::Process;
use crate::scenario::Scenario;

/// A silence is noticed within this: the promise, and a tick of the gateway, at which it is looked
/// for.
const NOTICED_WITHIN: Duration = Duration::from_millis(15_500);

/// When what has to come was last read, by connection and copy; `None` while there is no socket.
#[derive(Debug)]
pub(super) struct Sockets {
    heard_at: Vec<Vec<Option<Duration>>>,
}

impl Sockets {
    pub(super) fn new(scenario: &Scenario) -> Self {
        Self { heard_at: vec![Vec::new(); scenario.all_connections()] }
    }

    pub(super) fn forget(&mut self) {
        self.heard_at.iter_mut().for_each(Vec::clear);
    }

    fn set(&mut self, connection: usize, copy: usize, at: Option<Duration>) {
        let lines = &mut self.heard_at[connection];
        lines.resize(lines.len().max(copy + 1), None);
        lines[copy] = at;
    }
}

impl Oracle {
    /// A socket is open, or what has to come over it was read.
    pub(crate) fn socket_heard(&mut self, connection: usize, copy: usize, at: Duration) {
        self.sockets.set(connection, copy, Some(at));
    }

    /// Something was read of a connection.
    pub(crate) fn read(&mut self, connection: usize, now: Millis) {
        self.arrivals.came[connection] = now;
    }

    /// A socket is gone.
    pub(crate) fn socket_lost(&mut self, connection: usize, copy: usize) {
        self.sockets.set(connection, copy, None);
    }

    /// Reading was held up by us, and goes on.
    pub(crate) fn reading_resumed(&mut self, connection: usize, at: Duration) {
        self.sockets.heard_at[connection].iter_mut().flatten().for_each(|heard| *heard = at);
    }

    /// No socket is kept that has been silent for so long.
    pub(super) fn silent_socket(&mut self, now: Duration, process: &Process) {
        for (connection, lines) in self.sockets.heard_at.iter().enumerate() {
            let silent = |heard: &&Duration| now.saturating_sub(**heard) > NOTICED_WITHIN;
            let is_read = process.connections[connection].backlog.is_empty();
            if let Some(&heard) = lines.iter().flatten().find(silent)
                && is_read
            {
                let silence = now.saturating_sub(heard).as_millis();
                let what =
                    format!("connection {connection} keeps a socket silent for {silence} ms");
                return self.violated(Rule::O6, what);
            }
        }
    }
}
