//! Many symbols read together are what each is alone, whatever holes and damage they have.

use klagg_kline::SymbolId;
use klagg_store::{Newest, ReadEnd, ReadQuery};
use proptest::prelude::*;
use rusqlite::Connection;

use crate::{MINUTE, SYMBOLS, batches, new_store, period, quick_folder, stored};

/// What is done to the rows behind the store's back.
#[derive(Debug, Clone, Copy)]
enum Harm {
    /// A value is changed.
    Value,
    /// A row is gone.
    Gone,
    /// A row says that it is of another time.
    Time,
}

fn harm() -> impl Strategy<Value = (Harm, u32, i64)> {
    let kind = prop_oneof![Just(Harm::Value), Just(Harm::Gone), Just(Harm::Time)];
    (kind, 0..SYMBOLS, 1_000_i64..1_080)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn symbols_read_together_are_what_each_is_alone(
        batches in batches(),
        symbols in prop::collection::vec(0..SYMBOLS + 2, 0..6),
        sorted in any::<bool>(),
        limits in prop::collection::vec(0_usize..100, 4),
        harms in prop::collection::vec(harm(), 0..3),
    ) {
        let folder = quick_folder();
        let mut store = new_store(folder.path());
        for batch in &batches {
            let rows: Vec<_> = batch.iter().map(|&(key, held)| stored(key, held)).collect();
            store.write(&rows).unwrap();
        }
        let vandal = Connection::open(store.path()).unwrap();
        for (harm, symbol, at) in harms {
            let sql = match harm {
                Harm::Value => "UPDATE history SET close = close + 1",
                Harm::Gone => "DELETE FROM history",
                Harm::Time => "UPDATE OR REPLACE history SET open_time = open_time + 7",
            };
            let sql = format!("{sql} WHERE symbol = ?1 AND open_time = ?2");
            vandal.execute(&sql, [i64::from(symbol), at * MINUTE]).unwrap();
        }
        let mut symbols: Vec<SymbolId> = symbols.into_iter().map(SymbolId).collect();
        if sorted {
            symbols.sort_unstable();
            symbols.dedup();
        }
        let reader = store.reader().unwrap();
        for limit in limits.into_iter().chain([usize::MAX]) {
            for minutes in [1, 5] {
                let query = ReadQuery { from: None, to: None, limit, keep: ReadEnd::Newest };
                let alone = |&symbol: &SymbolId| Newest {
                    page: reader.read_page(symbol, period(minutes), &query).unwrap(),
                    complete_until: reader.complete_until(symbol, period(minutes)).unwrap(),
                };
                let alone: Vec<Newest> = symbols.iter().map(alone).collect();
                let together = reader.read_newest(&symbols, period(minutes), limit).unwrap();
                prop_assert_eq!(together, alone, "{:?}, at most {}", symbols, limit);
            }
        }
    }
}
