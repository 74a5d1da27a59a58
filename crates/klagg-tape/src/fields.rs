//! Fields of a row, whatever it was cut from: a CSV line, a REST kline, a flat JSON object.

use klagg_kline::UnixMillis;

/// Most columns that are looked at; the widest known row has 15.
pub(crate) const FIELDS_MAX: usize = 32;

/// The fields of one row, without blanks and quotes around them.
pub(crate) struct Fields<'a> {
    fields: [&'a [u8]; FIELDS_MAX],
    len: usize,
}

impl<'a> Fields<'a> {
    /// Cuts at commas. Surplus fields are not kept.
    pub(crate) fn split(row: &'a [u8]) -> Self {
        let mut fields = [&row[..0]; FIELDS_MAX];
        let mut len = 0;
        for (slot, field) in fields.iter_mut().zip(row.split(|&byte| byte == b',')) {
            *slot = trim(field);
            len += 1;
        }
        Self { fields, len }
    }

    pub(crate) fn as_slice(&self) -> &[&'a [u8]] {
        &self.fields[..self.len]
    }

    /// The field at `at`, or a sentence.
    pub(crate) fn get(&self, at: usize) -> Result<&'a [u8], String> {
        let len = self.len;
        self.as_slice().get(at).copied().ok_or_else(|| format!("only {len} columns"))
    }
}

/// Blanks around, then one pair of quotes.
pub(crate) fn trim(field: &[u8]) -> &[u8] {
    let field = field.trim_ascii();
    field.strip_prefix(b"\"").and_then(|field| field.strip_suffix(b"\"")).unwrap_or(field)
}

/// A header's name without signs and case: `Open_Time`, `openTime` and `open time` are one. The
/// exchange's one-letter names keep their case, for `t` and `T` differ.
pub(crate) fn header_key(field: &[u8]) -> String {
    let letters = field.iter().filter(|byte| byte.is_ascii_alphanumeric());
    if field.len() == 1 {
        return letters.map(|&byte| char::from(byte)).collect();
    }
    letters.map(|byte| char::from(byte.to_ascii_lowercase())).collect()
}

/// Whether a first row is a header: its first field is no number and no date.
pub(crate) fn is_header(fields: &Fields<'_>) -> bool {
    let first = fields.as_slice().first().and_then(|field| field.first());
    first.is_some_and(|byte| !byte.is_ascii_digit() && !matches!(byte, b'-' | b'+' | b'.'))
}

/// A whole number. `12.0` is one: some writers know only floats.
pub(crate) fn integer(field: &[u8]) -> Option<i64> {
    let field = field.strip_suffix(b".0").unwrap_or(field);
    std::str::from_utf8(field).ok()?.parse().ok()
}

/// `true`, `True`, `TRUE`, `1`, and their opposites.
pub(crate) fn flag(field: &[u8]) -> Option<bool> {
    match field {
        b"1" => Some(true),
        b"0" => Some(false),
        _ => flag_word(field),
    }
}

/// Only the words.
pub(crate) fn flag_word(field: &[u8]) -> Option<bool> {
    if field.eq_ignore_ascii_case(b"true") {
        Some(true)
    } else if field.eq_ignore_ascii_case(b"false") {
        Some(false)
    } else {
        None
    }
}

/// A time in milliseconds (13 digits) or microseconds (16 digits).
pub(crate) fn time(field: &[u8]) -> Result<UnixMillis, String> {
    let number = integer(field).ok_or_else(|| format!("time {} is no number", shown(field)))?;
    match number {
        1_000_000_000_000..=9_999_999_999_999 => Ok(UnixMillis(number)),
        1_000_000_000_000_000..=9_999_999_999_999_999 => Ok(UnixMillis(number / 1_000)),
        _ => Err(format!("time {} has neither 13 digits (ms) nor 16 (µs)", shown(field))),
    }
}

/// A time as a number, or `YYYY-MM-DD`, `YYYY-MM-DD HH:MM`, `YYYY-MM-DD HH:MM:SS`, with `T`
/// instead of the blank, with `.0…`, `Z` or `+00:00` behind. UTC.
pub(crate) fn time_or_text(field: &[u8]) -> Result<UnixMillis, String> {
    if field.get(4) != Some(&b'-') {
        return time(field);
    }
    text_time(field).ok_or_else(|| format!("time {} is no date and time in UTC", shown(field)))
}

fn text_time(field: &[u8]) -> Option<UnixMillis> {
    let text = std::str::from_utf8(field).ok()?;
    let text = text.strip_suffix('Z').or_else(|| text.strip_suffix("+00:00")).unwrap_or(text);
    let (date, clock) = text.split_once([' ', 'T']).unwrap_or((text, "00:00"));
    let (clock, fraction) = clock.split_once('.').unwrap_or((clock, "0"));
    if fraction.is_empty() || fraction.bytes().any(|byte| byte != b'0') {
        return None;
    }
    let [year, month, day] = numbers(date, '-')?;
    let clock = if clock.len() == 5 { format!("{clock}:00") } else { clock.to_owned() };
    let [hour, minute, second] = numbers(&clock, ':')?;
    let in_range = (1970..=9999).contains(&year)
        && (1..=12).contains(&month)
        && (1..=days_in_month(year, month)).contains(&day)
        && hour < 24
        && minute < 60
        && second < 60;
    let seconds = hour * 3_600 + minute * 60 + second;
    in_range
        .then(|| UnixMillis((days_before(year, month) + day - 1) * 86_400_000 + seconds * 1_000))
}

fn numbers(text: &str, separator: char) -> Option<[i64; 3]> {
    let mut numbers = [0; 3];
    let mut pieces = text.split(separator);
    for number in &mut numbers {
        let piece = pieces.next()?;
        if !(2..=4).contains(&piece.len()) || !piece.bytes().all(|byte| byte.is_ascii_digit()) {
            return None;
        }
        *number = piece.parse().ok()?;
    }
    pieces.next().is_none().then_some(numbers)
}

const fn is_leap(year: i64) -> bool {
    year % 4 == 0 && (year % 100 != 0 || year % 400 == 0)
}

const fn days_in_month(year: i64, month: i64) -> i64 {
    match month {
        2 if is_leap(year) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// Days from 1970-01-01 to the first of a month, year 1970 or later.
fn days_before(year: i64, month: i64) -> i64 {
    let years = year - 1;
    let leap_days = years / 4 - years / 100 + years / 400 - (1_969 / 4 - 1_969 / 100 + 1_969 / 400);
    let months = (1..month).map(|month| days_in_month(year, month)).sum::<i64>();
    (year - 1_970) * 365 + leap_days + months
}

/// A field for a message: cut, and printable.
pub(crate) fn shown(field: &[u8]) -> String {
    let cut = &field[..field.len().min(40)];
    format!("`{}`", String::from_utf8_lossy(cut).escape_debug())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_told_by_their_digits() {
        let check = |text: &str, expected: Option<i64>| {
            let found = time_or_text(text.as_bytes()).ok().map(|time| time.0);
            assert_eq!(found, expected, "{text}");
        };
        check("1729209603958", Some(1_729_209_603_958));
        check("1729209603958999", Some(1_729_209_603_958));
        check("1729209603958999123", None);
        check("1729209603", None);
        check("", None);
        check("1970-01-01", Some(0));
        check("2023-06-01 01:00:00", Some(1_685_581_200_000));
        check("2024-02-29T12:34", Some(1_709_210_040_000));
        check("2024-03-01T00:00:00.000Z", Some(1_709_251_200_000));
        check("2100-12-25 00:00:00+00:00", Some(4_133_376_000_000));
        check("2023-02-29", None);
        check("2023-06-01 24:00:00", None);
        check("2023-06-01 01:00:00.5", None);
        check("2023-06-01 01:00:00:00", None);
        check("2023-6-1", None);
    }

    #[test]
    fn fields_lose_blanks_and_quotes() {
        let fields = Fields::split(b" 1 ,\"2.5\",,\"x");
        assert_eq!(fields.as_slice(), [&b"1"[..], b"2.5", b"", b"\"x"]);
        assert!(fields.get(4).is_err());
        assert_eq!(Fields::split(&[b','; 100]).as_slice().len(), FIELDS_MAX);
        assert_eq!(header_key(b"Open_Time"), "opentime");
        assert_eq!((header_key(b"T"), header_key(b"t")), ("T".to_owned(), "t".to_owned()));
    }

    #[test]
    fn flags_are_words_or_digits() {
        for (text, expected) in
            [("true", Some(true)), ("True", Some(true)), ("FALSE", Some(false)), ("1", Some(true))]
        {
            assert_eq!(flag(text.as_bytes()), expected);
        }
        assert_eq!((flag(b"0"), flag(b"yes"), flag(b"")), (Some(false), None, None));
    }
}
