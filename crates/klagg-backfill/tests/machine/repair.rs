//! How soon holes are repaired once link and exchange are back.

use std::time::Duration;

use klagg_backfill::{Confirmation, What};
use klagg_engine::Hole;
use klagg_kline::{
    Kline, KlineStatus, Period, Price, Quantity, Side, SymbolId, Trade, TradeId, UnixMillis,
};

use crate::world::{MINUTE, World, config, kline};

const SYMBOLS: u32 = 740;

/// All 740 symbols, history complete, an exchange of 2,400 a minute.
fn running() -> World {
    let mut world = World::new(config(&[Period::M1], &[99]), SYMBOLS, 2_400);
    world.run_to_confirming();
    world
}

/// Cuts link and REST until a second into a minute, the worst instant, since that one is broken
/// too: three minutes of `symbols`, out of `all`, are provisional. Gives how long after both are
/// back everything is repaired.
fn outage(world: &mut World, symbols: std::ops::Range<u32>, all: u32) -> Duration {
    let before_end = 20_000;
    let into = world.exchange().0.rem_euclid(MINUTE);
    let wait = (2 * MINUTE - before_end - into).unsigned_abs();
    world.run_until(world.local + Duration::from_millis(wait));
    let first = Period::M1.open_time(world.exchange());
    let cut = world.local;
    let back = cut + Duration::from_secs(81);
    world.down_until = back;
    let minutes = [first, first.plus(MINUTE), first.plus(2 * MINUTE)];
    for (minute, end) in minutes.iter().zip([20, 80, 140]) {
        world.run_until(cut + Duration::from_secs(end));
        for id in 0..all {
            let broken = symbols.contains(&id);
            let status = if broken { KlineStatus::Provisional } else { KlineStatus::Closed };
            world.close(SymbolId(id), *minute, status);
        }
    }
    world.run_to(Duration::from_mins(10), |world| {
        symbols.clone().all(|id| minutes.iter().all(|&at| world.is_confirmed(SymbolId(id), at)))
    });
    world.local.saturating_sub(back)
}

#[test]
fn a_hole_of_one_symbol_is_repaired_within_65_seconds_and_of_all_within_120() {
    let mut world = running();
    let one = outage(&mut world, 300..301, SYMBOLS);
    assert!(one <= Duration::from_secs(65), "{one:?}");
    let all = outage(&mut world, 0..SYMBOLS, SYMBOLS);
    assert!(all <= Duration::from_mins(2), "{all:?}");
    assert!(world.spent_within_a_minute(|_| true) <= 1_920);
    assert!(world.core.progress().counts.pages_failed > 0, "the exchange was down");
}

#[test]
fn while_old_history_is_fetched_a_hole_is_repaired_as_soon() {
    // A quarter of the market with a quarter of the limit, and far more history than that buys.
    let (symbols, limit) = (SYMBOLS / 4, 600);
    let mut world = World::new(config(&[Period::M1], &[5_000]), symbols, limit);
    world.tell(klagg_backfill::Event::Live(world.exchange()));
    world.run_to(Duration::from_mins(10), |world| world.core.progress().ready);
    let all = outage(&mut world, 0..symbols, symbols);
    assert!(!world.core.progress().history_complete);
    assert!(all <= Duration::from_mins(2), "{all:?}");
}

fn hole(symbol: u32, minute: UnixMillis, first: i64, last: i64) -> Hole {
    let minute = Some(minute);
    Hole { symbol: SymbolId(symbol), first: TradeId(first), last: TradeId(last), minute }
}

fn trade(id: i64, time: UnixMillis) -> Trade {
    let (price, quantity) = (Price::from_scaled(1), Quantity::from_scaled(1));
    Trade::new(TradeId(id), time, price, quantity, 1, Side::Buy).unwrap()
}

fn trade_requests(world: &World) -> Vec<(u32, i64, u16)> {
    let of = |request: &klagg_backfill::Request| match request.what {
        What::Trades { from, limit } => Some((request.symbol.0, from.0, limit)),
        _ => None,
    };
    world.granted.iter().filter_map(|of_all| of(&of_all.request)).collect()
}

#[test]
fn a_small_hole_of_a_watched_symbol_is_filled_trade_by_trade_at_once() {
    let mut world = World::new(config(&[Period::M1], &[99]), 3, 2_400);
    world.run_to_confirming();
    let minute = Period::M1.open_time(world.exchange());
    for symbol in 0..3 {
        let trades = (1..2_000).map(|id| trade(id, minute.plus(id))).collect();
        world.trades.insert(SymbolId(symbol), trades);
    }
    world.give_up(hole(0, minute, 11, 40));
    // Told twice, asked once.
    world.give_up(hole(0, minute, 11, 40));
    world.give_up(hole(1, minute, 11, 40));
    world.give_up(hole(0, minute, 51, 1_051));
    world.give_up(Hole { minute: None, ..hole(0, minute, 1_060, 1_061) });
    world.tell(klagg_backfill::Event::Watched(vec![(SymbolId(2), Period::M1)]));
    world.give_up(hole(2, minute, 11, 11));
    world.run_until(world.local + Duration::from_secs(1));
    assert_eq!(trade_requests(&world), [(0, 11, 30), (2, 11, 1)]);
    let filled: Vec<_> = world.fills.iter().map(|(of, trades)| (of.0, trades.len())).collect();
    assert_eq!(filled, [(0, 30), (2, 1)]);
    let counts = world.core.progress().counts;
    assert_eq!((counts.holes, counts.holes_filled, counts.holes_left), (6, 2, 4));
}

#[test]
fn trades_that_are_not_had_leave_the_hole_to_klines() {
    let mut world = World::new(config(&[Period::M1], &[99]), 1, 2_400);
    world.run_to_confirming();
    let minute = Period::M1.open_time(world.exchange());
    // The exchange lacks one of them.
    let trades = [11, 12, 14].map(|id| trade(id, minute.plus(id)));
    world.trades.insert(SymbolId(0), trades.to_vec());
    world.give_up(hole(0, minute, 11, 14));
    world.run_until(world.local + Duration::from_secs(1));
    assert!(world.fills.is_empty());
    let counts = world.core.progress().counts;
    assert_eq!((counts.holes_filled, counts.holes_left), (0, 1));
    let end = minute.plus(MINUTE).since(world.exchange()).unsigned_abs();
    world.run_until(world.local + Duration::from_millis(end));
    world.close(SymbolId(0), minute, KlineStatus::Provisional);
    world.run_to(Duration::from_secs(5), |world| world.is_confirmed(SymbolId(0), minute));
}

#[test]
fn while_weight_is_short_no_trades_are_asked_for() {
    let mut world = World::new(config(&[Period::M1], &[99]), 1, 100);
    world.run_to_confirming();
    let minute = Period::M1.open_time(world.exchange());
    world.trades.insert(SymbolId(0), (1..9).map(|id| trade(id, minute.plus(id))).collect());
    world.give_up(hole(0, minute, 2, 2));
    world.run_until(world.local + Duration::from_secs(1));
    world.give_up(hole(0, minute, 4, 4));
    world.run_until(world.local + Duration::from_secs(1));
    world.give_up(hole(0, minute, 6, 6));
    world.run_until(world.local + Duration::from_secs(1));
    // 20 each, of 80 that may be spent: with the third, more than half would be gone.
    assert_eq!(trade_requests(&world).len(), 2);
    assert_eq!(world.core.progress().counts.holes_left, 1);
}

#[test]
fn holes_told_of_at_once_leave_half_of_the_weight_to_klines() {
    let mut config = config(&[Period::M1], &[99]);
    config.watched = (0..20).map(|id| format!("S{id}")).collect();
    let mut world = World::new(config, 20, 240);
    world.run_to_confirming();
    world.run_until(world.local + Duration::from_mins(2));
    let minute = Period::M1.open_time(world.exchange());
    for symbol in 0..20 {
        let trades = (1..9).map(|id| trade(id, minute.plus(id))).collect();
        world.trades.insert(SymbolId(symbol), trades);
        world.give_up(hole(symbol, minute, 2, 2));
    }
    let end = minute.plus(MINUTE).since(world.exchange()).unsigned_abs();
    world.run_until(world.local + Duration::from_millis(end));
    for symbol in 0..20 {
        world.close(SymbolId(symbol), minute, KlineStatus::Provisional);
    }
    world.run_to(Duration::from_secs(5), |world| {
        (0..20).all(|symbol| world.is_confirmed(SymbolId(symbol), minute))
    });
    let asked = trade_requests(&world).len();
    assert!((1..=5).contains(&asked), "{asked} of weight 20 each; 192 may be spent");
}

#[test]
fn a_symbol_whose_pages_are_never_right_is_asked_ever_more_seldom_and_soon_once_they_are() {
    let odd = SymbolId(1);
    let mut world = World::new(config(&[Period::M1], &[99]), 2, 2_400);
    world.run_to_confirming();
    let minute = Period::M1.open_time(world.exchange());
    // Every page of it holds a minute that is not on the grid.
    let asked_for = (0..40).map(|at| minute.plus(at * MINUTE));
    world.official.extend(asked_for.map(|at| {
        let other = Kline { open_time: at.plus(1), ..kline(Period::M1, at) };
        ((odd, Period::M1, at), other)
    }));
    world.run_until(world.local + Duration::from_mins(1));
    let (from, said) = (world.granted.len(), world.notices.len());
    for symbol in [SymbolId(0), odd] {
        world.close(symbol, minute, KlineStatus::Provisional);
    }
    world.run_to(Duration::from_secs(65), |world| world.is_confirmed(SymbolId(0), minute));
    world.run_until(world.local + Duration::from_mins(20));
    let times = |world: &World| {
        let of = world.granted[from..].iter().filter(|of| of.request.symbol == odd);
        of.map(|of| of.at).collect::<Vec<_>>()
    };
    let asked = times(&world);
    assert!((25..=35).contains(&asked.len()), "{asked:?}");
    let pauses = asked.windows(2).map(|pair| pair[1].saturating_sub(pair[0]));
    let pauses: Vec<_> = pauses.map(|pause| pause.as_secs()).take(5).collect();
    assert_eq!(pauses, [5, 10, 20, 40, 40]);
    let notices = world.notices[said..].iter().map(ToString::to_string);
    let said: Vec<_> = notices.filter(|of| of.contains("of S1 refused")).collect();
    assert_eq!(said.len(), asked.len());
    assert!(said[3].contains("4 in a row"), "{}", said[3]);
    // Once the exchange is well again, it is repaired as soon as any other.
    world.official.clear();
    world.run_to(Duration::from_secs(65), |world| world.is_confirmed(odd, minute));
}

#[test]
fn history_whose_pages_are_never_right_is_swept_ever_more_seldom() {
    let mut world = World::new(config(&[Period::M1], &[5_000]), 1, 2_400);
    let (symbol, minute) =
        (SymbolId(0), Period::M1.open_time(world.exchange()).plus(-3_000 * MINUTE));
    let other = Kline { open_time: minute.plus(1), ..kline(Period::M1, minute) };
    world.official.insert((symbol, Period::M1, minute), other);
    world.tell(klagg_backfill::Event::Live(world.exchange()));
    world.run_until(Duration::from_mins(10));
    let lacks = |of: &&klagg_backfill::Notice| of.to_string().contains("history lacks 1 pages");
    let sweeps = world.notices.iter().filter(lacks).count();
    assert!((12..=20).contains(&sweeps), "{sweeps}");
    assert!(!world.core.progress().history_complete);
    world.official.clear();
    world.run_to(Duration::from_secs(45), |world| world.core.progress().history_complete);
}

#[test]
fn a_symbol_whose_history_is_never_right_keeps_no_other_waiting_for_its_confirmation() {
    let mut world = World::new(config(&[Period::M1], &[5_000]), 2, 2_400);
    let old = Period::M1.open_time(world.exchange()).plus(-3_000 * MINUTE);
    let other = Kline { open_time: old.plus(1), ..kline(Period::M1, old) };
    world.official.insert((SymbolId(0), Period::M1, old), other);
    world.tell(klagg_backfill::Event::Live(world.exchange()));
    world.run_until(Duration::from_mins(3));
    assert!(world.core.progress().ready && !world.core.progress().history_complete);
    let minute = Period::M1.open_time(world.exchange());
    world.close(SymbolId(1), minute, KlineStatus::Closed);
    world.run_to(Duration::from_mins(7), |world| world.is_confirmed(SymbolId(1), minute));
}

#[test]
fn minutes_from_before_live_that_were_not_waited_for_are_fetched_as_soon_as_they_are_right() {
    let mut config = config(&[Period::M1], &[99]);
    config.confirmation = Confirmation::Doubtful;
    let mut world = World::new(config, 2, 2_400);
    let minute = Period::M1.open_time(world.exchange()).plus(-MINUTE);
    let other = Kline { open_time: minute.plus(1), ..kline(Period::M1, minute) };
    world.official.insert((SymbolId(1), Period::M1, minute), other);
    world.tell(klagg_backfill::Event::Live(world.exchange()));
    world.run_to(Duration::from_mins(3), |world| world.core.progress().ready);
    assert!(!world.is_confirmed(SymbolId(1), minute), "after three pages nobody waits for it");
    world.official.clear();
    world.run_to(Duration::from_secs(65), |world| world.is_confirmed(SymbolId(1), minute));
}

#[test]
fn minutes_that_end_a_longer_kline_that_is_in_doubt_do_not_wait_for_their_turn() {
    let mut world = World::new(config(&[Period::M1, Period::M5], &[99, 99]), 2, 2_400);
    world.run_to_confirming();
    let of_five = Period::M5.next_open_time(world.exchange());
    let end = Period::M5.next_open_time(of_five);
    let mut minute = of_five;
    while minute < end {
        minute = minute.plus(MINUTE);
        let wait = minute.since(world.exchange()).unsigned_abs();
        world.run_until(world.local + Duration::from_millis(wait));
        for symbol in [0, 1] {
            world.close(SymbolId(symbol), minute.plus(-MINUTE), KlineStatus::Closed);
        }
    }
    world.close_in_doubt(SymbolId(1), Period::M5, of_five);
    let last = end.plus(-MINUTE);
    world.run_until(world.local + Duration::from_secs(65));
    assert!(world.is_confirmed(SymbolId(1), last));
}
