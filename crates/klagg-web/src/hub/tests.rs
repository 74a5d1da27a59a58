//! Routes: who gets what, and what is written once.

use std::cell::Cell;

use klagg_kline::{Kline, KlineRecord, KlineStatus, Period, Precision, Price};

use super::*;

const NOW: Duration = Duration::ZERO;

fn slot(symbol: u32) -> Slot {
    Slot { symbol: SymbolId(symbol), period_index: 0 }
}

fn publish(hub: &Hub, symbols: &[u32], made: &Cell<usize>) {
    let write = |slot: Slot, (): ()| {
        made.set(made.get() + 1);
        let kline = Kline::flat(UnixMillis(0), Price::from_scaled(100_000_000));
        let record = KlineRecord { kline, revision: 0, status: KlineStatus::Open };
        let named = (Period::M1, Precision::new(2, 3).unwrap());
        Some(SlotUpdate::new(slot, record, (7, UnixMillis(0)), "BTCUSDT".into(), named))
    };
    hub.publish(symbols.iter().map(|&symbol| (slot(symbol), ())), write, NOW);
}

fn pop(client: &Client) -> Option<Delivery> {
    client.pop(NOW)
}

#[test]
fn an_update_is_made_for_wanted_slots_alone_and_written_once() {
    let (hub, made) = (Hub::default(), Cell::new(0));
    let clients: Vec<_> = (0..3).map(|_| hub.connect(Dialect::Live, 10)).collect();
    publish(&hub, &[0, 1, 2], &made);
    assert_eq!(made.get(), 0, "nobody wants anything");
    for client in &clients {
        hub.subscribe(client, &[slot(1)], 0, NOW);
        assert!(matches!(pop(client), Some(Delivery::Snapshot { .. })));
    }
    publish(&hub, &[0, 1, 2], &made);
    assert_eq!(made.get(), 1);
    let texts: Vec<_> = clients
        .iter()
        .map(|client| match pop(client) {
            Some(Delivery::Kline(update)) => update.text(Form::Live),
            other => panic!("{other:?}"),
        })
        .collect();
    assert!(texts[0].contains("\"sequence\":7") && texts[0].contains("\"1.00\""), "{}", texts[0]);
    assert!(texts.iter().all(|text| text.as_ptr() == texts[0].as_ptr()), "the same bytes for all");
}

#[test]
fn who_is_gone_costs_nothing() {
    let (hub, made) = (Hub::default(), Cell::new(0));
    let client = hub.connect(Dialect::Live, 10);
    hub.subscribe(&client, &[slot(0), slot(1)], 0, NOW);
    hub.unsubscribe(&client, &[slot(1), slot(5)]);
    assert_eq!(client.slots(), [slot(0)]);
    hub.disconnect(&client);
    publish(&hub, &[0, 1], &made);
    assert_eq!(made.get(), 0);
    assert_eq!(hub.counters.clients.load(Ordering::Relaxed), 0);
    assert!(hub.routes.lock().unwrap().is_empty());
}

#[test]
fn a_resync_asks_every_live_client_for_a_snapshot_and_no_other() {
    let (hub, made) = (Hub::default(), Cell::new(0));
    let live = hub.connect(Dialect::Live, 10);
    let exchange = hub.connect(Dialect::Exchange, 10);
    hub.subscribe(&live, &[slot(0)], 3, NOW);
    hub.follow(&exchange, slot(0), UnixMillis(0));
    pop(&live);
    publish(&hub, &[0], &made);
    hub.resync(NOW);
    assert!(matches!(pop(&live), Some(Delivery::Snapshot { history: 3, .. })));
    assert!(pop(&live).is_none(), "what waited is in the snapshot");
    assert!(matches!(pop(&exchange), Some(Delivery::Kline(_))));
}

#[test]
fn what_people_look_at_is_what_they_subscribed_or_asked_for_a_while_ago() {
    let hub = Hub::default();
    let at = |minutes| Duration::from_mins(minutes);
    let client = hub.connect(Dialect::Live, 10);
    let hours = Slot { period_index: 3, ..slot(1) };
    hub.subscribe(&client, &[slot(1)], 0, NOW);
    hub.note_asked(hours, at(1));
    hub.note_asked(slot(1), at(2));
    hub.note_asked(slot(2), at(2));
    hub.note_asked(slot(2), at(5));
    let wanted = |minutes| hub.wanted(at(minutes)).into_iter().collect::<Vec<_>>();
    assert_eq!(wanted(10), [slot(1), hours, slot(2)]);
    assert_eq!(wanted(11), [slot(1), slot(2)], "asked for ten minutes ago");
    assert_eq!(wanted(15), [slot(1)], "subscribed: for as long as that lasts");
    hub.disconnect(&client);
    assert_eq!(wanted(16), []);
}
