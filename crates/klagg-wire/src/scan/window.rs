//! A copy of the frame with room behind it, read eight bytes at a time.
//!
//! Invariant: behind the frame stands a zero byte, which ends every run of digits and every text,
//! so a scan that goes step by step never reaches what an earlier frame left further behind.
//! Positions are taken modulo [`FRAME_MAX`]: no read can lie outside, so none needs a check.
//!
//! The first byte read is the lowest byte of the register. A mask marks a byte by its highest
//! bit. Arithmetic on all bytes at once can spill from a marked byte into those above it, never
//! below; only the lowest mark is used, and that one is exact.

/// Longest frame that is scanned; a power of two. A trade frame has about 200 bytes.
pub(super) const FRAME_MAX: usize = 512;

const ONES: u64 = 0x0101_0101_0101_0101;
const HIGHS: u64 = 0x8080_8080_8080_8080;
const ZEROS: u64 = 0x3030_3030_3030_3030;

/// The powers of ten up to 10^8, and zeros that make the length a power of two.
const POWERS: [u64; 16] = {
    let mut powers = [0; 16];
    powers[0] = 1;
    let mut at = 1;
    while at <= 8 {
        powers[at] = powers[at - 1] * 10;
        at += 1;
    }
    powers
};

/// 10^`exponent`, up to 8.
#[inline(always)]
fn power(exponent: usize) -> u64 {
    POWERS[exponent & 15]
}

/// The copy.
#[derive(Debug, Clone)]
pub(crate) struct Window {
    bytes: [u8; FRAME_MAX + 8],
}

impl Window {
    pub(crate) const fn new() -> Self {
        Self { bytes: [0; FRAME_MAX + 8] }
    }

    /// Takes a copy of the frame; `false` if it is too long.
    #[inline(always)]
    pub(super) fn fill(&mut self, frame: &[u8]) -> bool {
        if frame.len() >= FRAME_MAX {
            return false;
        }
        let (copy, behind) = self.bytes.split_at_mut(frame.len());
        copy.copy_from_slice(frame);
        behind[0] = 0;
        true
    }

    /// Eight bytes.
    #[inline(always)]
    pub(super) fn word(&self, at: usize) -> u64 {
        let at = at & (FRAME_MAX - 1);
        self.bytes[at..].first_chunk().map_or(0, |chunk| u64::from_le_bytes(*chunk))
    }

    #[inline(always)]
    pub(super) fn byte(&self, at: usize) -> u8 {
        self.bytes[at & (FRAME_MAX - 1)]
    }

    /// Whether the `N` bytes, at most eight, stand here.
    #[inline(always)]
    pub(super) fn is<const N: usize>(&self, at: usize, bytes: &[u8; N]) -> bool {
        const { assert!(N <= 8 && N > 0) };
        let mut wanted = [0; 8];
        wanted[..N].copy_from_slice(bytes);
        (self.word(at) ^ u64::from_le_bytes(wanted)) << (64 - 8 * N) == 0
    }

    /// The position behind these bytes, if they stand here.
    #[inline(always)]
    pub(super) fn after<const N: usize>(&self, at: usize, bytes: &[u8; N]) -> Option<usize> {
        if self.is(at, bytes) { Some(at + N) } else { None }
    }

    /// The position behind the quote that ends an ASCII text.
    #[inline(always)]
    pub(super) fn plain_end(&self, at: usize) -> Option<usize> {
        let (end, is_ascii) = self.text_end(at)?;
        if is_ascii { Some(end + 1) } else { None }
    }

    /// How many of eight bytes are digits before the first that is none, and the register with
    /// `0` to `9` turned into 0 to 9.
    #[inline(always)]
    fn digits(&self, at: usize) -> (usize, u64) {
        let word = self.word(at) ^ ZEROS;
        // A digit is 0 to 9 now: adding 0x76 does not reach 0x80. Bytes from 0x80 on are marked
        // by themselves, since they may wrap around.
        let others = (word.wrapping_add(0x76 * ONES) | word) & HIGHS;
        ((others.trailing_zeros() / 8) as usize, word)
    }

    /// Reads an integer as JSON writes it: 1 to 15 digits, no sign, no needless zero in front.
    #[inline(always)]
    pub(super) fn unsigned(&self, at: usize) -> Option<(u64, usize)> {
        let (count, word) = self.digits(at);
        if count == 0 || (count > 1 && word.trailing_zeros() >= 8) {
            return None;
        }
        if count < 8 {
            return Some((value_of_first(word, count), at + count));
        }
        // A constant and not `count`: the next step need not wait until digits are counted.
        let (low_count, low) = self.digits(at + 8);
        if low_count == 0 || low_count == 8 {
            return if low_count == 0 { Some((value(word), at + 8)) } else { None };
        }
        let number = value(word) * power(low_count) + value_of_first(low, low_count);
        Some((number, at + 8 + low_count))
    }

    /// Reads an instant in milliseconds: as [`Window::unsigned`], in fewer steps for the 13
    /// digits that instants have from 2001 to 2286.
    #[inline(always)]
    pub(super) fn millis(&self, at: usize) -> Option<(u64, usize)> {
        let (high_count, high) = self.digits(at);
        let (low_count, low) = self.digits(at + 8);
        if high_count != 8 || low_count != 5 || high.trailing_zeros() >= 8 {
            return self.unsigned(at);
        }
        Some((value(high) * power(5) + value_of_first(low, 5), at + 13))
    }

    /// Reads a decimal in quotes: the value at 1e-8, and how many decimals were printed. At most
    /// ten digits before the dot and eight behind it, so that it fits.
    #[inline(always)]
    pub(super) fn decimal(&self, at: usize) -> Option<((i64, u8), usize)> {
        let (count, word) = self.digits(at + 1);
        if self.byte(at) != b'"' || count == 0 {
            return None;
        }
        let mut whole = value_of_first(word, count);
        let mut at = at + 1 + count;
        if count == 8 {
            let (count, word) = self.digits(at);
            if count > 2 {
                return None;
            }
            if count > 0 {
                whole = whole * power(count) + value_of_first(word, count);
                at += count;
            }
        }
        let (mut fraction, mut decimals) = (0, 0);
        if self.byte(at) == b'.' {
            let (count, word) = self.digits(at + 1);
            if count == 0 {
                return None;
            }
            // Cut to `count` digits and read as eight: the rest counts as zeros behind.
            fraction = value(word & (u64::MAX >> (64 - 8 * count)));
            decimals = count;
            at += 1 + count;
        }
        if self.byte(at) != b'"' {
            return None;
        }
        let scaled = whole * power(8) + fraction;
        Some(((scaled.cast_signed(), u8::try_from(decimals).unwrap_or(8)), at + 1))
    }

    /// Finds the quote that ends a text begun before `at`, and whether all before it is ASCII.
    /// `None` if the text does not end, or holds an escape, a control character, a space or `!`.
    #[inline(always)]
    pub(super) fn text_end(&self, mut at: usize) -> Option<(usize, bool)> {
        let mut high_bits = 0;
        loop {
            let word = self.word(at);
            // Bytes below 0x23: control characters, the quote, space and `!`, which no symbol
            // holds; and with them the zero behind the frame.
            let low = word.wrapping_sub(0x23 * ONES) & !word & HIGHS;
            let stops = low | zero_bytes(word ^ (u64::from(b'\\') * ONES));
            if stops == 0 {
                high_bits |= word & HIGHS;
                at += 8;
                continue;
            }
            let end = at + (stops.trailing_zeros() / 8) as usize;
            if self.byte(end) != b'"' {
                return None;
            }
            high_bits |= word & HIGHS & ((stops & stops.wrapping_neg()) - 1);
            return Some((end, high_bits == 0));
        }
    }
}

/// The value of eight digits, the first one highest.
#[inline(always)]
fn value(word: u64) -> u64 {
    const LOW_OF_FOUR: u64 = 0x0000_00ff_0000_00ff;
    // Pairs of digits; each pair stands in the even byte.
    let pairs = word.wrapping_mul(10).wrapping_add(word >> 8);
    let high = (pairs & LOW_OF_FOUR).wrapping_mul(100 + (1_000_000 << 32));
    let low = ((pairs >> 16) & LOW_OF_FOUR).wrapping_mul(1 + (10_000 << 32));
    high.wrapping_add(low) >> 32
}

/// The value of the first `count` of eight digits, 1 to 8.
#[inline(always)]
fn value_of_first(word: u64, count: usize) -> u64 {
    // Shifted up, zeros come in from below: leading zeros.
    value(word << ((64 - 8 * count) & 63))
}

/// Marks the bytes that are zero.
#[inline(always)]
fn zero_bytes(word: u64) -> u64 {
    word.wrapping_sub(ONES) & !word & HIGHS
}

#[cfg(test)]
mod tests {
    use super::*;

    fn window(text: &[u8]) -> Window {
        // What an earlier frame left behind must not matter.
        let mut window = Window { bytes: [b'7'; FRAME_MAX + 8] };
        assert!(window.fill(text));
        window
    }

    #[test]
    fn integers_are_read_as_json_writes_them() {
        let check = |text: &str, expected: Option<(u64, usize)>| {
            assert_eq!(window(text.as_bytes()).unsigned(0), expected, "{text:?}");
            assert_eq!(window(text.as_bytes()).millis(0), expected, "{text:?}");
        };
        check("0,", Some((0, 1)));
        check("7}}", Some((7, 1)));
        check("1234567,\"a\":1", Some((1_234_567, 7)));
        check("12345678,", Some((12_345_678, 8)));
        check("123456789", Some((123_456_789, 9)));
        check("1791460920015,\"a\":", Some((1_791_460_920_015, 13)));
        check("999999999999999,", Some((999_999_999_999_999, 15)));
        check("1.5", Some((1, 1)));
        for text in ["", "-1", "01", "00", "x", "1234567890123456", "\"1\"", " 1", "0791460920015"]
        {
            check(text, None);
        }
    }

    #[test]
    fn decimals_are_read_to_the_digit() {
        let check = |text: &str, expected: Option<(i64, u8)>| {
            let read = window(text.as_bytes()).decimal(0);
            assert_eq!(read.map(|(read, _)| read), expected, "{text:?}");
            assert!(read.is_none_or(|(_, end)| end == text.len()), "{text:?}");
        };
        check("\"82418.80\"", Some((8_241_880_000_000, 2)));
        check("\"0.00000001\"", Some((1, 8)));
        check("\"9682\"", Some((968_200_000_000, 0)));
        check("\"9999999999.99999999\"", Some((999_999_999_999_999_999, 8)));
        check("\"12345678\"", Some((1_234_567_800_000_000, 0)));
        check("\"123456789.5\"", Some((12_345_678_950_000_000, 1)));
        for text in ["\"\"", "\"1.\"", "\".5\"", "\"-1\"", "1.5", "\"1.5", "\"1e3\""] {
            check(text, None);
        }
        check("\"1.123456789\"", None);
        check("\"12345678901\"", None);
    }

    #[test]
    fn a_text_ends_at_its_quote_and_nothing_is_hidden_in_it() {
        let check = |bytes: &[u8], expected: Option<(usize, bool)>| {
            assert_eq!(window(bytes).text_end(0), expected, "{bytes:?}");
        };
        check(b"BTCUSDT\",\"p\"", Some((7, true)));
        check(b"\"", Some((0, true)));
        check(b"1000PEPEUSDT\"\xff", Some((12, true)));
        check("币安人生USDT\"".as_bytes(), Some((16, false)));
        check(b"12345678\xff\"", Some((9, false)));
        for bytes in [&b"BTC"[..], b"", b"a\\\"b\"", b"a\nb\"", b"12345678\x1f\"", b"a b\""] {
            check(bytes, None);
        }
    }

    #[test]
    fn a_frame_too_long_is_not_taken() {
        assert!(Window::new().fill(&[b' '; FRAME_MAX - 1]));
        assert!(!Window::new().fill(&[b' '; FRAME_MAX]));
    }
}
