//! What a slow client gets, decided without a socket.

use std::sync::Arc;
use std::time::Duration;

use klagg_kline::{
    Kline, KlineRecord, KlineStatus, Period, Precision, Price, SymbolId, UnixMillis,
};

use super::{CLOSED_OF_SLOT_MAX, Delivery, Dialect, Outbox, Pushed};
use crate::hub::{Slot, SlotUpdate};

const NOW: Duration = Duration::ZERO;
const MANY: i64 = CLOSED_OF_SLOT_MAX.cast_signed() as i64;

fn slot(symbol: u32) -> Slot {
    Slot { symbol: SymbolId(symbol), period_index: 0 }
}

/// A minute of a symbol, told in a word: its number, price, status and revision.
fn update(
    symbol: u32,
    minute: i64,
    price: i64,
    status: KlineStatus,
    revision: u32,
) -> Arc<SlotUpdate> {
    let kline = Kline::flat(UnixMillis(minute * 60_000), Price::from_scaled(price));
    let record = KlineRecord { kline, revision, status };
    let named = (Period::M1, Precision::new(2, 3).unwrap());
    Arc::new(SlotUpdate::new(slot(symbol), record, (1, UnixMillis(0)), "A".into(), named))
}

fn open(minute: i64, price: i64) -> Arc<SlotUpdate> {
    update(0, minute, price, KlineStatus::Open, 0)
}

fn closed(minute: i64) -> Arc<SlotUpdate> {
    update(0, minute, 1, KlineStatus::Closed, 0)
}

/// Everything that waits, in words.
fn drain(outbox: &mut Outbox) -> Vec<String> {
    let mut words = Vec::new();
    while let Some(delivery) = outbox.pop(NOW) {
        words.push(match delivery {
            Delivery::Snapshot { slot, history } => format!("snapshot {} {history}", slot.symbol),
            Delivery::Kline(update) => {
                let KlineRecord { kline, status, revision } = update.record;
                let minute = kline.open_time.0 / 60_000;
                format!(
                    "{} {minute} {status} {} r{revision}",
                    update.slot.symbol,
                    kline.close.scaled()
                )
            }
        });
    }
    assert_eq!(outbox.closed_waiting, 0);
    words
}

fn live() -> Outbox {
    let mut outbox = Outbox::new(Dialect::Live, 100);
    outbox.subscribe(slot(0), 500, NOW);
    assert_eq!(drain(&mut outbox), ["snapshot #0 500"]);
    outbox
}

fn exchange() -> Outbox {
    let mut outbox = Outbox::new(Dialect::Exchange, 100);
    outbox.follow(slot(0), UnixMillis(600_000));
    outbox
}

#[test]
fn open_states_are_skipped_and_closed_klines_are_not() {
    let mut outbox = live();
    assert_eq!(outbox.push(&open(1, 10), NOW), Pushed::Queued);
    assert_eq!(outbox.push(&open(1, 11), NOW), Pushed::Conflated);
    outbox.push(&closed(1), NOW);
    outbox.push(&open(2, 12), NOW);
    outbox.push(&closed(2), NOW);
    outbox.push(&open(3, 13), NOW);
    outbox.push(&open(3, 14), NOW);
    assert_eq!(drain(&mut outbox), ["#0 1 closed 1 r0", "#0 2 closed 1 r0", "#0 3 open 14 r0"]);
}

#[test]
fn a_closed_kline_is_never_followed_by_an_open_state_of_itself() {
    let mut outbox = live();
    outbox.push(&closed(5), NOW);
    assert_eq!(outbox.push(&open(5, 9), NOW), Pushed::Ignored);
    assert_eq!(drain(&mut outbox), ["#0 5 closed 1 r0"]);
}

#[test]
fn a_corrected_kline_replaces_the_waiting_one() {
    let mut outbox = live();
    outbox.push(&closed(1), NOW);
    outbox.push(&closed(2), NOW);
    let corrected = update(0, 1, 7, KlineStatus::Confirmed, 1);
    assert_eq!(outbox.push(&corrected, NOW), Pushed::Conflated);
    assert_eq!(drain(&mut outbox), ["#0 1 confirmed 7 r1", "#0 2 closed 1 r0"]);
}

#[test]
fn what_waits_before_a_snapshot_is_in_the_snapshot() {
    let mut outbox = live();
    outbox.push(&closed(1), NOW);
    outbox.subscribe(slot(0), 20, NOW);
    assert_eq!(outbox.push(&closed(2), NOW), Pushed::Conflated);
    assert_eq!(drain(&mut outbox), ["snapshot #0 20"]);
}

#[test]
fn too_many_closed_klines_become_a_snapshot() {
    let mut outbox = live();
    let pushed: Vec<_> = (0..=MANY).map(|minute| outbox.push(&closed(minute), NOW)).collect();
    assert_eq!(pushed.last(), Some(&Pushed::Resync));
    assert_eq!(drain(&mut outbox), ["snapshot #0 500"]);
    // The bound over all slots works the same way.
    for symbol in 1..=10 {
        outbox.subscribe(slot(symbol), 5, NOW);
    }
    drain(&mut outbox);
    let mut resyncs = 0;
    for minute in 0..20 {
        for symbol in 1..=10 {
            let update = update(symbol, minute, 1, KlineStatus::Closed, 0);
            resyncs += usize::from(outbox.push(&update, NOW) == Pushed::Resync);
        }
    }
    assert!(resyncs > 0 && outbox.closed_waiting <= 100);
    assert!(!outbox.overflowed(), "a live client is never lost for that");
}

#[test]
fn slots_take_turns() {
    let mut outbox = live();
    outbox.subscribe(slot(1), 0, NOW);
    drain(&mut outbox);
    for minute in 0..3 {
        outbox.push(&closed(minute), NOW);
    }
    outbox.push(&update(1, 0, 1, KlineStatus::Open, 0), NOW);
    let words = drain(&mut outbox);
    assert_eq!(words[1], "#1 0 open 1 r0", "after one of the other's three: {words:?}");
}

#[test]
fn the_exchange_dialect_tells_values_once() {
    let mut outbox = exchange();
    assert_eq!(outbox.push(&closed(9), NOW), Pushed::Ignored, "older than the subscription");
    outbox.push(&open(10, 3), NOW);
    outbox.push(&update(0, 10, 4, KlineStatus::Provisional, 0), NOW);
    assert_eq!(outbox.push(&update(0, 10, 4, KlineStatus::Confirmed, 0), NOW), Pushed::Ignored);
    assert_eq!(drain(&mut outbox), ["#0 10 provisional 4 r0"]);
    outbox.push(&update(0, 10, 5, KlineStatus::Confirmed, 1), NOW);
    assert_eq!(drain(&mut outbox), ["#0 10 confirmed 5 r1"], "its values changed");
    assert_eq!(outbox.push(&closed(9), NOW), Pushed::Ignored);
    assert!(!outbox.overflowed());
}

#[test]
fn the_exchange_dialect_has_no_hole_without_a_word() {
    let mut outbox = exchange();
    outbox.push(&closed(10), NOW);
    assert_eq!(outbox.push(&closed(12), NOW), Pushed::Overflow);
    assert!(outbox.overflowed());
    let mut outbox = exchange();
    for minute in 10..=10 + MANY {
        outbox.push(&closed(minute), NOW);
    }
    assert!(outbox.overflowed());
}

#[test]
fn the_oldest_wait_is_known() {
    let seconds = Duration::from_secs;
    let mut outbox = live();
    outbox.subscribe(slot(1), 0, seconds(1));
    drain(&mut outbox);
    assert_eq!(outbox.waiting_since(), None);
    outbox.push(&open(1, 1), seconds(3));
    outbox.push(&update(1, 1, 1, KlineStatus::Open, 0), seconds(4));
    outbox.push(&open(1, 2), seconds(9));
    assert_eq!(outbox.waiting_since(), Some(seconds(3)));
    outbox.pop(seconds(10));
    assert_eq!(outbox.waiting_since(), Some(seconds(4)));
}

#[test]
fn an_unsubscribed_slot_leaves_nothing_behind() {
    let mut outbox = live();
    outbox.push(&closed(1), NOW);
    assert!(outbox.unsubscribe(slot(0)) && !outbox.unsubscribe(slot(0)));
    assert_eq!(outbox.push(&closed(2), NOW), Pushed::Ignored);
    assert_eq!(drain(&mut outbox), [""; 0]);
    assert_eq!((outbox.len(), outbox.is_ready()), (0, false));
}
