//! Where a symbol's price stands at the start of a minute, in closed form.
//!
//! A sum of smooth noises, from a month down to two minutes: looks like a chart, needs no walk.

use crate::random::{at, unit};

/// Length in minutes and amplitude of each noise.
const NOISES: [(i64, f64); 7] = [
    (40_320, 0.22),
    (5_760, 0.08),
    (960, 0.03),
    (180, 0.012),
    (40, 0.005),
    (9, 0.0022),
    (2, 0.0009),
];
const TAG: u64 = 0x9e1c;

/// The price at the start of `minute`, in ticks, at least 10.
pub(crate) fn ticks_at(seed: u64, base_ticks: i64, volatility: f64, minute: i64) -> i64 {
    let mut factor = 1.0;
    for (tag, (length, amplitude)) in (TAG..).zip(NOISES) {
        let cell = minute.div_euclid(length);
        let within = minute.rem_euclid(length);
        let from = 2.0 * unit(at(seed, tag, cell)) - 1.0;
        let to = 2.0 * unit(at(seed, tag, cell + 1)) - 1.0;
        let along = small(within) / small(length);
        let smooth = along * along * (3.0 - 2.0 * along);
        factor += volatility * amplitude * (from + (to - from) * smooth);
    }
    scale(base_ticks, factor).max(10)
}

/// `base` times a factor near 1, rounded down.
#[expect(clippy::cast_possible_truncation, reason = "ticks stay far below 2^53")]
#[expect(clippy::cast_precision_loss, reason = "ticks stay far below 2^53")]
pub(crate) fn scale(base: i64, factor: f64) -> i64 {
    (base as f64 * factor) as i64
}

/// An integer of a few digits as a double.
fn small(value: i64) -> f64 {
    f64::from(i32::try_from(value).unwrap_or(i32::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_price_moves_but_not_far_in_a_minute() {
        let mut moved = 0;
        for minute in 29_800_000..29_802_000 {
            let from = ticks_at(1, 824_187, 1.0, minute);
            let to = ticks_at(1, 824_187, 1.0, minute + 1);
            assert!((from - to).abs() < from / 100, "{from} to {to}");
            moved += i32::from(from != to);
        }
        assert!(moved > 1_900);
    }
}
