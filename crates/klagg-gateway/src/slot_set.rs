//! A set of slots, one bit each: what a snapshot changed.
//!
//! Always true here: members come out in the order of the slots, whatever the order in which they
//! were put in. So whoever visits them walks through memory in one direction.

use std::ops::Range;

const BITS: usize = u64::BITS as usize;

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct SlotSet {
    words: Vec<u64>,
}

impl SlotSet {
    /// Empty, with room for `slots_max` slots so that it need never move.
    pub(crate) fn with_room(slots_max: usize) -> Self {
        Self { words: Vec::with_capacity(slots_max.div_ceil(BITS)) }
    }

    /// From now on the first `slots` slots can be members.
    pub(crate) fn grow(&mut self, slots: usize) {
        let words = slots.div_ceil(BITS).max(self.words.len());
        self.words.resize(words, 0);
    }

    pub(crate) fn clear(&mut self) {
        self.words.fill(0);
    }

    #[inline]
    pub(crate) fn insert(&mut self, slot: usize) {
        self.words[slot / BITS] |= 1 << (slot % BITS);
    }

    #[inline]
    pub(crate) fn contains(&self, slot: usize) -> bool {
        self.word(slot / BITS) >> (slot % BITS) & 1 == 1
    }

    /// The slots that are in this set, or in the other one, or in both.
    pub(crate) fn union<'a>(&'a self, other: &'a Self) -> impl Iterator<Item = usize> + 'a {
        let words = 0..self.words.len().max(other.words.len());
        words.flat_map(move |at| members(at, self.word(at) | other.word(at)))
    }

    /// Calls `each` with every longest run of neighbours of which all are in this set and none
    /// is in `other`.
    pub(crate) fn runs_beyond(&self, other: &Self, mut each: impl FnMut(Range<usize>)) {
        let mut run = 0..0;
        for (at, &word) in self.words.iter().enumerate() {
            let mut left = word & !other.word(at);
            while left != 0 {
                let start = at * BITS + left.trailing_zeros() as usize;
                let ones = (left >> left.trailing_zeros()).trailing_ones() as usize;
                if run.end != start {
                    if !run.is_empty() {
                        each(run);
                    }
                    run = start..start;
                }
                run.end = start + ones;
                // All ones below the end of the run; at the end of the word, all ones.
                let done = u64::MAX >> (BITS - 1 - (run.end - 1) % BITS);
                left &= !done;
            }
        }
        if !run.is_empty() {
            each(run);
        }
    }

    #[inline]
    fn word(&self, at: usize) -> u64 {
        self.words.get(at).copied().unwrap_or(0)
    }
}

/// The members that a word stands for.
fn members(at: usize, word: u64) -> impl Iterator<Item = usize> {
    let mut left = word;
    std::iter::from_fn(move || {
        let bit = (left != 0).then(|| left.trailing_zeros() as usize)?;
        left &= left - 1;
        Some(at * BITS + bit)
    })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::collection::btree_set;
    use proptest::prelude::*;

    use super::*;

    fn slot_set(slots: &BTreeSet<usize>) -> SlotSet {
        let mut set = SlotSet::with_room(256);
        for &slot in slots {
            set.grow(slot + 1);
            set.insert(slot);
        }
        set
    }

    /// Slots that lie alone, and stretches of them over the edges of words.
    fn slots() -> impl Strategy<Value = BTreeSet<usize>> {
        (btree_set(0..256_usize, 0..40), 0..200_usize, 0..140_usize).prop_map(
            |(mut alone, start, length)| {
                alone.extend(start..(start + length).min(256));
                alone
            },
        )
    }

    proptest! {
        #[test]
        fn it_holds_what_a_plain_set_holds(one in slots(), other in slots()) {
            let (first, second) = (slot_set(&one), slot_set(&other));
            for slot in 0..300 {
                prop_assert_eq!(first.contains(slot), one.contains(&slot), "{}", slot);
            }
            let union: Vec<_> = one.union(&other).copied().collect();
            prop_assert_eq!(first.union(&second).collect::<Vec<_>>(), union);
        }

        #[test]
        fn runs_are_as_long_as_can_be_and_hold_the_difference(one in slots(), other in slots()) {
            let mut runs = Vec::new();
            slot_set(&one).runs_beyond(&slot_set(&other), |run| runs.push(run));
            let difference: Vec<_> = one.difference(&other).copied().collect();
            prop_assert_eq!(runs.iter().cloned().flatten().collect::<Vec<_>>(), difference);
            for pair in runs.windows(2) {
                prop_assert!(pair[0].end < pair[1].start, "{:?} could be one", pair);
            }
        }
    }

    #[test]
    fn a_cleared_set_is_empty_and_keeps_its_size() {
        let mut set = slot_set(&BTreeSet::from([0, 63, 64, 200]));
        set.clear();
        assert_eq!(set.union(&SlotSet::default()).count(), 0);
        set.insert(200);
        assert!(set.contains(200));
    }
}
