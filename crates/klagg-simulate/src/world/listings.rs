//! Looks at the exchange's list of symbols: the real decisions, carried out.

use klagg_backfill::{Discovery, Look, Now};
use klagg_binance::{Event as StreamEvent, Priority};
use klagg_kline::{Period, SymbolId, UnixMillis};
use klagg_store::Batch;
use klagg_symbols::SymbolEntry;
use klagg_wire::rest::ExchangeInfo;

use crate::agenda::Millis;
use crate::exchange::rest::{Ask, Reply};
use crate::process::Stage;
use crate::process::client::Asker;
use crate::process::workers::Command;
use crate::world::{Own, World};

/// How lately, as in the product.
const YOUNG: Millis = 5 * 60_000;

impl World {
    pub(super) fn moment(&self) -> Option<Now> {
        let process = self.process.as_ref()?;
        Some(Now { local: process.clock.elapsed(self.now), exchange: self.exchange_time() })
    }

    /// Looks if it is time, or comes back when it is.
    pub(super) fn look_if_due(&mut self) {
        let (Some(moment), Some(process)) = (self.moment(), &mut self.process) else { return };
        process.look_alarm.rang(self.now);
        if process.is_looking || process.stage == Stage::Clock {
            return;
        }
        if process.stage == Stage::Symbols || process.lookout.is_due(moment) {
            process.is_looking = true;
            process.lookout.begun(moment);
            return self.ask(Asker::Symbols, Ask::Info, 1, Priority::Urgent);
        }
        let at = process.clock.world(process.lookout.next_deadline(moment)).max(self.now + 1);
        if process.look_alarm.set(at) {
            self.plan_own(at, Own::Look);
        }
    }

    fn look_failed(&mut self) {
        let (Some(moment), Some(process)) = (self.moment(), &mut self.process) else { return };
        process.is_looking = false;
        process.look = None;
        if process.stage == Stage::Running {
            process.lookout.failed(moment);
            self.look_if_due();
        } else {
            self.plan_own(self.now + 1_000, Own::Look);
        }
    }

    /// The list of symbols has come, or has not.
    pub(super) fn symbols_told(&mut self, reply: Reply) {
        let Reply::Info(info) = reply else { return self.look_failed() };
        let Some(process) = &mut self.process else { return };
        let lookout = &process.lookout;
        let disk = &self.disk;
        let is_running = process.stage == Stage::Running;
        let traded_until = |id: SymbolId| {
            if is_running {
                lookout.traded().get(&id).copied()
            } else {
                disk.complete_until((id, Period::M1))
            }
        };
        let info: ExchangeInfo = *info;
        let look = Look::new(info, lookout.filter(), &process.index.load(), traded_until);
        let questions: Vec<_> = look.questions().collect();
        process.look = Some(look);
        process.look_waits_for = questions.len();
        for question in questions {
            let (name, from, to) = (question.name, question.from.0, self.now);
            let period = question.period;
            let asker = Asker::FirstKline(name.clone());
            let ask = Ask::Klines { name, period, from, to, limit: 1 };
            self.ask(asker, ask, 1, Priority::Urgent);
        }
        self.finish_look();
    }

    pub(super) fn first_kline_told(&mut self, name: &str, reply: &Reply) {
        let Some(process) = &mut self.process else { return };
        let Some(look) = &mut process.look else { return };
        match reply {
            Reply::Klines(klines) => look.answer(name, klines.first().map(|of| of.open_time)),
            // A name that nobody can make sense of does not keep the others from being followed.
            Reply::Refused | Reply::Garbage => look.answer(name, None),
            _ => return self.look_failed(),
        }
        process.look_waits_for = process.look_waits_for.saturating_sub(1);
        self.finish_look();
    }

    /// Takes what a look found, once all of it is there.
    fn finish_look(&mut self) {
        let Some(process) = &mut self.process else { return };
        if process.look_waits_for > 0 {
            return;
        }
        let Some(look) = process.look.take() else { return };
        let found = look.conclude(&process.index).expect("names are good, and there is room");
        process.is_looking = false;
        self.oracle.numbered(&found.appended, self.now, &self.scenario);
        self.tell_store(&found);
        let Some(process) = &mut self.process else { return };
        let is_start = process.stage != Stage::Running;
        if is_start {
            process.stage = Stage::Running;
            self.plan_own(self.now + self.scenario.gateway_cadence, Own::Tick);
            self.start_streams();
        }
        // What was there before the process may have traded without it.
        let young = if is_start { Vec::new() } else { self.young(&found) };
        self.move_on(&found, &young);
        let (Some(moment), Some(process)) = (self.moment(), &mut self.process) else { return };
        process.lookout.concluded(moment, &found);
        self.look_if_due();
    }

    /// New symbols that came on board so lately that their ids are known to begin at 1.
    fn young(&self, found: &Discovery) -> Vec<SymbolId> {
        let since = self.exchange_time().plus(-YOUNG);
        let is_young = |of: &&SymbolEntry| of.onboard_time.is_some_and(|time| time > since);
        found.appended.iter().filter(is_young).map(|of| of.id).collect()
    }

    /// Numbers reach the store before anything of their symbols does: at the start at once.
    fn tell_store(&mut self, found: &Discovery) {
        let Some(process) = &mut self.process else { return };
        for change in &found.changes {
            if process.stage == Stage::Running {
                process.writer.change_symbols(change.clone());
            } else {
                let symbols = Some(change.clone());
                self.disk.commit(&Batch { symbols, ..Batch::default() });
            }
        }
        if process.stage == Stage::Running {
            self.run_writer();
        }
    }

    /// Leaves what has ended, then follows what is new: a name listed anew has the old stream.
    fn move_on(&mut self, found: &Discovery, young: &[SymbolId]) {
        let (Some(moment), Some(process)) = (self.moment(), &mut self.process) else { return };
        let at = process.lookout.seen_at(moment, found);
        let moves = process.lookout.moves(found, &process.index.load());
        let unsubscribe = process.leave(self.now, &moves.leave);
        self.oracle.left(&moves.leave, self.now);
        process.lookout.has_left(&moves.leave);
        self.change_streams(unsubscribe, StreamEvent::Unsubscribe);
        let Some(process) = &mut self.process else { return };
        let subscribe = process.follow(self.now, &moves.follow, young);
        process.lookout.has_followed(&moves.follow);
        self.oracle.followed(&moves.follow, self.now);
        self.change_streams(subscribe, StreamEvent::Subscribe);
        self.backfill_symbols(&moves.follow, (&moves.leave, found.info.server_time));
        let symbols = found.listed.clone();
        self.backfill(klagg_backfill::Event::Listed { symbols, at });
    }

    /// A ticker or a contract's news.
    pub(super) fn hear(&mut self, listing: u16, is_contract: bool) {
        let Some(process) = &mut self.process else { return };
        let terms = &self.scenario.listings[usize::from(listing)].terms;
        let table = process.index.load();
        if is_contract {
            let contract = klagg_wire::ContractInfo {
                event_time: UnixMillis(self.now),
                symbol: terms.name.clone(),
                contract_type: "PERPETUAL".to_owned(),
                delivery_time: UnixMillis(crate::exchange::rest::PERPETUAL),
                onboard_time: UnixMillis(terms.listed_at),
                status: crate::exchange::rest::status(terms, self.now).to_owned(),
                coin_margined: false,
            };
            if let Some((symbol, since)) = process.lookout.told(&contract, &table) {
                self.oracle.shares_its_name(symbol);
                process.worker_of(symbol).command(self.now, Command::DoubtName(symbol, since));
            }
        } else {
            process.lookout.heard(&terms.name, &table);
        }
    }
}
