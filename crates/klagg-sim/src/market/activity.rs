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

/// Activity from 1970 until the start of `minute`, in 32.32 fixed point.
fn activity_until(seed: u64, minute: i64) -> u64 {
    let block = minute.div_euclid(BLOCK);
    let within = minute.rem_euclid(BLOCK);
    let mut whole = BLOCK.unsigned_abs() * UNIT;
    let mut until = block.max(0).unsigned_abs() * whole;
    let mut path = 1_i64;
    for level in 0..LEVELS {
        let number = at(seed, TAG, (block << (LEVELS + 1)) | path);
        let width = UNEVENNESS[level as usize];
        let mut left_share = 32_768 - width + (number >> 16) % (2 * width);
        // Now and then all of it falls into one half: the other one is silent.
        if level + 3 >= LEVELS && number & 0x1f == 0 {
            left_share = if number & 0x20 == 0 { 0 } else { 65_536 };
        }
        let left = (whole >> 16) * left_share;
        let in_right_half = within >> (LEVELS - 1 - level) & 1;
        if in_right_half == 1 {
            until += left;
            whole -= left;
        } else {
            whole = left;
        }
        path = path << 1 | in_right_half;
    }
    until
}

/// Aggregates from 1970 until the start of `minute`, if `rate` come a minute (32.32).
pub(crate) fn aggregates_until(seed: u64, rate: u64, minute: i64) -> i64 {
    let product = u128::from(activity_until(seed, minute)) * u128::from(rate);
    i64::try_from(product >> 64).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_count_never_falls_and_keeps_its_average() {
        let minute = 29_800_000;
        let rate = 5 << 32;
        let mut before = aggregates_until(7, rate, minute);
        let first = before;
        let mut silent = 0;
        for ahead in 1..=10 * BLOCK {
            let count = aggregates_until(7, rate, minute + ahead);
            assert!(count >= before, "minute {ahead}");
            silent += i32::from(count == before);
            before = count;
        }
        let mean = (before - first) / (10 * BLOCK);
        assert!((4..=6).contains(&mean), "{mean}");
        assert!(silent > 100, "only {silent} of 10240 minutes are silent");
    }
}
