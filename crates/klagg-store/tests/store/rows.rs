//! Rows: exact, monotonic, proven by their checksum.

use klagg_kline::{
    Kline, KlineRecord, KlineStatus, Period, Precision, Price, QuoteVolume, SymbolId, TradeId,
    UnixMillis, Volume,
};
use klagg_store::{
    ReadEnd, ReadQuery, Store, StoreConfig, StoreError, StoredKline, StoredSymbol, SymbolChange,
    WriteOutcome,
};
use rusqlite::Connection;

use crate::support::{ALL, MINUTE, START, kline, row, rows, store, stored_minutes, symbol};

fn read(store: &Store, period: Period) -> Vec<KlineRecord> {
    store.reader().unwrap().read(SymbolId(0), period, &ALL).unwrap()
}

#[test]
fn every_value_is_kept_exactly() {
    let (_folder, mut store) = store();
    for (at, (wide, narrow)) in
        [(i128::MAX, i64::MAX), (i128::MIN, i64::MIN), (1 << 126, -1), (-1, 0)]
            .into_iter()
            .enumerate()
    {
        let kline = Kline {
            volume: Volume::from_scaled(wide),
            quote_volume: QuoteVolume::from_scaled(wide),
            taker_buy_volume: Volume::from_scaled(wide),
            taker_buy_quote_volume: QuoteVolume::from_scaled(wide),
            open_time: UnixMillis(START + i64::try_from(at).unwrap() * MINUTE),
            open: Price::from_scaled(narrow),
            high: Price::from_scaled(narrow),
            low: Price::from_scaled(narrow),
            close: Price::from_scaled(narrow),
            trade_count: u64::MAX,
            first_id: TradeId(narrow),
            last_id: TradeId(narrow),
        };
        let record = KlineRecord { kline, revision: u32::MAX, status: KlineStatus::Closed };
        let stored = StoredKline { symbol: SymbolId(0), period: Period::M1, record };
        store.write(&[stored]).unwrap();
        assert_eq!(read(&store, Period::M1)[at], record);
    }
}

#[test]
fn a_row_is_replaced_only_by_a_higher_one() {
    use KlineStatus::{Closed, Confirmed, Provisional};
    // What is held, what arrives, what is held then: status, revision, close.
    let check = |held: (KlineStatus, u32, i64), new: (_, _, _), expected: (_, _, _)| {
        let (_folder, mut store) = store();
        let make = |(status, revision, close)| {
            let record = KlineRecord { kline: kline(START, close), revision, status };
            StoredKline { symbol: SymbolId(0), period: Period::M1, record }
        };
        store.write(&[make(held)]).unwrap();
        let outcome = store.write(&[make(new)]).unwrap();
        let found = read(&store, Period::M1);
        assert_eq!(found, [make(expected).record], "{held:?} then {new:?}");
        assert_eq!(outcome.written, u64::from(held != expected), "{held:?} then {new:?}");
    };
    check((Provisional, 0, 5), (Closed, 0, 5), (Closed, 0, 5));
    check((Closed, 0, 5), (Provisional, 9, 6), (Closed, 0, 5));
    check((Closed, 0, 5), (Closed, 0, 6), (Closed, 0, 5));
    check((Closed, 0, 5), (Closed, 1, 6), (Closed, 1, 6));
    check((Closed, 1, 5), (Closed, 0, 6), (Closed, 1, 5));
    check((Closed, 0, 5), (Confirmed, 0, 5), (Confirmed, 0, 5));
    check((Closed, 0, 5), (Confirmed, 1, 6), (Confirmed, 1, 6));
    // The exchange's own kline knows nothing of our revisions, which must not fall for that.
    check((Closed, 0, 5), (Confirmed, 0, 6), (Confirmed, 1, 6));
    check((Closed, 2, 5), (Confirmed, 0, 6), (Confirmed, 3, 6));
    check((Closed, 2, 5), (Confirmed, 0, 5), (Confirmed, 2, 5));
    check((Confirmed, 0, 5), (Confirmed, 0, 6), (Confirmed, 0, 5));
    check((Confirmed, 0, 5), (Confirmed, 1, 6), (Confirmed, 1, 6));
    check((Confirmed, 3, 5), (Closed, 4, 6), (Confirmed, 3, 5));
}

#[test]
fn a_bad_row_is_refused_with_the_whole_batch() {
    let (_folder, mut store) = store();
    let good = row(0, KlineStatus::Closed);
    let unknown = StoredKline { symbol: SymbolId(3), ..good };
    let off_grid =
        StoredKline { record: KlineRecord { kline: kline(START + 1, 5), ..good.record }, ..good };
    let before_time =
        StoredKline { record: KlineRecord { kline: kline(-MINUTE, 5), ..good.record }, ..good };
    let open = row(1, KlineStatus::Open);
    let refusal = |error: Result<WriteOutcome, StoreError>| error.expect_err("refused").to_string();
    let text = refusal(store.write(&[good, unknown]));
    assert_eq!(text, "symbol #3 is not in the store: symbols are written before their klines");
    assert!(refusal(store.write(&[good, off_grid])).contains("no kline that opens at"));
    assert!(refusal(store.write(&[good, before_time])).contains("no kline that opens at"));
    assert!(refusal(store.write(&[good, open])).contains("is open"));
    assert!(refusal(store.write_open(&[open, good])).contains("is closed"));
    assert!(stored_minutes(&store).is_empty());
}

#[test]
fn nothing_is_open_of_a_symbol_that_has_ended() {
    let (folder, mut store) = store();
    let open = |store: &Store| store.reader().unwrap().open_klines().unwrap();
    let of = |id, minute| StoredKline { symbol: SymbolId(id), ..row(minute, KlineStatus::Open) };
    store.write_open(&[of(0, 1), of(1, 1)]).unwrap();
    store.retire_symbol(SymbolId(0)).unwrap();
    assert_eq!(open(&store), [of(1, 1)]);
    // What was on its way when it ended; also after a restart.
    store.write_open(&[of(0, 2), of(1, 2)]).unwrap();
    assert_eq!(open(&store), [of(1, 2)]);
    drop(store);
    let mut store = Store::open(&StoreConfig::new(folder.path())).unwrap();
    store.write_open(&[of(0, 3), of(1, 3)]).unwrap();
    assert_eq!(open(&store), [of(1, 3)]);
    store.append_symbols(&[StoredSymbol { delisted: true, ..symbol(3, "OLDUSDT") }]).unwrap();
    store.write_open(&[of(3, 3)]).unwrap();
    assert_eq!(open(&store), [of(1, 3)]);
    // A halted one that trades again.
    let back = StoredSymbol { delisted: false, ..store.load_symbols().unwrap()[0].clone() };
    store.change_symbols(&SymbolChange::Update(back)).unwrap();
    store.write_open(&[of(0, 4)]).unwrap();
    assert_eq!(open(&store).len(), 2);
}

#[test]
fn an_open_kline_gives_way_to_its_closed_one() {
    let (folder, mut store) = store();
    let open = |store: &Store| store.reader().unwrap().open_klines().unwrap();
    let more = |minute, trades| {
        let mut stored = row(minute, KlineStatus::Open);
        stored.record.kline.trade_count = trades;
        stored
    };
    store.write_open(&[more(0, 10)]).unwrap();
    store.write_open(&[more(0, 9)]).unwrap();
    assert_eq!(open(&store), [more(0, 10)], "less does not replace more");
    store.write_open(&[more(0, 11)]).unwrap();
    assert_eq!(open(&store), [more(0, 11)]);
    drop(store);
    let mut store = Store::open(&StoreConfig::new(folder.path())).unwrap();
    store.write(&rows([0], KlineStatus::Closed)).unwrap();
    assert_eq!(open(&store), [], "closed, after a restart in between");
    store.write_open(&[more(0, 12)]).unwrap();
    assert_eq!(open(&store), [], "what is closed does not open again");
    store.commit(&rows([1], KlineStatus::Closed), &[more(2, 1)]).unwrap();
    assert_eq!(open(&store), [more(2, 1)]);
    store.write(&rows([-1], KlineStatus::Closed)).unwrap();
    assert_eq!(open(&store), [more(2, 1)], "older history leaves it alone");
}

#[test]
fn a_limit_cuts_at_the_wanted_end() {
    let (_folder, mut store) = store();
    store
        .write(&rows((0..50).filter(|minute| !(20..30).contains(minute)), KlineStatus::Closed))
        .unwrap();
    let check = |from: Option<i64>, to: Option<i64>, limit, keep, expected: Vec<i64>| {
        let time = |minute: i64| UnixMillis(START + minute * MINUTE);
        let query = ReadQuery { from: from.map(time), to: to.map(time), limit, keep };
        let reader = store.reader().unwrap();
        let found = reader.read(SymbolId(0), Period::M1, &query).unwrap();
        let minutes = found.iter().map(|record| (record.kline.open_time.0 - START) / MINUTE);
        assert_eq!(minutes.collect::<Vec<_>>(), expected, "{query:?}");
    };
    check(None, None, 3, ReadEnd::Oldest, vec![0, 1, 2]);
    check(None, None, 3, ReadEnd::Newest, vec![47, 48, 49]);
    check(Some(18), Some(32), 9, ReadEnd::Oldest, vec![18, 19, 30, 31]);
    check(Some(18), Some(32), 3, ReadEnd::Newest, vec![19, 30, 31]);
    check(Some(18), Some(32), 3, ReadEnd::Oldest, vec![18, 19, 30]);
    check(Some(20), Some(30), 9, ReadEnd::Newest, vec![]);
    check(Some(49), None, 9, ReadEnd::Oldest, vec![49]);
    check(None, Some(0), 9, ReadEnd::Newest, vec![]);
    check(Some(-500), Some(2), 9, ReadEnd::Newest, vec![0, 1]);
    check(None, None, 0, ReadEnd::Newest, vec![]);
}

#[test]
fn a_scan_hands_out_all_symbols_of_a_period() {
    let (_folder, mut store) = store();
    let mut all = rows(0..40, KlineStatus::Closed);
    all.extend(
        rows(5..25, KlineStatus::Closed)
            .into_iter()
            .map(|stored| StoredKline { symbol: SymbolId(2), ..stored }),
    );
    store.write(&all).unwrap();
    let reader = store.reader().unwrap();
    let mut found = Vec::new();
    let (from, to) = (UnixMillis(START + 10 * MINUTE), UnixMillis(START + 30 * MINUTE));
    let outcome = reader.scan(Period::M1, from, to, |stored| found.push(stored)).unwrap();
    assert_eq!((outcome.read, outcome.damaged), (35, 0));
    found.sort_by_key(|stored| (stored.symbol, stored.record.kline.open_time));
    all.retain(|stored| (from..to).contains(&stored.record.kline.open_time));
    assert_eq!(found, all);
}

#[test]
fn a_changed_value_is_detected_and_healed_by_writing_again() {
    let (_folder, mut store) = store();
    let columns = "open high low close volume_high volume quote_volume_high quote_volume \
        taker_buy_volume_high taker_buy_volume taker_buy_quote_volume_high taker_buy_quote_volume \
        trade_count first_id last_id status revision checksum symbol";
    let vandal = Connection::open(store.path()).unwrap();
    for column in columns.split_whitespace() {
        store.write(&rows(0..3, KlineStatus::Closed)).unwrap();
        assert_eq!(stored_minutes(&store), [0, 1, 2]);
        // Symbol 1 owns nothing, so a row moved to it is a row that does not belong there.
        let changed = format!("UPDATE history SET {column} = {column} + 1 WHERE open_time = ?1");
        assert_eq!(vandal.execute(&changed, [START + MINUTE]).unwrap(), 1, "{column}");
        let reader = store.reader().unwrap();
        let owner = SymbolId(u32::from(column == "symbol"));
        if column == "symbol" {
            store.write(&[StoredKline { symbol: owner, ..row(5, KlineStatus::Closed) }]).unwrap();
            store.write(&[StoredKline { symbol: owner, ..row(0, KlineStatus::Closed) }]).unwrap();
        }
        let page = reader.read_page(owner, Period::M1, &ALL).unwrap();
        assert_eq!(page.damaged, [UnixMillis(START + MINUTE)], "{column}");
        assert_eq!(page.records.len(), 2, "{column}");
        let error = reader.read(owner, Period::M1, &ALL).unwrap_err();
        assert!(matches!(error, StoreError::DamagedRows { rows: 1, .. }), "{column}: {error}");
        let outcome = store.write(&rows(0..3, KlineStatus::Closed)).unwrap();
        assert_eq!(outcome, WriteOutcome { written: 1, unchanged: 2 }, "{column}");
    }
}

#[test]
fn a_damaged_symbol_is_no_symbol() {
    let (folder, store) = store();
    let vandal = Connection::open(store.path()).unwrap();
    vandal.execute("UPDATE symbol SET name = 'XTCUSDT' WHERE number = 0", []).unwrap();
    let error = store.load_symbols().unwrap_err();
    assert!(matches!(error, StoreError::Corrupt { .. }), "{error}");
    drop(store);
    assert!(matches!(
        Store::open(&StoreConfig::new(folder.path())),
        Err(StoreError::Corrupt { .. })
    ));
}

#[test]
fn symbols_continue_the_numbering_or_are_refused() {
    let (_folder, mut store) = store();
    store.append_symbols(&[symbol(0, "BTCUSDT"), symbol(3, "SOLUSDT")]).unwrap();
    let refused = |result: Result<(), StoreError>| {
        let error = result.unwrap_err();
        assert!(matches!(error, StoreError::NumberingBroken { .. }), "{error}");
    };
    refused(store.append_symbols(&[symbol(4, "ADAUSDT"), symbol(6, "XRPUSDT")]));
    refused(store.append_symbols(&[symbol(0, "ETHUSDT")]));
    store.retire_symbol(SymbolId(3)).unwrap();
    store.set_precision(SymbolId(0), Precision::new(1, 0).unwrap()).unwrap();
    assert!(matches!(
        store.retire_symbol(SymbolId(4)),
        Err(StoreError::UnknownSymbol { symbol: SymbolId(4) })
    ));
    let symbols = store.load_symbols().unwrap();
    assert_eq!(symbols.len(), 4, "a refused batch leaves nothing behind");
    assert!(symbols[3].delisted && !symbols[2].delisted);
    assert_eq!(symbols[0].precision.price(), 1);
    assert_eq!(symbols[2].name, "币安人生USDT");
    // A name listed again is another symbol.
    store.append_symbols(&[symbol(4, "SOLUSDT")]).unwrap();
    assert_eq!(store.load_symbols().unwrap()[4].name, "SOLUSDT");
}
