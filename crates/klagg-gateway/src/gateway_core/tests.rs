//! Tables: what workers do, what is said, and what a snapshot shows.

use std::time::Duration;

use klagg_engine::{HistoryConfig, HistoryReader, WorkerCounters, history};
use klagg_kline::{Kline, KlineRecord, KlineStatus, Period, PeriodSet, Price, SymbolId, TradeId};

use super::*;

fn config() -> GatewayConfig {
    GatewayConfig {
        cadence: Duration::from_millis(100),
        worker_timeout: Duration::from_millis(50),
        alarm_threshold: 3,
        symbols_max: 8,
        periods: PeriodSet::new(&[Period::M1, Period::M5]).unwrap(),
    }
}

fn core(workers: usize) -> GatewayCore {
    core_and_history(workers).0
}

fn core_and_history(workers: usize) -> (GatewayCore, HistoryReader) {
    let config = config();
    let (writer, reader) = history(HistoryConfig {
        periods: config.periods.clone(),
        symbols_max: config.symbols_max,
        capacity: vec![16, 16],
        log_capacity: 64,
    })
    .unwrap();
    (GatewayCore::new(&config, workers, writer).unwrap(), reader)
}

fn data(symbol: u32, minute: i64, last_id: i64, status: KlineStatus) -> KlineData {
    let flat = Kline::flat(UnixMillis(minute * 60_000), Price::from_scaled(1));
    let kline = Kline { trade_count: 1, first_id: TradeId(0), last_id: TradeId(last_id), ..flat };
    let record = KlineRecord { kline, revision: 0, status };
    KlineData { symbol: SymbolId(symbol), period_index: 0, record }
}

fn open(symbol: u32, minute: i64, last_id: i64) -> KlineData {
    data(symbol, minute, last_id, KlineStatus::Open)
}

fn closed(symbol: u32, minute: i64, last_id: i64) -> KlineData {
    data(symbol, minute, last_id, KlineStatus::Closed)
}

fn delta(sequence: u64, open: Vec<KlineData>, closed: Vec<KlineData>) -> WorkerDelta {
    WorkerDelta {
        worker: 0,
        sequence,
        exchange_time: Some(UnixMillis(sequence.cast_signed())),
        open,
        closed,
        ended: Vec::new(),
        holes: Vec::new(),
        counters: WorkerCounters::default(),
        closed_dropped: 0,
        is_last: false,
    }
}

#[test]
fn one_alarm_is_raised_at_the_threshold_and_one_recovery_ends_it() {
    let mut core = core(2);
    let now = UnixMillis(7);
    let mut miss = |consecutive| {
        let notice = core.missed(1, now);
        let expected = match consecutive {
            3 => WorkerNotice::Alarm { worker: 1, consecutive },
            _ => WorkerNotice::TimedOut { worker: 1, consecutive },
        };
        assert_eq!(notice, expected);
        assert_eq!(core.worker(1).alarmed, consecutive >= 3);
    };
    (1..=5).for_each(&mut miss);
    // An answer that comes late is taken, but proves nothing about the next one.
    let late = core.take(1, delta(1, vec![open(1, 0, 1)], vec![]), Timing::Late, now);
    assert_eq!(late.notice, None);
    assert_eq!(core.worker(1).consecutive_timeouts, 5);
    let in_time = core.take(1, delta(2, vec![], vec![]), Timing::InTime, now);
    assert_eq!(in_time.notice, Some(WorkerNotice::Recovered { worker: 1, after: 5 }));
    assert_eq!(core.take(1, delta(3, vec![], vec![]), Timing::InTime, now).notice, None);
    let state = core.publish(now).workers[1];
    assert_eq!((state.consecutive_timeouts, state.alarmed, state.timeouts), (0, false, 5));
    let mut again =
        |consecutive| core.missed(1, now) == WorkerNotice::Alarm { worker: 1, consecutive };
    assert_eq!([again(1), again(2), again(3), again(4)], [false, false, true, false]);
}

#[test]
fn a_worker_that_started_again_is_told_of_once_and_counts_as_answering() {
    let mut core = core(1);
    let now = UnixMillis(0);
    core.missed(0, now);
    let mut again = delta(1, vec![open(0, 0, 1)], vec![]);
    again.counters.restarts = 2;
    let next = WorkerDelta { sequence: 2, ..again.clone() };
    let notice = core.take(0, again, Timing::InTime, now).notice;
    assert_eq!(notice, Some(WorkerNotice::Restarted { worker: 0, restarts: 2 }));
    assert_eq!(core.worker(0).consecutive_timeouts, 0);
    assert_eq!(core.take(0, next, Timing::InTime, now).notice, None);
}

#[test]
fn what_a_late_worker_showed_stays_and_is_stale_since_its_last_answer() {
    let mut core = core(2);
    let _ = core.take(0, delta(1, vec![open(0, 0, 1)], vec![]), Timing::InTime, UnixMillis(100));
    let _ = core.take(1, delta(1, vec![open(1, 0, 1)], vec![]), Timing::InTime, UnixMillis(100));
    core.publish(UnixMillis(100));
    core.missed(1, UnixMillis(250));
    let snapshot = core.publish(UnixMillis(250));
    assert_eq!(snapshot.staleness(SymbolId(0)), None);
    assert_eq!(snapshot.staleness(SymbolId(1)), Some(150));
    assert_eq!(snapshot.slot(SymbolId(1), 0).unwrap().open, Some(&open(1, 0, 1).record));
    // What comes late makes it younger, not fresh.
    let _ = core.take(1, delta(2, vec![open(1, 0, 2)], vec![]), Timing::Late, UnixMillis(300));
    core.missed(1, UnixMillis(350));
    let snapshot = core.publish(UnixMillis(350));
    assert_eq!(snapshot.staleness(SymbolId(1)), Some(50));
    assert_eq!(snapshot.slot(SymbolId(1), 0).unwrap().open, Some(&open(1, 0, 2).record));
    let _ = core.take(1, delta(3, vec![], vec![]), Timing::InTime, UnixMillis(400));
    assert_eq!(core.publish(UnixMillis(400)).staleness(SymbolId(1)), None);
}

#[test]
fn what_was_open_of_a_symbol_that_ended_is_shown_no_more_and_the_change_is_told() {
    let mut core = core(1);
    let now = UnixMillis(0);
    let _ = core.take(0, delta(1, vec![open(0, 3, 9), open(1, 3, 9)], vec![]), Timing::InTime, now);
    core.publish(now);
    let ended = |sequence, open| WorkerDelta {
        ended: vec![SymbolId(1), SymbolId(7)],
        ..delta(sequence, open, vec![closed(1, 3, 5)])
    };
    let _ = core.take(0, ended(2, vec![]), Timing::InTime, now);
    let snapshot = core.publish(now);
    let slot = snapshot.slot(SymbolId(1), 0).unwrap();
    assert_eq!((slot.open, slot.last_closed), (None, Some(&closed(1, 3, 5).record)));
    let changed: Vec<_> = snapshot.changed_since(1).collect();
    assert_eq!(changed, [(SymbolId(1), 0)]);
    assert_eq!(snapshot.slot(SymbolId(0), 0).unwrap().open, Some(&open(0, 3, 9).record));
    // Told once more, because nobody knew that it had arrived, and back again meanwhile.
    let _ = core.take(0, ended(3, vec![open(1, 4, 9)]), Timing::InTime, now);
    let snapshot = core.publish(now);
    assert_eq!(snapshot.slot(SymbolId(1), 0).unwrap().open, Some(&open(1, 4, 9).record));
}

#[test]
fn an_older_delta_cannot_take_a_slot_back_but_its_closed_klines_count() {
    let (mut core, history) = core_and_history(1);
    let now = UnixMillis(0);
    let _ = core.take(0, delta(5, vec![open(0, 3, 9)], vec![closed(0, 2, 5)]), Timing::InTime, now);
    let older = delta(4, vec![open(0, 2, 4), open(1, 2, 4)], vec![closed(2, 1, 3)]);
    let _ = core.take(0, older, Timing::Late, now);
    let snapshot = core.publish(now);
    let slot = |symbol| snapshot.slot(SymbolId(symbol), 0).unwrap_or_default();
    assert_eq!(slot(0).open, Some(&open(0, 3, 9).record));
    assert_eq!(slot(0).last_closed, Some(&closed(0, 2, 5).record));
    assert_eq!(slot(1).open, None);
    assert_eq!(slot(2).last_closed, Some(&closed(2, 1, 3).record));
    assert_eq!((snapshot.counters.deltas, snapshot.counters.deltas_late), (2, 1));
    assert_eq!(core.last_delta(0).map(|delta| delta.sequence), Some(5));
    assert_eq!(history.get(SymbolId(2), 0, UnixMillis(60_000)), Some(closed(2, 1, 3).record));
}

#[test]
fn a_worker_that_ends_is_an_alarm_once_unless_it_had_finished() {
    let mut core = core(2);
    let now = UnixMillis(5);
    assert_eq!(core.died(0, now), Some(WorkerNotice::Died { worker: 0 }));
    assert_eq!(core.died(0, now), None);
    assert!(core.worker(0).dead && core.worker(0).alarmed && core.worker(0).has_ended());
    let last = WorkerDelta { is_last: true, ..delta(1, vec![], vec![]) };
    let _ = core.take(1, last, Timing::InTime, now);
    assert_eq!(core.died(1, now), None);
    assert!(core.worker(1).finished && !core.worker(1).dead && !core.worker(1).alarmed);
}

#[test]
fn a_page_shows_its_newest_kline_unless_the_slot_has_a_newer_one() {
    let mut core = core(1);
    let now = UnixMillis(0);
    let page = |symbol, minutes: &[i64]| HistoryPage {
        symbol: SymbolId(symbol),
        period: Period::M1,
        records: minutes.iter().map(|minute| closed(0, *minute, 1).record).collect(),
    };
    let _ = core.take(0, delta(1, vec![open(0, 4, 9)], vec![closed(0, 3, 8)]), Timing::InTime, now);
    core.publish(now);
    core.page(&page(0, &[1, 2]));
    core.page(&page(1, &[5, 6]));
    let snapshot = core.publish(now);
    let slot = |symbol| snapshot.slot(SymbolId(symbol), 0).unwrap_or_default();
    assert_eq!(slot(0).last_closed, Some(&closed(0, 3, 8).record));
    assert_eq!(slot(1).last_closed, Some(&closed(1, 6, 1).record));
    assert_eq!(snapshot.changed_since(1).collect::<Vec<_>>(), [(SymbolId(1), 0)]);
    assert_eq!(snapshot.counters.pages, 2);
    core.page(&HistoryPage { period: Period::D1, ..page(1, &[1, 2, 3]) });
    assert_eq!(core.counters().out_of_range, 3, "a period that is not kept is counted");
}

#[test]
fn a_page_and_an_answer_behind_it_leave_the_same_in_the_slot_and_in_the_history() {
    let (mut core, history) = core_and_history(1);
    let now = UnixMillis(0);
    let doubtful = |last_id| data(0, 3, last_id, KlineStatus::Provisional);
    let page =
        |record| HistoryPage { symbol: SymbolId(0), period: Period::M1, records: vec![record] };
    core.page(&page(doubtful(5).record));
    let _ = core.take(0, delta(1, Vec::new(), vec![doubtful(9)]), Timing::InTime, now);
    let shown = |core: &mut GatewayCore| {
        core.publish(now).slot(SymbolId(0), 0).and_then(|slot| slot.last_closed.copied())
    };
    let kept = || history.get(SymbolId(0), 0, UnixMillis(3 * 60_000));
    assert_eq!((shown(&mut core), kept()), (Some(doubtful(5).record), Some(doubtful(5).record)));
    let corrected = KlineRecord { status: KlineStatus::Confirmed, ..closed(0, 3, 7).record };
    core.page(&page(corrected));
    let _ = core.take(0, delta(2, Vec::new(), vec![closed(0, 3, 9)]), Timing::InTime, now);
    assert_eq!(shown(&mut core), kept(), "its revision as well");
}

#[test]
fn a_symbol_beyond_the_limit_is_counted_and_the_rest_goes_on() {
    let mut core = core(1);
    let beyond = KlineData { period_index: 2, ..open(0, 0, 1) };
    let news = vec![open(8, 0, 1), beyond, open(7, 0, 1)];
    let _ = core.take(0, delta(1, news, vec![]), Timing::InTime, UnixMillis(0));
    let snapshot = core.publish(UnixMillis(0));
    assert_eq!((snapshot.counters.out_of_range, snapshot.symbols()), (2, 8));
    assert!(snapshot.slot(SymbolId(7), 0).unwrap().open.is_some());
    assert!(snapshot.slot(SymbolId(8), 0).is_none() && snapshot.slot(SymbolId(0), 2).is_none());
    assert_eq!(snapshot.symbol_slots(SymbolId(7)).count(), 2);
    assert_eq!(snapshot.symbol_slots(SymbolId(8)).count(), 0);
}

#[test]
fn only_a_held_snapshot_costs_a_clone_and_only_what_is_left_alone_a_copy() {
    let mut core = core(1);
    let mut sequence = 0_u64;
    let mut publish = |symbols: std::ops::Range<u32>| {
        sequence += 1;
        let id = sequence.cast_signed();
        let news = symbols.map(|symbol| open(symbol, 0, id)).collect();
        let _ = core.take(0, delta(sequence, news, vec![]), Timing::InTime, UnixMillis(0));
        let snapshot = core.publish(UnixMillis(0));
        (snapshot.counters.clones, snapshot.counters.copied, snapshot)
    };
    let (clones, copied, _) = publish(0..8);
    assert_eq!((clones, copied), (0, 0));
    let (clones, copied, _) = publish(0..8);
    assert_eq!((clones, copied), (0, 0), "all were written again");
    let (clones, copied, held) = publish(0..5);
    assert_eq!((clones, copied), (0, 3), "the other three are as the tick before left them");
    let (clones, copied, _) = publish(0..1);
    assert_eq!((clones, copied), (0, 7), "the one before `held` was free");
    let (clones, copied, newest) = publish(0..1);
    assert_eq!((clones, copied), (1, 7), "`held` was in the way, and its clone lacks nothing");
    let (clones, _, _) = publish(0..1);
    assert_eq!(clones, 1, "the clone has taken its place");
    let ids = |snapshot: &GlobalKlines| {
        let open = (0..8).map(|symbol| snapshot.slot(SymbolId(symbol), 0).unwrap().open.unwrap());
        open.map(|record| record.kline.last_id.0).collect::<Vec<_>>()
    };
    assert_eq!(ids(&held), [3, 3, 3, 3, 3, 2, 2, 2]);
    assert_eq!(ids(&newest), [5, 3, 3, 3, 3, 2, 2, 2]);
}

#[test]
fn a_reader_that_skipped_snapshots_still_learns_every_changed_slot() {
    let mut core = core(1);
    for sequence in 1..=4 {
        let symbol = u32::try_from(sequence).unwrap();
        let news = vec![open(symbol, 0, 1)];
        let _ = core.take(0, delta(sequence, news, vec![]), Timing::InTime, UnixMillis(0));
        core.publish(UnixMillis(0));
    }
    let check = |since: u64, expected: &[u32]| {
        let changed: Vec<_> = core.published().changed_since(since).collect();
        let expected: Vec<_> = expected.iter().map(|symbol| (SymbolId(*symbol), 0)).collect();
        assert_eq!(changed, expected, "since {since}");
    };
    check(4, &[]);
    check(3, &[4]);
    check(2, &[3, 4]);
    check(0, &[1, 2, 3, 4]);
}

#[test]
fn a_clock_that_steps_back_does_not_take_a_snapshot_back() {
    let mut core = core(1);
    assert_eq!(core.publish(UnixMillis(500)).published_at, UnixMillis(500));
    assert_eq!(core.publish(UnixMillis(400)).published_at, UnixMillis(500));
    assert_eq!(core.publish(UnixMillis(600)).published_at, UnixMillis(600));
}
