//! Chance from a seed: a small generator, and a hash that answers the same question the same way.
//!
//! The hash is what keeps a fault plan shrinkable: whether a frame is lost depends on the frame,
//! not on how many numbers were drawn before, so that dropping one fault leaves the others alone.

/// How far apart neighbours lie before they are mixed: splitmix64's odd constant.
const STRIDE: u64 = 0x9e37_79b9_7f4a_7c15;

/// The finaliser of splitmix64 (public domain, Vigna).
pub(crate) const fn mix(value: u64) -> u64 {
    let value = value.wrapping_add(STRIDE);
    let value = (value ^ (value >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let value = (value ^ (value >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    value ^ (value >> 31)
}

/// What chance says about `place` under the name `tag`.
pub(crate) const fn at(seed: u64, tag: u64, place: u64) -> u64 {
    mix(mix(seed ^ tag.wrapping_mul(STRIDE)) ^ place)
}

/// A sequence of numbers: splitmix64.
#[derive(Debug, Clone)]
pub(crate) struct Random(u64);

impl Random {
    /// The sequence named `tag` of a seed.
    pub(crate) const fn new(seed: u64, tag: u64) -> Self {
        Self(mix(seed ^ tag.wrapping_mul(STRIDE)))
    }

    pub(crate) const fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(STRIDE);
        mix(self.0)
    }

    /// Uniform in `0..bound`; 0 if `bound` is 0.
    pub(crate) const fn below(&mut self, bound: u64) -> u64 {
        ((self.next() as u128 * bound as u128) >> 64) as u64
    }

    /// Uniform in `least..=most`.
    pub(crate) const fn between(&mut self, least: i64, most: i64) -> i64 {
        debug_assert!(least <= most);
        least + self.below((most - least).unsigned_abs() + 1).cast_signed()
    }

    /// True so often in a thousand.
    pub(crate) const fn per_mille(&mut self, often: u64) -> bool {
        self.below(1_000) < often
    }

    /// One of a list that is not empty.
    pub(crate) const fn pick<'a, T>(&mut self, of: &'a [T]) -> &'a T {
        &of[index(self.below(of.len() as u64))]
    }
}

/// A number that is known to be an index.
#[expect(clippy::cast_possible_truncation, reason = "below a length in memory")]
pub(crate) const fn index(number: u64) -> usize {
    number as usize
}
