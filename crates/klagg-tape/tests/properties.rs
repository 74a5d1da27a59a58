//! Laws: no bytes make a source panic, and what is mutated is read or counted, never invented.

#![allow(clippy::unwrap_used, reason = "a test that cannot prepare its files has failed")]

use std::io::Write;

use klagg_tape::{FrameReader, KlineSource, SourceOptions, TapeHeader, TapeWriter, TradeSource};
use proptest::prelude::*;

const CSV: &[u8] = b"id,price,qty,quote_qty,time,is_buyer_maker\n\
1,9682,0.132,1278.024,1582329602111,false\n\
2,9682.5,0.412,3989.19,1582329602116,True\n\
3,9683,1.0,9683,1582329602117,0\n";
const KLINES: &[u8] =
    b"1730073600000,67992.70,68094.60,67804.70,67835.20,5179.117,1730077199999,351923638.03910,\
85022,2415.052,164090858.68940,0\n";
const REST: &[u8] = br#"[{"a":6133129,"p":"104.20000","q":"65.89","nq":"65.89","f":23299337,
"l":23299340,"T":1777637520540,"m":true},{"a":6133130,"p":"104.21","q":"1","f":23299341,
"l":23299341,"T":1777637520541,"m":false}]"#;
const FRAMES: &str = concat!(
    r#"1791460920016123456 {"e":"aggTrade","E":1791460920015,"a":3481200418,"s":"BTCUSDT","#,
    r#""p":"82418.80","q":"0.250","f":8162300556,"l":8162300561,"T":1791460919932,"m":false,"#,
    r#""st":1}"#,
    "\n",
    r#"{"e":"kline","E":1791460933250,"s":"BTCUSDT","k":{"t":1791460920000,"#,
    r#""T":1791460979999,"s":"BTCUSDT","i":"1m","f":1,"L":4,"o":"8.80","c":"8.10","#,
    r#""h":"9.00","l":"8.00","v":"9.204","n":4,"x":false,"q":"75.20440","V":"5.010","#,
    r#""Q":"41.33010","B":"0"}}"#,
    "\n",
);

fn tape() -> Vec<u8> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.tape");
    let header = TapeHeader { created: klagg_kline::UnixMillis(1), source: "somewhere".to_owned() };
    let mut writer = TapeWriter::create(&path, &header).unwrap();
    for line in FRAMES.lines() {
        writer.write(7, line.as_bytes()).unwrap();
    }
    writer.finish().unwrap();
    std::fs::read(&path).unwrap()
}

fn packed(content: &[u8], container: u8) -> Vec<u8> {
    match container {
        0 => content.to_vec(),
        1 => {
            let level = flate2::Compression::fast();
            let mut encoder = flate2::write::GzEncoder::new(Vec::new(), level);
            encoder.write_all(content).unwrap();
            encoder.finish().unwrap()
        }
        2 => {
            let mut writer = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
            let options = zip::write::SimpleFileOptions::default();
            writer.start_file("BTCUSDT-trades-1.csv", options).unwrap();
            writer.write_all(content).unwrap();
            writer.finish().unwrap().into_inner()
        }
        _ => zstd::encode_all(content, 1).unwrap(),
    }
}

/// Reads a file in all ways to its end. Rows are counted to the last one.
fn read_all(content: &[u8]) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("BTCUSDT-trades-2024.csv");
    std::fs::write(&path, content).unwrap();
    let options = SourceOptions::default();
    if let Ok(mut source) = TradeSource::open(&path, &options) {
        while let Ok(Some(row)) = source.next_trade() {
            assert!(row.trade.price.scaled() > 0 && row.trade.quantity.scaled() > 0);
        }
        let counters = source.counters();
        let told = counters.given
            + counters.off_market
            + counters.zero_quantity
            + counters.other_streams
            + counters.other_symbols
            + counters.coin_margined
            + counters.malformed;
        assert_eq!(told, counters.rows, "every row has exactly one fate");
    }
    if let Ok(mut source) = KlineSource::open(&path, &options) {
        while let Ok(Some(row)) = source.next_kline() {
            assert_eq!(row.kline.validate(), Ok(()));
            assert_eq!(row.period.open_time(row.kline.open_time), row.kline.open_time);
        }
    }
    if let Ok(mut reader) = FrameReader::open(&path) {
        while let Ok(Some(_)) = reader.next_frame() {}
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(192))]

    #[test]
    fn random_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..600),
                                start in 0_usize..8) {
        let starts: [&[u8]; 8] = [
            b"", b"\x1f\x8b\x08", b"PK\x03\x04", b"\x28\xb5\x2f\xfd", b"[", b"{", b"1,2,",
            b"klaggtap\x01\x00",
        ];
        read_all(&[starts[start], &bytes].concat());
        // Bytes that are mostly commas, digits, brackets and quotes reach deeper.
        let alphabet = b"0123456789,.\"[]{}: \n\r-eEtrue";
        let text: Vec<u8> =
            bytes.iter().map(|&byte| alphabet[usize::from(byte) % alphabet.len()]).collect();
        read_all(&[starts[start], &text].concat());
    }

    #[test]
    fn mutated_files_never_panic(which in 0_usize..5, container in 0_u8..4,
                                 edits in proptest::collection::vec((any::<prop::sample::Index>(),
                                                                     any::<u8>(), 0_u8..4), 0..6)) {
        let content: &[u8] = match which {
            0 => CSV,
            1 => KLINES,
            2 => REST,
            3 => FRAMES.as_bytes(),
            _ => &tape(),
        };
        let mut bytes = if which == 4 { content.to_vec() } else { packed(content, container) };
        for (at, byte, edit) in edits {
            if bytes.is_empty() {
                break;
            }
            let at = at.index(bytes.len());
            match edit {
                0 => bytes[at] = byte,
                1 => bytes.insert(at, byte),
                2 => drop(bytes.remove(at)),
                _ => bytes.truncate(at),
            }
        }
        read_all(&bytes);
    }
}
