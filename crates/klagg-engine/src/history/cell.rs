//! The seqlock: words that change together, read whole or not at all, without a lock.
//!
//! One writer, any number of readers, safe Rust only: every word is atomic, so a torn read is a
//! wrong value and never undefined, and the sequence number unmasks it.
//!
//! The sequence is even while the words are whole and odd while they change. Why the orderings
//! are what they are:
//!
//! - *Writer*: stores the odd number relaxed, then a release fence, then the words relaxed, then
//!   the even number with release.
//!   - The fence stands between the odd number and the words: a reader that sees any new word and
//!     then passes its own acquire fence must see the odd number, or a later one. Without the
//!     fence, the words could become visible first, and a reader could take new words between
//!     two loads of the old even number.
//!   - The release of the even number carries the words: a reader that loads it with acquire sees
//!     them all. Relaxed, it could be seen before them.
//! - *Reader*: loads the number with acquire, the words relaxed, then an acquire fence, then the
//!   number again relaxed. Equal and even both times: the words are those of that number.
//!   - The acquire of the first load pairs with the writer's last store.
//!   - The fence pairs with the writer's fence through any word read in between, and keeps the
//!     words from being loaded after the second load of the number.
//!
//! A reader that meets a change under way tries again. It cannot delay the writer; the writer
//! delays it only for the few stores of one change.

use super::atomics::{self, AtomicU64, Ordering, Site, fence_at, spin_loop, yield_now};

/// Tries before a reader lets other threads run: the writer may have lost its core mid-change.
const SPINS_MAX: u32 = 64;

/// A row of cells of `WORDS` words each, every one with its own sequence number.
///
/// The width is known when compiled, so that reading a cell is a row of loads and not a loop.
#[derive(Debug)]
pub(crate) struct Cells<const WORDS: usize> {
    cells: Box<[Cell<WORDS>]>,
}

#[derive(Debug)]
struct Cell<const WORDS: usize> {
    sequence: AtomicU64,
    words: [AtomicU64; WORDS],
}

impl<const WORDS: usize> Cells<WORDS> {
    /// Cells full of zeros, with sequence 0.
    pub(crate) fn new(count: usize) -> Self {
        let zero = |_| AtomicU64::new(0);
        let cell = |_| Cell { sequence: AtomicU64::new(0), words: std::array::from_fn(zero) };
        Self { cells: (0..count).map(cell).collect() }
    }

    /// Bytes held.
    pub(crate) fn bytes(&self) -> usize {
        size_of_val(&*self.cells)
    }

    /// Replaces the words of cell `at`. To be called by the only writer.
    pub(crate) fn write(&self, at: usize, words: &[u64; WORDS]) {
        let Cell { sequence, words: cells } = &self.cells[at];
        // Relaxed: this thread stored it.
        let before = sequence.load(Ordering::Relaxed);
        debug_assert!(before.is_multiple_of(2), "two writers");
        sequence.store(before.wrapping_add(1), Ordering::Relaxed);
        fence_at(Site::WriteFence, Ordering::Release);
        for (cell, &word) in cells.iter().zip(words) {
            cell.store(word, Ordering::Relaxed);
        }
        sequence.store(before.wrapping_add(2), atomics::at(Site::WriteEven, Ordering::Release));
    }

    /// The words of cell `at`, whole; `None` if it was never written.
    #[inline]
    pub(crate) fn read(&self, at: usize) -> Option<[u64; WORDS]> {
        self.cells[at].read()
    }

    /// The cells from `at` on, `count` of them, each as [`Cells::read`] gives it.
    #[inline]
    pub(crate) fn run(
        &self,
        at: usize,
        count: usize,
    ) -> impl ExactSizeIterator<Item = Option<[u64; WORDS]>> {
        self.cells[at..at + count].iter().map(Cell::read)
    }
}

impl<const WORDS: usize> Cell<WORDS> {
    #[inline]
    fn read(&self) -> Option<[u64; WORDS]> {
        let mut tries = 0;
        loop {
            let before = self.sequence.load(atomics::at(Site::ReadFirst, Ordering::Acquire));
            if before.is_multiple_of(2) {
                let words = std::array::from_fn(|at| self.words[at].load(Ordering::Relaxed));
                fence_at(Site::ReadFence, Ordering::Acquire);
                if self.sequence.load(Ordering::Relaxed) == before {
                    return (before != 0).then_some(words);
                }
            }
            tries += 1;
            if tries < SPINS_MAX {
                spin_loop();
            } else {
                yield_now();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicBool;

    use super::*;

    #[test]
    fn a_cell_never_written_holds_nothing() {
        let cells = Cells::new(2);
        assert_eq!(cells.read(1), None);
        cells.write(1, &[1, 2, 3]);
        assert_eq!(cells.read(1), Some([1, 2, 3]));
        assert_eq!(cells.read(0), None);
        assert!(cells.run(0, 2).eq([None, Some([1, 2, 3])]));
    }

    #[test]
    fn a_reader_beside_a_writer_sees_whole_cells_only() {
        let cells = Cells::<8>::new(2);
        let done = AtomicBool::new(false);
        std::thread::scope(|scope| {
            let reader = || {
                let mut last = 0;
                while !done.load(Ordering::Relaxed) {
                    if let Some(words) = cells.read(1) {
                        assert!(words.iter().all(|&word| word == words[0]), "torn: {words:?}");
                        assert!(words[0] >= last, "back in time: {} after {last}", words[0]);
                        last = words[0];
                    }
                }
            };
            scope.spawn(reader);
            scope.spawn(reader);
            // Interpreted, a write takes as long as thousands of them.
            let writes = if cfg!(miri) { 300 } else { 200_000 };
            for value in 1..writes {
                cells.write(1, &[value; 8]);
            }
            done.store(true, Ordering::Relaxed);
        });
    }
}
