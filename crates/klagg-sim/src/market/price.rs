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

/// The price of one symbol, minute after minute.
#[derive(Debug, Clone)]
pub(crate) struct PriceWalk {
    seed: u64,
    base_ticks: i64,
    volatility: f64,
    cells: [Cell; NOISES.len()],
}

/// A stretch between two random values.
#[derive(Debug, Clone, Copy)]
struct Cell {
    number: i64,
    from: f64,
    to: f64,
}

impl PriceWalk {
    pub(crate) fn new(seed: u64, base_ticks: i64, volatility: f64) -> Self {
        let cells = [Cell { number: i64::MIN, from: 0.0, to: 0.0 }; NOISES.len()];
        Self { seed, base_ticks, volatility, cells }
    }

    /// The price at the start of `minute`, in ticks, at least 10. Any minute; neighbours are
    /// cheap.
    pub(crate) fn ticks_at(&mut self, minute: i64) -> i64 {
        let mut factor = 1.0;
        let noises = (TAG..).zip(NOISES).zip(&mut self.cells);
        for ((tag, (length, amplitude)), cell) in noises {
            let number = minute.div_euclid(length);
            if cell.number != number {
                let value = |number| 2.0 * unit(at(self.seed, tag, number)) - 1.0;
                *cell = Cell { number, from: value(number), to: value(number + 1) };
            }
            let along = small(minute - number * length) / small(length);
            let smooth = along * along * (3.0 - 2.0 * along);
            factor += self.volatility * amplitude * (cell.from + (cell.to - cell.from) * smooth);
        }
        scale(self.base_ticks, factor).max(10)
    }
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
        let mut walk = PriceWalk::new(1, 824_187, 1.0);
        for minute in 29_800_000..29_802_000 {
            let from = walk.ticks_at(minute);
            let to = walk.ticks_at(minute + 1);
            assert!((from - to).abs() < from / 100, "{from} to {to}");
            assert_eq!(to, PriceWalk::new(1, 824_187, 1.0).ticks_at(minute + 1));
            moved += i32::from(from != to);
        }
        assert!(moved > 1_900);
    }
}
