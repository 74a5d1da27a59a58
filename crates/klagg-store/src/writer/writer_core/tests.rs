//! The writer driven by hand.

use klagg_kline::{Kline, KlineRecord, KlineStatus, Period, Price, SymbolId, UnixMillis};

use super::*;

const fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

fn core() -> WriterCore {
    WriterCore::new(WriterConfig {
        commit_rows_max: 3,
        queue_rows_max: 10,
        cadence: ms(1_000),
        open_cadence: ms(3_000),
        retry_min: ms(100),
        retry_max: ms(350),
        drain_deadline: ms(2_000),
    })
}

fn rows(count: usize) -> Vec<StoredKline> {
    let kline = Kline::flat(UnixMillis(60_000), Price::from_scaled(1));
    let record = KlineRecord { kline, revision: 0, status: KlineStatus::Closed };
    vec![StoredKline { symbol: SymbolId(0), period: Period::M1, record }; count]
}

fn closed(count: usize) -> Batch {
    Batch { closed: rows(count), ..Batch::default() }
}

fn open(count: usize) -> Batch {
    Batch { open: rows(count), ..Batch::default() }
}

const COMMIT: WriterStep = WriterStep::Commit { reopen: false };
const REOPEN_AND_COMMIT: WriterStep = WriterStep::Commit { reopen: true };

fn pull(wants_open: bool) -> WriterStep {
    WriterStep::Pull { rows_max: 3, wants_open }
}

#[test]
fn everything_submitted_is_written_before_anything_is_pulled() {
    let mut core = core();
    for _ in 0..2 {
        assert_eq!(core.next(ms(0)), WriterStep::Take(3));
        core.taken(Some(closed(2)));
        assert_eq!(core.next(ms(0)), COMMIT);
        assert_eq!(core.batch().rows(), 2);
        core.committed(ms(1));
    }
    core.taken(None);
    assert_eq!(core.next(ms(1)), pull(true));
    // What fills a pull may have left something behind.
    core.pulled(ms(1), closed(3));
    core.committed(ms(2));
    assert_eq!(core.next(ms(2)), pull(true));
    core.pulled(ms(2), closed(1));
    core.committed(ms(3));
    assert_eq!(core.next(ms(3)), WriterStep::Wait(ms(1_003)));
    core.woken();
    assert_eq!(core.next(ms(4)), WriterStep::Take(3));
}

#[test]
fn open_klines_are_asked_for_on_their_own_cadence_and_at_the_end() {
    let mut core = core();
    let round = |core: &mut WriterCore, now, wants_open, batch| {
        core.taken(None);
        assert_eq!(core.next(now), pull(wants_open), "at {now:?}");
        core.pulled(now, batch);
        if core.batch().rows() > 0 {
            core.committed(now);
        }
    };
    round(&mut core, ms(0), true, Batch::default());
    core.woken();
    // None came, so the cadence has not begun.
    round(&mut core, ms(10), true, open(2));
    core.woken();
    round(&mut core, ms(3_009), false, closed(1));
    core.woken();
    round(&mut core, ms(3_010), true, open(1));
    core.stop(ms(3_020));
    core.woken();
    round(&mut core, ms(3_030), true, open(1));
    assert_eq!(core.next(ms(3_030)), WriterStep::Done);
}

#[test]
fn a_failed_batch_is_kept_and_tried_on_a_new_connection_ever_more_slowly() {
    let mut core = core();
    core.taken(Some(closed(2)));
    let mut now = ms(0);
    for pause in [100, 200, 350, 350] {
        assert_eq!(core.failed(now), ms(pause));
        now += ms(pause);
        assert_eq!(core.next(now), WriterStep::Pause(now));
        core.rested();
        assert_eq!(core.next(now), REOPEN_AND_COMMIT);
        assert_eq!(core.batch(), &closed(2));
    }
    core.committed(now);
    assert_eq!(core.next(now), WriterStep::Take(3));
    core.taken(Some(closed(1)));
    assert_eq!(core.next(now), COMMIT, "the new connection is trusted");
    assert_eq!(core.failed(now), ms(100), "and the patience is whole again");
}

#[test]
fn a_stop_in_the_middle_of_a_round_is_followed_by_a_whole_one() {
    let mut core = core();
    core.taken(None);
    core.pulled(ms(0), closed(1));
    core.stop(ms(1));
    core.committed(ms(2));
    assert!(matches!(core.next(ms(2)), WriterStep::Wait(_)), "what was submitted meanwhile?");
    core.woken();
    core.taken(Some(closed(1)));
    core.committed(ms(3));
    core.taken(None);
    core.pulled(ms(3), Batch::default());
    assert_eq!(core.next(ms(3)), WriterStep::Done);
}

#[test]
fn a_disk_that_fails_for_as_long_as_a_stop_may_take_is_given_up() {
    let mut core = core();
    core.taken(Some(closed(2)));
    core.failed(ms(0));
    core.rested();
    core.stop(ms(500));
    core.failed(ms(2_499));
    core.rested();
    assert_eq!(core.next(ms(2_499)), REOPEN_AND_COMMIT);
    core.failed(ms(2_500));
    assert_eq!(core.next(ms(2_500)), WriterStep::GiveUp);
    assert_eq!(core.batch().rows(), 2, "what is left can be told");
}
