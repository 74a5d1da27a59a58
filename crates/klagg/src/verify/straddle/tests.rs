//! Straddling aggregates, made by folding the same fills twice: singly and merged.

use klagg_kline::{Period, Quantity, TradeId};

use super::*;
use crate::verify::field::{Match, matches};

const START: i64 = 1_730_131_200_000;

/// `(millis since the start, price, quantity, taker)`; fills of one aggregate share a number.
type Fill = (u32, i64, i64, i64, Side);

fn trade(id: i64, millis: i64, price: i64, quantity: i64, fills: u32, taker: Side) -> Trade {
    let (price, quantity) = (Price::from_scaled(price), Quantity::from_scaled(quantity));
    Trade::new(TradeId(id), UnixMillis(START + millis), price, quantity, fills, taker).unwrap()
}

fn singles(fills: &[Fill]) -> Vec<Trade> {
    let numbered = (1..).zip(fills);
    numbered.map(|(id, fill)| trade(id, fill.1, fill.2, fill.3, 1, fill.4)).collect()
}

fn merged(fills: &[Fill]) -> Vec<Trade> {
    let runs = fills.chunk_by(|left, right| left.0 == right.0);
    (1..)
        .zip(runs)
        .map(|(id, run)| {
            let quantity = run.iter().map(|fill| fill.3).sum();
            let count = u32::try_from(run.len()).unwrap();
            trade(id, run[0].1, run[0].2, quantity, count, run[0].4)
        })
        .collect()
}

fn minute(trades: &[Trade], number: i64) -> Option<Kline> {
    let open_time = UnixMillis(START + number * 60_000);
    let mut inside = trades.iter().filter(|trade| Period::M1.open_time(trade.time) == open_time);
    let mut kline = Kline::of_trade(open_time, inside.next()?);
    inside.for_each(|trade| kline.fold(trade));
    Some(kline)
}

/// How the fields of minutes 0, 1, … of the merged fills compare with those of the single ones,
/// and the last carry.
fn check(fills: &[Fill], without: usize, minutes: i64) -> Vec<[Match; 9]> {
    let official = singles(fills);
    let mut aggregates = merged(fills);
    if without > 0 {
        aggregates.remove(without);
    }
    let last_before = |number: i64| {
        let end = START + number * 60_000;
        aggregates.iter().rfind(|trade| trade.time.0 < end && trade.fill_count > 1)
    };
    let mut carried = None;
    let mut found = Vec::new();
    for number in 0..minutes {
        let (ours, official) = (minute(&aggregates, number), minute(&official, number));
        let (Some(ours), Some(official)) = (ours, official) else {
            carried = None;
            continue;
        };
        let (before, last) = (last_before(number), last_before(number + 1));
        let case = Case { ours: &ours, official: &official, before, last, carried };
        let finding = explain(&case);
        carried = finding.carry;
        found.push(matches(&ours, &official, finding.explained.as_ref()));
    }
    found
}

const P: i64 = 100_000_000;

#[test]
fn an_aggregate_across_an_edge_explains_both_of_its_neighbours() {
    use Match::{Equal, Explained};
    use Side::{Buy, Sell};
    let fills = [
        (1, 10_000, 100 * P, P, Buy),
        (2, 59_990, 101 * P, P, Buy),
        (2, 60_010, 101 * P, 3 * P, Buy),
        (3, 60_500, 100 * P, P, Sell),
        (4, 119_000, 99 * P, P, Sell),
        (5, 121_000, 99 * P, P, Sell),
    ];
    let found = check(&fills, 0, 3);
    let (same, moved) = (Equal, Explained);
    // Open, high, low, close, volume, quote volume, count, taker buy volume, taker buy quote.
    assert_eq!(found[0], [same, same, same, same, moved, moved, moved, moved, moved]);
    assert_eq!(found[1], [moved, moved, same, same, moved, moved, moved, moved, moved]);
    assert_eq!(found[2], [same; 9]);
}

#[test]
fn a_lost_trade_is_never_explained() {
    let fills = [
        (1, 10_000, 100 * P, P, Side::Buy),
        (2, 20_000, 101 * P, 2 * P, Side::Sell),
        (3, 59_990, 102 * P, 5 * P, Side::Sell),
        (3, 60_010, 102 * P, P, Side::Sell),
        (4, 60_500, 100 * P, P, Side::Buy),
    ];
    let found = check(&fills, 1, 2);
    assert_eq!(found[0][4], Match::Different, "volume");
    assert_eq!(found[0][5], Match::Different, "quote volume");
}

/// Seeded, so that a failure can be repeated.
struct Dice(u64);

impl Dice {
    fn below(&mut self, bound: i64) -> i64 {
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        i64::try_from(self.0 >> 33).unwrap() % bound
    }
}

/// Five minutes of fills, merged into aggregates of up to five fills that may cross edges.
fn market(seed: u64) -> Vec<Fill> {
    let mut dice = Dice(seed);
    let (mut fills, mut millis) = (Vec::new(), 0);
    for number in 1.. {
        let price = (100 + dice.below(5)) * P;
        let taker = if dice.below(2) == 0 { Side::Buy } else { Side::Sell };
        for _ in 0..=dice.below(5) {
            fills.push((number, millis, price, (1 + dice.below(9)) * P / 10, taker));
            millis += dice.below(40);
        }
        millis += dice.below(6_000);
        if millis >= 300_000 {
            return fills;
        }
        // Aggregates near an edge are the ones that matter.
        let left = 60_000 - millis % 60_000;
        if left < 4_000 {
            millis += left - 1 - dice.below(60).min(left - 1);
        }
    }
    fills
}

#[test]
fn any_market_of_whole_aggregates_is_explained() {
    let mut explained = 0;
    for seed in 0..400 {
        let fills = market(seed);
        for (minute, found) in check(&fills, 0, 5).into_iter().enumerate() {
            let clean = found.iter().all(|field| *field != Match::Different);
            assert!(clean, "seed {seed}, minute {minute}: {found:?}");
            explained += usize::from(found.contains(&Match::Explained));
        }
    }
    assert!(explained > 200, "the market straddles often enough to matter: {explained}");
}
