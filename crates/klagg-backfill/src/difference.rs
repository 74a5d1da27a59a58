//! Why closed minutes differ from the exchange's. Pure.
//!
//! An aggregate whose fills lie on both sides of a minute's end counts wholly in the minute of
//! its first fill here, and in both at the exchange: the two minutes differ, their sum does not.
//! That cannot be told from one minute alone, so that the newest difference waits for the next
//! minute before it is counted.

use klagg_kline::{Kline, KlineRecord, UnixMillis};

const MINUTE_MS: i64 = 60_000;

/// How much of each amount the exchange has more than we.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Excess {
    amounts: [i128; 4],
    trades: i128,
}

impl Excess {
    fn of(official: &Kline, ours: &Kline) -> Self {
        let amounts = |kline: &Kline| {
            [
                kline.volume.scaled(),
                kline.quote_volume.scaled(),
                kline.taker_buy_volume.scaled(),
                kline.taker_buy_quote_volume.scaled(),
            ]
        };
        let (theirs, mine) = (amounts(official), amounts(ours));
        Self {
            amounts: std::array::from_fn(|at| theirs[at] - mine[at]),
            trades: i128::from(official.trade_count) - i128::from(ours.trade_count),
        }
    }

    fn add(&mut self, other: Self) {
        for (sum, more) in self.amounts.iter_mut().zip(other.amounts) {
            *sum += more;
        }
        self.trades += other.trades;
    }
}

/// Differences of closed minutes, by cause.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Causes {
    /// An aggregate straddles the end of the minute: with its neighbours it is equal.
    pub(crate) straddle: u64,
    /// Trades came when the minute had closed.
    pub(crate) late: u64,
    /// None that is known.
    pub(crate) unexplained: u64,
}

/// Consecutive minutes that differ, not counted yet.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Run {
    until: UnixMillis,
    excess: Excess,
    late: u64,
    unexplained: u64,
}

impl Run {
    /// Whether its minutes differ only in what they give each other. One alone has nobody to give
    /// to: it differs in its prices.
    fn is_straddle(&self) -> bool {
        self.late + self.unexplained > 1 && self.excess == Excess::default()
    }
}

/// The differences of one symbol's closed minutes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Differences {
    run: Option<Run>,
}

impl Differences {
    /// Takes the next closed minute that differs; minutes come in ascending order.
    pub(crate) fn add(&mut self, official: &Kline, ours: &KlineRecord, causes: &mut Causes) {
        let open_time = official.open_time;
        if let Some(run) = self.run.take_if(|run| run.until != open_time) {
            causes.add(&run);
        }
        let excess = Excess::of(official, &ours.kline);
        let is_late = u64::from(ours.revision > 0);
        let run = self.run.get_or_insert(Run {
            until: open_time,
            excess: Excess::default(),
            late: 0,
            unexplained: 0,
        });
        run.until = open_time.plus(MINUTE_MS);
        run.excess.add(excess);
        run.late += is_late;
        run.unexplained += 1 - is_late;
        if let Some(run) = self.run.take_if(|run| run.excess == Excess::default()) {
            causes.add(&run);
        }
    }

    /// Nothing before `open_time` differs any more: what ended there is counted.
    pub(crate) fn pass(&mut self, open_time: UnixMillis, causes: &mut Causes) {
        if let Some(run) = self.run.take_if(|run| run.until < open_time) {
            causes.add(&run);
        }
    }
}

impl Causes {
    fn add(&mut self, run: &Run) {
        if run.is_straddle() {
            self.straddle += run.late + run.unexplained;
        } else {
            self.late += run.late;
            self.unexplained += run.unexplained;
        }
    }
}

#[cfg(test)]
mod tests {
    use klagg_kline::{KlineStatus, Price, Volume};

    use super::*;

    /// Minutes with what the exchange has more than we, and our revision; then the minute up to
    /// which all was compared.
    fn check(minutes: &[(i64, i128, u32)], passed: i64, straddle: u64, late: u64, rest: u64) {
        let (mut differences, mut causes) = (Differences::default(), Causes::default());
        for &(minute, excess, revision) in minutes {
            let flat = Kline::flat(UnixMillis(minute * MINUTE_MS), Price::from_scaled(1));
            let of = |volume| Kline { volume: Volume::from_scaled(volume), ..flat };
            let ours = KlineRecord { kline: of(100), revision, status: KlineStatus::Closed };
            differences.add(&of(100 + excess), &ours, &mut causes);
        }
        differences.pass(UnixMillis(passed * MINUTE_MS), &mut causes);
        let expected = Causes { straddle, late, unexplained: rest };
        assert_eq!(causes, expected, "{minutes:?}");
    }

    #[test]
    fn minutes_whose_sum_is_equal_straddle_and_others_do_not() {
        check(&[(1, -3, 0), (2, 3, 0)], 9, 2, 0, 0);
        check(&[(1, -3, 0), (2, 1, 0), (3, 2, 0)], 9, 3, 0, 0);
        check(&[(1, -3, 0), (2, 3, 0), (3, -1, 0), (4, 1, 0)], 9, 4, 0, 0);
        check(&[(1, -3, 0), (3, 3, 0)], 9, 0, 0, 2);
        check(&[(1, -3, 0), (2, 2, 1)], 9, 0, 1, 1);
        check(&[(1, 3, 2)], 9, 0, 1, 0);
        check(&[(2, 3, 0), (1, -3, 0)], 9, 0, 0, 2);
        check(&[], 9, 0, 0, 0);
    }

    #[test]
    fn the_newest_difference_waits_for_the_minute_behind_it() {
        check(&[(1, -3, 0)], 2, 0, 0, 0);
        check(&[(1, -3, 0)], 3, 0, 0, 1);
    }

    #[test]
    fn equal_volumes_at_different_prices_are_no_reason() {
        let (mut differences, mut causes) = (Differences::default(), Causes::default());
        let kline = |price| Kline::flat(UnixMillis(MINUTE_MS), Price::from_scaled(price));
        let ours = KlineRecord { kline: kline(1), revision: 0, status: KlineStatus::Closed };
        differences.add(&kline(2), &ours, &mut causes);
        assert_eq!(causes, Causes { unexplained: 1, ..Causes::default() });
    }
}
