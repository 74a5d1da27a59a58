//! Chance that can be asked again: a hash of where one stands, and a small generator.
//!
//! Integers and IEEE basics only, so that a seed means the same on every machine.

/// How far apart neighbours lie before they are mixed: splitmix64's odd constant.
const STRIDE: u64 = 0x9e37_79b9_7f4a_7c15;

/// The finaliser of splitmix64 (public domain, Vigna): every bit of input moves every bit out.
pub(crate) const fn mix(value: u64) -> u64 {
    let value = value.wrapping_add(STRIDE);
    let value = (value ^ (value >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let value = (value ^ (value >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    value ^ (value >> 31)
}

/// The number that chance has put at `index` of the sequence `tag`: what [`Random`] would give
/// there.
pub(crate) const fn at(seed: u64, tag: u64, index: i64) -> u64 {
    let start = seed ^ tag.wrapping_mul(0xd6e8_feb8_6659_fd93);
    mix(start.wrapping_add(index.cast_unsigned().wrapping_mul(STRIDE)))
}

/// A sequence of numbers: splitmix64.
#[derive(Debug, Clone)]
pub(crate) struct Random(u64);

impl Random {
    pub(crate) const fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub(crate) const fn next(&mut self) -> u64 {
        let value = mix(self.0);
        self.0 = self.0.wrapping_add(STRIDE);
        value
    }

    /// Uniform in `0..bound`, as good as a market needs; 0 if `bound` is 0.
    pub(crate) const fn below(&mut self, bound: u64) -> u64 {
        ((self.next() as u128 * bound as u128) >> 64) as u64
    }

    pub(crate) fn chance(&mut self, share: f64) -> bool {
        share > 0.0 && is_within(self.next(), share)
    }
}

/// Whether a number of [`at`] falls in the given share of all.
pub(crate) fn is_within(value: u64, share: f64) -> bool {
    unit(value) < share
}

/// A number of [`at`] as a fraction in `0..1`.
pub(crate) fn unit(value: u64) -> f64 {
    f64::from(u32::try_from(value >> 32).unwrap_or(u32::MAX)) / 4_294_967_296.0
}
