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
