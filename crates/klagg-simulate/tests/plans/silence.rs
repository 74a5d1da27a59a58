//! Plans after which a symbol that trades without us was not told of, or seemed not to be.

use klagg_simulate::{Kind, fault};

use crate::holds;

#[test]
fn what_is_held_behind_a_hole_is_shown_though_the_time_of_a_quiet_feed_stands() {
    let faults = [
        fault(0, Kind::RawFills, 1_874, 0),
        fault(92_022, Kind::WorkerStall, 3_067, 22_020),
        fault(99_065, Kind::Duplicates, 18_374, 9_766),
        fault(121_135, Kind::Crash, 64_373, 1_645),
        fault(240_311, Kind::Disconnect, 12, 0),
        fault(242_180, Kind::Late, 45_466, 2_716),
    ];
    holds(8_032_369, &faults);
    // A print of no order book came late over the slower socket: it tells no newer time.
    let faults = [
        fault(0, Kind::RawFills, 48_061, 0),
        fault(2_000, Kind::Crash, 28_388, 783),
        fault(2_153, Kind::RestErrors, 20_502, 9_041),
        fault(53_223, Kind::HalfOpen, 25_140, 915),
        fault(60_840, Kind::Suspend, 63_184, 10_454),
        fault(91_960, Kind::Disconnect, 12_580, 0),
        fault(109_177, Kind::Failing, 30_250, 794),
        fault(112_774, Kind::Late, 63_558, 24_804),
        fault(113_446, Kind::Delisting, 22_638, 672),
    ];
    holds(30_024_058, &faults);
}

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
