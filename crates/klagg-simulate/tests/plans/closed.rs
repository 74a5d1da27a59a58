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
