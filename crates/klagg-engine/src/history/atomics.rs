//! The atomics of the history, from one place, so that a model checker's can stand in for them.
//!
//! `cargo xtask loom` does that: then every load may return any value that the orderings allow,
//! and every order of the threads' steps is tried (see `models`).

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
