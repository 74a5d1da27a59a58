//! A few read-only connections to the store, used from blocking threads.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use klagg_kline::{KlineRecord, Period, SymbolId};
use klagg_store::{ReadPage, ReadQuery, StoreError, StoreReader, StoreReaderFactory};
use tokio::sync::Semaphore;

/// A bounded number of readers, opened when needed, kept for the next.
pub(crate) struct StorePool {
    open: StoreReaderFactory,
    idle: Arc<Mutex<Vec<StoreReader>>>,
    permits: Arc<Semaphore>,
    /// Rows that were left out, for they are damaged or gone.
    pub(crate) damaged: AtomicU64,
}

impl fmt::Debug for StorePool {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("StorePool").field("damaged", &self.damaged).finish_non_exhaustive()
    }
}

impl StorePool {
    pub(crate) fn new(open: StoreReaderFactory, readers_max: usize) -> Self {
        let permits = Arc::new(Semaphore::new(readers_max.max(1)));
        Self { open, idle: Arc::default(), permits, damaged: AtomicU64::new(0) }
    }

    /// Reads on a blocking thread; waits while all readers are busy.
    pub(crate) async fn read(
        &self,
        symbol: SymbolId,
        period: Period,
        query: ReadQuery,
    ) -> Result<Vec<KlineRecord>, StoreError> {
        let permit = Arc::clone(&self.permits).acquire_owned().await;
        let (open, idle) = (self.open.clone(), Arc::clone(&self.idle));
        let reading = tokio::task::spawn_blocking(move || {
            let kept = idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
            let reader = kept.map_or_else(|| open.open(), Ok)?;
            let page = reader.read_page(symbol, period, &query)?;
            // Only a reader that works is kept; one that failed is opened anew.
            idle.lock().unwrap_or_else(PoisonError::into_inner).push(reader);
            drop(permit);
            Ok(page)
        });
        let page = match reading.await {
            Ok(page) => page,
            Err(failed) => std::panic::resume_unwind(failed.into_panic()),
        };
        if let Some(advice) = advice(&page) {
            tracing::error!(%symbol, %period, "{advice}");
        }
        let page = page?;
        self.damaged.fetch_add(rows_left_out(&page), Ordering::Relaxed);
        Ok(page.records)
    }
}

/// Rows of a page that are there and damaged, or that must be there and are not.
fn rows_left_out(page: &ReadPage) -> u64 {
    (page.damaged.len() + page.missing.len()) as u64
}

/// What to do about what was read, if it is damaged.
fn advice(read: &Result<ReadPage, StoreError>) -> Option<String> {
    match read {
        Err(error @ StoreError::Corrupt { .. }) => {
            Some(format!("{error}: restart klagg, which sets it aside and fills a new one"))
        }
        Err(_) => None,
        Ok(page) => match rows_left_out(page) {
            0 => None,
            rows => Some(format!(
                "{rows} stored klines are damaged or gone, and are left out of the answer: restart \
                 klagg, which fetches those anew that it keeps in memory; `klagg doctor` names the \
                 others"
            )),
        },
    }
}

#[cfg(test)]
mod tests {
    use klagg_kline::UnixMillis;

    use super::*;

    #[test]
    fn whatever_is_damaged_is_told_with_what_to_do() {
        let detail = "database disk image is malformed".to_owned();
        let corrupt = advice(&Err(StoreError::Corrupt { path: "klagg.db".into(), detail }));
        assert_eq!(
            corrupt.as_deref(),
            Some(
                "`klagg.db` is damaged: database disk image is malformed: restart klagg, which \
                 sets it aside and fills a new one"
            )
        );
        assert_eq!(advice(&Err(StoreError::WriterBusy)), None, "that is told where it is met");
        assert_eq!(advice(&Ok(ReadPage::default())), None);
        let (damaged, missing) = (vec![UnixMillis(1)], vec![UnixMillis(2), UnixMillis(3)]);
        let page = ReadPage { damaged, missing, ..ReadPage::default() };
        let told = advice(&Ok(page)).unwrap();
        assert!(told.starts_with("3 stored klines are damaged or gone"), "{told}");
        assert!(told.contains("restart klagg") && told.contains("klagg doctor"), "{told}");
    }
}
