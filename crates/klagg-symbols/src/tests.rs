//! What is refused, and that readers and appenders do not get in each other's way.

use klagg_kline::{Precision, SymbolId, UnixMillis};

use crate::{NewSymbol, SymbolEntry, SymbolIndex, SymbolsError};

fn symbol(name: &str, day: i64) -> NewSymbol {
    NewSymbol {
        name: name.to_owned(),
        first_open_time: UnixMillis(day * 86_400_000),
        onboard_time: None,
        precision: Precision::new(2, 3).unwrap(),
    }
}

fn entry(id: u32, name: &str, delisted: bool) -> SymbolEntry {
    SymbolEntry {
        id: SymbolId(id),
        name: name.into(),
        first_open_time: UnixMillis(0),
        onboard_time: None,
        precision: Precision::new(2, 3).unwrap(),
        delisted,
    }
}

#[test]
fn the_blueprints_example_is_numbered_as_it_says() {
    let index = SymbolIndex::empty(10);
    let batch = vec![symbol("ETHUSDT", 1), symbol("1000PEPEUSDT", 9), symbol("BTCUSDT", 1)];
    let names: Vec<String> =
        index.append(batch).unwrap().iter().map(|entry| entry.name.to_string()).collect();
    assert_eq!(names, ["BTCUSDT", "ETHUSDT", "1000PEPEUSDT"]);
    // Older than everything numbered so far, and last all the same.
    let late = index.append(vec![symbol("AAVEUSDT", 0)]).unwrap();
    assert_eq!(late[0].id, SymbolId(3));
}

#[test]
fn a_name_listed_again_is_another_symbol() {
    let index = SymbolIndex::empty(10);
    index.append(vec![symbol("RNDRUSDT", 1)]).unwrap();
    assert_eq!(index.append(vec![symbol("RNDRUSDT", 1)]).unwrap(), [], "listed already");
    index.retire(SymbolId(0)).unwrap();
    index.retire(SymbolId(0)).unwrap();
    let table = index.load();
    assert_eq!((table.get("RNDRUSDT"), table.get_listed("RNDRUSDT")), (Some(SymbolId(0)), None));
    assert_eq!(index.append(vec![symbol("RNDRUSDT", 7)]).unwrap()[0].id, SymbolId(1));
    let table = index.load();
    assert_eq!(table.get("RNDRUSDT"), Some(SymbolId(1)));
    assert!(table.entry(SymbolId(0)).unwrap().delisted);
    assert!(!table.entry(SymbolId(1)).unwrap().delisted);
}

#[test]
fn a_listing_that_had_not_ended_comes_back_unless_its_name_was_listed_anew() {
    let index = SymbolIndex::empty(10);
    index.append(vec![symbol("A", 1)]).unwrap();
    index.retire(SymbolId(0)).unwrap();
    index.revive(SymbolId(0)).unwrap();
    index.revive(SymbolId(0)).unwrap();
    assert_eq!(index.load().get_listed("A"), Some(SymbolId(0)));
    index.set_onboard_time(SymbolId(0), UnixMillis(7)).unwrap();
    assert_eq!(index.load().entry(SymbolId(0)).unwrap().onboard_time, Some(UnixMillis(7)));
    index.retire(SymbolId(0)).unwrap();
    index.append(vec![symbol("A", 2)]).unwrap();
    let twice =
        SymbolsError::ListedTwice { name: "A".to_owned(), first: SymbolId(0), second: SymbolId(1) };
    assert_eq!(index.revive(SymbolId(0)), Err(twice));
    assert_eq!(index.revive(SymbolId(2)), Err(SymbolsError::Unknown { id: SymbolId(2) }));
}

#[test]
fn the_first_beyond_the_limit_is_refused_and_the_others_go_on() {
    let index = SymbolIndex::empty(2);
    let error = index.append(vec![symbol("C", 3), symbol("A", 1), symbol("B", 2)]).unwrap_err();
    assert_eq!(error.to_string(), "the limit of 2 symbols is reached: 1 refused, first `C`");
    let SymbolsError::Full { appended, refused, .. } = error else { panic!("full") };
    assert_eq!(appended.len(), 2);
    assert_eq!(refused, [symbol("C", 3)]);
    assert_eq!(index.load().get("B"), Some(SymbolId(1)));
    assert_eq!(index.append(vec![symbol("A", 1)]).unwrap(), [], "no room is needed for that");
}

#[test]
fn what_is_no_numbering_is_refused() {
    let check = |entries: Vec<SymbolEntry>, max: usize, expected: &str| {
        let error = SymbolIndex::from_entries(entries, max).unwrap_err();
        assert_eq!(error.to_string(), expected);
    };
    let hole = "the numbering has a hole or a double at #1";
    check(vec![entry(0, "A", false), entry(2, "B", false)], 9, hole);
    check(vec![entry(0, "A", false), entry(0, "B", false)], 9, hole);
    let twice = "`A` is listed twice, as #0 and #1";
    check(vec![entry(1, "A", false), entry(0, "A", false)], 9, twice);
    let many = "2 symbols were numbered before, but the limit is 1";
    check(vec![entry(0, "A", false), entry(1, "B", false)], 1, many);
    check(vec![entry(0, "A\n", false)], 9, "`A\\n` is no symbol name");
    SymbolIndex::from_entries(vec![entry(0, "A", true), entry(1, "A", false)], 9).unwrap();
}

#[test]
fn a_bad_name_is_named_and_nothing_is_appended() {
    let index = SymbolIndex::empty(10);
    let long = "A".repeat(65);
    for bad in ["", "BTC USDT", "BTC\u{7f}", "\t", &long] {
        let error = index.append(vec![symbol("GOOD", 1), symbol(bad, 0)]).unwrap_err();
        assert!(matches!(error, SymbolsError::BadName { .. }), "{bad:?}");
        assert!(index.load().is_empty());
    }
    index.append(vec![symbol("币安人生USDT", 1)]).unwrap();
    assert_eq!(index.load().get_bytes("币安人生USDT".as_bytes()), Some(SymbolId(0)));
}

#[test]
fn a_precision_can_change_and_unknown_numbers_are_told() {
    let index = SymbolIndex::empty(10);
    index.append(vec![symbol("A", 1)]).unwrap();
    let finer = Precision::new(4, 4).unwrap();
    index.set_precision(SymbolId(0), finer).unwrap();
    assert_eq!(index.load().entry(SymbolId(0)).unwrap().precision, finer);
    let unknown = SymbolsError::Unknown { id: SymbolId(1) };
    assert_eq!(index.retire(SymbolId(1)), Err(unknown.clone()));
    assert_eq!(index.set_precision(SymbolId(1), finer), Err(unknown));
}

#[test]
fn appenders_and_readers_on_many_threads_see_one_numbering() {
    const EACH: i64 = 40;
    /// Half of the names are everybody's, the others are of one thread of four.
    const EXPECTED: usize = 20 + 4 * 20;
    let index = SymbolIndex::empty(1_000);
    std::thread::scope(|scope| {
        for thread in 0..4 {
            let index = &index;
            scope.spawn(move || {
                for at in 0..EACH {
                    let name =
                        if at % 2 == 0 { format!("S{at}") } else { format!("S{at}-{thread}") };
                    index.append(vec![symbol(&name, at)]).unwrap();
                }
            });
        }
        let mut reader = index.reader();
        let mut seen = 0;
        while seen < EXPECTED {
            let table = reader.table();
            assert!(table.len() >= seen, "a table never shrinks");
            seen = table.len();
            for (at, entry) in table.iter().enumerate() {
                assert_eq!(entry.id.index(), at);
                assert_eq!(table.get(&entry.name), Some(entry.id));
            }
        }
    });
    assert_eq!(index.load().len(), EXPECTED);
}
