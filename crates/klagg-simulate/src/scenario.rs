//! What a run is made of besides its faults: symbols, periods, workers, cadences.

use klagg_kline::{Period, PeriodSet};

use crate::agenda::Millis;
use crate::market::{Listing, MINUTE, Terms};
use crate::plan::{Fault, Kind, Plan};
use crate::random::Random;

/// Milliseconds after the start of the run in which faults begin.
pub(crate) const FAULTS_FROM: Millis = 2_000;
pub(crate) const FAULTS_UNTIL: Millis = 420_000;
/// From here on nothing new goes wrong, and what lasts ends; a dead stream once it is subscribed
/// anew.
pub(crate) const QUIET_FROM: Millis = 470_000;
/// How long after that everything must have converged: all symbols repaired, and the minutes
/// closed by then confirmed.
pub(crate) const CONVERGED_AT: Millis = QUIET_FROM + 120_000;
/// The end of the run: a while of plain service after that.
pub(crate) const END: Millis = CONVERGED_AT + 75_000;

/// The numbers of a run.
#[derive(Debug)]
pub(crate) struct Scenario {
    pub(crate) seed: u64,
    /// Exchange time of the start.
    pub(crate) start: Millis,
    pub(crate) periods: PeriodSet,
    /// Klines kept in memory, by period.
    pub(crate) capacity: Vec<usize>,
    pub(crate) workers: usize,
    /// Connections that carry trades.
    pub(crate) connections: usize,
    /// Whether every stream comes on two connections.
    pub(crate) redundant: bool,
    /// How long a hole may be filled by another copy.
    pub(crate) hold_ms: i64,
    pub(crate) gateway_cadence: Millis,
    /// How long a clean minute may wait for its confirmation.
    pub(crate) confirm_wait: Millis,
    /// Requests for history under way at once.
    pub(crate) concurrency: usize,
    pub(crate) weight_limit: u32,
    /// Whether the canary never pauses.
    pub(crate) is_steady: bool,
    /// Whether the stream carries fills one by one.
    pub(crate) is_raw: bool,
    /// Streams named in one message.
    pub(crate) names_per_subscribe: usize,
    /// Symbols that people look at: their holes are filled trade by trade.
    pub(crate) watched: Vec<String>,
    pub(crate) listings: Vec<Listing>,
    /// Most symbols, tombstones included.
    pub(crate) symbols_max: usize,
}

/// Most symbols of a run, but where many are listed.
const SYMBOLS_MAX: usize = 24;
/// More at once are many.
const FEW_LISTINGS: u32 = 6;
/// 2026-01-05 00:00 UTC, a Monday: the runs are spread over the days around it.
const MONDAY: Millis = 1_767_571_200_000;
const HOUR: Millis = 60 * MINUTE;

impl Scenario {
    pub(crate) fn draw(seed: u64, plan: &Plan) -> Self {
        let mut random = Random::new(seed, 0x5ce0);
        // A run of eleven minutes that begins a few minutes before the turn of an hour, often of
        // a day, sometimes of a month, sees every period close.
        let day = random.between(0, 60) * 24 * HOUR;
        let hour = *random.pick(&[24, 24, 24, 1, 4, 8, 12]) * HOUR;
        let turn = MONDAY + day + hour;
        let before = random.between(1, 11) * MINUTE - random.between(0, 59_999);
        let sets: [&[Period]; 5] = [
            &[Period::M1, Period::M5, Period::M15],
            &[Period::M1, Period::M3, Period::H1],
            &[Period::M1, Period::M5, Period::D1],
            &[Period::M1, Period::M5, Period::H1],
            &[Period::M1],
        ];
        let of_plan = (turn, *random.pick::<&[Period]>(&sets));
        let is_long = plan.has(Kind::LongPeriods);
        let (turn, set) = if is_long { long_turn(seed) } else { of_plan };
        let periods = PeriodSet::new(set).expect("each holds 1m, and none twice");
        let redundant = random.per_mille(400);
        let mut scenario = Self {
            seed,
            start: turn - before,
            capacity: (0..periods.len()).map(|at| if at == 0 { 30 } else { 8 }).collect(),
            periods,
            workers: index(random.between(1, 3)),
            connections: index(random.between(1, 2)),
            redundant,
            hold_ms: if redundant { *random.pick(&[0, 250, 250, 250]) } else { 0 },
            gateway_cadence: *random.pick(&[250, 500, 500]),
            confirm_wait: *random.pick(&[0, 0, MINUTE, 2 * MINUTE]),
            concurrency: index(random.between(1, 8)),
            weight_limit: u32::try_from(random.between(110, 300)).unwrap_or(300),
            names_per_subscribe: if plan.has(Kind::ShortMessages) { 1 } else { 3 },
            is_steady: plan.has(Kind::Steady),
            is_raw: plan.has(Kind::RawFills),
            watched: Vec::new(),
            listings: Vec::new(),
            symbols_max: SYMBOLS_MAX,
        };
        scenario.list(&mut random, plan);
        scenario.widen(plan);
        scenario.watch(plan);
        scenario
    }

    /// What only some plans ask for, from numbers of its own.
    fn widen(&mut self, plan: &Plan) {
        let mut random = Random::new(self.seed, 0x5ce1);
        let is_many = |fault: &Fault| fault.kind == Kind::Listing && fault.amount > FEW_LISTINGS;
        if plan.faults.iter().any(is_many) {
            self.symbols_max = index(random.between(16, 40));
            // What is promised of all symbols takes as much weight for each as in the product.
            let least = u32::try_from(10 * self.listings.len()).unwrap_or(0);
            self.weight_limit = self.weight_limit.max(least);
        }
    }

    fn watch(&mut self, plan: &Plan) {
        let is_watched = |number: usize| {
            let bit =
                |fault: &Fault| fault.kind == Kind::Watched && fault.target >> number & 1 == 1;
            plan.faults.iter().any(bit)
        };
        let names = self.listings.iter().map(|of| of.terms.name.clone()).take(16);
        self.watched =
            names.enumerate().filter(|&(at, _)| is_watched(at)).map(|(_, of)| of).collect();
    }

    /// All connections: fills come over a path that does not carry the market's own streams, which
    /// have one of their own.
    pub(crate) fn all_connections(&self) -> usize {
        self.connections + usize::from(self.is_raw)
    }

    /// Exchange time of the end.
    pub(crate) const fn end(&self) -> Millis {
        self.start + END
    }

    fn list(&mut self, random: &mut Random, plan: &Plan) {
        let end = self.end();
        let count = random.between(2, 4);
        let mut terms = Vec::new();
        for number in 0..count {
            // The first is the canary, which always trades.
            let pace = if number == 0 { 900 } else { *random.pick(&[800, 3_000, 9_000, 40_000]) };
            terms.push(Terms {
                name: format!("OLD{number}USDT"),
                listed_at: self.start - random.between(3, 50) * MINUTE,
                ends_at: end,
                brisk_from: self.start - 10_000,
                pace,
                is_steady: number == 0 && self.is_steady,
            });
        }
        self.listings_of_faults(plan, &mut terms);
        let seed = self.seed;
        let is_raw = self.is_raw;
        let listing = |(number, terms): (u64, Terms)| {
            let mut listing = Listing::new(seed, number, terms);
            if is_raw {
                listing.send_fills(seed, number);
            }
            listing
        };
        self.listings = (0..).zip(terms).map(listing).collect();
        self.listings.retain(|listing| !listing.fills.is_empty());
    }

    fn listings_of_faults(&self, plan: &Plan, terms: &mut Vec<Terms>) {
        let end = self.end();
        let old = terms.len();
        for (number, fault) in plan.faults.iter().enumerate() {
            let at = self.start + fault.at;
            match fault.kind {
                Kind::Listing => {
                    let new = |of: u32| Terms {
                        name: format!("NEW{number}X{of}USDT"),
                        listed_at: at,
                        ends_at: end,
                        brisk_from: at,
                        pace: 3_000,
                        is_steady: false,
                    };
                    terms.extend((0..fault.amount.clamp(1, 20)).map(new));
                }
                Kind::Delisting | Kind::Relisting if old > 1 => {
                    let which = 1 + fault.target as usize % (old - 1);
                    if terms[which].ends_at < end {
                        continue;
                    }
                    terms[which].ends_at = at;
                    // Contracts come on board at full minutes.
                    let again = ((at + Millis::from(fault.amount)) / MINUTE + 1) * MINUTE;
                    if fault.kind == Kind::Relisting {
                        let name = terms[which].name.clone();
                        let (listed_at, pace) = (again, 2_000);
                        terms.push(Terms {
                            name,
                            listed_at,
                            ends_at: end,
                            brisk_from: again,
                            pace,
                            is_steady: false,
                        });
                    }
                }
                _ => {}
            }
        }
    }
}

/// The turn of a week or of a month, and periods that end there.
fn long_turn(seed: u64) -> (Millis, &'static [Period]) {
    // Mondays, and the first days of February and March.
    let days = *Random::new(seed, 0x5ce2).pick(&[7, 21, 27, 27, 55]);
    (MONDAY + days * 24 * HOUR, &[Period::M1, Period::D1, Period::W1, Period::Mo1])
}

fn index(number: i64) -> usize {
    usize::try_from(number).unwrap_or(1)
}
