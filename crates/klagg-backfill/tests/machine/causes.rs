//! Why minutes differed, and pages that are not what was asked for.

use std::time::Duration;

use klagg_backfill::{Answer, Event, RequestId};
use klagg_engine::Hole;
use klagg_kline::{Kline, KlineRecord, KlineStatus, Period, SymbolId, TradeId, UnixMillis, Volume};

use crate::world::{MINUTE, World, config, kline};

const SYMBOL: SymbolId = SymbolId(0);

/// Confirms the minutes that follow, of which ours are `ours`; gives the counts.
fn confirm(ours: &[(i64, u32, KlineStatus)]) -> klagg_backfill::BackfillCounts {
    let mut world = World::new(config(&[Period::M1], &[99]), 1, 2_400);
    world.run_to_confirming();
    let first = Period::M1.open_time(world.exchange());
    let before = world.core.progress().counts;
    assert_eq!(before.confirmed_equal, 0);
    for (&(excess, revision, status), minute) in ours.iter().zip(0..) {
        let open_time = first.plus(minute * MINUTE);
        let official = kline(Period::M1, open_time);
        let volume = Volume::from_scaled(official.volume.scaled() + i128::from(excess));
        let record = KlineRecord { kline: Kline { volume, ..official }, revision, status };
        world.writer.apply(SYMBOL, 0, &[record]);
    }
    let minutes = ours.len() as u64 + 3;
    world.run_until(world.local + Duration::from_secs(60 * minutes));
    let newest = first.plus((i64::try_from(ours.len()).unwrap() - 1) * MINUTE);
    assert!(world.is_confirmed(SYMBOL, newest));
    world.core.progress().counts
}

#[test]
fn differences_are_counted_by_their_cause() {
    use KlineStatus::{Closed, Provisional};
    let counts = confirm(&[(0, 0, Closed), (5, 0, Closed), (-5, 0, Closed), (0, 0, Closed)]);
    assert_eq!((counts.confirmed_equal, counts.corrected_straddle), (2, 2), "{counts:?}");
    let counts = confirm(&[(5, 0, Closed), (0, 0, Closed), (3, 2, Closed), (0, 0, Closed)]);
    assert_eq!((counts.corrected_unexplained, counts.corrected_late), (1, 1), "{counts:?}");
    let counts = confirm(&[(9, 0, Provisional), (0, 0, Provisional)]);
    assert_eq!((counts.corrected_provisional, counts.confirmed_equal), (1, 1), "{counts:?}");
}

#[test]
fn what_the_exchange_changes_after_it_was_confirmed_is_counted_and_said() {
    let mut world = World::new(config(&[Period::M1, Period::H1], &[99, 20]), 1, 2_400);
    world.run_to_confirming();
    let hour = Period::H1.open_time(world.exchange().plus(-3 * 60 * MINUTE));
    let changed = kline(Period::H1, hour);
    let held = world.history.get(SYMBOL, 1, hour).unwrap();
    assert_eq!((held.kline, held.status), (changed, KlineStatus::Confirmed));
    let minute = Period::M1.open_time(world.exchange());
    let ours = KlineRecord {
        kline: Kline { trade_count: 77, ..kline(Period::M1, minute) },
        revision: 0,
        status: KlineStatus::Confirmed,
    };
    world.writer.apply(SYMBOL, 0, &[ours]);
    world.run_to(Duration::from_mins(10), |world| {
        world.core.progress().counts.corrected_confirmed == 1
    });
    let said =
        world.notices.iter().any(|notice| notice.to_string().contains("changed 1 klines 1m"));
    assert!(said, "{:?}", world.notices);
    let record = world.history.get(SYMBOL, 0, minute).unwrap();
    assert_eq!((record.kline.trade_count, record.revision), (1, 1));
}

#[test]
fn an_answer_that_nobody_waits_for_changes_nothing_and_is_counted() {
    let mut world = World::new(config(&[Period::M1], &[99]), 1, 2_400);
    world.run_to_confirming();
    let before = world.core.progress().clone();
    let answer = Answer::Klines(vec![kline(Period::M1, UnixMillis(0))]);
    world.tell(Event::Answered { id: RequestId(1), answer });
    let after = world.core.progress();
    assert_eq!((before.counts.answers_dropped, after.counts.answers_dropped), (0, 1));
    assert_eq!(before.counts.klines_fetched, after.counts.klines_fetched);
    assert_eq!(world.history.get(SYMBOL, 0, UnixMillis(0)), None);
}

#[test]
fn holes_of_symbols_that_nobody_follows_are_counted_and_left() {
    let mut world = World::new(config(&[Period::M1], &[99]), 1, 2_400);
    world.run_to_confirming();
    let minute = Some(UnixMillis(Period::M1.open_time(world.exchange()).0));
    world.give_up(Hole { symbol: SymbolId(9), first: TradeId(1), last: TradeId(2), minute });
    assert_eq!(world.core.progress().counts.holes_left, 1);
}
