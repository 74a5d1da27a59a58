//! Plans after which something was not confirmed, or not stored, long after all was well.

use klagg_simulate::{Kind, fault};

use crate::holds;

#[test]
fn a_list_that_waited_for_the_end_of_a_ban_is_not_as_old_as_the_wish_for_it() {
    let faults = [
        fault(0, Kind::Steady, 41_608, 0),
        fault(360_303, Kind::Lost, 29_150, 5_579),
        fault(360_719, Kind::Banned, 47_347, 83_832),
        fault(364_217, Kind::Suspend, 34_546, 82_658),
        fault(368_068, Kind::Failing, 42_526, 553),
    ];
    holds(316_206, &faults);
    let faults = [
        fault(46_510, Kind::RestTimeouts, 19_502, 584),
        fault(72_359, Kind::Relisting, 12_755, 121_295),
        fault(269_976, Kind::HalfOpen, 18_557, 502),
        fault(332_066, Kind::RestErrors, 42_256, 2_682),
        fault(341_895, Kind::Banned, 36_249, 115_389),
        fault(361_041, Kind::Suspend, 39_953, 83_308),
    ];
    holds(2_095_712, &faults);
    let faults = [
        fault(363_055, Kind::Banned, 33_988, 119_903),
        fault(411_125, Kind::Suspend, 54_128, 83_691),
    ];
    holds(2_153_925, &faults);
}

#[test]
fn trades_of_many_holes_at_once_do_not_spend_what_doubtful_minutes_need() {
    let faults = [
        fault(0, Kind::Watched, 24_893, 0),
        fault(2_262, Kind::Crash, 48_467, 3_837),
        fault(4_393, Kind::WriterStall, 23_559, 7_165),
        fault(17_140, Kind::Disconnect, 11_594, 0),
        fault(18_366, Kind::RestTimeouts, 21_752, 14_835),
        fault(31_683, Kind::ForeignWeight, 13_879, 163),
        fault(46_221, Kind::Disconnect, 15_560, 0),
        fault(59_897, Kind::GatewayStall, 57_244, 3_440),
        fault(63_127, Kind::Listing, 4_915, 2),
        fault(72_302, Kind::Crash, 5_501, 11_794),
        fault(77_970, Kind::Duplicates, 60_386, 20_056),
        fault(146_264, Kind::Failing, 18_130, 994),
        fault(147_170, Kind::SilentSymbol, 39_656, 32_407),
        fault(181_094, Kind::Delisting, 32_921, 523),
        fault(181_103, Kind::Suspend, 39_314, 59_569),
        fault(239_067, Kind::Banned, 17_399, 33_608),
        fault(240_076, Kind::Crash, 29_998, 26_340),
        fault(298_777, Kind::Relisting, 47_197, 35_780),
        fault(307_000, Kind::Suspend, 29_438, 81_464),
        fault(341_504, Kind::HalfOpen, 54_473, 636),
        fault(348_474, Kind::Reordered, 49_677, 21_381),
        fault(398_855, Kind::Listing, 17_760, 1),
    ];
    holds(461_099, &faults);
}

#[test]
fn a_symbol_whose_pages_are_odd_from_the_start_keeps_no_other_waiting_for_its_confirmation() {
    let faults = [
        fault(0, Kind::Watched, 45_482, 0),
        fault(0, Kind::ShortMessages, 10_012, 0),
        fault(2_000, Kind::Banned, 355, 49_575),
        fault(2_000, Kind::Crash, 36_170, 12_188),
        fault(131_616, Kind::GatewayStall, 457, 24_419),
        fault(183_141, Kind::SilentSocket, 40_857, 7_821),
        fault(238_626, Kind::WrongPages, 20_169, 66_885),
        fault(239_249, Kind::Crash, 2_353, 29_513),
        fault(269_824, Kind::SilentSymbol, 15_663, 61_414),
        fault(295_071, Kind::Failing, 54_937, 1_019),
        fault(301_904, Kind::GatewayStall, 40_557, 2_446),
        fault(346_748, Kind::LateAnswers, 3_971, 5_708),
        fault(373_342, Kind::SilentSocket, 8_741, 10_591),
    ];
    holds(9_047_423, &faults);
}

#[test]
fn a_symbol_that_ended_while_the_process_stood_still_is_confirmed_up_to_its_end() {
    let faults = [
        fault(50_088, Kind::Suspend, 36_583, 80_175),
        fault(120_241, Kind::Delisting, 36_653, 860),
    ];
    holds(30_040_533, &faults);
}

#[test]
fn odd_pages_of_a_symbol_of_which_nothing_is_known_put_off_none_of_its_newest_minutes() {
    let faults = [
        fault(0, Kind::Watched, 39_934, 0),
        fault(0, Kind::ShortMessages, 5_948, 0),
        fault(9_402, Kind::WorkerStall, 59_745, 31_345),
        fault(87_561, Kind::Held, 31_452, 1_283),
        fault(93_089, Kind::WorkerDeath, 6_482, 0),
        fault(96_902, Kind::RestErrors, 52_808, 57_988),
        fault(114_251, Kind::NoConnect, 30_931, 33_986),
        fault(118_747, Kind::Crash, 40_725, 3_568),
        fault(183_305, Kind::Duplicates, 38_623, 12_886),
        fault(202_364, Kind::StoreFull, 7_572, 23_626),
        fault(206_486, Kind::Relisting, 8_457, 122_951),
        fault(232_638, Kind::HalfOpen, 32_577, 696),
        fault(243_660, Kind::Listing, 43_897, 1),
        fault(249_636, Kind::SilentAll, 40_857, 31_103),
        fault(251_212, Kind::Suspend, 44_487, 80_023),
        fault(269_033, Kind::Disconnect, 22_962, 0),
        fault(300_516, Kind::Banned, 12_963, 63_336),
        fault(336_766, Kind::Listing, 2_185, 1),
        fault(339_521, Kind::WorkerStall, 32_863, 3_861),
        fault(349_557, Kind::RestTimeouts, 63_168, 78_308),
        fault(359_803, Kind::Crash, 54_998, 3_861),
        fault(406_840, Kind::WrongPages, 2_917, 48_551),
    ];
    holds(30_117_363, &faults);
}

#[test]
fn the_first_longer_klines_of_many_listings_are_confirmed_as_soon_as_they_can_be() {
    let faults = [fault(0, Kind::Steady, 48_824, 0), fault(65_436, Kind::Listing, 41_246, 10)];
    holds(11_612, &faults);
    let faults = [
        fault(0, Kind::Steady, 9_186, 0),
        fault(0, Kind::Watched, 38_384, 0),
        fault(2_000, Kind::Listing, 34_118, 10),
        fault(90_391, Kind::Reordered, 39_105, 29_845),
        fault(348_170, Kind::RestTimeouts, 8_329, 80_293),
    ];
    holds(24_511_389, &faults);
}

#[test]
fn a_longer_kline_whose_minutes_a_crash_left_out_is_confirmed_in_time_though_others_are_listed() {
    let faults = [
        fault(0, Kind::Steady, 12_731, 0),
        fault(259_643, Kind::Relisting, 54_045, 122_970),
        fault(314_459, Kind::Crash, 8_205, 27_021),
        fault(395_444, Kind::Listing, 14_240, 1),
        fault(396_824, Kind::Listing, 41_886, 6),
    ];
    holds(10_086_677, &faults);
}
