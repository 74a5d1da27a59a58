//! The core, an exchange that answers by formula, and a clock that jumps from event to event.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use klagg_backfill::{
    Action, Answer, BackfillConfig, BackfillCore, Confirmation, Event, Failure, FileFailure,
    FileRequest, Notice, Now, Request, RequestId, Stored, SymbolSpec, What,
};
use klagg_binance::WeightBudget;
use klagg_engine::{HistoryConfig, HistoryReader, HistoryWriter, Hole, history};
use klagg_kline::{
    Kline, KlineRecord, KlineStatus, Period, PeriodSet, Price, SymbolId, Trade, UnixMillis, Volume,
};

pub(crate) const MINUTE: i64 = 60_000;
/// Seven seconds into a minute, thirteen hours into a day.
pub(crate) const START: UnixMillis = UnixMillis(1_791_460_867_000);
const LATENCY: Duration = Duration::from_millis(100);
/// Where the numbers of a day's symbols begin to be old.
pub(crate) const LISTED: UnixMillis = UnixMillis(1_760_054_400_000);

/// What was asked of the exchange, and when its weight was granted.
#[derive(Debug, Clone)]
pub(crate) struct Granted {
    pub(crate) at: Duration,
    pub(crate) request: Request,
    /// Whether one of the minutes asked for was provisional when it was asked for.
    pub(crate) is_doubtful: bool,
}

/// What the store holds: by symbol and index of the period.
pub(crate) type Rows = BTreeMap<(SymbolId, usize), BTreeMap<UnixMillis, KlineRecord>>;

/// What a file of the archive holds, or why there is none, by the local time.
pub(crate) type Archive = Box<dyn Fn(&FileRequest, Duration) -> Result<Vec<Kline>, FileFailure>>;

pub(crate) struct World {
    pub(crate) core: BackfillCore,
    pub(crate) writer: HistoryWriter,
    pub(crate) history: HistoryReader,
    pub(crate) config: BackfillConfig,
    pub(crate) local: Duration,
    pub(crate) granted: Vec<Granted>,
    pub(crate) rows: Rows,
    /// Whether there is a store.
    pub(crate) stores: bool,
    pub(crate) fills: Vec<(SymbolId, Vec<Trade>)>,
    pub(crate) notices: Vec<Notice>,
    /// The exchange answers nobody until then.
    pub(crate) down_until: Duration,
    /// Klines of the exchange that are not as the formula says.
    pub(crate) official: BTreeMap<(SymbolId, Period, UnixMillis), Kline>,
    /// First minutes of symbols that were not listed on [`LISTED`].
    pub(crate) listed: BTreeMap<SymbolId, UnixMillis>,
    /// Symbols whose klines break off at a minute, until a local time.
    pub(crate) broken_off: BTreeMap<SymbolId, (UnixMillis, Duration)>,
    /// Trades of the exchange, by symbol.
    pub(crate) trades: BTreeMap<SymbolId, Vec<Trade>>,
    /// Files that were asked for, and when.
    pub(crate) files: Vec<(Duration, FileRequest)>,
    pub(crate) archive: Archive,
    files_under_way: BTreeMap<(Duration, RequestId), FileRequest>,
    budget: WeightBudget,
    /// By priority, highest last.
    waiting: [VecDeque<(Request, bool)>; 3],
    under_way: BTreeMap<(Duration, RequestId), Request>,
    /// What the core is still to be told.
    untold: VecDeque<Event>,
}

pub(crate) fn config(periods: &[Period], capacity: &[usize]) -> BackfillConfig {
    BackfillConfig {
        periods: PeriodSet::new(periods).unwrap(),
        capacity: capacity.to_vec(),
        gap_klines_max: 10_000,
        concurrency: 8,
        settle_ms: 2_500,
        relisting_ms: 7 * 24 * 60 * MINUTE,
        confirmation: Confirmation::Everything { wait_ms: 5 * MINUTE },
        watched: vec!["S0".to_owned()],
        tick: Duration::from_millis(250),
        live_patience: Duration::from_mins(1),
        retry_pause: Duration::from_secs(5),
        audit_cadence: Duration::from_mins(1),
        archive: None,
    }
}

/// The exchange's kline by formula: a fill of one unit each minute, at one price.
pub(crate) fn kline(period: Period, open_time: UnixMillis) -> Kline {
    let minutes = period.next_open_time(open_time).since(open_time) / MINUTE;
    Kline {
        volume: Volume::from_scaled(minutes.into()),
        trade_count: minutes.unsigned_abs(),
        ..Kline::flat(open_time, Price::from_scaled(1_000_000))
    }
}

impl World {
    /// A world with so many symbols, all of them old, at an exchange with this limit.
    pub(crate) fn new(config: BackfillConfig, symbols: u32, limit: u32) -> Self {
        Self::with_rows(config, symbols, limit, Rows::new())
    }

    /// The same after a crash that left `rows` in the store.
    pub(crate) fn with_rows(config: BackfillConfig, symbols: u32, limit: u32, rows: Rows) -> Self {
        let (writer, reader) = history(HistoryConfig {
            periods: config.periods.clone(),
            // Room for some that are listed later.
            symbols_max: symbols as usize + 2,
            capacity: config.capacity.clone(),
            log_capacity: 1 << 14,
        })
        .unwrap();
        let mut world = Self {
            core: BackfillCore::new(config.clone(), reader.clone()).unwrap(),
            writer,
            history: reader,
            config,
            local: Duration::ZERO,
            granted: Vec::new(),
            rows,
            stores: false,
            fills: Vec::new(),
            notices: Vec::new(),
            down_until: Duration::ZERO,
            official: BTreeMap::new(),
            listed: BTreeMap::new(),
            broken_off: BTreeMap::new(),
            trades: BTreeMap::new(),
            files: Vec::new(),
            archive: Box::new(|_, _| Err(FileFailure::Missing)),
            files_under_way: BTreeMap::new(),
            budget: WeightBudget::new(limit, 80),
            waiting: Default::default(),
            under_way: BTreeMap::new(),
            untold: VecDeque::new(),
        };
        let spec = |id: u32| SymbolSpec {
            id: SymbolId(id),
            name: format!("S{id}").into(),
            first_open_time: LISTED,
            is_listed: true,
        };
        world.tell(Event::Added((0..symbols).map(spec).collect()));
        world
    }

    pub(crate) fn exchange(&self) -> UnixMillis {
        START.plus(i64::try_from(self.local.as_millis()).unwrap())
    }

    fn local_ms(&self) -> UnixMillis {
        UnixMillis(i64::try_from(self.local.as_millis()).unwrap())
    }

    /// Tells the core of an event, and carries out what follows from it.
    pub(crate) fn tell(&mut self, event: Event) {
        self.untold.push_back(event);
        while let Some(event) = self.untold.pop_front() {
            let now = Now { local: self.local, exchange: self.exchange() };
            let mut actions = Vec::new();
            let weight = self.budget.status(self.local_ms());
            self.core.on_event(now, Event::Weight(weight), &mut actions);
            self.core.on_event(now, event, &mut actions);
            for action in actions {
                self.carry_out(action);
            }
        }
    }

    fn carry_out(&mut self, action: Action) {
        match action {
            Action::Load(symbols) => self.load(symbols),
            Action::Ask(request) => {
                let doubtful = self.asks_doubtful(&request);
                self.waiting[request.priority as usize].push_back((request, doubtful));
            }
            Action::Fetch(request) => {
                self.files.push((self.local, request.clone()));
                self.files_under_way.insert((self.local + LATENCY, request.id), request);
            }
            Action::MeasureClock => self.untold.push_back(Event::ClockMeasured),
            Action::HandOver { symbol, index, records } => {
                self.writer.apply(symbol, index, &records);
                if !self.stores {
                    return;
                }
                let rows = self.rows.entry((symbol, index)).or_default();
                rows.extend(records.iter().map(|record| (record.kline.open_time, *record)));
            }
            Action::Show { symbol, index, records } => {
                self.writer.apply(symbol, index, &records);
            }
            Action::Fill { symbol, trades } => self.fills.push((symbol, trades)),
            Action::Say(notice) => self.notices.push(notice),
            _ => {}
        }
    }

    fn load(&mut self, symbols: Vec<SymbolId>) {
        for &symbol in &symbols {
            for (index, &period) in self.config.periods.as_slice().iter().enumerate() {
                let Some(rows) = self.rows.get(&(symbol, index)) else { continue };
                let records: Vec<KlineRecord> = rows.values().copied().collect();
                // As the store counts it: the end of the oldest stretch without a hole.
                let mut until = records[0].kline.open_time;
                for record in &records {
                    if record.kline.open_time == until {
                        until = period.next_open_time(until);
                    }
                }
                let (damaged, complete_until) = (0, Some(until));
                let stored = Stored { symbol, index, records, damaged, complete_until };
                self.untold.push_back(Event::Stored(stored));
            }
        }
        self.untold.push_back(Event::Loaded(symbols));
    }

    fn asks_doubtful(&self, request: &Request) -> bool {
        let What::Klines(page) = request.what else { return false };
        let mut at = page.from;
        while page.period == Period::M1 && at < page.until {
            let record = self.history.get(request.symbol, 0, at);
            if record.is_some_and(|record| record.status == KlineStatus::Provisional) {
                return true;
            }
            at = at.plus(MINUTE);
        }
        false
    }

    /// Sends what may be sent; gives when to look again, if weight is short.
    fn grant(&mut self) -> Option<Duration> {
        let now = self.local_ms();
        for priority in (0..3).rev() {
            while let Some((request, _)) = self.waiting[priority].front() {
                let (weight, class) = (request.weight(), request.priority);
                if let Err(short) = self.budget.try_spend(now, weight, class) {
                    let at = short.retry_at.map(|at| Duration::from_millis(at.0.unsigned_abs()));
                    return at;
                }
                let (request, is_doubtful) = self.waiting[priority].pop_front().unwrap();
                self.granted.push(Granted {
                    at: self.local,
                    request: request.clone(),
                    is_doubtful,
                });
                self.under_way.insert((self.local + LATENCY, request.id), request);
            }
        }
        None
    }

    /// Runs until this local time.
    pub(crate) fn run_until(&mut self, until: Duration) {
        loop {
            let retry = self.grant();
            let answer = self.under_way.keys().next().map(|&(at, _)| at);
            let file = self.files_under_way.keys().next().map(|&(at, _)| at);
            let timer = self.core.next_deadline();
            let next = [retry, answer, file, timer].into_iter().flatten().min();
            let Some(next) = next.filter(|&at| at <= until) else {
                self.local = until;
                return;
            };
            self.local = self.local.max(next);
            if let Some(entry) = self.under_way.first_entry().filter(|of| of.key().0 <= self.local)
            {
                let request = entry.remove();
                let now = self.local_ms();
                self.budget.settle(now, request.weight(), None);
                let answer = self.answer(&request);
                self.tell(Event::Answered { id: request.id, answer });
            } else if let Some(entry) =
                self.files_under_way.first_entry().filter(|of| of.key().0 <= self.local)
            {
                let request = entry.remove();
                let file = (self.archive)(&request, self.local);
                self.tell(Event::Fetched { id: request.id, file });
            } else if timer.is_some_and(|at| at <= self.local) {
                self.tell(Event::Timer);
            }
        }
    }

    /// Runs, a second at a time, until `reached`; fails after `patience`.
    pub(crate) fn run_to(&mut self, patience: Duration, reached: impl Fn(&Self) -> bool) {
        let end = self.local + patience;
        while !reached(self) {
            assert!(self.local < end, "not within {patience:?}: {:?}", self.core.progress());
            self.run_until(self.local + Duration::from_secs(1));
        }
    }

    /// Runs until history and live have met and all history is there.
    pub(crate) fn run_to_confirming(&mut self) {
        self.tell(Event::Live(self.exchange()));
        self.run_to(Duration::from_hours(3), |world| {
            world.core.progress().ready && world.core.progress().history_complete
        });
    }

    fn answer(&self, request: &Request) -> Answer {
        if self.local < self.down_until {
            return Answer::Failed(Failure::Exchange);
        }
        match request.what {
            What::Klines(page) => {
                let last = page.last_open_time();
                assert!(page.period.next_open_time(last) <= self.exchange(), "open: {page:?}");
                let listed = self.listed.get(&request.symbol).copied().unwrap_or(LISTED);
                let next = |at: &UnixMillis| Some(page.period.next_open_time(*at));
                let times = std::iter::successors(Some(page.from), next);
                let broken_off = self.broken_off.get(&request.symbol);
                let broken_off = broken_off.filter(|of| self.local < of.1);
                let until = broken_off.map_or(page.until, |of| page.until.min(of.0));
                let times = times.take_while(|&at| at < until);
                let times = times.filter(|&at| page.period.next_open_time(at) > listed);
                let one = |at| {
                    let key = (request.symbol, page.period, at);
                    self.official.get(&key).copied().unwrap_or_else(|| kline(page.period, at))
                };
                Answer::Klines(times.map(one).collect())
            }
            What::Trades { from, limit } => {
                let all = self.trades.get(&request.symbol).map_or(&[][..], Vec::as_slice);
                let page = all.iter().filter(|trade| trade.id >= from);
                Answer::Trades(page.take(limit.into()).copied().collect())
            }
            _ => Answer::Failed(Failure::Refused),
        }
    }

    /// The engine closes a minute of a symbol.
    pub(crate) fn close(&mut self, symbol: SymbolId, open_time: UnixMillis, status: KlineStatus) {
        let kline = match status {
            KlineStatus::Provisional => Kline::flat(open_time, Price::from_scaled(7)),
            _ => kline(Period::M1, open_time),
        };
        self.writer.apply(symbol, 0, &[KlineRecord { kline, revision: 0, status }]);
    }

    /// The engine closes a longer kline without some of its minutes.
    pub(crate) fn close_in_doubt(&mut self, symbol: SymbolId, period: Period, at: UnixMillis) {
        let index = self.config.periods.index_of(period).unwrap();
        let (kline, status) = (Kline::flat(at, Price::from_scaled(7)), KlineStatus::Provisional);
        self.writer.apply(symbol, index, &[KlineRecord { kline, revision: 0, status }]);
    }

    /// The engine gives up a hole.
    pub(crate) fn give_up(&mut self, hole: Hole) {
        self.tell(Event::Hole(hole));
    }

    pub(crate) fn is_confirmed(&self, symbol: SymbolId, minute: UnixMillis) -> bool {
        let record = self.history.get(symbol, 0, minute);
        record.is_some_and(|record| record.status == KlineStatus::Confirmed)
    }

    /// The most weight granted within any minute, of the requests that `counts` names.
    pub(crate) fn spent_within_a_minute(&self, counts: impl Fn(&Granted) -> bool) -> u32 {
        let granted: Vec<&Granted> = self.granted.iter().filter(|of| counts(of)).collect();
        let (mut first, mut sum, mut most) = (0, 0, 0);
        for of in &granted {
            sum += of.request.weight();
            while granted[first].at + Duration::from_mins(1) <= of.at {
                sum -= granted[first].request.weight();
                first += 1;
            }
            most = most.max(sum);
        }
        most
    }
}
