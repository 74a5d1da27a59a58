//! Databases of earlier versions: read as they are, brought up to date by whoever writes.

use std::path::Path;
use std::time::Duration;

use klagg_kline::{KlineStatus, Period, SymbolId, UnixMillis};
use klagg_store::{
    Coverage, Store, StoreConfig, StoreError, StoreReader, StoredKline, StoredSymbol, SymbolChange,
};
use rusqlite::{Connection, params};
use tempfile::TempDir;

use crate::support::{MINUTE, START, row, rows, store, stored_minutes};

/// Run, confirmed and stored klines, each from its first to its last, of a period of a symbol: in
/// minutes after the start.
type Account = (u32, Period, Option<(i64, i64)>, Option<(i64, i64)>, (i64, i64));

/// What there is in [`filled`].
const ACCOUNTS: [Account; 2] =
    [(0, Period::M1, Some((0, 40)), Some((0, 39)), (0, 59)), (2, Period::M1, None, None, (5, 9))];

fn filled() -> (TempDir, Store) {
    let (folder, mut store) = store();
    store.write(&rows(0..40, KlineStatus::Confirmed)).unwrap();
    store.write(&rows(40..60, KlineStatus::Closed)).unwrap();
    let third = |row: StoredKline| StoredKline { symbol: SymbolId(2), ..row };
    let closed = rows(5..10, KlineStatus::Closed).into_iter().map(third);
    store.write(&closed.collect::<Vec<_>>()).unwrap();
    (folder, store)
}

/// Makes a database what the third version made of the same klines.
fn to_version_3(path: &Path) -> Connection {
    let database = Connection::open(path).unwrap();
    database
        .execute_batch(
            "DROP TABLE coverage;
             CREATE TABLE coverage (symbol INTEGER NOT NULL, period INTEGER NOT NULL,
                 complete_from INTEGER, complete_until INTEGER, confirmed_first INTEGER,
                 confirmed_last INTEGER, first INTEGER NOT NULL, last INTEGER NOT NULL,
                 checksum INTEGER NOT NULL, PRIMARY KEY (symbol, period)) STRICT, WITHOUT ROWID;
             PRAGMA user_version = 3;",
        )
        .unwrap();
    for (symbol, period, run, confirmed, stored) in ACCOUNTS {
        let time = |minute: i64| START + minute * MINUTE;
        let pairs = [run, confirmed, Some(stored)];
        let pairs = pairs.map(|pair| pair.map(|(first, last)| (time(first), time(last))));
        let mut proven = Vec::from(symbol.to_le_bytes());
        proven.extend((period as i64).to_le_bytes());
        for pair in pairs {
            proven.push(u8::from(pair.is_some()));
            for time in pair.iter().flat_map(|&(first, second)| [first, second]) {
                proven.extend(time.to_le_bytes());
            }
        }
        let [run, confirmed, stored] = pairs.map(Option::unzip);
        database
            .execute(
                "INSERT INTO coverage VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
                params![
                    symbol,
                    period as i64,
                    run.0,
                    run.1,
                    confirmed.0,
                    confirmed.1,
                    stored.0,
                    stored.1,
                    crc32fast::hash(&proven),
                ],
            )
            .unwrap();
    }
    database
}

fn to_version_2(path: &Path) -> Connection {
    let database = to_version_3(path);
    let change = "DELETE FROM store WHERE key = 'epoch_checksum'; PRAGMA user_version = 2;";
    database.execute_batch(change).unwrap();
    database
}

fn to_version_1(path: &Path) -> Connection {
    let database = to_version_2(path);
    let change = "ALTER TABLE symbol DROP COLUMN onboard_time; PRAGMA user_version = 1;";
    database.execute_batch(change).unwrap();
    database
}

fn version(path: &Path) -> i64 {
    let database = Connection::open(path).unwrap();
    database.pragma_query_value(None, "user_version", |row| row.get(0)).unwrap()
}

/// What a reader is told, beside what there is.
fn check_reader(reader: &StoreReader) {
    let time = |minute: i64| UnixMillis(START + minute * MINUTE);
    for (symbol, period, run, _, (_, last)) in ACCOUNTS {
        let run = run.map(|(from, until)| Coverage { from: time(from), until: time(until) });
        assert_eq!(reader.coverage(SymbolId(symbol), period).unwrap(), run);
        assert_eq!(reader.last_open_time(SymbolId(symbol), period).unwrap(), Some(time(last)));
    }
    assert_eq!(reader.coverage(SymbolId(1), Period::M1).unwrap(), None);
    let read = reader.read(SymbolId(2), Period::M1, &crate::support::ALL).unwrap();
    assert_eq!(read.len(), 5);
}

#[test]
fn every_earlier_version_is_read_as_it_is_and_brought_up_to_date_by_a_writer() {
    let earlier: [fn(&Path) -> Connection; 3] = [to_version_1, to_version_2, to_version_3];
    for (made, make) in (1..).zip(earlier) {
        let (folder, store) = filled();
        let (path, epoch) = (store.path().to_owned(), store.epoch().unwrap());
        let names = store.load_symbols().unwrap();
        drop(store);
        drop(make(&path));
        let reader = StoreReader::open_folder(folder.path(), Duration::from_secs(5)).unwrap();
        check_reader(&reader);
        assert_eq!((reader.symbols().unwrap(), reader.epoch().unwrap()), (names.clone(), epoch));
        assert_eq!(version(&path), made, "a reader changes nothing");
        let mut store = Store::open(&StoreConfig::new(folder.path())).unwrap();
        check_reader(&reader);
        check_reader(&store.reader().unwrap());
        assert_eq!((store.load_symbols().unwrap(), store.epoch().unwrap()), (names, epoch));
        assert_eq!(version(&path), 4);
        store.write(&rows(40..60, KlineStatus::Confirmed)).unwrap();
        let until = UnixMillis(START + 60 * MINUTE);
        assert_eq!(store.complete_until(SymbolId(0), Period::M1).unwrap(), Some(until));
        assert_eq!(stored_minutes(&store).len(), 60);
    }
}

#[test]
fn an_account_that_is_damaged_is_not_taken_into_a_newer_version() {
    let changes = [
        "UPDATE coverage SET complete_until = complete_until + 60000 WHERE symbol = 0",
        "UPDATE coverage SET symbol = 4000000000 WHERE symbol = 2",
    ];
    for change in changes {
        let (folder, store) = filled();
        let path = store.path().to_owned();
        drop(store);
        to_version_3(&path).execute(change, []).unwrap();
        let error = Store::open(&StoreConfig::new(folder.path())).unwrap_err();
        assert!(matches!(error, StoreError::Corrupt { .. }), "{error}");
        assert_eq!(version(&path), 3, "left as it is");
    }
}

#[test]
fn what_the_first_version_did_not_know_can_be_told_later() {
    let (folder, store) = filled();
    let path = store.path().to_owned();
    let known = store.load_symbols().unwrap();
    drop(store);
    drop(to_version_1(&path));
    let config = StoreConfig::new(folder.path());
    let mut store = Store::open(&config).unwrap();
    let told = StoredSymbol { onboard_time: Some(UnixMillis(5)), ..known[1].clone() };
    store.change_symbols(&SymbolChange::Update(told.clone())).unwrap();
    let renamed = StoredSymbol { name: "OTHER".to_owned(), ..told.clone() };
    let error = store.change_symbols(&SymbolChange::Update(renamed)).unwrap_err();
    assert!(matches!(error, StoreError::NumberingBroken { symbol: SymbolId(1), .. }), "{error}");
    drop(store);
    assert_eq!(Store::open(&config).unwrap().load_symbols().unwrap()[1], told);
}

#[test]
fn what_stayed_open_of_symbols_that_ended_is_deleted_by_the_first_writer() {
    let earlier: [fn(&Path) -> Connection; 3] = [to_version_1, to_version_2, to_version_3];
    for make in earlier {
        let (folder, mut store) = filled();
        let open = |symbol| StoredKline { symbol, ..row(70, KlineStatus::Open) };
        let both = [open(SymbolId(0)), open(SymbolId(1))];
        store.write_open(&both).unwrap();
        let path = store.path().to_owned();
        // Earlier builds left what is deleted now when a symbol ends.
        let database = Connection::open(&path).unwrap();
        database.execute_batch("CREATE TABLE kept AS SELECT * FROM open").unwrap();
        store.retire_symbol(SymbolId(1)).unwrap();
        drop(store);
        let restore = "INSERT OR IGNORE INTO open SELECT * FROM kept; DROP TABLE kept;";
        database.execute_batch(restore).unwrap();
        drop(database);
        drop(make(&path));
        let reader = StoreReader::open_folder(folder.path(), Duration::from_secs(5)).unwrap();
        assert_eq!(reader.open_klines().unwrap(), both, "as it is");
        let store = Store::open(&StoreConfig::new(folder.path())).unwrap();
        assert_eq!(store.reader().unwrap().open_klines().unwrap(), both[..1]);
        assert_eq!(reader.open_klines().unwrap(), both[..1]);
    }
}
