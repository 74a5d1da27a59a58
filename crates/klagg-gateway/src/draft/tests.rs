//! The rules by which a slot takes a record, or does not.

use klagg_kline::{Kline, KlineStatus, PeriodSet, Price, TradeId, UnixMillis};

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

/// Open and closed kline of a slot.
type Held = (Option<KlineRecord>, Option<KlineRecord>);

const PLACE: (SymbolId, u8) = (SymbolId(0), 0);

/// Offers one after the other to an empty slot. Returns what became of them, and what it holds.
fn offer(records: &[KlineRecord]) -> (Vec<Applied>, Held) {
    let mut klines = GlobalKlines::empty(PeriodSet::default());
    klines.sequence = 1;
    let mut draft = Draft { klines: &mut klines, newer: None };
    let applied = records.iter().filter_map(|record| draft.write(PLACE, record, None)).collect();
    let slot = klines.slot(SymbolId(0), 0).unwrap_or_default();
    (applied, (slot.open.copied(), slot.last_closed.copied()))
}

#[test]
fn a_slot_takes_what_is_newer_or_better_proven_and_nothing_else() {
    let check = |held: &[KlineRecord], offered: KlineRecord, expected: Applied| {
        let (applied, before) = offer(held);
        assert!(applied.iter().all(|&one| one == Applied::Changed), "set up {held:?}");
        let (applied, after) = offer(&[held, &[offered]].concat());
        assert_eq!(applied.last(), Some(&expected), "{offered:?} over {held:?}");
        let taken = [after.0, after.1].contains(&Some(offered));
        match expected {
            Applied::Changed => assert!(taken && after != before),
            Applied::Same => assert!(taken && after == before),
            Applied::Older | Applied::Refused => assert!(!taken && after == before),
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
    let mut corrected = open(1, 5);
    corrected.kline.trade_count = 4;
    let (applied, (held, _)) = offer(&[open(1, 5), corrected]);
    assert_eq!((applied[1], held), (Applied::Changed, Some(corrected)));
}

#[test]
fn a_kline_that_closes_is_open_no_more_but_a_later_one_stays() {
    let (_, held) = offer(&[open(1, 5), closed(0, 5)]);
    assert_eq!(held, (Some(open(1, 5)), Some(closed(0, 5))));
    let (_, held) = offer(&[open(1, 5), closed(0, 5), closed(1, 6)]);
    assert_eq!(held, (None, Some(closed(1, 6))));
}

#[test]
fn a_corrected_kline_that_replaces_another_raises_the_revision() {
    let (applied, (_, held)) = offer(&[record(1, 5, KlineStatus::Closed, 2), confirmed(1, 6)]);
    assert_eq!(applied[1], Applied::Changed);
    assert_eq!(held, Some(record(1, 6, KlineStatus::Confirmed, 3)));
}

/// What a draft lacks is judged by, though it is copied last.
#[test]
fn a_slot_that_the_draft_lacks_is_judged_by_what_the_newer_snapshot_holds() {
    let mut newer = GlobalKlines { sequence: 1, ..GlobalKlines::empty(PeriodSet::default()) };
    let mut draft = Draft { klines: &mut newer, newer: None };
    for record in [closed(0, 5), open(1, 5)] {
        draft.write(PLACE, &record, Some(3));
    }
    let check = |offered: KlineRecord, expected: Applied, open: KlineRecord, copied: usize| {
        let mut klines = GlobalKlines { sequence: 2, ..GlobalKlines::empty(PeriodSet::default()) };
        klines.grow(1);
        let mut draft = Draft { klines: &mut klines, newer: Some(&newer) };
        assert_eq!(draft.write(PLACE, &offered, None), Some(expected));
        assert_eq!(draft.catch_up(), copied, "{offered:?}");
        let slot = klines.slot(SymbolId(0), 0).unwrap();
        assert_eq!((slot.open, slot.last_closed), (Some(&open), Some(&closed(0, 5))));
        assert_eq!(slot.changed_in, if expected == Applied::Changed { 2 } else { 1 });
    };
    check(open(1, 4), Applied::Refused, open(1, 5), 2);
    check(open(1, 5), Applied::Same, open(1, 5), 2);
    check(open(0, 9), Applied::Refused, open(1, 5), 2);
    check(open(1, 6), Applied::Changed, open(1, 6), 1);
}
