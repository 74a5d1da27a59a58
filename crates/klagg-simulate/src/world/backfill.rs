//! The backfill, between the exchange, the store, the history and the engine: its actions are
//! carried out in their order, and wait where the store has no room.

use klagg_backfill::{Action, Answer, Event, Failure, Notice, Request, Stored, SymbolSpec, What};
use klagg_engine::HistoryPage;
use klagg_kline::{KlineRecord, SymbolId, UnixMillis};
use klagg_store::StoredKline;

use crate::exchange::rest::{Ask, Reply};
use crate::process::client::Asker;
use crate::process::workers::Command;
use crate::world::{Own, World};

impl World {
    /// Tells the backfill, and does what it wants.
    pub(super) fn backfill(&mut self, event: Event) {
        let exchange = self.exchange_time();
        let Some(process) = &mut self.process else { return };
        let local = process.clock.elapsed(self.now);
        let weight = process.client.status(self.now, &process.clock);
        let now = klagg_backfill::Now { local, exchange };
        let mut actions = Vec::new();
        let of = &mut process.backfill;
        if matches!(event, Event::Answered { .. } | Event::Timer) {
            of.core.on_event(now, Event::Weight(weight), &mut actions);
        }
        of.core.on_event(now, event, &mut actions);
        of.actions.extend(actions);
        self.carry_out();
        self.plan_backfill_timer();
    }

    fn plan_backfill_timer(&mut self) {
        let Some(process) = &mut self.process else { return };
        if let Some(deadline) = process.backfill.core.next_deadline() {
            // A millisecond on, so that one that is always due does not stop the world.
            let at = process.clock.world(deadline).max(self.now + 1);
            if process.backfill.alarm.set(at) {
                self.plan_own(at, Own::BackfillTimer);
            }
        }
    }

    pub(super) fn backfill_timer(&mut self) {
        let Some(process) = &mut self.process else { return };
        process.backfill.alarm.rang(self.now);
        let elapsed = process.clock.elapsed(self.now);
        if process.backfill.core.next_deadline().is_some_and(|deadline| elapsed >= deadline) {
            self.backfill(Event::Timer);
        } else {
            self.plan_backfill_timer();
        }
    }

    /// Carries out what is wanted, as far as the store has room.
    fn carry_out(&mut self) {
        loop {
            let Some(process) = &mut self.process else { return };
            let Some(action) = process.backfill.actions.pop_front() else { return };
            match action {
                Action::HandOver { ref records, .. } if !process.writer.has_room(records.len()) => {
                    process.backfill.actions.push_front(action);
                    return;
                }
                Action::HandOver { symbol, index, records } => {
                    if index == 0 {
                        self.oracle.handed_on(symbol, &records);
                    }
                    let period = self.scenario.periods.get(index);
                    let row =
                        |record: &KlineRecord| StoredKline { symbol, period, record: *record };
                    process.writer.submit(records.iter().map(row).collect());
                    process.gateway.page(HistoryPage { symbol, period, records });
                    self.run_writer();
                }
                Action::Show { symbol, index, records } => {
                    let period = self.scenario.periods.get(index);
                    process.gateway.page(HistoryPage { symbol, period, records });
                }
                Action::Supply { symbol, index, records } => {
                    let now = self.now;
                    if index == 0 {
                        self.oracle.supplied(symbol, &records, (now, &self.scenario));
                    }
                    process.worker_of(symbol).command(now, Command::Supply(symbol, index, records));
                }
                Action::Fill { symbol, trades } => {
                    let now = self.now;
                    self.oracle.filled(symbol, &trades, now);
                    process.worker_of(symbol).command(now, Command::Fill(symbol, trades));
                }
                Action::Say(Notice::Met(until)) => {
                    self.oracle.met(until, &process.followed, (&self.scenario, &self.plan));
                }
                Action::Load(symbols) => self.load(symbols),
                Action::Ask(request) => self.ask_for(&request),
                Action::MeasureClock => {
                    self.ask(Asker::Clock, Ask::Time, 1, klagg_binance::Priority::Urgent);
                }
                _ => {}
            }
        }
    }

    /// The store has taken something: what waits for room goes on.
    pub(super) fn store_has_room(&mut self) {
        self.carry_out();
    }

    fn ask_for(&mut self, request: &Request) {
        if let Some(process) = &self.process {
            let elapsed = process.clock.elapsed(self.now);
            self.oracle.asked_for(elapsed, request, (process, &self.scenario));
        }
        let name = request.name.to_string();
        let ask = match request.what {
            What::Klines(page) => Ask::Klines {
                name,
                period: page.period,
                from: page.from.0,
                to: page.last_open_time().0,
                limit: usize::from(page.klines),
            },
            What::Trades { from, limit } => {
                Ask::Trades { name, from_id: from.0, limit: usize::from(limit) }
            }
            _ => return,
        };
        self.ask(Asker::Backfill(request.id), ask, request.weight(), request.priority);
    }

    pub(super) fn backfill_answered(&mut self, id: klagg_backfill::RequestId, reply: Reply) {
        let answer = match reply {
            Reply::Klines(klines) => Answer::Klines(klines),
            Reply::Trades(trades) => Answer::Trades(trades),
            Reply::Refused => Answer::Failed(Failure::Refused),
            Reply::Garbage => Answer::Failed(Failure::Odd),
            _ => Answer::Failed(Failure::Exchange),
        };
        self.backfill(Event::Answered { id, answer });
    }

    /// Reads what the disk has of symbols.
    fn load(&mut self, symbols: Vec<SymbolId>) {
        for &symbol in &symbols {
            for index in 0..self.scenario.periods.len() {
                let capacity = self.scenario.capacity[index];
                let key = (symbol, self.scenario.periods.get(index));
                let records = self.disk.newest(key, capacity);
                let complete_until = self.disk.complete_until(key);
                let stored = Stored { symbol, index, records, damaged: 0, complete_until };
                self.backfill(Event::Stored(stored));
            }
        }
        self.backfill(Event::Loaded(symbols));
    }

    pub(super) fn backfill_symbols(
        &mut self,
        new: &[SymbolId],
        (ended, at): (&[SymbolId], UnixMillis),
    ) {
        let Some(process) = &self.process else { return };
        let table = process.index.load();
        let spec = |&id: &SymbolId| {
            let entry = table.entry(id)?;
            let (name, first_open_time) = (entry.name.clone(), entry.first_open_time);
            // The list that was looked at is told of right after.
            Some(SymbolSpec { id, name, first_open_time, is_listed: false })
        };
        let added: Vec<_> = new.iter().filter_map(spec).collect();
        if !added.is_empty() {
            self.backfill(Event::Added(added));
        }
        if !ended.is_empty() {
            self.backfill(Event::Retired { symbols: ended.to_vec(), at });
        }
    }

    pub(super) fn backfill_clock_measured(&mut self) {
        self.backfill(Event::ClockMeasured);
    }

    /// All connections have delivered: from here on minutes are whole.
    pub(super) fn now_live(&mut self) {
        if let Some(since) = self.live_since() {
            self.backfill(Event::Live(UnixMillis(since)));
        }
    }
}
