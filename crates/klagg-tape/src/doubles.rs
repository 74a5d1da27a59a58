//! Decimals that went through a double on their way: `218271.54200000002` for `218271.542`.
//!
//! Recorders that know only floats print klines so. A double keeps every decimal of up to 15
//! digits; the 16th and 17th that they print are noise. Nothing else is ever rounded.

use klagg_kline::DecimalError;

/// Digits that survive a double.
const HONEST_DIGITS: usize = 15;

/// Two neighbours of a double: a sum or two of others may have moved it.
const NOISE_STEPS: u64 = 2;

/// Parses a field with `parse`; where it has more digits than can be kept, and it is the print of
/// a double next to a decimal of 15 digits, that decimal. True if so.
pub(crate) fn parse<T>(
    field: &[u8],
    parse: impl Fn(&[u8]) -> Result<T, DecimalError>,
) -> Result<(T, bool), DecimalError> {
    match parse(field) {
        Err(DecimalError::TooPrecise) => {
            let honest = honest_decimal(field).ok_or(DecimalError::TooPrecise)?;
            parse(honest.as_bytes()).map(|value| (value, true))
        }
        other => other.map(|value| (value, false)),
    }
}

/// The decimal of 15 digits that a printed double stands for.
fn honest_decimal(field: &[u8]) -> Option<String> {
    let text = std::str::from_utf8(field).ok()?;
    let (whole, fraction) = text.split_once('.')?;
    let significant = [whole, fraction].concat();
    let significant = significant.trim_start_matches('0');
    let surplus = significant.len().checked_sub(HONEST_DIGITS).filter(|&count| count <= 2)?;
    if surplus == 0 || surplus > fraction.len() || whole.len() > HONEST_DIGITS {
        return None;
    }
    let double: f64 = text.parse().ok()?;
    let honest = format!("{double:.0$}", fraction.len() - surplus);
    let steps = honest.parse::<f64>().ok()?.to_bits().abs_diff(double.to_bits());
    (steps <= NOISE_STEPS).then_some(honest)
}

#[cfg(test)]
mod tests {
    use klagg_kline::Volume;

    use super::*;

    #[test]
    fn the_noise_of_doubles_is_told_from_digits_that_mean_something() {
        let check = |text: &str, expected: Option<(&str, bool)>| {
            let found = parse(text.as_bytes(), |field| Volume::parse(field)).ok();
            let found = found.map(|(volume, noisy)| (volume.to_string(), noisy));
            let expected = expected.map(|(text, noisy)| (text.to_owned(), noisy));
            assert_eq!(found, expected, "{text}");
        };
        check("218271.54200000002", Some(("218271.542", true)));
        check("464681.56799999997", Some(("464681.568", true)));
        check("69726.47899999999", Some(("69726.479", true)));
        check("0.30000000000000004", Some(("0.3", true)));
        check("218271.542", Some(("218271.542", false)));
        check("218271.54212345678", None);
        check("218271.542123456781234", None);
        check("0.123456789", None);
        check("1e5", None);
        check("21827154200000002.000000001", None);
    }
}
