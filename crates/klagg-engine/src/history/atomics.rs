//! The atomics of the history, from one place, so that a model checker's can stand in for them.
//!
//! `cargo xtask loom` does that: then every load may return any value that the orderings allow,
//! and every order of the threads' steps is tried (see `models`). It also takes the orderings
//! away again, a few at a time, and demands that a model fails: each [`Site`] names one.

#[cfg(all(test, loom))]
pub(super) use loom::{
    hint::spin_loop,
    sync::atomic::{AtomicI64, AtomicU64, AtomicUsize, Ordering, fence},
    thread::yield_now,
};
#[cfg(not(all(test, loom)))]
pub(super) use std::{
    hint::spin_loop,
    sync::atomic::{AtomicI64, AtomicU64, AtomicUsize, Ordering, fence},
    thread::yield_now,
};

/// A place where an ordering is needed, or at least meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Site {
    /// The fence between a cell's odd number and its words.
    WriteFence,
    /// The store of a cell's even number.
    WriteEven,
    /// The first load of a cell's number.
    ReadFirst,
    /// The fence between a cell's words and the second load of its number.
    ReadFence,
    /// The store of the change log's head.
    HeadStore,
    /// The load of the change log's head.
    HeadLoad,
    /// The store of the newest kline's number.
    NewestStore,
    /// The loads of the newest kline's number.
    NewestLoad,
}

/// The ordering of a site.
#[cfg(not(all(test, loom)))]
#[inline]
pub(super) const fn at(_: Site, ordering: Ordering) -> Ordering {
    ordering
}

/// The fence of a site.
#[cfg(not(all(test, loom)))]
#[inline]
pub(super) fn fence_at(_: Site, ordering: Ordering) {
    fence(ordering);
}

#[cfg(all(test, loom))]
pub(super) use weakened::{at, fence_at};

#[cfg(all(test, loom))]
mod weakened {
    use std::sync::OnceLock;

    use super::{Ordering, Site, fence};

    /// Names, apart by commas, of the sites whose ordering is taken away.
    const VARIABLE: &str = "KLAGG_WEAKENED";

    pub(in super::super) fn at(site: Site, ordering: Ordering) -> Ordering {
        if is_weak(site) { Ordering::Relaxed } else { ordering }
    }

    pub(in super::super) fn fence_at(site: Site, ordering: Ordering) {
        if !is_weak(site) {
            fence(ordering);
        }
    }

    fn is_weak(site: Site) -> bool {
        static NAMES: OnceLock<Vec<String>> = OnceLock::new();
        let names = NAMES.get_or_init(|| {
            let names = std::env::var(VARIABLE).unwrap_or_default();
            names.split(',').map(str::to_owned).collect()
        });
        names.iter().any(|name| *name == format!("{site:?}"))
    }
}
