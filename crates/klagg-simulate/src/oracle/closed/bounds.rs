//! Where a longer kline could be put together in more ways than are tried, each of its values has
//! to be one that some way gives.

use crate::truth::Truth;

/// One of the values that add up.
type Part = fn(&Truth) -> i128;

/// Whether each value of a longer kline is possible; of each minute, what it may be.
pub(super) fn may_be(told: &Truth, minutes: &[Vec<Truth>]) -> bool {
    let sums: [(i128, Part); 5] = [
        (told.volume, |of| of.volume),
        (told.quote_volume, |of| of.quote_volume),
        (told.taker_volume, |of| of.taker_volume),
        (told.taker_quote_volume, |of| of.taker_quote_volume),
        (i128::from(told.count), |of| i128::from(of.count)),
    ];
    sums.into_iter().all(|(sum, part)| is_between(sum, minutes, part))
        && is_met(told.high, minutes, |of| of.high)
        && is_met(-told.low, minutes, |of| -of.low)
        && is_first(told.open, minutes.iter(), |of| of.open)
        && is_first(told.close, minutes.iter().rev(), |of| of.close)
}

/// Whether a sum is between those of the least and of the greatest parts.
fn is_between(sum: i128, minutes: &[Vec<Truth>], part: Part) -> bool {
    let least = minutes.iter().filter_map(|of| of.iter().map(part).min()).sum();
    let greatest = minutes.iter().filter_map(|of| of.iter().map(part).max()).sum();
    (least..=greatest).contains(&sum)
}

/// Whether some minute reaches a height, and every one in which trades are for sure may stay below.
fn is_met(height: i64, minutes: &[Vec<Truth>], top: fn(&Truth) -> i64) -> bool {
    minutes.iter().flatten().any(|of| top(of) == height)
        && minutes.iter().all(|of| is_quiet(of) || of.iter().any(|of| top(of) <= height))
}

/// Whether a price is that of the first minute in which trades are, or may be.
fn is_first<'a>(
    price: i64,
    minutes: impl Iterator<Item = &'a Vec<Truth>> + Clone,
    of: fn(&Truth) -> i64,
) -> bool {
    let mut surely = minutes.clone().enumerate().filter(|(_, minute)| !is_quiet(minute));
    let upto = surely.next().map_or(usize::MAX, |(at, _)| at.saturating_add(1));
    minutes.take(upto).flatten().any(|minute| of(minute) == price)
}

/// Whether a minute may hold no trade: then it may count for nothing.
fn is_quiet(minute: &[Truth]) -> bool {
    minute.iter().any(|of| of.count == 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn minute(price: i64, volume: i128, count: u64) -> Truth {
        let (taker_volume, taker_quote_volume) = (0, 0);
        Truth {
            open_time: 0,
            open: price,
            high: price + 1,
            low: price - 1,
            close: price,
            volume,
            quote_volume: volume * i128::from(price),
            taker_volume,
            taker_quote_volume,
            count,
        }
    }

    #[test]
    fn each_value_has_to_be_one_that_some_way_gives() {
        let minutes = [
            vec![minute(50, 10, 2), minute(50, 11, 3)],
            vec![minute(60, 20, 4), minute(60, 19, 4)],
            vec![minute(40, 0, 0), minute(40, 5, 1)],
        ];
        let whole = |volume, count| Truth {
            high: 61,
            close: 60,
            quote_volume: 500 + 1_200,
            ..minute(50, volume, count)
        };
        assert!(may_be(&whole(30, 6), &minutes));
        for odd in [
            whole(28, 6),
            whole(37, 6),
            whole(30, 5),
            Truth { open: 60, ..whole(30, 6) },
            Truth { close: 50, ..whole(30, 6) },
            Truth { high: 62, ..whole(30, 6) },
            Truth { high: 51, ..whole(30, 6) },
            Truth { low: 48, ..whole(30, 6) },
            Truth { taker_volume: 1, ..whole(30, 6) },
        ] {
            assert!(!may_be(&odd, &minutes), "{odd:?}");
        }
        // The last minute may hold a trade.
        assert!(may_be(&Truth { close: 40, low: 39, ..whole(30, 6) }, &minutes));
    }
}
