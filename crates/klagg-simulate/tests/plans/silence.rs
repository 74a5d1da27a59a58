//! Plans after which a symbol that trades without us was not told of, or seemed not to be.

use klagg_simulate::{Kind, fault};

use crate::holds;

#[test]
fn a_trade_of_a_name_listed_anew_is_heard_as_one_of_the_number_before_it() {
    let faults = [
        fault(0, Kind::Steady, 50_914, 0),
        fault(119_849, Kind::RestOutage, 55_241, 83_451),
        fault(132_612, Kind::DeadStream, 38_657, 0),
        fault(159_210, Kind::SilentPath, 51_406, 9_796),
        fault(176_046, Kind::Relisting, 9_190, 859),
        fault(221_089, Kind::Banned, 53_331, 904),
        fault(259_685, Kind::Suspend, 1_704, 599),
    ];
    holds(4_023_963, &faults);
}
