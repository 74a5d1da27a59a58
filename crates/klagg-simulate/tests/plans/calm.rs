//! Plans in which nothing was wrong, and yet a minute was doubted or late.

use klagg_simulate::{Kind, fault};

use crate::holds;

#[test]
fn ids_that_were_burnt_leave_the_minute_behind_them_proven() {
    // A quiet minute, and before it one that its official kline ended with fewer trades than ids.
    holds(20_000_648, &[fault(0, Kind::Steady, 64_131, 0)]);
    holds(20_000_725, &[fault(0, Kind::Steady, 42_638, 0)]);
}

#[test]
fn a_worker_that_had_no_room_for_a_question_is_asked_again() {
    let faults = [
        fault(0, Kind::Steady, 30_972, 0),
        fault(28_540, Kind::StoreFull, 38_681, 3_825),
        fault(62_099, Kind::LateAnswers, 26_021, 3_694),
        fault(65_216, Kind::WorkerStall, 19_464, 2_672),
    ];
    holds(21_001_066, &faults);
}

#[test]
fn a_minute_waits_for_what_is_held_behind_burnt_ids_and_for_nothing_else() {
    let besides = [fault(0, Kind::Steady, 20_642, 0), fault(0, Kind::RawFills, 59_612, 0)];
    holds(20_002_264, &besides);
}

#[test]
fn a_socket_that_overtakes_the_one_it_replaces_shows_a_hole_where_none_is_held() {
    let besides = [fault(0, Kind::Steady, 2_665, 0), fault(0, Kind::ShortMessages, 5_019, 0)];
    holds(20_001_954, &besides);
}

#[test]
fn a_feed_tells_no_time_while_a_stream_is_subscribed() {
    let faults = [
        fault(0, Kind::Steady, 63_522, 0),
        fault(0, Kind::ShortMessages, 53_229, 0),
        fault(135_748, Kind::HalfOpen, 9_068, 533),
        fault(389_234, Kind::Relisting, 20_821, 130_940),
    ];
    holds(22_005_206, &faults);
}
