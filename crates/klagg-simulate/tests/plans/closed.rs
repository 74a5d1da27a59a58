//! Plans after which a closed kline was not the fold of its trades, or seemed not to be.

use klagg_simulate::{Kind, fault};

use crate::holds;

#[test]
fn a_cut_behind_the_end_of_a_flat_minute_says_nothing_of_it() {
    let faults = [
        fault(0, Kind::Steady, 19_607, 0),
        fault(245_990, Kind::RestOutage, 18_826, 79_157),
        fault(247_314, Kind::SilentAll, 61_514, 3_801),
        fault(295_760, Kind::Relisting, 46_661, 505),
        fault(308_110, Kind::Suspend, 13_229, 87_836),
        fault(384_437, Kind::Disconnect, 55_850, 0),
        fault(388_976, Kind::Failing, 65_064, 893),
    ];
    holds(1_225_552, &faults);
}

#[test]
fn an_official_minute_that_comes_before_the_feeds_time_is_part_of_longer_klines() {
    let besides = |target| fault(0, Kind::Steady, target, 0);
    holds(2_176_335, &[besides(56_804), fault(242_691, Kind::SilentAll, 1_523, 6_558)]);
    holds(1_257_480, &[besides(32_942), fault(190_657, Kind::SilentAll, 23_724, 5_487)]);
    let faults = [
        besides(15_426),
        fault(253_015, Kind::DeadStream, 52_555, 0),
        fault(277_235, Kind::SilentSocket, 11_387, 8_876),
    ];
    holds(2_191_377, &faults);
    let faults = [
        besides(27_731),
        fault(179_090, Kind::SilentAll, 19_247, 7_406),
        fault(213_337, Kind::WorkerStall, 56_866, 16_881),
    ];
    holds(954_121, &faults);
}

#[test]
fn minutes_of_a_name_that_was_listed_anew_unseen_are_not_closed_as_the_old_ones() {
    let faults = [
        fault(58_926, Kind::HalfOpen, 29_802, 843),
        fault(72_582, Kind::RestOutage, 51_106, 725),
        fault(81_366, Kind::Crash, 51_066, 33_510),
        fault(111_108, Kind::RestTimeouts, 16_944, 7_468),
        fault(120_355, Kind::Banned, 59_181, 33_135),
        fault(143_861, Kind::SilentPath, 25_037, 43_491),
        fault(179_566, Kind::Relisting, 51_125, 33_376),
        fault(207_433, Kind::Suspend, 43_764, 12_710),
        fault(224_273, Kind::Suspend, 6_484, 88_631),
        fault(299_896, Kind::RestTimeouts, 31_456, 22_185),
        fault(307_310, Kind::Listing, 16_635, 1),
        fault(338_834, Kind::RestErrors, 37_509, 664),
        fault(350_181, Kind::RestOutage, 5_390, 610),
    ];
    holds(5_047_978, &faults);
}

#[test]
fn an_old_number_that_is_handed_the_new_ones_trades_is_doubted() {
    let faults = [
        fault(0, Kind::Steady, 829, 0),
        fault(157_831, Kind::Banned, 60_827, 93_984),
        fault(158_263, Kind::SilentSocket, 54_105, 678),
        fault(176_601, Kind::Listing, 27_310, 1),
        fault(220_606, Kind::Suspend, 5_331, 49_036),
        fault(232_056, Kind::Relisting, 8_428, 527),
        fault(301_836, Kind::Suspend, 4_224, 633),
    ];
    holds(2_458, &faults);
}

#[test]
fn a_number_of_whose_name_news_tell_that_it_is_listed_anew_closes_nothing_before_a_list_comes() {
    // Ids of fills need not begin anew.
    let faults = [
        fault(0, Kind::Steady, 36_224, 0),
        fault(0, Kind::RawFills, 36_901, 0),
        fault(62_775, Kind::RestErrors, 52_654, 40_473),
        fault(73_399, Kind::Relisting, 42_611, 533),
        fault(99_733, Kind::Banned, 39_030, 52_099),
        fault(106_002, Kind::Suspend, 37_557, 53_953),
        fault(256_943, Kind::RestTimeouts, 54_574, 599),
        fault(282_038, Kind::RestOutage, 47_294, 680),
    ];
    holds(30_096_685, &faults);
}

#[test]
fn a_worker_that_breaks_behind_a_closed_minute_says_nothing_of_it() {
    let faults = [
        fault(2_000, Kind::Disconnect, 62_558, 0),
        fault(9_585, Kind::Relisting, 54_840, 121_505),
        fault(85_144, Kind::SilentSocket, 21_798, 3_083),
        fault(107_665, Kind::Reordered, 41_858, 21_604),
        fault(122_936, Kind::RestTimeouts, 30_269, 39_261),
        fault(163_840, Kind::Banned, 12_467, 51_376),
        fault(211_745, Kind::Listing, 14_461, 1),
        fault(220_901, Kind::SilentAll, 2_761, 6_938),
        fault(302_043, Kind::Suspend, 19_626, 59_801),
        fault(304_636, Kind::SilentSocket, 58_740, 3_580),
        fault(339_199, Kind::DeadStream, 965, 0),
        fault(356_623, Kind::WorkerDeath, 40_323, 0),
    ];
    holds(8_653, &faults);
}

#[test]
fn a_flat_minute_stands_at_an_official_price_that_is_newer_than_the_newest_trade_known() {
    // Of two trades that were lost, the first one came in the last moment of a minute, whose
    // official kline tells its price; the second one soon after it.
    let faults = [
        fault(0, Kind::Steady, 41_352, 0),
        fault(85_835, Kind::Listing, 15_574, 3),
        fault(189_370, Kind::SilentSocket, 42_969, 626),
        fault(306_331, Kind::Suspend, 25_162, 558),
        fault(322_235, Kind::SilentAll, 58_577, 8_915),
    ];
    holds(39_116_041, &faults);
}

#[test]
fn a_flat_minute_behind_an_official_one_stands_at_its_price_though_a_later_trade_was_lost() {
    let faults = [
        fault(0, Kind::Steady, 55_301, 0),
        fault(274_294, Kind::Crash, 61_327, 931),
        fault(299_733, Kind::Delisting, 54_183, 806),
        fault(318_137, Kind::DeadStream, 10_903, 0),
        fault(320_217, Kind::Listing, 38_884, 1),
        fault(329_121, Kind::SilentSocket, 20_758, 2_177),
        fault(343_846, Kind::HalfOpen, 28_468, 994),
        fault(348_034, Kind::Suspend, 14_281, 7_208),
        fault(362_603, Kind::Relisting, 36_794, 94_742),
        fault(378_511, Kind::Banned, 25_513, 96_855),
    ];
    holds(10_160_291, &faults);
}
