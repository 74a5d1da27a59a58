//! Plans after which the last minutes of a symbol that had ended were not confirmed.

use klagg_simulate::{Kind, fault};

use crate::holds;

#[test]
fn wrong_pages_do_not_take_the_last_minutes_from_a_symbol_that_has_ended() {
    let faults = [
        fault(20_499, Kind::WrongPages, 4_445, 63_558),
        fault(33_741, Kind::Delisting, 36_843, 716),
    ];
    holds(39_101_241, &faults);
    let faults = [
        fault(123_854, Kind::WrongPages, 13_454, 86_584),
        fault(157_796, Kind::Delisting, 58_712, 989),
    ];
    holds(39_001_828, &faults);
}

#[test]
fn a_name_listed_anew_ends_what_can_be_asked_of_the_listing_before_it() {
    let faults = [
        fault(59_655, Kind::RestErrors, 24_303, 23_127),
        fault(170_046, Kind::RestTimeouts, 30_139, 56_748),
        fault(182_093, Kind::Crash, 54_866, 30_807),
        fault(226_829, Kind::Relisting, 50_748, 996),
        fault(228_783, Kind::Banned, 59_146, 6_278),
        fault(235_696, Kind::Suspend, 1_341, 578),
    ];
    holds(39_111_453, &faults);
}
