//! Exact decimals: integers with a fixed scale, parsed strictly and printed as the exchange prints.
//!
//! Grammar: `[-]digits[.digits]`. No sign `+`, no exponent, no spaces, no bare dot. Digits beyond
//! the scale are accepted only if they are zeros, so nothing is ever rounded.

use std::fmt;

/// Longest decimal accepted, in bytes. The longest honest one has 39 digits, a dot and a sign.
const LENGTH_MAX: usize = 48;

/// Why a text is not a decimal of the wanted type.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DecimalError {
    /// Empty, too long, or holding something other than digits and one dot.
    #[error("not a plain decimal number")]
    Malformed,
    /// More significant digits behind the dot than the scale keeps.
    #[error("more digits behind the dot than can be kept exactly")]
    TooPrecise,
    /// The value does not fit the integer behind the type.
    #[error("number out of range")]
    OutOfRange,
    /// A precision above what the scale can print.
    #[error("precision above 8 decimals")]
    PrecisionTooHigh,
}

/// Parses `text` into an integer scaled by `10^scale`.
fn parse_scaled(text: &[u8], scale: u32) -> Result<i128, DecimalError> {
    if text.is_empty() || text.len() > LENGTH_MAX {
        return Err(DecimalError::Malformed);
    }
    let (negative, digits) = match text {
        [b'-', rest @ ..] => (true, rest),
        _ => (false, text),
    };
    let dot = digits.iter().position(|&byte| byte == b'.');
    let (whole, fraction) = match dot {
        Some(at) => (&digits[..at], &digits[at + 1..]),
        None => (digits, &digits[..0]),
    };
    if whole.is_empty() || (dot.is_some() && fraction.is_empty()) {
        return Err(DecimalError::Malformed);
    }
    let kept = fraction.len().min(scale as usize);
    let (fraction, surplus) = fraction.split_at(kept);
    let pad = scale - u32::try_from(kept).expect("kept <= scale, a u32");
    let mut value: u128 = 0;
    // 19 digits fit a u64; the common case needs no 128-bit arithmetic.
    if whole.len() + kept + pad as usize <= 19 {
        let mut small: u64 = 0;
        for &byte in whole.iter().chain(fraction) {
            small = small * 10 + u64::from(digit(byte)?);
        }
        value = u128::from(small * 10_u64.pow(pad));
    } else {
        for &byte in whole.iter().chain(fraction) {
            value = value
                .checked_mul(10)
                .and_then(|value| value.checked_add(u128::from(digit(byte).ok()?)))
                .ok_or_else(|| digit(byte).err().unwrap_or(DecimalError::OutOfRange))?;
        }
        value = value.checked_mul(10_u128.pow(pad)).ok_or(DecimalError::OutOfRange)?;
    }
    for &byte in surplus {
        if digit(byte)? != 0 {
            return Err(DecimalError::TooPrecise);
        }
    }
    let value = i128::try_from(value).map_err(|_| DecimalError::OutOfRange)?;
    Ok(if negative { -value } else { value })
}

#[inline]
fn digit(byte: u8) -> Result<u8, DecimalError> {
    let digit = byte.wrapping_sub(b'0');
    if digit < 10 { Ok(digit) } else { Err(DecimalError::Malformed) }
}

/// A decimal on its way to text; made by the `display` method of each decimal type.
///
/// Prints at least the asked number of decimals (at most those that the type keeps), zero padded,
/// and more where the value has more digits that are not zero: printing never rounds.
#[derive(Debug, Clone, Copy)]
pub struct DisplayDecimal {
    value: i128,
    scale: u32,
    decimals: u32,
}

impl fmt::Display for DisplayDecimal {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        // 39 digits of a u128, a dot, and one leading zero.
        let mut buffer = [b'0'; 64];
        let mut at = buffer.len();
        let mut rest = self.value.unsigned_abs();
        let mut decimals = self.scale;
        while decimals > self.decimals && rest.is_multiple_of(10) {
            rest /= 10;
            decimals -= 1;
        }
        for _ in 0..decimals {
            at -= 1;
            buffer[at] = b'0' + (rest % 10) as u8;
            rest /= 10;
        }
        if decimals > 0 {
            at -= 1;
            buffer[at] = b'.';
        }
        loop {
            at -= 1;
            buffer[at] = b'0' + (rest % 10) as u8;
            rest /= 10;
            if rest == 0 {
                break;
            }
        }
        let text = std::str::from_utf8(&buffer[at..]).map_err(|_| fmt::Error)?;
        formatter.pad_integral(self.value >= 0, "", text)
    }
}

macro_rules! decimal {
    ($(#[$doc:meta])* $name:ident, $integer:ty, $scale:literal) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name($integer);

        impl $name {
            /// Decimals kept behind the dot.
            pub const SCALE: u32 = $scale;
            /// Zero.
            pub const ZERO: Self = Self(0);

            /// From the scaled integer: the value times `10^SCALE`.
            #[inline]
            pub const fn from_scaled(scaled: $integer) -> Self {
                Self(scaled)
            }

            /// The scaled integer: the value times `10^SCALE`.
            #[inline]
            pub const fn scaled(self) -> $integer {
                self.0
            }

            /// Parses a plain decimal, exactly.
            ///
            /// # Errors
            /// [`DecimalError`] if the text is no plain decimal, does not fit, or would need
            /// rounding.
            #[inline]
            pub fn parse(text: impl AsRef<[u8]>) -> Result<Self, DecimalError> {
                let scaled = parse_scaled(text.as_ref(), $scale)?;
                <$integer>::try_from(scaled).map(Self).map_err(|_| DecimalError::OutOfRange)
            }

            /// For printing with `decimals` digits behind the dot, or more where the value has
            /// more: printing never rounds.
            #[inline]
            pub fn display(self, decimals: u8) -> DisplayDecimal {
                DisplayDecimal {
                    value: i128::from(self.0),
                    scale: $scale,
                    decimals: u32::from(decimals),
                }
            }

            /// Nearest double, for people and charts. Never to be turned back.
            #[expect(clippy::cast_precision_loss, reason = "for display; documented as inexact")]
            pub fn to_f64(self) -> f64 {
                self.0 as f64 / 10_f64.powi($scale)
            }

            /// How many digits behind the dot are needed to print the value exactly.
            pub fn decimals(self) -> u8 {
                let mut decimals = $scale;
                let mut rest = self.0;
                while decimals > 0 && rest % 10 == 0 {
                    rest /= 10;
                    decimals -= 1;
                }
                decimals
            }
        }

        impl std::str::FromStr for $name {
            type Err = DecimalError;

            fn from_str(text: &str) -> Result<Self, DecimalError> {
                Self::parse(text)
            }
        }

        /// As many decimals as the value needs.
        impl fmt::Display for $name {
            fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.display(0).fmt(formatter)
            }
        }
    };
}

decimal! {
    /// A price in quote units, at 1e-8. Range about ±92 billion.
    Price, i64, 8
}
decimal! {
    /// The size of one trade in base units, at 1e-8. Range about ±92 billion.
    Quantity, i64, 8
}
decimal! {
    /// A sum of quantities in base units, at 1e-8. The cheapest coins outgrow 64 bits in a day.
    Volume, i128, 8
}
decimal! {
    /// A sum of price × quantity in quote units, at 1e-16: exact.
    QuoteVolume, i128, 16
}

impl Price {
    /// Price × quantity, exact. Cannot overflow: two 64-bit factors, a 128-bit product.
    #[inline]
    pub const fn times(self, quantity: Quantity) -> QuoteVolume {
        QuoteVolume(self.0 as i128 * quantity.0 as i128)
    }
}

impl From<Quantity> for Volume {
    #[inline]
    fn from(quantity: Quantity) -> Self {
        Self(i128::from(quantity.0))
    }
}

macro_rules! sum {
    ($name:ident) => {
        impl std::ops::Add for $name {
            type Output = Self;
            #[inline]
            fn add(self, other: Self) -> Self {
                Self(self.0 + other.0)
            }
        }
        impl std::ops::AddAssign for $name {
            #[inline]
            fn add_assign(&mut self, other: Self) {
                self.0 += other.0;
            }
        }
        impl std::ops::Sub for $name {
            type Output = Self;
            #[inline]
            fn sub(self, other: Self) -> Self {
                Self(self.0 - other.0)
            }
        }
        impl $name {
            /// The sum, or `None` where it does not fit.
            #[inline]
            pub const fn checked_add(self, other: Self) -> Option<Self> {
                match self.0.checked_add(other.0) {
                    Some(sum) => Some(Self(sum)),
                    None => None,
                }
            }
        }
    };
}

sum!(Volume);
sum!(QuoteVolume);

/// How many decimals the exchange prints for a symbol: its `pricePrecision` and
/// `quantityPrecision`. Quote volumes are printed with their sum.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Precision {
    price: u8,
    quantity: u8,
}

impl Precision {
    /// A pair of precisions.
    ///
    /// # Errors
    /// [`DecimalError::PrecisionTooHigh`] above 8 decimals, which no [`Price`] can hold.
    pub const fn new(price: u8, quantity: u8) -> Result<Self, DecimalError> {
        if price > 8 || quantity > 8 {
            return Err(DecimalError::PrecisionTooHigh);
        }
        Ok(Self { price, quantity })
    }

    /// Decimals of a price.
    pub const fn price(self) -> u8 {
        self.price
    }

    /// Decimals of a quantity or a volume.
    pub const fn quantity(self) -> u8 {
        self.quantity
    }

    /// Decimals of a quote volume: the sum of the two.
    pub const fn quote(self) -> u8 {
        self.price + self.quantity
    }

    /// The finer of both, field by field.
    #[must_use]
    pub fn finest(self, other: Self) -> Self {
        Self { price: self.price.max(other.price), quantity: self.quantity.max(other.quantity) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prices_print_as_the_exchange_prints() {
        let check = |text: &str, decimals: u8, expected: &str| {
            assert_eq!(Price::parse(text).unwrap().display(decimals).to_string(), expected);
        };
        check("82418.7", 2, "82418.70");
        check("0.0000100", 7, "0.0000100");
        check("9682", 0, "9682");
        check("9682.19", 0, "9682.19");
        check("0", 3, "0.000");
        check("-1.5", 2, "-1.50");
        check("92233720368.54775807", 8, "92233720368.54775807");
    }

    #[test]
    fn what_is_no_plain_decimal_is_refused() {
        let check = |text: &str, error: DecimalError| {
            assert_eq!(Price::parse(text), Err(error), "{text:?}");
        };
        for text in ["", ".", "1.", ".5", "+1", "1e9", "NaN", "inf", " 1", "1 ", "--1", "1.2.3"] {
            check(text, DecimalError::Malformed);
        }
        check("-", DecimalError::Malformed);
        check("12345678901234567890123x", DecimalError::Malformed);
        check(&"1".repeat(49), DecimalError::Malformed);
        check(&"9".repeat(40), DecimalError::OutOfRange);
        check("92233720368.54775808", DecimalError::OutOfRange);
        check("0.000000001", DecimalError::TooPrecise);
        assert_eq!(Price::parse("0.1000000000"), Price::parse("0.1"));
    }

    #[test]
    fn quote_volume_is_the_exact_product() {
        let price = Price::parse("82418.70").unwrap();
        let quantity = Quantity::parse("0.037").unwrap();
        assert_eq!(price.times(quantity).display(5).to_string(), "3049.49190");
    }
}
