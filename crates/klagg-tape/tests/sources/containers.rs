//! The same rows, plain and packed in every way.

use std::fmt::Write;

use klagg_tape::TapeError;

use crate::files::{Files, gzip, trades, trades_of, zip};

const ROWS: &str = "\
1,100.5,0.25,10,11,1729209603958,true
2,100.6,1.0,12,12,1729209604056,False
";

fn long_rows() -> String {
    let mut rows = String::new();
    for id in 1..=20_000_i64 {
        let (price, quantity, time) = (id % 97, id % 89 + 1, 1_729_209_603_958 + id);
        writeln!(rows, "{id},100.{price},0.{quantity},{id},{id},{time},true").unwrap();
    }
    rows
}

#[test]
fn the_same_rows_come_out_of_every_container() {
    let files = Files::new();
    let name = "BTCUSDT-aggTrades-2024-10-18";
    let zstd = zstd::encode_all(ROWS.as_bytes(), 3).unwrap();
    let crlf = format!("\u{feff}{}\r\n\r\n", ROWS.replace('\n', "\r\n"));
    let two_gzips = [gzip(&ROWS[..38]), gzip(&ROWS[38..])].concat();
    // Names of containers lie on purpose: only the content counts.
    let paths = [
        files.write(&format!("{name}.zip"), ROWS),
        files.write(&format!("{name}.csv"), gzip(ROWS)),
        files.write(&format!("{name}.dat"), two_gzips),
        files.write(&format!("{name}.csv.gz"), zip(&[("readme.md", "x"), ("a/rows.csv", ROWS)])),
        files.write(&format!("{name}.txt"), zip(&[("rows.txt", ROWS)])),
        files.write(&format!("{name}.zst"), zstd),
        files.write(&format!("{name}.crlf"), crlf),
        files.write(&format!("{name}.cut"), ROWS.trim_end()),
    ];
    let (expected, counters) = trades(&paths[0]).unwrap();
    assert_eq!((expected.len(), counters.rows), (2, 2));
    assert_eq!(expected[0].symbol.as_ref(), "BTCUSDT");
    for path in &paths[1..] {
        let (found, counters) = trades(path).unwrap();
        assert_eq!(found, expected, "{}", path.display());
        assert_eq!((counters.malformed, counters.truncated), (0, 0), "{}", path.display());
    }
}

#[test]
fn members_of_an_archive_are_read_in_order_each_with_its_own_name() {
    let files = Files::new();
    let header =
        "agg_trade_id,price,quantity,first_trade_id,last_trade_id,transact_time,is_buyer_maker\n";
    let members = [
        ("ETHUSDT-aggTrades-2024-10-18.csv", ROWS.to_owned()),
        ("BNBUSDT-aggTrades-2024-10-18.csv", format!("{header}{ROWS}")),
    ];
    let members: Vec<_> = members.iter().map(|(name, rows)| (*name, rows.as_str())).collect();
    let (found, _) = trades(&files.write("archive", zip(&members))).unwrap();
    let symbols: Vec<&str> = found.iter().map(|row| row.symbol.as_ref()).collect();
    assert_eq!(symbols, ["ETHUSDT", "ETHUSDT", "BNBUSDT", "BNBUSDT"]);
    assert_eq!((found[0].line, found[2].line), (1, 2));
}

#[test]
fn a_gzip_that_breaks_off_gives_its_whole_rows_and_says_so() {
    let files = Files::new();
    let rows = long_rows();
    let (all, _) = trades(&files.write("BTCUSDT-trades-1.csv", &rows)).unwrap();
    for (at, packed) in
        [gzip(&rows), zstd::encode_all(rows.as_bytes(), 1).unwrap()].into_iter().enumerate()
    {
        for keep in [packed.len() / 3, packed.len() - 5] {
            let path = files.write(&format!("BTCUSDT-trades-{at}-{keep}"), &packed[..keep]);
            let (found, counters) = trades(&path).unwrap();
            assert_eq!(counters.truncated, 1, "{}", path.display());
            assert_eq!((counters.malformed, found.as_slice()), (0, &all[..found.len()]));
            assert!(!found.is_empty());
        }
    }
}

#[test]
fn a_damaged_container_is_refused() {
    let files = Files::new();
    let rows = long_rows();
    let mut packed = gzip(&rows);
    let middle = packed.len() / 2;
    packed[middle..middle + 64].fill(0xff);
    assert!(matches!(
        trades(&files.write("BTCUSDT-trades-1", packed)),
        Err(TapeError::Read { .. })
    ));

    let mut packed = zip(&[("BTCUSDT-trades-1.txt", &rows)]);
    let at = packed.windows(9).position(|window| window == b",true\n100").unwrap();
    packed[at + 6] = b'7';
    let error = trades(&files.write("damaged.zip", packed)).unwrap_err();
    assert!(matches!(error, TapeError::Read { .. }), "{error}");

    for (content, reason) in [
        (b"PK\x03\x04 but nothing else".to_vec(), "not a usable zip archive"),
        (zip(&[("readme.md", "x")]), "no member ends in"),
        (zip(&[]), "no member ends in"),
    ] {
        let error = trades(&files.write("archive.zip", content)).unwrap_err().to_string();
        assert!(error.contains(reason), "{error}");
    }
}

#[test]
fn what_cannot_be_opened_or_told_apart_is_refused_by_name() {
    let files = Files::new();
    let check = |error: TapeError, wanted: &str| {
        let text = error.to_string();
        assert!(text.contains(wanted), "{text} lacks {wanted}");
    };
    check(trades(&files.path("missing.csv")).unwrap_err(), "missing.csv");
    check(trades(&files.path("")).unwrap_err(), "cannot open");
    check(trades(&files.write("empty", "")).unwrap_err(), "empty");
    check(trades(&files.write("words", "hello\nworld\n")).unwrap_err(), "starts with");
    check(trades(&files.write("rows.csv", ROWS)).unwrap_err(), "symbol is neither");
    check(
        trades(&files.write("k.csv", "open_time,open\n1,2\n")).unwrap_err(),
        "not that of trades",
    );
    let header = "id,price,qty,quote_qty,time,is_buyer_maker\n";
    check(trades(&files.write("BTCUSDT-trades-1", header)).unwrap_err(), "nothing usable in 0");
    let (found, _) = trades_of(&files.write("rows.csv", ROWS), Some("XUSDT")).unwrap();
    assert_eq!(found[0].symbol.as_ref(), "XUSDT");
}
