//! Sockets: what the connections' machines want of them, and what arrives over them.

use std::time::Duration;

use klagg_binance::{Action, Copies, CopyId, Event as StreamEvent, EventTimes, Step};

use crate::agenda::Millis;
use crate::exchange::{Delivery, Frame, SocketId};
use crate::process::workers::{Item, Worker};
use crate::world::{Own, World};

impl World {
    /// Lets a connection's machine decide, and does what it wants.
    pub(super) fn decide(
        &mut self,
        connection: usize,
        act: impl FnOnce(&mut Copies, Duration, u64, &mut Vec<Step>),
    ) {
        let random = self.random.next();
        let Some(process) = &mut self.process else { return };
        let of = &mut process.connections[connection];
        let mut steps = Vec::new();
        act(&mut of.copies, process.clock.elapsed(self.now), random, &mut steps);
        of.steps.extend(steps);
        loop {
            let Some(process) = &mut self.process else { return };
            let Some(step) = process.connections[connection].steps.pop_front() else { break };
            self.take_step(connection, step);
        }
        self.plan_stream_timer(connection);
    }

    pub(super) fn stream_event(&mut self, connection: usize, copy: CopyId, event: StreamEvent) {
        self.decide(connection, |copies, now, random, steps| {
            copies.on_event(now, random, (copy, event), steps);
        });
    }

    pub(super) fn stream_event_for_all(&mut self, connection: usize, event: &StreamEvent) {
        self.decide(connection, |copies, now, random, steps| {
            copies.on_event_for_all(now, random, event, steps);
        });
    }

    pub(super) fn start_streams(&mut self) {
        for connection in 0..self.scenario.all_connections() {
            self.decide(connection, Copies::start);
        }
    }

    fn plan_stream_timer(&mut self, connection: usize) {
        let Some(process) = &mut self.process else { return };
        let of = &mut process.connections[connection];
        if let Some(deadline) = of.copies.next_deadline() {
            let at = process.clock.world(deadline).max(self.now + 1);
            if of.alarm.set(at) {
                self.plan_own(at, Own::StreamTimer { connection });
            }
        }
    }

    pub(super) fn stream_timer(&mut self, connection: usize) {
        let random = self.random.next();
        let Some(process) = &mut self.process else { return };
        let of = &mut process.connections[connection];
        of.alarm.rang(self.now);
        let now = process.clock.elapsed(self.now);
        if of.copies.next_deadline().is_some_and(|deadline| now >= deadline) {
            let mut steps = Vec::new();
            of.copies.on_timer(now, random, &mut process.turnstile, &mut steps);
            of.steps.extend(steps);
        }
        self.decide(connection, |_, _, _, _| {});
    }

    fn take_step(&mut self, connection: usize, step: Step) {
        let Some(process) = &mut self.process else { return };
        let feed = process.connections[connection].feed;
        match step {
            Step::Act(copy, action) => self.act(connection, copy, action),
            Step::Copies(count) => {
                for worker in &mut process.workers {
                    worker.push(self.now, Item::Copies(feed, count));
                }
            }
            Step::Interrupted => {
                self.oracle.interrupted(usize::from(feed.0));
                for worker in &mut process.workers {
                    worker.push(self.now, Item::Interrupted(feed));
                }
            }
            Step::Quiet => {
                for worker in &mut process.workers {
                    worker.push(self.now, Item::Quiet(feed));
                }
            }
            Step::CloseReplaced(copy) | Step::GiveUp(copy) => self.lost(connection, copy),
        }
    }

    fn act(&mut self, connection: usize, copy: CopyId, action: Action) {
        let Some(process) = &mut self.process else { return };
        let line = &mut process.connections[connection].lines[copy.index()];
        let now = self.now;
        match action {
            Action::Connect => {
                line.attempt += 1;
                let attempt = line.attempt;
                let socket = self.exchange.open(now);
                let at = now + self.random.between(20, 400);
                self.plan_own(at, Own::Opened { connection, copy, attempt, socket });
            }
            Action::Subscribe { id, names } => {
                if let Some(socket) = line.socket {
                    self.exchange.subscribe(now, socket, (id, &names), &mut self.outbox);
                }
            }
            Action::Unsubscribe { id, names } => {
                if let Some(socket) = line.socket {
                    self.exchange.unsubscribe(now, socket, (id, &names), &mut self.outbox);
                }
            }
            Action::Ping => {
                if let Some(socket) = line.socket {
                    self.exchange.ping(now, socket, &mut self.outbox);
                }
            }
            Action::Live => {
                line.is_live = true;
                self.tell_live();
            }
            Action::DropSilent(_) | Action::DropOld => self.lost(connection, copy),
            // The machine of all sockets deals with it.
            Action::Old => {}
        }
    }

    pub(super) fn opened(
        &mut self,
        connection: usize,
        copy: CopyId,
        (attempt, socket): (u32, Option<SocketId>),
    ) {
        let Some(process) = &mut self.process else { return };
        let line = &mut process.connections[connection].lines[copy.index()];
        if line.attempt != attempt {
            // Given up meanwhile.
            if let Some(socket) = socket {
                self.exchange.forget(socket);
            }
            return;
        }
        line.socket = socket;
        (line.times, line.event_time) = (EventTimes::default(), None);
        if socket.is_some() {
            self.oracle.socket_heard(connection, copy.index(), process.clock.elapsed(self.now));
        }
        let event = if socket.is_some() { StreamEvent::Connected } else { StreamEvent::Closed };
        self.stream_event(connection, copy, event);
    }

    /// A socket is gone, or dropped.
    fn lost(&mut self, connection: usize, copy: CopyId) {
        let Some(process) = &mut self.process else { return };
        let of = &mut process.connections[connection];
        of.backlog.retain(|(from, _)| *from != copy);
        let line = &mut of.lines[copy.index()];
        line.attempt += 1;
        line.is_live = false;
        self.oracle.socket_lost(connection, copy.index());
        if let Some(socket) = line.socket.take() {
            self.exchange.forget(socket);
        }
    }

    /// Something arrives at our end of a socket.
    pub(super) fn delivered(&mut self, socket: SocketId, delivery: Delivery) {
        let Some(process) = &mut self.process else { return };
        let mut found = process.connections.iter().enumerate();
        let place = found.find_map(|(at, of)| of.copy_of(socket).map(|copy| (at, copy)));
        let Some((connection, copy)) = place else { return };
        if self.now < process.suspended_until {
            let at = process.suspended_until;
            self.agenda.add(at, super::Event::Socket(socket, delivery));
            return;
        }
        match delivery {
            Delivery::Closed => {
                self.stream_event(connection, copy, StreamEvent::Closed);
                self.lost(connection, copy);
            }
            Delivery::Frame(Frame::Pong) => {
                self.stream_event(connection, copy, StreamEvent::Pong);
            }
            Delivery::Frame(Frame::Ack(id)) => {
                self.stream_event(connection, copy, StreamEvent::Acknowledged(id));
            }
            Delivery::Frame(frame) => {
                let of = &mut process.connections[connection];
                if !of.backlog.is_empty() || !process.workers.iter().all(Worker::has_room) {
                    of.backlog.push_back((copy, frame));
                } else {
                    self.read(connection, copy, &frame);
                }
            }
        }
    }

    /// A worker has room again: sockets are read on.
    pub(super) fn read_backlogs(&mut self) {
        for connection in 0..self.scenario.all_connections() {
            let mut has_read = false;
            loop {
                let Some(process) = &mut self.process else { return };
                if !process.workers.iter().all(Worker::has_room) {
                    break;
                }
                let frame = process.connections[connection].backlog.pop_front();
                let Some((copy, frame)) = frame else { break };
                self.read(connection, copy, &frame);
                has_read = true;
            }
            if has_read && let Some(process) = &self.process {
                self.oracle.reading_resumed(connection, process.clock.elapsed(self.now));
                self.stream_event_for_all(connection, &StreamEvent::Resumed);
            }
        }
    }

    /// Whether every connection that carries trades has delivered, told once.
    fn tell_live(&mut self) {
        let Some(process) = &mut self.process else { return };
        let mut carriers = process.connections[..process.carriers].iter();
        let is_live = carriers.all(crate::process::streams::Connection::is_live);
        if !process.live_told && is_live {
            process.live_told = true;
            self.now_live();
        }
    }

    /// Subscribes or unsubscribes streams, by connection.
    pub(super) fn change_streams(
        &mut self,
        streams: Vec<Vec<String>>,
        event: impl Fn(Vec<String>) -> StreamEvent,
    ) {
        for (connection, names) in streams.into_iter().enumerate() {
            if !names.is_empty() {
                self.stream_event_for_all(connection, &event(names));
            }
        }
    }

    /// When the newest of all connections first delivered.
    pub(super) fn live_since(&self) -> Option<Millis> {
        let process = self.process.as_ref()?;
        let lines = process.connections[..process.carriers].iter().flat_map(|of| &of.lines);
        lines.filter_map(|line| line.event_time).map(|time| time.0).max()
    }
}
