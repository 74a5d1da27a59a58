//! Eight bytes in one register: how far digits or a text reach, and what digits are worth.
//!
//! The first byte of the input is the lowest byte of the register. A mask marks a byte by its
//! highest bit. Arithmetic on all bytes at once can spill from a marked byte into the one above
//! it, never below; only the lowest mark is used, and that one is exact.

const ONES: u64 = 0x0101_0101_0101_0101;
const HIGHS: u64 = 0x8080_8080_8080_8080;
const ZEROS: u64 = 0x3030_3030_3030_3030;

/// The powers of ten up to 10^8.
const POWERS: [u64; 9] = [1, 10, 100, 1_000, 10_000, 100_000, 1_000_000, 10_000_000, 100_000_000];

/// The first eight bytes; zeros behind the end.
#[inline(always)]
fn load(bytes: &[u8]) -> u64 {
    match bytes.first_chunk::<8>() {
        Some(chunk) => u64::from_le_bytes(*chunk),
        None => load_short(bytes),
    }
}

#[cold]
fn load_short(bytes: &[u8]) -> u64 {
    let mut chunk = [0; 8];
    for (to, from) in chunk.iter_mut().zip(bytes) {
        *to = *from;
    }
    u64::from_le_bytes(chunk)
}

/// How many of the first eight bytes are digits before the first that is none, and the register
/// with `0` to `9` turned into 0 to 9.
#[inline(always)]
fn digits(bytes: &[u8]) -> (usize, u64) {
    let word = load(bytes) ^ ZEROS;
    // A digit is 0 to 9 now: adding 0x76 does not reach 0x80. Bytes from 0x80 on are marked by
    // themselves, since they may wrap around.
    let others = (word.wrapping_add(0x76 * ONES) | word) & HIGHS;
    ((others.trailing_zeros() / 8) as usize, word)
}

/// The value of eight digits, the first one highest.
#[inline(always)]
fn value(word: u64) -> u64 {
    const LOW_OF_FOUR: u64 = 0x0000_00ff_0000_00ff;
    // Pairs of digits; each pair stands in the even byte above.
    let pairs = word.wrapping_mul(10).wrapping_add(word >> 8);
    let high = (pairs & LOW_OF_FOUR).wrapping_mul(100 + (1_000_000 << 32));
    let low = ((pairs >> 16) & LOW_OF_FOUR).wrapping_mul(1 + (10_000 << 32));
    high.wrapping_add(low) >> 32
}

/// The value of the first `count` of eight digits, 1 to 8.
#[inline(always)]
fn value_of_first(word: u64, count: usize) -> u64 {
    // Shifted up, zeros come in from below: leading zeros.
    value(word << (64 - 8 * count))
}

/// Reads an integer as JSON writes it: 1 to 16 digits, no sign, no needless zero in front.
#[inline(always)]
pub(super) fn unsigned(bytes: &[u8]) -> Option<(u64, &[u8])> {
    let (count, word) = digits(bytes);
    if count == 0 || (count > 1 && word.trailing_zeros() >= 8) {
        return None;
    }
    if count < 8 {
        return Some((value_of_first(word, count), bytes.get(count..)?));
    }
    // A constant, not `count`: the next step need not wait until the digits are counted.
    let rest = bytes.get(8..)?;
    let high = value(word);
    let (count, word) = digits(rest);
    if count == 0 {
        return Some((high, rest));
    }
    let low = value_of_first(word, count);
    let after = rest.get(count..)?;
    if count == 8 && after.first().is_some_and(u8::is_ascii_digit) {
        return None;
    }
    Some((high * POWERS[count] + low, after))
}

/// Reads an instant in milliseconds: as [`unsigned`], in fewer steps for the 13 digits that
/// instants have from 2001 to 2286.
#[inline(always)]
pub(super) fn millis(bytes: &[u8]) -> Option<(u64, &[u8])> {
    let Some((chunk, after)) = bytes.split_first_chunk::<13>() else { return unsigned(bytes) };
    let (high_count, high) = digits(chunk);
    let (low_count, low) = digits(&bytes[8..]);
    if high_count != 8 || low_count != 5 || high.trailing_zeros() >= 8 {
        return unsigned(bytes);
    }
    Some((value(high) * POWERS[5] + value_of_first(low, 5), after))
}

/// Reads a decimal in quotes: the value at 1e-8, and how many decimals were printed. At most
/// ten digits before the dot and eight behind it, so that it fits.
#[inline(always)]
pub(super) fn decimal(bytes: &[u8]) -> Option<((i64, u8), &[u8])> {
    let rest = bytes.strip_prefix(b"\"")?;
    let (count, word) = digits(rest);
    if count == 0 {
        return None;
    }
    let mut whole = value_of_first(word, count);
    let mut rest = rest.get(count..)?;
    if count == 8 {
        let (count, word) = digits(rest);
        if count > 2 {
            return None;
        }
        if count > 0 {
            whole = whole * POWERS[count] + value_of_first(word, count);
            rest = rest.get(count..)?;
        }
    }
    let (mut fraction, mut decimals) = (0, 0);
    if let Some(digits_behind) = rest.strip_prefix(b".") {
        let (count, word) = digits(digits_behind);
        if count == 0 {
            return None;
        }
        // Cut to `count` digits and read as eight: the rest counts as zeros behind.
        fraction = value(word & (u64::MAX >> (64 - 8 * count)));
        decimals = u8::try_from(count).unwrap_or(8);
        rest = digits_behind.get(count..)?;
    }
    let scaled = whole * POWERS[8] + fraction;
    Some(((scaled.cast_signed(), decimals), rest.strip_prefix(b"\"")?))
}

/// Reads a text up to its closing quote, which is consumed. `None` if it holds an escape or a
/// control character, is not UTF-8, or does not end.
#[inline(always)]
pub(super) fn text(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let mut at = 0;
    let mut high_bits = 0;
    loop {
        let tail = bytes.get(at..)?;
        let word = load(tail);
        let quote = zero_bytes(word ^ (u64::from(b'"') * ONES));
        let escape = zero_bytes(word ^ (u64::from(b'\\') * ONES));
        // Bytes below 0x20, and with them the zeros behind the end.
        let control = word.wrapping_sub(0x20 * ONES) & !word & HIGHS;
        let stops = quote | escape | control;
        if stops == 0 {
            high_bits |= word & HIGHS;
            at += 8;
            continue;
        }
        let length = (stops.trailing_zeros() / 8) as usize;
        high_bits |= word & HIGHS & (stops & stops.wrapping_neg()).wrapping_sub(1);
        let (text, after) = bytes.split_at_checked(at + length)?;
        let after = after.strip_prefix(b"\"")?;
        if high_bits != 0 && std::str::from_utf8(text).is_err() {
            return None;
        }
        return Some((text, after));
    }
}

/// Marks the bytes that are zero.
#[inline(always)]
fn zero_bytes(word: u64) -> u64 {
    word.wrapping_sub(ONES) & !word & HIGHS
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn integers_are_read_as_json_writes_them() {
        let check = |text: &str, expected: Option<(u64, &str)>| {
            let read = unsigned(text.as_bytes())
                .map(|(value, rest)| (value, std::str::from_utf8(rest).unwrap()));
            assert_eq!(read, expected, "{text:?}");
        };
        check("0,", Some((0, ",")));
        check("7}}", Some((7, "}}")));
        check("1234567,\"a\":1", Some((1_234_567, ",\"a\":1")));
        check("12345678,", Some((12_345_678, ",")));
        check("123456789", Some((123_456_789, "")));
        check("1791460920015,\"a\":", Some((1_791_460_920_015, ",\"a\":")));
        check("9999999999999999,", Some((9_999_999_999_999_999, ",")));
        check("1.5", Some((1, ".5")));
        for text in ["", "-1", "01", "00", "x", "99999999999999999", "\"1\"", " 1"] {
            check(text, None);
        }
    }

    #[test]
    fn decimals_are_read_to_the_digit() {
        let check = |text: &str, expected: Option<(i64, u8)>| {
            assert_eq!(decimal(text.as_bytes()).map(|(read, _)| read), expected, "{text:?}");
        };
        check("\"82418.80\",", Some((8_241_880_000_000, 2)));
        check("\"0.00000001\"", Some((1, 8)));
        check("\"9682\"", Some((968_200_000_000, 0)));
        check("\"9999999999.99999999\"", Some((999_999_999_999_999_999, 8)));
        check("\"12345678\"", Some((1_234_567_800_000_000, 0)));
        check("\"123456789.5\"", Some((12_345_678_950_000_000, 1)));
        for text in
            ["\"\"", "\"1.\"", "\".5\"", "\"-1\"", "1.5", "\"1.5", "\"1e3\"", "\"1.123456789\""]
        {
            check(text, None);
        }
    }

    #[test]
    fn a_text_ends_at_its_quote_and_nothing_is_hidden_in_it() {
        let check = |bytes: &[u8], expected: Option<&str>| {
            let read = text(bytes).map(|(text, _)| std::str::from_utf8(text).unwrap());
            assert_eq!(read, expected, "{bytes:?}");
        };
        check(b"BTCUSDT\",\"p\"", Some("BTCUSDT"));
        check(b"\"", Some(""));
        check(b"1000PEPEUSDT\"", Some("1000PEPEUSDT"));
        check("币安人生USDT\"".as_bytes(), Some("币安人生USDT"));
        for bytes in [
            &b"BTC"[..],
            b"",
            b"a\\\"b\"",
            b"a\nb\"",
            b"12345678\x1f\"",
            b"\xe5\xb8\"",
            b"12345678\xff\"",
        ] {
            check(bytes, None);
        }
    }
}
