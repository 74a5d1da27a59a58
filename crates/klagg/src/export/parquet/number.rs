//! Scaled integers as Parquet knows numbers.

use klagg_kline::{QuoteVolume, Volume};

/// Up to here every integer is a double.
const EXACT_MAX: u128 = 1 << 53;

/// The double nearest to `scaled / 10^scale`: the same that a reader of the decimal's text gets.
pub(super) fn nearest(scaled: i128, scale: u32) -> f64 {
    let (mut rest, mut decimals) = (scaled, scale);
    while decimals > 0 && rest % 10 == 0 {
        rest /= 10;
        decimals -= 1;
    }
    if rest.unsigned_abs() <= EXACT_MAX && decimals <= 22 {
        // Both are exact, so the one division rounds once.
        #[expect(clippy::cast_precision_loss, reason = "below 2^53 nothing is lost")]
        return rest as f64 / 10_f64.powi(i32::try_from(decimals).unwrap_or_default());
    }
    let text = match scale {
        Volume::SCALE => Volume::from_scaled(scaled).to_string(),
        QuoteVolume::SCALE => QuoteVolume::from_scaled(scaled).to_string(),
        _ => format!("{rest}e-{decimals}"),
    };
    text.parse().unwrap_or(f64::NAN)
}

/// The lowest `length` bytes, highest first, as Parquet's decimals have them.
pub(super) fn decimal_bytes(scaled: i128, length: usize) -> Vec<u8> {
    let bytes = scaled.to_be_bytes();
    bytes[bytes.len() - length..].to_vec()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[expect(clippy::float_cmp, reason = "the same double is wanted, not one nearby")]
    fn doubles_are_those_of_the_decimal_text() {
        let check = |text: &str| {
            let volume = Volume::parse(text).unwrap();
            assert_eq!(nearest(volume.scaled(), 8), text.parse::<f64>().unwrap(), "{text}");
            let quote = QuoteVolume::parse(text).unwrap();
            assert_eq!(nearest(quote.scaled(), 16), text.parse::<f64>().unwrap(), "{text}");
        };
        for text in ["0", "0.1", "-0.3", "68094.6", "351923638.0391", "0.00000001"] {
            check(text);
        }
        check("98765432109876543.12345678");
        check("9007199254740993");
    }

    #[test]
    fn decimals_are_two_s_complement() {
        assert_eq!(decimal_bytes(-2, 9), [255, 255, 255, 255, 255, 255, 255, 255, 254]);
        assert_eq!(decimal_bytes(258, 3), [0, 1, 2]);
    }
}
