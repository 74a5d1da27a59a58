//! What a look makes of a list, told in days; and the laws of the numbering over many looks.

use std::collections::{BTreeMap, HashMap};

use klagg_kline::Precision;
use proptest::prelude::*;

use super::*;

const DAY: i64 = 86_400_000;
const HOUR: i64 = DAY / 24;

fn filter() -> SymbolFilter {
    SymbolFilter { quote_assets: vec!["USDT".to_owned()], names: Vec::new() }
}

/// A perpetual that came on board at this hour.
fn row(name: &str, onboard_hour: i64, status: &str) -> SymbolInfo {
    SymbolInfo {
        name: name.to_owned(),
        contract_type: "PERPETUAL".to_owned(),
        status: status.to_owned(),
        base_asset: name.trim_end_matches("USDT").to_owned(),
        quote_asset: "USDT".to_owned(),
        margin_asset: "USDT".to_owned(),
        onboard_time: UnixMillis(onboard_hour * HOUR),
        delivery_time: UnixMillis(4_133_404_800_000),
        precision: Precision::new(2, 3).unwrap(),
        tick_size: None,
        step_size: None,
    }
}

fn list(symbols: Vec<SymbolInfo>) -> ExchangeInfo {
    ExchangeInfo { server_time: UnixMillis(0), weight_per_minute: None, symbols, skipped: 0 }
}

/// A look at a list; names and days of first klines that are answered.
fn look(index: &SymbolIndex, symbols: Vec<SymbolInfo>, days: &[(&str, i64)]) -> Discovery {
    look_knowing(index, symbols, days, |_| None)
}

fn look_knowing(
    index: &SymbolIndex,
    symbols: Vec<SymbolInfo>,
    days: &[(&str, i64)],
    traded_until: impl Fn(SymbolId) -> Option<UnixMillis>,
) -> Discovery {
    let mut look = Look::new(list(symbols), &filter(), &index.load(), traded_until);
    let asked: Vec<_> = look.questions().map(|question| question.name).collect();
    let answered: Vec<_> = days.iter().map(|(name, _)| (*name).to_owned()).collect();
    assert_eq!(asked, answered, "what is asked, by name");
    for (name, day) in days {
        look.answer(name, (*day >= 0).then_some(UnixMillis(day * DAY)));
    }
    look.conclude(index).unwrap()
}

const A: SymbolId = SymbolId(0);
const AGAIN: SymbolId = SymbolId(1);

/// An index in which `AUSDT`, on board since hour 30, has the number 0; whether it was retired.
fn index_with_a(retired: bool) -> SymbolIndex {
    let index = SymbolIndex::empty(10);
    look(&index, vec![row("AUSDT", 30, TRADING)], &[("AUSDT", 1)]);
    if retired {
        let found = look(&index, vec![row("AUSDT", 30, "SETTLING")], &[]);
        assert_eq!((&*found.retired, &*found.active), (&[A][..], &[][..]));
        assert_eq!(found.changes, [SymbolChange::Retire(A)]);
    }
    index
}

#[test]
fn a_halted_contract_that_trades_again_as_it_was_keeps_its_number() {
    let index = index_with_a(true);
    let found = look(&index, vec![row("AUSDT", 30, TRADING)], &[("AUSDT", 1)]);
    assert_eq!((&*found.revived, &*found.active, &*found.appended), (&[A][..], &[A][..], &[][..]));
    let now = index.load();
    assert_eq!(found.changes, [SymbolChange::Update(stored(now.entry(A).unwrap()))]);
    assert_eq!(now.get_listed("AUSDT"), Some(A));
    let nothing = look(&index, vec![row("AUSDT", 30, TRADING)], &[]);
    assert_eq!(nothing.changes, []);
    // While nobody tells whether it is the same, it has to wait.
    let index = index_with_a(true);
    let found = look(&index, vec![row("AUSDT", 30, TRADING)], &[("AUSDT", -1)]);
    assert_eq!((&*found.postponed, found.changes.len()), (&["AUSDT".to_owned()][..], 0));
}

#[test]
fn a_retired_name_that_came_on_board_later_is_another_symbol() {
    // On the same day, and with its old first day still told by the exchange.
    let index = index_with_a(true);
    let found = look(&index, vec![row("AUSDT", 40, TRADING)], &[("AUSDT", 1)]);
    assert_eq!((&*found.active, &*found.retired), (&[AGAIN][..], &[][..]));
    assert_eq!(found.appended[0].onboard_time, Some(UnixMillis(40 * HOUR)));
    let table = index.load();
    assert_eq!((table.get("AUSDT"), table.entry(A).unwrap().delisted), (Some(AGAIN), true));
    // Days later it is asked for klines of its own only.
    let index = index_with_a(true);
    let later = vec![row("AUSDT", 200, TRADING)];
    let look = Look::new(list(later), &filter(), &index.load(), |_| None);
    let (name, period, from) = ("AUSDT".to_owned(), Period::D1, UnixMillis(8 * DAY));
    let expected = FirstKline { name, period, from };
    assert_eq!(look.questions().collect::<Vec<_>>(), [expected]);
}

#[test]
fn a_first_kline_that_moved_on_tells_another_symbol_too() {
    let index = index_with_a(true);
    let found = look(&index, vec![row("AUSDT", 30, TRADING)], &[("AUSDT", 5)]);
    assert_eq!((found.active, found.revived), (vec![AGAIN], vec![]));
    assert_eq!(index.load().entry(AGAIN).unwrap().first_open_time, UnixMillis(5 * DAY));
}

#[test]
fn a_listed_name_that_is_another_symbol_makes_the_old_one_a_tombstone() {
    // Nobody saw it end: what it traded until lies before the new one came on board.
    let index = index_with_a(false);
    let traded = |_| Some(UnixMillis(99 * HOUR));
    let again = vec![row("AUSDT", 100, TRADING)];
    let found = look_knowing(&index, again.clone(), &[("AUSDT", -1)], traded);
    let postponed = ["AUSDT".to_owned()];
    assert_eq!((&*found.retired, &*found.postponed), (&[A][..], &postponed[..]));
    let found = look(&index, again, &[("AUSDT", 4)]);
    assert_eq!(found.active, [AGAIN]);
    // The order in which the store is told: never two living symbols of one name.
    let index = index_with_a(false);
    let found = look(&index, vec![row("AUSDT", 100, TRADING)], &[("AUSDT", 5)]);
    assert_eq!((&*found.retired, &*found.active), (&[A][..], &[AGAIN][..]));
    let rows = found.appended.iter().map(stored).collect();
    assert_eq!(found.changes, [SymbolChange::Retire(A), SymbolChange::Append(rows)]);
}

#[test]
fn a_name_listed_anew_on_the_day_of_its_first_listing_is_told_by_its_first_minute() {
    // Nothing is known of what its number traded: nobody confirmed a minute of it.
    let check = |first_minute: Option<i64>, expected: SymbolId| {
        let index = index_with_a(false);
        let again = list(vec![row("AUSDT", 40, TRADING)]);
        let mut look = Look::new(again, &filter(), &index.load(), |_| None);
        let (name, period, from) = ("AUSDT".to_owned(), Period::M1, UnixMillis(DAY));
        assert_eq!(look.questions().collect::<Vec<_>>(), [FirstKline { name, period, from }]);
        look.answer("AUSDT", first_minute.map(|minute| UnixMillis(minute * 60_000)));
        let found = look.conclude(&index).unwrap();
        assert_eq!(found.active, [expected], "{first_minute:?}");
        let first_open_time = index.load().entry(expected).unwrap().first_open_time;
        assert_eq!(first_open_time, UnixMillis(DAY));
    };
    check(Some(40 * 60), AGAIN);
    check(Some(41 * 60), AGAIN);
    // It traded before: its date was corrected.
    check(Some(40 * 60 - 1), A);
    check(None, A);
}

#[test]
fn a_list_holds_the_listing_of_a_number_until_its_name_is_that_of_another() {
    let index = index_with_a(false);
    let held = |row, days: &[(&str, i64)]| look(&index, vec![row], days).listed;
    assert_eq!(held(row("AUSDT", 30, TRADING), &[]), [A]);
    assert_eq!(held(row("AUSDT", 30, "SETTLING"), &[]), [A], "it has ended, and is still there");
    assert_eq!(held(row("AUSDT", 90, "SETTLING"), &[]), [], "another one, and that has ended too");
    assert_eq!(held(row("AUSDT", 90, TRADING), &[("AUSDT", -1)]), [], "without a kline yet");
    assert_eq!(held(row("AUSDT", 90, TRADING), &[("AUSDT", 3)]), [AGAIN]);
}

#[test]
fn a_date_that_was_corrected_is_learnt_and_nothing_else() {
    let index = index_with_a(false);
    // Its first kline is where it was, or nobody tells: then it is asked again.
    let corrected = vec![row("AUSDT", 100, TRADING)];
    let traded = |_| Some(UnixMillis(500 * HOUR));
    let found = look_knowing(&index, corrected.clone(), &[("AUSDT", -1)], traded);
    assert_eq!((&*found.active, &*found.changes), (&[A][..], &[][..]));
    let found = look_knowing(&index, corrected.clone(), &[("AUSDT", 1)], traded);
    assert_eq!((&*found.active, found.changes.len()), (&[A][..], 1));
    let found = look(&index, corrected, &[]);
    assert_eq!(found.changes, []);
    // An earlier date is no other listing.
    let found = look(&index, vec![row("AUSDT", 20, TRADING)], &[]);
    assert_eq!((found.active, found.changes.len()), (vec![A], 1));
}

#[test]
fn without_a_known_date_the_day_decides() {
    let entry = |delisted| SymbolEntry {
        id: A,
        name: "AUSDT".into(),
        first_open_time: UnixMillis(DAY),
        onboard_time: None,
        precision: Precision::new(2, 3).unwrap(),
        delisted,
    };
    let index = |delisted| SymbolIndex::from_entries(vec![entry(delisted)], 10).unwrap();
    let found = look(&index(false), vec![row("AUSDT", 300, TRADING)], &[]);
    assert_eq!(found.active, [A], "a listed one is what it was");
    let found = look(&index(true), vec![row("AUSDT", 300, TRADING)], &[("AUSDT", 12)]);
    assert_eq!(found.active, [AGAIN]);
    let found = look(&index(true), vec![row("AUSDT", 30, TRADING)], &[("AUSDT", 1)]);
    assert_eq!(found.active, [A]);
}

#[test]
fn a_name_about_to_be_listed_anew_has_ended_and_its_time_is_awaited() {
    let index = index_with_a(false);
    let rows = vec![
        row("AUSDT", 500, PENDING),
        row("BUSDT", 600, PENDING),
        SymbolInfo { quote_asset: "USDC".to_owned(), ..row("CUSDC", 700, PENDING) },
        SymbolInfo { delivery_time: UnixMillis(800 * HOUR), ..row("DUSDT", 1, TRADING) },
    ];
    let found = look(&index, rows, &[("DUSDT", 0)]);
    assert_eq!((found.retired, found.postponed.len()), (vec![A], 0));
    assert!(found.awaited.into_iter().eq([500, 600, 800].map(|hour| UnixMillis(hour * HOUR))));
}

#[test]
fn the_ten_thousand_and_first_is_refused_and_the_rest_goes_on() {
    let index = SymbolIndex::empty(10_000);
    let names: Vec<String> = (0..10_001).map(|at| format!("S{at:05}USDT")).collect();
    let mut rows: Vec<_> = names.iter().map(|name| row(name, 30, TRADING)).collect();
    let days: Vec<(&str, i64)> = names.iter().map(|name| (name.as_str(), 1)).collect();
    let found = look(&index, rows.clone(), &days);
    assert_eq!((found.active.len(), found.refused), (10_000, vec!["S10000USDT".to_owned()]));
    // Tombstones keep their numbers: there is no room for it even when others have ended.
    rows[..3].iter_mut().for_each(|row| row.status = "SETTLING".to_owned());
    let found = look(&index, rows, &[("S10000USDT", 1)]);
    assert_eq!((found.retired.len(), found.active.len()), (3, 9_997));
    assert_eq!(found.refused, ["S10000USDT"]);
}

#[test]
fn a_list_that_lacks_half_of_the_market_ends_nothing() {
    let index = SymbolIndex::empty(10);
    let days = [("AUSDT", 1), ("BUSDT", 1), ("CUSDT", 1)];
    look(&index, days.map(|(name, _)| row(name, 30, TRADING)).to_vec(), &days);
    assert_eq!(look(&index, vec![row("AUSDT", 30, TRADING)], &[]).retired, []);
    let found = look(&index, vec![row("AUSDT", 30, TRADING), row("BUSDT", 30, TRADING)], &[]);
    assert_eq!(found.retired, [SymbolId(2)]);
    let mut unreadable = list(vec![row("AUSDT", 30, TRADING)]);
    unreadable.skipped = 1;
    let look = Look::new(unreadable, &filter(), &index.load(), |_| None);
    assert_eq!(look.conclude(&index).unwrap().retired, []);
}

/// What happens to a name between two looks.
#[derive(Debug, Clone, Copy)]
enum Fate {
    Stays,
    Settles,
    /// Stops trading without having ended.
    Halts,
    /// Trades; if it had settled, under a later date.
    Trades,
}

/// A market that shares no code with the look: each name's listings, one after the other.
#[derive(Debug, Default)]
struct Truth {
    /// By name: the hours at which its listings came on board, and how it stands.
    names: BTreeMap<String, (Vec<i64>, &'static str)>,
}

impl Truth {
    fn step(&mut self, name: &str, fate: Fate, hour: i64) {
        let (listings, status) =
            self.names.entry(name.to_owned()).or_insert((Vec::new(), "SETTLING"));
        *status = match fate {
            Fate::Stays => status,
            _ if listings.is_empty() => {
                listings.push(hour);
                TRADING
            }
            Fate::Settles => "SETTLING",
            Fate::Halts if *status == TRADING => "BREAK",
            Fate::Halts => status,
            Fate::Trades => {
                if *status == "SETTLING" {
                    listings.push(hour);
                }
                TRADING
            }
        };
    }

    fn list(&self) -> Vec<SymbolInfo> {
        let listed = self.names.iter().filter(|(_, (listings, _))| !listings.is_empty());
        let of = |(name, (listings, status)): (&String, &(Vec<i64>, &str))| {
            row(name, listings[listings.len() - 1], status)
        };
        listed.map(of).collect()
    }
}

fn fates() -> impl Strategy<Value = Vec<Vec<(usize, Fate)>>> {
    let fate = prop_oneof![
        1 => Just(Fate::Stays),
        1 => Just(Fate::Settles),
        1 => Just(Fate::Halts),
        3 => Just(Fate::Trades)
    ];
    prop::collection::vec(prop::collection::vec((0..5_usize, fate), 0..5), 1..12)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn the_numbering_is_that_of_the_listings_however_it_is_come_by(
        steps in fates(),
        shuffle in any::<prop::sample::Index>(),
        restarts in any::<u16>(),
    ) {
        const NAMES: [&str; 5] = ["AUSDT", "BUSDT", "4USDT", "币安人生USDT", "X_1USDT"];
        let (mut plain, mut other) = (SymbolIndex::empty(1_000), SymbolIndex::empty(1_000));
        let mut store: Vec<klagg_store::StoredSymbol> = Vec::new();
        let mut truth = Truth::default();
        // What the numbering must be: every listing that a look saw trading, once, batch by batch.
        let mut expected: Vec<(UnixMillis, String, i64)> = Vec::new();
        let mut seen: HashMap<String, i64> = HashMap::new();
        let mut traded: HashMap<SymbolId, UnixMillis> = HashMap::new();
        for (at, step) in steps.iter().enumerate() {
            for (within, &(name, fate)) in step.iter().enumerate() {
                let hour = 30 + 20 * i64::try_from(at).unwrap() + i64::try_from(within).unwrap();
                truth.step(NAMES[name], fate, hour);
            }
            let mut batch = Vec::new();
            for row in truth.list().iter().filter(|row| row.status == TRADING) {
                let hour = row.onboard_time.0 / HOUR;
                if seen.insert(row.name.clone(), hour) != Some(hour) {
                    batch.push((Period::D1.open_time(row.onboard_time), row.name.clone(), hour));
                }
            }
            batch.sort_by(|a, b| (a.0, a.1.as_bytes()).cmp(&(b.0, b.1.as_bytes())));
            expected.extend(batch);
            let traded_until = |id: SymbolId| traded.get(&id).copied();
            let conclude = |index: &SymbolIndex, symbols: Vec<SymbolInfo>, rotate: usize| {
                let onboard: HashMap<_, _> =
                    symbols.iter().map(|row| (row.name.clone(), row.onboard_time)).collect();
                let mut look = Look::new(list(symbols), &filter(), &index.load(), traded_until);
                let mut asked: Vec<_> = look.questions().collect();
                let middle = rotate.min(asked.len());
                asked.rotate_left(middle);
                for FirstKline { name, period, .. } in asked {
                    look.answer(&name, Some(period.open_time(onboard[&name])));
                }
                look.conclude(index).unwrap()
            };
            let found = conclude(&plain, truth.list(), 0);
            for change in &found.changes {
                match change {
                    SymbolChange::Append(rows) => store.extend(rows.iter().cloned()),
                    SymbolChange::Retire(id) => store[id.index()].delisted = true,
                    SymbolChange::Update(row) => store[row.id.index()] = row.clone(),
                    SymbolChange::SetPrecision(..) => unreachable!("said as an update"),
                }
            }
            let active = found.active;
            let mut shuffled = truth.list();
            let middle = shuffle.index(shuffled.len().max(1)).min(shuffled.len());
            shuffled.rotate_left(middle);
            prop_assert_eq!(&conclude(&other, shuffled, middle).active, &active);
            let looked_at = UnixMillis((49 + 20 * i64::try_from(at).unwrap()) * HOUR);
            traded.extend(active.into_iter().map(|id| (id, looked_at)));
            if restarts >> (at % 16) & 1 == 1 {
                let entries = store.iter().map(crate::symbols::entry).collect();
                plain = SymbolIndex::from_entries(entries, 1_000).unwrap();
                let entries = other.load().iter().cloned().collect();
                other = SymbolIndex::from_entries(entries, 1_000).unwrap();
            }
            prop_assert_eq!(&*plain.load(), &*other.load());
            let table = plain.load();
            let given: Vec<_> = table
                .iter()
                .map(|entry| {
                    let hour = entry.onboard_time.expect("told").0 / HOUR;
                    (entry.first_open_time, entry.name.to_string(), hour)
                })
                .collect();
            prop_assert_eq!(&given, &expected);
            // A name leads to its newest listing, which alone may be listed.
            for entry in table.iter() {
                let newest = table.get(&entry.name).unwrap();
                prop_assert!(newest == entry.id || entry.delisted);
            }
        }
    }
}
