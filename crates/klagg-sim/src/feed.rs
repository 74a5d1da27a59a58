//! Which trades the exchange sends when: the market in order of sending, across all symbols.

use std::sync::Arc;

use klagg_kline::UnixMillis;

use crate::market::symbol::MINUTE;
use crate::market::tape::Tape;
use crate::market::view::Listed;
use crate::random::at;

/// From the first fill of an aggregate to its sending, at least.
pub(crate) const AGGREGATE_DELAY_MS: i64 = 150;
const AGGREGATE_JITTER_MS: u64 = 12;
/// From a fill to its sending on `@trade`.
const FILL_DELAY_MS: i64 = 5;
const TAG_DELAY: u64 = 0xde1a;

/// Something to be sent.
#[derive(Debug, Clone)]
pub(crate) struct Sending {
    pub(crate) event_time: UnixMillis,
    /// The symbol's place in the market's list.
    pub(crate) place: usize,
    pub(crate) tape: Arc<Tape>,
    /// The aggregate's place in the tape.
    pub(crate) aggregate: usize,
    pub(crate) what: Sent,
}

/// Which stream a sending belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Sent {
    /// One fill of the aggregate, for `@trade`.
    Fill(usize),
    /// The aggregate, for `@aggTrade`.
    Aggregate,
}

/// How far each symbol's trades have been sent.
#[derive(Debug)]
pub(crate) struct Feed {
    start: UnixMillis,
    cursors: Vec<[Cursor; 2]>,
}

#[derive(Debug)]
struct Cursor {
    minute: i64,
    aggregate: usize,
    fill: usize,
    event_time: i64,
}

impl Feed {
    /// Sends nothing that was due before `start`.
    pub(crate) fn new(start: UnixMillis) -> Self {
        Self { start, cursors: Vec::new() }
    }

    /// Appends what is due until `now`, in order of sending; of one symbol in order of id.
    /// Single fills only if somebody wants them.
    pub(crate) fn advance(
        &mut self,
        now: UnixMillis,
        contracts: &[Arc<Listed>],
        with_fills: bool,
        out: &mut Vec<Sending>,
    ) {
        while self.cursors.len() < contracts.len() {
            let first = contracts[self.cursors.len()].symbol.first_minute();
            // The aggregates of the last moments before the start are still to be sent.
            let minute = first.max(self.start.plus(-1_000).0.div_euclid(MINUTE));
            let cursor = || Cursor { minute, aggregate: 0, fill: 0, event_time: 0 };
            self.cursors.push([cursor(), cursor()]);
        }
        let from = out.len();
        for (place, listed) in contracts.iter().enumerate() {
            let [aggregates, fills] = &mut self.cursors[place];
            aggregates.advance(
                now,
                listed,
                |cursor, event_time, tape| {
                    if event_time > self.start {
                        let (tape, aggregate) = (Arc::clone(tape), cursor.aggregate);
                        let what = Sent::Aggregate;
                        out.push(Sending { event_time, place, tape, aggregate, what });
                    }
                    cursor.aggregate += 1;
                },
                aggregate_due,
            );
            fills.advance(
                now,
                listed,
                |cursor, event_time, tape| {
                    let (aggregate, what) = (cursor.aggregate, Sent::Fill(cursor.fill));
                    if with_fills && event_time > self.start {
                        let tape = Arc::clone(tape);
                        out.push(Sending { event_time, place, tape, aggregate, what });
                    }
                    cursor.fill += 1;
                    if cursor.fill == tape.fills(&tape.aggregates[aggregate]).len() {
                        (cursor.aggregate, cursor.fill) = (aggregate + 1, 0);
                    }
                },
                fill_due,
            );
        }
        // Stable: of one symbol and stream the order of ids stays.
        out[from..].sort_by_key(|sending| sending.event_time);
    }
}

/// When the aggregate at the cursor is due at the earliest.
fn aggregate_due(listed: &Listed, tape: &Tape, cursor: &Cursor) -> i64 {
    let aggregate = &tape.aggregates[cursor.aggregate];
    let number = at(listed.symbol.seed, TAG_DELAY, aggregate.ordinal);
    let jitter = (number % AGGREGATE_JITTER_MS).cast_signed();
    tape.time(aggregate) + AGGREGATE_DELAY_MS + jitter
}

/// When the fill at the cursor is due.
fn fill_due(_: &Listed, tape: &Tape, cursor: &Cursor) -> i64 {
    tape.fills(&tape.aggregates[cursor.aggregate])[cursor.fill].time + FILL_DELAY_MS
}

impl Cursor {
    /// Walks until the next thing is due after `now`. `send` takes the thing at the cursor and
    /// moves the cursor past it.
    fn advance(
        &mut self,
        now: UnixMillis,
        listed: &Listed,
        mut send: impl FnMut(&mut Self, UnixMillis, &Arc<Tape>),
        due: impl Fn(&Listed, &Tape, &Self) -> i64,
    ) {
        let settled = listed.symbol.delivery.map_or(i64::MAX, |end| end.0.div_euclid(MINUTE));
        while self.minute * MINUTE <= now.0 && self.minute < settled {
            let tape = listed.tape(self.minute);
            while self.aggregate < tape.aggregates.len() {
                let event_time = due(listed, &tape, self).max(self.event_time);
                if event_time > now.0 {
                    return;
                }
                self.event_time = event_time;
                send(self, UnixMillis(event_time), &tape);
            }
            // Only a minute that is over has no more trades to come.
            if (self.minute + 1) * MINUTE > now.0 {
                return;
            }
            self.minute += 1;
            (self.aggregate, self.fill) = (0, 0);
        }
    }
}
