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
fn history_that_arrives_behind_the_end_of_a_symbol_ends_with_it() {
    let faults = [
        fault(0, Kind::Skew, 39_371, 62_766),
        fault(0, Kind::Watched, 56_092, 0),
        fault(3_971, Kind::Listing, 54_013, 1),
        fault(21_468, Kind::SilentPath, 6_043, 11_557),
        fault(120_028, Kind::Disconnect, 21_813, 0),
        fault(123_508, Kind::SilentAll, 950, 2_378),
        fault(152_454, Kind::Crash, 29_080, 955),
        fault(154_012, Kind::ForeignWeight, 17_504, 100),
        fault(166_847, Kind::Delisting, 11_371, 644),
        fault(186_242, Kind::Suspend, 53_250, 2_701),
    ];
    holds(40_009_869, &faults);
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

#[test]
fn a_symbol_that_ended_while_the_process_stood_still_is_confirmed_up_to_its_end() {
    let faults = [
        fault(0, Kind::LongPeriods, 17_139, 0),
        fault(299_982, Kind::Suspend, 16_830, 82_461),
        fault(305_398, Kind::Disconnect, 46_618, 0),
        fault(380_000, Kind::Delisting, 34_901, 223_487),
    ];
    holds(39_700_409, &faults);
}

#[test]
fn the_week_of_a_symbol_that_ends_within_it_is_confirmed_with_its_last_day() {
    let faults = [
        fault(0, Kind::LongPeriods, 17_139, 0),
        fault(299_982, Kind::Suspend, 16_830, 82_461),
        fault(305_398, Kind::Disconnect, 46_618, 0),
        fault(405_466, Kind::Relisting, 34_901, 223_487),
    ];
    holds(39_700_409, &faults);
}
