//! How busy a symbol is: how many aggregates it has had until a given minute, in closed form.
//!
//! Activity is split in halves, level by level, from blocks of 1,024 minutes down to the minute,
//! unevenly by chance. So every minute has a known place in the count, without walking there,
//! and bursts and silences come by themselves, as they do in markets.

use crate::random::at;

const LEVELS: u32 = 10;
const BLOCK: i64 = 1 << LEVELS;
/// The activity of one minute on average, in 32.32 fixed point.
const UNIT: u64 = 1 << 32;
const TAG: u64 = 0x00ac;

/// Half the width of the uneven split at each level, of 65,536: gentle over hours, wild within
/// minutes.
const UNEVENNESS: [u64; LEVELS as usize] =
    [4_000, 6_000, 8_000, 10_000, 12_000, 14_000, 16_000, 18_000, 20_000, 22_000];

/// Whether a symbol has minutes without any trade.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Silences {
    /// Now and then.
    Some,
    /// Hardly ever: as with the heaviest symbols, whose silence would mean a broken line.
    None,
}

impl Silences {
    /// What suits a symbol with so many aggregates a minute on average (32.32).
    pub(crate) const fn of(rate: u64) -> Self {
        if rate >= HEAVY_RATE { Self::None } else { Self::Some }
    }
}

/// One aggregate a second, in 32.32 a minute.
const HEAVY_RATE: u64 = 60 << 32;

/// The way down to one minute, and from there to the next ones: neighbours share most of it.
#[derive(Debug, Clone)]
pub(crate) struct ActivityWalk {
    seed: u64,
    silences: Silences,
    minute: i64,
    /// At each level, the activity before the part that holds the minute, and in it.
    until: [u64; LEVELS as usize + 1],
    whole: [u64; LEVELS as usize + 1],
}

impl ActivityWalk {
    pub(crate) fn to(seed: u64, silences: Silences, minute: i64) -> Self {
        let until = [0; LEVELS as usize + 1];
        let mut walk = Self { seed, silences, minute, until, whole: until };
        walk.descend(0);
        walk
    }

    /// Goes on to the next minute.
    pub(crate) fn advance(&mut self) {
        self.minute += 1;
        // Only the levels below the lowest turn that stays the same are new.
        let same = LEVELS.saturating_sub(self.minute.rem_euclid(BLOCK).trailing_zeros() + 1);
        self.descend(if self.minute.rem_euclid(BLOCK) == 0 { 0 } else { same });
    }

    /// Activity from 1970 until the start of the minute, in 32.32 fixed point.
    fn until(&self) -> u64 {
        self.until[LEVELS as usize]
    }

    /// Aggregates from 1970 until the start of the minute, if `rate` come a minute (32.32).
    pub(crate) fn aggregates(&self, rate: u64) -> i64 {
        let product = u128::from(self.until()) * u128::from(rate);
        i64::try_from(product >> 64).unwrap_or(i64::MAX)
    }

    fn descend(&mut self, from: u32) {
        let block = self.minute.div_euclid(BLOCK);
        let within = self.minute.rem_euclid(BLOCK);
        if from == 0 {
            self.whole[0] = BLOCK.unsigned_abs() * UNIT;
            self.until[0] = block.max(0).unsigned_abs() * self.whole[0];
        }
        for level in from..LEVELS {
            let (here, below) = (level as usize, level as usize + 1);
            let path = 1 << level | within >> (LEVELS - level);
            let number = at(self.seed, TAG, (block << (LEVELS + 1)) | path);
            let left = (self.whole[here] >> 16) * left_share(number, self.silences, level);
            let in_right_half = within >> (LEVELS - 1 - level) & 1 == 1;
            self.until[below] = self.until[here] + if in_right_half { left } else { 0 };
            self.whole[below] = if in_right_half { self.whole[here] - left } else { left };
        }
    }
}

/// How much falls into the left half, of 65,536.
fn left_share(number: u64, silences: Silences, level: u32) -> u64 {
    // Now and then all of it falls into one half: the other one is silent.
    let silent = silences == Silences::Some && number.trailing_zeros() >= 5;
    if level + 3 >= LEVELS && silent {
        return if number & 0x20 == 0 { 0 } else { 65_536 };
    }
    let width = UNEVENNESS[level as usize];
    32_768 - width + (((number >> 32) * 2 * width) >> 32)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_count_never_falls_and_keeps_its_average() {
        let minute = 29_800_000;
        let rate = 5 << 32;
        let mut walk = ActivityWalk::to(7, Silences::Some, minute);
        let mut before = walk.aggregates(rate);
        let first = before;
        let mut silent = 0;
        for ahead in 1..=10 * BLOCK {
            walk.advance();
            let count = walk.aggregates(rate);
            assert!(count >= before, "minute {ahead}");
            assert_eq!(count, ActivityWalk::to(7, Silences::Some, minute + ahead).aggregates(rate));
            silent += i32::from(count == before);
            before = count;
        }
        let mean = (before - first) / (10 * BLOCK);
        assert!((4..=6).contains(&mean), "{mean}");
        assert!(silent > 100, "only {silent} of 10240 minutes are silent");
    }

    #[test]
    fn a_heavy_symbol_is_never_silent_for_a_minute() {
        let (minute, rate) = (29_800_000, 60 << 32);
        let mut walk = ActivityWalk::to(7, Silences::of(rate), minute);
        for ahead in 0..10 * BLOCK {
            let before = walk.aggregates(rate);
            walk.advance();
            assert!(walk.aggregates(rate) > before, "minute {ahead} is silent");
        }
    }
}
