//! Plans after which confirmation seemed to spend more than its share.

use klagg_simulate::{Kind, fault};

use crate::holds;

#[test]
fn the_history_of_many_listings_is_no_confirmation() {
    let faults = [
        fault(0, Kind::Steady, 63_676, 0),
        fault(0, Kind::Watched, 1_169, 0),
        fault(0, Kind::ShortMessages, 47_303, 0),
        fault(136_420, Kind::Listing, 62_624, 19),
        fault(143_790, Kind::Failing, 20_337, 261),
        fault(250_079, Kind::Suspend, 30_484, 4_402),
    ];
    holds(39_806_549, &faults);
}
