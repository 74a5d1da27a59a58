//! When a look is due, told in seconds.

use std::collections::BTreeSet;

use klagg_kline::Precision;
use klagg_symbols::{NewSymbol, SymbolEntry, SymbolIndex};
use klagg_wire::rest::{ExchangeInfo, SymbolInfo};

use super::*;

const CONFIG: LookoutConfig = LookoutConfig {
    cadence: Duration::from_mins(10),
    pause: Duration::from_secs(3),
    pause_max: Duration::from_mins(1),
    retry_pause: Duration::from_secs(15),
};
/// The exchange's time when ours began.
const BEGAN: i64 = 1_000_000_000;

fn at(seconds: u64) -> Now {
    let exchange = UnixMillis(BEGAN + i64::try_from(seconds).unwrap() * 1_000);
    Now { local: Duration::from_secs(seconds), exchange }
}

fn exchange(seconds: i64) -> UnixMillis {
    UnixMillis(BEGAN + seconds * 1_000)
}

fn filter() -> SymbolFilter {
    SymbolFilter { quote_assets: vec!["USDT".to_owned()], names: Vec::new() }
}

fn found(active: &[SymbolId]) -> Discovery {
    let row = SymbolInfo {
        name: "BTCUSDT_261225".to_owned(),
        contract_type: "CURRENT_QUARTER".to_owned(),
        status: TRADING.to_owned(),
        base_asset: "BTC".to_owned(),
        quote_asset: "USDT".to_owned(),
        margin_asset: "USDT".to_owned(),
        onboard_time: UnixMillis(0),
        delivery_time: UnixMillis(0),
        precision: Precision::new(2, 3).unwrap(),
        tick_size: None,
        step_size: None,
    };
    let (server_time, weight_per_minute) = (UnixMillis(0), None);
    let info = ExchangeInfo { server_time, weight_per_minute, symbols: vec![row], skipped: 0 };
    Discovery {
        listed: active.to_vec(),
        info,
        raw: bytes::Bytes::new(),
        active: active.to_vec(),
        appended: Vec::new(),
        retired: Vec::new(),
        revived: Vec::new(),
        postponed: Vec::new(),
        refused: vec!["FULLUSDT".to_owned()],
        changes: Vec::new(),
        awaited: BTreeSet::new(),
    }
}

fn contract(symbol: &str, status: &str) -> ContractInfo {
    ContractInfo {
        symbol: symbol.to_owned(),
        event_time: UnixMillis(0),
        contract_type: "PERPETUAL".to_owned(),
        status: status.to_owned(),
        onboard_time: exchange(0),
        delivery_time: UnixMillis(4_133_404_800_000),
        coin_margined: false,
    }
}

fn append(index: &SymbolIndex, name: &str) -> SymbolId {
    let symbol = NewSymbol {
        name: name.to_owned(),
        first_open_time: UnixMillis(0),
        onboard_time: Some(exchange(0)),
        precision: Precision::new(2, 3).unwrap(),
    };
    index.append(vec![symbol]).unwrap()[0].id
}

/// A lookout that follows `BTCUSDT` and has just looked, and the index.
fn following() -> (Lookout, SymbolIndex) {
    let index = SymbolIndex::empty(10);
    append(&index, "BTCUSDT");
    let mut lookout = Lookout::new(CONFIG, filter());
    assert!(lookout.is_due(at(0)));
    lookout.begun(at(0));
    let found = found(&[SymbolId(0)]);
    let moves = lookout.moves(&found, &index.load());
    assert_eq!(moves, Moves { leave: vec![], follow: vec![SymbolId(0)] });
    lookout.has_followed(&moves.follow);
    lookout.concluded(at(0), &found);
    (lookout, index)
}

/// When the next look is due, if the deadlines are kept.
fn due_at(lookout: &Lookout, from: u64) -> u64 {
    let mut now = at(from);
    for _ in 0..100_000 {
        if lookout.is_due(now) {
            return now.local.as_secs();
        }
        let next = lookout.next_deadline(now);
        assert!(next > now.local, "a deadline that has passed is a look that is due");
        now = at(next.as_secs());
    }
    panic!("no look is due");
}

#[test]
fn nothing_heard_is_looked_at_every_ten_minutes() {
    let (lookout, _) = following();
    assert_eq!(due_at(&lookout, 0), 600);
}

#[test]
fn a_name_that_trades_and_is_neither_followed_nor_passed_over_is_news() {
    let (mut lookout, index) = following();
    for name in ["BTCUSDT", "BTCUSDT_261225", "FULLUSDT"] {
        lookout.heard(name, &index.load());
        assert_eq!(due_at(&lookout, 100), 600, "{name}");
    }
    lookout.heard("币安人生USDT", &index.load());
    assert_eq!(due_at(&lookout, 1), 3, "looks are a pause apart");
    assert_eq!(due_at(&lookout, 100), 100);
    lookout.begun(at(10));
    assert!(!lookout.is_due(at(100)));
    // A tombstone that trades is news as well.
    index.retire(SymbolId(0)).unwrap();
    lookout.heard("BTCUSDT", &index.load());
    assert_eq!(due_at(&lookout, 101), 101);
}

#[test]
fn a_followed_symbol_that_settles_is_looked_at_at_once() {
    let check = |told: ContractInfo, expected: u64| {
        let (mut lookout, index) = following();
        lookout.told(&told, &index.load());
        assert_eq!(due_at(&lookout, 100), expected, "{told:?}");
    };
    check(contract("BTCUSDT", "SETTLING"), 100);
    check(contract("BTCUSDT", TRADING), 600);
    check(ContractInfo { onboard_time: exchange(1), ..contract("BTCUSDT", TRADING) }, 100);
    // Announced: at that time.
    check(ContractInfo { delivery_time: exchange(130), ..contract("BTCUSDT", TRADING) }, 130);
    // Another market, another kind of contract.
    check(ContractInfo { coin_margined: true, ..contract("BTCUSDT", "SETTLING") }, 600);
    let quarterly = "CURRENT_QUARTER".to_owned();
    check(ContractInfo { contract_type: quarterly, ..contract("BTCUSDT_261225", "X") }, 600);
}

#[test]
fn a_contract_that_is_announced_is_looked_at_when_it_comes_on_board() {
    let (mut lookout, index) = following();
    let soon = ContractInfo { onboard_time: exchange(50), ..contract("SOONUSDT", PENDING) };
    lookout.told(&soon, &index.load());
    assert_eq!(due_at(&lookout, 10), 50);
    let (mut lookout, index) = following();
    lookout.told(&contract("NOWUSDT", TRADING), &index.load());
    assert_eq!(due_at(&lookout, 10), 10);
    // The list tells it too.
    let (mut lookout, _) = following();
    let awaited = BTreeSet::from([exchange(-700), exchange(40)]);
    lookout.concluded(at(0), &Discovery { awaited, ..found(&[]) });
    assert_eq!(due_at(&lookout, 10), 40);
}

#[test]
fn what_no_look_settles_is_looked_at_ever_more_seldom_until_something_changes() {
    let (mut lookout, index) = following();
    let waiting = || Discovery { postponed: vec!["SOONUSDT".to_owned()], ..found(&[]) };
    let mut now = 10;
    for pause in [6, 12, 24, 48, 60, 60] {
        lookout.begun(at(now));
        lookout.concluded(at(now), &waiting());
        lookout.heard("SOONUSDT", &index.load());
        assert_eq!(due_at(&lookout, now), now + pause);
        now += pause;
    }
    lookout.begun(at(now));
    let changes = vec![klagg_store::SymbolChange::Retire(SymbolId(0))];
    lookout.concluded(at(now), &Discovery { changes, ..waiting() });
    assert_eq!(due_at(&lookout, now), now + 3);
    // On board by now, and still not trading: the exchange is late.
    lookout.begun(at(now));
    let awaited = BTreeSet::from([at(now).exchange.plus(-2_000)]);
    lookout.concluded(at(now), &Discovery { awaited, ..found(&[]) });
    assert_eq!(due_at(&lookout, now), now + 6);
}

#[test]
fn a_look_that_failed_is_repeated_and_what_was_not_carried_out_is_asked_for_again() {
    let (mut lookout, index) = following();
    lookout.begun(at(100));
    lookout.failed(at(100));
    assert_eq!(due_at(&lookout, 100), 115);
    index.retire(SymbolId(0)).unwrap();
    append(&index, "ETHUSDT");
    let moves = lookout.moves(&found(&[SymbolId(1)]), &index.load());
    assert_eq!(moves, Moves { leave: vec![SymbolId(0)], follow: vec![SymbolId(1)] });
    assert_eq!(lookout.moves(&found(&[SymbolId(1)]), &index.load()), moves);
    lookout.has_left(&moves.leave);
    lookout.has_followed(&moves.follow);
    assert_eq!(lookout.moves(&found(&[SymbolId(1)]), &index.load()), Moves::default());
    assert_eq!(lookout.traded().get(&SymbolId(0)), Some(&exchange(0)));
    assert_eq!(lookout.traded().get(&SymbolId(1)), None);
}

#[test]
fn after_a_suspension_in_which_our_clock_stood_the_list_is_looked_at_at_once() {
    let (mut lookout, _) = following();
    lookout.begun(at(0));
    lookout.concluded(at(0), &found(&[SymbolId(0)]));
    let after = |minutes: i64| Now { local: at(60).local, exchange: exchange(minutes * 60) };
    assert!(!lookout.is_due(after(9)));
    assert!(lookout.is_due(after(60)), "an hour has passed for the exchange");
    assert_eq!(lookout.next_deadline(after(60)), at(60).local);
    lookout.begun(after(60));
    lookout.concluded(after(60), &found(&[SymbolId(0)]));
    assert!(!lookout.is_due(Now { local: at(70).local, exchange: exchange(3_610) }));
}

#[test]
fn a_name_that_the_exchange_did_not_answer_for_was_not_seen_to_trade() {
    let (mut lookout, _) = following();
    lookout.begun(at(600));
    let unanswered = Discovery { listed: Vec::new(), ..found(&[SymbolId(0)]) };
    lookout.concluded(at(600), &unanswered);
    assert_eq!(lookout.traded().get(&SymbolId(0)), Some(&exchange(0)), "as before");
    lookout.begun(at(603));
    lookout.concluded(at(603), &found(&[SymbolId(0)]));
    assert_eq!(lookout.traded().get(&SymbolId(0)), Some(&exchange(603)));
}

#[test]
fn a_list_that_waited_for_its_weight_is_as_old_as_the_exchange_says() {
    let (mut lookout, _) = following();
    let told = |seconds: i64| {
        let found = found(&[SymbolId(0)]);
        let info = ExchangeInfo { server_time: exchange(seconds), ..found.info };
        Discovery { info, ..found }
    };
    // It was banned for five minutes, and asked for first klines for as long after that.
    lookout.begun(at(1_000));
    assert_eq!(lookout.seen_at(at(1_600), &told(1_300)), exchange(1_300));
    lookout.concluded(at(1_600), &told(1_300));
    assert_eq!(lookout.traded().get(&SymbolId(0)), Some(&exchange(1_300)));
    assert_eq!(due_at(&lookout, 1_600), 1_900, "ten minutes after what the list tells of");
    // A time that cannot be is not believed.
    lookout.begun(at(2_000));
    assert_eq!(lookout.seen_at(at(2_001), &told(0)), exchange(2_000));
    assert_eq!(lookout.seen_at(at(2_001), &told(9_999)), exchange(2_001));
    // While we stood still, so did our clock: it may be behind what it said before.
    assert_eq!(lookout.seen_at(at(1_990), &told(2_000)), exchange(2_000));
}

#[test]
fn the_first_id_is_known_of_what_has_just_come_on_board_until_it_is_followed() {
    let (mut lookout, index) = following();
    let (young, old) = (append(&index, "ETHUSDT"), append(&index, "SOLUSDT"));
    let dated = |id, seconds: i64| {
        let entry = index.load().entry(id).unwrap().clone();
        SymbolEntry { onboard_time: Some(exchange(seconds)), ..entry }
    };
    let appended = vec![dated(young, 1_000), dated(old, 400)];
    let now = exchange(1_010);
    let of_look = Discovery { appended, ..found(&[SymbolId(0), young, old]) };
    let moves = lookout.moves(&of_look, &index.load());
    assert_eq!(moves.follow, [young, old]);
    let of_each = |lookout: &Lookout| [SymbolId(0), young, old].map(|id| lookout.next_id(id, now));
    assert_eq!(of_each(&lookout), [None, Some(TradeId(1)), None]);
    // It was not carried out. The next look numbers nothing, and knows it still.
    lookout.failed(at(1_010));
    let moves = lookout.moves(&found(&[SymbolId(0), young, old]), &index.load());
    assert_eq!(moves.follow, [young, old]);
    assert_eq!(of_each(&lookout), [None, Some(TradeId(1)), None]);
    assert_eq!(lookout.next_id(young, exchange(1_300)), None, "it has traded for too long");
    lookout.has_followed(&moves.follow);
    assert_eq!(of_each(&lookout), [None; 3]);
}

#[test]
fn news_of_a_later_listing_of_a_name_tell_whose_minutes_are_another_listings_and_since_when() {
    let (mut lookout, index) = following();
    let mut told = |contract: &ContractInfo| lookout.told(contract, &index.load());
    let own = contract("BTCUSDT", TRADING);
    assert_eq!(told(&own), None);
    assert_eq!(
        told(&contract("BTCUSDT", "SETTLING")),
        None,
        "it has ended, and nobody has its name"
    );
    let anew = ContractInfo { onboard_time: exchange(600), ..own };
    assert_eq!(told(&anew), Some((SymbolId(0), exchange(600))));
    assert_eq!(told(&ContractInfo { coin_margined: true, ..anew.clone() }), None);
    assert_eq!(told(&ContractInfo { symbol: "NEWUSDT".to_owned(), ..anew }), None);
}
