//! The periods that one pipeline folds, and which is made from which.

use crate::Period;

/// A set of periods, shortest first, always with `1m`, each longer one made from the longest
/// shorter one that nests in it.
///
/// # Examples
///
/// ```
/// use klagg_kline::{Period, PeriodSet};
///
/// let periods = PeriodSet::new(&[Period::H1, Period::M1, Period::D1])?;
/// assert_eq!(periods.index_of(Period::D1), Some(2));
/// assert_eq!(periods.source(2), Some(1), "1d is merged from 1h");
/// assert_eq!(periods.source(0), None, "1m is folded from trades");
/// # Ok::<(), klagg_kline::PeriodSetError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PeriodSet {
    periods: Vec<Period>,
    sources: Vec<Option<usize>>,
}

/// Why a list of periods is no [`PeriodSet`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PeriodSetError {
    /// Every other period is made from `1m`.
    #[error("the periods must include 1m, from which all others are made")]
    WithoutMinute,
    /// A period stands twice.
    #[error("period {0} is listed twice")]
    Duplicate(Period),
}

impl PeriodSet {
    /// A set from periods in any order.
    ///
    /// # Errors
    /// [`PeriodSetError`] if `1m` is missing or a period stands twice.
    pub fn new(periods: &[Period]) -> Result<Self, PeriodSetError> {
        let mut periods = periods.to_vec();
        periods.sort_unstable();
        if let Some(pair) = periods.windows(2).find(|pair| pair[0] == pair[1]) {
            return Err(PeriodSetError::Duplicate(pair[0]));
        }
        if periods.first() != Some(&Period::M1) {
            return Err(PeriodSetError::WithoutMinute);
        }
        let sources = (0..periods.len())
            .map(|at| (0..at).rev().find(|&shorter| periods[shorter].nests_in(periods[at])))
            .collect();
        Ok(Self { periods, sources })
    }

    /// How many periods; at least one.
    #[expect(clippy::len_without_is_empty, reason = "a set always holds 1m")]
    pub fn len(&self) -> usize {
        self.periods.len()
    }

    /// The periods, shortest first.
    pub fn as_slice(&self) -> &[Period] {
        &self.periods
    }

    /// The period at `index`.
    ///
    /// # Panics
    /// If `index` is not below [`PeriodSet::len`].
    pub fn get(&self, index: usize) -> Period {
        self.periods[index]
    }

    /// Where `period` stands, if it is in the set.
    pub fn index_of(&self, period: Period) -> Option<usize> {
        self.periods.iter().position(|&held| held == period)
    }

    /// The index of the period from which the one at `index` is merged; `None` for `1m`.
    ///
    /// # Panics
    /// If `index` is not below [`PeriodSet::len`].
    pub fn source(&self, index: usize) -> Option<usize> {
        self.sources[index]
    }
}

/// The six of [`Period::DEFAULT`].
impl Default for PeriodSet {
    fn default() -> Self {
        Self::new(&Period::DEFAULT).expect("the default periods are distinct and hold 1m")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_longer_period_has_a_source() {
        let all = PeriodSet::new(&Period::ALL).unwrap();
        let source = |period| all.source(all.index_of(period).unwrap()).map(|at| all.get(at));
        assert_eq!(source(Period::M1), None);
        assert_eq!(source(Period::M5), Some(Period::M1), "3m does not divide 5m");
        assert_eq!(source(Period::H8), Some(Period::H4), "6h does not divide 8h");
        assert_eq!(source(Period::W1), Some(Period::D1));
        assert_eq!(source(Period::Mo1), Some(Period::D1));
        assert!((1..all.len()).all(|at| all.source(at).is_some()));
    }

    #[test]
    fn a_set_without_the_minute_or_with_a_double_is_refused() {
        assert_eq!(PeriodSet::new(&[Period::M5]), Err(PeriodSetError::WithoutMinute));
        assert_eq!(PeriodSet::new(&[]), Err(PeriodSetError::WithoutMinute));
        assert_eq!(
            PeriodSet::new(&[Period::M1, Period::M1]),
            Err(PeriodSetError::Duplicate(Period::M1))
        );
    }
}
