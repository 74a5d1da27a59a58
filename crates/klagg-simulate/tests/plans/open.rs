//! Plans about what snapshots show.

use klagg_simulate::{Kind, fault};

use crate::holds;

#[test]
fn a_flat_minute_may_stand_at_what_an_earlier_life_saw_of_it() {
    let faults = [fault(0, Kind::ShortMessages, 39_879, 0), fault(2_000, Kind::Crash, 21_882, 625)];
    holds(7_477, &faults);
}

#[test]
fn what_is_traded_of_a_name_listed_anew_is_open_at_the_old_number_until_a_look() {
    let faults = [
        fault(115_559, Kind::Listing, 36_639, 2),
        fault(157_831, Kind::Banned, 60_827, 93_984),
        fault(220_606, Kind::Suspend, 5_331, 49_036),
        fault(232_056, Kind::Relisting, 8_428, 527),
        fault(301_836, Kind::Suspend, 4_224, 633),
    ];
    holds(2_458, &faults);
}

#[test]
fn an_open_minute_stands_at_a_fill_before_those_that_are_held() {
    let faults = [
        fault(0, Kind::Steady, 62_025, 0),
        fault(0, Kind::RawFills, 2_829, 0),
        fault(45_979, Kind::Crash, 36_194, 727),
        fault(53_779, Kind::Listing, 7_905, 2),
        fault(168_324, Kind::Listing, 55_024, 3),
        fault(238_958, Kind::HeldSymbol, 46_017, 21_418),
    ];
    holds(35_036, &faults);
}

#[test]
fn an_open_minute_of_a_late_answer_stands_where_it_stood() {
    let faults = [
        fault(0, Kind::Steady, 17_619, 0),
        fault(0, Kind::ShortMessages, 41_890, 0),
        fault(114_096, Kind::HeldSymbol, 3_030, 4_437),
        fault(117_860, Kind::LateAnswers, 58_980, 2_760),
    ];
    holds(25_286, &faults);
}

#[test]
fn an_open_minute_of_a_name_listed_anew_may_stand_at_the_new_ones_price() {
    let faults = [
        fault(0, Kind::Watched, 27_695, 0),
        fault(2_000, Kind::Crash, 23_375, 3_696),
        fault(4_695, Kind::WriterStall, 18_741, 45_392),
        fault(8_018, Kind::Disconnect, 27_022, 0),
        fault(23_537, Kind::Duplicates, 7_995, 23_060),
        fault(36_700, Kind::LateAnswers, 1_001, 821),
        fault(59_098, Kind::SilentSymbol, 33_184, 15_763),
        fault(61_885, Kind::WriterStall, 30_328, 41_310),
        fault(68_963, Kind::Disconnect, 34_330, 0),
        fault(72_911, Kind::RestOutage, 37_508, 2_819),
        fault(122_323, Kind::Delisting, 52_147, 977),
        fault(136_659, Kind::SilentPath, 18_540, 1_359),
        fault(139_471, Kind::Disconnect, 20_269, 0),
        fault(139_927, Kind::Relisting, 54_752, 578),
        fault(161_306, Kind::RestTimeouts, 19_182, 46_535),
        fault(191_629, Kind::RestErrors, 18_975, 35_991),
        fault(233_566, Kind::RestOutage, 39_215, 38_866),
        fault(248_654, Kind::SilentAll, 51_346, 11_703),
        fault(254_688, Kind::LateAnswers, 48_819, 752),
        fault(287_860, Kind::Suspend, 12_744, 660),
    ];
    holds(24_001_534, &faults);
}

#[test]
fn what_the_store_held_is_shown_as_the_history_keeps_it() {
    let faults = [
        fault(2_267, Kind::Banned, 14_596, 99_727),
        fault(45_496, Kind::SilentAll, 29_673, 13_950),
        fault(82_227, Kind::LateAnswers, 17_106, 918),
        fault(101_644, Kind::WriterStall, 38_947, 4_573),
        fault(104_630, Kind::Crash, 44_881, 963),
    ];
    holds(24_103_610, &faults);
}
