//! A few read-only connections to the store, used from blocking threads.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use klagg_kline::{KlineRecord, Period, SymbolId};
use klagg_store::{ReadQuery, StoreError, StoreReader, StoreReaderFactory};
use tokio::sync::Semaphore;

/// A bounded number of readers, opened when needed, kept for the next.
pub(crate) struct StorePool {
    open: StoreReaderFactory,
    idle: Arc<Mutex<Vec<StoreReader>>>,
    permits: Arc<Semaphore>,
    /// Rows that were left out because their checksum was wrong.
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
            Ok(page) => page?,
            Err(failed) => std::panic::resume_unwind(failed.into_panic()),
        };
        if !page.damaged.is_empty() {
            self.damaged.fetch_add(page.damaged.len() as u64, Ordering::Relaxed);
            tracing::warn!(%symbol, %period, rows = page.damaged.len(), "damaged rows left out");
        }
        Ok(page.records)
    }
}
