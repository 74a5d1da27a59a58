//! The sockets of one connection: one, or two that carry the same; and while an old one is
//! replaced, one more.
//!
//! Always true here:
//! - A socket *joins* when it is whole and one that had joined before has told a time at which it
//!   was: whatever is missing of the one before that time, the other has brought.
//! - Only the time of a socket that has joined and is whole may close minutes.
//! - An old socket is closed only after the one that takes its place has joined, and was whole for
//!   the overlap. A replacement that fails leaves the old socket as it is, until its lifetime ends.
//! - An interruption is told when a socket is lost, or may have lost a trade, and none that has
//!   joined is left; and when the first one joins, if another one has delivered before and does not
//!   show in time that it reaches to where the first one is whole.
//! - Nobody waits for another socket while nothing comes over any: that is told as well.
//!
//! Sans-io: decides what [`ConnectionPolicy`] leaves open. Deliberately absent: sockets, clocks,
//! and which trades come twice (the engine's sequencer knows them by their ids).

mod join;
mod quiet;
mod step;

use std::time::Duration;

use klagg_kline::UnixMillis;

use self::quiet::Quiet;
pub use self::step::{CopyId, Step};
use crate::policy::{Action, ConnectionPolicy, Event};
use crate::timing::StreamTiming;
use crate::turnstile::Turnstile;

/// One socket.
#[derive(Debug)]
struct Slot {
    policy: ConnectionPolicy,
    is_open: bool,
    /// It is to be replaced.
    is_old: bool,
    /// The highest event time that it told.
    event_time: Option<UnixMillis>,
    /// Since when it is whole, and the first event time that it told from then on.
    whole: Option<(Duration, Option<UnixMillis>)>,
    /// It misses nothing that the others have not brought.
    has_joined: bool,
}

/// A replacement under way.
#[derive(Debug, Clone, Copy)]
struct Turn {
    old: CopyId,
    new: CopyId,
    give_up_at: Duration,
}

/// The state machine of one connection's sockets.
#[derive(Debug)]
pub struct Copies {
    timing: StreamTiming,
    has_canary: bool,
    /// What all sockets carry.
    wanted: Vec<String>,
    /// By [`CopyId`]; one more than copies are kept, for a replacement.
    slots: Vec<Option<Slot>>,
    turn: Option<Turn>,
    /// Whether the turnstile was entered and not left.
    is_inside: bool,
    /// Failed replacements in a row, and when the next one may be tried.
    failures: u32,
    retry_at: Duration,
    /// What was said last of how many sockets deliver.
    said: u16,
    quiet: Quiet,
}

impl Copies {
    /// A machine that keeps `copies` sockets open, each with all of `streams`.
    pub fn new(timing: StreamTiming, copies: u8, has_canary: bool, streams: Vec<String>) -> Self {
        debug_assert!(copies > 0);
        Self {
            quiet: Quiet::new(timing.quiet),
            timing,
            has_canary,
            wanted: streams,
            slots: std::iter::repeat_with(|| None).take(usize::from(copies) + 1).collect(),
            turn: None,
            is_inside: false,
            failures: 0,
            retry_at: Duration::ZERO,
            said: 0,
        }
    }

    /// How many sockets there can be at once.
    pub fn slots(&self) -> usize {
        self.slots.len()
    }

    /// Opens the sockets.
    pub fn start(&mut self, now: Duration, random: u64, steps: &mut Vec<Step>) {
        for index in 0..self.slots.len() - 1 {
            self.open(index, now, random, steps);
        }
        self.say_copies(steps);
    }

    /// Takes what happened to one socket; `random` is used for jitter only.
    pub fn on_event(
        &mut self,
        now: Duration,
        random: u64,
        (copy, event): (CopyId, Event),
        steps: &mut Vec<Step>,
    ) {
        let Some(Some(slot)) = self.slots.get_mut(copy.index()) else { return };
        let was_open = slot.is_open;
        match event {
            Event::Connected => slot.is_open = true,
            Event::Closed => slot.is_open = false,
            Event::Data(_) | Event::Resumed => self.quiet.heard(now),
            _ => {}
        }
        self.drive(copy, now, random, event, steps);
        self.settle(copy, was_open, now, steps);
    }

    /// Takes the highest event time that a socket has told, after the trades before it.
    pub fn on_event_time(
        &mut self,
        now: Duration,
        copy: CopyId,
        time: UnixMillis,
        steps: &mut Vec<Step>,
    ) {
        if let Some(Some(slot)) = self.slots.get_mut(copy.index()) {
            slot.event_time = slot.event_time.max(Some(time));
            if let Some((_, told @ None)) = &mut slot.whole {
                *told = Some(time);
            }
            self.join_all(now, false, steps);
            self.turn_if_due(now, steps);
        }
    }

    /// A trade that a socket has brought may be lost, though it delivers. Gives whether that is an
    /// interruption, to be told before any further time: no other socket has joined and is whole.
    #[must_use]
    pub fn on_missed(&mut self, now: Duration, copy: CopyId) -> bool {
        let Some(Some(slot)) = self.slots.get_mut(copy.index()) else { return false };
        let had_joined = std::mem::take(&mut slot.has_joined);
        slot.whole = slot.whole.map(|_| (now, None));
        let covers = |slot: &Slot| slot.has_joined && slot.whole.is_some();
        // Where nobody has joined, a trade that it brought before may have ended a doubt.
        let had_joined = had_joined || self.slots.iter().flatten().all(|slot| !slot.has_joined);
        let is_interrupted = had_joined && !self.slots.iter().flatten().any(covers);
        self.join(now, is_interrupted) || is_interrupted
    }

    /// Tells all sockets: what is wanted, or that we held up reading.
    pub fn on_event_for_all(
        &mut self,
        now: Duration,
        random: u64,
        event: &Event,
        steps: &mut Vec<Step>,
    ) {
        match event {
            Event::Subscribe(names) => {
                for name in names {
                    if !self.wanted.contains(name) {
                        self.wanted.push(name.clone());
                    }
                }
            }
            Event::Unsubscribe(names) => self.wanted.retain(|name| !names.contains(name)),
            _ => {}
        }
        for copy in self.copies() {
            self.on_event(now, random, (copy, event.clone()), steps);
        }
    }

    /// Does what is due. To be called when [`Copies::next_deadline`] has passed.
    pub fn on_timer(
        &mut self,
        now: Duration,
        random: u64,
        turnstile: &mut Turnstile,
        steps: &mut Vec<Step>,
    ) {
        for copy in self.copies() {
            self.on_event(now, random, (copy, Event::Timer), steps);
        }
        self.join_all(now, false, steps);
        steps.extend(self.quiet.has_come(now).then_some(Step::Quiet));
        if self.turn.is_some_and(|turn| turn.give_up_at <= now) {
            self.give_up(now, random, steps);
        }
        if self.is_inside && self.turn.is_none() {
            self.is_inside = false;
            turnstile.leave(now);
        }
        if let Some(old) = self.waits_for_turn()
            && self.retry_at <= now
        {
            match turnstile.enter(now) {
                Ok(()) => self.begin_turn(old, now, random, steps),
                Err(again) => self.retry_at = again,
            }
        }
    }

    /// When to come back with [`Copies::on_timer`] if nothing happens before.
    pub fn next_deadline(&self) -> Option<Duration> {
        let slots = self.slots.iter().flatten();
        let policies = slots.filter_map(|slot| slot.policy.next_deadline());
        let leave = (self.is_inside && self.turn.is_none()).then_some(Duration::ZERO);
        let retry = self.waits_for_turn().map(|_| self.retry_at);
        let turn = self.turn.map(|turn| {
            let whole_at = self.slot(turn.new).and_then(|slot| slot.whole).map(|whole| whole.0);
            let due = whole_at.map(|since| since + self.timing.overlap);
            // One that has not joined waits for the other's time, not for ours.
            due.filter(|_| self.is_joined(turn.new)).unwrap_or(turn.give_up_at).min(turn.give_up_at)
        });
        let (join, quiet) = (self.first_join_at(), self.quiet.due_at());
        policies.chain(leave).chain(retry).chain(turn).chain(join).chain(quiet).min()
    }

    /// The connection ends: whoever waits for the turnstile is not held up by it.
    pub fn end(&mut self, now: Duration, turnstile: &mut Turnstile) {
        if std::mem::take(&mut self.is_inside) {
            turnstile.leave(now);
        }
    }

    /// Whether a socket's time may close minutes.
    pub fn is_trusted(&self, copy: CopyId) -> bool {
        self.slot(copy).is_some_and(|slot| slot.has_joined && slot.whole.is_some())
    }

    /// Whether a socket is known here: one that was closed for good is not.
    pub fn is_wanted(&self, copy: CopyId) -> bool {
        self.slot(copy).is_some()
    }

    /// Failures in a row of one socket.
    pub fn failures(&self, copy: CopyId) -> u32 {
        self.slot(copy).map_or(0, |slot| slot.policy.failures())
    }

    fn slot(&self, copy: CopyId) -> Option<&Slot> {
        self.slots.get(copy.index())?.as_ref()
    }

    /// The sockets that there are now.
    fn copies(&self) -> Vec<CopyId> {
        let ids = (0..=u8::MAX).map(CopyId).zip(&self.slots);
        ids.filter(|(_, slot)| slot.is_some()).map(|(copy, _)| copy).collect()
    }

    fn open(&mut self, index: usize, now: Duration, random: u64, steps: &mut Vec<Step>) {
        let policy =
            ConnectionPolicy::new(self.timing.clone(), self.has_canary, self.wanted.clone());
        self.slots[index] = Some(Slot {
            policy,
            is_open: false,
            is_old: false,
            event_time: None,
            whole: None,
            has_joined: false,
        });
        let copy = CopyId(u8::try_from(index).unwrap_or(u8::MAX));
        self.drive(copy, now, random, Event::Start, steps);
    }

    /// Lets a socket's policy decide.
    fn drive(
        &mut self,
        copy: CopyId,
        now: Duration,
        random: u64,
        event: Event,
        steps: &mut Vec<Step>,
    ) {
        let Some(Some(slot)) = self.slots.get_mut(copy.index()) else { return };
        let mut actions = Vec::new();
        slot.policy.on_event(now, random, event, &mut actions);
        for action in actions {
            match action {
                Action::Old => slot.is_old = true,
                Action::DropSilent(_) | Action::DropOld => {
                    slot.is_open = false;
                    steps.push(Step::Act(copy, action));
                }
                _ => steps.push(Step::Act(copy, action)),
            }
        }
    }

    /// Draws the consequences of what happened to a socket.
    fn settle(&mut self, copy: CopyId, was_open: bool, now: Duration, steps: &mut Vec<Step>) {
        let Some(Some(slot)) = self.slots.get_mut(copy.index()) else { return };
        let is_whole = slot.is_open && slot.policy.is_whole();
        match (is_whole, slot.whole) {
            (true, None) => slot.whole = Some((now, None)),
            (false, Some(_)) => slot.whole = None,
            _ => {}
        }
        let is_lost = was_open && !slot.is_open;
        let had_joined = slot.has_joined;
        if !slot.is_open {
            (slot.is_old, slot.event_time, slot.has_joined) = (false, None, false);
        }
        let covers = |slot: &Slot| slot.has_joined && (slot.whole.is_some() || !had_joined);
        let is_interrupted = is_lost && !self.slots.iter().flatten().any(covers);
        if is_interrupted {
            steps.push(Step::Interrupted);
        }
        self.join_all(now, is_interrupted, steps);
        if let Some(turn) = self.turn {
            let failed = self.slot(turn.new).is_some_and(|new| new.policy.failures() > 0);
            if failed {
                self.give_up(now, 0, steps);
            } else if is_lost && copy == turn.old {
                // What was to take over does so at once.
                self.slots[turn.old.index()] = None;
                steps.push(Step::CloseReplaced(turn.old));
                self.turn = None;
            }
        }
        self.turn_if_due(now, steps);
        self.say_copies(steps);
    }

    fn join_all(&mut self, now: Duration, is_told: bool, steps: &mut Vec<Step>) {
        let in_doubt = self.join(now, is_told);
        steps.extend(in_doubt.then_some(Step::Interrupted));
    }

    /// An old socket that nobody replaces yet.
    fn waits_for_turn(&self) -> Option<CopyId> {
        if self.turn.is_some() || self.is_inside {
            return None;
        }
        self.copies().into_iter().find(|copy| self.slot(*copy).is_some_and(|slot| slot.is_old))
    }

    fn begin_turn(&mut self, old: CopyId, now: Duration, random: u64, steps: &mut Vec<Step>) {
        self.is_inside = true;
        if mutated!(RotationBreaks) {
            self.slots[old.index()] = None;
            steps.push(Step::CloseReplaced(old));
        }
        let Some(free) = self.slots.iter().position(Option::is_none) else { return };
        let new = CopyId(u8::try_from(free).unwrap_or(u8::MAX));
        self.turn = Some(Turn { old, new, give_up_at: now + self.timing.overlap_max });
        self.open(free, now, random, steps);
    }

    fn is_joined(&self, copy: CopyId) -> bool {
        self.slot(copy).is_some_and(|slot| slot.has_joined)
    }

    /// Closes the old socket if the new one has taken over.
    fn turn_if_due(&mut self, now: Duration, steps: &mut Vec<Step>) {
        let Some(turn) = self.turn else { return };
        let whole = self.slot(turn.new).and_then(|slot| slot.whole);
        let is_due = whole.is_some_and(|(since, _)| since + self.timing.overlap <= now);
        if is_due && self.is_joined(turn.new) {
            self.slots[turn.old.index()] = None;
            (self.turn, self.failures) = (None, 0);
            steps.push(Step::CloseReplaced(turn.old));
            self.say_copies(steps);
        }
    }

    /// The replacement has failed; the old socket stays.
    fn give_up(&mut self, now: Duration, random: u64, steps: &mut Vec<Step>) {
        let Some(turn) = self.turn.take() else { return };
        self.slots[turn.new.index()] = None;
        self.failures = self.failures.saturating_add(1);
        let wait = self.timing.backoff.wait(self.failures, random);
        self.retry_at = now + wait.max(self.timing.rotation_gap);
        steps.push(Step::GiveUp(turn.new));
        self.say_copies(steps);
    }

    fn say_copies(&mut self, steps: &mut Vec<Step>) {
        let open = self.slots.iter().flatten().filter(|slot| slot.is_open).count();
        let open = u16::try_from(open).unwrap_or(u16::MAX).max(1);
        if open != self.said {
            self.said = open;
            steps.push(Step::Copies(open));
        }
    }
}

#[cfg(test)]
mod tests;
