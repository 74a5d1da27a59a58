//! The closed klines of one symbol and period, page by page.

use klagg_kline::{Period, SymbolId, UnixMillis};
use klagg_store::{ReadEnd, ReadPage, ReadQuery, StoreError, StoreReader};

/// Rows of a page: about a megabyte.
const PAGE_ROWS: usize = 8_192;

/// Reads forward through one symbol and period.
#[derive(Debug)]
pub(crate) struct Pages<'a> {
    reader: &'a StoreReader,
    symbol: SymbolId,
    period: Period,
    /// The first open time not read yet; `None` at the end.
    from: Option<UnixMillis>,
    to: Option<UnixMillis>,
}

impl<'a> Pages<'a> {
    /// Klines that open within the span, or all where it is open.
    pub(crate) fn new(
        reader: &'a StoreReader,
        symbol: SymbolId,
        period: Period,
        (from, to): (Option<UnixMillis>, Option<UnixMillis>),
    ) -> Self {
        let from = Some(from.unwrap_or(UnixMillis(0)));
        Self { reader, symbol, period, from, to }
    }

    /// The next page, which is not empty; `None` after the last.
    ///
    /// # Errors
    /// If the database cannot be read.
    pub(crate) fn next_page(&mut self) -> Result<Option<ReadPage>, StoreError> {
        let Some(from) = self.from else { return Ok(None) };
        let keep = ReadEnd::Oldest;
        let query = ReadQuery { from: Some(from), to: self.to, limit: PAGE_ROWS, keep };
        let page = self.reader.read_page(self.symbol, self.period, &query)?;
        let rows = page.records.len() + page.damaged.len();
        let good = page.records.last().map(|record| record.kline.open_time);
        let last = good.max(page.damaged.last().copied());
        // A damaged row may claim any time: going on from before `from` would never end.
        self.from = last.map(|last| last.plus(1)).filter(|&next| rows == PAGE_ROWS && next > from);
        Ok((rows > 0).then_some(page))
    }
}
