//! Laws of the numbering.

use std::collections::HashMap;

use klagg_kline::{Precision, SymbolId, UnixMillis};
use klagg_symbols::{NewSymbol, SymbolEntry, SymbolIndex, SymbolsError};
use proptest::prelude::*;

fn symbols() -> impl Strategy<Value = Vec<NewSymbol>> {
    let name = prop_oneof!["[A-C]{1,2}USDT", Just("币安人生USDT".to_owned()), "[a-b]{1,2}_[0-9]"];
    let symbol =
        (name, 0_i64..5, 0_u8..3, 0_u8..3).prop_map(|(name, day, price, quantity)| NewSymbol {
            name,
            first_open_time: UnixMillis(day * 86_400_000),
            onboard_time: Some(UnixMillis(day * 86_400_000 + 1)),
            precision: Precision::new(price, quantity).expect("below nine"),
        });
    prop::collection::vec(symbol, 0..20)
}

fn all(index: &SymbolIndex) -> Vec<SymbolEntry> {
    index.load().iter().cloned().collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn the_order_of_arrival_does_not_matter(
        (one, other) in symbols().prop_flat_map(|symbols| {
            (Just(symbols.clone()), Just(symbols).prop_shuffle())
        }),
    ) {
        let (left, right) = (SymbolIndex::empty(100), SymbolIndex::empty(100));
        let appended = left.append(one.clone()).expect("there is room");
        prop_assert_eq!(&appended, &right.append(other).expect("there is room"));
        prop_assert_eq!(&all(&left), &appended);
        // The rule in words: by time, then by bytes, each name once, the earliest of it.
        let key = |entry: &SymbolEntry| (entry.first_open_time, entry.name.as_bytes().to_vec());
        prop_assert!(appended.windows(2).all(|pair| key(&pair[0]) < key(&pair[1])));
        for symbol in &one {
            let named: Vec<_> =
                appended.iter().filter(|entry| *entry.name == *symbol.name).collect();
            prop_assert_eq!(named.len(), 1);
            prop_assert!(named[0].first_open_time <= symbol.first_open_time);
        }
    }

    #[test]
    fn numbers_never_change_their_meaning(
        batches in prop::collection::vec(
            (symbols(), any::<prop::sample::Index>(), any::<bool>()),
            1..8,
        ),
        max in 1_usize..12,
    ) {
        let index = SymbolIndex::empty(max);
        let mut reader = index.reader();
        let mut given: Vec<(String, UnixMillis)> = Vec::new();
        let mut listed: HashMap<String, SymbolId> = HashMap::new();
        for (batch, retired, retire) in batches {
            let names: Vec<String> = batch.iter().map(|symbol| symbol.name.clone()).collect();
            let (appended, refused) = match index.append(batch) {
                Ok(appended) => (appended, Vec::new()),
                Err(SymbolsError::Full { max: limit, appended, refused }) => {
                    prop_assert_eq!(limit, max);
                    prop_assert!(!refused.is_empty());
                    prop_assert_eq!(index.load().len(), max);
                    (appended, refused)
                }
                Err(error) => return Err(TestCaseError::fail(error.to_string())),
            };
            for entry in &appended {
                prop_assert_eq!(entry.id.index(), given.len());
                prop_assert!(!listed.contains_key(&*entry.name), "listed already");
                given.push((entry.name.to_string(), entry.first_open_time));
                listed.insert(entry.name.to_string(), entry.id);
            }
            for name in names {
                let was_refused = refused.iter().any(|symbol| symbol.name == name);
                prop_assert!(listed.contains_key(&name) != was_refused, "{name}: one or the other");
            }
            if retire && !given.is_empty() {
                let id = SymbolId(u32::try_from(retired.index(given.len())).expect("few"));
                index.retire(id).expect("it has a number");
                listed.retain(|_, held| *held != id);
            }
            let table = reader.table();
            prop_assert_eq!(table.len(), given.len());
            for (entry, (name, time)) in table.iter().zip(&given) {
                prop_assert_eq!((&*entry.name, entry.first_open_time), (name.as_str(), *time));
                prop_assert_eq!(entry.delisted, listed.get(name) != Some(&entry.id));
                let newest = given.iter().rposition(|(other, _)| other == name);
                prop_assert_eq!(table.get(name).map(SymbolId::index), newest);
                prop_assert_eq!(table.get_bytes(name.as_bytes()), table.get(name));
                prop_assert_eq!(table.get_listed(name), listed.get(name).copied());
            }
            // Persisted in any order and loaded again, nothing differs.
            let mut entries = all(&index);
            entries.reverse();
            let again = SymbolIndex::from_entries(entries, max).expect("it was valid");
            prop_assert_eq!(&*again.load(), &*index.load());
        }
    }
}
