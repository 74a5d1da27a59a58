//! The last closed klines of one symbol and one period, in the order of time.

use std::collections::VecDeque;

use klagg_kline::{KlineRecord, UnixMillis};

/// A closed kline that longer ones are made of.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Child {
    pub(crate) record: KlineRecord,
    /// Provisional only because its feed was interrupted: becomes closed once the next trade's id
    /// shows that none was missed.
    pub(crate) unproven: bool,
}

impl Child {
    pub(crate) const fn settled(record: KlineRecord) -> Self {
        Self { record, unproven: false }
    }

    #[inline]
    pub(crate) const fn open_time(&self) -> UnixMillis {
        self.record.kline.open_time
    }
}

/// Children, ascending by open time, perhaps with holes.
#[derive(Debug, Default)]
pub(crate) struct Ring {
    children: VecDeque<Child>,
    /// Children of every parent that opens here or later are all kept, as far as they were ever
    /// here. Older ones go.
    pub(crate) floor: UnixMillis,
}

impl Ring {
    pub(crate) const fn new(floor: UnixMillis) -> Self {
        Self { children: VecDeque::new(), floor }
    }

    /// Adds the newest child and drops those that opened before `keep_from`.
    #[inline]
    pub(crate) fn push(&mut self, child: &Child, keep_from: UnixMillis) {
        self.drop_before(keep_from);
        debug_assert!(self.newest().is_none_or(|newest| newest.open_time() < child.open_time()));
        self.children.push_back(*child);
    }

    #[inline]
    pub(crate) fn drop_before(&mut self, keep_from: UnixMillis) {
        while self.children.front().is_some_and(|child| child.open_time() < keep_from) {
            self.children.pop_front();
        }
    }

    /// Adds a child where it belongs. The caller has seen that it is not there.
    pub(crate) fn insert(&mut self, child: Child) {
        let at = self.lower_bound(child.open_time());
        self.children.insert(at, child);
    }

    pub(crate) fn newest(&self) -> Option<&Child> {
        self.children.back()
    }

    pub(crate) fn find(&mut self, open_time: UnixMillis) -> Option<&mut Child> {
        let at = self.lower_bound(open_time);
        self.children.get_mut(at).filter(|child| child.open_time() == open_time)
    }

    /// The children with `from <= open_time < to`.
    pub(crate) fn range(
        &self,
        from: UnixMillis,
        to: UnixMillis,
    ) -> impl Iterator<Item = &Child> + Clone {
        self.children.range(self.lower_bound(from)..self.lower_bound(to))
    }

    /// The children that open at or after `from`.
    pub(crate) fn since(&mut self, from: UnixMillis) -> impl Iterator<Item = &mut Child> {
        let at = self.lower_bound(from);
        self.children.range_mut(at..)
    }

    fn lower_bound(&self, open_time: UnixMillis) -> usize {
        self.children.partition_point(|child| child.open_time() < open_time)
    }
}
