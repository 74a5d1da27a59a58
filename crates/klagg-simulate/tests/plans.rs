//! Two runs of a seed are the same; and plans that once broke a rule, kept as they were shrunk.

#[path = "plans/calm.rs"]
mod calm;
#[path = "plans/closed.rs"]
mod closed;
#[path = "plans/converged.rs"]
mod converged;
#[path = "plans/ended.rs"]
mod ended;
#[path = "plans/open.rs"]
mod open;
#[path = "plans/silence.rs"]
mod silence;
#[path = "plans/spent.rs"]
mod spent;

use klagg_simulate::{Fault, Kind, Plan, fault, run};

#[test]
fn two_runs_of_a_seed_leave_the_same_trace() {
    let mut traces = Vec::new();
    for seed in 1..=20 {
        let plan = Plan::draw(seed);
        let (first, second) = (run(seed, &plan), run(seed, &plan));
        assert_eq!(first, second, "seed {seed}");
        assert_eq!(first.violation, None, "seed {seed}");
        traces.push(first.trace);
    }
    traces.dedup();
    assert_eq!(traces.len(), 20, "and another seed another one");
}

fn holds(seed: u64, faults: &[Fault]) {
    let outcome = run(seed, &Plan { faults: faults.to_vec() });
    assert_eq!(outcome.violation, None, "seed {seed}");
}

#[test]
fn minutes_of_a_feed_that_is_silent_from_the_start_are_not_left_out() {
    let faults = [
        fault(31_815, Kind::NoConnect, 61_362, 30_294),
        fault(39_782, Kind::Duplicates, 3_797, 6_231),
        fault(58_787, Kind::SilentAll, 5_039, 45_827),
        fault(99_394, Kind::WorkerStall, 40_328, 2_969),
        fault(178_873, Kind::Banned, 39_731, 97_725),
    ];
    holds(153_714, &faults);
}

#[test]
fn a_name_listed_anew_on_the_same_day_while_the_process_was_down_is_another_symbol() {
    let faults = [
        fault(2_000, Kind::Banned, 10_659, 80_727),
        fault(2_000, Kind::Relisting, 31_466, 122_513),
        fault(50_567, Kind::RestOutage, 10_024, 79_213),
        fault(122_635, Kind::RestOutage, 12_389, 60_564),
        fault(164_084, Kind::Crash, 44_993, 602),
    ];
    holds(21_878, &faults);
}

#[test]
fn a_process_that_stood_still_knows_of_its_ban_once_it_has_read_of_it() {
    let faults =
        [fault(2_000, Kind::Banned, 8_382, 7_067), fault(2_000, Kind::Suspend, 13_440, 5_532)];
    holds(33_327, &faults);
}

#[test]
fn a_first_trade_of_a_confirmed_minute_does_not_move_the_price_behind_it() {
    let faults = [
        fault(2_000, Kind::WorkerStall, 19_742, 39_537),
        fault(63_785, Kind::RestOutage, 23_844, 40_030),
    ];
    holds(60_726, &faults);
}

#[test]
fn what_was_held_when_the_feed_was_cut_closes_no_minute_that_came_after() {
    let faults = [
        fault(141_652, Kind::Crash, 11_319, 1_382),
        fault(178_610, Kind::Disconnect, 61_556, 0),
        fault(182_370, Kind::WriterStall, 50_175, 44_720),
        fault(242_868, Kind::NoConnect, 8_148, 1_063),
        fault(245_538, Kind::SilentSymbol, 3_030, 782),
        fault(375_337, Kind::SilentPath, 24_708, 45_932),
    ];
    holds(178_721, &faults);
}

#[test]
fn an_older_kline_does_not_move_the_price_of_a_flat_minute() {
    let faults = [
        fault(178_032, Kind::RestOutage, 60_451, 66_850),
        fault(200_972, Kind::Crash, 33_433, 28_416),
        fault(267_725, Kind::SilentPath, 22_353, 46_586),
        fault(323_919, Kind::WorkerStall, 25_503, 27_477),
        fault(359_276, Kind::StoreFull, 28_578, 2_694),
        fault(359_293, Kind::Banned, 18_666, 84_021),
    ];
    holds(83_914, &faults);
}

#[test]
fn a_price_that_was_lost_while_the_process_stood_still_is_known_to_nobody() {
    let faults = [
        fault(83_130, Kind::Suspend, 54_643, 89_741),
        fault(83_217, Kind::SilentSocket, 51_555, 60_688),
        fault(114_660, Kind::Relisting, 39_362, 784),
        fault(180_779, Kind::Suspend, 57_931, 797),
    ];
    holds(79_737, &faults);
    let faults = [
        fault(36_219, Kind::SilentSocket, 21_717, 12_271),
        fault(37_817, Kind::Suspend, 36_722, 74_084),
        fault(58_829, Kind::Delisting, 57_901, 504),
    ];
    holds(249_636, &faults);
}

#[test]
fn a_trade_that_came_late_lags_since_it_came() {
    let faults = [
        fault(243_929, Kind::SilentAll, 10_409, 47_061),
        fault(302_430, Kind::GatewayStall, 34_174, 710),
        fault(303_452, Kind::Held, 63_193, 8_556),
    ];
    holds(100_242, &faults);
}

#[test]
fn a_clock_ahead_by_minutes_does_not_stop_requests_for_minutes() {
    let faults = [fault(0, Kind::Skew, 14_736, 644_191), fault(2_000, Kind::Listing, 16_159, 1)];
    holds(35, &faults);
}

#[test]
fn a_name_listed_anew_while_rest_is_down_gets_klines_of_its_own_only() {
    let faults = [
        fault(4_657, Kind::RestOutage, 65_338, 939),
        fault(22_298, Kind::Relisting, 34_459, 127_828),
        fault(60_063, Kind::RestOutage, 4_119, 76_239),
    ];
    holds(607, &faults);
}

#[test]
fn a_first_trade_of_the_minute_before_is_the_price_at_which_the_next_one_is_flat() {
    holds(2_655, &[]);
}

#[test]
fn a_name_listed_anew_while_its_old_history_waits_does_not_stop_confirmation() {
    let faults = [
        fault(120_829, Kind::Lost, 48_700, 24_193),
        fault(127_183, Kind::GatewayStall, 55_501, 2_042),
        fault(131_146, Kind::NoConnect, 1_197, 15_246),
        fault(187_055, Kind::Crash, 42_523, 3_711),
        fault(192_532, Kind::StoreFull, 13_463, 29_912),
        fault(194_038, Kind::RestTimeouts, 62_046, 56_363),
        fault(204_613, Kind::Relisting, 41_159, 17_062),
        fault(287_741, Kind::Listing, 18_502, 1),
        fault(300_742, Kind::HalfOpen, 13_633, 963),
    ];
    holds(5_376, &faults);
}

#[test]
fn a_stream_that_dies_alone_is_said_by_its_tickers() {
    for stream in 0..4 {
        holds(3, &[fault(70_000, Kind::DeadStream, stream << 8, 0)]);
        holds(8, &[fault(70_000, Kind::SilentSymbol, stream, 100_000)]);
    }
}

#[test]
fn a_name_listed_in_the_last_second_of_a_day_has_klines_of_its_first_day() {
    holds(42_756, &[fault(19_615, Kind::Listing, 48_496, 1)]);
    holds(510_186, &[fault(418_435, Kind::Listing, 43_145, 1)]);
}

#[test]
fn longer_klines_of_a_first_day_are_there_with_its_first_minute() {
    let faults = [
        fault(56_340, Kind::RestOutage, 8_507, 57_879),
        fault(121_175, Kind::LateAnswers, 62_734, 2_259),
        fault(313_844, Kind::Relisting, 15_181, 171_289),
    ];
    holds(194_657, &faults);
}

#[test]
fn a_name_listed_late_on_a_day_does_not_spend_what_its_confirmation_needs() {
    holds(115_510, &[fault(359_876, Kind::Relisting, 1_229, 123_718)]);
}

#[test]
fn a_number_is_not_asked_for_trades_that_were_handed_to_the_one_before_it() {
    let faults = [
        fault(301_976, Kind::RestOutage, 38_786, 78_185),
        fault(304_192, Kind::Relisting, 19_871, 132_742),
        fault(351_866, Kind::Disconnect, 22_565, 0),
        fault(362_243, Kind::Banned, 1_831, 102_425),
    ];
    holds(65_334, &faults);
}

#[test]
fn trades_held_before_an_interruption_do_not_prove_what_came_after_it() {
    let besides = [fault(0, Kind::Watched, 23_246, 0), fault(0, Kind::ShortMessages, 60_058, 0)];
    holds(2_360, &besides);
    holds(4_683, &[fault(0, Kind::Watched, 58_978, 0)]);
}

#[test]
fn a_doubt_is_not_ended_by_trades_that_it_overtook() {
    let faults = [
        fault(0, Kind::Steady, 16_450, 0),
        fault(23_158, Kind::Relisting, 45_242, 210_838),
        fault(169_814, Kind::Listing, 14_049, 3),
        fault(182_312, Kind::Listing, 29_655, 1),
        fault(355_530, Kind::WorkerStall, 49_830, 39_700),
        fault(385_465, Kind::SilentSymbol, 16_210, 79_895),
    ];
    holds(2_519, &faults);
}

#[test]
fn a_ticker_that_follows_a_trade_at_once_is_not_passed_over() {
    let faults = [
        fault(0, Kind::Steady, 53_043, 0),
        fault(2_000, Kind::Reordered, 41_700, 72_942),
        fault(37_565, Kind::Failing, 31_301, 5_110),
        fault(67_946, Kind::SilentSymbol, 33_355, 9_418),
    ];
    holds(7_187, &faults);
}

#[test]
fn a_flat_minute_behind_trades_that_nobody_could_know_of_stands_at_the_last_price_known() {
    holds(
        2_180,
        &[fault(0, Kind::Steady, 12_655, 0), fault(63_166, Kind::SilentAll, 42_490, 9_115)],
    );
}

#[test]
fn sockets_are_replaced_without_the_loss_of_a_trade() {
    for seed in 1..40 {
        holds(seed, &[fault(0, Kind::Steady, 0, 0), fault(0, Kind::ShortMessages, 0, 0)]);
    }
}

#[test]
fn a_minute_that_closed_over_a_hidden_hole_is_not_amended_by_a_trade_behind_it() {
    let faults = [
        fault(0, Kind::Steady, 34_401, 0),
        fault(58_985, Kind::Suspend, 54_527, 31_422),
        fault(80_242, Kind::SilentAll, 30_449, 16_008),
        fault(104_497, Kind::HeldSymbol, 50_372, 6_213),
    ];
    holds(322_889, &faults);
    let faults = [
        fault(0, Kind::Steady, 47_332, 0),
        fault(125_601, Kind::Listing, 50_618, 1),
        fault(298_727, Kind::Disconnect, 14_521, 0),
        fault(300_821, Kind::Listing, 9_156, 1),
        fault(341_869, Kind::SilentAll, 13_782, 6_028),
        fault(358_228, Kind::HeldSymbol, 30_054, 25_155),
    ];
    holds(306_371, &faults);
}

#[test]
fn trades_that_waited_for_a_worker_that_broke_are_lost_and_counted() {
    let faults = [
        fault(100_299, Kind::WorkerStall, 20_032, 19_896),
        fault(120_147, Kind::WorkerDeath, 31_755, 0),
    ];
    holds(284_201, &faults);
}

#[test]
fn what_a_dead_stream_leaves_out_before_its_tickers_tell_of_it_is_not_lost_by_us() {
    // The price came back to the last one that was known, and so the tickers said nothing.
    let faults = [
        fault(0, Kind::Steady, 37_871, 0),
        fault(361_281, Kind::HalfOpen, 1_730, 563),
        fault(383_829, Kind::DeadStream, 52_112, 0),
        fault(387_494, Kind::DeadStream, 4_032, 0),
    ];
    holds(325_280, &faults);
    // The one ticker before that trade is not enough; its own is the second, and it is renewed.
    let faults = [
        fault(0, Kind::Steady, 64_614, 0),
        fault(363_945, Kind::HalfOpen, 1_082, 867),
        fault(393_631, Kind::DeadStream, 4_851, 0),
    ];
    holds(359_021, &faults);
    let faults = [
        fault(0, Kind::Steady, 42_812, 0),
        fault(8_789, Kind::Crash, 38_815, 9_909),
        fault(39_201, Kind::Listing, 37_951, 1),
        fault(69_693, Kind::GatewayStall, 7_888, 1_311),
        fault(118_180, Kind::SilentSocket, 17_226, 8_417),
        fault(123_514, Kind::Listing, 5_578, 1),
        fault(144_541, Kind::Suspend, 14_714, 6_387),
        fault(312_965, Kind::GatewayStall, 8_580, 28_616),
        fault(329_946, Kind::Crash, 34_933, 659),
        fault(378_822, Kind::DeadStream, 43_760, 0),
    ];
    holds(327_672, &faults);
}

#[test]
fn a_socket_that_joins_first_doubts_what_another_one_has_brought_before_it() {
    let faults = [
        fault(11_412, Kind::Lost, 64_362, 5_642),
        fault(18_422, Kind::LateAnswers, 19_571, 22_255),
        fault(140_021, Kind::HalfOpen, 54_424, 724),
    ];
    holds(445_840, &faults);
    let faults = [
        fault(63_309, Kind::Listing, 42_424, 3),
        fault(242_147, Kind::HalfOpen, 58_157, 750),
        fault(242_699, Kind::Suspend, 2_207, 30_050),
    ];
    holds(435_636, &faults);
}

#[test]
fn many_ids_that_fills_leave_out_do_not_hold_a_symbol_back_for_ever_longer() {
    holds(183, &[fault(0, Kind::RawFills, 37_678, 0)]);
    holds(202, &[fault(0, Kind::Steady, 54_342, 0), fault(0, Kind::RawFills, 62_456, 0)]);
}

#[test]
fn a_quiet_minute_that_is_confirmed_early_gives_no_doubt_of_the_next_one() {
    holds(2_120, &[fault(0, Kind::Steady, 53_605, 0)]);
    holds(2_336, &[fault(0, Kind::Steady, 55_342, 0)]);
}

#[test]
fn a_feed_is_not_silent_while_a_slower_copy_brings_what_is_known() {
    holds(
        3_017_400,
        &[fault(0, Kind::RawFills, 48_756, 0), fault(122_378, Kind::Late, 12_466, 6_234)],
    );
}

#[test]
fn an_official_minute_with_a_trade_that_was_overtaken_is_a_doubt() {
    let faults = [
        fault(0, Kind::Steady, 56_936, 0),
        fault(0, Kind::RawFills, 7_594, 0),
        fault(249_425, Kind::Reordered, 10_404, 2_761),
    ];
    holds(5_003_608, &faults);
    let faults = [
        fault(0, Kind::Steady, 9_363, 0),
        fault(0, Kind::RawFills, 55_544, 0),
        fault(2_000, Kind::Failing, 47_105, 521),
        fault(402_679, Kind::Reordered, 43_573, 36_201),
    ];
    holds(5_004_855, &faults);
    // Aggregates are held behind a hole only where another copy may fill it.
    let faults =
        [fault(0, Kind::Steady, 59_589, 0), fault(33_405, Kind::Reordered, 42_992, 102_351)];
    holds(6_514_955, &faults);
}

#[test]
fn a_fill_that_came_a_little_late_need_not_count_among_many() {
    let faults = [
        fault(0, Kind::Steady, 35_533, 0),
        fault(0, Kind::RawFills, 29_474, 0),
        fault(62_008, Kind::Crash, 41_829, 529),
        fault(181_655, Kind::HalfOpen, 3_386, 759),
        fault(230_580, Kind::Crash, 27_965, 555),
        fault(241_615, Kind::Reordered, 15_694, 110_211),
        fault(297_184, Kind::Disconnect, 40_840, 0),
        fault(313_063, Kind::HalfOpen, 50_935, 630),
    ];
    holds(6_032_040, &faults);
    let faults = [
        fault(0, Kind::Steady, 14_513, 0),
        fault(0, Kind::RawFills, 23_677, 0),
        fault(27_826, Kind::Failing, 15_173, 999),
        fault(33_730, Kind::Disconnect, 13_679, 0),
        fault(43_317, Kind::Failing, 17_345, 500),
        fault(60_723, Kind::Disconnect, 35_942, 0),
        fault(101_732, Kind::Reordered, 1_284, 54_640),
        fault(120_932, Kind::NoConnect, 38_603, 27_408),
        fault(124_130, Kind::Disconnect, 2_408, 0),
    ];
    holds(6_070_998, &faults);
}
