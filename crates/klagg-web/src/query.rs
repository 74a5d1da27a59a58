//! Query strings, taken apart.

use std::borrow::Cow;

use crate::answer::ApiError;

/// Parameters of one request, as many as any route knows and a few more.
const PAIRS_MAX: usize = 32;

/// The parameters of one request. Unknown ones are passed over, as by the exchange.
#[derive(Debug, Default)]
pub(crate) struct Query {
    pairs: Vec<(String, String)>,
}

impl Query {
    /// Takes a query string apart; a key twice is refused.
    pub(crate) fn parse(query: Option<&str>) -> Result<Self, ApiError> {
        let pairs: Vec<_> = pairs(query.unwrap_or("")).take(PAIRS_MAX + 1).collect();
        if pairs.len() > PAIRS_MAX {
            return Err(ApiError::bad(-1101, "Too many parameters."));
        }
        let twice = |(at, (key, _)): (usize, &(String, String))| {
            pairs[..at].iter().any(|(earlier, _)| earlier == key)
        };
        if pairs.iter().enumerate().any(twice) {
            return Err(ApiError::bad(-1101, "Duplicate values for a parameter detected."));
        }
        Ok(Self { pairs })
    }

    /// A value, if it was sent.
    pub(crate) fn optional(&self, name: &str) -> Option<&str> {
        self.pairs.iter().find(|(key, _)| key == name).map(|(_, value)| &**value)
    }

    /// A value that must be there.
    pub(crate) fn mandatory(&self, name: &str) -> Result<&str, ApiError> {
        let value = self.optional(name).filter(|value| !value.is_empty());
        value.ok_or_else(|| ApiError::mandatory(name))
    }

    /// A number that is not negative.
    pub(crate) fn number(&self, name: &str) -> Result<Option<i64>, ApiError> {
        let Some(text) = self.optional(name) else { return Ok(None) };
        let number: i64 = text.parse().map_err(|_| ApiError::mandatory(name))?;
        if number < 0 {
            return Err(ApiError::parameter(name));
        }
        Ok(Some(number))
    }

    /// A number from 1 to `max`.
    pub(crate) fn count(&self, name: &str, default: usize, max: usize) -> Result<usize, ApiError> {
        let Some(number) = self.number(name)? else { return Ok(default) };
        let number = usize::try_from(number).ok().filter(|number| (1..=max).contains(number));
        number.ok_or_else(|| ApiError::parameter(name))
    }
}

/// Keys and values, percent-decoded; `+` is a space. Bytes that are no UTF-8 become U+FFFD,
/// which no symbol and no number holds.
pub(crate) fn pairs(query: &str) -> impl Iterator<Item = (String, String)> + '_ {
    query.split('&').filter(|pair| !pair.is_empty()).map(|pair| {
        let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
        (decode(key).into_owned(), decode(value).into_owned())
    })
}

fn decode(text: &str) -> Cow<'_, str> {
    if !text.contains(['%', '+']) {
        return Cow::Borrowed(text);
    }
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [byte, tail @ ..] = rest {
        rest = tail;
        match (byte, tail) {
            (b'%', [high, low, tail @ ..]) if digit(*high).is_some() && digit(*low).is_some() => {
                let value = digit(*high).zip(digit(*low)).map(|(high, low)| high * 16 + low);
                bytes.extend(value);
                rest = tail;
            }
            (b'+', _) => bytes.push(b' '),
            (plain, _) => bytes.push(*plain),
        }
    }
    Cow::Owned(String::from_utf8_lossy(&bytes).into_owned())
}

fn digit(byte: u8) -> Option<u8> {
    char::from(byte).to_digit(16).and_then(|value| u8::try_from(value).ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hostile_queries_decode_to_something_harmless() {
        let check = |query: &str, expected: &[(&str, &str)]| {
            let found: Vec<_> = pairs(query).collect();
            let found: Vec<_> = found.iter().map(|(key, value)| (&**key, &**value)).collect();
            assert_eq!(found, expected, "{query}");
        };
        check("", &[]);
        check("&&a=1&b", &[("a", "1"), ("b", "")]);
        check("symbol=%E5%B8%81USDT", &[("symbol", "币USDT")]);
        check("a=%&b=%4&c=%zz&d=%ff", &[("a", "%"), ("b", "%4"), ("c", "%zz"), ("d", "\u{fffd}")]);
        check("a=b=c&a=x+y", &[("a", "b=c"), ("a", "x y")]);
    }
}
