//! A set of stretches of time: what is held of one period of one symbol. Pure.
//!
//! Always true here: stretches are half-open, not empty, ascending, and neither touch nor overlap.

use klagg_kline::UnixMillis;

/// A half-open stretch of time: `from` is in it, `until` is not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Span {
    /// Its first instant.
    pub from: UnixMillis,
    /// The first instant after it.
    pub until: UnixMillis,
}

/// Stretches of time that do not overlap.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Spans {
    spans: Vec<Span>,
}

impl Spans {
    /// No time at all.
    pub const fn new() -> Self {
        Self { spans: Vec::new() }
    }

    /// The stretches, ascending.
    pub fn as_slice(&self) -> &[Span] {
        &self.spans
    }

    /// Adds `[from, until)`; an empty stretch adds nothing.
    pub fn add(&mut self, from: UnixMillis, until: UnixMillis) {
        if from >= until {
            return;
        }
        // Everything that touches the new stretch melts into it.
        let first = self.spans.partition_point(|span| span.until < from);
        let last = self.spans.partition_point(|span| span.from <= until);
        let merged = self.spans[first..last].iter().fold(Span { from, until }, |sum, span| Span {
            from: sum.from.min(span.from),
            until: sum.until.max(span.until),
        });
        self.spans.splice(first..last, [merged]);
        debug_assert!(self.spans.windows(2).all(|pair| pair[0].until < pair[1].from));
    }

    /// Takes `[from, until)` out.
    pub fn remove(&mut self, from: UnixMillis, until: UnixMillis) {
        if from >= until {
            return;
        }
        let first = self.spans.partition_point(|span| span.until <= from);
        let last = self.spans.partition_point(|span| span.from < until);
        let cut = self.spans[first..last].iter();
        let left = cut.flat_map(|span| {
            let (before, after) = (span.until.min(from), span.from.max(until));
            let kept = [(span.from, before), (after, span.until)];
            kept.into_iter().filter(|(from, until)| from < until)
        });
        let left: Vec<Span> = left.map(|(from, until)| Span { from, until }).collect();
        self.spans.splice(first..last, left);
        debug_assert!(self.spans.windows(2).all(|pair| pair[0].until < pair[1].from));
    }

    /// Whether all of `[from, until)` is held.
    pub fn covers(&self, from: UnixMillis, until: UnixMillis) -> bool {
        let at = self.spans.partition_point(|span| span.until < until);
        from >= until || self.spans.get(at).is_some_and(|span| span.from <= from)
    }

    /// What is not held of `[from, until)`, ascending.
    pub fn missing(&self, from: UnixMillis, until: UnixMillis) -> Vec<Span> {
        let mut missing = Vec::new();
        let mut at = from;
        let first = self.spans.partition_point(|span| span.until <= from);
        for span in &self.spans[first..] {
            if span.from >= until {
                break;
            }
            if at < span.from {
                missing.push(Span { from: at, until: span.from });
            }
            at = at.max(span.until);
        }
        if at < until {
            missing.push(Span { from: at, until });
        }
        missing
    }

    /// The end of the stretch that holds `from`, or `from` itself.
    pub fn run_until(&self, from: UnixMillis) -> UnixMillis {
        let at = self.spans.partition_point(|span| span.until <= from);
        match self.spans.get(at) {
            Some(span) if span.from <= from => span.until,
            _ => from,
        }
    }

    /// Where the first stretch begins.
    pub fn first(&self) -> Option<UnixMillis> {
        self.spans.first().map(|span| span.from)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(128))]

        #[test]
        fn spans_behave_like_a_set_of_instants(
            stretches in prop::collection::vec(
                (0_i64..40, 0_i64..12, prop::bool::weighted(0.7)),
                0..16,
            ),
            from in 0_i64..45,
            length in 0_i64..45,
        ) {
            let mut spans = Spans::new();
            let mut held = [false; 100];
            for &(start, length, adds) in &stretches {
                let (from, until) = (UnixMillis(start), UnixMillis(start + length));
                if adds { spans.add(from, until) } else { spans.remove(from, until) }
                for at in start..start + length {
                    held[usize::try_from(at).unwrap()] = adds;
                }
            }
            let holds = |at: i64| held[usize::try_from(at).unwrap()];
            let until = from + length;
            let covers = spans.covers(UnixMillis(from), UnixMillis(until));
            prop_assert_eq!(covers, (from..until).all(holds));
            let missing = spans.missing(UnixMillis(from), UnixMillis(until));
            for at in from..until {
                let inside = missing.iter().any(|span| span.from.0 <= at && at < span.until.0);
                prop_assert_eq!(inside, !holds(at), "at {}", at);
            }
            for span in &missing {
                prop_assert!(span.from < span.until);
                prop_assert!(from <= span.from.0 && span.until.0 <= until);
            }
            let run = spans.run_until(UnixMillis(from)).0;
            prop_assert!((from..run).all(holds) && !holds(run));
        }
    }
}
