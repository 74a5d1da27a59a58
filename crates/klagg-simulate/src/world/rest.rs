//! Questions on their way to the exchange, and the answers on theirs.

use klagg_binance::Priority;

use crate::agenda::Millis;
use crate::exchange::rest::{Ask, Asked, Reply};
use crate::process::client::{Asker, TIMEOUT};
use crate::world::{Event, Own, World};

impl World {
    pub(super) fn ask(&mut self, asker: Asker, ask: Ask, weight: u32, priority: Priority) {
        if let Some(process) = &mut self.process {
            process.client.ask(asker, ask, weight, priority);
            self.send_questions();
        }
    }

    /// Sends what has its weight.
    pub(super) fn send_questions(&mut self) {
        let Some(process) = &mut self.process else { return };
        process.weight_alarm.rang(self.now);
        let mut sent = Vec::new();
        let again = process.client.send(self.now, &process.clock, &mut sent);
        let again = again.filter(|&at| process.weight_alarm.set(at));
        for question in sent {
            let way = self.random.between(10, 300);
            let event = Event::Asked {
                incarnation: self.incarnation,
                number: question.number,
                sent: self.now,
                weight: question.weight,
                ask: Box::new(question.ask),
            };
            self.agenda.add(self.now + way, event);
            let reply = Box::new(Reply::Silence);
            let number = question.number;
            self.plan_own(self.now + TIMEOUT, Own::Answered { number, reply, used: None });
        }
        if let Some(at) = again {
            self.plan_own(at, Own::WeightTimer);
        }
    }

    /// A question has arrived at the exchange. Its process may be dead by now.
    pub(super) fn asked(
        &mut self,
        incarnation: u32,
        number: u64,
        (sent, weight): (Millis, u32),
        ask: &Ask,
    ) {
        let asked = Asked {
            now: self.now,
            sent,
            weight,
            seed: self.scenario.seed,
            listings: &self.scenario.listings,
            is_raw: self.scenario.is_raw,
            troubles: &self.exchange.troubles,
        };
        let (reply, used) = self.exchange.rest.answer(ask, &asked);
        self.oracle.broken(&mut self.exchange.rest.weights.broken);
        if matches!(reply, Reply::Silence) {
            return;
        }
        let way = self.random.between(10, 400);
        let own = Own::Answered { number, reply: Box::new(reply), used };
        self.agenda.add(self.now + way, Event::Own(incarnation, own));
    }

    /// An answer has come; or none in time.
    pub(super) fn answered(&mut self, number: u64, reply: Reply, used: Option<u32>) {
        let Some(process) = &mut self.process else { return };
        let answer = (&reply, used);
        let asker = process.client.answered(self.now, &process.clock, number, answer);
        let Some(asker) = asker else { return };
        match reply {
            Reply::TooMany { .. } => self.exchange.rest.weights.read(self.now, false),
            Reply::Banned { .. } => self.exchange.rest.weights.read(self.now, true),
            _ => {}
        }
        match asker {
            Asker::Clock => {
                if let Reply::Time(server) = reply {
                    process.clock.measure(self.now, server);
                }
                self.clock_measured(matches!(reply, Reply::Time(_)));
            }
            Asker::Symbols => self.symbols_told(reply),
            Asker::FirstKline(name) => self.first_kline_told(&name, &reply),
            Asker::Backfill(id) => self.backfill_answered(id, reply),
        }
        self.send_questions();
    }
}
