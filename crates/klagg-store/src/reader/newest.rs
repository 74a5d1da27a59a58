//! The newest klines of many symbols together: what a start reads.
//!
//! In each span of time the rows of neighbouring symbols lie side by side. Walked over together
//! they are found once a span; one symbol alone has to be looked for in every span from the root
//! of the tree, for sixteen rows.

use std::ops::Range;

use klagg_kline::{KlineRecord, Period, SymbolId, UnixMillis};
use rusqlite::params;

use super::pages::{finish, newest_from, spans_of};
use super::{StoreReader, row};
use crate::connection::failed;
use crate::coverage::Slot;
use crate::schema::{SELECT_CHUNK_OF_MANY, chunk_of};
use crate::{ReadEnd, ReadPage, ReadQuery, StoreError};

/// Numbers that are left out between two symbols which are still read together: the rows between
/// them cost less than looking for the second.
const LEFT_OUT_MAX: u32 = 1;

/// What is stored of one symbol in one period.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Newest {
    /// Its newest klines.
    pub page: ReadPage,
    /// End of the unbroken run of confirmed klines.
    pub complete_until: Option<UnixMillis>,
}

/// A symbol that is being read.
struct Reading {
    symbol: SymbolId,
    slot: Slot,
    /// Open times of its first and last kline that are wanted, if it has no hole.
    bounds: (UnixMillis, UnixMillis),
    /// The spans in which these lie.
    low: i64,
    high: i64,
    records: Vec<KlineRecord>,
    /// A row was damaged: it is read once more, alone.
    is_damaged: bool,
}

impl StoreReader {
    /// The newest klines of each symbol, at most `limit`, in the order of `symbols`: for each what
    /// [`StoreReader::read_page`] gives, sooner if their numbers ascend without gaps. All of them
    /// are of one state of the database.
    ///
    /// # Errors
    /// [`StoreError`] if the database cannot be read.
    pub fn read_newest(
        &self,
        symbols: &[SymbolId],
        period: Period,
        limit: usize,
    ) -> Result<Vec<Newest>, StoreError> {
        self.consistently(|reader| {
            let mut slots = Vec::with_capacity(symbols.len());
            for &symbol in symbols {
                slots.push((symbol, reader.slot(symbol, period)?));
            }
            let mut all = Vec::with_capacity(symbols.len());
            for group in groups(&slots, period) {
                all.extend(reader.read_group(&slots[group], period, limit)?);
            }
            Ok(all)
        })
    }

    fn read_group(
        &self,
        slots: &[(SymbolId, Slot)],
        period: Period,
        limit: usize,
    ) -> Result<Vec<Newest>, StoreError> {
        let query = ReadQuery { from: None, to: None, limit, keep: ReadEnd::Newest };
        let [.., (_, Slot { stored: Some(_), .. })] = slots else {
            let none =
                |(_, slot): &(_, Slot)| Newest { complete_until: until(slot), ..<_>::default() };
            return Ok(slots.iter().map(none).collect());
        };
        let begin = |&(symbol, slot)| Reading::begin(symbol, slot, period, limit);
        let mut readings: Vec<Reading> = slots.iter().filter_map(begin).collect();
        debug_assert_eq!(readings.len(), slots.len(), "who has no klines is a group alone");
        self.walk(&mut readings, period).map_err(|error| failed(&self.path, error))?;
        let mut all = Vec::with_capacity(readings.len());
        for reading in readings {
            let complete_until = until(&reading.slot);
            let page = match reading.finish(period, &query) {
                Ok(page) => page,
                Err(symbol) => self.read_chunks(symbol, period, &query)?,
            };
            all.push(Newest { page, complete_until });
        }
        Ok(all)
    }

    /// Reads all rows of a group, span by span.
    fn walk(&self, group: &mut [Reading], period: Period) -> rusqlite::Result<()> {
        let (Some(first), Some(last)) = (group.first(), group.last()) else { return Ok(()) };
        let (first, last) = (first.symbol.0, last.symbol.0);
        let low = group.iter().map(|of| of.low).min().unwrap_or(0);
        let high = group.iter().map(|of| of.high).max().unwrap_or(-1);
        let mut statement = self.connection.prepare_cached(SELECT_CHUNK_OF_MANY)?;
        for chunk in low..=high {
            let mut rows = statement.query(params![chunk, first, last])?;
            let mut at = 0;
            while let Some(found) = rows.next()? {
                let Some(symbol) = row::symbol(found, 19) else { continue };
                while group[at].symbol < symbol {
                    at += 1;
                }
                let reading = &mut group[at];
                if reading.symbol != symbol {
                    continue;
                }
                match row::read(found, symbol, period) {
                    Some(record) if reading.wants(record.kline.open_time) => {
                        reading.records.push(record);
                    }
                    None if reading.wants(row::open_time(found)) => reading.is_damaged = true,
                    // A damaged open time may be any: then a kline is missing in the end.
                    Some(_) | None => {}
                }
            }
        }
        Ok(())
    }
}

impl Reading {
    /// `None` if it has no klines.
    fn begin(symbol: SymbolId, slot: Slot, period: Period, limit: usize) -> Option<Self> {
        let (first, last) = slot.stored?;
        let bounds = (newest_from(period, last, limit).max(first), last);
        let (low, high) = (chunk_of(period, bounds.0), chunk_of(period, last));
        let records = Vec::with_capacity(limit.min(spans_of(low, high)));
        Some(Self { symbol, slot, bounds, low, high, records, is_damaged: false })
    }

    fn wants(&self, open_time: UnixMillis) -> bool {
        self.bounds.0 <= open_time && open_time <= self.bounds.1
    }

    /// The page; the symbol, if it has to be read alone: the klines reach further back than they
    /// would without holes, or one of them is damaged.
    fn finish(self, period: Period, query: &ReadQuery) -> Result<ReadPage, SymbolId> {
        let Some((first, last)) = self.slot.stored else { return Ok(ReadPage::default()) };
        let is_short = self.records.len() < query.limit && first < self.bounds.0;
        if self.is_damaged || is_short {
            return Err(self.symbol);
        }
        let rows = self.records.len();
        let page = ReadPage { records: self.records, ..ReadPage::default() };
        Ok(finish(page, period, rows, ((first, last.plus(1)), self.slot.run), query))
    }
}

fn until(slot: &Slot) -> Option<UnixMillis> {
    slot.run.map(|run| run.until)
}

/// Which symbols are read together: neighbours whose newest klines lie in the same or the next
/// span. Who has none is alone.
fn groups(slots: &[(SymbolId, Slot)], period: Period) -> Vec<Range<usize>> {
    let high = |at: usize| slots[at].1.stored.map(|(_, last)| chunk_of(period, last));
    let mut groups: Vec<Range<usize>> = Vec::new();
    for at in 0..slots.len() {
        let joins = groups.last().is_some_and(|group| {
            let (before, this) = (slots[at - 1].0.0, slots[at].0.0);
            let is_next = this > before && this - before <= 1 + LEFT_OUT_MAX;
            let ends = high(group.start).zip(high(at));
            is_next && ends.is_some_and(|(first, this)| first.abs_diff(this) <= 1)
        });
        match groups.last_mut() {
            Some(group) if joins => group.end = at + 1,
            _ => groups.push(at..at + 1),
        }
    }
    groups
}
