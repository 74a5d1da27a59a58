//! The rules by which a slot takes a record, or does not.

use klagg_kline::{Kline, Price, TradeId};

use super::*;

/// A record of a minute with so many trades, ids from 1 up.
fn record(minute: i64, trades: i64, status: KlineStatus, revision: u32) -> KlineRecord {
    let flat = Kline::flat(UnixMillis(minute * 60_000), Price::from_scaled(1));
    let trade_count = trades.unsigned_abs();
    let kline = Kline { trade_count, first_id: TradeId(1), last_id: TradeId(trades), ..flat };
    KlineRecord { kline, revision, status }
}

fn open(minute: i64, trades: i64) -> KlineRecord {
    record(minute, trades, KlineStatus::Open, 0)
}

fn closed(minute: i64, trades: i64) -> KlineRecord {
    record(minute, trades, KlineStatus::Closed, 0)
}

fn confirmed(minute: i64, trades: i64) -> KlineRecord {
    record(minute, trades, KlineStatus::Confirmed, 0)
}

#[test]
fn a_slot_takes_what_is_newer_or_better_proven_and_nothing_else() {
    let check = |held: &[KlineRecord], offered: KlineRecord, expected: Applied| {
        let mut klines = GlobalKlines::empty(PeriodSet::default());
        for record in held {
            assert_eq!(klines.write(0, record, None), Applied::Changed, "set up {record:?}");
        }
        let before = klines.slots[0];
        assert_eq!(klines.write(0, &offered, None), expected, "{offered:?} over {held:?}");
        let slot = klines.slots[0];
        let taken = [slot.open, slot.last_closed].contains(&Some(offered));
        match expected {
            Applied::Changed => assert!(taken && slot != before),
            Applied::Same => assert!(taken && slot == before),
            Applied::Older | Applied::Refused => assert!(!taken && slot == before),
        }
    };
    check(&[open(1, 5)], open(1, 6), Applied::Changed);
    check(&[open(1, 5)], open(2, 1), Applied::Changed);
    check(&[open(1, 5)], open(1, 5), Applied::Same);
    check(&[open(1, 5)], open(1, 4), Applied::Refused);
    check(&[open(1, 5)], open(0, 9), Applied::Refused);
    check(&[closed(1, 5)], open(1, 9), Applied::Refused);
    check(&[closed(1, 5)], open(0, 9), Applied::Refused);
    check(&[closed(1, 5)], open(2, 1), Applied::Changed);
    check(&[closed(1, 5)], closed(2, 1), Applied::Changed);
    check(&[closed(1, 5)], closed(1, 5), Applied::Same);
    check(&[closed(1, 5)], closed(1, 6), Applied::Refused);
    check(&[closed(1, 5)], closed(0, 9), Applied::Older);
    check(&[closed(1, 5)], confirmed(1, 5), Applied::Changed);
    check(&[closed(1, 5)], record(1, 6, KlineStatus::Closed, 1), Applied::Changed);
    check(&[confirmed(1, 5)], record(1, 6, KlineStatus::Closed, 7), Applied::Refused);
    check(&[open(1, 5)], closed(0, 5), Applied::Changed);
    check(&[open(1, 5)], closed(1, 5), Applied::Changed);
}

#[test]
fn fewer_trades_with_the_same_ids_are_a_correction_and_not_a_step_back() {
    let mut slot = KlineState::default();
    assert_eq!(slot.apply_open(&open(1, 5)), Applied::Changed);
    let mut corrected = open(1, 5);
    corrected.kline.trade_count = 4;
    assert_eq!(slot.apply_open(&corrected), Applied::Changed);
    assert_eq!(slot.open, Some(corrected));
}

#[test]
fn a_kline_that_closes_is_open_no_more_but_a_later_one_stays() {
    let mut slot = KlineState::default();
    slot.apply_open(&open(1, 5));
    slot.apply_closed(&closed(0, 5));
    assert_eq!((slot.open, slot.open_time()), (Some(open(1, 5)), Some(UnixMillis(60_000))));
    slot.apply_closed(&closed(1, 6));
    assert_eq!((slot.open, slot.last_closed), (None, Some(closed(1, 6))));
    assert_eq!(slot.open_time(), Some(UnixMillis(60_000)));
}

#[test]
fn a_corrected_kline_that_replaces_another_raises_the_revision() {
    let mut slot = KlineState::default();
    slot.apply_closed(&record(1, 5, KlineStatus::Closed, 2));
    assert_eq!(slot.apply_closed(&confirmed(1, 6)), Applied::Changed);
    assert_eq!(slot.last_closed, Some(record(1, 6, KlineStatus::Confirmed, 3)));
}
