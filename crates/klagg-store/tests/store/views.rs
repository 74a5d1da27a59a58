//! What people with `sqlite3` and pandas find.

use klagg_kline::{KlineRecord, KlineStatus, Period, QuoteVolume, SymbolId};
use klagg_store::StoredKline;
use rusqlite::Connection;

use crate::support::{kline, row, rows, store};

#[test]
fn the_views_print_plain_decimals_readable_times_and_names() {
    let (_folder, mut store) = store();
    store.commit(&rows([0], KlineStatus::Confirmed), &[row(1, KlineStatus::Open)]).unwrap();
    let february = KlineRecord {
        kline: klagg_kline::Kline {
            quote_volume: QuoteVolume::from_scaled(i128::MAX),
            ..kline(1_706_745_600_000, 5)
        },
        revision: 3,
        status: KlineStatus::Provisional,
    };
    let month = StoredKline { symbol: SymbolId(2), period: Period::Mo1, record: february };
    store.write(&[month]).unwrap();
    let viewer = Connection::open(store.path()).unwrap();
    let select = |sql: &str| -> Vec<String> {
        let mut statement = viewer.prepare(sql).unwrap();
        let columns = statement.column_count();
        let line = statement.query_map([], |row| {
            let cells = (0..columns).map(|at| match row.get_ref(at).unwrap() {
                rusqlite::types::ValueRef::Text(text) => String::from_utf8_lossy(text).into_owned(),
                rusqlite::types::ValueRef::Real(real) => format!("{real}"),
                other => format!("{}", other.as_i64().unwrap()),
            });
            Ok(cells.collect::<Vec<_>>().join("|"))
        });
        line.unwrap().map(Result::unwrap).collect()
    };
    assert_eq!(
        select("SELECT * FROM klines WHERE symbol = 'BTCUSDT' ORDER BY open_time"),
        [
            "BTCUSDT|1m|2023-11-14T22:24:00Z|100|200|0.00000001|150|12345|\
             2023-11-14T22:24:59.999Z|9876543.21|42|10.00000001|0.0000000000000007|confirmed|0|\
             1700000640000|0",
            "BTCUSDT|1m|2023-11-14T22:25:00Z|100|200|0.00000001|150|12345|\
             2023-11-14T22:25:59.999Z|9876543.21|42|10.00000001|0.0000000000000007|open|0|\
             1700000700000|0",
        ]
    );
    assert_eq!(
        select("SELECT * FROM klines_exact WHERE period = '1M'"),
        ["币安人生USDT|1M|2024-02-01T00:00:00Z|100.00000000|200.00000000|0.00000001|0.00000005|\
          12345.00000000|2024-02-29T23:59:59.999Z|\
          17014118346046923173168.7303715884105727|42|10.00000001|0.0000000000000007|\
          provisional|3|1706745600000|2"]
    );
    assert_eq!(
        select("SELECT quote_volume FROM klines_exact WHERE period = '1m' AND status = 'open'"),
        ["9876543.2100000000000001"]
    );
}

#[test]
fn a_query_for_one_symbol_and_period_does_not_look_through_the_others() {
    let (_folder, store) = store();
    let viewer = Connection::open(store.path()).unwrap();
    let mut statement = viewer
        .prepare(
            "EXPLAIN QUERY PLAN SELECT close FROM klines \
             WHERE symbol = 'BTCUSDT' AND period = '1h' AND open_time_ms >= 1700000000000",
        )
        .unwrap();
    let plan: Vec<String> =
        statement.query_map([], |row| row.get(3)).unwrap().map(Result::unwrap).collect();
    let plan = plan.join("\n");
    assert!(
        plan.contains("SEARCH h USING PRIMARY KEY (chunk=? AND symbol=? AND open_time>?)"),
        "{plan}"
    );
    assert!(plan.contains("SEARCH s USING COVERING INDEX symbol_by_name (name=?)"), "{plan}");
    assert!(!plan.contains("SCAN h"), "{plan}");
}
