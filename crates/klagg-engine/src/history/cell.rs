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

use super::atomics::{AtomicU64, Ordering, fence, spin_loop, yield_now};

/// Tries before a reader lets other threads run: the writer may have lost its core mid-change.
const SPINS_MAX: u32 = 64;

/// A row of cells of `width` words each, every one with its own sequence number.
#[derive(Debug)]
pub(crate) struct Cells {
    /// For each cell its sequence number, then its words.
    words: Box<[AtomicU64]>,
    width: usize,
}

impl Cells {
    /// Cells full of zeros, with sequence 0.
    pub(crate) fn new(count: usize, width: usize) -> Self {
        let words = (0..count * (width + 1)).map(|_| AtomicU64::new(0)).collect();
        Self { words, width }
    }

    /// Bytes held.
    pub(crate) fn bytes(&self) -> usize {
        size_of_val(&*self.words)
    }

    #[inline]
    fn cell(&self, at: usize) -> (&AtomicU64, &[AtomicU64]) {
        let start = at * (self.width + 1);
        let cell = &self.words[start..=start + self.width];
        (&cell[0], &cell[1..])
    }

    /// Replaces the words of cell `at`. To be called by the only writer.
    pub(crate) fn write(&self, at: usize, words: &[u64]) {
        let (sequence, cells) = self.cell(at);
        debug_assert_eq!(words.len(), cells.len());
        // Relaxed: this thread stored it.
        let before = sequence.load(Ordering::Relaxed);
        debug_assert!(before.is_multiple_of(2), "two writers");
        sequence.store(before.wrapping_add(1), Ordering::Relaxed);
        fence(Ordering::Release);
        for (cell, &word) in cells.iter().zip(words) {
            cell.store(word, Ordering::Relaxed);
        }
        sequence.store(before.wrapping_add(2), Ordering::Release);
    }

    /// Copies the words of cell `at` out, whole. `false` if it was never written.
    pub(crate) fn read(&self, at: usize, words: &mut [u64]) -> bool {
        let (sequence, cells) = self.cell(at);
        debug_assert_eq!(words.len(), cells.len());
        let mut tries = 0;
        loop {
            let before = sequence.load(Ordering::Acquire);
            if before.is_multiple_of(2) {
                for (word, cell) in words.iter_mut().zip(cells) {
                    *word = cell.load(Ordering::Relaxed);
                }
                fence(Ordering::Acquire);
                if sequence.load(Ordering::Relaxed) == before {
                    return before != 0;
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
        let cells = Cells::new(2, 3);
        let mut words = [9; 3];
        assert!(!cells.read(1, &mut words));
        cells.write(1, &[1, 2, 3]);
        assert!(cells.read(1, &mut words));
        assert_eq!(words, [1, 2, 3]);
        assert!(!cells.read(0, &mut words));
    }

    #[test]
    fn a_reader_beside_a_writer_sees_whole_cells_only() {
        let cells = Cells::new(2, 8);
        let done = AtomicBool::new(false);
        std::thread::scope(|scope| {
            let reader = || {
                let (mut words, mut last) = ([0; 8], 0);
                while !done.load(Ordering::Relaxed) {
                    if cells.read(1, &mut words) {
                        assert!(words.iter().all(|&word| word == words[0]), "torn: {words:?}");
                        assert!(words[0] >= last, "back in time: {} after {last}", words[0]);
                        last = words[0];
                    }
                }
            };
            scope.spawn(reader);
            scope.spawn(reader);
            for value in 1..200_000 {
                cells.write(1, &[value; 8]);
            }
            done.store(true, Ordering::Relaxed);
        });
    }
}
