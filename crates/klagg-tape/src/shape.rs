//! Which kind of text or tape a part is, by its first bytes.

use crate::tape;

/// The mark that some programs put before UTF-8.
pub(crate) const BOM: &[u8] = b"\xef\xbb\xbf";

/// Kinds of parts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Shape {
    /// Our own tape.
    Tape,
    /// One frame a line, with or without the time of arrival.
    Frames,
    /// One JSON array, or several, whose elements are rows.
    Array,
    /// Comma-separated values.
    Csv,
}

/// Looks at the first bytes of a part. `Err` says why they are none of the kinds.
pub(crate) fn detect(head: &[u8]) -> Result<Shape, String> {
    if head.starts_with(&tape::MAGIC) {
        return Ok(Shape::Tape);
    }
    let text = head.strip_prefix(BOM).unwrap_or(head).trim_ascii_start();
    let Some(&first) = text.first() else { return Err("empty".to_owned()) };
    match first {
        b'{' => return Ok(Shape::Frames),
        b'[' => return Ok(array_or_frames(text)),
        _ => {}
    }
    let (_, frame) = split_received(text);
    if frame.len() < text.len() && matches!(frame.first(), Some(b'{' | b'[')) {
        return Ok(Shape::Frames);
    }
    let line = text.split(|&byte| byte == b'\n').next().unwrap_or_default();
    if line.contains(&b',') && !line.contains(&0) {
        return Ok(Shape::Csv);
    }
    let shown = String::from_utf8_lossy(&line[..line.len().min(40)]).into_owned();
    Err(format!("neither CSV, JSON, frames nor a tape; it starts with {shown:?}"))
}

/// A frame may itself be an array (`!miniTicker@arr`); its objects name their event in `"e"`.
fn array_or_frames(text: &[u8]) -> Shape {
    let inside = text[1..].trim_ascii_start();
    if inside.first() != Some(&b'{') {
        return Shape::Array;
    }
    let end = inside.iter().position(|&byte| byte == b'}').unwrap_or(inside.len());
    let has_event = inside[..end].windows(3).any(|window| window == br#""e""#);
    if has_event { Shape::Frames } else { Shape::Array }
}

/// Splits off a leading time of arrival: digits, then blanks. The digits are returned as they
/// stand, empty if there are none.
pub(crate) fn split_received(line: &[u8]) -> (&[u8], &[u8]) {
    let digits = line.iter().take_while(|byte| byte.is_ascii_digit()).count();
    let rest = &line[digits..];
    let blanks = rest.iter().take_while(|&&byte| byte == b' ' || byte == b'\t').count();
    if digits == 0 || blanks == 0 {
        return (&line[..0], line);
    }
    (&line[..digits], &rest[blanks..])
}

/// Nanoseconds since 1970 from a time of arrival whose unit its digits tell: 10 s, 13 ms, 16 µs,
/// 19 ns.
pub(crate) fn received_ns(digits: &[u8]) -> Option<u64> {
    let scale = match digits.len() {
        10 => 1_000_000_000,
        13 => 1_000_000,
        16 => 1_000,
        19 => 1,
        _ => return None,
    };
    std::str::from_utf8(digits).ok()?.parse::<u64>().ok()?.checked_mul(scale)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn content_tells_the_kind() {
        let check = |head: &str, expected: Shape| {
            assert_eq!(detect(head.as_bytes()), Ok(expected), "{head:?}");
        };
        check("{\"e\":\"trade\"}", Shape::Frames);
        check("1723161255088176367 {\"stream\":1}", Shape::Frames);
        check("1723161255\t[{\"e\":\"24hrMiniTicker\"}]", Shape::Frames);
        check("[{\"e\":\"24hrMiniTicker\",\"s\":\"A\"}]", Shape::Frames);
        check("\u{feff}\r\n [{\"a\":1,\"p\":\"1\"}]", Shape::Array);
        check("[[1,2]]", Shape::Array);
        check("[]", Shape::Array);
        check("\u{feff}id,price", Shape::Csv);
        check("1,2,3,4,5,6", Shape::Csv);
        let alien = ["", " \n", "hello world", "1723161255 hello", "\0\u{1},\0", "12 34"];
        for text in alien {
            assert!(detect(text.as_bytes()).is_err(), "{text:?}");
        }
    }

    #[test]
    fn arrival_times_are_read_in_four_units() {
        let check = |digits: &str, expected: Option<u64>| {
            assert_eq!(received_ns(digits.as_bytes()), expected, "{digits}");
        };
        check("1723161255", Some(1_723_161_255_000_000_000));
        check("1723161255088", Some(1_723_161_255_088_000_000));
        check("1723161255088176", Some(1_723_161_255_088_176_000));
        check("1723161255088176367", Some(1_723_161_255_088_176_367));
        check("172316125508817636", None);
        check("", None);
        check("9999999999999999999", Some(9_999_999_999_999_999_999));
        assert_eq!(split_received(b"123  {}"), (&b"123"[..], &b"{}"[..]));
        assert_eq!(split_received(b"123{}"), (&b""[..], &b"123{}"[..]));
    }
}
