//! Old history from the archive: it costs no weight, and whatever it lacks comes from the exchange.

use std::collections::BTreeSet;
use std::time::Duration;

use klagg_backfill::{
    ArchiveRules, BackfillConfig, Event, FileFailure, FileFault, FileRequest, SymbolSpec, What,
};
use klagg_binance::Backoff;
use klagg_engine::{HistoryQuery, Keep};
use klagg_kline::{Kline, KlineStatus, Period, SymbolId, UnixMillis};
use proptest::prelude::*;

use crate::world::{World, config, kline};

/// Ten days of minutes: thirteen hours are of today, eleven of the oldest, nine days are whole.
const KEPT: usize = 10 * 1_440;

fn archived(periods: &[Period], capacity: &[usize], concurrency: usize) -> BackfillConfig {
    let backoff = Backoff { floor: Duration::from_secs(1), ceiling: Duration::from_secs(30) };
    let archive = Some(ArchiveRules { concurrency, backoff, seed: 7 });
    BackfillConfig { archive, gap_klines_max: 50_000, ..config(periods, capacity) }
}

/// What the archive would hold if nothing was wrong with it.
fn rows(request: &FileRequest) -> Vec<Kline> {
    let file = request.file;
    let next = |at: &UnixMillis| Some(file.period.next_open_time(*at));
    let times = std::iter::successors(Some(file.span.from), next);
    times.take_while(|&at| at < file.span.until).map(|at| kline(file.period, at)).collect()
}

fn run(config: BackfillConfig, symbols: u32, archive: crate::world::Archive) -> World {
    let mut world = World::new(config, symbols, 2_400);
    world.archive = archive;
    world.run_to_confirming();
    world
}

/// Everything that is kept is held, confirmed, and as the exchange has it.
fn assert_whole(world: &World, symbols: u32) {
    for (index, &period) in world.config.periods.as_slice().iter().enumerate() {
        for symbol in (0..symbols).map(SymbolId) {
            let query =
                HistoryQuery { from: None, to: None, limit: usize::MAX, keep: Keep::Newest };
            let records = world.history.read(symbol, index, &query);
            let wanted = world.config.capacity[index];
            // The newest may not be confirmed yet, and takes the oldest one's place.
            assert!(records.len() + 2 >= wanted, "{} of {wanted} {period}", records.len());
            for pair in records.windows(2) {
                let next = period.next_open_time(pair[0].kline.open_time);
                assert_eq!(next, pair[1].kline.open_time, "a hole in the {period} of {symbol}");
            }
            for record in &records {
                let expected = kline(period, record.kline.open_time);
                assert!(record.kline.same_values(&expected), "{record:?}");
                assert_eq!(record.status, KlineStatus::Confirmed, "{record:?}");
            }
        }
    }
}

/// Minutes that were asked of the exchange.
fn asked(world: &World) -> BTreeSet<(SymbolId, UnixMillis)> {
    let mut all = BTreeSet::new();
    for granted in &world.granted {
        let What::Klines(page) = granted.request.what else { continue };
        let mut at = page.from;
        while page.period == Period::M1 && at < page.until {
            all.insert((granted.request.symbol, at));
            at = page.period.next_open_time(at);
        }
    }
    all
}

fn weight(world: &World) -> u32 {
    world.granted.iter().map(|granted| granted.request.weight()).sum()
}

#[test]
fn whole_days_come_from_the_archive_and_nothing_of_them_from_the_exchange() {
    let periods = [Period::M1, Period::M5, Period::H1];
    let capacity = [KEPT, 2_000, 200];
    let world = run(archived(&periods, &capacity, 4), 3, Box::new(|request, _| Ok(rows(request))));
    assert_whole(&world, 3);
    let counts = world.core.progress().counts;
    assert_eq!((counts.files, counts.files_missing, counts.files_failed), (30, 0, 0));
    assert!(counts.klines_archived >= 3 * 9 * 1_300, "{counts:?}");
    let asked = asked(&world);
    for (_, request) in &world.files {
        let (from, until) = (request.file.from, request.file.until);
        let twice = asked.range((request.symbol, from)..(request.symbol, until)).next();
        assert_eq!(twice, None, "asked of both");
    }
    let without = run(config(&periods, &capacity), 3, Box::new(|_, _| Err(FileFailure::Missing)));
    assert_eq!(without.files.len(), 0, "who does not want the archive does not ask it");
    let (with, without) = (weight(&world), weight(&without));
    assert!(with * 3 < without, "{with} of {without}");
}

#[test]
fn what_the_archive_does_not_give_as_it_must_comes_from_the_exchange() {
    let check = |name: &str, archive: crate::world::Archive, said: usize| {
        let world = run(archived(&[Period::M1], &[KEPT], 4), 2, archive);
        assert_whole(&world, 2);
        let counts = world.core.progress().counts;
        let left_out = |notice: &&klagg_backfill::Notice| notice.to_string().contains("left out");
        let sentences = world.notices.iter().filter(left_out).count();
        assert_eq!(sentences, said, "{name}: {:?}", world.notices);
        // Each file was asked for once, and never again in the sweeps since.
        let files: BTreeSet<_> =
            world.files.iter().map(|(_, of)| (of.symbol, of.file.span)).collect();
        assert_eq!(files.len(), world.files.len(), "{name}");
        counts
    };
    let missing = check("missing", Box::new(|_, _| Err(FileFailure::Missing)), 0);
    assert_eq!((missing.files, missing.files_missing, missing.klines_archived), (0, 20, 0));
    let refused = |fault| Err(FileFailure::Refused(fault));
    let wrong = check("checksum", Box::new(move |_, _| refused(FileFault::Checksum)), 20);
    assert_eq!((wrong.files, wrong.files_checksum), (0, 20));
    let unsorted = check(
        "unsorted",
        Box::new(|request, _| {
            let mut rows = rows(request);
            rows.swap(3, 4);
            Ok(rows)
        }),
        20,
    );
    assert_eq!((unsorted.files_unsorted, unsorted.klines_archived), (20, 0));
    let shifted = check(
        "of another day",
        Box::new(|request, _| {
            let later = |of: Kline| Kline { open_time: of.open_time.plus(86_400_000), ..of };
            Ok(rows(request).into_iter().map(later).collect())
        }),
        20,
    );
    assert_eq!((shifted.files_out_of_place, shifted.klines_archived), (20, 0));
    // Holes, and minutes without trades: the rest of the file is taken.
    let holes = check(
        "holes",
        Box::new(|request, _| {
            let mut rows = rows(request);
            rows.drain(700..730);
            for row in rows.iter_mut().step_by(300) {
                row.trade_count = 0;
            }
            Ok(rows)
        }),
        0,
    );
    assert_eq!(holes.files, 20);
    assert!(holes.klines_left >= 16 * 5 && holes.klines_archived > 18 * 1_000, "{holes:?}");
}

#[test]
fn an_archive_that_cannot_be_reached_is_left_alone_and_asked_again_later() {
    let mut world = World::new(archived(&[Period::M1], &[KEPT], 4), 4, 2_400);
    world.archive = Box::new(|_, _| Err(FileFailure::Unreachable));
    world.tell(Event::Live(world.exchange()));
    world.run_to(Duration::from_mins(20), |world| world.core.progress().history_complete);
    assert!(world.local < Duration::from_mins(5), "nobody waited long: {:?}", world.local);
    assert_whole(&world, 4);
    let said = |world: &World| {
        let of = world.notices.iter().filter(|of| of.to_string().contains("cannot be reached"));
        of.count()
    };
    assert_eq!(said(&world), 1);
    assert!(world.files.len() <= 5 * 4, "{} tries", world.files.len());
    // Pauses between the tries grow.
    let mut times: Vec<Duration> = world.files.iter().map(|(at, _)| *at).collect();
    times.dedup();
    assert!(times.windows(2).all(|pair| pair[1] > pair[0] + Duration::from_millis(900)));
    let tried = world.files.len();
    world.run_until(world.local + Duration::from_mins(30));
    assert_eq!(world.files.len(), tried, "all is there: nothing is left to be fetched");
}

#[test]
fn a_day_that_is_in_doubt_is_asked_of_the_exchange_and_not_of_the_archive() {
    let periods = [Period::M1, Period::H1, Period::D1];
    let mut config = archived(&periods, &[4_000, 100, 400], 4);
    config.tick = Duration::from_secs(20);
    let mut world = World::new(config, 2, 2_400);
    world.archive = Box::new(|request, _| Ok(rows(request)));
    world.run_to_confirming();
    assert_eq!(world.files.len(), 4, "two whole days of each");
    // This day will be another one at the exchange, though all its minutes are equal. The second
    // symbol is checked when the day's file has long been published.
    let (symbol, day) = (SymbolId(1), Period::D1.open_time(world.exchange()));
    let mut other = kline(Period::D1, day);
    other.trade_count += 1;
    world.official.insert((symbol, Period::D1, day), other);
    world.run_to(Duration::from_hours(30), |world| {
        world.notices.iter().any(|notice| notice.to_string().contains("the 1d of S1 at"))
    });
    let granted = world.granted.len();
    world.run_until(world.local + Duration::from_mins(5));
    assert_eq!(world.files.len(), 4);
    let again = world.granted[granted..].iter().map(|granted| match granted.request.what {
        What::Klines(page) if page.period == Period::M1 => u64::from(page.klines),
        _ => 0,
    });
    assert!(again.sum::<u64>() >= 1_440, "all its minutes come from the exchange");
}

#[test]
fn a_file_of_the_day_of_the_listing_may_hold_klines_of_the_names_former_owner() {
    let mut world = World::new(archived(&[Period::M1, Period::H1], &[KEPT, 300], 4), 1, 2_400);
    world.archive = Box::new(|request, _| {
        let mut rows = rows(request);
        for row in &mut rows {
            row.trade_count += u64::from(request.symbol.0);
        }
        Ok(rows)
    });
    world.run_to_confirming();
    // Listed at noon four days ago, while nobody looked: until then its name was another's.
    let (id, name) = (SymbolId(1), "NEW".into());
    let first_open_time = Period::D1.open_time(world.exchange()).plus(-4 * 86_400_000);
    let listed = first_open_time.plus(12 * 3_600_000);
    world.listed.insert(id, listed);
    let spec = SymbolSpec { id, name, first_open_time, is_listed: true };
    world.tell(Event::Added(vec![spec]));
    world.run_until(world.local + Duration::from_mins(10));
    let query = HistoryQuery { from: None, to: None, limit: usize::MAX, keep: Keep::Newest };
    let records = world.history.read(id, 0, &query);
    assert_eq!(records[0].kline.open_time, listed, "nothing of its name's former owner");
    let first_day_until = first_open_time.plus(86_400_000);
    let archived = |record: &klagg_kline::KlineRecord| {
        let official = kline(Period::M1, record.kline.open_time);
        (!record.kline.same_values(&official)).then_some(record.kline.open_time)
    };
    let archived: Vec<_> = records.iter().filter_map(archived).collect();
    // The minute after it is asked of the exchange as well: it tells that none is older.
    assert!(archived.iter().all(|&at| at > first_day_until), "its first day is the exchange's");
    assert_eq!(archived.len(), 3 * 1_440 - 1);
    assert!(records.windows(2).all(|pair| {
        Period::M1.next_open_time(pair[0].kline.open_time) == pair[1].kline.open_time
    }));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(20))]

    /// Whatever the archive does, and whenever: in the end everything is held, as the exchange has
    /// it, and never are more files under way than may be.
    #[test]
    fn history_is_whole_whatever_the_archive_does(
        seed in any::<u64>(),
        concurrency in 1_usize..6,
        symbols in 1_u32..4,
        down_from in 0_u64..60,
        down_for in 0_u64..600,
        exchange_down in 0_u64..40,
    ) {
        let periods = [Period::M1, Period::M15, Period::H1];
        let mut config = archived(&periods, &[5 * 1_440, 700, 900], concurrency);
        config.archive = config.archive.map(|rules| ArchiveRules { seed, ..rules });
        let mut world = World::new(config, symbols, 2_400);
        world.down_until = Duration::from_secs(exchange_down);
        world.archive = Box::new(move |request, at| {
            let second = at.as_secs();
            if (down_from..down_from + down_for).contains(&second) {
                return Err(FileFailure::Unreachable);
            }
            let file = request.file.from.0.unsigned_abs();
            let mut chance = seed ^ file ^ u64::from(request.symbol.0);
            chance = (chance ^ (chance >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            let mut rows = rows(request);
            match (chance >> 40) % 8 {
                0 => return Err(FileFailure::Missing),
                1 => return Err(FileFailure::Refused(FileFault::Unreadable)),
                2 => return Err(FileFailure::Unreachable),
                3 => rows.truncate(rows.len() / 3),
                4 => drop(rows.drain(rows.len() / 2..rows.len() / 2 + 40)),
                5 => rows.reverse(),
                _ => {}
            }
            Ok(rows)
        });
        world.run_to_confirming();
        assert_whole(&world, symbols);
        for (at, request) in &world.files {
            let latency = Duration::from_millis(100);
            let is_under_way = |other: &Duration| other <= at && *at < *other + latency;
            let together = world.files.iter().filter(|(other, _)| is_under_way(other));
            prop_assert!(together.count() <= concurrency, "{:?}", request);
        }
    }
}
