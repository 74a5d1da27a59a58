//! The laws of the budget, on tables and on random schedules against a model of the exchange.

use std::collections::BTreeMap;

use klagg_kline::UnixMillis;

use super::*;

const START: i64 = 1_700_000_040_000 - 1_700_000_040_000 % MINUTE_MS;

fn at(millis: i64) -> UnixMillis {
    UnixMillis(START + millis)
}

#[test]
fn too_many_without_retry_after_waits_for_the_next_utc_minute() {
    let mut budget = WeightBudget::new(2_400, 80);
    let until = budget.refuse(at(20_000), Refusal::TooMany { retry_after_s: None });
    assert_eq!(until, at(60_000 + TURN_MARGIN_MS));
    let short = budget.try_spend(at(59_999), 1, Priority::Urgent).unwrap_err();
    assert_eq!(short.retry_at, Some(until));
    assert!(budget.try_spend(until, 1, Priority::Urgent).is_ok());
}

#[test]
fn the_next_minute_is_the_exchanges_not_ours() {
    let mut budget = WeightBudget::new(2_400, 80);
    budget.set_offset(15_000);
    let until = budget.refuse(at(20_000), Refusal::TooMany { retry_after_s: None });
    assert_eq!(until, at(45_000 + TURN_MARGIN_MS));
}

#[test]
fn retry_after_and_ban_are_obeyed_and_never_shortened() {
    let mut budget = WeightBudget::new(2_400, 80);
    budget.set_offset(-1_000);
    let message = "Way too many requests; IP(1.2.3.4) banned until 1700000900000. Please use";
    let until = banned_until(message).unwrap();
    assert_eq!(until, UnixMillis(1_700_000_900_000));
    let local = budget.refuse(at(0), banned(None, Some(until), None));
    assert_eq!(local, UnixMillis(1_700_000_900_000 + 1_000 + TURN_MARGIN_MS));
    let again = budget.refuse(at(10), Refusal::TooMany { retry_after_s: Some(3) });
    assert_eq!(again, local, "a shorter refusal does not shorten a longer one");
    assert_eq!(budget.status(at(20)).refusals_total, 2);

    let mut budget = WeightBudget::new(2_400, 80);
    assert_eq!(budget.refuse(at(0), banned(None, None, None)), at(BAN_MS_MIN));
    let mut budget = WeightBudget::new(2_400, 80);
    let endless = Refusal::TooMany { retry_after_s: Some(i64::MAX) };
    assert_eq!(budget.refuse(at(0), endless), at(BLOCK_MS_MAX));
}

fn banned(
    retry_after_s: Option<i64>,
    until: Option<UnixMillis>,
    told_at: Option<UnixMillis>,
) -> Refusal {
    Refusal::Banned { retry_after_s, until, told_at }
}

#[test]
fn the_end_of_a_ban_needs_no_clock_of_ours_where_the_exchange_says_more() {
    // Of everything that is told, the exchange is `skew` ahead of us; the ban lasts for a while.
    let check = |skew: i64, is_measured: bool, told: [Option<i64>; 3], expected: i64| {
        let mut budget = WeightBudget::new(2_400, 80);
        if is_measured {
            budget.set_offset(skew);
        }
        let [retry_after_s, until, told_at] = told;
        let theirs = |time: Option<i64>| time.map(|millis| at(millis + skew));
        let until = budget.refuse(at(0), banned(retry_after_s, theirs(until), theirs(told_at)));
        assert_eq!(until, at(expected), "{told:?}, {skew} ms, measured: {is_measured}");
    };
    let end = 90_000 + TURN_MARGIN_MS;
    for skew in [-7_200_000, -5_000, 5_000, 7_200_000] {
        // Beside the exchange's own time, which is cut to the second.
        check(skew, false, [None, Some(90_000), Some(-999)], end + 999);
        check(skew, true, [Some(60), Some(90_000), Some(0)], end);
        check(skew, false, [Some(120), Some(90_000), Some(0)], 120_000);
        // A duration, before our clock was measured.
        check(skew, false, [Some(90), Some(90_000), None], 90_000);
        // By our clock.
        check(skew, true, [Some(60), Some(90_000), None], end);
        check(skew, true, [None, Some(90_000), None], end);
        // Who bans is not past its end: such a date is somebody else's, and says nothing.
        check(skew, true, [None, Some(90_000), Some(3_600_000)], end);
        check(skew, false, [Some(90), Some(90_000), Some(3_600_000)], 90_000);
        // It stood still for hours since it was measured.
        check(skew, true, [Some(60), Some(9_000_000), None], 120_000);
    }
    // Nobody knows what time it is over there: as long as the shortest ban at least.
    check(-7_200_000, false, [None, Some(90_000), None], BAN_MS_MIN);
    check(7_200_000, false, [None, Some(90_000), None], 7_200_000 + end);
}

#[test]
fn a_message_without_an_end_of_the_ban_gives_none() {
    for message in ["", "banned until", "banned until soon", "banned until 99999999999999999999"] {
        assert_eq!(banned_until(message), None, "{message}");
    }
}

#[test]
fn what_the_exchange_reports_raises_the_used_count() {
    let mut budget = WeightBudget::new(2_400, 80);
    budget.try_spend(at(1_000), 1, Priority::Urgent).unwrap();
    budget.settle(at(1_100), 1, Some(1_915));
    assert_eq!(budget.status(at(1_100)).used_at_exchange, 1_915);
    assert!(budget.try_spend(at(1_200), 5, Priority::Urgent).is_ok());
    let short = budget.try_spend(at(1_300), 5, Priority::Urgent).unwrap_err();
    assert_eq!(short.retry_at, Some(at(60_000 + TURN_MARGIN_MS)));
    // The five under way are taken for charged to the new minute.
    assert!(budget.try_spend(at(60_000 + TURN_MARGIN_MS), 1_900, Priority::Urgent).is_ok());
}

#[test]
fn lower_priorities_leave_room_for_higher_ones() {
    let mut budget = WeightBudget::new(1_000, 80);
    budget.try_spend(at(0), 752, Priority::Bulk).unwrap();
    assert_eq!(budget.try_spend(at(0), 1, Priority::Bulk), Err(WeightShort { retry_at: None }));
    budget.try_spend(at(0), 24, Priority::Normal).unwrap();
    assert!(budget.try_spend(at(0), 1, Priority::Normal).is_err());
    budget.try_spend(at(0), 24, Priority::Urgent).unwrap();
    assert!(budget.try_spend(at(0), 1, Priority::Urgent).is_err());
    budget.settle(at(5_000), 752, None);
    let short = budget.try_spend(at(5_000), 100, Priority::Urgent).unwrap_err();
    assert_eq!(short.retry_at, Some(at(65_000)), "a minute after the answer, not the request");
}

/// A small linear congruential generator: a schedule is its seed.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963);
        (self.0 >> 33) % bound
    }
}

/// Requests at random, each charged by the exchange at a random moment between grant and answer,
/// with a foreign client at our address; answers report the exchange's own counter.
fn run_schedule(seed: u64) {
    let mut random = Random(seed);
    let mut budget = WeightBudget::new(2_400, 80);
    let skew = i64::try_from(random.below(120_000)).unwrap() - 60_000;
    budget.set_offset(skew);
    let mut now = at(0);
    let mut ledger: Vec<(UnixMillis, u32)> = Vec::new();
    let mut by_minute: BTreeMap<i64, u32> = BTreeMap::new();
    let mut under_way: Vec<(UnixMillis, u32)> = Vec::new();
    let mut granted = 0;
    for _ in 0..3_000 {
        now = now.plus(i64::try_from(random.below(200)).unwrap());
        under_way.retain(|&(done, weight)| {
            if done <= now {
                let minute = now.plus(skew).0.div_euclid(MINUTE_MS);
                budget.settle(now, weight, by_minute.get(&minute).copied());
            }
            done > now
        });
        let weight = [1, 2, 5, 10, 20, 40][usize::try_from(random.below(6)).unwrap()];
        let priority = Priority::ALL[usize::try_from(random.below(3)).unwrap()];
        match budget.try_spend(now, weight, priority) {
            Ok(()) => {
                granted += weight;
                let latency = i64::try_from(random.below(3_000)).unwrap();
                let charged_at = now.plus(i64::try_from(random.below(3_000)).unwrap().min(latency));
                ledger.push((charged_at, weight));
                let minute = charged_at.plus(skew).0.div_euclid(MINUTE_MS);
                *by_minute.entry(minute).or_default() += weight;
                under_way.push((now.plus(latency), weight));
            }
            Err(short) => {
                if let Some(retry_at) = short.retry_at {
                    assert!(retry_at > now, "seed {seed}: a wait must lie ahead");
                    if random.below(4) == 0 && under_way.is_empty() {
                        now = retry_at;
                    }
                }
            }
        }
    }
    assert!(granted > 1_920, "seed {seed}: a schedule must reach the limit, got {granted}");
    ledger.sort_unstable();
    for (index, &(from, _)) in ledger.iter().enumerate() {
        let sum: u32 = ledger[index..]
            .iter()
            .take_while(|&&(time, _)| time < from.plus(MINUTE_MS))
            .map(|&(_, weight)| weight)
            .sum();
        assert!(sum <= 1_920, "seed {seed}: {sum} charged within a minute from {from}");
    }
}

#[test]
fn no_rolling_minute_of_the_exchange_is_charged_more_than_the_share() {
    for seed in 0..64 {
        run_schedule(seed);
    }
}

#[test]
fn a_clock_that_was_hours_ahead_does_not_hold_requests_up_for_hours() {
    for hours in [-5, -1, 1, 5] {
        let mut budget = WeightBudget::new(2_400, 80);
        budget.try_spend(at(0), 1_900, Priority::Urgent).unwrap();
        budget.settle(at(100), 1_900, Some(1_900));
        // The first answer told how wrong our clock is.
        budget.set_offset(hours * 3_600_000);
        assert!(budget.try_spend(at(200), 100, Priority::Urgent).is_err(), "the same minute");
        let later = at(2 * MINUTE_MS + TURN_MARGIN_MS);
        assert!(budget.try_spend(later, 1_900, Priority::Urgent).is_ok(), "{hours} hours");
    }
}
