//! The last closed klines of one symbol and one period.

use klagg_kline::{Kline, KlineRecord, KlineStatus, UnixMillis};

/// A closed kline that longer ones are made of.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Child {
    pub(crate) record: KlineRecord,
    /// Provisional only because its feed was interrupted: becomes closed once the next trade's id
    /// shows that none was missed.
    pub(crate) unproven: bool,
}

const _: () = assert!(size_of::<Option<Child>>() == 160);

impl Child {
    pub(crate) const fn settled(record: KlineRecord) -> Self {
        Self { record, unproven: false }
    }

    #[inline]
    pub(crate) const fn open_time(&self) -> UnixMillis {
        self.record.kline.open_time
    }
}

/// A kline about to close. Handed on by reference, and put together only where it is stored: a
/// record built on the stack and copied at once makes each copy wait for its parts.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Closing<'a> {
    pub(crate) kline: &'a Kline,
    pub(crate) revision: u32,
    pub(crate) status: KlineStatus,
    pub(crate) unproven: bool,
    pub(crate) end: UnixMillis,
}

/// Children at places given by their time, counted back from the one that will close next; with
/// holes where none came. The newest takes the place of the oldest: nothing is ever searched for
/// or cleared away, because old children have left the cache and to look at one costs more than a
/// fold.
#[derive(Debug)]
pub(crate) struct Ring {
    places: Box<[Option<Child>]>,
    /// Length of a child's period; of months the mean.
    child_ms: i64,
    /// Open time and place of the child that will close next.
    next_time: UnixMillis,
    next: usize,
    /// Children of every parent that opens here or later are all kept, as far as they were ever
    /// here. Older ones count for nothing.
    pub(crate) floor: UnixMillis,
}

impl Ring {
    pub(crate) fn new(capacity: usize, child_ms: i64, next_time: UnixMillis) -> Self {
        let places = std::iter::repeat_n(None, capacity).collect();
        Self { places, child_ms, next_time, next: 0, floor: next_time }
    }

    /// Adds the child that was to close next, and says which one comes after it.
    #[inline]
    pub(crate) fn push(&mut self, closing: &Closing<'_>) {
        let Closing { kline, revision, status, unproven, end } = *closing;
        debug_assert_eq!(self.next_time, kline.open_time, "children close one after the other");
        let record = KlineRecord { kline: *kline, revision, status };
        self.places[self.next] = Some(Child { record, unproven });
        self.next_time = end;
        self.next += 1;
        if self.next == self.places.len() {
            self.next = 0;
        }
    }

    /// The place of the child that opened at `open_time`, if it can still be there.
    fn place(&self, open_time: UnixMillis) -> Option<usize> {
        let capacity = self.places.len();
        let back = self.next_time.since(open_time);
        // Rounded, for the sake of months.
        let back = usize::try_from(back.checked_add(self.child_ms / 2)? / self.child_ms).ok()?;
        let there = (1..=capacity).contains(&back) && open_time >= self.floor;
        there.then(|| (self.next + capacity - back) % capacity)
    }

    /// Puts a child where it belongs. Whether there is such a place.
    pub(crate) fn insert(&mut self, child: Child) -> bool {
        let place = self.place(child.open_time());
        if let Some(place) = place {
            self.places[place] = Some(child);
        }
        place.is_some()
    }

    pub(crate) fn find(&mut self, open_time: UnixMillis) -> Option<&mut Child> {
        let place = self.place(open_time)?;
        self.places[place].as_mut().filter(|child| child.open_time() == open_time)
    }

    /// All children that count, oldest first.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &Child> {
        let (newer, older) = self.places.split_at(self.next);
        older.iter().chain(newer).flatten().filter(|child| child.open_time() >= self.floor)
    }

    /// All children that count, oldest first.
    pub(crate) fn iter_mut(&mut self) -> impl Iterator<Item = &mut Child> {
        let floor = self.floor;
        let (newer, older) = self.places.split_at_mut(self.next);
        older.iter_mut().chain(newer).flatten().filter(move |child| child.open_time() >= floor)
    }

    /// The children with `from <= open_time < to`.
    pub(crate) fn range(&self, from: UnixMillis, to: UnixMillis) -> impl Iterator<Item = &Child> {
        self.iter().filter(move |child| (from..to).contains(&child.open_time()))
    }
}
