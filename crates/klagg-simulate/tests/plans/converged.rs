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
