//! Batches written by the writer thread, which counts what it has acknowledged.

use std::collections::VecDeque;
use std::time::Duration;

use klagg_store::{Store, StoreWriter, WriterConfig};

use crate::model::{IN_FLIGHT_MAX, batch};

/// Writes the batches `numbers` of a seed, and calls `acknowledge` with how many batches there
/// are on the disk whenever there are more.
pub(crate) fn write_by_thread(
    store: Store,
    seed: u64,
    numbers: impl Iterator<Item = u64>,
    mut acknowledge: impl FnMut(u64),
) {
    let config = WriterConfig {
        commit_rows_max: 200,
        queue_rows_max: 100_000,
        cadence: Duration::from_millis(2),
        open_cadence: Duration::from_secs(1),
        retry_min: Duration::from_millis(1),
        retry_max: Duration::from_millis(10),
        drain_deadline: Duration::from_secs(1),
    };
    let writer = StoreWriter::spawn(store, config, |_| {}).unwrap();
    let handle = writer.handle();
    let mut numbers = numbers.peekable();
    let (mut rows_before, mut sizes) = (0, VecDeque::new());
    while numbers.peek().is_some() || !sizes.is_empty() {
        while sizes.len() < usize::try_from(IN_FLIGHT_MAX).unwrap()
            && let Some(number) = numbers.next()
        {
            let rows = batch(seed, number);
            sizes.push_back((number, rows.len() as u64));
            handle.submit(rows).unwrap();
        }
        let status = handle.status();
        while let Some(&(number, size)) = sizes.front()
            && rows_before + size <= status.rows_written + status.rows_unchanged
        {
            rows_before += size;
            sizes.pop_front();
            acknowledge(number + 1);
        }
        std::thread::yield_now();
    }
}
