//! The loop: events in the order of their times, actions carried out at once.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use klagg_backfill::{
    Action, Answer, BackfillConfig, BackfillCore, Confirmation, Event, Failure, Level, Now, Page,
    Request, RequestId, Stored, SymbolSpec, What,
};
use klagg_binance::{Priority, Refusal, WeightBudget};
use klagg_engine::{HistoryQuery, HistoryReader, HistoryWriter, Keep};
use klagg_kline::{
    Kline, KlineRecord, KlineStatus, Period, PeriodSet, Price, SymbolId, UnixMillis,
};
use klagg_sim::{DeskAnswer, KlinesAsked};

use super::market::{Market, Start};
use super::{Kept, StartFigures};

/// A request's way to the exchange, and the answer's way back.
const WAY_MS: i64 = 40;
/// Until all connections of the feed have delivered.
const LIVE_MS: i64 = 3_000;
/// Share of the exchange's limit that is used.
const SHARE_PERCENT: u8 = 80;
/// Requests under way, as klagg is configured.
const CONCURRENCY: usize = 8;
/// Nothing that is measured here takes longer.
const PATIENCE_MS: i64 = 2 * 3_600_000;
/// After its end, until a kline is final.
pub(super) const SETTLE_MS: i64 = 2_500;
/// After its end, until the engine closes a minute.
const CLOSE_MS: i64 = 600;
/// Numbers from here on are those of requests for first klines.
const FIRST_KLINE: u64 = 1 << 32;
const MINUTE: i64 = 60_000;
const EVERYTHING: HistoryQuery =
    HistoryQuery { from: None, to: None, limit: usize::MAX, keep: Keep::Newest };

/// Starts, and goes on until everything has arrived; gives the figures, what is held, and when
/// that was.
pub(super) fn drive(
    market: &mut Market,
    at: UnixMillis,
    before: Option<&Start>,
) -> (StartFigures, HistoryReader, UnixMillis) {
    let mut run = Run::new(market, at, before);
    run.go();
    (run.figures, run.reader, run.now)
}

fn config(periods: &PeriodSet, kept: Kept) -> BackfillConfig {
    BackfillConfig {
        periods: periods.clone(),
        capacity: kept.capacity(periods),
        gap_klines_max: 50_000,
        concurrency: CONCURRENCY,
        settle_ms: SETTLE_MS,
        relisting_ms: 24 * 60 * MINUTE,
        confirmation: Confirmation::Everything { wait_ms: 5 * MINUTE },
        watched: Vec::new(),
        tick: Duration::from_millis(250),
        live_patience: Duration::from_secs(30),
        retry_pause: Duration::from_secs(5),
        audit_cadence: Duration::from_mins(1),
        archive: None,
    }
}

/// What happens at its time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Happening {
    /// A minute is over: the engine closes it.
    Minute,
    Live,
    ClockMeasured,
    /// A request is at the exchange.
    Arrives(RequestId),
    /// Its answer is back.
    Returns(RequestId),
}

/// A request that is on its way, then its answer.
struct Journey {
    request: Request,
    answer: Answer,
    used: Option<u32>,
}

struct Run<'a> {
    market: &'a mut Market,
    before: Option<&'a Start>,
    core: BackfillCore,
    budget: WeightBudget,
    writer: HistoryWriter,
    reader: HistoryReader,
    at: UnixMillis,
    now: UnixMillis,
    heap: BinaryHeap<Reverse<(UnixMillis, u64, Happening)>>,
    inbox: VecDeque<Event>,
    /// Requests whose weight may not be spent yet, lowest priority first.
    waiting: [VecDeque<Request>; 3],
    retry_at: Option<UnixMillis>,
    journeys: BTreeMap<RequestId, Journey>,
    /// Symbols whose first kline is still to be asked for, and how many are being asked for.
    unknown: VecDeque<SymbolId>,
    unknown_under_way: usize,
    live_at: Option<UnixMillis>,
    prices: Vec<Price>,
    minute_weights: BTreeMap<i64, u32>,
    figures: StartFigures,
    order: u64,
}

impl<'a> Run<'a> {
    fn new(market: &'a mut Market, at: UnixMillis, before: Option<&'a Start>) -> Self {
        let symbols = market.names.len();
        let (writer, reader) = market.kept.history(&market.periods, symbols);
        let core = BackfillCore::new(config(&market.periods, market.kept), reader.clone());
        Self {
            core: core.expect("numbers that work"),
            budget: WeightBudget::new(market.limit, SHARE_PERCENT),
            market,
            before,
            writer,
            reader,
            at,
            now: at,
            heap: BinaryHeap::new(),
            inbox: VecDeque::new(),
            waiting: std::array::from_fn(|_| VecDeque::new()),
            retry_at: None,
            journeys: BTreeMap::new(),
            unknown: VecDeque::new(),
            unknown_under_way: 0,
            live_at: None,
            prices: vec![Price::from_scaled(1); symbols],
            minute_weights: BTreeMap::new(),
            figures: StartFigures { symbols, ..StartFigures::default() },
            order: 0,
        }
    }

    fn go(&mut self) {
        self.plan(self.at.plus(LIVE_MS), Happening::Live);
        self.plan(Period::M1.next_open_time(self.at).plus(CLOSE_MS), Happening::Minute);
        if self.before.is_none() {
            self.unknown = (0..).map(SymbolId).take(self.market.names.len()).collect();
        }
        self.find_symbols();
        while !self.is_over() {
            self.drain();
            self.grant();
            let deadline = self.core.next_deadline().map(|local| self.time_of(local));
            let next = self.heap.peek().map(|Reverse((at, _, _))| *at);
            let times = [deadline, self.retry_at, next];
            let at = times.into_iter().flatten().min().expect("something is to come");
            assert!(at.since(self.at) < PATIENCE_MS, "{:?}", self.core.progress());
            self.now = self.now.max(at);
            if deadline.is_some_and(|deadline| deadline <= self.now) {
                self.inbox.push_back(Event::Timer);
            }
            while let Some(Reverse((at, _, _))) = self.heap.peek()
                && *at <= self.now
                && let Some(Reverse((_, _, happening))) = self.heap.pop()
            {
                self.happen(happening);
            }
        }
        self.figures.weight = self.budget.status(self.now).spent_total;
        self.figures.minute_weight_max =
            self.minute_weights.values().copied().max().unwrap_or_default();
    }

    fn is_over(&mut self) -> bool {
        let progress = self.core.progress();
        if progress.ready && self.figures.met_ms == 0 {
            self.figures.met_ms = self.now.since(self.at);
        }
        progress.ready && progress.history_complete
    }

    fn time_of(&self, local: Duration) -> UnixMillis {
        self.at.plus(i64::try_from(local.as_millis()).expect("hours"))
    }

    fn plan(&mut self, at: UnixMillis, happening: Happening) {
        self.order += 1;
        self.heap.push(Reverse((at, self.order, happening)));
    }

    /// As `discover` does: the first daily kline of each symbol that is not known.
    fn find_symbols(&mut self) {
        while self.unknown_under_way < CONCURRENCY
            && let Some(symbol) = self.unknown.pop_front()
        {
            self.unknown_under_way += 1;
            let from = UnixMillis(0);
            let page = Page { period: Period::D1, from, until: self.now, klines: 1 };
            let name = Arc::clone(&self.market.names[symbol.index()]);
            let id = RequestId(FIRST_KLINE + u64::from(symbol.0));
            let (what, priority) = (What::Klines(page), Priority::Normal);
            self.waiting[priority as usize].push_back(Request { id, symbol, name, what, priority });
        }
        if self.unknown_under_way == 0 {
            let names = self.market.names.iter().zip(&self.market.listed);
            let specs = (0..).map(SymbolId).zip(names).map(|(id, (name, &listed))| SymbolSpec {
                id,
                name: Arc::clone(name),
                first_open_time: Period::D1.open_time(listed),
                is_listed: true,
            });
            self.inbox.push_back(Event::Added(specs.collect()));
        }
    }

    fn drain(&mut self) {
        while let Some(event) = self.inbox.pop_front() {
            let local = u64::try_from(self.now.since(self.at)).expect("time goes on");
            let now = Now { local: Duration::from_millis(local), exchange: self.now };
            let mut actions = Vec::new();
            self.core.on_event(now, event, &mut actions);
            for action in actions {
                self.carry_out(action);
            }
        }
    }

    fn carry_out(&mut self, action: Action) {
        match action {
            Action::Load(symbols) => {
                for &symbol in &symbols {
                    self.load(symbol);
                }
                self.inbox.push_back(Event::Loaded(symbols));
            }
            Action::Ask(request) => {
                self.waiting[request.priority as usize].push_back(request);
            }
            Action::MeasureClock => {
                self.plan(self.now.plus(2 * WAY_MS), Happening::ClockMeasured);
            }
            Action::HandOver { symbol, index, records } => {
                let period = self.market.periods.get(index);
                let is_old = |of: &KlineRecord| {
                    period.next_open_time(of.kline.open_time) <= self.at.plus(-SETTLE_MS)
                };
                if records.iter().any(is_old) {
                    self.figures.filled_ms = self.now.since(self.at);
                }
                if let Some(last) = records.last() {
                    self.prices[symbol.index()] = last.kline.close;
                }
                self.figures.klines += records.len() as u64;
                self.writer.apply(symbol, index, &records);
            }
            Action::Show { symbol, index, records } => {
                self.writer.apply(symbol, index, &records);
            }
            Action::Say(notice) => assert!(notice.level() != Level::Error, "{notice}"),
            _ => {}
        }
    }

    /// What the store has: all that was held at the last stop.
    fn load(&mut self, symbol: SymbolId) {
        let Some(before) = self.before else { return };
        for index in 0..self.market.periods.len() {
            let period = self.market.periods.get(index);
            let records = before.held.read(symbol, index, &EVERYTHING);
            let confirmed = |of: &&KlineRecord| of.status == KlineStatus::Confirmed;
            let last = records.iter().take_while(confirmed).last();
            let complete_until = last.map(|last| period.next_open_time(last.kline.open_time));
            let stored = Stored { symbol, index, records, damaged: 0, complete_until };
            self.inbox.push_back(Event::Stored(stored));
        }
    }

    /// Sends what may be sent; as in klagg, nobody passes by one who comes first.
    fn grant(&mut self) {
        self.retry_at = None;
        for priority in (0..self.waiting.len()).rev() {
            while let Some(request) = self.waiting[priority].front() {
                let granted = self.budget.try_spend(self.now, request.weight(), request.priority);
                if let Err(short) = granted {
                    self.retry_at = short.retry_at;
                    return;
                }
                let Some(request) = self.waiting[priority].pop_front() else { return };
                self.plan(self.now.plus(WAY_MS), Happening::Arrives(request.id));
                let (answer, used) = (Answer::Failed(Failure::Exchange), None);
                self.journeys.insert(request.id, Journey { request, answer, used });
            }
        }
    }

    fn happen(&mut self, happening: Happening) {
        match happening {
            Happening::Minute => self.close_minute(),
            Happening::Live => {
                self.live_at = Some(self.now);
                self.inbox.push_back(Event::Live(self.now));
            }
            Happening::ClockMeasured => self.inbox.push_back(Event::ClockMeasured),
            Happening::Arrives(id) => self.arrive(id),
            Happening::Returns(id) => self.return_answer(id),
        }
    }

    fn arrive(&mut self, id: RequestId) {
        let Some(journey) = self.journeys.get_mut(&id) else { return };
        let What::Klines(page) = journey.request.what else { return };
        let asked = KlinesAsked {
            name: &journey.request.name,
            period: page.period,
            from: Some(page.from),
            to: Some(page.last_open_time()),
            limit: page.klines,
        };
        let answer = self.market.desk.klines(self.now, &asked);
        if let DeskAnswer::Klines { klines, used } = answer {
            (journey.answer, journey.used) = (Answer::Klines(klines), Some(used));
        } else {
            self.figures.refused += 1;
            self.budget.refuse(self.now, Refusal::TooMany { retry_after_s: None });
        }
        let weight = journey.request.weight();
        *self.minute_weights.entry(self.now.0.div_euclid(MINUTE)).or_default() += weight;
        if page.period.next_open_time(page.from) <= self.at.plus(-SETTLE_MS) {
            self.figures.filled_weight += u64::from(weight);
        }
        self.plan(self.now.plus(WAY_MS), Happening::Returns(id));
    }

    fn return_answer(&mut self, id: RequestId) {
        let Some(Journey { request, answer, used }) = self.journeys.remove(&id) else { return };
        self.budget.settle(self.now, request.weight(), used);
        if id.0 >= FIRST_KLINE {
            self.unknown_under_way -= 1;
            self.find_symbols();
            return;
        }
        self.inbox.push_back(Event::Weight(self.budget.status(self.now)));
        self.inbox.push_back(Event::Answered { id, answer });
    }

    /// The minute that is over comes out of the engine; that in which the feed began has a hole.
    fn close_minute(&mut self) {
        self.plan(self.now.plus(MINUTE), Happening::Minute);
        let open_time = Period::M1.open_time(self.now.plus(-MINUTE));
        let Some(live_at) = self.live_at.filter(|&at| at < open_time.plus(MINUTE)) else { return };
        let whole = live_at <= open_time;
        let status = if whole { KlineStatus::Closed } else { KlineStatus::Provisional };
        for (symbol, &price) in (0..).map(SymbolId).zip(&self.prices) {
            let kline = Kline::flat(open_time, price);
            self.writer.apply(symbol, 0, &[KlineRecord { kline, revision: 0, status }]);
        }
    }
}
