//! Which of some fills a minute lacks, if so many of so much volume are missing in all.

/// Steps of a search at most.
const STEPS_MAX: usize = 1 << 20;

/// A search among fills, the largest first.
pub(super) struct Lacking<F> {
    /// Each with its quantity.
    fills: Vec<(usize, i128)>,
    /// Whether it is those that are missing.
    is_it: F,
    taken: Vec<usize>,
    steps: usize,
}

impl<F: Fn(&[usize]) -> bool> Lacking<F> {
    pub(super) fn among(fills: impl Iterator<Item = (usize, i128)>, is_it: F) -> Self {
        let mut fills: Vec<_> = fills.collect();
        fills.sort_by_key(|&(at, quantity)| (std::cmp::Reverse(quantity), at));
        Self { fills, is_it, taken: Vec::new(), steps: 0 }
    }

    /// Whether `count` of them that are `volume` in all are the ones. `false` as well if the steps
    /// did not suffice.
    pub(super) fn are(&mut self, count: usize, volume: i128) -> bool {
        self.look((0, count), volume)
    }

    fn look(&mut self, (from, count): (usize, usize), volume: i128) -> bool {
        if count == 0 {
            return volume == 0 && (self.is_it)(&self.taken);
        }
        self.steps += 1;
        let left = &self.fills[from..];
        if self.steps > STEPS_MAX || left.len() < count {
            return false;
        }
        let sum = |of: &[(usize, i128)]| of.iter().map(|&(_, quantity)| quantity).sum::<i128>();
        let (most, least) = (sum(&left[..count]), sum(&left[left.len() - count..]));
        if volume > most || volume < least {
            return false;
        }
        let (at, quantity) = left[0];
        self.taken.push(at);
        if self.look((from + 1, count - 1), volume - quantity) {
            return true;
        }
        self.taken.pop();
        self.look((from + 1, count), volume)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What the search tries, for fills of 1, 2, 4, ... up to 64, but two of 4.
    fn tried(count: usize, volume: i128) -> Vec<Vec<usize>> {
        let fills = [1, 2, 4, 4, 8, 16, 32, 64].into_iter().enumerate();
        let tried = std::cell::RefCell::new(Vec::new());
        let mut search = Lacking::among(fills, |of| {
            tried.borrow_mut().push(of.to_vec());
            false
        });
        assert!(!search.are(count, volume));
        tried.into_inner()
    }

    #[test]
    fn all_that_are_so_many_and_of_so_much_are_tried_and_nothing_else() {
        assert_eq!(tried(0, 0), [Vec::<usize>::new()], "nothing is missing");
        assert!(tried(0, 1).is_empty());
        assert_eq!(tried(1, 8), [[4]]);
        assert_eq!(tried(2, 8), [[2, 3]]);
        assert_eq!(tried(2, 68), [[7, 2], [7, 3]]);
        assert!(tried(3, 1_000).is_empty());
        assert!(tried(9, 131).is_empty());
    }

    #[test]
    fn one_of_many_is_found() {
        let fills = (0..200).map(|at| (at, 1_000 + i128::try_from(at).unwrap_or(0)));
        assert!(Lacking::among(fills, |of| of == [77]).are(1, 1_077));
    }
}
