//! Our own tapes: written, read, cut off, damaged.

use klagg_kline::UnixMillis;
use klagg_tape::{FrameReader, TapeError, TapeHeader, TapeWriter};

use crate::files::{Files, trades};

fn header() -> TapeHeader {
    TapeHeader {
        created: UnixMillis(1_791_460_920_015),
        source: "ws://127.0.0.1:9/market".to_owned(),
    }
}

fn frame(id: u64) -> String {
    let time = 1_791_460_919_932 + id;
    let ids = format!(r#""a":{id},"f":{id},"l":{id}"#);
    let values = r#""s":"BTCUSDT","p":"82418.80","q":"0.250","m":false,"st":1"#;
    format!(r#"{{"e":"aggTrade","E":{time},"T":{time},{ids},{values}}}"#)
}

/// The ids of the frames, and whether the tape broke off.
fn ids(path: &std::path::Path) -> (Vec<u64>, bool) {
    let mut reader = FrameReader::open(path).unwrap();
    assert_eq!(reader.tape_header(), Some(&header()));
    let mut found = Vec::new();
    while let Some(frame_read) = reader.next_frame().unwrap() {
        let id = frame_read.received_ns.unwrap();
        assert_eq!(frame_read.bytes, frame(id).as_bytes());
        assert_eq!(frame_read.line, id);
        found.push(id);
    }
    (found, reader.counters().truncated == 1)
}

#[test]
fn what_was_written_is_read_back() {
    let files = Files::new();
    let path = files.path("market.tape");
    let mut writer = TapeWriter::create(&path, &header()).unwrap();
    (1..=500).for_each(|id| writer.write(id, frame(id).as_bytes()).unwrap());
    assert_eq!(writer.finish().unwrap(), 500);
    assert_eq!(ids(&path), ((1..=500).collect(), false));
    let (found, counters) = trades(&path).unwrap();
    assert_eq!((found.len(), counters.truncated), (500, 0));
    assert_eq!((found[6].trade.id.0, found[6].received_ns, found[6].line), (7, Some(7), 7));
}

#[test]
fn a_recorder_that_is_killed_leaves_what_it_flushed() {
    let files = Files::new();
    let path = files.path("market.tape");
    let mut writer = TapeWriter::create(&path, &header()).unwrap();
    assert_eq!(ids(&path), (vec![], true));
    (1..=100).for_each(|id| writer.write(id, frame(id).as_bytes()).unwrap());
    writer.flush().unwrap();
    writer.write(101, frame(101).as_bytes()).unwrap();
    // Nothing is ended: the file is as a killed process leaves it.
    let killed = files.path("killed.tape");
    std::fs::copy(&path, &killed).unwrap();
    assert_eq!(ids(&killed), ((1..=100).collect(), true));
    let (found, counters) = trades(&killed).unwrap();
    assert_eq!((found.len(), counters.truncated), (100, 1));
}

#[test]
fn a_tape_cut_or_damaged_anywhere_gives_a_beginning_or_an_error() {
    let files = Files::new();
    let path = files.path("market.tape");
    let mut writer = TapeWriter::create(&path, &header()).unwrap();
    for id in 1..=40 {
        writer.write(id, frame(id).as_bytes()).unwrap();
        writer.flush().unwrap();
    }
    writer.finish().unwrap();
    let whole = std::fs::read(&path).unwrap();
    let check = |bytes: &[u8], what: &str| {
        let path = files.write("broken.tape", bytes);
        let Ok(mut reader) = FrameReader::open(&path) else { return };
        let mut count = 0;
        while let Ok(Some(_)) = reader.next_frame() {
            count += 1;
        }
        assert!(count <= 40, "{what}");
    };
    for at in (0..whole.len()).step_by(7) {
        check(&whole[..at], "cut");
        let mut damaged = whole.clone();
        damaged[at] ^= 0x5a;
        check(&damaged, "damaged");
    }
    let cut = files.write("cut.tape", &whole[..whole.len() - 10]);
    assert_eq!(ids(&cut), ((1..=40).collect(), true));
}

#[test]
fn a_tape_is_never_overwritten_and_frames_are_bounded() {
    let files = Files::new();
    let path = files.write("market.tape", "precious");
    let error = TapeWriter::create(&path, &header()).unwrap_err();
    assert!(matches!(error, TapeError::Write { .. }), "{error}");
    assert_eq!(std::fs::read(&path).unwrap(), b"precious");
    let path = files.path("other.tape");
    let mut writer = TapeWriter::create(&path, &header()).unwrap();
    let error = writer.write(1, &vec![b'x'; 8 * 1024 * 1024 + 1]).unwrap_err();
    assert!(matches!(error, TapeError::FrameTooLong { .. }), "{error}");
    writer.write(1, frame(1).as_bytes()).unwrap();
    writer.finish().unwrap();
    assert_eq!(ids(&path), (vec![1], false));
}

#[test]
fn a_tape_of_a_later_version_is_refused() {
    let files = Files::new();
    let content = zstd::encode_all(&b"klaggtap\x09\x00\x00\x00\x00\x00"[..], 1).unwrap();
    let error = FrameReader::open(&files.write("later.tape", content)).unwrap_err();
    assert!(matches!(error, TapeError::Version { version: 9, known: 1, .. }), "{error}");
}

#[test]
fn frames_of_a_text_are_read_with_their_arrival() {
    let files = Files::new();
    let text = format!("1791460920 {}\n\n{}\n12 {{}}\n", frame(1), frame(2));
    let mut reader = FrameReader::open(&files.write("frames", text)).unwrap();
    assert_eq!(reader.tape_header(), None);
    let first = reader.next_frame().unwrap().unwrap();
    assert_eq!((first.received_ns, first.line), (Some(1_791_460_920_000_000_000), 1));
    let second = reader.next_frame().unwrap().unwrap();
    assert_eq!((second.received_ns, second.line, second.bytes), (None, 3, frame(2).as_bytes()));
    assert!(reader.next_frame().unwrap().is_none());
    assert_eq!(reader.counters().malformed, 1);
    assert!(FrameReader::open(&files.write("rows.csv", "1,2,3,4,5,6\n")).is_err());
}
