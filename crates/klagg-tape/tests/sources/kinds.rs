//! The kinds of rows: dumps, REST replies, frames, klines, and what is wrong in them.

use klagg_kline::Period;
use klagg_tape::TapeError;
use klagg_wire::TradeKind;

use crate::files::{Files, klines, trades, trades_of};

#[test]
fn rest_replies_of_both_kinds_are_read() {
    let files = Files::new();
    let aggregates = r#"[{"a":6133129,"p":"104.20000","q":"65.89","nq":"65.89","f":23299337,
        "l":23299340,"T":1777637520540,"m":true},
        {"a":6133130,"p":"104.21000","q":"0.00","f":23299341,"l":23299341,
         "T":1777637520730,"m":false}]
        [{"a":6133131,"p":"104.21","q":"1.00","f":23299342,"l":23299342,
         "T":1777637520731,"m":false},
        {"a":"x"}, null]"#;
    let (found, counters) = trades_of(&files.write("page", aggregates), Some("CLUSDT")).unwrap();
    assert_eq!((found.len(), found[0].trade.fill_count, found[1].line), (2, 4, 3));
    assert_eq!((counters.rows, counters.zero_quantity, counters.malformed), (5, 1, 2));
    assert_eq!((found[0].kind, found[0].precision.price()), (TradeKind::Aggregate, 5));
    let raw = r#"[{"id":8162300551,"price":"82418.70","qty":"0.010","quoteQty":"824.18",
        "time":1791460919871,"isBuyerMaker":true,"isRPITrade":false}]"#;
    let (found, _) = trades(&files.write("BTCUSDT-trades-rest.json", raw)).unwrap();
    assert_eq!((found[0].kind, found[0].first_fill_id), (TradeKind::Raw, 8_162_300_551));
    let error = trades(&files.write("BTCUSDT-trades-cut.json", "[]")).unwrap_err();
    assert!(matches!(error, TapeError::NothingUsable { rows: 0, .. }), "{error}");
}

const AGGREGATE: &str = concat!(
    r#"{"e":"aggTrade","E":1791460920015,"a":3481200418,"s":"BTCUSDT","p":"82418.80","#,
    r#""q":"0.250","f":8162300556,"l":8162300561,"T":1791460919932,"m":false,"st":1}"#,
);
const RAW: &str = concat!(
    r#"{"e":"trade","E":1791460920015,"T":1791460919932,"s":"ETHUSDT","t":7,"p":"82418.80","#,
    r#""q":"0.010","X":"MARKET","m":false}"#,
);
const KLINE: &str = concat!(
    r#"{"e":"kline","E":1791460933250,"s":"BTCUSDT","k":{"t":1791460920000,"#,
    r#""T":1791460979999,"s":"BTCUSDT","i":"1m","f":8162300562,"L":8162301004,"#,
    r#""o":"82418.80","c":"82420.10","h":"82424.00","l":"82415.00","v":"9.204","n":441,"#,
    r#""x":false,"q":"758551.20440","V":"5.010","Q":"412915.33010","B":"0"}}"#,
);

#[test]
fn frames_are_sorted_out_and_everything_left_out_is_counted() {
    let files = Files::new();
    let lines = [
        format!("1791460920016123456 {AGGREGATE}"),
        format!("1791460920016\t{{\"stream\":\"ethusdt@trade\",\"data\":{RAW}}}"),
        RAW.replace("MARKET", "INSURANCE_FUND"),
        AGGREGATE.replace("\"st\":1", "\"st\":2"),
        AGGREGATE.replace("0.250", "0.000"),
        KLINE.to_owned(),
        r#"{"result":null,"id":1}"#.to_owned(),
        r#"{"e":"depthUpdate","E":1,"s":"BTCUSDT"}"#.to_owned(),
        format!("17914609200 {RAW}"),
        AGGREGATE[..100].to_owned(),
    ];
    let path = files.write("frames", lines.join("\n"));
    let (found, counters) = trades(&path).unwrap();
    assert_eq!(found.len(), 2);
    assert_eq!(
        (found[0].kind, found[0].received_ns),
        (TradeKind::Aggregate, Some(1_791_460_920_016_123_456))
    );
    assert_eq!(
        (found[0].event_time.unwrap().0, found[0].last_fill_id),
        (1_791_460_920_015, 8_162_300_561)
    );
    assert_eq!(
        (found[1].symbol.as_ref(), found[1].received_ns),
        ("ETHUSDT", Some(1_791_460_920_016_000_000))
    );
    assert_eq!((counters.rows, counters.off_market, counters.coin_margined), (10, 1, 1));
    assert_eq!((counters.zero_quantity, counters.other_streams, counters.malformed), (1, 3, 2));
    let lines: Vec<u64> = counters.samples.iter().map(|row| row.line).collect();
    assert_eq!(lines, [9, 10]);

    let (found, counters) = trades_of(&path, Some("ETHUSDT")).unwrap();
    assert_eq!((found.len(), counters.other_symbols), (1, 1));

    let (found, counters) = klines(&path).unwrap();
    assert_eq!((found.len(), found[0].period, found[0].is_closed), (1, Period::M1, false));
    assert_eq!((found[0].kline.first_id.0, counters.other_streams), (8_162_300_562, 6));
}

#[test]
fn bad_rows_are_skipped_until_they_are_too_many() {
    let files = Files::new();
    let good = |id: u32| format!("{id},1.5,2,{id},{id},1729209603958,true\n");
    let check = |good_rows: u32, bad_rows: u32, usable: bool| {
        let mut rows: String = (0..good_rows).map(good).collect();
        (0..bad_rows).for_each(|_| rows.push_str("9,1.5,2,9,9,1729209603958\n"));
        let path = files.write("AUSDT-aggTrades-1.csv", rows);
        match trades(&path) {
            Ok((found, counters)) => {
                assert!(usable);
                assert_eq!(
                    (found.len(), counters.malformed),
                    (good_rows as usize, u64::from(bad_rows))
                );
            }
            Err(TapeError::TooManyBad { bad, first, .. }) => {
                assert!(!usable);
                assert_eq!(bad, u64::from(bad_rows));
                assert!(first.unwrap().contains("only 6 columns"));
            }
            Err(error) => panic!("{error}"),
        }
    };
    check(1, 20, true);
    check(1, 21, false);
    check(399, 21, true);
    check(398, 21, false);
}

#[test]
fn klines_of_all_writers_are_read() {
    let files = Files::new();
    let row = "1730073600000,67992.70,68094.60,67804.70,67835.20,5179.117,1730077199999,\
               351923638.03910,85022,2415.052,164090858.68940,0";
    let check = |name: &str, content: String, symbol: &str, period: Period, open_time: i64| {
        let (found, counters) = klines(&files.write(name, content)).unwrap();
        assert_eq!((found.len(), counters.malformed), (1, 0), "{name}");
        assert_eq!((found[0].symbol.as_ref(), found[0].period), (symbol, period), "{name}");
        assert_eq!((found[0].kline.open_time.0, found[0].is_closed), (open_time, true), "{name}");
    };
    let quoted = format!("[[{}]]", row.replace(",67992.70,", ",\"67992.70\","));
    check("BTCUSDT-1h-2024-10-28.csv", row.to_owned(), "BTCUSDT", Period::H1, 1_730_073_600_000);
    check("BTCUSDT-klines-rest.json", quoted, "BTCUSDT", Period::H1, 1_730_073_600_000);
    let text = "timestamp,open,high,low,close,volume,quote_volume,count,taker_buy_volume,\
                taker_buy_quote_volume\n2023-06-01,27201.1,27347.9,26600.0,26805.3,404787.572,\
                10888995358.0,3436492,198133.03,5330281488.0\n";
    check("ETHUSDT-1d-2023.csv", text.to_owned(), "ETHUSDT", Period::D1, 1_685_577_600_000);
    let error = klines(&files.write("BTCUSDT-klines-1.csv", text)).unwrap_err();
    assert!(matches!(error, TapeError::PeriodUnknown { .. }), "{error}");
    let error = klines(&files.write("x.csv", row)).unwrap_err();
    assert!(matches!(error, TapeError::SymbolUnknown { .. }), "{error}");
    // As klagg-wire does: one odd count must not cost the volume.
    let uncounted = row.replace(",85022,", ",0,");
    check("BTCUSDT-1h-uncounted.csv", uncounted, "BTCUSDT", Period::H1, 1_730_073_600_000);
    for (from, to) in [
        ("1730073600000", "1730073600001"),
        ("68094.60", "67804.60"),
        ("2415.052", "9415.052"),
        (",85022,", ",85022.5,"),
    ] {
        let (rows, name) = (row.replace(from, to), "BTCUSDT-1h-bad.csv");
        let error = klines(&files.write(name, rows)).unwrap_err();
        assert!(matches!(error, TapeError::NothingUsable { rows: 1, .. }), "{to}: {error}");
    }
}
