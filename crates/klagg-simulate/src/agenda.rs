//! What is to happen, in the order of time; of what happens at once, in the order of asking.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

/// Milliseconds of the simulated world's own time, which is the exchange's.
pub(crate) type Millis = i64;

#[derive(Debug)]
struct Entry<E> {
    at: Millis,
    sequence: u64,
    event: E,
}

impl<E> Entry<E> {
    const fn key(&self) -> (Millis, u64) {
        (self.at, self.sequence)
    }
}

impl<E> PartialEq for Entry<E> {
    fn eq(&self, other: &Self) -> bool {
        self.key() == other.key()
    }
}

impl<E> Eq for Entry<E> {}

impl<E> PartialOrd for Entry<E> {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl<E> Ord for Entry<E> {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.key().cmp(&other.key())
    }
}

/// A heap keyed by time, then by the order of insertion.
#[derive(Debug)]
pub(crate) struct Agenda<E> {
    heap: BinaryHeap<Reverse<Entry<E>>>,
    sequence: u64,
}

impl<E> Agenda<E> {
    pub(crate) const fn new() -> Self {
        Self { heap: BinaryHeap::new(), sequence: 0 }
    }

    pub(crate) fn add(&mut self, at: Millis, event: E) {
        self.heap.push(Reverse(Entry { at, sequence: self.sequence, event }));
        self.sequence += 1;
    }

    /// Takes the next event out.
    pub(crate) fn next(&mut self) -> Option<(Millis, E)> {
        self.heap.pop().map(|Reverse(entry)| (entry.at, entry.event))
    }
}

/// The one event of its kind that is planned, so that a deadline that moves with every frame does
/// not fill the heap.
#[derive(Debug, Default)]
pub(crate) struct Alarm {
    at: Option<Millis>,
}

impl Alarm {
    /// Whether an event is to be planned at `at`: not if an earlier one will look again.
    pub(crate) fn set(&mut self, at: Millis) -> bool {
        let is_needed = self.at.is_none_or(|planned| at < planned);
        if is_needed {
            self.at = Some(at);
        }
        is_needed
    }

    /// An event has come.
    pub(crate) fn rang(&mut self, now: Millis) {
        self.at.take_if(|at| *at <= now);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_happens_at_once_happens_in_the_order_of_asking() {
        let mut agenda = Agenda::new();
        for (at, event) in [(5, 'c'), (3, 'a'), (5, 'd'), (3, 'b')] {
            agenda.add(at, event);
        }
        let order: Vec<_> = std::iter::from_fn(|| agenda.next()).collect();
        assert_eq!(order, [(3, 'a'), (3, 'b'), (5, 'c'), (5, 'd')]);
    }
}
